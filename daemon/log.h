/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Two ways out for words. Alerts are for people and machines: one line of `event=… key=value…`
 * each, through syslog(3), facility daemon. Diagnostics are for whoever runs the guard: stderr,
 * with the <N> prefixes that journald reads unless stderr is a terminal. Both go through a socket
 * to a forked child, so that a stalled syslogd or a full pipe can never stall the guard; what does
 * not fit is dropped and counted, and the count is logged (event=log-dropped) as soon as there is
 * room. Before log_start(), after log_stop() and in the command they go out directly.
 *
 * The log target is the one mutable global of the project.
 */
#ifndef PLIMSOLL_DAEMON_LOG_H
#define PLIMSOLL_DAEMON_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <syslog.h>

struct counts;
struct history;

/* One line with all its fields and its NUL: RFC 3164's 1024 bytes. A longer one is cut after a
 * whole character and ends in "…"; control characters become '?'. */
#define LOG_LINE_MAX 1024

/*
 * Forks the child that writes. Its oom_score_adj is set back to 0, its memory is not locked, it
 * ignores the signals that end the guard, and it ends when the guard's end of the socket closes,
 * after everything sent was written. Returns the child's pid or a negative errno.
 *
 * Called again, it replaces the child: after its death, or while it lives (that one writes what it
 * has and ends). On failure what was there stays.
 */
int log_start(void);
/* Closes our end and waits, at most LOG_STOP_WAIT, for the child to write what it has. */
void log_stop(void);
#define LOG_STOP_WAIT UINT64_C(2000000000) /* ns: a stalled syslogd may not hold up our exit */
/* The child's process, for the guard to watch, reap and replace; 0: none. */
int log_child(void);

/*
 * LEVEL as syslog's LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG. No allocation, no block.
 * While the child is dead and not replaced, lines are dropped and counted like those that do not
 * fit: writing them directly could block, which is what the child is there to prevent.
 */
void log_message(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_alert(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_set_level(int level); /* diagnostics above it are not sent; LOG_INFO at first */
/* Alerts also to stderr, for a guard that runs in the foreground. */
void log_set_echo(bool echo);
/* With the level of an alert that is said so often that it would push all else out of the history.
 */
#define LOG_OFTEN 0x1000
/* Alerts are also kept in HISTORY, which stays the caller's and must outlive this; NULL: they are
 * not. */
void log_set_history(struct history *history);
/* Alerts are also counted in COUNTS, likewise. */
void log_set_counts(struct counts *counts);

/* One failure said once: true the first time and then once a minute for a given LIMIT, which begins
 * zeroed. With true, SUPPRESSED is how many were not said since the last that was. */
struct log_limit {
    uint64_t last; /* CLOCK_MONOTONIC; 0: never */
    uint32_t held; /* not said since */
    uint32_t suppressed;
};
bool log_permit(struct log_limit *limit, uint64_t now);
/* Some were held back, and it would be true. */
bool log_owes(const struct log_limit *limit, uint64_t now);
/* log_message() where it is true; at its end how many were not said, as (suppressed=N). */
void log_limited(struct log_limit *limit, uint64_t now, int level, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Writes TEXT as a value of key=value: as it is when it has only [A-Za-z0-9._:/+-], else quoted,
 * with \" and \\ and \xHH for what is not well formed or not printable. What does not fit into SIZE
 * (at least 8) is cut, which "…" shows. Returns BUFFER. */
const char *log_quote(const char *text, char *buffer, unsigned long size);

#endif
