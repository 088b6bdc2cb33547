/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is done to a process: it is held by a pidfd, which never comes to mean another process, and
 * its oom_score_adj is read and written through a file that was opened while it was held.
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

#endif
