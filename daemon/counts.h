/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How often the guard has done what since it began, for those who draw curves (`plimsoll metrics`).
 * Counting takes no memory and cannot fail.
 */
#ifndef PLIMSOLL_DAEMON_COUNTS_H
#define PLIMSOLL_DAEMON_COUNTS_H

#include <json-c/json.h>
#include <stdint.h>

#include <plimsoll/plan.h>

/* Room for every event there is; counts.c has their names. */
#define COUNTS_EVENTS_MAX 48

struct counts {
    uint64_t since; /* ns since 1970 */
    /* Of what was decided: carried out, only decided (dry run), tried in vain. */
    struct {
        uint64_t done, dry_run, failed;
    } actions[ACTION_KIND_COUNT];
    uint64_t events[COUNTS_EVENTS_MAX];
};

/* All to zero. */
void counts_begin(struct counts *counts, uint64_t realtime);
/* An action as it is announced: in MODE, with RESULT. */
void counts_action(struct counts *counts, enum action_kind kind, enum mode mode, int result);
/* An alert, by the event that its LINE begins with. */
void counts_alert(struct counts *counts, const char *line);

/* `counts` of GetStatus (control_interface.c); NULL: no memory. */
struct json_object *counts_json(const struct counts *counts);

#endif
