/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's log, followed for its kills. Opening it may need a right that the guard is not given
 * (CAP_SYSLOG where kernel.dmesg_restrict=1); reading what is open needs none. So the descriptor
 * may come from whoever started us.
 */
#ifndef PLIMSOLL_DAEMON_KERNEL_LOG_H
#define PLIMSOLL_DAEMON_KERNEL_LOG_H

#include "kernel_kill.h"
#include "loop.h"

#include <plimsoll/cleanup.h>

struct kernel_log;

struct kernel_log_owner {
    void (*killed)(const struct kernel_kill *kill, void *userdata);
    /* LINES of the log were overwritten before they were read, or not understood. */
    void (*lost)(uint64_t lines, void *userdata);
    /* All there was has been read, and what followed from it was told. */
    void (*drained)(void *userdata);
    void *userdata;
};

/* Opens PATH, never to wait for it. -EPERM: no right; -ENODEV: another file than the kernel's log;
 * or another negative errno of open(2). */
int kernel_log_open(const char *path);
/* 0, or -ENODEV for a descriptor of anything else. */
int kernel_log_check(int fd);

/* Follows FD, which is closed with the log, from now on: what is in it already is passed over. On
 * failure FD stays the caller's. */
int kernel_log_new(
    struct loop *loop, int fd, const struct kernel_log_owner *owner, struct kernel_log **ret_log);
struct kernel_log *kernel_log_free(struct kernel_log *log);
DEFINE_CLEANUP(struct kernel_log *, kernel_log_free);

/* Reads on, KERNEL_LOG_BATCH records at most, without waiting for the loop to call. True: all there
 * was has been read (`drained` is not called). False: there is more, for which the loop will call.
 */
bool kernel_log_read(struct kernel_log *log);
/* False: reading has failed, which was said; nothing will come any more. */
bool kernel_log_follows(const struct kernel_log *log);

/* About 2 µs each: what one wake may take from the tick. A kill comes with a line for each process
 * of the host before it. */
#define KERNEL_LOG_BATCH 64

#endif
