/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns how a forecast begins, and how a plan is carried out in it: what is asked for shows in the
 * measures as the guard's ledger would show it, and takes hold after as long as it was measured to
 * take (forecast_world.c).
 */
#include "forecast_world.h"

#include "pool.h"
#include "relief.h"

/* ---- the beginning ---- */

/* What it grows by while it is let. */
static int64_t growth_of(const struct vm_snapshot *vm, const struct vm_state *state, uint64_t now)
{
    int64_t growth =
        since(now, state->growth.time) <= GROWTH_STALE ? rate_confirmed(&state->growth) : 0;
    if (vm->measures.in_force & VM_MEASURE_PAUSE)
        growth = state->growth_before;
    else if ((vm->measures.in_force & VM_MEASURE_BRAKED) && state->brake_growth > growth)
        growth = state->brake_growth;
    return growth >= (int64_t)GROWTH_LEAST ? growth : 0;
}

static void guest_begin(struct forecast_guest *guest, const struct vm_snapshot *vm,
    const struct vm_state *state, enum band band, uint64_t now)
{
    uint32_t in_force = vm->measures.in_force;
    bool same = vm_identity_equal(&state->identity, &vm->identity);
    *guest = (struct forecast_guest){
        .identity = vm->identity,
        .blind = !known(vm->sampled) || !known(vm->rss),
        .stuck = same && known(state->stuck_until) && now < state->stuck_until,
        .next_look = add_held(vm->sampled, forecast_look_interval[band]),
        .growth = same ? growth_of(vm, state, now) : 0,
        .stop_done = in_force & VM_MEASURE_STOP_SENT ? now + FORECAST_STOP : NEVER,
        .freeze_done = NEVER,
        .resume_done = in_force & VM_MEASURE_RESUMING ? now + FORECAST_RESUME : NEVER,
        .end_done = NEVER,
        .reclaim_done = NEVER,
    };
    if (in_force & VM_MEASURE_ENDING)
        guest->end_done = max_u64(vm->measures.ending_until, now);
    if (in_force & VM_MEASURE_KILLED)
        guest->end_done = now + relief_kill_time(vm, known_or(vm->rss, 0));
    if (known(vm->reclaim.asked) && !known(vm->reclaim.answered)) {
        guest->piece = RECLAIM_PIECE_MIN;
        guest->reclaim_done = now + RECLAIM_WATCH;
    }
}

void forecast_world_begin(
    struct forecast_world *world, const struct policy_state *state, enum band band)
{
    const struct snapshot *snapshot = world->snapshot;
    const struct rate *fill = &state->pools[POOL_INDEX_HOST].fill;
    int64_t growths = 0;
    __builtin_memset(world->guests, 0, snapshot->vm_capacity * sizeof(*world->guests));
    for (uint32_t i = 0; i < snapshot->vm_count; i++) {
        const struct vm_snapshot *vm = &snapshot->vms[i];
        struct forecast_guest *guest = &world->guests[vm->slot];
        guest_begin(guest, vm, &state->vms[vm->slot], band, snapshot->time);
        if (!(vm->measures.in_force & VM_MEASURE_PAUSE))
            growths = rate_sum(growths, guest->growth);
    }
    int64_t others = rate_sum(rate_confirmed(fill), -growths);
    uint64_t total = known_or(snapshot->host.total, 0);
    bool counts =
        others > 0 && (uint64_t)others > max_u64(FILL_IGNORED, total / FILL_IGNORED_DIVISOR);
    world->others = counts ? others : 0;
}

/* ---- a plan ---- */

static void act_balloon(struct vm_snapshot *vm, const struct action *action, uint64_t now)
{
    struct vm_measures *measures = &vm->measures;
    if (!known(action->target)) {
        measures->in_force &= ~(uint32_t)VM_MEASURE_BALLOON;
        return;
    }
    if (!(measures->in_force & VM_MEASURE_BALLOON)) {
        if (action->target >= vm->balloon.actual)
            return;
        measures->balloon_before = vm->balloon.actual;
    }
    measures->in_force |= VM_MEASURE_BALLOON;
    measures->balloon_target = action->target;
    measures->balloon_since = now;
}

static void act_resize(struct vm_snapshot *vm, const struct action *action, uint64_t now)
{
    struct vm_measures *measures = &vm->measures;
    if (!known(action->target)) {
        measures->in_force &= ~(uint32_t)VM_MEASURE_RESIZE;
        return;
    }
    if (!(measures->in_force & VM_MEASURE_RESIZE))
        measures->resize.before = vm->resizable.requested;
    measures->in_force |= VM_MEASURE_RESIZE;
    measures->resize_previous = UNKNOWN;
    measures->resize.set = vm->resizable.requested = action->target;
    vm->resizable.asked = vm->resizable.answered = vm->resizable.updated = now;
    vm->resizable.result = 0;
}

static void act_pause(struct vm_snapshot *vm, struct forecast_guest *guest, uint64_t now)
{
    if (!(vm->measures.in_force & VM_MEASURE_PAUSE))
        vm->measures.paused_since = now;
    vm->measures.in_force |= VM_MEASURE_STOP_SENT;
    guest->stop_done = now + FORECAST_STOP;
}

static void act_freeze(struct vm_snapshot *vm, struct forecast_guest *guest, uint64_t now)
{
    if (!(vm->measures.in_force & VM_MEASURE_PAUSE))
        vm->measures.paused_since = now;
    vm->measures.in_force |=
        vm->vcpu_cgroups == TRISTATE_YES ? VM_MEASURE_FROZEN_CGROUP : VM_MEASURE_FROZEN_SIGNAL;
    guest->freeze_done = now + FORECAST_FREEZE;
}

static void act_end(struct vm_snapshot *vm, struct forecast_guest *guest,
    const struct action *action, uint32_t measure, uint64_t now)
{
    vm->measures.in_force |= measure;
    vm->measures.ending_until = add_held(now, action->deadline);
    guest->end_done = add_held(now, action->predicted);
}

static void act_contain(struct vm_snapshot *vm, const struct action *action, uint64_t now)
{
    struct vm_contained *contained = &vm->measures.limits[action->limit];
    uint32_t bit = VM_LIMIT_BIT(action->limit);
    if (known(action->target)) {
        if (!(vm->measures.contained & bit))
            contained->before = vm->limits.values[action->limit];
        contained->set = vm->limits.values[action->limit] = action->target;
        vm->measures.contained |= bit;
        vm->measures.in_force |= VM_MEASURE_CONTAIN;
    } else {
        vm->limits.values[action->limit] = contained->before;
        vm->measures.contained &= ~bit;
        if (vm->measures.contained == 0)
            vm->measures.in_force &= ~(uint32_t)VM_MEASURE_CONTAIN;
    }
    vm->limits.written = action->limit;
    vm->limits.previous = UNKNOWN;
    vm->limits.asked = vm->limits.answered = now;
    vm->limits.result = 0;
}

static void act_memlock(struct vm_snapshot *vm, const struct action *action)
{
    vm->measures.in_force &= ~(uint32_t)VM_MEASURE_MEMLOCK;
    if (!known(action->target))
        return;
    vm->measures.in_force |= VM_MEASURE_MEMLOCK;
    vm->measures.memlock_set = vm->memlock_soft = vm->memlock_hard = action->target;
}

static void act_on_guest(
    struct vm_snapshot *vm, struct forecast_guest *guest, const struct action *action, uint64_t now)
{
    struct vm_measures *measures = &vm->measures;
    switch (action->kind) {
    case ACTION_BALLOON:
        act_balloon(vm, action, now);
        break;
    case ACTION_RESIZE:
        act_resize(vm, action, now);
        break;
    case ACTION_RECLAIM:
        vm->reclaim.asked = now;
        vm->reclaim.answered = UNKNOWN;
        guest->piece = action->target;
        guest->reclaim_done = add_held(now, max_u64(action->predicted, 1));
        break;
    case ACTION_BRAKE:
        measures->in_force |= VM_MEASURE_BRAKED;
        measures->braked_since = now;
        break;
    case ACTION_RELEASE:
        measures->in_force &= ~(uint32_t)VM_MEASURE_BRAKED;
        break;
    case ACTION_PAUSE:
        act_pause(vm, guest, now);
        break;
    case ACTION_FREEZE:
        act_freeze(vm, guest, now);
        break;
    case ACTION_THAW:
        measures->in_force &= ~(uint32_t)VM_MEASURE_FROZEN;
        guest->freeze_done = NEVER;
        break;
    case ACTION_RESUME:
        measures->in_force |= VM_MEASURE_RESUMING;
        guest->resume_done = now + FORECAST_RESUME;
        break;
    case ACTION_SAVE:
        act_end(vm, guest, action, VM_MEASURE_SAVING, now);
        break;
    case ACTION_SHUTDOWN:
        act_end(vm, guest, action, VM_MEASURE_SHUTTING_DOWN, now);
        break;
    case ACTION_KILL:
        measures->in_force |= VM_MEASURE_KILLED;
        measures->killed_since = now;
        guest->end_done = add_held(now, action->predicted);
        break;
    case ACTION_OOM_SCORE:
        measures->in_force |= VM_MEASURE_OOM_SCORE;
        measures->oom_score_set = vm->oom_score_adj = action->oom_score_adj;
        break;
    case ACTION_MEMLOCK:
        act_memlock(vm, action);
        break;
    case ACTION_CONTAIN:
        act_contain(vm, action, now);
        break;
    case ACTION_ALERT:
    case ACTION_KIND_COUNT:
        break;
    }
}

void forecast_world_act(struct forecast_world *world, const struct action *action)
{
    struct snapshot *snapshot = world->snapshot;
    for (uint32_t i = 0; i < snapshot->vm_count; i++) {
        struct vm_snapshot *vm = &snapshot->vms[i];
        if (vm->slot == action->slot && vm_identity_equal(&vm->identity, &action->identity))
            act_on_guest(vm, &world->guests[vm->slot], action, snapshot->time);
    }
}
