/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the members of a report as JSON. */
#include "page_json.h"

#include <plimsoll/cleanup.h>

#include "json_writer.h"
#include "words.h"

static struct json_object *counts_json(const struct loss *loss)
{
    struct json_object *counts = json_object_new_array();

    for (unsigned kind = 0; counts && kind < ACTION_KIND_COUNT; kind++) {
        uint32_t done = loss->counts[MODE_ENFORCE][kind], dry = loss->counts[MODE_DRY_RUN][kind];
        struct json_writer writer;
        if (done + dry == 0 || kind == ACTION_ALERT)
            continue;
        json_writer_begin(&writer);
        json_writer_text(&writer, "action", action_kind_name((enum action_kind)kind));
        json_writer_u64(&writer, "decided", done);
        json_writer_u64(&writer, "dry_run", dry);
        if (!json_array_append(counts, json_writer_end(&writer))) {
            json_object_put(counts);
            return NULL;
        }
    }
    return counts;
}

static struct json_object *event_json(const struct event *event, uint32_t number)
{
    const struct event_least *least = &event->least[event->pool_index];
    const struct loss *loss = &event->loss;
    struct json_writer writer;

    json_writer_begin(&writer);
    json_writer_u64(&writer, "number", number);
    json_writer_u64(&writer, "begin", event->begin_realtime);
    json_writer_u64(&writer, "end", event->end_realtime);
    json_writer_text(&writer, "ending", event_ending_name(event->ending));
    json_writer_text(&writer, "worst", band_name(event->worst));
    json_writer_text(&writer, "pool", pool_kind_name(event->pool.kind));
    if (least->known)
        json_writer_i64(&writer, "headroom_least", least->headroom);
    else
        json_writer_null(&writer, "headroom_least");
    json_writer_u64(&writer, "acted_on", loss->acted_on);
    json_writer_u64(&writer, "acted_dry", loss->acted_dry);
    json_writer_u64(&writer, "killed", loss->fates[FATE_KILLED]);
    json_writer_u64(&writer, "saved", loss->fates[FATE_SAVED]);
    json_writer_u64(&writer, "shut_down", loss->fates[FATE_SHUT_DOWN]);
    json_writer_u64(&writer, "kernel_kills", loss->kernel_kills);
    json_writer_u64(&writer, "paused", loss->paused);
    json_writer_u64(&writer, "braked", loss->braked);
    json_writer_u64(&writer, "taken", loss->taken);
    json_writer_u64(&writer, "returned", loss->returned);
    json_writer_child(&writer, "actions", counts_json(loss));
    return json_writer_end(&writer);
}

static struct json_object *events_json(const struct events *events)
{
    struct json_object *list = json_object_new_array();

    for (uint32_t i = 0; list && i < events->count; i++) {
        if (!json_array_append(list, event_json(&events->all[i], events->count - i))) {
            json_object_put(list);
            return NULL;
        }
    }
    return list;
}

static struct json_object *guest_json(const struct report *report, uint32_t index)
{
    const struct guest_loss *loss = loss_of_guest(report->losses, index);
    const struct guest_line *line = &report->timeline->guests[index];
    const struct guest *guest = &report->guests->all[index];
    struct json_writer writer;

    json_writer_begin(&writer);
    json_writer_text(&writer, "name", guest->name);
    json_writer_u64(&writer, "pid", (uint64_t)guest->identity.pid);
    json_writer_text(&writer, "class", guest->class_name);
    json_writer_text(&writer, "fate", fate_name(loss->fate));
    json_writer_u64(&writer, "held_least", line->any ? (uint64_t)line->least_held : UNKNOWN);
    json_writer_u64(&writer, "held_most", line->any ? (uint64_t)line->most_held : UNKNOWN);
    json_writer_u64(&writer, "maximum", guest->maximum);
    json_writer_u64(&writer, "paused", loss->paused);
    json_writer_u64(&writer, "braked", loss->braked);
    json_writer_u64(&writer, "taken", loss->taken);
    json_writer_u64(&writer, "returned", loss->returned);
    return json_writer_end(&writer);
}

static struct json_object *deed_json(const struct report *report, const struct deed *deed)
{
    struct json_writer writer;

    json_writer_begin(&writer);
    json_writer_u64(&writer, "realtime", timeline_realtime(report->timeline, deed->first));
    json_writer_text(
        &writer, "vm", deed->guest == GUEST_NONE ? NULL : words_guest(report, deed->guest));
    json_writer_text(&writer, "action", action_kind_name(deed->kind));
    json_writer_text(&writer, "reason", reason_name(deed->reason));
    json_writer_text(&writer, "mode", mode_name(deed->mode));
    json_writer_text(&writer, "band", band_name(deed->band));
    json_writer_u64(&writer, "times", deed->times);
    json_writer_u64(&writer, "target", deed->target);
    json_writer_u64(&writer, "bytes", deed->bytes);
    json_writer_text(&writer, "seen", deed_seen_name(deed->seen));
    json_writer_u64(&writer, "seen_after", deed->seen == DEED_SEEN ? deed->seen_after : UNKNOWN);
    return json_writer_end(&writer);
}

static struct json_object *guests_json(const struct report *report)
{
    struct json_object *list = json_object_new_array();

    for (uint32_t i = 0; list && i < report->guests->count; i++) {
        if (report_has_guest(report, i) && !json_array_append(list, guest_json(report, i))) {
            json_object_put(list);
            return NULL;
        }
    }
    return list;
}

static struct json_object *deeds_json(const struct report *report)
{
    struct json_object *list = json_object_new_array();

    for (uint32_t i = 0; list && i < report->deeds->count; i++) {
        if (!json_array_append(list, deed_json(report, &report->deeds->all[i]))) {
            json_object_put(list);
            return NULL;
        }
    }
    return list;
}

static const char *const outcome_names[] = {
    [WITHOUT_SAME] = "same",
    [WITHOUT_LASTS] = "lasts",
    [WITHOUT_OUT] = "out-of-memory",
    [WITHOUT_UNKNOWN] = "unknown",
};
_Static_assert(ELEMENTSOF(outcome_names) == WITHOUT_OUTCOME_COUNT, "an outcome has no name");

static struct json_object *without_json(const struct report *report)
{
    const struct without *without = &report->without;
    bool out = without->outcome == WITHOUT_OUT;
    const char *victim = NULL;
    struct json_writer writer;

    if (out && without->victim == WITHOUT_GUEST)
        victim = words_guest(report, without->guest);
    else if (out && without->victim == WITHOUT_PROCESS)
        victim = without->process;
    json_writer_begin(&writer);
    json_writer_text(&writer, "outcome", outcome_names[without->outcome]);
    json_writer_u64(
        &writer, "realtime", out ? timeline_realtime(report->timeline, without->time) : UNKNOWN);
    json_writer_u64(&writer, "more", out ? without->more : UNKNOWN);
    json_writer_text(&writer, "victim", victim);
    return json_writer_end(&writer);
}

struct json_object *page_json(const struct events *events, const struct report *report)
{
    struct json_writer writer;

    json_writer_begin(&writer);
    json_writer_child(&writer, "events", events_json(events));
    if (report) {
        json_writer_child(&writer, "event", event_json(report->event, report->number));
        json_writer_child(&writer, "without", without_json(report));
        json_writer_child(&writer, "vms", guests_json(report));
        json_writer_child(&writer, "actions", deeds_json(report));
    } else {
        json_writer_null(&writer, "event");
        json_writer_null(&writer, "without");
        json_writer_child(&writer, "vms", json_object_new_array());
        json_writer_child(&writer, "actions", json_object_new_array());
    }
    return json_writer_end(&writer);
}
