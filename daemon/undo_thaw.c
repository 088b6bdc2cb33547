/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the thaw of a process frozen by cgroups, and its release from a brake, from what /proc says
 * now: each thread's cgroup in the v2 hierarchy, through whatever mount shows it. Nothing of the
 * freeze needs to be remembered; of the brake, what there was before.
 */
#include "undo_process.h"

#include "kernel_file.h"
#include "sample_cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <plimsoll/cleanup.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Threads looked at: QEMU allows 1024 vCPUs and runs some more for I/O. */
#define THREADS_MAX 4096

static void close_folder(DIR **folder)
{
    if (*folder)
        (void)closedir(*folder);
}

DEFINE_CLEANUP(struct cgroup_mounts *, cgroup_mounts_free);

/* What is undone in each group. 1: something was; 0: there was nothing, or it is not ours. */
struct group_undo {
    int (*undo)(const char *group, const struct group_undo *self);
    struct vcpu_quota ours, before;
    char main[PATH_MAX]; /* the main thread's, which is no vCPU's */
};

static int group_thaw(const char *group, const struct group_undo *self)
{
    CLEANUP(kernel_file_close_at) int fd = -1;
    char path[PATH_MAX + sizeof("/cgroup.freeze")], state = '0';

    (void)self;
    (void)snprintf(path, sizeof(path), "%s/cgroup.freeze", group);
    fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno; /* the root group has no such file */
    if (read(fd, &state, 1) != 1)
        return -EIO;
    if (state != '1')
        return 0;
    return pwrite(fd, "0", 1, 0) == 1 ? 1 : -errno;
}

static int group_release(const char *group, const struct group_undo *self)
{
    CLEANUP(kernel_file_close_at) int fd = -1;
    char path[PATH_MAX + sizeof("/cpu.max")];
    int result;

    if (strcmp(group, self->main) == 0)
        return 0;
    (void)snprintf(path, sizeof(path), "%s/cpu.max", group);
    fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    result = vcpu_quota_exchange(fd, self->ours, self->before);
    return result == 0 ? 1 : result == -ESTALE ? 0 : result;
}

/* The v2 group of thread NAME. -ENOENT: it is gone, or no mount shows its group. */
static int thread_group(const struct cgroup_mounts *mounts, const struct undo_process *process,
    const char *name, char ret_group[PATH_MAX])
{
    char path[NAME_MAX + sizeof("task//cgroup")];

    (void)snprintf(path, sizeof(path), "task/%s/cgroup", name);
    return cgroup_folder_find(mounts, CGROUP_UNIFIED, process->folder, path, ret_group);
}

/* In the group of every thread. Returns how many there was something to undo in. */
static int groups_undo(const struct cgroup_mounts *mounts, const struct undo_process *process,
    const struct group_undo *undo)
{
    CLEANUP(close_folder) DIR *folder = NULL;
    const struct dirent *entry;
    char group[PATH_MAX];
    int undone = 0, failure = 0, result, fd;
    bool seen = false;

    fd = openat(process->folder, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    folder = fdopendir(fd);
    if (!folder) {
        (void)close(fd);
        return -ENOMEM;
    }
    for (unsigned i = 0; i < THREADS_MAX && (entry = readdir(folder)); i++) {
        if (entry->d_name[0] == '.')
            continue;
        result = thread_group(mounts, process, entry->d_name, group);
        if (result >= 0)
            result = undo->undo(group, undo);
        seen |= result >= 0;
        if (result > 0)
            undone++;
        else if (result < 0 && result != -ENOENT && result != -ESRCH)
            failure = result; /* the other threads are looked at all the same */
    }
    if (failure < 0)
        return failure;
    return seen ? undone : -ENOENT;
}

int undo_process_thaw(const struct roots *roots, const struct undo_process *process)
{
    CLEANUP(cgroup_mounts_free_at) struct cgroup_mounts *mounts = NULL;
    const struct group_undo undo = {.undo = group_thaw};
    int result = cgroup_mounts_new(roots, &mounts);

    return result < 0 ? result : groups_undo(mounts, process, &undo);
}

int undo_process_release(const struct roots *roots, const struct undo_process *process,
    struct vcpu_quota ours, struct vcpu_quota before)
{
    CLEANUP(cgroup_mounts_free_at) struct cgroup_mounts *mounts = NULL;
    struct group_undo undo = {.undo = group_release, .ours = ours, .before = before};
    char name[16]; /* a number */
    int result = cgroup_mounts_new(roots, &mounts);

    if (result < 0)
        return result;
    (void)snprintf(name, sizeof(name), "%d", (int)process->pid);
    result = thread_group(mounts, process, name, undo.main);
    if (result < 0)
        undo.main[0] = '\0';
    return groups_undo(mounts, process, &undo);
}
