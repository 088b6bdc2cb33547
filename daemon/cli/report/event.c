/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns where an event begins and ends. One pass over the record, in which at most one event is
 * open: it is closed when calm has lasted, when nobody knows what came next, or with the record.
 *
 * The looks of the last seconds are remembered by their numbers, few and apart, so that the margin
 * before the first look above calm is known when that comes.
 */
#include "event.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Looks of the margin that are remembered, so far apart at least. */
#define MARKS 16
#define MARKS_APART (EVENT_MARGIN / (MARKS - 2))

struct mark {
    uint64_t number, time;
    uint32_t trace;
};

struct finder {
    struct events *events;
    struct roster *guests;
    struct loss_tracker *loss;
    struct mark marks[MARKS]; /* a ring */
    uint32_t mark_count;      /* ever */
    bool open;
    struct event event;            /* the open one */
    bool pressed;                  /* the look before was above calm */
    uint64_t calm, calm_realtime;  /* since when; UNKNOWN: it is not */
    uint64_t settled;              /* since when nothing is held, in calm; UNKNOWN: it is */
    uint64_t time, realtime, look; /* of the look before */
};

/* ---- the list ---- */

int events_new(struct events **ret_events)
{
    CLEANUP(events_free_at) struct events *events = calloc(1, sizeof(*events));

    if (!events)
        return -ENOMEM;
    events->all = calloc(EVENTS_MAX, sizeof(*events->all));
    if (!events->all)
        return -ENOMEM;
    *ret_events = STEAL(events);
    return 0;
}

struct events *events_free(struct events *events)
{
    if (!events)
        return NULL;
    free(events->all);
    free(events);
    return NULL;
}

static void event_add(struct events *events, const struct event *event)
{
    if (events->count == EVENTS_MAX) {
        memmove(events->all, events->all + 1, (EVENTS_MAX - 1) * sizeof(*events->all));
        events->count--;
        events->left_out++;
    }
    events->all[events->count++] = *event;
}

/* ---- the margin before ---- */

static void mark_add(struct finder *finder, const struct look *look, uint64_t time)
{
    const struct mark *last = &finder->marks[(finder->mark_count + MARKS - 1) % MARKS];

    if (finder->mark_count > 0 && time - last->time < MARKS_APART)
        return;
    finder->marks[finder->mark_count++ % MARKS] =
        (struct mark){.number = look->number, .time = time, .trace = look->trace};
}

/* The earliest look that is remembered and not before TIME; where none is, LOOK. */
static struct mark mark_find(const struct finder *finder, const struct look *look, uint64_t time)
{
    struct mark found = {
        .number = look->number, .time = look->seen->snapshot->time, .trace = look->trace};
    uint32_t count = finder->mark_count < MARKS ? finder->mark_count : MARKS;

    for (uint32_t i = 0; i < count; i++)
        if (finder->marks[i].time >= time && finder->marks[i].number < found.number)
            found = finder->marks[i];
    return found;
}

/* ---- one event ---- */

static void event_open(struct finder *finder, const struct look *look)
{
    const struct snapshot *snapshot = look->seen->snapshot;
    struct mark mark = mark_find(finder, look, sub_or_zero(snapshot->time, EVENT_MARGIN));

    finder->open = true;
    finder->event = (struct event){.begin = snapshot->time,
        .begin_realtime = snapshot->realtime,
        .window_begin = mark.time,
        .begun_before = look->follows != LOOK_FOLLOWS,
        .first_trace = mark.trace,
        .first_look = mark.number,
        .begin_look = look->number};
    roster_clear(finder->guests);
    loss_tracker_clear(finder->loss);
}

static void event_close(struct finder *finder, enum event_ending otherwise)
{
    struct event *event = &finder->event;

    if (known(finder->calm)) {
        uint64_t held =
            min_u64(known_or(finder->settled, finder->time), add_held(finder->calm, EVENT_APART));
        event->ending = EVENT_RETURNED;
        event->end = finder->calm;
        event->end_realtime = finder->calm_realtime;
        event->window_end =
            min_u64(finder->time, max_u64(add_held(event->end, EVENT_MARGIN), held));
    } else {
        event->ending = otherwise;
        event->end = event->window_end = finder->time;
        event->end_realtime = finder->realtime;
    }
    event->last_look = finder->look;
    loss_total(finder->loss, finder->guests, &event->loss);
    event_add(finder->events, event);
    finder->open = false;
}

static void least_take(struct event_least *least, int64_t headroom, const struct snapshot *snapshot)
{
    if (least->known && least->headroom <= headroom)
        return;
    *least = (struct event_least){.known = true,
        .headroom = headroom,
        .time = snapshot->time,
        .realtime = snapshot->realtime};
}

/* The worst look is that of the worst band, and of several that with the least headroom. */
static void worst_take(struct event *event, const struct look *look)
{
    const struct assessment *assessment = &look->seen->plan->assessment;
    const struct host_snapshot *host = &look->seen->snapshot->host;

    for (uint32_t i = 0; i < assessment->pool_count && i < POOLS_MAX; i++)
        if (known(assessment->pools[i].total))
            least_take(&event->least[i], assessment->pools[i].headroom, look->seen->snapshot);
    if (assessment->worst >= POOLS_MAX || assessment->band < event->worst)
        return;
    const struct pool_view *pool = &assessment->pools[assessment->worst];
    if (assessment->band == event->worst && pool->headroom >= event->pool.headroom)
        return;
    event->worst = assessment->band;
    event->pool = *pool;
    event->pool_index = assessment->worst;
    if (pool->kind == POOL_NODE && pool->node < NODES_MAX)
        event->pool_node = host->nodes[pool->node].id;
}

static bool anything_is_held(const struct snapshot *snapshot)
{
    for (uint32_t i = 0; i < snapshot->vm_count; i++)
        if (snapshot->vms[i].measures.in_force & MEASURES_HELD)
            return true;
    return false;
}

static void event_look(struct finder *finder, const struct look *look)
{
    const struct snapshot *snapshot = look->seen->snapshot;

    roster_look(finder->guests, look->seen);
    loss_tracker_look(finder->loss, look, finder->guests);
    if (look->seen->plan->assessment.band > BAND_CALM) {
        worst_take(&finder->event, look);
        finder->calm = finder->settled = UNKNOWN;
        return;
    }
    if (!known(finder->calm)) {
        finder->calm = snapshot->time;
        finder->calm_realtime = snapshot->realtime;
    }
    if (anything_is_held(snapshot))
        finder->settled = UNKNOWN;
    else if (!known(finder->settled))
        finder->settled = snapshot->time;
}

/* ---- the record ---- */

/* Nobody knows what was between this look and the one before it. */
static void finder_break(struct finder *finder, const struct look *look)
{
    uint64_t apart = sub_or_zero(look->seen->snapshot->time, finder->time);

    if (look->follows == LOOK_AFTER_GAP)
        finder->events->gaps++;
    if (look->follows == LOOK_AFTER_GAP && apart < EVENT_APART)
        return;
    if (finder->open)
        event_close(finder, EVENT_LOST);
    finder->mark_count = 0;
}

static bool finder_look(const struct look *look, void *userdata)
{
    struct finder *finder = userdata;
    const struct snapshot *snapshot = look->seen->snapshot;

    if (look->follows != LOOK_FOLLOWS && look->follows != LOOK_FIRST)
        finder_break(finder, look);
    if (finder->open && known(finder->calm) && snapshot->time - finder->calm >= EVENT_APART)
        event_close(finder, EVENT_LOST);
    if (!finder->open && look->seen->plan->assessment.band > BAND_CALM)
        event_open(finder, look);
    if (finder->open)
        event_look(finder, look);
    mark_add(finder, look, snapshot->time);
    finder->time = snapshot->time;
    finder->realtime = snapshot->realtime;
    finder->look = look->number;
    if (finder->events->looks++ == 0)
        finder->events->from = snapshot->realtime;
    finder->events->to = snapshot->realtime;
    return true;
}

int events_find(struct events *events, struct traces *traces, struct progress *progress,
    struct error *ret_error)
{
    CLEANUP(roster_free_at) struct roster *guests = NULL;
    CLEANUP(loss_tracker_free_at) struct loss_tracker *loss = NULL;

    if (roster_new(&guests) < 0 || loss_tracker_new(&loss) < 0)
        return error_set(ret_error, -ENOMEM, "no memory for the guests of the record");
    struct finder finder = {
        .events = events, .guests = guests, .loss = loss, .calm = UNKNOWN, .settled = UNKNOWN};
    int result = traces_walk(traces, 0, finder_look, &finder, progress, ret_error);
    if (result == 0 && finder.open)
        event_close(&finder, EVENT_GOES_ON);
    return result;
}

static const char *const ending_names[] = {
    [EVENT_RETURNED] = "returned",
    [EVENT_GOES_ON] = "goes-on",
    [EVENT_LOST] = "lost",
};
static_assert(ELEMENTSOF(ending_names) == EVENT_ENDING_COUNT, "an ending has no name");

const char *event_ending_name(enum event_ending ending)
{
    return ending_names[ending];
}
