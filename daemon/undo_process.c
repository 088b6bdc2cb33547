/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the hold on one process: a pidfd for signals, its folder in /proc for its files. Both are
 * opened first and the start time is read through the folder afterwards, so that what was verified
 * is what is held.
 */
#include "undo_process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <plimsoll/cleanup.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The longest /proc/PID/stat: 52 numbers of up to 20 digits and a name. */
#define STAT_MAX 2048
/* Field 22, counted from the state, which is field 3 (man 5 proc). */
#define START_TIME_AFTER_STATE 19

static void close_fd(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

/* Reads a small file whole, with a NUL; -EMSGSIZE if it is larger. */
static int file_read(int folder, const char *name, char *buffer, size_t size)
{
    CLEANUP(close_fd) int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t count;

    if (fd < 0)
        return -errno;
    count = read(fd, buffer, size);
    if (count < 0)
        return -errno;
    if ((size_t)count == size)
        return -EMSGSIZE;
    buffer[count] = '\0';
    return 0;
}

static int stat_verify(int folder, uint64_t start_time)
{
    char text[STAT_MAX];
    char *cursor, *end;
    int result = file_read(folder, "stat", text, sizeof(text));

    if (result < 0)
        return result;
    cursor = strrchr(text, ')'); /* the name before it may hold anything */
    if (!cursor || cursor[1] != ' ')
        return -EBADMSG;
    cursor += 2;
    if (*cursor == 'Z' || *cursor == 'X')
        return -ESRCH;
    for (int i = 0; i < START_TIME_AFTER_STATE; i++) {
        cursor = strchr(cursor, ' ');
        if (!cursor)
            return -EBADMSG;
        cursor++;
    }
    errno = 0;
    if (strtoull(cursor, &end, 10) != start_time || end == cursor || errno != 0)
        return -ESRCH;
    return 0;
}

int undo_process_open(
    const char *proc, const struct vm_identity *identity, struct undo_process *ret_process)
{
    CLEANUP(close_fd) int pidfd = -1;
    CLEANUP(close_fd) int folder = -1;
    char path[PATH_MAX];
    int result;

    if (identity->pid <= 1)
        return -ESRCH;
    pidfd = (int)syscall(SYS_pidfd_open, identity->pid, 0);
    if (pidfd < 0)
        return -errno;
    (void)snprintf(path, sizeof(path), "%s/%d", proc, (int)identity->pid);
    folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return errno == ENOENT ? -ESRCH : -errno;
    result = stat_verify(folder, identity->start_time);
    if (result < 0)
        return result == -ENOENT ? -ESRCH : result;
    *ret_process = (struct undo_process){.pidfd = STEAL_FD(pidfd), .folder = STEAL_FD(folder)};
    return 0;
}

void undo_process_close(struct undo_process *process)
{
    close_fd(&process->pidfd);
    close_fd(&process->folder);
    *process = UNDO_PROCESS_NONE;
}

int undo_process_signal(const struct undo_process *process, int number)
{
    return syscall(SYS_pidfd_send_signal, process->pidfd, number, NULL, 0) < 0 ? -errno : 0;
}

int undo_process_score(const struct undo_process *process, int32_t *ret_score)
{
    char text[32], *end;
    long score;
    int result = file_read(process->folder, "oom_score_adj", text, sizeof(text));

    if (result < 0)
        return result;
    score = strtol(text, &end, 10);
    if (end == text || score < -1000 || score > 1000)
        return -EBADMSG;
    *ret_score = (int32_t)score;
    return 0;
}

int undo_process_set_score(const struct undo_process *process, int32_t score)
{
    CLEANUP(close_fd)
    int fd = openat(process->folder, "oom_score_adj", O_WRONLY | O_CLOEXEC | O_NONBLOCK);
    char text[16];
    int length = snprintf(text, sizeof(text), "%d", (int)score);

    if (fd < 0)
        return -errno;
    return write(fd, text, (size_t)length) < 0 ? -errno : 0;
}
