/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the last rung. Somebody is killed only if the floor is reached within the time a kill takes,
 * counting what is already under way, and pausing cannot prevent it:
 *
 *     headroom + pending balloons - (fill that no pause can stop) × (latency + poll) <= 0
 *
 * Pending balloons count only while there is time to see them come. The deficit to cover is what
 * brings headroom back out of critical, and what goes on filling until the horizon.
 *
 * Guests do not die for others' leaks: where most of the fill is not guests' growth (leak.c), or
 * most of what is used is not the guests' and all of them together would not suffice, a kill must
 * cover the whole deficit and what the leak takes in ten minutes, and there is one such kill in ten
 * minutes; else nobody dies.
 *
 * Who it is, victim.c says. One at a time: the next waits until the bytes show, or the predicted
 * time has passed twice, and a second; longer for a victim that is slow to die, while there is
 * time. Nor is anybody killed while a save or shutdown can be waited for (ends.c); when there is no
 * time for that any more, whoever was to end by it is no safer from a kill than before.
 *
 * On a NUMA node only guests bound to it count, as growers and as victims: what else fills it ends
 * by itself, and a node that is full is no reason as long as none of them grows.
 *
 * Dry run: enforced guests are chosen as if the others could not be killed, because they will not
 * be. What a dry run would have killed counts as pending for other dry-run guests alone, until
 * critical is over.
 */
#include "kill.h"

#include "culprit.h"
#include "leak.h"
#include "node.h"
#include "pause.h"
#include "plan_add.h"
#include "pool.h"
#include "reclaim.h"
#include "relief.h"

/* ---- the last kill ---- */

bool kill_has_time(const struct decision *d, uint64_t time)
{
    const struct assessment *assessment = &d->plan->assessment;
    for (uint32_t i = 0; i < assessment->pool_count; i++) {
        const struct pool_view *pool = &assessment->pools[i];
        if (pool->kind == POOL_BUDGET || (pool->kind == POOL_NODE && !known(pool->total)))
            continue;
        if (!known(pool->total))
            return false;
        int64_t fill = pool->kind == POOL_NODE ? d->confined_growth[pool->node] : pool->fill_rate;
        int64_t left = diff_i64(pool->available, 0);
        if (rate_exhaustion(left, pool_worth(pool, fill)) <= time)
            return false;
    }
    return true;
}

/* Whether what a kill frees is waited for, before another has to die as well. A victim that is dead
 * has given all it will. One that takes long to die gives it all the same: DYING may take it while
 * there is time. */
static bool is_awaited(const struct decision *d, const struct kill_pending *pending, bool dying)
{
    uint64_t waited = since(d->now, pending->asked);
    uint64_t patience = add_held(scale_u64(pending->predicted, 2, 1), KILL_PATIENCE);
    return waited < patience ||
           (dying && waited < KILL_PATIENCE_MOST && kill_has_time(d, scale_u64(patience, 2, 1)));
}

/* A guard before us killed it, and it is still dying, which takes seconds for a large guest: what
 * it frees is awaited as if the kill had been ours. */
static void adopt_dying(struct decision *d)
{
    const struct pool_view *host = &d->plan->assessment.pools[POOL_INDEX_HOST];
    for (uint32_t i = 0; i < d->vm_count && known(host->total); i++) {
        const struct vm_snapshot *vm = decision_vm(d, i);
        if (!(vm->measures.in_force & VM_MEASURE_KILLED) || vm->process_state == VM_PROCESS_DEAD)
            continue;
        uint64_t relief = relief_kill(d, host, i);
        struct kill_pending dying = {.identity = vm->identity,
            .asked = vm->measures.killed_since,
            .predicted = relief_kill_time(vm, relief),
            .relief = relief,
            .available = host->available,
            .pool = POOL_INDEX_HOST};
        if (!is_awaited(d, &dying, true))
            continue;
        d->state->kill = dying;
        return;
    }
}

void kill_settle(struct decision *d)
{
    struct kill_pending *pending = &d->state->kill;
    if (pending->identity.pid == 0) {
        adopt_dying(d);
        return;
    }
    bool present = false, dead = false, dying = false;
    for (uint32_t i = 0; i < d->vm_count; i++) {
        const struct vm_snapshot *vm = decision_vm(d, i);
        if (!vm_identity_equal(&vm->identity, &pending->identity))
            continue;
        present = true;
        dead = vm->process_state == VM_PROCESS_DEAD;
        dying = !dead && (vm->measures.in_force & VM_MEASURE_KILLED);
    }
    const struct pool_view *pool = &d->plan->assessment.pools[pending->pool];
    bool rose = known(pool->total) &&
                sub_or_zero(pool->available, pending->available) >= pending->relief / 2;
    /* Host figures may be older than the scan that missed the victim: one more snapshot. */
    if (pending->gone || (dead && rose) || !is_awaited(d, pending, dying)) {
        *pending = (struct kill_pending){0};
        return;
    }
    pending->gone = !present;
}

/* ---- whether ---- */

uint64_t kill_excess(const struct decision *d, const struct pool_view *pool, uint64_t time)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < d->vm_count; i++)
        if ((d->vms[i].traits & TRAIT_USABLE) && !(d->vms[i].traits & TRAIT_PAUSABLE) &&
            node_confines(d, pool, i))
            sum = add_held(sum, relief_growth_excess(d, i, time));
    return sum;
}

/* Of POOL. */
static uint64_t guests_part(const struct decision *d, const struct pool_view *pool)
{
    uint64_t sum = 0;
    if (pool->kind != POOL_NODE)
        return d->plan->assessment.guests_held;
    for (uint32_t i = 0; i < d->vm_count; i++)
        if (d->vms[i].traits & TRAIT_USABLE)
            sum = add_held(sum, node_held(d, i, pool->node));
    return sum;
}

static uint64_t dry_run_killed(const struct decision *d, const struct pool_view *pool)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < d->vm_count; i++)
        if ((d->vms[i].traits & TRAIT_USABLE) && (decision_state(d, i)->marks & MARK_KILLED_DRY) &&
            node_confines(d, pool, i))
            sum = add_held(sum, relief_kill(d, pool, i));
    return sum;
}

bool kill_case(const struct decision *d, uint32_t index, bool dry_run, struct victim_case *ret_case)
{
    const struct pool_view *pool = &d->plan->assessment.pools[index];
    if (!known(pool->total) || pool->band != BAND_CRITICAL)
        return false;
    /* Nobody is killed for so slow a fill that it may be noise, or end by itself. */
    int64_t remaining = pool_worth(pool, pause_remaining_fill(d, pool, dry_run));
    int64_t possible = pause_possible(d, pool);
    /* What else fills a node ends there by itself. */
    if (pool->kind == POOL_NODE && pool_filling(d, pool) > d->confined_growth[pool->node])
        remaining =
            rate_sum(remaining, rate_sum(d->confined_growth[pool->node], -pool_filling(d, pool)));
    int64_t unstoppable = pool_worth(pool, rate_sum(remaining, -possible));
    if (unstoppable == 0 && (possible > 0 || pause_settling(d) || pool->kind == POOL_NODE))
        return false;

    uint64_t has = pool->headroom > 0 ? (uint64_t)pool->headroom : 0;
    uint64_t below = pool->headroom < 0 ? (uint64_t)-pool->headroom : 0;
    uint64_t coming = 0;
    if (pool->available > rate_bytes(remaining, HORIZON))
        coming = relief_balloons_pending(d, pool, dry_run);
    if (remaining <= 0)
        coming = add_held(coming, reclaim_coming(d, pool));
    if (dry_run)
        coming = add_held(coming, dry_run_killed(d, pool));
    has = add_held(has, coming);

    uint64_t wanted = add_held(pool_leave(d, pool, BAND_CRITICAL), below);
    wanted = add_held(
        wanted, sub_or_zero(rate_bytes(unstoppable, HORIZON), kill_excess(d, pool, HORIZON)));
    bool leak = leak_holds(d, pool);
    if (leak)
        wanted = add_held(wanted, rate_bytes(d->state->leak.rate, LEAK_HOLD));
    *ret_case = (struct victim_case){
        .pool = pool,
        .index = index,
        .filling = unstoppable,
        .has = has,
        .below = below,
        .deficit = max_u64(sub_or_zero(wanted, has), 1),
    };
    uint64_t used = sub_or_zero(pool->total, pool->available);
    bool minority = pool->kind != POOL_BUDGET && guests_part(d, pool) < used / 2 &&
                    victim_relief(d, pool, TRAIT_KILLABLE, true) < ret_case->deficit;
    ret_case->leak = leak || minority;
    return true;
}

/* The floor is reached within the time that a kill takes. */
static bool is_due(const struct victim_case *kill)
{
    uint64_t reaction = rate_bytes(kill->filling, KILL_LATENCY + KILL_POLL);
    return kill->has <= add_held(kill->below, reaction);
}

static bool mark_candidates(struct decision *d, const struct victim_case *kill, bool enforced)
{
    bool any = false;
    for (uint32_t i = 0; i < d->vm_count; i++) {
        d->vms[i].traits &= ~(uint32_t)TRAIT_CANDIDATE;
        if (!(d->vms[i].traits & TRAIT_KILLABLE) || !victim_counts(d, kill, i, enforced))
            continue;
        d->vms[i].traits |= TRAIT_CANDIDATE;
        any = true;
    }
    return any;
}

static bool kill_one(struct decision *d, const struct victim_case *kill, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    struct vm_state *state = decision_state(d, position);
    bool arrives = vm->migration == VM_MIGRATION_INCOMING;
    struct action *action = plan_add(
        d, ACTION_KILL, arrives ? REASON_KILL_INCOMING : REASON_KILL_FLOOR, position, kill->index);
    if (!action)
        return false;
    action->relief = relief_kill(d, kill->pool, position);
    action->predicted = relief_kill_time(vm, action->relief);
    action->loss = loss_kill(vm, decision_rules(d, position));
    action->deficit = kill->deficit;
    /* One that comes in has no images to close, and may run the next moment. */
    action->orderly = !arrives && kill_has_time(d, KILL_PATIENCE_MOST);
    if (action->orderly)
        action->predicted = add_held(action->predicted, KILL_ORDERLY_TIME);
    d->vms[position].traits |= TRAIT_IN_ACTION;
    if (!(d->vms[position].traits & TRAIT_ENFORCED)) {
        state->marks |= MARK_KILLED_DRY;
        return true;
    }
    if (kill->leak)
        d->state->leak.killed_at = d->now;
    if (!arrives) /* else nothing is lost, and it may come again */
        state_remember_destruction(d->state, d->now, &vm->identity);
    d->state->kill = (struct kill_pending){
        .identity = vm->identity,
        .asked = d->now,
        .predicted = action->predicted,
        .relief = action->relief,
        .available = kill->pool->available,
        .pool = kill->index,
    };
    return true;
}

/* True when somebody was killed, or would have been. */
static bool kill_for(struct decision *d, uint32_t index, bool enforced)
{
    struct victim_case kill;
    if (!kill_case(d, index, !enforced, &kill) || !is_due(&kill))
        return false;
    bool any = mark_candidates(d, &kill, enforced);
    bool again = kill.leak && since(d->now, d->state->leak.killed_at) < LEAK_HOLD;
    uint32_t victim = any && !again ? victim_choose(d, &kill) : UINT32_MAX;
    if (victim == UINT32_MAX) {
        if (kill.leak) {
            culprit_recall(d);
            plan_alert_host(d, REASON_LEAK_OUTSIDE, index, ALERT_INTERVAL, kill.deficit);
        } else if (enforced || d->rules->host.mode == MODE_DRY_RUN) {
            plan_alert_host(d, REASON_NO_VICTIM, index, ALERT_INTERVAL, kill.deficit);
        }
        return false;
    }
    bool arrives = decision_vm(d, victim)->migration == VM_MIGRATION_INCOMING;
    if (enforced && !arrives && victim_breaker_open(d, victim)) {
        plan_alert_host(
            d, REASON_BREAKER, index, d->rules->host.max_destructive_window, kill.deficit);
        return false;
    }
    return kill_one(d, &kill, victim);
}

static bool is_open(const struct decision *d, bool enforced)
{
    return d->state->kill.identity.pid == 0 && !d->ending && d->now >= d->rules->host.kills_from &&
           !(enforced && d->rules->host.mode != MODE_ENFORCE);
}

bool kill_victim(struct decision *d, bool enforced)
{
    bool done = false;
    if (!is_open(d, enforced))
        return false;
    for (uint32_t i = 0; i < d->plan->assessment.pool_count && !done; i++)
        done = kill_for(d, i, enforced);
    return done;
}
