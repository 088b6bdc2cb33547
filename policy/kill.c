/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the last rung. Somebody is killed only if the floor is reached within the time a kill takes,
 * counting what is already under way, and pausing cannot prevent it:
 *
 *     headroom + pending balloons - (fill that no pause can stop) × (latency + poll) <= 0
 *
 * Where libvirt can have the victim's QEMU end in order that is waited for, and begun so much
 * earlier; once the time for it is over there is SIGKILL alone.
 *
 * Pending balloons count only while there is time to see them come. The deficit to cover is what
 * brings headroom back out of critical, and what goes on filling until the horizon.
 *
 * Guests do not die for others' leaks: where most of the fill is not guests' growth (leak.c), or
 * most of what is used is not the guests' and all of them together would not suffice, a kill must
 * cover the whole deficit and what the leak takes in ten minutes, and there is one such kill in ten
 * minutes; else nobody dies, but for one in ten minutes that comes in by a migration, whose source
 * goes on.
 *
 * Who it is, victim.c says. One at a time: the next waits until the bytes show, or the predicted
 * time has passed twice, and a second; longer for a victim that is slow to die, while there is
 * time. But where what one brings would be gone before the next could die, so many go at once that
 * what they bring lasts. Nor is anybody killed while a save or shutdown can be waited for
 * (ends.c); when there is no time for that any more, whoever was to end by it is no safer from a
 * kill than before.
 *
 * On a NUMA node only guests bound to it count, as growers and as victims: what else fills it ends
 * by itself, and a node that is full is no reason as long as none of them grows.
 *
 * Dry run: enforced guests are chosen as if the others could not be killed, because they will not
 * be. What a dry run would have killed counts as pending for other dry-run guests alone, until
 * critical is over.
 */
#include "kill.h"

#include "arrival.h"
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

/* A guard before us killed them, and they are still dying, which takes seconds for large guests:
 * what they free is awaited as if the kills had been ours. */
static void adopt_dying(struct decision *d)
{
    const struct pool_view *host = &d->plan->assessment.pools[POOL_INDEX_HOST];
    struct kill_pending *pending = &d->state->kill;
    for (uint32_t i = 0; i < d->vm_count && known(host->total); i++) {
        const struct vm_snapshot *vm = decision_vm(d, i);
        if (!(vm->measures.in_force & VM_MEASURE_KILLED) || vm->process_state == VM_PROCESS_DEAD)
            continue;
        uint64_t relief = relief_kill(d, host, i);
        struct kill_pending dying = {.count = 1,
            .victims = {vm->identity},
            .asked = vm->measures.killed_since,
            .predicted = relief_kill_time(vm, relief),
            .relief = relief,
            .available = host->available,
            .pool = POOL_INDEX_HOST};
        if (!is_awaited(d, &dying, true) || pending->count == KILLS_AT_ONCE)
            continue;
        if (pending->count == 0)
            *pending = (struct kill_pending){
                .asked = dying.asked, .available = dying.available, .pool = dying.pool};
        pending->victims[pending->count++] = vm->identity;
        pending->asked = max_u64(pending->asked, dying.asked);
        pending->predicted = add_held(pending->predicted, dying.predicted);
        pending->relief = add_held(pending->relief, dying.relief);
    }
}

static bool is_victim(const struct kill_pending *pending, const struct vm_identity *identity)
{
    for (uint32_t i = 0; i < pending->count; i++)
        if (vm_identity_equal(&pending->victims[i], identity))
            return true;
    return false;
}

void kill_settle(struct decision *d)
{
    struct kill_pending *pending = &d->state->kill;
    if (pending->count == 0) {
        adopt_dying(d);
        return;
    }
    uint32_t dead = 0, alive = 0, dying = 0;
    for (uint32_t i = 0; i < d->vm_count; i++) {
        const struct vm_snapshot *vm = decision_vm(d, i);
        if (!is_victim(pending, &vm->identity))
            continue;
        bool lives = vm->process_state != VM_PROCESS_DEAD;
        dead += !lives;
        alive += lives;
        dying += lives && (vm->measures.in_force & VM_MEASURE_KILLED);
    }
    const struct pool_view *pool = &d->plan->assessment.pools[pending->pool];
    bool rose = known(pool->total) &&
                sub_or_zero(pool->available, pending->available) >= pending->relief / 2;
    /* Host figures may be older than the scan that missed the victim: one more snapshot. */
    bool over = dead > 0 && alive == 0 && rose;
    if (pending->gone || over || !is_awaited(d, pending, dying > 0)) {
        *pending = (struct kill_pending){0};
        return;
    }
    pending->gone = dead == 0 && alive == 0;
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
        .dry_run = dry_run,
    };
    uint64_t used = sub_or_zero(pool->total, pool->available);
    bool minority = pool->kind != POOL_BUDGET && guests_part(d, pool) < used / 2 &&
                    victim_relief(d, pool, TRAIT_KILLABLE) < ret_case->deficit;
    ret_case->leak = leak || minority;
    return true;
}

/* The floor is reached within the time that a kill takes, with ORDERLY before it, or by the time of
 * the next look, if that is as late as the last ones. */
static bool is_due(const struct decision *d, const struct victim_case *kill, uint64_t orderly)
{
    uint64_t time = orderly + KILL_LATENCY + KILL_POLL + d->state->late;
    uint64_t taken = sub_or_zero(rate_bytes(kill->filling, time), kill_excess(d, kill->pool, time));
    return kill->has <= add_held(kill->below, taken);
}

bool kill_presses(const struct decision *d)
{
    const struct kill_pending *pending = &d->state->kill;
    struct victim_case kill;
    return pending->count > 0 && kill_case(d, pending->pool, false, &kill) && kill.filling > 0 &&
           is_due(d, &kill, 0);
}

/* libvirt is there, and QEMU runs and hears what it is asked. One that comes in has no images to
 * close, and may run the next moment. */
static bool may_end_in_order(const struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    bool hears = vm->callable && vm->monitor == VM_MONITOR_READY &&
                 vm->process_state != VM_PROCESS_STOPPED &&
                 !(vm->measures.in_force & VM_MEASURE_FROZEN);
    return hears && !vm_is_incoming(vm) && kill_has_time(d, KILL_PATIENCE_MOST);
}

/* Marks whom rules, facts and the breaker leave. False: nobody, or nobody who could go as early as
 * now. */
static bool mark_candidates(
    struct decision *d, struct victim_case *kill, bool enforced, bool incoming)
{
    bool any = false; /* who could go now */
    for (uint32_t i = 0; i < d->vm_count; i++) {
        d->vms[i].traits &= ~(uint32_t)TRAIT_CANDIDATE;
        if (!(d->vms[i].traits & TRAIT_KILLABLE) || !victim_counts(d, kill, i, enforced) ||
            (incoming && !vm_is_incoming(decision_vm(d, i))))
            continue;
        if (victim_is_barred(d, kill, i)) {
            kill->barred = true;
            continue;
        }
        d->vms[i].traits |= TRAIT_CANDIDATE;
        any = any || kill->ahead == 0 || may_end_in_order(d, i);
    }
    return any;
}

/* False: nobody. For a leak of others somebody dies only if that is enough, and not twice; but one
 * that comes in loses nothing by it, and KILL is no leak's any more. */
static bool choose(
    struct decision *d, struct victim_case *kill, bool enforced, struct victim_choice *ret_choice)
{
    bool again = kill->leak && since(d->now, d->state->leak.killed_at) < LEAK_HOLD;
    if (mark_candidates(d, kill, enforced, false) && !again && victim_choose(d, kill, ret_choice))
        return true;
    kill->barred = kill->barred && !again; /* else it is not the breaker that spares them */
    if (!kill->leak || since(d->now, d->state->leak.incoming_at) < LEAK_HOLD ||
        !mark_candidates(d, kill, enforced, true))
        return false;
    kill->leak = false;
    return victim_choose(d, kill, ret_choice);
}

/* Whoever goes in one look, for one case. */
struct batch {
    uint32_t count;
    uint32_t positions[KILLS_AT_ONCE];
    uint64_t relief; /* bytes of all */
    uint64_t time;   /* of the slowest, ns … */
    uint64_t
        in_turn; /* … and of all, were it one after the other: nobody has measured them together */
};

static struct action *kill_one(struct decision *d, const struct victim_case *kill,
    uint32_t position, bool orderly, struct batch *batch)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    bool arrives = vm_is_incoming(vm);
    struct action *action = plan_add(
        d, ACTION_KILL, arrives ? REASON_KILL_INCOMING : REASON_KILL_FLOOR, position, kill->index);
    if (!action)
        return NULL;
    action->relief = relief_kill(d, kill->pool, position);
    action->predicted = relief_kill_time(vm, action->relief);
    action->loss = loss_kill(vm, decision_rules(d, position));
    action->deficit = kill->deficit;
    action->orderly = orderly;
    if (orderly)
        action->predicted = add_held(action->predicted, KILL_ORDERLY_TIME);
    batch->positions[batch->count++] = position;
    batch->relief = add_held(batch->relief, action->relief);
    batch->time = max_u64(batch->time, action->predicted);
    batch->in_turn = add_held(batch->in_turn, action->predicted);
    d->vms[position].traits |= TRAIT_IN_ACTION;
    if (!(d->vms[position].traits & TRAIT_ENFORCED))
        decision_state(d, position)->marks |= MARK_KILLED_DRY;
    else if (!arrives) /* else nothing is lost, and it may come again */
        state_remember_destruction(d->state, d->now, &vm->identity);
    return action;
}

/* What BATCH brings, and what its guests will not take any more, lasts until another could die: to
 * the floor, or, below it already, as long as there is memory at all. A guest that was paused a
 * moment ago is no part of what fills. */
static bool is_enough(
    const struct decision *d, const struct victim_case *kill, const struct batch *batch)
{
    uint64_t time = batch->time + KILL_POLL + KILL_LATENCY + KILL_POLL + d->state->late;
    uint64_t taken = sub_or_zero(rate_bytes(kill->filling, time), kill_excess(d, kill->pool, time));
    for (uint32_t i = 0; i < batch->count; i++) {
        uint32_t position = batch->positions[i];
        if (!(d->vms[position].traits & TRAIT_PAUSABLE) &&
            decision_state(d, position)->settling == 0)
            taken = sub_or_zero(taken, relief_growth_bytes(d, position, time));
    }
    if (kill->filling <= 0 || taken == 0)
        return true;
    uint64_t below = kill_has_time(d, time) ? 0 : kill->below;
    return add_held(kill->has, batch->relief) > add_held(below, taken);
}

static void batch_await(
    struct decision *d, const struct victim_case *kill, const struct batch *batch)
{
    struct kill_pending pending = {
        .count = batch->count,
        .asked = d->now,
        .predicted = batch->in_turn,
        .relief = batch->relief,
        .available = kill->pool->available,
        .pool = kill->index,
    };
    for (uint32_t i = 0; i < batch->count; i++)
        pending.victims[i] = decision_vm(d, batch->positions[i])->identity;
    d->state->kill = pending;
}

/* Who goes first by CHOICE, and unless ALONE of those who are to follow as many as cannot wait;
 * true: one goes. Nobody goes by SIGKILL before the first would have to. */
static bool kill_set(struct decision *d, const struct victim_case *kill,
    struct victim_choice *choice, bool orderly, bool alone)
{
    struct batch batch = {0};
    struct choice why;
    victim_explain(d, kill, choice, &why);
    struct action *first = kill_one(d, kill, choice->position, orderly, &batch);
    if (!first)
        return false;
    first->choice = why;
    alone = alone || why.rival.reason != RIVAL_NEXT;
    while (!alone && batch.count < KILLS_AT_ONCE && !is_enough(d, kill, &batch) &&
           victim_follow(d, kill, choice)) {
        bool in_order = orderly && may_end_in_order(d, choice->position);
        if (kill->ahead > 0 && !in_order)
            break;
        struct action *next = kill_one(d, kill, choice->position, in_order, &batch);
        if (!next)
            break;
        first->choice.rival.reason = RIVAL_TOGETHER;
        next->choice = why;
        next->choice.rival = (struct rival){.slot = first->slot, .reason = RIVAL_TOGETHER};
    }
    if (d->vms[batch.positions[0]].traits & TRAIT_ENFORCED)
        batch_await(d, kill, &batch);
    return true;
}

static void alert_nobody(
    struct decision *d, const struct victim_case *kill, bool leak, bool enforced)
{
    const struct host_rules *host = &d->rules->host;
    if (leak) {
        culprit_recall(d);
        plan_alert_host(d, REASON_LEAK_OUTSIDE, kill->index, ALERT_INTERVAL, kill->deficit);
    }
    if (kill->barred)
        plan_alert_host(
            d, REASON_BREAKER, kill->index, host->max_destructive_window, kill->deficit);
    else if (!leak && (enforced || host->mode == MODE_DRY_RUN))
        plan_alert_host(d, REASON_NO_VICTIM, kill->index, ALERT_INTERVAL, kill->deficit);
}

/* True when somebody was killed, or would have been. */
static bool kill_for(struct decision *d, uint32_t index, bool enforced)
{
    struct victim_case kill;
    struct victim_choice choice;
    if (!kill_case(d, index, !enforced, &kill) || !is_due(d, &kill, KILL_ORDERLY_TIME))
        return false;
    bool now = is_due(d, &kill, 0), leak = kill.leak;
    if (!now)
        kill.ahead = KILL_ORDERLY_TIME;
    if (!choose(d, &kill, enforced, &choice)) {
        if (now)
            alert_nobody(d, &kill, leak, enforced);
        return false;
    }
    /* In order as long as it costs nobody anything. */
    bool orderly = may_end_in_order(d, choice.position) && (!now || kill.filling == 0);
    bool arrives = vm_is_incoming(decision_vm(d, choice.position));
    if ((!now && !orderly) || !kill_set(d, &kill, &choice, orderly, leak))
        return false;
    if (enforced && leak)
        *(arrives ? &d->state->leak.incoming_at : &d->state->leak.killed_at) = d->now;
    return true;
}

static bool is_open(const struct decision *d, bool enforced)
{
    return d->state->kill.count == 0 && !d->ending && d->now >= d->rules->host.kills_from &&
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
