/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The alerts of late, for whoever asks after them: `plimsoll log` and `why`. */
#ifndef PLIMSOLL_DAEMON_HISTORY_H
#define PLIMSOLL_DAEMON_HISTORY_H

#include <json-c/json.h>
#include <stdint.h>

#include <plimsoll/cleanup.h>

/* What a storm of some dozen guests says, from the first balloon to the last resume. A line takes a
 * kilobyte of locked memory. */
#define HISTORY_LINES 512

struct history;

/* 0 or -ENOMEM. Nothing is allocated after that, nor has the kernel to find a page for it. */
int history_new(struct history **ret_history);
struct history *history_free(struct history *history);
DEFINE_CLEANUP(struct history *, history_free);

/* TEXT of LOG_LINE_MAX at most, LEVEL as syslog's, said at REALTIME (ns since 1970). Each line's
 * time is later than that of the one before, by a nanosecond if need be, so that it names the line.
 */
void history_add(struct history *history, uint64_t realtime, int level, const char *text);

/* The reply of GetLog (control_interface.c): what was said later than AFTER; NULL: no memory. A
 * history's times are compared with its own alone: the clock may have been set back before it
 * began. So the reply says which history it is, and what another one has is all news. */
struct json_object *history_json(const struct history *history, uint64_t after);

#endif
