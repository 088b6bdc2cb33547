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
 * Guests do not die for others' leaks: where most of the fill is not guests' growth, or most of
 * what is used is not the guests' and all of them together would not suffice, a kill must cover the
 * whole deficit and what the leak takes in ten minutes, and there is one such kill in ten minutes;
 * else nobody dies. An alert names the fact, and what it is (culprit.c), from scarce on. A leak
 * that has reached the wall fills no more, so it is remembered for a while.
 *
 * The victim is the least loss among those that cover alone; if none does, the best loss per byte.
 * SACRIFICE_LAST joins only when the others together do not cover. One at a time: the next waits
 * until the bytes show, or the predicted time has passed twice, and a second; longer for a victim
 * that is slow to die, while there is time. A circuit breaker bounds them all, and who comes back
 * from the dead under the same uuid is not killed again.
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
#include "node.h"
#include "pause.h"
#include "plan_add.h"
#include "pool.h"
#include "reclaim.h"
#include "relief.h"

struct kill_case {
    const struct pool_view *pool;
    uint32_t index;
    uint64_t deficit;
    bool leak; /* what fills is not the guests: only full cover justifies a kill */
};

/* ---- the last kill ---- */

/* Whether there is time for a second kill after TIME, by what is available and not by the floor: on
 * the host, and on each node for the guests that are bound to it. Over a budget nobody dies but by
 * us. */
static bool lasts(const struct decision *d, uint64_t time)
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
           (dying && waited < KILL_PATIENCE_MOST && lasts(d, scale_u64(patience, 2, 1)));
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

/* ---- the circuit breaker ---- */

static bool breaker_open(const struct decision *d)
{
    const struct policy_state *state = d->state;
    const struct host_rules *rules = &d->rules->host;
    uint32_t allowed =
        rules->max_destructive < DESTRUCTION_MAX ? rules->max_destructive : DESTRUCTION_MAX;
    uint32_t recent = 0;
    for (uint32_t i = 0; i < state->destruction_count; i++)
        if (since(d->now, state->destructions[i].time) < rules->max_destructive_window)
            recent++;
    return recent >= allowed;
}

static bool is_restarted(const struct decision *d, uint32_t position)
{
    static const uint8_t none[UUID_SIZE];
    const uint8_t *uuid = decision_vm(d, position)->identity.uuid;
    if (known(decision_state(d, position)->kill_asked))
        return false; /* this very process was asked for, and is still here */
    if (__builtin_memcmp(uuid, none, UUID_SIZE) == 0)
        return false;
    for (uint32_t i = 0; i < d->state->destruction_count; i++)
        if (since(d->now, d->state->destructions[i].time) < RESTART_MEMORY &&
            __builtin_memcmp(uuid, d->state->destructions[i].uuid, UUID_SIZE) == 0)
            return true;
    return false;
}

/* ---- whether ---- */

/* By both estimators: guests are sampled more slowly than the host, so the fast one alone would see
 * a leak at the start of every guest's growth. */
static int64_t outside_fill(const struct decision *d, const struct pool_view *pool)
{
    const struct rate *fill = &d->state->pools[POOL_INDEX_HOST].fill;
    if (pool->kind == POOL_BUDGET)
        return 0;
    int64_t fast = rate_sum(fill->fast, -(d->guests_fast > 0 ? d->guests_fast : 0));
    int64_t slow = rate_sum(fill->slow, -(d->guests_slow > 0 ? d->guests_slow : 0));
    int64_t outside = fast < slow ? fast : slow;
    return outside >= (int64_t)FILL_IGNORED ? outside : 0; /* slow leaks get there, too */
}

/* Most of what fills the host is not the guests, or lately was not. */
static bool leak_holds(const struct decision *d, const struct pool_view *pool)
{
    return pool->kind == POOL_HOST && since(d->now, d->state->leak_at) < LEAK_MEMORY;
}

static void leak_watch(struct decision *d)
{
    const struct pool_view *host = &d->plan->assessment.pools[POOL_INDEX_HOST];
    if (!known(host->total) || host->band < BAND_SCARCE) {
        d->state->leak_since = UNKNOWN;
        return;
    }
    bool critical = host->band == BAND_CRITICAL;
    if (critical && leak_holds(d, host) && pool_worth(host, host->fill_rate) == 0)
        d->state->leak_at = d->now; /* at the wall, and nothing has come back */
    /* Who was just stopped grows no more, but the fill still remembers what it took. */
    int64_t outside = pause_settling(d) ? 0 : outside_fill(d, host);
    if (outside == 0 || outside <= rate_confirmed(&d->state->pools[POOL_INDEX_HOST].fill) / 2) {
        d->state->leak_since = UNKNOWN;
        return;
    }
    if (!known(d->state->leak_since))
        d->state->leak_since = d->now;
    uint64_t left = rate_exhaustion(host->headroom, outside);
    uint64_t watch = max_u64(left / LEAK_CONFIRM_DIVISOR, LEAK_CONFIRM);
    if (left > LEAK_CONFIRM &&
        since(d->now, d->state->leak_since) < min_u64(watch, LEAK_CONFIRM_MOST))
        return;
    culprit_seen(d, outside);
    plan_alert_host(
        d, REASON_LEAK_OUTSIDE, POOL_INDEX_HOST, ALERT_INTERVAL, pool_deficit(d, host, host->band));
    if (!critical)
        return;
    /* Near the wall it slows down without ending. */
    if (!leak_holds(d, host) || outside > d->state->leak_rate)
        d->state->leak_rate = outside;
    d->state->leak_at = d->now;
}

/* What those who cannot be paused will not take within the horizon, because they end before. */
static uint64_t unstoppable_excess(const struct decision *d, const struct pool_view *pool)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < d->vm_count; i++)
        if ((d->vms[i].traits & TRAIT_USABLE) && !(d->vms[i].traits & TRAIT_PAUSABLE) &&
            node_confines(d, pool, i))
            sum = add_held(sum, relief_growth_excess(d, i, HORIZON));
    return sum;
}

/* Bytes all candidates of one kind would free together. */
static uint64_t relief_of(
    const struct decision *d, const struct pool_view *pool, uint32_t traits, bool last_too)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < d->vm_count; i++)
        if ((d->vms[i].traits & traits) == traits && node_confines(d, pool, i) &&
            (last_too || decision_rules(d, i)->sacrifice == SACRIFICE_NORMAL))
            sum = add_held(sum, relief_kill(d, pool, i));
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

/* Fills RET_CASE and returns true when POOL's floor cannot be kept by anything milder, as enforced
 * guests see it, or as it looks to those in dry run. */
static bool kill_needed(
    const struct decision *d, uint32_t index, bool dry_run, struct kill_case *ret_case)
{
    const struct pool_view *pool = &d->plan->assessment.pools[index];
    if (!known(pool->total) || pool->band != BAND_CRITICAL)
        return false;
    int64_t remaining = pause_remaining_fill(d, pool, dry_run);
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
    uint64_t reaction = rate_bytes(unstoppable, KILL_LATENCY + KILL_POLL);
    if (add_held(has, coming) > add_held(below, reaction))
        return false;

    uint64_t wanted = add_held(pool_leave(d, pool, BAND_CRITICAL), below);
    wanted = add_held(
        wanted, sub_or_zero(rate_bytes(unstoppable, HORIZON), unstoppable_excess(d, pool)));
    bool leak = leak_holds(d, pool);
    if (leak)
        wanted = add_held(wanted, rate_bytes(d->state->leak_rate, LEAK_HOLD));
    *ret_case = (struct kill_case){
        .pool = pool,
        .index = index,
        .deficit = max_u64(sub_or_zero(wanted, add_held(has, coming)), 1),
    };
    uint64_t used = sub_or_zero(pool->total, pool->available);
    bool minority = pool->kind != POOL_BUDGET && guests_part(d, pool) < used / 2 &&
                    relief_of(d, pool, TRAIT_KILLABLE, true) < ret_case->deficit;
    ret_case->leak = leak || minority;
    return true;
}

/* ---- who ---- */

static uint64_t loss_of(const struct decision *d, uint32_t position)
{
    return loss_kill(decision_vm(d, position), decision_rules(d, position));
}

/* A loses less per byte than B; of equals, the larger. */
static bool cheaper_per_byte(
    const struct decision *d, const struct pool_view *pool, uint32_t a, uint32_t b)
{
    __extension__ typedef unsigned __int128 wide;
    uint64_t relief_a = relief_kill(d, pool, a), relief_b = relief_kill(d, pool, b);
    wide left = (wide)loss_of(d, a) * relief_b, right = (wide)loss_of(d, b) * relief_a;
    return left != right ? left < right : relief_a > relief_b;
}

static bool loses_less(
    const struct decision *d, const struct pool_view *pool, uint32_t a, uint32_t b)
{
    uint64_t loss_a = loss_of(d, a), loss_b = loss_of(d, b);
    if (loss_a != loss_b)
        return loss_a < loss_b;
    uint32_t refused_a = d->vms[a].traits & TRAIT_REFUSED,
             refused_b = d->vms[b].traits & TRAIT_REFUSED;
    if (refused_a != refused_b)
        return refused_a > refused_b;
    return relief_kill(d, pool, a) < relief_kill(d, pool, b); /* no more than it takes */
}

static uint32_t best(const struct decision *d, const struct kill_case *kill, bool last_too,
    uint64_t at_least,
    bool (*before)(const struct decision *, const struct pool_view *, uint32_t, uint32_t))
{
    uint32_t chosen = UINT32_MAX;
    for (uint32_t i = 0; i < d->vm_count; i++) {
        if (!(d->vms[i].traits & TRAIT_CANDIDATE) || relief_kill(d, kill->pool, i) < at_least)
            continue;
        if (!last_too && decision_rules(d, i)->sacrifice != SACRIFICE_NORMAL)
            continue;
        if (chosen == UINT32_MAX || before(d, kill->pool, i, chosen))
            chosen = i;
    }
    return chosen;
}

static uint32_t choose(const struct decision *d, const struct kill_case *kill)
{
    uint32_t alone = best(d, kill, false, kill->deficit, loses_less);
    if (alone != UINT32_MAX)
        return alone;
    bool normal_covers = relief_of(d, kill->pool, TRAIT_CANDIDATE, false) >= kill->deficit;
    if (!normal_covers || kill->leak)
        alone = best(d, kill, true, kill->deficit, loses_less);
    if (alone != UINT32_MAX)
        return alone;
    if (kill->leak)
        return UINT32_MAX; /* it takes more than one, and so the first would not help */
    uint32_t cheapest = best(d, kill, false, 1, cheaper_per_byte);
    if (!normal_covers || cheapest == UINT32_MAX)
        cheapest = best(d, kill, true, 1, cheaper_per_byte);
    return cheapest;
}

static bool mark_candidates(struct decision *d, const struct kill_case *kill, bool enforced)
{
    bool any = false;
    for (uint32_t i = 0; i < d->vm_count; i++) {
        d->vms[i].traits &= ~(uint32_t)TRAIT_CANDIDATE;
        uint32_t traits = d->vms[i].traits;
        if (!(traits & TRAIT_KILLABLE) || !!(traits & TRAIT_ENFORCED) != enforced)
            continue;
        if ((decision_state(d, i)->marks & MARK_KILLED_DRY) || !node_confines(d, kill->pool, i) ||
            relief_kill(d, kill->pool, i) == 0)
            continue;
        if (is_restarted(d, i)) {
            if (since(d->now, d->state->alerted[REASON_RESTARTED_VICTIM]) >= ALERT_INTERVAL &&
                plan_alert_vm(d, REASON_RESTARTED_VICTIM, i, kill->index))
                d->state->alerted[REASON_RESTARTED_VICTIM] = d->now;
            continue;
        }
        d->vms[i].traits |= TRAIT_CANDIDATE;
        any = true;
    }
    return any;
}

static bool kill_one(struct decision *d, const struct kill_case *kill, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    struct vm_state *state = decision_state(d, position);
    struct action *action = plan_add(d, ACTION_KILL, REASON_KILL_FLOOR, position, kill->index);
    if (!action)
        return false;
    action->relief = relief_kill(d, kill->pool, position);
    action->predicted = relief_kill_time(vm, action->relief);
    action->loss = loss_of(d, position);
    action->deficit = kill->deficit;
    action->orderly = lasts(d, KILL_PATIENCE_MOST);
    if (action->orderly)
        action->predicted = add_held(action->predicted, KILL_ORDERLY_TIME);
    d->vms[position].traits |= TRAIT_IN_ACTION;
    if (!(d->vms[position].traits & TRAIT_ENFORCED)) {
        state->marks |= MARK_KILLED_DRY;
        return true;
    }
    state->kill_asked = d->now;
    if (kill->leak)
        d->state->leak_killed_at = d->now;
    state_remember_destruction(d->state, d->now, vm->identity.uuid);
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
    struct kill_case kill;
    if (!kill_needed(d, index, !enforced, &kill))
        return false;
    bool any = mark_candidates(d, &kill, enforced);
    bool again = kill.leak && since(d->now, d->state->leak_killed_at) < LEAK_HOLD;
    uint32_t victim = any && !again ? choose(d, &kill) : UINT32_MAX;
    if (victim == UINT32_MAX) {
        if (kill.leak) {
            culprit_recall(d);
            plan_alert_host(d, REASON_LEAK_OUTSIDE, index, ALERT_INTERVAL, kill.deficit);
        } else if (enforced || d->rules->host.mode == MODE_DRY_RUN) {
            plan_alert_host(d, REASON_NO_VICTIM, index, ALERT_INTERVAL, kill.deficit);
        }
        return false;
    }
    if (enforced && breaker_open(d)) {
        plan_alert_host(
            d, REASON_BREAKER, index, d->rules->host.max_destructive_window, kill.deficit);
        return false;
    }
    return kill_one(d, &kill, victim);
}

void kill_victim(struct decision *d)
{
    culprit_observe(d);
    leak_watch(d);
    if (d->state->kill.identity.pid != 0 || d->now < d->rules->host.kills_from)
        return;
    bool done = false;
    uint32_t pools = d->plan->assessment.pool_count;
    for (uint32_t i = 0; i < pools && !done && d->rules->host.mode == MODE_ENFORCE; i++)
        done = kill_for(d, i, true);
    for (uint32_t i = 0; i < pools && !done; i++)
        done = kill_for(d, i, false);
}
