/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the cells. The record may be anybody's, so no figure is summed or drawn before it is held to
 * what an int64_t can carry.
 */
#include "timeline.h"

#include <errno.h>
#include <stdlib.h>

int timeline_new(const struct event *event, struct timeline **ret_timeline)
{
    CLEANUP(timeline_free_at) struct timeline *timeline = calloc(1, sizeof(*timeline));

    if (!timeline)
        return -ENOMEM;
    timeline->guests = calloc(GUESTS_MAX, sizeof(*timeline->guests));
    if (!timeline->guests)
        return -ENOMEM;
    timeline->begin = event->window_begin;
    timeline->end = max_u64(event->window_end, add_held(event->window_begin, 1));
    timeline->to_realtime = diff_i64(event->begin_realtime, event->begin);
    timeline->floor = UNKNOWN;
    *ret_timeline = STEAL(timeline);
    return 0;
}

struct timeline *timeline_free(struct timeline *timeline)
{
    if (!timeline)
        return NULL;
    for (uint32_t i = 0; timeline->guests && i < GUESTS_MAX; i++)
        free(timeline->guests[i].cells);
    free(timeline->guests);
    free(timeline);
    return NULL;
}

uint64_t timeline_realtime(const struct timeline *timeline, uint64_t time)
{
    if (timeline->to_realtime < 0)
        return sub_or_zero(time, (uint64_t)-timeline->to_realtime);
    return add_held(time, (uint64_t)timeline->to_realtime);
}

static uint32_t cell_of(const struct timeline *timeline, uint64_t time)
{
    uint64_t cell =
        scale_u64(time - timeline->begin, TIMELINE_CELLS, timeline->end - timeline->begin);

    return (uint32_t)min_u64(cell, TIMELINE_CELLS - 1);
}

static void line_add(struct line_cell *cell, int64_t value, uint64_t time)
{
    if (!cell->any || value < cell->least) {
        cell->least = value;
        cell->least_at = time;
    }
    if (!cell->any || value > cell->most) {
        cell->most = value;
        cell->most_at = time;
    }
    cell->any = true;
}

static void host_add(struct timeline *timeline, const struct record_seen *seen, uint32_t index)
{
    const struct host_snapshot *host = &seen->snapshot->host;
    struct host_cell *cell = &timeline->host[index];
    enum band band = seen->plan->assessment.band;

    cell->band = cell->any && cell->band > band ? cell->band : band;
    if (known(host->total))
        timeline->total = max_u64(timeline->total, host->total);
    if (cell->any && (!known(host->available) || host->available >= cell->available))
        return;
    cell->any = true;
    cell->worst_at = seen->snapshot->time;
    cell->total = host->total;
    cell->available = host->available;
    cell->guests = seen->plan->assessment.guests_held;
}

static uint32_t marks_of(uint32_t in_force)
{
    return (in_force & MEASURES_STILL ? GUEST_STILL : 0u) |
           (in_force & VM_MEASURE_BRAKED ? GUEST_BRAKED : 0u) |
           (in_force & (VM_MEASURE_BALLOON | VM_MEASURE_RESIZE) ? GUEST_HELD : 0u);
}

static void guest_add(struct timeline *timeline, struct guest_line *line,
    const struct vm_snapshot *vm, uint32_t index)
{
    uint64_t held = vm_held(vm), now = timeline->last;

    if (!line->cells)
        line->cells = calloc(TIMELINE_CELLS, sizeof(*line->cells));
    if (!line->cells) {
        timeline->memory_lost = true;
        return;
    }
    struct guest_cell *cell = &line->cells[index];
    cell->marks |= marks_of(vm->measures.in_force);
    if (!known(held) || !known(vm->sampled))
        return;
    int64_t value = diff_i64(held, 0);
    line_add(&cell->held, value, now);
    if (!line->any) {
        line->first_held = line->least_held = line->most_held = value;
        line->first_at = now;
    }
    line->any = true;
    line->least_held = value < line->least_held ? value : line->least_held;
    line->most_held = value > line->most_held ? value : line->most_held;
    line->last_held = value;
    line->last_at = now;
}

static void gap_add(struct timeline *timeline, uint64_t now, uint32_t cell)
{
    timeline->host[cell].gap_before = true;
    timeline->gap_time = add_held(timeline->gap_time, now - timeline->last);
    if (timeline->gap_count < TIMELINE_GAPS)
        timeline->gaps[timeline->gap_count] =
            (struct timeline_gap){.from = timeline->last, .to = now};
    timeline->gap_count++;
}

void timeline_look(struct timeline *timeline, const struct look *look, const struct roster *guests)
{
    const struct snapshot *snapshot = look->seen->snapshot;

    if (snapshot->time < timeline->begin || snapshot->time > timeline->end)
        return;
    uint32_t cell = cell_of(timeline, snapshot->time);
    if (timeline->looks > 0 && snapshot->time - timeline->last > LOOK_APART_MOST)
        gap_add(timeline, snapshot->time, cell);
    timeline->looks++;
    timeline->last = snapshot->time;
    const struct pool_view *host = &look->seen->plan->assessment.pools[POOL_HOST];
    if (look->seen->plan->assessment.pool_count > POOL_HOST && known(host->total))
        timeline->floor = host->floor;
    host_add(timeline, look->seen, cell);
    for (uint32_t i = 0; i < snapshot->vm_count; i++)
        if (guests->at[i] != GUEST_NONE)
            guest_add(timeline, &timeline->guests[guests->at[i]], &snapshot->vms[i], cell);
}
