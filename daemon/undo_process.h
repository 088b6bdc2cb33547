/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One process of the ledger, held so that nothing done to it can reach another.
 */
#ifndef PLIMSOLL_DAEMON_UNDO_PROCESS_H
#define PLIMSOLL_DAEMON_UNDO_PROCESS_H

#include "roots.h"
#include "vcpu_quota.h"

#include <plimsoll/snapshot.h>

struct undo_process {
    int pidfd;
    int folder; /* PROC/PID: belongs to the same process for as long as it is open */
    pid_t pid;
};
#define UNDO_PROCESS_NONE ((struct undo_process){.pidfd = -1, .folder = -1})

/* -ESRCH: the process is gone, is a zombie, or another has its pid. */
int undo_process_open(
    const char *proc, const struct vm_identity *identity, struct undo_process *ret_process);
void undo_process_close(struct undo_process *process);

/* Signals it; reads and sets its oom_score_adj. A negative errno where that fails. */
int undo_process_signal(const struct undo_process *process, int number);
int undo_process_score(const struct undo_process *process, int32_t *ret_score);
int undo_process_set_score(const struct undo_process *process, int32_t score);

/* Writes 0 to cgroup.freeze of every v2 cgroup that a thread of the process stands in and that is
 * frozen itself (not by an ancestor, which would not be ours). Returns how many there were, or a
 * negative errno after trying all; -ENOENT: no mount of cgroup v2 shows any of them. */
int undo_process_thaw(const struct roots *roots, const struct undo_process *process);

/* The same with cpu.max where OURS is in force: puts BEFORE there. The group of the main thread, in
 * which no vCPU stands, is left alone. */
int undo_process_release(const struct roots *roots, const struct undo_process *process,
    struct vcpu_quota ours, struct vcpu_quota before);

/* Puts back LIMIT of its cgroup, as limit_restore() does; may block. -ENODEV: no mount of cgroup v2
 * shows its group. */
int undo_process_unlimit(const struct roots *roots, const struct undo_process *process,
    enum vm_limit limit, const struct vm_contained *ours, uint64_t previous);

#endif
