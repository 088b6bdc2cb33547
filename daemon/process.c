/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns nothing. The system calls are called by number: glibc has had names for them since 2.36 only
 * and the distributions that the guard runs on have older ones.
 */
#include "process.h"

#include "kernel_file.h"

#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

int process_hold(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);

    /* Always close-on-exec (pidfd_create(), kernel/fork.c); never blocks, only polls. */
    return fd < 0 ? -errno : fd;
}

int process_signal(int pidfd, int number)
{
    return syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0) < 0 ? -errno : 0;
}

int process_score_read(int fd, int32_t *ret_score)
{
    char text[16]; /* -1000 … 1000 */
    const char *cursor = text;
    uint64_t score;

    int length = kernel_file_read(fd, text, sizeof(text));
    if (length == -ENODATA || length == -ENOENT)
        return -ESRCH;
    if (length < 0)
        return length;
    bool negative = *cursor == '-';
    cursor += negative;
    if (!kernel_number_parse(&cursor, &score) || *cursor != '\n' || score > PROCESS_SCORE_MAX)
        return -EBADMSG;
    *ret_score = negative ? -(int32_t)score : (int32_t)score;
    return 0;
}

int process_score_write(int fd, int32_t score)
{
    char text[16];
    int length = snprintf(text, sizeof(text), "%d", score);

    return pwrite(fd, text, (size_t)length, 0) < 0 ? -errno : 0;
}
