/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the descriptor. A read gives one record whole; each has a number one higher than the one
 * before, so a gap says how much was lost, whatever the reason: overwritten (EPIPE, after which the
 * kernel goes on with the oldest record it has), too long for the buffer (EINVAL, which consumes
 * it), or malformed.
 */
#include "kernel_log.h"

#include "kernel_file.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <plimsoll/units.h>

/* CONSOLE_EXT_LOG_MAX, include/linux/printk.h; newer kernels have less (PRINTK_MESSAGE_MAX). */
#define RECORD_MAX 8192

/* Documentation/admin-guide/devices.txt: 1 char, 11 = /dev/kmsg. */
#define KMSG_MAJOR 1
#define KMSG_MINOR 11

struct kernel_log {
    struct loop *loop;
    struct loop_source source;
    struct kernel_log_owner owner;
    struct kernel_kill_parser parser;
    uint64_t next; /* number of the record to come; UNKNOWN before the first */
    char buffer[RECORD_MAX];
};

int kernel_log_check(int fd)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return -errno;
    /* Containers have a pipe, or /dev/null, in its place. */
    return S_ISCHR(status.st_mode) && status.st_rdev == makedev(KMSG_MAJOR, KMSG_MINOR) ? 0
                                                                                        : -ENODEV;
}

int kernel_log_open(const char *path)
{
    int fd = kernel_file_open(AT_FDCWD, path);
    int result = fd < 0 ? fd : kernel_log_check(fd);

    if (result < 0)
        (void)kernel_file_close(fd);
    return result < 0 ? result : fd;
}

static void kernel_log_fail(struct kernel_log *log, int error)
{
    int fd = log->source.fd;

    log_message(LOG_WARNING,
        "the kernel's log cannot be read any more: %s; its kills are still counted, but not told "
        "whose they were",
        error != 0 ? strerror(error) : "it has ended");
    loop_remove(log->loop, &log->source);
    (void)kernel_file_close(fd);
}

static void record_take(struct kernel_log *log, size_t length)
{
    struct kernel_record record;
    struct kernel_kill kill;

    if (kernel_record_parse(log->buffer, length, &record) < 0)
        return;
    if (known(log->next) && record.sequence > log->next)
        log->owner.lost(record.sequence - log->next, log->owner.userdata);
    log->next = record.sequence + 1;
    if (kernel_kill_parse(&log->parser, &record, &kill))
        log->owner.killed(&kill, log->owner.userdata);
}

bool kernel_log_read(struct kernel_log *log)
{
    for (unsigned i = 0; i < KERNEL_LOG_BATCH && kernel_log_follows(log); i++) {
        ssize_t length = read(log->source.fd, log->buffer, sizeof log->buffer);

        if (length > 0) {
            record_take(log, (size_t)length);
            continue;
        }
        if (length < 0 && errno == EAGAIN)
            return true;
        if (length < 0 && (errno == EPIPE || errno == EINVAL || errno == EINTR))
            continue;
        kernel_log_fail(log, length < 0 ? errno : 0);
    }
    return !kernel_log_follows(log);
}

static void on_readable(struct loop_source *source, uint32_t events)
{
    struct kernel_log *log = container_of(source, struct kernel_log, source);

    /* With EPOLLERR records were overwritten; the read says the same. */
    (void)events;
    if (kernel_log_read(log))
        log->owner.drained(log->owner.userdata);
}

bool kernel_log_follows(const struct kernel_log *log)
{
    return log->source.fd >= 0;
}

int kernel_log_new(
    struct loop *loop, int fd, const struct kernel_log_owner *owner, struct kernel_log **ret_log)
{
    struct kernel_log *log CLEANUP(kernel_log_free_at) = calloc(1, sizeof *log);
    int result;

    if (!log)
        return -ENOMEM;
    log->loop = loop;
    log->source = LOOP_SOURCE_NONE;
    log->owner = *owner;
    log->next = UNKNOWN;
    /* Behind the last record: a kill is told once, not again by each guard that is started. */
    (void)lseek(fd, 0, SEEK_END);
    result = loop_add(loop, &log->source, fd, EPOLLIN, on_readable);
    if (result < 0)
        return result;
    *ret_log = STEAL(log);
    return 0;
}

struct kernel_log *kernel_log_free(struct kernel_log *log)
{
    if (!log)
        return NULL;
    if (kernel_log_follows(log)) {
        int fd = log->source.fd;

        loop_remove(log->loop, &log->source);
        (void)kernel_file_close(fd);
    }
    free(log);
    return NULL;
}
