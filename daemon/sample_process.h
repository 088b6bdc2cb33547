/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /proc/PID/stat, the one file that says at once who a process is, whether it lives and how large
 * it is. Its second field is the process's own choice and may hold blanks and parentheses.
 */
#ifndef PLIMSOLL_DAEMON_SAMPLE_PROCESS_H
#define PLIMSOLL_DAEMON_SAMPLE_PROCESS_H

#include <plimsoll/snapshot.h>

struct process_stat {
    char name[PROCESS_NAME_MAX]; /* as the process set it: clean it before showing it */
    enum vm_process_state state;
    uint64_t start_time; /* field 22, clock ticks since boot */
    uint64_t size;       /* field 23, bytes; 0: no memory of its own (kernel thread, zombie) */
    uint64_t rss;        /* field 24, bytes */
};

/* Returns 0; -ESRCH: the process is gone; -EBADMSG: malformed. */
int process_stat_read(int fd, struct process_stat *ret_stat);
/* Only the state letter, which stands in front of what is costly to parse. Same errors. */
int process_state_read(int fd, enum vm_process_state *ret_state);
/* Opens PROC/PID as a folder whose files belong to that one process for as long as it is open.
 * Returns the fd; -ESRCH: no such process; or another negative errno. */
int process_folder_open(const char *proc, pid_t pid);

#endif
