/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns saving and shutting down: what takes the place of a kill where there is time. The victim is
 * the one that a kill would take (victim.c), so no guest is saved before a lesser one is gone; it
 * is saved if its rules and libvirt allow it, else asked to shut down, and if time is short for
 * both it is left to kill.c. That waits for the last moment; this begins as soon as, in critical,
 * the floor would be reached before the slowest of both could be over.
 *
 * Time left is until the floor, of host, budget and the pool that is short, without what balloons
 * may yet bring. A save stops its guest first (qemuDomainSaveInternal() of libvirt), so what that
 * grows by is no fill; but what of it lies in swap comes back to be written. A memory.high would
 * have that take for ever: ours goes before the save begins, and under one of somebody else's a
 * guest that is in swap is not saved. Below the floor there is time only where nothing fills any
 * more.
 *
 * While one is under way nobody is killed, as long as what is available, the floor given up, leaves
 * time for a kill. It has failed when its measure is gone and its guest is not, or when its time is
 * over: then that rung is closed for this guest for a while, and the next one's turn.
 *
 * A guest that stands paused by us is no grower and frees nothing; it can be saved like any other,
 * and cannot hear a shutdown. Dry run as in kill.c.
 */
#include "ends.h"

#include "contain.h"
#include "kill.h"
#include "node.h"
#include "observe.h"
#include "pause.h"
#include "plan_add.h"
#include "pool.h"
#include "relief.h"

/* ---- what is under way ---- */

static uint32_t position_of(const struct decision *d, const struct vm_identity *identity)
{
    for (uint32_t i = 0; i < d->vm_count; i++)
        if ((d->vms[i].traits & TRAIT_USABLE) &&
            vm_identity_equal(&decision_vm(d, i)->identity, identity))
            return i;
    return UINT32_MAX;
}

static uint32_t measure_of(enum action_kind kind)
{
    return kind == ACTION_SAVE ? VM_MEASURE_SAVING : VM_MEASURE_SHUTTING_DOWN;
}

/* A guard before us has begun it. */
static void adopt(struct decision *d)
{
    const struct pool_view *host = &d->plan->assessment.pools[POOL_INDEX_HOST];
    for (uint32_t i = 0; i < d->vm_count && known(host->total); i++) {
        const struct vm_snapshot *vm = decision_vm(d, i);
        if (!(vm->measures.in_force & VM_MEASURE_ENDING) || vm_is_going(vm) ||
            !(d->vms[i].traits & TRAIT_USABLE))
            continue;
        bool saves = vm->measures.in_force & VM_MEASURE_SAVING;
        d->state->end = (struct end_pending){.identity = vm->identity,
            .kind = saves ? ACTION_SAVE : ACTION_SHUTDOWN,
            .deadline = vm->measures.ending_until,
            .relief = relief_kill(d, host, i),
            .available = host->available,
            .pool = POOL_INDEX_HOST};
        return;
    }
}

/* Its process is gone: what it held is awaited as a killed one's. */
static void hand_over(struct decision *d)
{
    const struct end_pending *end = &d->state->end;
    if (d->state->kill.count > 0)
        return; /* a kill came beside it, and is awaited */
    d->state->kill = (struct kill_pending){.count = 1,
        .victims = {end->identity},
        .asked = d->now,
        .predicted = add_held(KILL_LATENCY, scale_u64(end->relief, NSEC_PER_SEC, KILL_RATE_SHARED)),
        .relief = end->relief,
        .available = end->available,
        .pool = end->pool};
}

void ends_settle(struct decision *d)
{
    struct end_pending *end = &d->state->end;
    if (end->identity.pid == 0)
        adopt(d);
    if (end->identity.pid == 0)
        return;
    uint32_t position = position_of(d, &end->identity);
    const struct vm_snapshot *vm = position == UINT32_MAX ? NULL : decision_vm(d, position);
    if (vm && !vm_is_going(vm)) {
        if ((vm->measures.in_force & measure_of(end->kind)) && d->now < end->deadline) {
            d->ending = kill_has_time(d, KILL_PATIENCE_MOST);
            return;
        }
        struct vm_state *state = decision_state(d, position);
        *(end->kind == ACTION_SAVE ? &state->save_after : &state->shutdown_after) =
            add_held(d->now, ENDS_BACKOFF);
    } else if (!vm || vm->process_state == VM_PROCESS_DEAD) {
        hand_over(d);
    }
    *end = (struct end_pending){0}; /* or it was killed, and is kill.c's */
}

/* ---- who can be ended so ---- */

/* Facts and rules that both rungs need. */
static bool is_open_to(const struct decision *d, uint32_t position, enum rung rung, uint64_t after)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    const struct vm_rules *rules = decision_rules(d, position);
    const uint32_t busy = VM_MEASURE_FROZEN | VM_MEASURE_STOP_SENT | VM_MEASURE_RESUMING |
                          VM_MEASURE_KILLED | VM_MEASURE_ENDING;
    return (rules->rungs & RUNG_BIT(rung)) && rules->sacrifice != SACRIFICE_NEVER && vm->callable &&
           vm->monitor == VM_MONITOR_READY && !(vm->measures.in_force & busy) &&
           vm->migration == VM_MIGRATION_NONE && vm->process_state != VM_PROCESS_STOPPED &&
           vm->process_state != VM_PROCESS_DEAD && vm->identity.pid > 0 && known(vm->sampled) &&
           known(vm->rss) && (!known(after) || d->now >= after);
}

/* What comes back from swap would have to push out as much, below a memory.high that stays. */
static bool is_squeezed(const struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    uint64_t high = contain_is_ours(vm, VM_LIMIT_MEMORY_HIGH)
                        ? vm->measures.limits[VM_LIMIT_MEMORY_HIGH].before
                        : vm->limits.values[VM_LIMIT_MEMORY_HIGH];
    uint64_t swap = known_or(vm->swap, 0);
    return known(high) && swap > 0 && add_held(d->vms[position].held, swap) > high;
}

static bool can_be_saved(const struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    return !is_squeezed(d, position) &&
           is_open_to(d, position, RUNG_SAVE, decision_state(d, position)->save_after) &&
           (vm->run_state == VM_RUN_RUNNING || vm->run_state == VM_RUN_PAUSED) &&
           vm->definition.savable == TRISTATE_YES && vm->definition.vfio_devices == 0 &&
           vm->wiring.vfio_groups == 0 && vm->wiring.iommufd == 0;
}

static bool can_be_shut_down(const struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    return is_open_to(d, position, RUNG_SHUTDOWN, decision_state(d, position)->shutdown_after) &&
           vm->run_state == VM_RUN_RUNNING && !(vm->measures.in_force & VM_MEASURE_PAUSE);
}

/* ---- whether there is time ---- */

/* Pools that must last, and what fills each; the same for all guests of one look. */
struct time_left {
    uint32_t count;
    const struct pool_view *pools[3];
    int64_t fill[3];
};

static struct time_left time_left(
    const struct decision *d, const struct victim_case *wanted, bool dry_run)
{
    const struct pool_view *pools = d->plan->assessment.pools;
    const struct pool_view *all[] = {
        &pools[POOL_INDEX_HOST], &pools[POOL_INDEX_BUDGET], wanted->pool};
    struct time_left left = {0};
    for (int i = 0; i < 3; i++) {
        if (!known(all[i]->total) || (i == 2 && all[i]->kind != POOL_NODE))
            continue;
        left.pools[left.count] = all[i];
        left.fill[left.count++] = pause_remaining_fill(d, all[i], dry_run);
    }
    return left;
}

/* STOPPED bytes a second will not be taken any more, and BACK bytes will come from swap. */
static bool lasts(const struct decision *d, const struct time_left *left, uint64_t time,
    int64_t stopped, uint64_t back)
{
    for (uint32_t i = 0; i < left->count; i++) {
        const struct pool_view *pool = left->pools[i];
        int64_t fill = pool_worth(pool, rate_sum(left->fill[i], -stopped));
        int64_t headroom = rate_sum(pool->headroom, -diff_i64(back, 0));
        bool enough = headroom > 0 ? rate_exhaustion(headroom, fill) > time
                                   : fill == 0 && kill_has_time(d, time);
        if (!enough)
            return false;
    }
    return left->count > 0;
}

static uint64_t save_time(const struct decision *d, uint32_t position)
{
    uint64_t bytes = add_held(d->vms[position].held, known_or(decision_vm(d, position)->swap, 0));
    return add_held(SAVE_LATENCY, scale_u64(bytes, NSEC_PER_SEC, SAVE_RATE));
}

static bool fits_save(const struct decision *d, const struct time_left *left, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    uint64_t time = save_time(d, position);
    bool runs = vm->run_state == VM_RUN_RUNNING && decision_state(d, position)->settling == 0;
    int64_t growth = runs ? relief_growth(d, position) : 0;
    return can_be_saved(d, position) && time <= SAVE_TIME_MAX &&
           lasts(d, left, time, growth > 0 ? growth : 0, known_or(vm->swap, 0));
}

static bool fits_shutdown(const struct decision *d, const struct time_left *left, uint32_t position)
{
    return can_be_shut_down(d, position) && lasts(d, left, SHUTDOWN_TIME, 0, 0);
}

/* ---- whether, and who ---- */

/* Costs a pass, and spares those that follow where nobody wants these rungs. */
static bool anybody(const struct decision *d, bool enforced)
{
    for (uint32_t i = 0; i < d->vm_count; i++)
        if ((d->vms[i].traits & TRAIT_USABLE) &&
            !!(d->vms[i].traits & TRAIT_ENFORCED) == enforced &&
            (can_be_saved(d, i) || can_be_shut_down(d, i)))
            return true;
    return false;
}

/* The floor would be reached before the slowest rung could be over. */
static bool is_due(const struct decision *d, const struct victim_case *wanted)
{
    uint64_t fill = sub_or_zero(
        rate_bytes(wanted->filling, ENDS_AHEAD), kill_excess(d, wanted->pool, ENDS_AHEAD));
    return wanted->has <= add_held(wanted->below, fill);
}

/* Everybody who could be ended, by a kill too: who is spared by it is not to be taken by this. */
static void mark_candidates(
    struct decision *d, struct victim_case *wanted, const struct time_left *left, bool enforced)
{
    for (uint32_t i = 0; i < d->vm_count; i++) {
        uint32_t traits = d->vms[i].traits;
        d->vms[i].traits &= ~(uint32_t)TRAIT_CANDIDATE;
        if (!(traits & TRAIT_USABLE) || (traits & TRAIT_IN_ACTION))
            continue;
        bool open = (traits & TRAIT_KILLABLE) || fits_save(d, left, i) || fits_shutdown(d, left, i);
        if (!open || !victim_counts(d, wanted, i, enforced))
            continue;
        if (!victim_is_barred(d, wanted, i))
            d->vms[i].traits |= TRAIT_CANDIDATE;
    }
}

/* The act is done in the plan's order. Where it cannot be now, contain.c sees to it. */
static void lift_our_high(struct decision *d, uint32_t position)
{
    if (!contain_is_ours(decision_vm(d, position), VM_LIMIT_MEMORY_HIGH) ||
        !(d->vms[position].traits & TRAIT_ENFORCED))
        return;
    struct action *lift = plan_add(d, ACTION_CONTAIN, REASON_CONTAIN_LIFT, position, 0);
    if (!lift)
        return;
    lift->limit = VM_LIMIT_MEMORY_HIGH;
    lift->target = UNKNOWN;
}

static bool end_one(struct decision *d, const struct victim_case *wanted,
    const struct victim_choice *choice, enum action_kind kind)
{
    uint32_t position = choice->position;
    const struct vm_snapshot *vm = decision_vm(d, position);
    bool saves = kind == ACTION_SAVE, paused = d->vms[position].traits & TRAIT_PAUSED;
    enum reason reason = !saves   ? REASON_SHUTDOWN_FLOOR
                         : paused ? REASON_SAVE_PAUSED
                                  : REASON_SAVE_FLOOR;
    if (saves)
        lift_our_high(d, position);
    struct action *action = plan_add(d, kind, reason, position, wanted->index);
    if (!action)
        return false;
    uint64_t time = saves ? save_time(d, position) : SHUTDOWN_TIME;
    action->relief = relief_kill(d, wanted->pool, position);
    action->predicted = add_held(time, relief_kill_time(vm, action->relief));
    action->deadline = saves ? scale_u64(time, SAVE_PATIENCE, 1) : time;
    action->loss = saves ? loss_save(decision_rules(d, position), time)
                         : loss_shutdown(decision_rules(d, position));
    action->deficit = wanted->deficit;
    victim_explain(d, wanted, choice, &action->choice);
    d->vms[position].traits |= TRAIT_IN_ACTION;
    if (!(d->vms[position].traits & TRAIT_ENFORCED)) {
        decision_state(d, position)->marks |= MARK_KILLED_DRY;
        return true;
    }
    if (wanted->leak)
        d->state->leak.killed_at = d->now;
    struct vm_identity identity = vm->identity;
    if (saves) /* loses nothing: who is started again after it may be taken again */
        __builtin_memset(identity.uuid, 0, UUID_SIZE);
    state_remember_destruction(d->state, d->now, &identity);
    d->state->end = (struct end_pending){.identity = vm->identity,
        .kind = kind,
        .deadline = add_held(d->now, action->deadline),
        .relief = action->relief,
        .available = wanted->pool->available,
        .pool = wanted->index};
    d->ending = true;
    return true;
}

/* True when somebody is to be ended, or would be. Where nobody can be, kill.c says so. */
static bool end_for(struct decision *d, uint32_t index, bool enforced)
{
    struct victim_case wanted;
    if (!kill_case(d, index, !enforced, &wanted) || !is_due(d, &wanted))
        return false;
    if (wanted.leak && since(d->now, d->state->leak.killed_at) < LEAK_HOLD)
        return false;
    struct time_left left = time_left(d, &wanted, !enforced);
    mark_candidates(d, &wanted, &left, enforced);
    struct victim_choice choice;
    if (!victim_choose(d, &wanted, &choice))
        return false;
    if (fits_save(d, &left, choice.position))
        return end_one(d, &wanted, &choice, ACTION_SAVE);
    return fits_shutdown(d, &left, choice.position) &&
           end_one(d, &wanted, &choice, ACTION_SHUTDOWN);
}

bool end_victim(struct decision *d, bool enforced)
{
    const struct assessment *assessment = &d->plan->assessment;
    bool done = assessment->band != BAND_CRITICAL || assessment->sprint ||
                d->state->kill.count > 0 || d->state->end.identity.pid != 0 ||
                d->now < d->rules->host.kills_from ||
                (enforced && d->rules->host.mode != MODE_ENFORCE);
    if (done || !anybody(d, enforced))
        return false;
    for (uint32_t i = 0; i < assessment->pool_count && !done; i++)
        done = end_for(d, i, enforced);
    return done;
}
