/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the kernel's log says of its own kills: a record as /dev/kmsg gives it
 * (Documentation/ABI/testing/dev-kmsg), and the two lines of a kill (dump_oom_summary() and
 * __oom_kill_process(), mm/oom_kill.c; alike in Linux 5.10, 6.1 and 6.18):
 *
 *   oom-kill:constraint=CONSTRAINT_…,nodemask=…,…,task=NAME,pid=N,uid=N
 *   [Memory cgroup o|O]ut of memory: Killed process N (NAME) total-vm:NkB, anon-rss:NkB, …
 *
 * Only the kernel's own records count: whoever may write to /dev/kmsg can write the same words, but
 * not with facility 0 (devkmsg_write(), kernel/printk/printk.c). Names within a line are hostile.
 */
#ifndef PLIMSOLL_DAEMON_KERNEL_KILL_H
#define PLIMSOLL_DAEMON_KERNEL_KILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <plimsoll/snapshot.h>

/* Where memory was short. */
enum kill_constraint {
    KILL_CONSTRAINT_UNKNOWN, /* the host or a node: the kernel did not say which */
    KILL_CONSTRAINT_HOST,
    KILL_CONSTRAINT_NODE,   /* on the nodes that a memory policy or a cpuset allows */
    KILL_CONSTRAINT_CGROUP, /* below the limit of a cgroup */
    KILL_CONSTRAINT_COUNT,
};
const char *kill_constraint_name(enum kill_constraint constraint);

struct kernel_kill {
    pid_t pid;
    char name[PROCESS_NAME_MAX]; /* any bytes */
    enum kill_constraint constraint;
    uint64_t rss;          /* anonymous + file + shmem; UNKNOWN: not said */
    int32_t oom_score_adj; /* valid if … */
    bool oom_score_adj_known;
};

struct kernel_record {
    unsigned facility;
    uint64_t sequence; /* one more for each record */
    const char *text;  /* within the bytes parsed */
};

/* Parses the LENGTH bytes at BYTES, which it changes. -EBADMSG: not a record, or not a whole one.
 */
int kernel_record_parse(char *bytes, size_t length, struct kernel_record *ret_record);

/* What the first line of a kill said, until the second comes. Begins zeroed. */
struct kernel_kill_parser {
    bool pending;
    enum kill_constraint constraint;
    pid_t pid; /* 0: the line was torn before it (the rest of it came as a record of its own) */
};
/* True: RECORD tells of a kill. */
bool kernel_kill_parse(struct kernel_kill_parser *parser, const struct kernel_record *record,
    struct kernel_kill *ret_kill);

#endif
