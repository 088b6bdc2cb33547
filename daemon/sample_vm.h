/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The figures of one QEMU process and its memory cgroup, by files kept open: a file of a process
 * that is gone answers ESRCH or nothing, even when its pid is used again.
 */
#ifndef PLIMSOLL_DAEMON_SAMPLE_VM_H
#define PLIMSOLL_DAEMON_SAMPLE_VM_H

#include "cgroup_limit.h"
#include "roots.h"
#include "sample_host.h"

#include <plimsoll/snapshot.h>

/* The host's cgroup mounts: v1, v2 or hybrid (memory on v1, the rest on v2). */
struct cgroup_mounts;
int cgroup_mounts_new(const struct roots *roots, struct cgroup_mounts **ret_mounts);
struct cgroup_mounts *cgroup_mounts_free(struct cgroup_mounts *mounts);

struct vm_sampler {
    int stat_fd, statm_fd, status_fd, limits_fd, oom_score_adj_fd;
    int cgroup_current_fd, cgroup_numa_fd; /* -1: no memory controller reaches this process */
    /* memory.reclaim, open for writing, and the list of who is in its group; -1: v1, an older
     * kernel, or a group that is not this process's alone. */
    int cgroup_reclaim_fd, cgroup_procs_fd;
    struct limit_group limits;
    uint64_t limits_next; /* when they are due; 0: never read */
    const char *proc;     /* where /proc is; the caller's */
};
#define VM_SAMPLER_CLOSED                                             \
    {                                                                 \
        -1, -1, -1, -1, -1, -1, -1, -1, -1, LIMIT_GROUP_NONE, 0, NULL \
    }

/* Whether the cgroup is still the guest's alone, and what limits it, stands in a dozen files that
 * are opened anew: as much as all others together. Nobody waits for them: who sets a limit, or puts
 * one back, reads it right before. */
#define VM_LIMITS_INTERVAL (10 * NSEC_PER_SEC)

/* Descriptors one guest takes, for the limit on open files. */
#define VM_SAMPLER_FILES 11

/* Opens the files of IDENTITY's pid and verifies its start time through them, so that from here on
 * they belong to that process for certain. -ESRCH: it is gone or another; else negative errno. */
int vm_sampler_open(struct vm_sampler *sampler, const struct roots *roots,
    const struct cgroup_mounts *mounts, const struct vm_identity *identity);
void vm_sampler_close(struct vm_sampler *sampler);

/*
 * Reads into VM's fields. SAMPLE_EDGE: statm, what decisions at the edge rest on; the state letter,
 * which costs more than that, keeps its last value unless statm shows that the process has no
 * memory left. SAMPLE_FULL adds it, status, limits, memory.current, numa_stat and the score; and
 * the limits of its cgroup where those were not read for VM_LIMITS_INTERVAL. Returns 0; -ESRCH: the
 * process is gone; -EBADMSG: a file was truncated or malformed (VM->sampled is then UNKNOWN, and so
 * are the fields that could not be read). Of a zombie, all sizes are UNKNOWN. No allocation.
 */
int vm_sampler_read(struct vm_sampler *sampler, enum sample_depth depth,
    const struct host_snapshot *host, uint64_t now, struct vm_snapshot *vm);

/* 0: reclaiming from its cgroup now takes from PID and nobody else. -ENODEV: it may take from
 * others, or there is no way to. */
int vm_sampler_reclaim_check(const struct vm_sampler *sampler, pid_t pid);

/* VmLck and VmPin together, as of now, for an act that must not go below them. -ESRCH: the process
 * is gone; -EBADMSG: its status does not say. */
int vm_sampler_memlock_use(const struct vm_sampler *sampler, uint64_t *ret_use);

/*
 * Opens cgroup.freeze of each thread in THREADS if every one of them stands in a v2 cgroup that
 * holds nothing but threads of that list, PID's main thread not among them, and has no group below
 * it. Fills RET_FDS (room for COUNT) and returns how many distinct groups there are; 0: they have
 * none of their own. Negative errno otherwise. True of the moment: a thread that a vCPU starts
 * later begins in the vCPU's group.
 */
int vcpu_cgroups_open(const struct roots *roots, const struct cgroup_mounts *mounts, pid_t pid,
    const pid_t *threads, unsigned count, int *ret_fds);
/* The same for cpu.max. */
int vcpu_quotas_open(const struct roots *roots, const struct cgroup_mounts *mounts, pid_t pid,
    const pid_t *threads, unsigned count, int *ret_fds);

/*
 * The vCPU threads of a QEMU that nobody can ask, by the names that debug-threads=on, which libvirt
 * always sets, gives them: "CPU <n>/KVM", "CPU <n>/TCG" and "ALL CPUs/TCG" (QEMU,
 * accel/kvm/kvm-accel-ops.c and accel/tcg). Fills RET_THREADS and returns how many there are; 0: it
 * names none. The process chose the names: vcpu_cgroups_open() says whether they can be acted on.
 * -ESRCH: it is gone; -E2BIG: more than CAPACITY, or too many threads to look at; else negative
 * errno.
 */
int vcpu_threads_find(const struct roots *roots, pid_t pid, pid_t *ret_threads, unsigned capacity);

#endif
