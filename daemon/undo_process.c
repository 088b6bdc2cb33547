/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the hold on one process: a pidfd for signals, its folder in /proc for its files. Both are
 * opened first and the start time is read through the folder afterwards, so that what was verified
 * is what is held.
 */
#include "undo_process.h"

#include "kernel_file.h"
#include "process.h"
#include "sample_process.h"

#include <errno.h>
#include <fcntl.h>
#include <plimsoll/cleanup.h>

/* -ESRCH: another process has the folder, or it is a zombie. */
static int folder_verify(int folder, uint64_t start_time)
{
    CLEANUP(kernel_file_close_at) int fd = kernel_file_open(folder, "stat");
    struct process_stat stat;
    int result;

    if (fd < 0)
        return fd == -ENOENT ? -ESRCH : fd;
    result = process_stat_read(fd, &stat);
    if (result < 0)
        return result;
    return stat.state == VM_PROCESS_DEAD || stat.start_time != start_time ? -ESRCH : 0;
}

int undo_process_open(
    const char *proc, const struct vm_identity *identity, struct undo_process *ret_process)
{
    CLEANUP(kernel_file_close_at) int pidfd = -1;
    CLEANUP(kernel_file_close_at) int folder = -1;
    int result;

    if (identity->pid <= 1)
        return -ESRCH;
    pidfd = process_hold(identity->pid);
    if (pidfd < 0)
        return pidfd;
    folder = process_folder_open(proc, identity->pid);
    if (folder < 0)
        return folder;
    result = folder_verify(folder, identity->start_time);
    if (result < 0)
        return result;
    *ret_process = (struct undo_process){
        .pidfd = STEAL_FD(pidfd), .folder = STEAL_FD(folder), .pid = identity->pid};
    return 0;
}

void undo_process_close(struct undo_process *process)
{
    kernel_file_close_at(&process->pidfd);
    kernel_file_close_at(&process->folder);
    *process = UNDO_PROCESS_NONE;
}

int undo_process_signal(const struct undo_process *process, int number)
{
    return process_signal(process->pidfd, number);
}

int undo_process_score(const struct undo_process *process, int32_t *ret_score)
{
    CLEANUP(kernel_file_close_at) int fd = kernel_file_open(process->folder, "oom_score_adj");

    return fd < 0 ? fd : process_score_read(fd, ret_score);
}

int undo_process_set_score(const struct undo_process *process, int32_t score)
{
    CLEANUP(kernel_file_close_at)
    int fd = openat(process->folder, "oom_score_adj", O_WRONLY | O_CLOEXEC | O_NONBLOCK);

    return fd < 0 ? -errno : process_score_write(fd, score);
}
