/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Processes of ours that may block, forked from the guard, each at the end of a socket. */
#ifndef PLIMSOLL_DAEMON_HELPER_H
#define PLIMSOLL_DAEMON_HELPER_H

#include <sys/types.h>

/* Where a helper finds its end of the socket. */
#define HELPER_FD 3

/*
 * Forks. In the guard: returns the child's pid, *RET_FD is our end of a SOCK_SEQPACKET pair; or a
 * negative errno. In the child: returns 0, and its end is HELPER_FD, the only descriptor left but
 * the standard ones. It is called NAME (15 bytes at most), its oom_score_adj is set back to 0, its
 * memory is not locked, and it is deaf to what ends a service or a foreground job: it ends when it
 * sees that the guard's end was closed.
 */
pid_t helper_fork(const char *name, int *ret_fd);

#endif
