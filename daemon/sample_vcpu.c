/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finds the cgroups by which a guest's vCPUs can be frozen or throttled while everything else goes
 * on.
 *
 * Either acts on a cgroup and all below it, whoever stands there: with libvirt's scope the
 * monitor would fall silent, and a threaded cgroup can hold threads of several processes. So a
 * group is usable only if the kernel's own list of it, cgroup.threads, names vCPUs and nothing
 * else, and no group is below it. The list, not the process, is asked: what a guest's process says
 * of its threads can then stop that process's vCPUs and nobody else.
 */
#include "kernel_directory.h"
#include "kernel_file.h"
#include "sample_cgroup.h"
#include "sample_process.h"

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

static int thread_folder(
    const struct cgroup_mounts *mounts, int process, int thread, char ret_folder[PATH_MAX])
{
    char path[64]; /* "task/" and "/cgroup" with a number between */

    (void)snprintf(path, sizeof(path), "task/%d/cgroup", thread);
    int result = cgroup_folder_find(mounts, CGROUP_UNIFIED, process, path, ret_folder);
    return result == -ENOENT ? -ESRCH : result;
}

/* Opens FILE of the group of one vCPU unless it is there already. */
static int groups_add(struct vcpu_groups *groups, const char *folder, const char *file)
{
    char path[PATH_MAX];

    for (unsigned i = 0; i < groups->count; i++)
        if (strcmp(groups->groups[i].folder, folder) == 0)
            return 0;
    int length = snprintf(path, sizeof(path), "%s/%s", folder, file);
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

static int thread_compare(const void *left, const void *right)
{
    pid_t a = *(const pid_t *)left, b = *(const pid_t *)right;

    return (a > b) - (a < b);
}

/* COUNT becomes that of the distinct ones: QEMU's round-robin TCG names one thread for all vCPUs.
 */
static pid_t *threads_sort(const pid_t *threads, unsigned *count)
{
    pid_t *sorted = calloc(*count + 1, sizeof(*sorted));
    unsigned distinct = 0;

    if (!sorted)
        return NULL;
    memcpy(sorted, threads, *count * sizeof(*sorted));
    qsort(sorted, *count, sizeof(*sorted), thread_compare);
    for (unsigned i = 0; i < *count; i++)
        if (distinct == 0 || sorted[i] != sorted[distinct - 1])
            sorted[distinct++] = sorted[i];
    *count = distinct;
    return sorted;
}

/* cgroup.stat begins with the number of groups below (Documentation/admin-guide/cgroup-v2.rst). */
static bool group_is_leaf(const char *folder)
{
    static const char none[] = "nr_descendants 0\n";
    CLEANUP(kernel_file_close_at) int fd = kernel_file_open_format("%s/cgroup.stat", folder);
    char text[1024]; /* two lines, and one or two for each controller */

    return kernel_file_read(fd, text, sizeof(text)) > 0 && strncmp(text, none, strlen(none)) == 0;
}

/* Adds the group's threads to SEEN; false when one of them is none of the COUNT sorted THREADS, or
 * is the process's main one, in which the monitor runs. A thread of a pid namespace that is not
 * ours reads as 0, which is no vCPU either. */
static bool group_is_own(
    const char *folder, pid_t main, const pid_t *threads, unsigned count, unsigned *seen)
{
    CLEANUP(kernel_file_close_at) int fd = kernel_file_open_format("%s/cgroup.threads", folder);
    struct kernel_lines lines;
    const char *line;
    uint64_t number;

    if (fd < 0 || !group_is_leaf(folder))
        return false;
    kernel_lines_begin(&lines, fd);
    while ((line = kernel_lines_next(&lines))) {
        if (!kernel_number_parse(&line, &number) || number > INT_MAX)
            return false;
        pid_t thread = (pid_t)number;
        if (thread == main || !bsearch(&thread, threads, count, sizeof(*threads), thread_compare))
            return false;
        (*seen)++;
    }
    return true;
}

/* 1: freezing these groups stops the threads and nothing else; 0: it could stop more. That each
 * thread was met proves, too, that no list was cut short. */
static int groups_are_own(
    const struct vcpu_groups *groups, pid_t main, const pid_t *threads, unsigned count)
{
    pid_t *sorted = threads_sort(threads, &count);
    bool own = true;
    unsigned seen = 0;

    if (!sorted)
        return -ENOMEM;
    for (unsigned i = 0; own && i < groups->count; i++)
        own = group_is_own(groups->groups[i].folder, main, sorted, count, &seen);
    free(sorted);
    return own && seen == count;
}

static int groups_open(const struct roots *roots, const struct cgroup_mounts *mounts, pid_t pid,
    const pid_t *threads, unsigned count, const char *file, int *ret_fds)
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
            result = groups_add(groups, folder, file);
        if (result == -ENOENT)
            return 0; /* the root, or a kernel or a parent group without that file's controller */
        if (result < 0)
            return result;
    }
    int own = groups_are_own(groups, pid, threads, count);
    if (own <= 0)
        return own;
    unsigned found = groups->count;
    for (unsigned i = 0; i < found; i++)
        ret_fds[i] = STEAL_FD(groups->groups[i].fd);
    return (int)found;
}

int vcpu_cgroups_open(const struct roots *roots, const struct cgroup_mounts *mounts, pid_t pid,
    const pid_t *threads, unsigned count, int *ret_fds)
{
    return groups_open(roots, mounts, pid, threads, count, "cgroup.freeze", ret_fds);
}

int vcpu_quotas_open(const struct roots *roots, const struct cgroup_mounts *mounts, pid_t pid,
    const pid_t *threads, unsigned count, int *ret_fds)
{
    return groups_open(roots, mounts, pid, threads, count, "cpu.max", ret_fds);
}

static bool name_is_vcpu(const char *comm)
{
    static const char prefix[] = "CPU ";
    static const char digits[] = "0123456789";

    if (strncmp(comm, prefix, strlen(prefix)) != 0)
        return strcmp(comm, "ALL CPUs/TCG\n") == 0;
    comm += strlen(prefix);
    size_t length = strspn(comm, digits);
    return length > 0 &&
           (strcmp(comm + length, "/KVM\n") == 0 || strcmp(comm + length, "/TCG\n") == 0);
}

/* False, too, for one that has ended meanwhile. */
static bool thread_is_vcpu(int tasks, const char *thread)
{
    CLEANUP(kernel_file_close_at) int fd = -1;
    char path[NAME_MAX + sizeof("/comm")], comm[32]; /* 15 characters and a newline */

    (void)snprintf(path, sizeof(path), "%s/comm", thread);
    fd = kernel_file_open(tasks, path);
    return fd >= 0 && kernel_file_read(fd, comm, sizeof(comm)) > 0 && name_is_vcpu(comm);
}

int vcpu_threads_find(const struct roots *roots, pid_t pid, pid_t *ret_threads, unsigned capacity)
{
    CLEANUP(kernel_file_close_at) int process = process_folder_open(roots->proc, pid);
    CLEANUP(kernel_file_close_at) int tasks = -1;
    struct kernel_directory directory;
    struct kernel_entry entry;
    unsigned seen = 0, found = 0;
    uint64_t thread;

    if (process < 0)
        return process;
    tasks = kernel_file_open(process, "task");
    if (tasks < 0)
        return tasks == -ENOENT ? -ESRCH : tasks;
    pid_t *threads = calloc(capacity + 1, sizeof(*threads));
    if (!threads)
        return -ENOMEM;
    kernel_directory_begin(&directory, tasks);
    int result = kernel_directory_next(&directory, &entry);
    for (; result > 0; result = kernel_directory_next(&directory, &entry)) {
        const char *cursor = entry.name;
        if (!kernel_number_parse(&cursor, &thread) || *cursor != '\0' || thread > INT_MAX)
            continue;
        bool vcpu = thread_is_vcpu(tasks, entry.name);
        if (++seen > VCPU_THREADS_MAX || (vcpu && found == capacity)) {
            result = -E2BIG;
            break;
        }
        if (vcpu)
            threads[found++] = (pid_t)thread;
    }
    if (result == 0 && found > 0)
        memcpy(ret_threads, threads, found * sizeof(*threads));
    free(threads);
    return result < 0 ? result : (int)found;
}
