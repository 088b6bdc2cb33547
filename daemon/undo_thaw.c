/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the thaw of a process frozen by cgroups, from what /proc says now: each thread's cgroup in
 * the v2 hierarchy, wherever that is mounted. Nothing of the freeze needs to be remembered.
 */
#include "undo_process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <plimsoll/cleanup.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Threads looked at: QEMU allows 1024 vCPUs and runs some more for I/O. */
#define THREADS_MAX 4096
/* /proc/TID/cgroup: a line a hierarchy, of which v1 has about a dozen. */
#define CGROUP_TEXT_MAX 16384

static void close_fd(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

static void close_file(FILE **file)
{
    if (*file)
        (void)fclose(*file);
}

static void close_folder(DIR **folder)
{
    if (*folder)
        (void)closedir(*folder);
}

/* mountinfo writes space, tab, newline and backslash as \ooo (man 5 proc). */
static void unescape(char *text)
{
    char *to = text;

    for (const char *from = text; *from; to++) {
        if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' &&
            from[2] <= '7' && from[3] >= '0' && from[3] <= '7') {
            *to = (char)(((from[1] - '0') << 6) | ((from[2] - '0') << 3) | (from[3] - '0'));
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

/* Where the v2 hierarchy is mounted. */
static int mount_find(const char *proc, char mount[PATH_MAX])
{
    CLEANUP(close_file) FILE *file = NULL;
    char path[PATH_MAX], line[2 * PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/self/mountinfo", proc);
    file = fopen(path, "re");
    if (!file)
        return -errno;
    while (fgets(line, sizeof(line), file)) {
        char *rest = line, *point = NULL;
        char *type = strstr(line, " - cgroup2 ");

        if (!type)
            continue;
        for (int i = 0; i < 5; i++) /* id, parent, device, root, mount point */
            point = strsep(&rest, " ");
        if (!point || strlen(point) >= PATH_MAX)
            continue;
        unescape(point);
        memcpy(mount, point, strlen(point) + 1);
        return 0;
    }
    return -ENOENT;
}

/* The v2 path of a thread, "/…"; -ENOENT: none. A path with ".." lies outside what is mounted. */
static int thread_path(int threads, const char *thread, char *text, size_t size, char **ret_path)
{
    CLEANUP(close_fd) int fd = -1;
    char name[NAME_MAX + 16], *line, *end;
    size_t used = 0;
    ssize_t count;

    (void)snprintf(name, sizeof(name), "%s/cgroup", thread);
    fd = openat(threads, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    while (used < size - 1 && (count = read(fd, text + used, size - 1 - used)) != 0) {
        if (count < 0)
            return -errno;
        used += (size_t)count;
    }
    text[used] = '\0';
    line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
    if (!line)
        return -ENOENT;
    line += *line == '\n' ? 4 : 3;
    end = strchr(line, '\n');
    if (!end)
        return -EBADMSG;
    *end = '\0';
    if (line[0] != '/' || strstr(line, "/.."))
        return -ENOENT;
    *ret_path = line;
    return 0;
}

/* 1: it was frozen and is told to thaw; 0: it was not. */
static int group_thaw(const char *mount, const char *group)
{
    CLEANUP(close_fd) int fd = -1;
    char path[2 * PATH_MAX], state = '0';
    int length = snprintf(path, sizeof(path), "%s%s/cgroup.freeze", mount, group);

    if (length < 0 || (size_t)length >= sizeof(path))
        return -ENAMETOOLONG;
    fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno; /* the root group has no such file */
    if (read(fd, &state, 1) != 1)
        return -EIO;
    if (state != '1')
        return 0;
    return pwrite(fd, "0", 1, 0) == 1 ? 1 : -errno;
}

int undo_process_thaw(const char *proc, const struct undo_process *process)
{
    CLEANUP(close_folder) DIR *folder = NULL;
    char mount[PATH_MAX], text[CGROUP_TEXT_MAX];
    const struct dirent *entry;
    int thawed = 0, failure = 0, result, fd;

    result = mount_find(proc, mount);
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
        char *group;

        if (entry->d_name[0] == '.')
            continue;
        result = thread_path(dirfd(folder), entry->d_name, text, sizeof(text), &group);
        if (result == 0)
            result = group_thaw(mount, group);
        if (result > 0)
            thawed++;
        else if (result < 0 && result != -ENOENT && result != -ESRCH)
            failure = result; /* the other threads are thawed all the same */
    }
    return failure < 0 ? failure : thawed;
}
