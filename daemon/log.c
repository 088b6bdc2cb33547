/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the log target and the child's end of it.
 *
 * A line is formatted on the stack, put behind a header {where to, level} and sent as one record of
 * a SOCK_SEQPACKET pair with MSG_DONTWAIT. That kind keeps records whole and in order and, unlike
 * SOCK_DGRAM, tells the reader when the writer is gone: the child reads until then, so that the
 * last words of a killed guard are still written. A record that does not fit is counted, and the
 * count goes ahead of the next one that does: a reader sees the gap where it is.
 *
 * The child may block for as long as it likes; it is the only process that calls syslog(3).
 */
#include "log.h"

#include "counts.h"
#include "helper.h"
#include "history.h"
#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/units.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOG_IDENT "plimsolld"
#define LOG_CHILD_NAME "plimsoll-log" /* within TASK_COMM_LEN */

/* What may wait for a stalled child: a hundred lines, more than a storm's tick says. The kernel
 * doubles it for its own overhead and bounds it by net.core.wmem_max (212992 by default). */
#define LOG_QUEUE_BYTES (128 * 1024)

#define LOG_PERMIT_INTERVAL NSEC_PER_MINUTE
#define SUPPRESSED_ROOM 32 /* " (suppressed=4294967295)" */

enum target {
    TARGET_SYSLOG = 1 << 0,
    TARGET_STDERR = 1 << 1,
    TARGET_HISTORY = 1 << 2,
};

struct record {
    uint8_t targets; /* enum target, or-ed */
    uint8_t level;
    char text[LOG_LINE_MAX];
};

static struct {
    int fd; /* our end of the socket; valid while `started` */
    bool started;
    bool echo;
    pid_t child;
    int level;
    uint64_t dropped;
    struct history *history; /* the guard's; NULL: none */
    struct counts *counts;   /* likewise */
} log_target = {.fd = -1, .level = LOG_INFO};

/* ---- writing, in the child or directly ---- */

static void stderr_write(int level, const char *text)
{
    char prefix[] = {'<', (char)('0' + (level & 7)), '>'};
    bool terminal = isatty(STDERR_FILENO);
    char end = '\n';
    /* One call a line, so that lines of several processes do not mix. struct iovec knows no const.
     */
    struct iovec parts[] = {
        {prefix, terminal ? 0 : sizeof(prefix)},
        {(void *)(uintptr_t)text, strlen(text)}, /* NOLINT(performance-no-int-to-ptr) */
        {&end, 1},
    };

    for (;;) {
        if (writev(STDERR_FILENO, parts, ELEMENTSOF(parts)) >= 0)
            return;
        if (errno == EAGAIN) {
            struct pollfd wait = {.fd = STDERR_FILENO, .events = POLLOUT};
            (void)poll(&wait, 1, -1);
        } else if (errno != EINTR) {
            return; /* there is nobody left to tell */
        }
    }
}

static void record_write(const struct record *record)
{
    if (record->targets & TARGET_SYSLOG)
        syslog(LOG_DAEMON | record->level, "%s", record->text);
    if (record->targets & TARGET_STDERR)
        stderr_write(record->level, record->text);
}

/* ---- the child ---- */

static void __attribute__((noreturn)) child_run(void)
{
    openlog(LOG_IDENT, LOG_NDELAY, LOG_DAEMON);
    for (;;) {
        struct record record;
        ssize_t length = recv(HELPER_FD, &record, sizeof(record), 0);
        if (length < 0 && errno == EINTR)
            continue;
        if (length <= 0)
            _exit(EXIT_SUCCESS);
        if ((size_t)length <= offsetof(struct record, text))
            continue;
        record.text[(size_t)length - offsetof(struct record, text) - 1] = '\0';
        record_write(&record);
    }
}

/* ---- the target ---- */

int log_start(void)
{
    int size = LOG_QUEUE_BYTES, fd = -1;
    pid_t child = helper_fork(LOG_CHILD_NAME, &fd);

    if (child < 0)
        return child;
    if (child == 0)
        child_run();
    /* Best effort: with less room more is dropped, and said. */
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    if (log_target.started)
        (void)close(log_target.fd);
    log_target.fd = fd;
    log_target.child = child;
    log_target.started = true;
    return child;
}

int log_child(void)
{
    return log_target.child;
}

void log_set_level(int level)
{
    log_target.level = level;
}

void log_set_echo(bool echo)
{
    log_target.echo = echo;
}

void log_set_history(struct history *history)
{
    log_target.history = history;
}

void log_set_counts(struct counts *counts)
{
    log_target.counts = counts;
}

static void record_count(const struct record *record)
{
    if (log_target.counts && (record->targets & TARGET_SYSLOG))
        counts_alert(log_target.counts, record->text);
}

/* What does not get through to syslog is kept all the same. */
static void record_keep(const struct record *record)
{
    struct timespec now = {0};

    if (!log_target.history || !(record->targets & TARGET_HISTORY))
        return;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    history_add(log_target.history, (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec,
        record->level, record->text);
}

static bool record_send(const struct record *record)
{
    size_t length = offsetof(struct record, text) + strlen(record->text) + 1;

    return send(log_target.fd, record, length, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

/* Says how many lines are missing; true when none are, or no longer. */
static bool dropped_report(void)
{
    struct record record = {.targets = TARGET_SYSLOG | TARGET_STDERR, .level = LOG_WARNING};

    if (log_target.dropped == 0)
        return true;
    (void)snprintf(record.text, sizeof(record.text), "event=log-dropped lines=%llu",
        (unsigned long long)log_target.dropped);
    if (!record_send(&record))
        return false;
    record_count(&record);
    log_target.dropped = 0;
    return true;
}

void log_stop(void)
{
    struct timespec step = {.tv_nsec = (long)(10 * NSEC_PER_MSEC)};

    if (!log_target.started)
        return;
    (void)dropped_report();
    (void)close(log_target.fd);
    for (uint64_t waited = 0; waited < LOG_STOP_WAIT; waited += (uint64_t)step.tv_nsec) {
        /* Gone, or reaped by somebody else (ECHILD). */
        if (waitpid(log_target.child, NULL, WNOHANG) != 0)
            break;
        (void)nanosleep(&step, NULL);
    }
    log_target.fd = -1;
    log_target.child = 0;
    log_target.started = false;
    log_target.dropped = 0;
}

static void __attribute__((format(printf, 3, 0)))
log_line(unsigned targets, int level, const char *format, va_list arguments)
{
    struct record record;
    int saved_errno = errno; /* a log line between a failure and its report must not change it */

    record.targets = (uint8_t)targets;
    record.level = (uint8_t)(level & LOG_PRIMASK);
    int wanted = vsnprintf(record.text, sizeof(record.text), format, arguments);
    text_finish(record.text, sizeof(record.text), wanted);
    record_count(&record);
    record_keep(&record);
    if (!log_target.started)
        record_write(&record);
    else if (!dropped_report() || !record_send(&record))
        log_target.dropped++;
    errno = saved_errno;
}

void log_message(int level, const char *format, ...)
{
    va_list arguments;

    if (level > log_target.level)
        return;
    va_start(arguments, format);
    log_line(TARGET_STDERR, level, format, arguments);
    va_end(arguments);
}

void log_alert(int level, const char *format, ...)
{
    unsigned targets = TARGET_SYSLOG | (log_target.echo ? TARGET_STDERR : 0u) |
                       (level & LOG_OFTEN ? 0u : TARGET_HISTORY);
    va_list arguments;

    va_start(arguments, format);
    log_line(targets, level, format, arguments);
    va_end(arguments);
}

bool log_permit(struct log_limit *limit, uint64_t now)
{
    if (limit->last != 0 && sub_or_zero(now, limit->last) < LOG_PERMIT_INTERVAL) {
        if (limit->held < UINT32_MAX)
            limit->held++;
        return false;
    }
    limit->last = now > 0 ? now : 1;
    limit->suppressed = limit->held;
    limit->held = 0;
    return true;
}

bool log_owes(const struct log_limit *limit, uint64_t now)
{
    return limit->held > 0 && sub_or_zero(now, limit->last) >= LOG_PERMIT_INTERVAL;
}

void log_limited(struct log_limit *limit, uint64_t now, int level, const char *format, ...)
{
    char text[LOG_LINE_MAX];
    va_list arguments;

    if (!log_permit(limit, now))
        return;
    va_start(arguments, format);
    int wanted = vsnprintf(text, sizeof(text) - SUPPRESSED_ROOM, format, arguments);
    va_end(arguments);
    text_finish(text, sizeof(text) - SUPPRESSED_ROOM, wanted);
    if (limit->suppressed > 0)
        log_message(level, "%s (suppressed=%" PRIu32 ")", text, limit->suppressed);
    else
        log_message(level, "%s", text);
}

/* ---- values ---- */

static bool is_plain(char character)
{
    return (character >= 'A' && character <= 'Z') || (character >= 'a' && character <= 'z') ||
           (character >= '0' && character <= '9') ||
           (character != '\0' && strchr("._:/+-", character));
}

const char *log_quote(const char *text, char *buffer, unsigned long size)
{
    size_t length = strlen(text), plain = 0, to = 1;

    while (plain < length && is_plain(text[plain]))
        plain++;
    if (length > 0 && plain == length && length < size) {
        memcpy(buffer, text, length + 1);
        return buffer;
    }
    /* Always left free: the ellipsis, the closing quote, the NUL. */
    size_t room = size - sizeof(TEXT_ELLIPSIS) - 1;
    buffer[0] = '"';
    for (size_t from = 0; from < length;) {
        char escaped[8];
        size_t step = text_character(text + from, length - from);
        size_t written = step;
        if (step == 0)
            written = (size_t)snprintf(
                escaped, sizeof(escaped), "\\x%02x", (unsigned)(unsigned char)text[from]);
        else if (text[from] == '"' || text[from] == '\\')
            written = (size_t)snprintf(escaped, sizeof(escaped), "\\%c", text[from]);
        if (to + written > room) {
            memcpy(buffer + to, TEXT_ELLIPSIS, sizeof(TEXT_ELLIPSIS) - 1);
            to += sizeof(TEXT_ELLIPSIS) - 1;
            break;
        }
        memcpy(buffer + to, written == step ? text + from : escaped, written);
        to += written;
        from += step > 0 ? step : 1;
    }
    buffer[to] = '"';
    buffer[to + 1] = '\0';
    return buffer;
}
