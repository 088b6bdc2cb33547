/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The limits of one guest's own cgroup (v2): read, written and put back by files that are opened
 * below the folder of that very group. A value is as in struct vm_limits, VM_LIMIT_NONE for none.
 */
#ifndef PLIMSOLL_DAEMON_CGROUP_LIMIT_H
#define PLIMSOLL_DAEMON_CGROUP_LIMIT_H

#include <plimsoll/snapshot.h>

struct cgroup_mounts;

struct limit_group {
    int folder; /* -1: none that could be its own */
    /* The scope of libvirt's nested group, which alone has a pids.max; -1: there is none. */
    int scope;
    bool legacy; /* its memory is counted by v1 */
};
#define LIMIT_GROUP_NONE \
    {                    \
        -1, -1, false    \
    }

/* Room for limit_format(): 20 digits and a newline. */
#define LIMIT_TEXT_MAX 24

/* PROCESS is its folder in /proc. Without a group of its own, RET_GROUP has none. */
void limit_group_open(
    const struct cgroup_mounts *mounts, int process, struct limit_group *ret_group);
void limit_group_close(struct limit_group *group);
/* 0: whom LIMIT limits now is PID and nobody else; PROC is where /proc is. -ENODEV: it is not so,
 * or there is no group. */
int limit_check(const struct limit_group *group, enum vm_limit limit, const char *proc, pid_t pid);

/* -ENOENT: the group has no such limit; -EBADMSG: malformed; else negative errno. */
int limit_read(const struct limit_group *group, enum vm_limit limit, uint64_t *ret_value);
/* What it is held against: memory of both memory limits, tasks of pids.max. -EINVAL: the others. */
int limit_use_read(const struct limit_group *group, enum vm_limit limit, uint64_t *ret_use);
/* All of LIMITS that is read; UNKNOWN where the group is not PID's own alone. No allocation. */
void limits_read(
    const struct limit_group *group, const char *proc, pid_t pid, struct vm_limits *limits);

/* Opens the file for writing; what is written is limit_format()'s. Returns the fd or as
 * limit_read(). */
int limit_open(const struct limit_group *group, enum vm_limit limit);
void limit_format(enum vm_limit limit, uint64_t value, char ret_text[LIMIT_TEXT_MAX]);

/* Puts back what was before OURS, where OURS is in force, or PREVIOUS, which was it before a write
 * that may not have come to be (UNKNOWN: none was). The kernel has no exchange for these files, so
 * a change of somebody's in between is lost. -ESTALE: another is in force, and stays; -EAGAIN:
 * writing would reclaim here and may not, for want of MAY_BLOCK; else as limit_read(). */
int limit_restore(const struct limit_group *group, enum vm_limit limit,
    const struct vm_contained *ours, uint64_t previous, bool may_block);

#endif
