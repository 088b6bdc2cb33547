/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the reckoning of what would have happened without the guard.
 *
 * A guest that was held back is tracked in two times: that of the record, and its own, which stands
 * while it does, and goes at the part of a brake while it is braked. What it held by its own time
 * is what it would have held by the record's, had nobody held it back. Points of a track and of the
 * supply are bounded: where they become too many every second is left out, of the supply the lesser
 * of two kept. What falls of a guest while its end is under way is the guard's doing: its own time
 * stands as well.
 */
#include "without_private.h"

#include <errno.h>
#include <stdlib.h>

/* Of a track and of the supply; a point each half a second in half an hour. */
#define POINTS_MAX 4096
#define POINTS_APART (20 * NSEC_PER_MSEC)
#define RATE_APART (WITHOUT_RATE_TIME / (RATE_POINTS - 1))
/* It is being ended. */
#define MEASURES_END (VM_MEASURE_KILLED | VM_MEASURE_ENDING)

/* ---- life ---- */

int without_tracker_new(struct without_tracker **ret_tracker)
{
    CLEANUP(without_tracker_free_at) struct without_tracker *tracker = calloc(1, sizeof(*tracker));

    if (!tracker)
        return -ENOMEM;
    tracker->growth = calloc(GUESTS_MAX, sizeof(*tracker->growth));
    tracker->tracks = calloc(GUESTS_MAX, sizeof(struct track *));
    tracker->supply = calloc(POINTS_MAX, sizeof(*tracker->supply));
    if (!tracker->growth || !tracker->tracks || !tracker->supply)
        return -ENOMEM;
    tracker->supply_apart = POINTS_APART;
    tracker->since = tracker->gap = UNKNOWN;
    *ret_tracker = STEAL(tracker);
    return 0;
}

static struct track *track_free(struct track *track)
{
    if (!track)
        return NULL;
    free(track->points);
    free(track);
    return NULL;
}

struct without_tracker *without_tracker_free(struct without_tracker *tracker)
{
    if (!tracker)
        return NULL;
    for (uint32_t i = 0; tracker->tracks && i < GUESTS_MAX; i++)
        tracker->tracks[i] = track_free(tracker->tracks[i]);
    free(tracker->tracks);
    free(tracker->supply);
    free(tracker->growth);
    free(tracker);
    return NULL;
}

/* ---- one look ---- */

/* Its own time for PASSED of the record's. */
static uint64_t own_time(uint32_t in_force, uint64_t passed)
{
    if (in_force & (MEASURES_STILL | MEASURES_END))
        return 0;
    return in_force & VM_MEASURE_BRAKED ? scale_u64(passed, BRAKE_QUOTA, BRAKE_PERIOD) : passed;
}

static bool runs_free(uint32_t in_force)
{
    return !(in_force & (MEASURES_STILL | MEASURES_END | VM_MEASURE_BRAKED));
}

static void rate_take(struct growth *growth)
{
    uint32_t count = growth->recent_count;
    uint32_t kept = count < RATE_POINTS ? count : RATE_POINTS;

    if (kept == 0 || growth->own - growth->recent_own[(count - 1) % RATE_POINTS] >= RATE_APART) {
        growth->recent_own[count % RATE_POINTS] = growth->own;
        growth->recent[count % RATE_POINTS] = growth->held;
        growth->recent_count = ++count;
        kept = count < RATE_POINTS ? count : RATE_POINTS;
    }
    uint64_t oldest = growth->recent[(count - kept) % RATE_POINTS];
    uint64_t span = growth->own - growth->recent_own[(count - kept) % RATE_POINTS];
    growth->rate =
        span >= RATE_APART ? scale_u64(sub_or_zero(growth->held, oldest), NSEC_PER_SEC, span) : 0;
}

/* As GROWTH has it, at the look that it is of. */
static struct track *track_begin(
    struct without_tracker *tracker, uint32_t guest, const struct growth *growth)
{
    uint64_t now = growth->time;
    struct track *track = calloc(1, sizeof(*track));

    if (track)
        track->points = calloc(POINTS_MAX, sizeof(*track->points));
    if (!track || !track->points) {
        tracker->memory_lost = true;
        return track_free(track);
    }
    track->apart = POINTS_APART;
    track->start = now;
    track->before = UNKNOWN;
    track->last = (struct point){.time = now, .held = growth->held, .whole = growth->held};
    tracker->tracks[guest] = track;
    tracker->track_count++;
    tracker->since = min_u64(tracker->since, now);
    return track;
}

static void point_add(struct track *track)
{
    if (track->count > 0 && track->last.time - track->points[track->count - 1].time < track->apart)
        return;
    if (track->count == POINTS_MAX) {
        for (size_t i = 0; i < POINTS_MAX / 2; i++)
            track->points[i] = track->points[2 * i];
        track->count = POINTS_MAX / 2;
        track->apart *= 2;
    }
    track->points[track->count++] = track->last;
}

/* By balloon and virtio-mem. */
static uint64_t measures_hold_back(const struct vm_snapshot *vm)
{
    const struct vm_measures *measures = &vm->measures;
    uint64_t taken = 0;

    if ((measures->in_force & VM_MEASURE_BALLOON) && known(measures->balloon_before) &&
        known(vm->balloon.actual))
        taken = sub_or_zero(measures->balloon_before, vm->balloon.actual);
    if ((measures->in_force & VM_MEASURE_RESIZE) && known(measures->resize.before) &&
        known(vm->resizable.size))
        taken = add_held(taken, sub_or_zero(measures->resize.before, vm->resizable.size));
    return taken;
}

/* PASSED of its own time since the look before, at which it held WAS. */
static void track_look(struct track *track, const struct vm_snapshot *vm,
    const struct growth *growth, uint64_t passed, uint64_t was)
{
    const struct vm_measures *measures = &vm->measures;
    uint64_t taken = measures_hold_back(vm);

    if (!known(track->before) && (measures->in_force & (VM_MEASURE_BALLOON | VM_MEASURE_RESIZE)))
        track->before = max_u64(was, growth->held); /* by then some of it may be taken */
    if (known(track->before))
        taken = min_u64(taken, sub_or_zero(track->before, growth->held));
    track->last = (struct point){.time = growth->time,
        .own = add_held(track->last.own, passed),
        .held = growth->held,
        .whole = add_held(growth->held, taken)};
    track->free = runs_free(measures->in_force);
    track->hugetlb = known_or(vm->hugetlb, 0);
    track->page_tables = known_or(vm->page_tables, 0);
    point_add(track);
}

/* Its end is under way, and it has no more than it had before: it holds HELD by now. */
static void guest_fade(struct without_tracker *tracker, uint32_t guest,
    const struct vm_snapshot *vm, uint64_t held, uint64_t now)
{
    struct growth *growth = &tracker->growth[guest];
    struct track *track = tracker->tracks[guest];

    if (!track)
        track = track_begin(tracker, guest, growth);
    growth->time = now;
    growth->in_force = vm->measures.in_force;
    if (!track)
        return;
    if (track->count == 0)
        point_add(track);
    track->last.time = now;
    track->last.held = held;
    track->free = false;
    point_add(track);
}

static void guest_look(
    struct without_tracker *tracker, uint32_t guest, const struct vm_snapshot *vm, uint64_t now)
{
    struct growth *growth = &tracker->growth[guest];
    struct track *track = tracker->tracks[guest];
    uint64_t held = vm_held(vm);
    uint64_t passed = growth->any ? own_time(growth->in_force, sub_or_zero(now, growth->time)) : 0;

    if (!known(held) || !known(vm->sampled))
        return; /* until it is known again it stands */
    held = add_held(held, known_or(vm->swap, 0));
    if ((vm->measures.in_force & MEASURES_END) && growth->any && held <= growth->held) {
        guest_fade(tracker, guest, vm, held, now);
        return;
    }
    uint64_t was = growth->any ? growth->held : held;
    bool was_free = !growth->any || runs_free(growth->in_force);
    growth->any = true;
    growth->time = now;
    growth->own = add_held(growth->own, passed);
    growth->held = held;
    growth->in_force = vm->measures.in_force;
    if (was_free)
        rate_take(growth);
    if (!track && (vm->measures.in_force & MEASURES_HELD)) {
        track = track_begin(tracker, guest, growth);
        passed = 0;
    }
    if (track)
        track_look(track, vm, growth, passed, was);
}

static void guest_end(struct without_tracker *tracker, uint32_t guest, enum fate fate, uint64_t now)
{
    bool ended = fate == FATE_KILLED || fate == FATE_SAVED || fate == FATE_SHUT_DOWN;
    struct track *track = tracker->tracks[guest];

    /* It was gone before any measure could be seen. */
    if (!track && ended && tracker->growth[guest].any) {
        track = track_begin(tracker, guest, &tracker->growth[guest]);
        if (track)
            point_add(track);
    }
    if (!track)
        return;
    track->ended = ended;
    track->gone = true;
    track->gone_time = now;
}

static void supply_add(
    struct without_tracker *tracker, const struct host_snapshot *host, uint64_t now)
{
    if (!known(host->available))
        return;
    tracker->measured = true;
    uint64_t bytes = add_held(host->available, known_or(host->swap_free, 0));
    if (known(host->arc_size) && known(host->arc_minimum))
        bytes = add_held(bytes, sub_or_zero(host->arc_size, host->arc_minimum));
    if (tracker->supply_count > 0) {
        struct supply *last = &tracker->supply[tracker->supply_count - 1];
        if (now - last->time < tracker->supply_apart) {
            last->bytes = min_u64(last->bytes, bytes);
            return;
        }
    }
    if (tracker->supply_count == POINTS_MAX) {
        for (size_t i = 0; i < POINTS_MAX / 2; i++) {
            const struct supply *two = &tracker->supply[2 * i];
            tracker->supply[i] = two[0].bytes <= two[1].bytes ? two[0] : two[1];
        }
        tracker->supply_count = POINTS_MAX / 2;
        tracker->supply_apart *= 2;
    }
    tracker->supply[tracker->supply_count++] = (struct supply){.time = now, .bytes = bytes};
}

void without_look(struct without_tracker *tracker, const struct look *look,
    const struct roster *guests, const struct loss_tracker *loss)
{
    const struct snapshot *snapshot = look->seen->snapshot;

    if (known(tracker->gap))
        return;
    bool after_gap = look->follows == LOOK_AFTER_GAP;
    if (after_gap && known(tracker->since)) {
        tracker->gap = snapshot->time;
        return;
    }
    for (uint32_t i = 0; i < guests->gone_count; i++)
        guest_end(
            tracker, guests->gone[i], loss_of_guest(loss, guests->gone[i])->fate, snapshot->time);
    for (uint32_t i = 0; i < snapshot->vm_count; i++)
        if (guests->at[i] != GUEST_NONE)
            guest_look(tracker, guests->at[i], &snapshot->vms[i], snapshot->time);
    if (!tracker->any)
        tracker->before = known(tracker->since);
    else if (after_gap && known(tracker->since)) /* nobody saw what it had before */
        tracker->gap = snapshot->time;
    tracker->any = true;
    if (known(tracker->since))
        supply_add(tracker, &snapshot->host, snapshot->time);
}

/* ---- the reckoning ---- */

/* What it held at TIME. */
static uint64_t track_held(const struct track *track, uint64_t time)
{
    uint32_t low = 0, high = track->count;

    if (track->gone && time >= track->gone_time)
        return 0;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (track->points[middle].time <= time)
            low = middle;
        else
            high = middle;
    }
    return track->points[low].held;
}

/* What it would have held after OWN of its own time. */
static uint64_t track_whole(
    const struct track *track, uint64_t own, uint64_t rate, uint64_t maximum)
{
    uint32_t low = 0, high = track->count;

    if (own > track->last.own) {
        uint64_t whole = track->last.whole;
        if (track->free && !track->ended)
            return whole;
        uint64_t time = min_u64(own - track->last.own, WITHOUT_GROWTH_TIME);
        uint64_t grown = add_held(whole, scale_u64(rate, time, NSEC_PER_SEC));
        return known(maximum) ? min_u64(grown, max_u64(whole, maximum)) : grown;
    }
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (track->points[middle].own <= own)
            low = middle;
        else
            high = middle;
    }
    return track->points[low].whole;
}

void track_reckon(const struct without_tracker *tracker, const struct roster *guests,
    uint32_t guest, uint64_t time, uint64_t *ret_whole, uint64_t *ret_held)
{
    const struct track *track = tracker->tracks[guest];

    *ret_whole = *ret_held = 0;
    if (time < track->start || (track->gone && !track->ended && time >= track->gone_time))
        return;
    *ret_held = track_held(track, time);
    *ret_whole = track_whole(
        track, time - track->start, tracker->growth[guest].rate, guests->all[guest].maximum);
}

/* What is left of SUPPLY; what guests would hold more. */
static uint64_t supply_reckon(const struct without_tracker *tracker, const struct roster *guests,
    const struct supply *supply, uint64_t *ret_more)
{
    uint64_t more = 0, less = 0;

    for (uint32_t i = 0; i < guests->count; i++) {
        uint64_t whole, held;
        if (!tracker->tracks[i])
            continue;
        track_reckon(tracker, guests, i, supply->time, &whole, &held);
        more = add_held(more, sub_or_zero(whole, held));
        less = add_held(less, sub_or_zero(held, whole));
    }
    *ret_more = sub_or_zero(more, less);
    return sub_or_zero(add_held(supply->bytes, less), more);
}

/* Why what is not seen to happen may have happened nevertheless. */
static enum without_why doubt(const struct without_tracker *tracker)
{
    if (!tracker->measured)
        return WITHOUT_WHY_UNMEASURED;
    if (tracker->memory_lost)
        return WITHOUT_WHY_MEMORY;
    if (tracker->before)
        return WITHOUT_WHY_BEFORE;
    return known(tracker->gap) ? WITHOUT_WHY_GAP : WITHOUT_WHY_NONE;
}

void without_reckon(
    const struct without_tracker *tracker, const struct roster *guests, struct without *ret_without)
{
    struct without without = {
        .since = tracker->since, .guests = tracker->track_count, .least = UNKNOWN, .time = UNKNOWN};

    for (uint32_t i = 0; i < tracker->supply_count && without.outcome != WITHOUT_OUT; i++) {
        uint64_t more, left = supply_reckon(tracker, guests, &tracker->supply[i], &more);
        if (left < without.least) {
            without.least = left;
            without.time = tracker->supply[i].time;
            without.more = more;
        }
        if (left == 0)
            without.outcome = WITHOUT_OUT;
    }
    if (without.outcome != WITHOUT_OUT && (tracker->track_count > 0 || tracker->memory_lost)) {
        without.why = doubt(tracker);
        without.outcome = without.why == WITHOUT_WHY_NONE ? WITHOUT_LASTS : WITHOUT_UNKNOWN;
    }
    without.rival = without.guest = GUEST_NONE;
    *ret_without = without;
}
