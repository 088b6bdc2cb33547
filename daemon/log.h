/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Two ways out for words. Alerts are for people and machines: one line of `event=… key=value…`
 * each, through syslog(3), facility daemon. Diagnostics are for whoever runs the guard: stderr with
 * <N> prefixes. Both go through a datagram socket to a forked child, so that a stalled syslogd or a
 * full pipe can never stall the guard; what does not fit is dropped and counted, and the count is
 * logged. Before log_start() and in the command they go out directly.
 *
 * The log target is the one mutable global of the project.
 */
#ifndef PLIMSOLL_DAEMON_LOG_H
#define PLIMSOLL_DAEMON_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <syslog.h>

/* One line with all its fields: RFC 3164's 1024 bytes. */
#define LOG_LINE_MAX 1024

/* Forks the child that writes. Its oom_score_adj is set back to 0, its memory is not locked, and it
 * ends when the guard's end of the socket closes, after everything sent was written. Returns the
 * child's pid or a negative errno. */
int log_start(void);
/* Closes our end and waits, bounded, for the child to write what it has. */
void log_stop(void);
/* The child's process, for the guard to watch and replace; 0: none. */
int log_child(void);

/* LEVEL as syslog's LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG. No allocation, no block.
 */
void log_message(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_alert(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_set_level(int level); /* diagnostics above it are not sent */
/* Alerts also to stderr, for a guard that runs in the foreground. */
void log_set_echo(bool echo);

/* One failure said once: true the first time and then once a minute for a given LIMIT. */
struct log_limit {
    uint64_t last;
    uint32_t suppressed;
};
bool log_permit(struct log_limit *limit, uint64_t now);

/* Writes TEXT as a value of key=value: as it is when it has only [A-Za-z0-9._:/+-], else quoted
 * with backslash escapes. Returns BUFFER. */
const char *log_quote(const char *text, char *buffer, unsigned long size);

#endif
