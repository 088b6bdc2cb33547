/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the second and third pass over the record. The second begins some minutes before the event,
 * with the trace that its margin is in and the one before it, so that the guests are known as they
 * were before the guard did anything; the third goes as far as the moment at which the host would
 * have been out of memory, for the guests as they were then.
 */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

struct reading {
    struct report *report;
    const struct event *event;
    bool began;
    uint64_t used_first, guests_first, first; /* of the window's first look that was measured */
    bool done;
};

struct report *report_free(struct report *report)
{
    if (!report)
        return NULL;
    (void)without_tracker_free(report->tracker);
    (void)deeds_free(report->deeds);
    (void)timeline_free(report->timeline);
    (void)loss_tracker_free(report->losses);
    (void)roster_free(report->guests);
    free(report);
    return NULL;
}

/* ---- what has filled it ---- */

/* What is in use and cannot be had back. */
static uint64_t used_of(const struct host_snapshot *host)
{
    return known(host->total) && known(host->available) ? sub_or_zero(host->total, host->available)
                                                        : UNKNOWN;
}

static void culprit_take(struct filling *filling, const struct record_seen *seen)
{
    const struct culprit *culprit = &seen->plan->assessment.culprit;
    const struct host_snapshot *host = &seen->snapshot->host;

    filling->culprit = culprit->kind;
    filling->process[0] = filling->mount[0] = '\0';
    if (culprit->kind == CULPRIT_PROCESS && culprit->pid > 0 &&
        host->largest_process.pid == culprit->pid)
        text_finish(filling->process, sizeof(filling->process),
            snprintf(filling->process, sizeof(filling->process), "%s", host->largest_process.name));
    if (culprit->kind == CULPRIT_TMPFS && culprit->mounted)
        text_finish(filling->mount, sizeof(filling->mount),
            snprintf(filling->mount, sizeof(filling->mount), "%s", host->largest_tmpfs.path));
}

static void filling_look(struct reading *reading, const struct look *look)
{
    const struct event_least *least = &reading->event->least[POOL_HOST];
    const struct snapshot *snapshot = look->seen->snapshot;
    struct filling *filling = &reading->report->filling;
    uint64_t used = used_of(&snapshot->host), held = look->seen->plan->assessment.guests_held;

    if (!known(used) || !known(held) || !least->known || snapshot->time > least->time)
        return;
    if (!known(reading->first)) {
        reading->first = snapshot->time;
        reading->used_first = used;
        reading->guests_first = held;
    }
    if (look->seen->plan->assessment.culprit.kind != CULPRIT_NONE)
        culprit_take(filling, look->seen);
    int64_t guests = diff_i64(held, reading->guests_first);
    int64_t all = diff_i64(used, reading->used_first);
    filling->known = snapshot->time > reading->first;
    filling->from = reading->first;
    filling->to = snapshot->time;
    filling->guests = guests;
    if (__builtin_sub_overflow(all, guests, &filling->others))
        filling->known = false;
}

/* ---- the passes ---- */

static void hold_look(struct report *report, const struct record_seen *seen)
{
    if (seen->rules->host.held_until <= seen->snapshot->time)
        return;
    report->hold_from = min_u64(report->hold_from, seen->snapshot->time);
    report->hold_to = seen->snapshot->time;
}

static bool event_look(const struct look *look, void *userdata)
{
    struct reading *reading = userdata;
    struct report *report = reading->report;

    if (look->follows == LOOK_AFTER_REBOOT && !reading->began)
        roster_clear(report->guests);
    if (look->number > reading->event->last_look) {
        reading->done = true;
        return false;
    }
    roster_look(report->guests, look->seen);
    if (look->number < reading->event->first_look)
        return true;
    reading->began = true;
    report->looks++;
    timeline_look(report->timeline, look, report->guests);
    filling_look(reading, look);
    if (look->number >= reading->event->begin_look) {
        loss_tracker_look(report->losses, look, report->guests);
        if (look->seen->snapshot->time <= reading->event->window_end) {
            deeds_look(report->deeds, look, report->guests);
            hold_look(report, look->seen);
        }
    }
    without_look(report->tracker, look, report->guests, report->losses);
    return true;
}

static bool victim_look(const struct look *look, void *userdata)
{
    struct reading *reading = userdata;
    struct report *report = reading->report;

    if (look->number < reading->event->first_look ||
        look->seen->snapshot->time < report->without.time)
        return look->number <= reading->event->last_look;
    if (look->number <= reading->event->last_look)
        without_judge(report->tracker, look->seen, report->guests, &report->without);
    return false;
}

static int parts_new(struct report *report)
{
    if (roster_new(&report->guests) < 0 || loss_tracker_new(&report->losses) < 0 ||
        timeline_new(report->event, &report->timeline) < 0 || deeds_new(&report->deeds) < 0 ||
        without_tracker_new(&report->tracker) < 0)
        return -ENOMEM;
    return 0;
}

int report_new(struct traces *traces, const struct events *events, uint32_t event,
    struct progress *progress, struct report **ret_report, struct error *ret_error)
{
    CLEANUP(report_free_at) struct report *report = calloc(1, sizeof(*report));

    if (!report)
        return error_set(ret_error, -ENOMEM, "no memory for the report");
    report->traces = traces;
    report->events = events;
    report->event = &events->all[event];
    report->number = events->count - event;
    report->hold_from = report->hold_to = UNKNOWN;
    struct reading reading = {.report = report, .event = report->event, .first = UNKNOWN};
    if (parts_new(report) < 0)
        return error_set(ret_error, -ENOMEM, "no memory for the report");
    uint32_t first = report->event->first_trace > 0 ? report->event->first_trace - 1 : 0;
    int result = traces_walk(traces, first, event_look, &reading, progress, ret_error);
    if (result < 0)
        return result;
    if (!reading.began)
        return error_set(ret_error, -ENOENT, "%s: the event's traces are gone", traces->path);
    without_reckon(report->tracker, report->guests, &report->without);
    if (report->without.outcome == WITHOUT_OUT)
        result = traces_walk(traces, first, victim_look, &reading, progress, ret_error);
    if (result < 0)
        return result;
    *ret_report = STEAL(report);
    return 0;
}

/* ---- words and order ---- */

const char *report_pool_words(const struct event *event, char *buffer, size_t size)
{
    switch (event->pool.kind) {
    case POOL_HOST:
        (void)snprintf(buffer, size, "the host");
        break;
    case POOL_BUDGET:
        (void)snprintf(buffer, size, "the guests' budget");
        break;
    case POOL_NODE:
        (void)snprintf(buffer, size, "NUMA node %" PRIu32, event->pool_node);
        break;
    case POOL_KIND_COUNT:
        (void)snprintf(buffer, size, "?");
        break;
    }
    return buffer;
}

bool event_is_dry(const struct event *event)
{
    return event->loss.acted_dry > 0;
}

bool event_is_all_dry(const struct event *event)
{
    return event->loss.acted_dry > 0 && event->loss.acted_on == 0;
}

/* What an operator wants to see first: who was lost, then who was stopped, then anybody acted on.
 */
static unsigned harm_of(const struct guest_loss *loss)
{
    uint32_t done = loss->enforced | loss->dry;
    const uint32_t ends = 1u << ACTION_SAVE | 1u << ACTION_SHUTDOWN | 1u << ACTION_KILL;
    const uint32_t stops = 1u << ACTION_PAUSE | 1u << ACTION_FREEZE | 1u << ACTION_BRAKE;

    if (done & ends)
        return 3;
    if (done & stops)
        return 2;
    return done != 0;
}

static uint64_t movement_of(const struct guest_line *line)
{
    return line->any ? (uint64_t)line->most_held - (uint64_t)line->least_held : 0;
}

static bool ranks_before(const struct report *report, uint32_t a, uint32_t b)
{
    unsigned harm_a = harm_of(loss_of_guest(report->losses, a));
    unsigned harm_b = harm_of(loss_of_guest(report->losses, b));

    if (harm_a != harm_b)
        return harm_a > harm_b;
    uint64_t moved_a = movement_of(&report->timeline->guests[a]);
    uint64_t moved_b = movement_of(&report->timeline->guests[b]);
    return moved_a != moved_b ? moved_a > moved_b : a < b;
}

bool report_has_guest(const struct report *report, uint32_t guest)
{
    return loss_of_guest(report->losses, guest)->seen;
}

uint32_t report_guest_count(const struct report *report)
{
    uint32_t count = 0;

    for (uint32_t guest = 0; guest < report->guests->count; guest++)
        count += report_has_guest(report, guest);
    return count;
}

uint32_t report_guests_rank(const struct report *report, uint32_t *order, uint32_t limit)
{
    uint32_t count = 0;

    for (uint32_t guest = 0; guest < report->guests->count; guest++) {
        uint32_t place = count;
        if (!report_has_guest(report, guest) || !report->timeline->guests[guest].any)
            continue;
        while (place > 0 && ranks_before(report, guest, order[place - 1]))
            place--;
        if (place >= limit)
            continue;
        count += count < limit;
        memmove(&order[place + 1], &order[place], (count - place - 1) * sizeof(*order));
        order[place] = guest;
    }
    return count;
}
