/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns nothing beyond the walk. Each process is opened as a folder, so that all files read are of
 * one and the same; one that ends meanwhile was none.
 */
#include "watched.h"

#include "kernel_directory.h"
#include "kernel_file.h"
#include "process.h"
#include "sample_process.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <plimsoll/cleanup.h>
#include <string.h>

/* Entries of /proc looked at: what the largest hosts run, threads not counted, several times. */
#define PROCESSES_MAX 262144

static const char *const names[] = {
    [WATCHED_LIBVIRTD] = "libvirtd",
    [WATCHED_VIRTQEMUD] = "virtqemud",
    [WATCHED_SSHD] = "sshd",
    [WATCHED_GUARD] = "plimsolld",
    [WATCHED_EARLYOOM] = "earlyoom",
    [WATCHED_NOHANG] = "nohang",
    [WATCHED_OOMD] = "oomd",
    [WATCHED_SYSTEMD_OOMD] = "systemd-oomd",
};
static_assert(ELEMENTSOF(names) == WATCHED_COUNT, "a process has no name");

const char *watched_name(enum watched_name name)
{
    return names[name];
}

/* "Uid:\tREAL\tEFFECTIVE\t…". The owner of /proc/PID says less: it is root's for whoever hides. */
static bool is_root(int process)
{
    CLEANUP(kernel_file_close_at) int fd = kernel_file_open(process, "status");
    char text[KERNEL_FILE_TEXT];
    uint64_t real, effective;

    if (kernel_file_read(fd, text, sizeof(text)) < 0)
        return false;
    const char *cursor = strstr(text, "\nUid:");
    if (!cursor)
        return false;
    cursor += strlen("\nUid:");
    return kernel_number_parse(&cursor, &real) && kernel_number_parse(&cursor, &effective) &&
           real == 0 && effective == 0;
}

static enum watched_name name_find(const char *name)
{
    int found = 0;

    while (found < WATCHED_COUNT && strcmp(name, names[found]) != 0)
        found++;
    return (enum watched_name)found;
}

static void process_look(const struct roots *kernel, pid_t pid, struct watched *watched)
{
    CLEANUP(kernel_file_close_at) int process = process_folder_open(kernel->proc, pid);
    CLEANUP(kernel_file_close_at) int stat_fd = -1;
    CLEANUP(kernel_file_close_at) int score_fd = -1;
    struct process_stat stat;

    if (process < 0)
        return;
    stat_fd = kernel_file_open(process, "stat");
    if (stat_fd < 0 || process_stat_read(stat_fd, &stat) < 0 || stat.state == VM_PROCESS_DEAD)
        return;
    enum watched_name name = name_find(stat.name);
    if (name == WATCHED_COUNT || (name <= WATCHED_GUARD && !is_root(process)))
        return;
    struct watched_process seen = {.pid = pid, .start = stat.start_time};
    score_fd = kernel_file_open(process, "oom_score_adj");
    seen.scored = process_score_read(score_fd, &seen.score) == 0;
    struct watched_process *kept = &watched->processes[name];
    if (kept->pid == 0 || (seen.scored && (!kept->scored || seen.score < kept->score)))
        *kept = seen;
}

static bool pid_parse(const char *name, pid_t *ret_pid)
{
    uint64_t number;

    if (*name < '0' || *name > '9' || !kernel_number_parse(&name, &number) || *name != '\0' ||
        number == 0 || number > INT32_MAX)
        return false;
    *ret_pid = (pid_t)number;
    return true;
}

void watched_find(const struct roots *kernel, struct watched *ret_watched)
{
    struct kernel_directory directory;
    struct kernel_entry entry;
    unsigned count = 0;
    bool first_seen = false; /* process 1: with hidepid= only one's own are shown */
    int result;

    *ret_watched = (struct watched){.error = 0};
    CLEANUP(kernel_file_close_at)
    int fd = open(kernel->proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        ret_watched->error = -errno;
        return;
    }
    kernel_directory_begin(&directory, fd);
    while ((result = kernel_directory_next(&directory, &entry)) > 0 && count < PROCESSES_MAX) {
        pid_t pid;

        if (!pid_parse(entry.name, &pid))
            continue;
        count++;
        first_seen = first_seen || pid == 1;
        process_look(kernel, pid, ret_watched);
    }
    if (result < 0)
        ret_watched->error = result;
    else if (!first_seen)
        ret_watched->error = -EPERM;
    else if (result > 0)
        ret_watched->error = -E2BIG;
}
