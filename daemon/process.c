/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns nothing. The system calls are called by number: glibc has had names for them since 2.36 only
 * and the distributions that the guard runs on have older ones.
 */
#include "process.h"

#include "kernel_file.h"

#include <errno.h>
#include <fcntl.h>
#include <plimsoll/snapshot.h>
#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>
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

void process_score_reset(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    (void)!write(fd, "0", 1);
    (void)close(fd);
}

static bool process_has_ended(int pidfd)
{
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};

    return poll(&ended, 1, 0) != 0;
}

static uint64_t limit_to_bytes(rlim_t limit)
{
    return limit == RLIM_INFINITY ? MEMLOCK_UNLIMITED : limit;
}

static rlim_t limit_from_bytes(uint64_t bytes)
{
    return bytes >= MEMLOCK_UNLIMITED ? RLIM_INFINITY : bytes;
}

static bool limit_is(const struct rlimit *limit, const struct process_memlock *expected)
{
    return limit_to_bytes(limit->rlim_cur) == expected->soft &&
           limit_to_bytes(limit->rlim_max) == expected->hard;
}

int process_memlock_read(pid_t pid, int pidfd, struct process_memlock *ret_limit)
{
    struct rlimit limit;

    if (prlimit(pid, RLIMIT_MEMLOCK, NULL, &limit) < 0)
        return -errno;
    if (process_has_ended(pidfd))
        return -ESRCH;
    *ret_limit = (struct process_memlock){
        .soft = limit_to_bytes(limit.rlim_cur), .hard = limit_to_bytes(limit.rlim_max)};
    return 0;
}

int process_memlock_exchange(pid_t pid, int pidfd, const struct process_memlock *expected,
    const struct process_memlock *desired)
{
    const struct rlimit limit = {
        .rlim_cur = limit_from_bytes(desired->soft), .rlim_max = limit_from_bytes(desired->hard)};
    struct process_memlock current = {0};
    struct rlimit before;

    int result = process_memlock_read(pid, pidfd, &current);
    if (result < 0)
        return result;
    if (current.soft != expected->soft || current.hard != expected->hard)
        return -ESTALE;
    if (prlimit(pid, RLIMIT_MEMLOCK, &limit, &before) < 0)
        return -errno;
    if (!limit_is(&before, expected)) {
        /* Changed since, or the pid has come to be another's: what was there goes back. */
        (void)prlimit(pid, RLIMIT_MEMLOCK, &before, NULL);
        return -ESTALE;
    }
    return process_has_ended(pidfd) ? -ESRCH : 0;
}
