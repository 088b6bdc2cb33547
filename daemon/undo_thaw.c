/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the thaw of a process frozen by cgroups, from what /proc says now: each thread's cgroup in
 * the v2 hierarchy, through whatever mount shows it. Nothing of the freeze needs to be remembered.
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
#include <unistd.h>

/* Threads looked at: QEMU allows 1024 vCPUs and runs some more for I/O. */
#define THREADS_MAX 4096

static void close_folder(DIR **folder)
{
    if (*folder)
        (void)closedir(*folder);
}

DEFINE_CLEANUP(struct cgroup_mounts *, cgroup_mounts_free);

/* 1: it was frozen and is told to thaw; 0: it was not. */
static int group_thaw(const char *group)
{
    CLEANUP(kernel_file_close_at) int fd = -1;
    char path[PATH_MAX + sizeof("/cgroup.freeze")], state = '0';

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

/* The same for the v2 group of thread NAME. -ENOENT: it is gone, or no mount shows its group. */
static int thread_thaw(
    const struct cgroup_mounts *mounts, const struct undo_process *process, const char *name)
{
    char path[NAME_MAX + sizeof("task//cgroup")], group[PATH_MAX];
    int result;

    (void)snprintf(path, sizeof(path), "task/%s/cgroup", name);
    result = cgroup_folder_find(mounts, CGROUP_UNIFIED, process->folder, path, group);
    return result < 0 ? result : group_thaw(group);
}

int undo_process_thaw(const struct roots *roots, const struct undo_process *process)
{
    CLEANUP(cgroup_mounts_free_at) struct cgroup_mounts *mounts = NULL;
    CLEANUP(close_folder) DIR *folder = NULL;
    const struct dirent *entry;
    int thawed = 0, failure = 0, result, fd;
    bool seen = false;

    result = cgroup_mounts_new(roots, &mounts);
    if (result < 0)
        return result;
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
        result = thread_thaw(mounts, process, entry->d_name);
        seen |= result >= 0;
        if (result > 0)
            thawed++;
        else if (result < 0 && result != -ENOENT && result != -ESRCH)
            failure = result; /* the other threads are thawed all the same */
    }
    if (failure < 0)
        return failure;
    return seen ? thawed : -ENOENT;
}
