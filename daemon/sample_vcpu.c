/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finds the cgroups by which a guest's vCPUs can be frozen while its other threads go on.
 *
 * Freezing acts on a cgroup and all below it. So a vCPU's group is usable only if none of the
 * process's other threads stands in it or below: freezing libvirt's scope would silence the monitor
 * with the guest. Groups are compared by their folder, which is unique within one mount.
 */
#include "kernel_file.h"
#include "sample_cgroup.h"
#include "sample_process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <plimsoll/cleanup.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Threads of one QEMU looked at: KVM takes at most 4,096 vCPUs (KVM_MAX_VCPUS), the rest are I/O
 * workers. A process with more is not frozen by groups. */
#define VCPU_THREADS_MAX 8192

struct vcpu_group {
    char folder[PATH_MAX];
    int fd;
};

struct vcpu_groups {
    unsigned count, capacity;
    struct vcpu_group groups[];
};

static struct vcpu_groups *vcpu_groups_free(struct vcpu_groups *groups)
{
    if (!groups)
        return NULL;
    for (unsigned i = 0; i < groups->count; i++)
        (void)kernel_file_close(groups->groups[i].fd);
    free(groups);
    return NULL;
}
DEFINE_CLEANUP(struct vcpu_groups *, vcpu_groups_free);

static void directory_close_at(DIR **directory)
{
    if (*directory)
        (void)closedir(*directory);
}

static int thread_folder(
    const struct cgroup_mounts *mounts, int process, int thread, char ret_folder[PATH_MAX])
{
    char path[64]; /* "task/" and "/cgroup" with a number between */

    (void)snprintf(path, sizeof(path), "task/%d/cgroup", thread);
    int result = cgroup_folder_find(mounts, CGROUP_UNIFIED, process, path, ret_folder);
    return result == -ENOENT ? -ESRCH : result;
}

/* Opens the group of one vCPU unless it is there already. */
static int groups_add(struct vcpu_groups *groups, const char *folder)
{
    char path[PATH_MAX];

    for (unsigned i = 0; i < groups->count; i++)
        if (strcmp(groups->groups[i].folder, folder) == 0)
            return 0;
    int length = snprintf(path, sizeof(path), "%s/cgroup.freeze", folder);
    if (length < 0 || (size_t)length >= sizeof(path))
        return -ENAMETOOLONG;
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    struct vcpu_group *group = &groups->groups[groups->count++];
    group->fd = fd;
    (void)snprintf(group->folder, sizeof(group->folder), "%s", folder);
    return 0;
}

static bool groups_cover(const struct vcpu_groups *groups, const char *folder)
{
    for (unsigned i = 0; i < groups->count; i++) {
        size_t length = strlen(groups->groups[i].folder);
        if (strncmp(folder, groups->groups[i].folder, length) == 0 &&
            (folder[length] == '/' || folder[length] == '\0'))
            return true;
    }
    return false;
}

static bool is_vcpu(const pid_t *threads, unsigned count, uint64_t thread)
{
    for (unsigned i = 0; i < count; i++)
        if ((uint64_t)threads[i] == thread)
            return true;
    return false;
}

/* 1: no other thread of the process would be frozen, too; 0: one would. */
static int groups_are_own(const struct vcpu_groups *groups, const struct cgroup_mounts *mounts,
    int process, const pid_t *threads, unsigned count)
{
    CLEANUP(directory_close_at) DIR *directory = NULL;
    CLEANUP(kernel_file_close_at) int fd = kernel_file_open(process, "task");
    char folder[PATH_MAX];
    struct dirent *entry;
    unsigned seen = 0;
    uint64_t thread;

    if (fd < 0)
        return fd == -ENOENT ? -ESRCH : fd;
    directory = fdopendir(fd);
    if (!directory)
        return -errno;
    (void)STEAL_FD(fd);
    while ((entry = readdir(directory))) {
        const char *cursor = entry->d_name;
        if (!kernel_number_parse(&cursor, &thread) || thread > INT_MAX ||
            is_vcpu(threads, count, thread))
            continue;
        if (++seen > VCPU_THREADS_MAX)
            return -E2BIG;
        int result = thread_folder(mounts, process, (int)thread, folder);
        if (result == -ESRCH)
            continue; /* it ended meanwhile */
        if (result < 0)
            return result;
        if (groups_cover(groups, folder))
            return 0;
    }
    return 1;
}

int vcpu_cgroups_open(const struct roots *roots, const struct cgroup_mounts *mounts, pid_t pid,
    const pid_t *threads, unsigned count, int *ret_fds)
{
    CLEANUP(kernel_file_close_at) int process = process_folder_open(roots->proc, pid);
    CLEANUP(vcpu_groups_free_at) struct vcpu_groups *groups = NULL;
    char folder[PATH_MAX];

    if (process < 0)
        return process;
    if (count > VCPU_THREADS_MAX)
        return -E2BIG;
    groups = calloc(1, sizeof(*groups) + count * sizeof(groups->groups[0]));
    if (!groups)
        return -ENOMEM;
    for (unsigned i = 0; i < count; i++) {
        int result = thread_folder(mounts, process, threads[i], folder);
        if (result == 0)
            result = groups_add(groups, folder);
        if (result == -ENOENT)
            return 0; /* the root, or a kernel without the v2 freezer */
        if (result < 0)
            return result;
    }
    int own = groups_are_own(groups, mounts, process, threads, count);
    if (own <= 0)
        return own;
    unsigned found = groups->count;
    for (unsigned i = 0; i < found; i++)
        ret_fds[i] = STEAL_FD(groups->groups[i].fd);
    return (int)found;
}
