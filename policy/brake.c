/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the brake: vCPUs of a guest that grows are throttled, so that it takes BRAKE_SLOWDOWN times
 * less. That frees nothing and needs no monitor; what it wins is time, and time is worth something
 * only where memory is on its way. So a guest is braked when three things are true, from scarce on:
 *
 *   balloons of others are under way;
 *   what fills is faster than they bring it, so that critical begins within the horizon;
 *   with all growers braked that can be, they will have caught up within BRAKE_TIME.
 *
 * Where they will not have, what is short is bytes and not time, and pauses see to it as they would
 * without a brake (pause.c). In a sprint balloons are too slow even for that. A pause for growth
 * counts what is pending as if it were there already, so a brake comes before it. A pause for
 * others, of what they may take in the next minute, comes in scarce: it waits for as long as a
 * brake holds, balloons are under way, and critical does not begin within the horizon
 * (brake_instead()).
 *
 * The guest's own balloon slows down as much, for its driver runs on those vCPUs: a braked guest is
 * not asked (observe.c), and what growers were asked for is not counted on.
 *
 * Order: that of pauses (reserve_yields_before()), one a decision; then the estimators must show
 * it, until when what the brake takes off its growth counts as gone (`settling`). Nobody is braked
 * while a lesser guest that grows can be paused and not braked; nor while a more valuable one
 * stands paused: then it is paused, too.
 *
 * It ends when scarce does, whose hysteresis is the brake's; or after BRAKE_TIME, and then the
 * guest is left alone by brakes for a while. Let go in critical it would sprint, and have to be
 * frozen: so one that still grows is stopped before, or whoever grows beside it and is worth less,
 * one a decision. Where rules forbid that, or its monitor does not answer, the brake goes on while
 * critical lasts, up to BRAKE_TIME_MOST; a freeze would hold the same locks. A guest that was
 * paused meanwhile is released once its `stop` has taken hold: until then the brake keeps it from
 * growing through it, and a vCPU answers a `stop` in its next period. So whoever resumes it finds
 * its processors as they were.
 *
 * Dry run: a guest that would have been braked counts as slowed for others in dry run, for as long
 * as the brake would have held.
 */
#include "brake.h"

#include "node.h"
#include "order.h"
#include "pause.h"
#include "plan_add.h"
#include "pool.h"
#include "relief.h"
#include "reserve.h"

static_assert(BRAKE_SLOWDOWN > 1 && BRAKE_SLOWDOWN <= BRAKE_PERIOD / BRAKE_QUOTA,
    "a guest slows down by no more than its processors do");

/* ---- the fate of a brake ---- */

/* It works at once, so that one which cannot be seen was refused, or taken back by others. */
void brake_settle(const struct decision *d, const struct vm_snapshot *vm, struct vm_state *state)
{
    if (!known(state->brake_asked))
        return;
    uint64_t held = since(d->now, state->brake_asked);
    bool dry = state->marks & MARK_BRAKED_DRY;
    bool braked = vm->measures.in_force & VM_MEASURE_BRAKED;
    if (dry ? held >= BRAKE_TIME : !braked) {
        state->marks &= (uint16_t)~MARK_BRAKED_DRY;
        state->brake_asked = UNKNOWN;
        state->brake_again = add_held(d->now, BRAKE_BACKOFF);
        return;
    }
    int64_t growth = rate_confirmed(&state->growth);
    if (dry || state->settling > 0 || held >= PAUSE_SETTLE ||
        since(d->now, state->growth.time) > GROWTH_STALE)
        return;
    if (growth > state->brake_growth)
        state->brake_growth = growth; /* the estimate was still on its way up */
    int64_t gone = growth - state->brake_growth / BRAKE_SLOWDOWN;
    state->settling = gone >= (int64_t)GROWTH_MEASURABLE ? gone : 0;
}

void brake_forget_dry(struct vm_state *state)
{
    if (!(state->marks & MARK_BRAKED_DRY))
        return;
    state->marks &= (uint16_t)~MARK_BRAKED_DRY;
    state->brake_asked = UNKNOWN;
}

bool brake_holds_back(const struct decision *d, uint32_t position)
{
    bool braked = (decision_vm(d, position)->measures.in_force & VM_MEASURE_BRAKED) ||
                  (decision_state(d, position)->marks & MARK_BRAKED_DRY);
    return braked && relief_growth(d, position) >= (int64_t)(GROWTH_MEASURABLE / BRAKE_SLOWDOWN);
}

/* Let go, the guest at POSITION and what else fills would take what is left within the time that a
 * brake may last. */
static bool is_held(const struct decision *d, const struct pool_view *pool, uint32_t position)
{
    int64_t before = decision_state(d, position)->brake_growth;
    int64_t growth = relief_growth(d, position);
    int64_t shown = growth < INT64_MAX / BRAKE_SLOWDOWN ? growth * BRAKE_SLOWDOWN : INT64_MAX;
    int64_t fill = rate_sum(pool_filling(d, pool), before > shown ? before : shown);
    uint64_t has = pool->headroom > 0 ? (uint64_t)pool->headroom : 0;
    return add_held(has, relief_balloons_pending(d, pool, false)) <
           rate_bytes(fill, BRAKE_TIME_MOST);
}

/* The pool that would be in a sprint without it; UINT32_MAX: none. */
static uint32_t pool_held(const struct decision *d, uint32_t position)
{
    const struct assessment *assessment = &d->plan->assessment;
    if (!brake_holds_back(d, position))
        return UINT32_MAX;
    for (uint32_t i = 0; i < assessment->pool_count; i++)
        if (known(assessment->pools[i].total) && assessment->pools[i].band == BAND_CRITICAL &&
            node_confines(d, &assessment->pools[i], position) &&
            is_held(d, &assessment->pools[i], position))
            return i;
    return UINT32_MAX;
}

/* One whose time is over is stopped, in a decision. By a `stop`; without one it is a freeze, for
 * which there is time until the brake has to end whatever follows. */
static void stop_overdue(struct decision *d)
{
    if (pause_settling(d))
        return; /* it may be enough */
    for (uint32_t i = 0; i < d->vm_count && !d->paused; i++) {
        const struct vm_snapshot *vm = decision_vm(d, i);
        if (!(d->vms[i].traits & TRAIT_ENFORCED) || !(vm->measures.in_force & VM_MEASURE_BRAKED))
            continue;
        uint64_t held = since(d->now, vm->measures.braked_since);
        bool stops =
            vm->monitor == VM_MONITOR_READY && !(decision_state(d, i)->marks & MARK_STOP_FAILED);
        uint32_t index = pool_held(d, i);
        if (held < (stops ? BRAKE_TIME : BRAKE_TIME_MOST) || index == UINT32_MAX)
            continue;
        uint64_t deficit = pool_deficit(d, &d->plan->assessment.pools[index], BAND_CRITICAL);
        (void)pause_for_brake(d, index, i, REASON_PAUSE_GROWTH, deficit);
    }
}

/* REASON_NONE: it holds. */
static enum reason release_reason(const struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    const struct vm_rules *rules = decision_rules(d, position);
    bool allowed = (d->vms[position].traits & TRAIT_ENFORCED) &&
                   (rules->rungs & RUNG_BIT(RUNG_BRAKE)) && rules->sacrifice != SACRIFICE_NEVER;
    /* Who is to be saved, shut down or killed has to run for it. */
    const uint32_t ended =
        VM_MEASURE_FROZEN | VM_MEASURE_STOPPED | VM_MEASURE_ENDING | VM_MEASURE_KILLED;
    bool runs = !(vm->measures.in_force & ended) && vm->migration != VM_MIGRATION_POSTCOPY;
    if (!allowed || !runs)
        return REASON_RELEASE_VOID;
    uint64_t held = since(d->now, vm->measures.braked_since);
    bool needed =
        (vm->measures.in_force & VM_MEASURE_STOP_SENT) || pool_held(d, position) != UINT32_MAX;
    if (held >= (needed ? BRAKE_TIME_MOST : BRAKE_TIME))
        return REASON_RELEASE_TIME;
    const struct pool_view *worst = &d->plan->assessment.pools[node_worst_pool(d, position)];
    return worst->band < BAND_SCARCE ? REASON_RELEASE_ROOM : REASON_NONE;
}

void brake_release(struct decision *d)
{
    stop_overdue(d);
    for (uint32_t i = 0; i < d->vm_count; i++) {
        const struct vm_snapshot *vm = decision_vm(d, i);
        if (!(d->vms[i].traits & TRAIT_USABLE) || !(vm->measures.in_force & VM_MEASURE_BRAKED) ||
            (d->vms[i].traits & TRAIT_IN_ACTION) || vm->process_state == VM_PROCESS_DEAD)
            continue;
        struct vm_state *state = decision_state(d, i);
        enum reason reason = release_reason(d, i);
        if (reason == REASON_NONE || since(d->now, state->release_asked) < BRAKE_RETRY ||
            !plan_add(d, ACTION_RELEASE, reason, i, node_worst_pool(d, i)))
            continue;
        state->release_asked = d->now;
        state->brake_asked = UNKNOWN;
        if (reason == REASON_RELEASE_TIME)
            state->brake_again = add_held(d->now, BRAKE_BACKOFF);
    }
}

bool brake_fails(const struct decision *d, uint32_t position)
{
    const struct vm_state *state = decision_state(d, position);
    return (decision_vm(d, position)->measures.in_force & VM_MEASURE_BRAKED) &&
           known(state->brake_asked) && since(d->now, state->brake_asked) >= BRAKE_SHOWS &&
           state->growth.fast > state->brake_growth / 4 * 3;
}

uint32_t brake_priority(const struct decision *d)
{
    uint32_t priority = 0;
    for (uint32_t i = 0; i < d->vm_count; i++)
        if ((d->vms[i].traits & TRAIT_ENFORCED) && decision_rules(d, i)->priority > priority &&
            (decision_vm(d, i)->measures.in_force & VM_MEASURE_BRAKED))
            priority = decision_rules(d, i)->priority;
    return priority;
}

/* ---- whether ---- */

/* One pool, as enforced guests see it, or as it looks to those in dry run. */
struct brake_case {
    const struct pool_view *pool;
    uint32_t index;
    bool enforced;
    int64_t fill;      /* without what is being stopped already */
    int64_t growth;    /* of all who can be braked, … */
    int64_t saved;     /* … and what brakes take off it */
    uint64_t excess;   /* of the fill: what cannot be, because guests end at their maximum */
    uint64_t pending;  /* what balloons are to bring, but those of guests that grow themselves */
    uint64_t has;      /* headroom */
    uint64_t critical; /* threshold */
};

static bool grows(const struct decision *d, uint32_t position)
{
    return decision_state(d, position)->settling == 0 &&
           relief_growth(d, position) >= (int64_t)GROWTH_MEASURABLE;
}

static bool is_candidate(
    const struct decision *d, const struct brake_case *brake, uint32_t position)
{
    const struct vm_state *state = decision_state(d, position);
    uint32_t traits = d->vms[position].traits;
    return (traits & TRAIT_BRAKABLE) && !(traits & TRAIT_IN_ACTION) &&
           !(traits & TRAIT_ENFORCED) == !brake->enforced &&
           !(state->marks & (MARK_BRAKED_DRY | MARK_PAUSED_DRY | MARK_KILLED_DRY)) &&
           node_confines(d, brake->pool, position) && grows(d, position) &&
           (!known(state->brake_again) || d->now >= state->brake_again);
}

static void case_sum(const struct decision *d, struct brake_case *brake)
{
    uint64_t unreliable = 0;
    for (uint32_t i = 0; i < d->vm_count; i++) {
        uint32_t traits = d->vms[i].traits;
        if (!(traits & TRAIT_USABLE) || !node_confines(d, brake->pool, i) || !grows(d, i))
            continue;
        brake->excess = add_held(brake->excess, relief_growth_excess(d, i, HORIZON));
        if ((traits & TRAIT_INFLATABLE) && (!brake->enforced || (traits & TRAIT_ENFORCED)))
            unreliable = add_held(unreliable, relief_balloon(d, brake->pool, i, d->vms[i].goal));
        if (!is_candidate(d, brake, i))
            continue;
        brake->growth = rate_sum(brake->growth, relief_growth(d, i));
        brake->saved = rate_sum(brake->saved, relief_brake(d, i));
    }
    brake->pending =
        sub_or_zero(relief_balloons_pending(d, brake->pool, !brake->enforced), unreliable);
}

/* Fills RET_CASE and returns true where there are balloons to wait for. */
static bool case_of(
    const struct decision *d, uint32_t index, bool enforced, struct brake_case *ret_case)
{
    const struct pool_view *pool = &d->plan->assessment.pools[index];
    if (!known(pool->total) || pool->band < BAND_SCARCE || d->plan->assessment.sprint)
        return false;
    *ret_case = (struct brake_case){.pool = pool,
        .index = index,
        .enforced = enforced,
        .fill = pause_remaining_fill(d, pool, !enforced),
        .has = pool->headroom > 0 ? (uint64_t)pool->headroom : 0,
        .critical = pool_enter(d, pool, BAND_CRITICAL)};
    case_sum(d, ret_case);
    return ret_case->fill > 0 && ret_case->pending >= BRAKE_PENDING_MIN;
}

/* What fills once brakes have taken SAVED off it leaves HAS above critical for TIME. */
static bool case_lasts(const struct brake_case *brake, uint64_t has, int64_t saved, uint64_t time)
{
    int64_t left = pool_worth(brake->pool, rate_sum(brake->fill, -saved));
    return has >= add_held(brake->critical, rate_bytes(left, time));
}

/* ---- who ---- */

/* Who grows by little beside something else is not braked for it (as pause.c has it). */
static bool makes_difference(
    const struct decision *d, const struct brake_case *brake, uint32_t position)
{
    return brake->growth >= brake->fill / 2 ||
           relief_growth(d, position) >= brake->fill / PAUSE_SHARE_DIVISOR;
}

/* A lesser one that cannot be braked, or not yet again, takes its part as well: it is paused first.
 */
static bool is_spared(const struct decision *d, const struct brake_case *brake, uint32_t position)
{
    for (uint32_t i = 0; i < d->vm_count; i++)
        if ((d->vms[i].traits & TRAIT_PAUSABLE) && !is_candidate(d, brake, i) &&
            !(d->vms[i].traits & TRAIT_ENFORCED) == !brake->enforced &&
            !(decision_vm(d, i)->measures.in_force & VM_MEASURE_BRAKED) &&
            !(decision_state(d, i)->marks & MARK_BRAKED_DRY) && node_confines(d, brake->pool, i) &&
            grows(d, i) && makes_difference(d, brake, i) && reserve_yields_before(d, i, position))
            return true;
    return false;
}

/* Somebody who is worth more than the guest at POSITION stands still. */
static bool is_below_paused(
    const struct decision *d, const struct brake_case *brake, uint32_t position)
{
    for (uint32_t i = 0; i < d->vm_count; i++) {
        if (!(d->vms[i].traits & TRAIT_USABLE) ||
            !(d->vms[i].traits & TRAIT_ENFORCED) == brake->enforced)
            continue;
        const uint32_t leaving = VM_MEASURE_RESUMING | VM_MEASURE_ENDING | VM_MEASURE_KILLED;
        bool leaves = decision_vm(d, i)->measures.in_force & leaving;
        bool paused = brake->enforced ? (d->vms[i].traits & TRAIT_PAUSED) && !leaves
                                      : (decision_state(d, i)->marks & MARK_PAUSED_DRY) != 0;
        if (paused && node_confines(d, brake->pool, i) && reserve_is_worth_less(d, position, i))
            return true;
    }
    return false;
}

static void brake_one(
    struct decision *d, const struct brake_case *brake, uint32_t position, uint64_t deficit)
{
    struct vm_state *state = decision_state(d, position);
    struct action *action = plan_add(d, ACTION_BRAKE, REASON_BRAKE_GROWTH, position, brake->index);
    if (!action)
        return;
    uint64_t taken = relief_growth_bytes(d, position, HORIZON);
    action->relief = taken - taken / BRAKE_SLOWDOWN;
    action->predicted = HORIZON;
    action->loss = loss_brake(decision_rules(d, position));
    action->deficit = deficit;

    d->vms[position].traits |= TRAIT_IN_ACTION;
    state->brake_asked = d->now;
    state->release_asked = UNKNOWN;
    state->brake_growth = relief_growth(d, position);
    if (brake->enforced) {
        state->settling = relief_brake(d, position);
        state->round_since = UNKNOWN; /* its balloon is not judged by that time */
        d->paused = true;
    } else {
        state->marks |= MARK_BRAKED_DRY;
    }
}

/* Time is what balloons lack, and brakes can win it. */
static void brake_for(struct decision *d, uint32_t index, bool enforced)
{
    struct brake_case brake;
    if (!case_of(d, index, enforced, &brake))
        return;
    uint64_t wanted =
        add_held(brake.critical, sub_or_zero(rate_bytes(brake.fill, HORIZON), brake.excess));
    uint64_t coming = add_held(brake.has, brake.pending);
    if (brake.has >= wanted || !case_lasts(&brake, coming, brake.saved, BRAKE_TIME))
        return;
    uint32_t count = order_sort(d, TRAIT_BRAKABLE, reserve_yields_before);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t position = d->vms[i].order;
        if (!is_candidate(d, &brake, position) || !makes_difference(d, &brake, position))
            continue;
        uint64_t deficit = wanted - brake.has;
        bool stop = is_below_paused(d, &brake, position);
        if (!is_spared(d, &brake, position) &&
            !(stop && pause_for_brake(d, index, position, REASON_PAUSE_FOR_VALUABLE, deficit)))
            brake_one(d, &brake, position, deficit);
        return;
    }
}

void brake_growers(struct decision *d)
{
    for (uint32_t i = 0; i < d->plan->assessment.pool_count; i++) {
        if (!d->paused)
            brake_for(d, i, true);
        brake_for(d, i, false);
    }
}

bool brake_instead(struct decision *d, uint32_t index, uint32_t position, uint64_t deficit)
{
    bool enforced = d->vms[position].traits & TRAIT_ENFORCED;
    bool braked = (decision_vm(d, position)->measures.in_force & VM_MEASURE_BRAKED) ||
                  (decision_state(d, position)->marks & MARK_BRAKED_DRY);
    struct brake_case brake;
    if (!braked && !(d->vms[position].traits & TRAIT_BRAKABLE))
        return false;
    if (!case_of(d, index, enforced, &brake) || is_below_paused(d, &brake, position))
        return false;
    if (braked)
        return case_lasts(&brake, brake.has, 0, HORIZON);
    if (!is_candidate(d, &brake, position) ||
        !case_lasts(&brake, brake.has, relief_brake(d, position), HORIZON))
        return false;
    brake_one(d, &brake, position, deficit);
    return d->vms[position].traits & TRAIT_IN_ACTION;
}
