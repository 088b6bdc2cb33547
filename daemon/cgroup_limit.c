/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the folders of the group, and how each limit is written.
 *
 * All are files of the group that counts the guest's memory but one: libvirt nests a group of its
 * own, "libvirt", in the scope that systemd made for the one domain, and turns on there the
 * controllers that it knows, of which pids is none. So pids.max is the scope's, where that holds
 * the nested group and nothing else.
 *
 * Of cpu.max only the quota is written, which leaves the period as it is; and so the quota alone
 * tells whose limit it is. Files are opened anew each time, and written as a shell's echo does: the
 * kernel passes over O_TRUNC and the newline.
 */
#include "cgroup_limit.h"

#include "kernel_file.h"
#include "sample_cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <plimsoll/cleanup.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* libvirt's nested group, src/util/vircgroup.c, since 7.1.0. */
#define NESTED "/libvirt"

static const char *const file_names[VM_LIMIT_COUNT] = {
    [VM_LIMIT_MEMORY_HIGH] = "memory.high",
    [VM_LIMIT_MEMORY_MAX] = "memory.max",
    [VM_LIMIT_PIDS_MAX] = "pids.max",
    [VM_LIMIT_CPU_MAX] = "cpu.max",
    [VM_LIMIT_OOM_GROUP] = "memory.oom.group",
};

static bool has_file(int folder, const char *name)
{
    return folder >= 0 && faccessat(folder, name, F_OK, 0) == 0;
}

void limit_group_open(
    const struct cgroup_mounts *mounts, int process, struct limit_group *ret_group)
{
    struct limit_group group = LIMIT_GROUP_NONE;
    char path[PATH_MAX];

    if (cgroup_domain_find(mounts, process, path) == 0) {
        size_t length = strlen(path);

        group.folder = kernel_file_valid(cgroup_folder_open(path));
        if (!has_file(group.folder, file_names[VM_LIMIT_PIDS_MAX]) && length > strlen(NESTED) &&
            strcmp(path + length - strlen(NESTED), NESTED) == 0) {
            path[length - strlen(NESTED)] = '\0';
            group.scope = kernel_file_valid(cgroup_folder_open(path));
        }
    }
    group.legacy = !has_file(group.folder, file_names[VM_LIMIT_MEMORY_MAX]) &&
                   cgroup_folder_find(mounts, CGROUP_MEMORY_V1, process, "cgroup", path) == 0;
    *ret_group = group;
}

void limit_group_close(struct limit_group *group)
{
    group->folder = kernel_file_close(group->folder);
    group->scope = kernel_file_close(group->scope);
}

/* cgroup.stat begins with it. */
static int descendants_read(int folder, uint64_t *ret_count)
{
    static const char key[] = "nr_descendants ";
    CLEANUP(kernel_file_close_at) int stat = kernel_file_open(folder, "cgroup.stat");
    char text[1024]; /* two lines, and one or two for each controller */
    const char *cursor = text + strlen(key);

    int length = kernel_file_read(stat, text, sizeof(text));
    if (length < 0)
        return length;
    if (strncmp(text, key, strlen(key)) != 0 || !kernel_number_parse(&cursor, ret_count))
        return -EBADMSG;
    return 0;
}

/* Nobody stands in the scope itself, and no group in it but the nested one and those below that. */
static bool scope_is_own(const struct limit_group *group)
{
    CLEANUP(kernel_file_close_at) int procs = kernel_file_open(group->scope, "cgroup.procs");
    uint64_t scope, nested;
    char text[32];

    return procs >= 0 && kernel_file_read(procs, text, sizeof(text)) == -ENODATA &&
           descendants_read(group->scope, &scope) == 0 &&
           descendants_read(group->folder, &nested) == 0 && scope == nested + 1;
}

/* The folder that LIMIT is a file of. */
static int limit_folder(const struct limit_group *group, enum vm_limit limit)
{
    return limit == VM_LIMIT_PIDS_MAX && group->scope >= 0 ? group->scope : group->folder;
}

static bool group_is_own(const struct limit_group *group, const char *proc, pid_t pid)
{
    CLEANUP(kernel_file_close_at) int procs = -1;

    if (group->folder < 0 || !cgroup_is_whole(group->folder))
        return false;
    procs = kernel_file_open(group->folder, "cgroup.procs");
    return cgroup_is_own(procs, proc, pid);
}

/* Likewise, of the folder that LIMIT is a file of, where that is not the group's. */
static bool folder_is_own(const struct limit_group *group, enum vm_limit limit)
{
    return limit_folder(group, limit) == group->folder || scope_is_own(group);
}

int limit_check(const struct limit_group *group, enum vm_limit limit, const char *proc, pid_t pid)
{
    return group_is_own(group, proc, pid) && folder_is_own(group, limit) ? 0 : -ENODEV;
}

static int text_read(int folder, const char *name, char *text, size_t size)
{
    CLEANUP(kernel_file_close_at)
    int fd = folder < 0 ? -ENOENT : kernel_file_open(folder, name);

    return fd < 0 ? fd : kernel_file_read(fd, text, size);
}

/* "max" or a number, then END. */
static int value_parse(const char **cursor, char end, uint64_t *ret_value)
{
    static const char none[] = "max";

    if (strncmp(*cursor, none, strlen(none)) == 0) {
        *ret_value = VM_LIMIT_NONE;
        *cursor += strlen(none);
    } else if (!kernel_number_parse(cursor, ret_value)) {
        return -EBADMSG;
    }
    return *(*cursor)++ == end ? 0 : -EBADMSG;
}

/* "QUOTA PERIOD", in microseconds. */
static int quota_read(int folder, uint64_t *ret_quota, uint64_t *ret_period)
{
    char text[2 * LIMIT_TEXT_MAX];
    const char *cursor = text;
    uint64_t quota, period;

    int result = text_read(folder, file_names[VM_LIMIT_CPU_MAX], text, sizeof(text));
    if (result < 0)
        return result;
    if (value_parse(&cursor, ' ', &quota) < 0 || value_parse(&cursor, '\n', &period) < 0)
        return -EBADMSG;
    *ret_quota = quota == VM_LIMIT_NONE ? quota : scale_u64(quota, NSEC_PER_USEC, 1);
    *ret_period = scale_u64(period, NSEC_PER_USEC, 1);
    return 0;
}

int limit_read(const struct limit_group *group, enum vm_limit limit, uint64_t *ret_value)
{
    int folder = limit_folder(group, limit);
    char text[LIMIT_TEXT_MAX];
    const char *cursor = text;
    uint64_t value, period;

    if (limit == VM_LIMIT_CPU_MAX)
        return quota_read(folder, ret_value, &period);
    int result = text_read(folder, file_names[limit], text, sizeof(text));
    if (result < 0)
        return result;
    result = value_parse(&cursor, '\n', &value);
    if (result < 0)
        return result;
    *ret_value = limit == VM_LIMIT_OOM_GROUP && value == 0 ? VM_LIMIT_NONE : value;
    return 0;
}

int limit_use_read(const struct limit_group *group, enum vm_limit limit, uint64_t *ret_use)
{
    CLEANUP(kernel_file_close_at) int fd = -1;
    int folder = limit_folder(group, limit);

    if (folder < 0)
        return -ENOENT;
    switch (limit) {
    case VM_LIMIT_MEMORY_HIGH:
    case VM_LIMIT_MEMORY_MAX:
        fd = kernel_file_open(folder, "memory.current");
        break;
    case VM_LIMIT_PIDS_MAX:
        fd = kernel_file_open(folder, "pids.current");
        break;
    case VM_LIMIT_CPU_MAX:
    case VM_LIMIT_OOM_GROUP:
    case VM_LIMIT_COUNT:
        return -EINVAL;
    }
    return fd < 0 ? fd : kernel_file_read_number(fd, ret_use);
}

void limits_read(
    const struct limit_group *group, const char *proc, pid_t pid, struct vm_limits *limits)
{
    for (int limit = 0; limit < VM_LIMIT_COUNT; limit++)
        limits->values[limit] = UNKNOWN;
    limits->cpu_period = limits->tasks = UNKNOWN;
    limits->legacy = group->legacy;
    if (!group_is_own(group, proc, pid))
        return;
    for (int limit = 0; limit < VM_LIMIT_COUNT; limit++)
        if (limit != VM_LIMIT_CPU_MAX && folder_is_own(group, (enum vm_limit)limit))
            (void)limit_read(group, (enum vm_limit)limit, &limits->values[limit]);
    if (known(limits->values[VM_LIMIT_PIDS_MAX]))
        (void)limit_use_read(group, VM_LIMIT_PIDS_MAX, &limits->tasks);
    (void)quota_read(group->folder, &limits->values[VM_LIMIT_CPU_MAX], &limits->cpu_period);
}

int limit_open(const struct limit_group *group, enum vm_limit limit)
{
    int folder = limit_folder(group, limit);

    if (folder < 0)
        return -ENOENT;
    int fd =
        openat(folder, file_names[limit], O_WRONLY | O_TRUNC | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    return fd >= 0 ? fd : -errno;
}

void limit_format(enum vm_limit limit, uint64_t value, char ret_text[LIMIT_TEXT_MAX])
{
    const char *none = limit == VM_LIMIT_OOM_GROUP ? "0" : "max";

    if (limit == VM_LIMIT_CPU_MAX && value != VM_LIMIT_NONE)
        value /= NSEC_PER_USEC;
    if (value == VM_LIMIT_NONE)
        (void)snprintf(ret_text, LIMIT_TEXT_MAX, "%s\n", none);
    else
        (void)snprintf(ret_text, LIMIT_TEXT_MAX, "%" PRIu64 "\n", value);
}

/* Raising a limit does not block, but where the use is above what it is raised to. */
static bool would_block(const struct limit_group *group, enum vm_limit limit, uint64_t value)
{
    uint64_t use;

    if (value == VM_LIMIT_NONE || (limit != VM_LIMIT_MEMORY_HIGH && limit != VM_LIMIT_MEMORY_MAX))
        return false;
    return limit_use_read(group, limit, &use) < 0 || use >= value;
}

int limit_restore(const struct limit_group *group, enum vm_limit limit,
    const struct vm_contained *ours, uint64_t previous, bool may_block)
{
    CLEANUP(kernel_file_close_at) int fd = -1;
    char text[LIMIT_TEXT_MAX];
    uint64_t value;

    int result = limit_read(group, limit, &value);
    if (result < 0 || value == ours->before)
        return result;
    if (value != ours->set && !(known(previous) && value == previous))
        return -ESTALE;
    if (!may_block && would_block(group, limit, ours->before))
        return -EAGAIN;
    fd = limit_open(group, limit);
    if (fd < 0)
        return fd;
    limit_format(limit, ours->before, text);
    return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}
