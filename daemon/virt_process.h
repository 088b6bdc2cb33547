/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One plimsoll-virt from its fork to its reaping: started in good times it waits, blocked and
 * unconnected, until it is told to begin, which costs one datagram.
 */
#ifndef PLIMSOLL_DAEMON_VIRT_PROCESS_H
#define PLIMSOLL_DAEMON_VIRT_PROCESS_H

#include "loop.h"

#include <sys/types.h>

/* The status of a child that found no program to run. */
#define VIRT_PROCESS_NO_PROGRAM 127

struct virt_process {
    void *owner; /* for the handlers of its sources */
    struct loop *loop;
    pid_t pid;     /* 0: none, the place is free */
    int fd, pidfd; /* our end of its socket, and itself; -1: none */
    struct loop_source socket, exit;
    bool greeted;            /* it has said HELLO */
    bool ended;              /* it was killed here, and only its reaping is waited for */
    uint64_t started, heard; /* when it was, and when it said something last */
};

struct virt_process_options {
    const char *program; /* plimsoll-virt */
    loop_handler heard;  /* of `socket`: there is something to hear, or its end */
    loop_handler exited; /* of `exit`: it can be reaped */
};

/* A place without a process. */
void virt_process_init(struct virt_process *process, struct loop *loop, void *owner);
/* A place that is given up, with what is in it: killed, and reaped if it is as quick as that. */
void virt_process_close(struct virt_process *process);

/*
 * Forks and executes PROGRAM. On failure nothing is to be heard of it; a process that was forked
 * even so is `ended`.
 */
int virt_process_start(
    struct virt_process *process, const struct virt_process_options *options, uint64_t now);
/* Tells it to begin with URI: no fork, no memory, no wait. -EINVAL: that can be no URI; another
 * negative errno: it does not listen any more. */
int virt_process_begin(struct virt_process *process, const char *uri);

/* Closes our end of the socket. */
void virt_process_hang_up(struct virt_process *process);
/* Hangs up and kills: it is to be reaped. */
void virt_process_end(struct virt_process *process);
/* True: there was one and it has ended, by *RET_STATUS; the place is free. */
bool virt_process_reap(struct virt_process *process, int *ret_status);

#endif
