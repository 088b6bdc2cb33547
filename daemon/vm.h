/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One VM as the guard holds it: the process by pidfd, its files, its monitor, its latest figures
 * and the measures in force on it. The figures are copied into the snapshot each tick; nobody
 * outside the daemon ever sees a struct vm.
 */
#ifndef PLIMSOLL_DAEMON_VM_H
#define PLIMSOLL_DAEMON_VM_H

#include "ledger.h"
#include "log.h"
#include "loop.h"
#include "monitor.h"
#include "process.h"
#include "sample_vm.h"
#include "silence.h"
#include "vcpu_quota.h"
#include "virt_guest.h"

#include <plimsoll/plan.h>
#include <plimsoll/snapshot.h>

/* vCPU cgroups whose files are kept open for one VM. A guest with more vCPUs is frozen by signal,
 * and not braked: two descriptors a vCPU would starve a host of 1,000 guests of descriptors. */
#define VM_FREEZE_FDS_MAX 64
/* For so long after a brake its QEMU is not judged by its silence: what was asked under it is
 * overdue by then (MONITOR_TIMEOUT, and the 5 s that libvirt is given). */
#define VM_BRAKE_GRACE (5 * NSEC_PER_SEC)

struct inventory;

struct vm {
    struct inventory *inventory; /* who holds it */
    struct ledger *ledger;       /* the guard's */
    const struct roots *roots;   /* likewise */
    uint32_t slot;
    int pidfd;
    struct vm_snapshot figures;
    struct vm_sampler sampler;
    struct loop_source exit;           /* watches the pidfd: readable once the process has ended */
    struct monitor *monitor;           /* NULL: no QMP socket; owned by the inventory */
    struct virt_guest virt;            /* what libvirt does for one that has none */
    int freeze_fds[VM_FREEZE_FDS_MAX]; /* cgroup.freeze of its vCPUs; open for writing */
    unsigned freeze_count;
    int quota_fds[VM_FREEZE_FDS_MAX]; /* cpu.max of the same */
    unsigned quota_count;
    struct vcpu_quota quota_before;          /* of every vCPU; valid with VM_MEASURE_BRAKED */
    int32_t oom_score_before;                /* valid with VM_MEASURE_OOM_SCORE */
    struct process_memlock memlock_before;   /* valid with VM_MEASURE_MEMLOCK */
    char monitor_before[LEDGER_MONITOR_MAX]; /* its socket before a restart of the guard */
    enum reason reason;                      /* of the last action taken on it */
    bool stop_seen;             /* a STOP event came since our `stop`: the pause is ours */
    bool stop_pending;          /* our `stop` is in flight on this very connection */
    bool resume_pending;        /* a query or `cont` of a resume is in flight */
    bool leave_thawed;          /* at exit: was thawed */
    bool leave_stop;            /* … and is to be stopped */
    bool back_resumed;          /* giving back: its resume was tried */
    bool back_resized;          /* … so was its virtio-mem */
    bool held;                  /* the guard would act on it, but for a hold */
    bool hold_unwritten;        /* the file of its own hold waits: memory is at its end */
    bool kernel_killed;         /* by its OOM killer, before we did */
    bool gone;                  /* the process has ended; freed at the end of this wait */
    uint64_t hold_until;        /* end of its own hold, CLOCK_BOOTTIME; 0: it has none */
    uint64_t undo_by;           /* its measures are being taken back till then; 0: they are not */
    uint64_t undo_most;         /* what it may hold after that; 0: it was not undone; UNKNOWN */
    uint64_t kill_by;           /* it is to end in order, by then we kill it; 0: it is not */
    bool destroying;            /* … and libvirt was asked to see to it */
    uint64_t frozen_since;      /* by a signal of ours */
    uint64_t brake_ended;       /* when its vCPUs had their own quota again; 0: never braked */
    uint64_t end_again;         /* when its save or shutdown is to be asked again; 0: it is not */
    unsigned end_asked;         /* how often it was */
    uint64_t save_begun;        /* when its last save was */
    uint64_t save_held;         /* and what it held then; UNKNOWN: nobody knows */
    uint64_t state_read;        /* when process_state was read last */
    unsigned balloons_pending;  /* targets in flight; the last decides */
    uint64_t balloon_again;     /* when the target in force is to be sent again; 0: it was */
    int32_t oom_score_previous; /* the score of ours before the one that is being set */
    uint64_t next_edge;         /* when statm is due */
    uint64_t next_full;         /* when status, numa_stat and the like are due; 0: never read */
    struct log_limit unreadable_said, refused_said;
    struct silence silence; /* of its QEMU, towards us or towards libvirt */
};

/* Opens pidfd and files of IDENTITY; -ESRCH when that process is gone or another. */
int vm_new(uint32_t slot, const struct vm_identity *identity, const struct roots *roots,
    const struct cgroup_mounts *mounts, struct ledger *ledger, struct vm **ret_vm);
struct vm *vm_free(struct vm *vm);
void vm_close_freeze(struct vm *vm);
void vm_close_quotas(struct vm *vm);

/* The identity check right before an act: the pidfd's process has not ended. A pidfd never comes to
 * mean another process, and vm_new() saw pid, start time and pidfd agree. */
bool vm_alive(const struct vm *vm);

/* It is by our own doing if its monitor is silent now: a vCPU may have been stopped, or throttled,
 * while it held the lock that QEMU answers under; the kernel has QEMU wait at a memory.high; or
 * libvirt saves it. */
bool vm_may_be_silent(const struct vm *vm);
/* Its QEMU has answered, and tells so where it had been silent. */
void vm_answered(struct vm *vm, uint64_t now);

/* Writes the measures in figures to its slot: before an act that adds one, after one that took one
 * back. */
void vm_write_ledger(struct vm *vm);
/* Takes over what an earlier guard had in force on it. A kill that was noted but never sent is no
 * measure: the policy decides anew. */
void vm_adopt(struct vm *vm, const struct ledger_entry *entry);

/* Nobody sees it any more: what was coming in may run by now, and then it runs nowhere else. */
static inline void vm_forget_arrival(struct vm *vm)
{
    if (vm->figures.migration == VM_MIGRATION_INCOMING)
        vm->figures.migration = VM_MIGRATION_UNKNOWN;
}

static inline bool vm_has(const struct vm *vm, uint32_t measures)
{
    return (vm->figures.measures.in_force & measures) != 0;
}

#endif
