/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the numbers of actions and alerts. All there are stand in the answer from the start, with 0:
 * who watches a counter sees its first step only if it was there before.
 */
#include "counts.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include <plimsoll/cleanup.h>

#include "json_writer.h"

/* One for each of plimsolld.8; a test holds the two together. */
static const char *const event_names[] = {
    "start",
    "stop",
    "reload",
    "band",
    "action",
    "alert",
    "vm-appeared",
    "vm-ended",
    "resumed",
    "resumed-by-other",
    "save-failed",
    "shutdown-failed",
    "admission",
    "hold",
    "held",
    "release",
    "undo",
    "kernel-kill",
    "kernel-log-lost",
    "log-dropped",
};
static_assert(ELEMENTSOF(event_names) <= COUNTS_EVENTS_MAX, "an event has no counter");

void counts_begin(struct counts *counts, uint64_t realtime)
{
    *counts = (struct counts){.since = realtime};
}

void counts_action(struct counts *counts, enum action_kind kind, enum mode mode, int result)
{
    if ((unsigned)kind >= ACTION_KIND_COUNT || kind == ACTION_ALERT)
        return; /* an alert is none, and is counted as what it is */
    if (result == -EAGAIN)
        return; /* not now; it is decided again */
    if (mode != MODE_ENFORCE)
        counts->actions[kind].dry_run++;
    else if (result < 0)
        counts->actions[kind].failed++;
    else
        counts->actions[kind].done++;
}

void counts_alert(struct counts *counts, const char *line)
{
    static const char begin[] = "event=";

    if (strncmp(line, begin, sizeof(begin) - 1) != 0)
        return;
    line += sizeof(begin) - 1;
    size_t length = strcspn(line, " ");
    for (size_t i = 0; i < ELEMENTSOF(event_names); i++) {
        if (strlen(event_names[i]) == length && memcmp(event_names[i], line, length) == 0)
            counts->events[i]++;
    }
}

static struct json_object *actions_json(const struct counts *counts)
{
    struct json_object *actions = json_object_new_array_ext(ACTION_KIND_COUNT);

    for (int kind = 0; kind < ACTION_KIND_COUNT; kind++) {
        struct json_writer writer;

        if (kind == ACTION_ALERT)
            continue;
        json_writer_begin(&writer);
        json_writer_text(&writer, "action", action_kind_name((enum action_kind)kind));
        json_writer_u64(&writer, "done", counts->actions[kind].done);
        json_writer_u64(&writer, "dry_run", counts->actions[kind].dry_run);
        json_writer_u64(&writer, "failed", counts->actions[kind].failed);
        if (!json_array_append(actions, json_writer_end(&writer))) {
            json_object_put(actions);
            return NULL;
        }
    }
    return actions;
}

static struct json_object *alerts_json(const struct counts *counts)
{
    struct json_object *alerts = json_object_new_array_ext(ELEMENTSOF(event_names));

    for (size_t i = 0; i < ELEMENTSOF(event_names); i++) {
        struct json_writer writer;

        json_writer_begin(&writer);
        json_writer_text(&writer, "event", event_names[i]);
        json_writer_u64(&writer, "said", counts->events[i]);
        if (!json_array_append(alerts, json_writer_end(&writer))) {
            json_object_put(alerts);
            return NULL;
        }
    }
    return alerts;
}

struct json_object *counts_json(const struct counts *counts)
{
    struct json_writer writer;

    json_writer_begin(&writer);
    json_writer_u64(&writer, "since", counts->since);
    json_writer_child(&writer, "actions", actions_json(counts));
    json_writer_child(&writer, "alerts", alerts_json(counts));
    return json_writer_end(&writer);
}
