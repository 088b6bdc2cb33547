/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is done to a process: it is held by a pidfd, which never comes to mean another process, its
 * oom_score_adj is read and written through a file that was opened while it was held, and its limit
 * on locked memory by its pid, which is its own as long as the pidfd says that it has not ended.
 */
#ifndef PLIMSOLL_DAEMON_PROCESS_H
#define PLIMSOLL_DAEMON_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

/* OOM_SCORE_ADJ_MIN and _MAX, include/uapi/linux/oom.h. */
#define PROCESS_SCORE_MIN (-1000)
#define PROCESS_SCORE_MAX 1000

/* Returns a pidfd, which is readable once the process has ended; -ESRCH: there is none; -ENOSYS: a
 * kernel before 5.3; or another negative errno. */
int process_hold(pid_t pid);
/* Sends signal NUMBER; 0 only checks that it might be sent. */
int process_signal(int pidfd, int number);

/* FD is its oom_score_adj. -ESRCH: the process is gone; -EBADMSG: malformed. */
int process_score_read(int fd, int32_t *ret_score);
int process_score_write(int fd, int32_t score);
/* The guard is exempt from the kernel's OOM killer; its children, which call this, must not be. */
void process_score_reset(void);

/* RLIMIT_MEMLOCK; MEMLOCK_UNLIMITED (snapshot.h) is RLIM_INFINITY. */
struct process_memlock {
    uint64_t soft, hard;
};
/* PIDFD holds PID. -ESRCH: it has ended. */
int process_memlock_read(pid_t pid, int pidfd, struct process_memlock *ret_limit);
/* Sets DESIRED where EXPECTED is in force, both its parts. -ESTALE: another is, and stays; -EPERM:
 * we may not (raising the hard limit takes CAP_SYS_RESOURCE); -ESRCH; or another negative errno. */
int process_memlock_exchange(pid_t pid, int pidfd, const struct process_memlock *expected,
    const struct process_memlock *desired);

#endif
