/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the list of cgroup mounts, read once out of /proc/self/mountinfo.
 *
 * A mount shows a part of its hierarchy: the fourth field of its line, its root, is the cgroup that
 * appears at the mount point. It is not "/" for a bind mount or inside a container, and both it and
 * the path in /proc/PID/cgroup are told relative to the reader's cgroup namespace, so that taking
 * the root off the front of the path leaves what to append to the mount point. A process outside
 * the namespace has a path that begins with "/..": unless a mount's root is that very path, it
 * cannot be reached.
 *
 * Memory on v2: a threaded child (libvirt's `emulator`) has no memory files, its domain counts for
 * it. Only threaded groups are climbed out of: the files of an ancestor that is a domain of its own
 * count other processes as well.
 */
#include "sample_cgroup.h"

#include "kernel_file.h"
#include "sample_process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <plimsoll/cleanup.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Mounts kept: the real one of each hierarchy and some binds of it; containers add more, in other
 * mount namespaces, which are not listed here. */
#define CGROUP_MOUNTS_MAX 16

struct cgroup_mount {
    enum cgroup_hierarchy hierarchy;
    char *root; /* of the hierarchy; "" for "/" */
    char *point;
};

struct cgroup_mounts {
    unsigned count;
    struct cgroup_mount mounts[CGROUP_MOUNTS_MAX];
};

/* Is NAME one of the comma-separated words of LIST? */
static bool list_has(const char *list, const char *name)
{
    size_t length = strlen(name);

    for (const char *word = list; word; word = strchr(word, ',')) {
        word += *word == ',';
        if (strncmp(word, name, length) == 0 && (word[length] == ',' || word[length] == '\0'))
            return true;
    }
    return false;
}

/* "ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAGS…] - TYPE SOURCE SUPEROPTIONS" */
static int mounts_add(struct cgroup_mounts *mounts, char *line)
{
    enum cgroup_hierarchy hierarchy;
    char *words[5], *rest = NULL, *type_rest = NULL;

    char *separator = strstr(line, " - ");
    if (!separator || mounts->count == CGROUP_MOUNTS_MAX)
        return 0;
    *separator = '\0';
    const char *type = strtok_r(separator + strlen(" - "), " ", &type_rest);
    (void)strtok_r(NULL, " ", &type_rest); /* source */
    const char *options = strtok_r(NULL, " ", &type_rest);
    for (unsigned i = 0; i < ELEMENTSOF(words); i++)
        if (!(words[i] = strtok_r(i == 0 ? line : NULL, " ", &rest)))
            return 0;
    if (type && strcmp(type, "cgroup2") == 0)
        hierarchy = CGROUP_UNIFIED;
    else if (type && strcmp(type, "cgroup") == 0 && options && list_has(options, "memory"))
        hierarchy = CGROUP_MEMORY_V1;
    else
        return 0;
    kernel_octal_unescape(words[3]);
    kernel_octal_unescape(words[4]);
    struct cgroup_mount *mount = &mounts->mounts[mounts->count++];
    mount->hierarchy = hierarchy;
    mount->root = strdup(strcmp(words[3], "/") == 0 ? "" : words[3]);
    mount->point = strdup(words[4]);
    return mount->root && mount->point ? 0 : -ENOMEM;
}

DEFINE_CLEANUP(struct cgroup_mounts *, cgroup_mounts_free);

int cgroup_mounts_new(const struct roots *roots, struct cgroup_mounts **ret_mounts)
{
    CLEANUP(cgroup_mounts_free_at) struct cgroup_mounts *mounts = calloc(1, sizeof(*mounts));
    CLEANUP(kernel_file_close_at) int fd = -1;
    struct kernel_lines lines;
    char *line;

    if (!mounts)
        return -ENOMEM;
    fd = kernel_file_open_format("%s/self/mountinfo", roots->proc);
    if (fd < 0)
        return fd;
    kernel_lines_begin(&lines, fd);
    while ((line = kernel_lines_next(&lines))) {
        int result = mounts_add(mounts, line);
        if (result < 0)
            return result;
    }
    *ret_mounts = STEAL(mounts);
    return 0;
}

struct cgroup_mounts *cgroup_mounts_free(struct cgroup_mounts *mounts)
{
    if (!mounts)
        return NULL;
    for (unsigned i = 0; i < mounts->count; i++) {
        free(mounts->mounts[i].root);
        free(mounts->mounts[i].point);
    }
    free(mounts);
    return NULL;
}

static bool has_parent_component(const char *path)
{
    for (const char *dots = strstr(path, "/.."); dots; dots = strstr(dots + 1, "/.."))
        if (dots[3] == '/' || dots[3] == '\0')
            return true;
    return false;
}

static int mounts_resolve(const struct cgroup_mounts *mounts, enum cgroup_hierarchy hierarchy,
    const char *path, char ret_folder[PATH_MAX])
{
    for (unsigned i = 0; i < mounts->count; i++) {
        const struct cgroup_mount *mount = &mounts->mounts[i];
        size_t length = strlen(mount->root);
        if (mount->hierarchy != hierarchy || strncmp(path, mount->root, length) != 0 ||
            (path[length] != '/' && path[length] != '\0') || has_parent_component(path + length))
            continue;
        const char *below = strcmp(path + length, "/") == 0 ? "" : path + length;
        int written = snprintf(ret_folder, PATH_MAX, "%s%s", mount->point, below);
        return written < 0 || written >= PATH_MAX ? -ENAMETOOLONG : 0;
    }
    return -ENOENT;
}

int cgroup_path_find(const struct cgroup_mounts *mounts, enum cgroup_hierarchy hierarchy,
    const char *path, char ret_folder[PATH_MAX])
{
    return mounts_resolve(mounts, hierarchy, path, ret_folder);
}

/* The path of a line "ID:CONTROLLERS:PATH" if it is of HIERARCHY, else NULL. */
static const char *line_path(char *line, enum cgroup_hierarchy hierarchy)
{
    char *controllers = strchr(line, ':');
    char *path = controllers ? strchr(controllers + 1, ':') : NULL;

    if (!path)
        return NULL;
    *path++ = '\0';
    *controllers++ = '\0';
    switch (hierarchy) {
    case CGROUP_UNIFIED:
        return strcmp(line, "0") == 0 && *controllers == '\0' ? path : NULL;
    case CGROUP_MEMORY_V1:
        return list_has(controllers, "memory") ? path : NULL;
    }
    return NULL;
}

int cgroup_folder_find(const struct cgroup_mounts *mounts, enum cgroup_hierarchy hierarchy,
    int process, const char *path, char ret_folder[PATH_MAX])
{
    CLEANUP(kernel_file_close_at) int fd = kernel_file_open(process, path);
    struct kernel_lines lines;
    char *line;

    if (fd < 0)
        return fd;
    kernel_lines_begin(&lines, fd);
    while ((line = kernel_lines_next(&lines))) {
        const char *cgroup = line_path(line, hierarchy);
        if (cgroup)
            return mounts_resolve(mounts, hierarchy, cgroup, ret_folder);
    }
    return -ENOENT;
}

/* Climbs from a threaded cgroup to its domain. */
static void folder_climb_to_domain(char folder[PATH_MAX])
{
    static const char threaded[] = "threaded\n";
    char type[32]; /* "domain threaded" is the longest */

    for (;;) {
        CLEANUP(kernel_file_close_at) int fd = kernel_file_open_format("%s/cgroup.type", folder);
        char *slash = strrchr(folder, '/');
        if (kernel_file_read(fd, type, sizeof(type)) < 0 || strcmp(type, threaded) != 0 || !slash)
            return;
        *slash = '\0';
    }
}

/* True when FOLDER has the file that says what it holds. */
static bool memory_files_open(
    const char *folder, const char *current, int *current_fd, int *numa_fd)
{
    *current_fd = kernel_file_open_format("%s/%s", folder, current);
    if (*current_fd < 0)
        return false;
    *numa_fd = kernel_file_open_format("%s/memory.numa_stat", folder);
    return true;
}

void cgroup_memory_open(
    const struct cgroup_mounts *mounts, int process, int *ret_current_fd, int *ret_numa_fd)
{
    char folder[PATH_MAX];
    int current = -1, numa = -1;
    bool found = false;

    if (cgroup_folder_find(mounts, CGROUP_UNIFIED, process, "cgroup", folder) == 0) {
        folder_climb_to_domain(folder);
        found = memory_files_open(folder, "memory.current", &current, &numa);
    }
    if (!found && cgroup_folder_find(mounts, CGROUP_MEMORY_V1, process, "cgroup", folder) == 0)
        (void)memory_files_open(folder, "memory.usage_in_bytes", &current, &numa);
    *ret_current_fd = current < 0 ? -1 : current;
    *ret_numa_fd = numa < 0 ? -1 : numa;
}

int cgroup_domain_find(const struct cgroup_mounts *mounts, int process, char ret_folder[PATH_MAX])
{
    int result = cgroup_folder_find(mounts, CGROUP_UNIFIED, process, "cgroup", ret_folder);

    if (result == 0)
        folder_climb_to_domain(ret_folder);
    return result;
}

int cgroup_folder_open(const char *folder)
{
    int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

    return fd >= 0 ? fd : -errno;
}

bool cgroup_is_whole(int folder)
{
    static const char leaf[] = "nr_descendants 0\n", threaded[] = "domain threaded\n";
    CLEANUP(kernel_file_close_at) int stat = kernel_file_open(folder, "cgroup.stat");
    CLEANUP(kernel_file_close_at) int type = kernel_file_open(folder, "cgroup.type");
    char text[1024]; /* two lines, and one or two for each controller */

    if (kernel_file_read(stat, text, sizeof(text)) > 0 && strncmp(text, leaf, strlen(leaf)) == 0)
        return true;
    return kernel_file_read(type, text, sizeof(text)) > 0 && strcmp(text, threaded) == 0;
}

void cgroup_reclaim_open(
    const struct cgroup_mounts *mounts, int process, int *ret_reclaim_fd, int *ret_procs_fd)
{
    CLEANUP(kernel_file_close_at) int folder = -1;
    char path[PATH_MAX];
    int reclaim = -1, procs = -1;

    *ret_reclaim_fd = *ret_procs_fd = -1;
    if (cgroup_domain_find(mounts, process, path) < 0)
        return;
    folder = cgroup_folder_open(path);
    if (folder < 0 || !cgroup_is_whole(folder))
        return;
    reclaim = openat(folder, "memory.reclaim", O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    procs = kernel_file_open(folder, "cgroup.procs");
    if (reclaim < 0 || procs < 0) {
        (void)kernel_file_close(reclaim);
        (void)kernel_file_close(procs);
        return;
    }
    *ret_reclaim_fd = reclaim;
    *ret_procs_fd = procs;
}

static bool has_no_memory(const char *proc, uint64_t pid)
{
    CLEANUP(kernel_file_close_at)
    int fd = kernel_file_open_format("%s/%" PRIu64 "/stat", proc, pid);
    struct process_stat stat;

    if (fd < 0)
        return fd == -ENOENT; /* it is gone */
    int result = process_stat_read(fd, &stat);
    return result == -ESRCH || (result == 0 && stat.size == 0);
}

bool cgroup_is_own(int procs, const char *proc, pid_t pid)
{
    char text[128]; /* the guest and some threads of the kernel; a longer list is a crowd's */
    const char *cursor = text;
    uint64_t number;
    bool found = false;

    int length = kernel_file_read(procs, text, sizeof(text));
    if (length <= 0 || text[length - 1] != '\n')
        return false;
    while (kernel_number_parse(&cursor, &number)) {
        if (number == (uint64_t)pid)
            found = true;
        else if (!has_no_memory(proc, number))
            return false;
        if (*cursor++ != '\n')
            return false;
    }
    return found && *cursor == '\0';
}
