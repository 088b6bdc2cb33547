/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns pausing. A pause frees nothing; it keeps from being taken what the guest would have grown
 * by, and no guest grows beyond its maximum. So only growers are candidates, and only while the
 * pool fills, and only as far as balloons already under way do not bring headroom back above
 * critical within the horizon.
 *
 * Order: those who may be sacrificed before those who are last, then the least valuable, then the
 * stuck, then the fastest. One a decision, then the estimators must show it: a pause just decided
 * counts as growth that stops (pause_remaining_fill()) until they do. In a sprint as many as it
 * takes for what still fills to leave the sprint's time, because the next look may be too late.
 *
 * How: `stop` when there is time and a monitor, else a freeze, which needs nobody's help. A freeze
 * is a bridge of seconds: it is thawed, and then stopped by the monitor, never both at once, since
 * a `stop` sent to a frozen guest hangs (facts 10). Without a monitor the freeze stays.
 *
 * Dry run: a guest that would have been paused counts as stopped for others in dry run, so that the
 * log does not march through all of them; for enforced guests it counts as what it is, running.
 */
#include "pause.h"

#include "order.h"
#include "plan_add.h"
#include "pool.h"
#include "relief.h"

int64_t pause_remaining_fill(
    const struct decision *d, const struct pool_view *pool, bool dry_run_too)
{
    int64_t fill = pool_worth(pool, pool->fill_rate);
    for (uint32_t i = 0; i < d->vm_count; i++) {
        if (!(d->vms[i].traits & TRAIT_USABLE))
            continue;
        const struct vm_state *state = decision_state(d, i);
        bool settling = (d->vms[i].traits & TRAIT_ENFORCED) &&
                        since(d->now, state->pause_asked) < PAUSE_SETTLE &&
                        state->growth_before > 0;
        if (settling)
            fill = rate_sum(fill, -state->growth_before);
        else if (dry_run_too && (state->marks & (MARK_PAUSED_DRY | MARK_KILLED_DRY)))
            fill = rate_sum(fill, -relief_growth(d, i));
    }
    return pool_worth(pool, fill);
}

static bool is_candidate(const struct decision *d, uint32_t position)
{
    const struct vm_state *state = decision_state(d, position);
    uint32_t traits = d->vms[position].traits;
    return (traits & TRAIT_PAUSABLE) && !(traits & TRAIT_IN_ACTION) &&
           !(state->marks & (MARK_PAUSED_DRY | MARK_KILLED_DRY)) &&
           relief_growth(d, position) >= (int64_t)GROWTH_MEASURABLE &&
           since(d->now, state->pause_asked) >= PAUSE_RETRY;
}

int64_t pause_possible(const struct decision *d)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < d->vm_count; i++)
        if ((d->vms[i].traits & TRAIT_ENFORCED) && is_candidate(d, i))
            sum = rate_sum(sum, relief_growth(d, i));
    return sum;
}

static bool pauses_before(const struct decision *d, uint32_t a, uint32_t b)
{
    const struct vm_rules *rules_a = decision_rules(d, a), *rules_b = decision_rules(d, b);
    if (rules_a->sacrifice != rules_b->sacrifice)
        return rules_a->sacrifice < rules_b->sacrifice;
    if (rules_a->priority != rules_b->priority)
        return rules_a->priority < rules_b->priority;
    uint32_t stuck_a = d->vms[a].traits & TRAIT_STUCK, stuck_b = d->vms[b].traits & TRAIT_STUCK;
    if (stuck_a != stuck_b)
        return stuck_a > stuck_b;
    return relief_growth(d, a) > relief_growth(d, b);
}

/* What one pool needs, kept while guests are chosen so that each costs the same. Enforced guests
 * see `real`, those in dry run `all`, which counts what other dry runs would have done. */
struct need {
    const struct pool_view *pool;
    uint64_t critical; /* threshold */
    int64_t real_fill, all_fill;
    uint64_t real_excess, all_excess; /* of the fill: what cannot be, because
                                       * guests end at their maximum */
    uint64_t real_pending, all_pending;
};

static uint64_t growth_excess(const struct decision *d, uint32_t position)
{
    return sub_or_zero(rate_bytes(relief_growth(d, position), CRITICAL_TIME),
        relief_growth_bytes(d, position, CRITICAL_TIME));
}

static void need_bound(const struct decision *d, struct need *need)
{
    for (uint32_t i = 0; i < d->vm_count; i++) {
        const struct vm_state *state = decision_state(d, i);
        if (!(d->vms[i].traits & TRAIT_USABLE) || since(d->now, state->pause_asked) < PAUSE_SETTLE)
            continue;
        uint64_t excess = growth_excess(d, i);
        need->real_excess = add_held(need->real_excess, excess);
        if (!(state->marks & (MARK_PAUSED_DRY | MARK_KILLED_DRY)))
            need->all_excess = add_held(need->all_excess, excess);
    }
}

static struct need need_of(const struct decision *d, const struct pool_view *pool)
{
    struct need need = {
        .pool = pool,
        .critical = pool_enter(d, pool, BAND_CRITICAL),
        .real_fill = pause_remaining_fill(d, pool, false),
        .all_fill = pause_remaining_fill(d, pool, true),
    };
    need_bound(d, &need);
    /* In a sprint balloons are too slow to be counted. */
    if (!d->plan->assessment.sprint) {
        need.real_pending = relief_balloons_pending(d, pool, false);
        need.all_pending = relief_balloons_pending(d, pool, true);
    }
    return need;
}

static void need_less(const struct decision *d, struct need *need, uint32_t position)
{
    bool enforced = d->vms[position].traits & TRAIT_ENFORCED;
    int64_t growth = relief_growth(d, position);
    uint64_t excess = growth_excess(d, position);
    need->all_excess = sub_or_zero(need->all_excess, excess);
    if (enforced)
        need->real_excess = sub_or_zero(need->real_excess, excess);
    need->all_fill = pool_worth(need->pool, rate_sum(need->all_fill, -growth));
    if (enforced)
        need->real_fill = pool_worth(need->pool, rate_sum(need->real_fill, -growth));
}

/* Growers must be stopped: before a pause decided later could take hold, what fills takes more than
 * headroom above critical and pending balloons can give. Once somebody is being stopped in a
 * sprint, what counts is to get out of the sprint; the next look sees to the rest. */
static bool is_short(const struct decision *d, const struct need *need, bool enforced)
{
    int64_t fill = enforced ? need->real_fill : need->all_fill;
    if (fill == 0)
        return false;
    uint64_t has = need->pool->headroom > 0 ? (uint64_t)need->pool->headroom : 0;
    if (d->plan->assessment.sprint && d->paused)
        return has <= rate_bytes(fill, SPRINT_TIME);
    has = add_held(has, enforced ? need->real_pending : need->all_pending);
    uint64_t excess = enforced ? need->real_excess : need->all_excess;
    return has < add_held(sub_or_zero(rate_bytes(fill, CRITICAL_TIME), excess), need->critical);
}

static void choose_means(const struct decision *d, uint32_t position, enum action_kind *ret_kind,
    enum reason *ret_reason)
{
    *ret_kind = ACTION_FREEZE;
    switch (decision_vm(d, position)->monitor) {
    case VM_MONITOR_NONE:
        *ret_reason = REASON_FREEZE_NO_MONITOR;
        return;
    case VM_MONITOR_CONNECTING:
    case VM_MONITOR_SILENT:
    case VM_MONITOR_COUNT:
        *ret_reason = REASON_FREEZE_SILENT;
        return;
    case VM_MONITOR_READY:
        break;
    }
    if (d->plan->assessment.sprint) {
        *ret_reason = REASON_FREEZE_SPRINT;
        return;
    }
    *ret_kind = ACTION_PAUSE;
    *ret_reason = REASON_PAUSE_GROWTH;
}

static bool pause_one(struct decision *d, uint32_t position, uint32_t pool)
{
    struct vm_state *state = decision_state(d, position);
    enum action_kind kind;
    enum reason reason;
    choose_means(d, position, &kind, &reason);
    struct action *action = plan_add(d, kind, reason, position, pool);
    if (!action)
        return false;
    int64_t growth = relief_growth(d, position);
    action->relief = relief_growth_bytes(d, position, HORIZON);
    action->predicted = HORIZON;
    action->loss = loss_pause(decision_rules(d, position));
    action->deficit = pool_deficit(d, &d->plan->assessment.pools[pool], BAND_CRITICAL);

    /* A guest that grows again soon after its resume waits twice as long the next time. */
    if (since(d->now, state->resumed_at) < RESUME_BACKOFF_MAX)
        state->resume_backoff = min_u64(2 * state->resume_backoff, RESUME_BACKOFF_MAX);
    else
        state->resume_backoff = RESUME_BACKOFF;
    state->pause_asked = d->now;
    state->growth_before = growth;
    state->resume_after = add_held(d->now, state->resume_backoff);
    state->bridge_at = UNKNOWN;
    d->vms[position].traits |= TRAIT_IN_ACTION;
    if (d->vms[position].traits & TRAIT_ENFORCED)
        d->paused = true;
    else
        state->marks |= MARK_PAUSED_DRY;
    return true;
}

static void pause_for(struct decision *d, uint32_t index)
{
    const struct pool_view *pool = &d->plan->assessment.pools[index];
    if (!known(pool->total) || pool->band != BAND_CRITICAL)
        return;
    bool sprint = d->plan->assessment.sprint;
    struct need need = need_of(d, pool);
    bool real_done = d->paused && !sprint, dry_done = false;
    uint32_t count = order_sort(d, TRAIT_PAUSABLE, pauses_before);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t position = d->vms[i].order;
        bool enforced = d->vms[position].traits & TRAIT_ENFORCED;
        if (!is_candidate(d, position) || (enforced ? real_done : dry_done))
            continue;
        if (!is_short(d, &need, enforced)) {
            real_done = real_done || enforced;
            dry_done = dry_done || !enforced;
            continue;
        }
        if (!pause_one(d, position, index))
            return;
        need_less(d, &need, position);
        real_done = real_done || (enforced && !sprint);
        dry_done = dry_done || (!enforced && !sprint);
    }
}

void pause_growers(struct decision *d)
{
    pause_for(d, POOL_INDEX_HOST);
    pause_for(d, POOL_INDEX_BUDGET);
}

/* ---- from freeze to stop ---- */

static bool may_thaw(const struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    const struct vm_state *state = decision_state(d, position);
    const uint32_t in_force = vm->measures.in_force;
    const uint32_t busy = VM_MEASURE_STOP_SENT | VM_MEASURE_STOPPED | VM_MEASURE_RESUMING;
    if (!(in_force & VM_MEASURE_FROZEN) || (in_force & (busy | VM_MEASURE_KILLED)))
        return false;
    if (vm->monitor != VM_MONITOR_READY || d->plan->assessment.sprint ||
        vm->migration == VM_MIGRATION_POSTCOPY)
        return false;
    uint64_t bridge = in_force & VM_MEASURE_FROZEN_SIGNAL ? BRIDGE_SIGNAL : BRIDGE_CGROUP;
    if (since(d->now, vm->measures.paused_since) < bridge ||
        since(d->now, state->bridge_at) < PAUSE_RETRY)
        return false;
    /* Until `stop` takes hold it may grow as it did. */
    uint64_t gap = rate_bytes(state->growth_before, BRIDGE_GAP);
    for (uint32_t i = POOL_INDEX_HOST; i <= POOL_INDEX_BUDGET; i++) {
        const struct pool_view *pool = &d->plan->assessment.pools[i];
        if (known(pool->total) && diff_i64(gap, 0) >= pool->headroom)
            return false;
    }
    return true;
}

static bool must_stop(const struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    const struct vm_state *state = decision_state(d, position);
    const uint32_t any = VM_MEASURE_PAUSE | VM_MEASURE_RESUMING | VM_MEASURE_KILLED;
    return known(state->bridge_at) && !(vm->measures.in_force & any) &&
           (d->vms[position].traits & TRAIT_PAUSABLE) && vm->monitor == VM_MONITOR_READY &&
           (!(state->marks & MARK_BRIDGE_STOP) || since(d->now, state->bridge_at) >= PAUSE_RETRY);
}

void pause_bridge(struct decision *d)
{
    uint32_t pool = d->plan->assessment.worst;
    for (uint32_t i = 0; i < d->vm_count; i++) {
        if (!(d->vms[i].traits & TRAIT_USABLE) || (d->vms[i].traits & TRAIT_IN_ACTION))
            continue;
        struct vm_state *state = decision_state(d, i);
        uint32_t in_force = decision_vm(d, i)->measures.in_force;
        if (in_force & (VM_MEASURE_STOP_SENT | VM_MEASURE_STOPPED))
            state->bridge_at = UNKNOWN; /* arrived */
        if (!(d->vms[i].traits & TRAIT_ENFORCED))
            continue;
        if (may_thaw(d, i)) {
            if (plan_add(d, ACTION_THAW, REASON_BRIDGE_END, i, pool)) {
                state->bridge_at = d->now;
                state->marks &= (uint16_t)~MARK_BRIDGE_STOP;
                d->bridged = true;
            }
        } else if (must_stop(d, i)) {
            /* Not `pause_asked`: the fill has been without this guest since the freeze. */
            if (plan_add(d, ACTION_PAUSE, REASON_BRIDGE_END, i, pool)) {
                state->bridge_at = d->now;
                state->marks |= MARK_BRIDGE_STOP;
            }
        }
    }
}
