/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns what is known of each VM when a decision begins: how much it holds, how fast it grows, and
 * which rungs facts and rules leave open. A VM whose memory could not be read keeps its last known
 * size for the budget and is left alone otherwise.
 */
#include "observe.h"

#include "arrival.h"
#include "brake.h"
#include "relief.h"

static bool is_enforced(const struct decision *d, uint32_t position)
{
    return d->rules->host.mode == MODE_ENFORCE && decision_rules(d, position)->mode == MODE_ENFORCE;
}

bool vm_is_going(const struct vm_snapshot *vm)
{
    return vm->process_state == VM_PROCESS_DEAD || (vm->measures.in_force & VM_MEASURE_KILLED);
}

bool vm_is_wired(const struct vm_snapshot *vm)
{
    const struct vm_wiring *wiring = &vm->wiring;
    uint64_t wired = max_u64(known_or(vm->locked, 0), known_or(vm->pinned, 0));
    return wiring->vfio_groups > 0 || wiring->iommufd > 0 || wiring->vdpa > 0 ||
           wiring->encrypted == TRISTATE_YES || known_or(vm->hugetlb, 0) > 0 ||
           (known(vm->maximum) && wired >= vm->maximum);
}

uint64_t memory_with_overhead(uint64_t memory)
{
    return add_held(memory, add_held(QEMU_OVERHEAD, memory / QEMU_OVERHEAD_DIVISOR));
}

bool vm_is_inflatable(const struct vm_snapshot *vm)
{
    switch (vm->kind) {
    case VM_KIND_ELASTIC:
        return true;
    case VM_KIND_SELF_DEFLATING:
        /* Free page reporting returns what is free, the balloon what is cached as well: both work
         * together. A guest that deflates on its own OOM takes back what it gave just when it is
         * needed, so nothing asked of it can be counted on. */
        return vm->kind_reason == VM_KIND_REASON_FREE_PAGE_REPORTING;
    case VM_KIND_UNKNOWN:
    case VM_KIND_RIGID:
    case VM_KIND_RESIZABLE:
    case VM_KIND_COUNT:
        return false;
    }
    return false;
}

/* A balloon of this VM can be moved, whichever way. */
static bool is_movable(const struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    /* Under a brake its driver hardly runs. */
    uint32_t held_by_us = vm->measures.in_force & (VM_MEASURE_PAUSE | VM_MEASURE_RESUMING |
                                                      VM_MEASURE_BRAKED | VM_MEASURE_ENDING);
    return !vm_is_going(vm) && !held_by_us && vm->monitor == VM_MONITOR_READY &&
           vm->run_state == VM_RUN_RUNNING && vm->migration == VM_MIGRATION_NONE &&
           vm->process_state != VM_PROCESS_STOPPED && known(vm->sampled) && known(vm->maximum) &&
           known(vm->balloon.actual) && known(vm->rss);
}

/* Its monitor is about to greet, and then to tell of a migration: of one that was started to take
 * in a guest as well, whether that runs already. */
static bool is_ungreeted(const struct decision *d, const struct vm_snapshot *vm)
{
    bool unsaid = vm->migration == VM_MIGRATION_UNKNOWN || vm->migration == VM_MIGRATION_LOADING;
    return unsaid && vm->monitor == VM_MONITOR_CONNECTING &&
           since(d->now, vm->first_seen) < GREETING_TIME;
}

/* Post-copy on either side is never touched. Whether there is one cannot be known without a monitor
 * that answers; one that is about to answer is waited for, by all but a freeze in a sprint. */
static bool may_be_postcopy(const struct vm_snapshot *vm)
{
    return vm->migration == VM_MIGRATION_POSTCOPY ||
           (vm->migration == VM_MIGRATION_UNKNOWN && vm->monitor == VM_MONITOR_READY);
}

/* Facts and rules leave it open to stop it, or to slow it down. */
static bool may_be_held(const struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    /* A freeze may come on top of a `stop` that hangs; nothing comes on top of a freeze, and who is
     * stopped does not shut down. */
    uint32_t already = vm->measures.in_force & (VM_MEASURE_FROZEN | VM_MEASURE_STOPPED |
                                                   VM_MEASURE_RESUMING | VM_MEASURE_ENDING);
    /* Without a monitor nobody knows the run state: it grows, so it runs. */
    bool runs = vm->run_state == VM_RUN_RUNNING ||
                (vm->run_state == VM_RUN_UNKNOWN && vm->monitor != VM_MONITOR_READY);
    return !vm_is_going(vm) && !already && runs && !may_be_postcopy(vm) && !vm_is_arriving(vm) &&
           vm->process_state != VM_PROCESS_STOPPED &&
           decision_rules(d, position)->sacrifice != SACRIFICE_NEVER;
}

static bool is_pausable(const struct decision *d, uint32_t position)
{
    return may_be_held(d, position) && (decision_rules(d, position)->rungs & RUNG_BIT(RUNG_PAUSE));
}

static bool is_brakable(const struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    const uint32_t already = VM_MEASURE_STOP_SENT | VM_MEASURE_BRAKED;
    return may_be_held(d, position) && !(vm->measures.in_force & already) &&
           vm->vcpu_quotas == TRISTATE_YES && !is_ungreeted(d, vm) &&
           (decision_rules(d, position)->rungs & RUNG_BIT(RUNG_BRAKE));
}

static bool is_killable(const struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    const struct vm_rules *rules = decision_rules(d, position);
    return !vm_is_going(vm) && !may_be_postcopy(vm) && !is_ungreeted(d, vm) &&
           vm->identity.pid > 0 && known(vm->sampled) && (rules->rungs & RUNG_BIT(RUNG_KILL)) &&
           rules->sacrifice != SACRIFICE_NEVER;
}

static int64_t peak_left(const struct vm_state *state, uint64_t now)
{
    uint64_t passed = since(now, state->growth_peak_at);
    if (passed >= RESERVED_BREATH)
        return 0;
    return (int64_t)scale_u64(
        (uint64_t)state->growth_peak, RESERVED_BREATH - passed, RESERVED_BREATH);
}

int64_t vm_growth_lately(const struct decision *d, uint32_t position)
{
    return peak_left(decision_state(d, position), d->now);
}

static void observe_growth(struct vm_state *state, const struct vm_snapshot *vm)
{
    uint64_t held = vm_held(vm);
    if (!known(vm->sampled) || !known(held))
        return;
    uint64_t before = known_or(state->held, held);
    rate_update(&state->growth, vm->sampled, diff_i64(held, before));
    state->held = held;
    state->grown_from = min_u64(state->grown_from, held);
    int64_t growth = rate_confirmed(&state->growth);
    if (growth < (int64_t)GROWTH_MEASURABLE)
        return;
    if (growth >= peak_left(state, vm->sampled)) {
        state->growth_peak = growth;
        state->growth_peak_at = vm->sampled;
    }
    if (since(vm->sampled, state->grew_at) > GROWTH_STALE)
        state->grown_from = min_u64(before, held);
    state->grew_at = vm->sampled;
}

/* A `stop` that was refused, or not begun, leaves a guest that grows: it is no pause that is still
 * to take hold, and is not tried again before a freeze. */
static void observe_stop(const struct vm_snapshot *vm, struct vm_state *state)
{
    uint32_t in_force = vm->measures.in_force;
    if ((state->marks & MARK_STOP_SENT) && !(in_force & VM_MEASURE_PAUSE) &&
        vm->run_state == VM_RUN_RUNNING) {
        state->marks |= MARK_STOP_FAILED;
        state->pause_asked = UNKNOWN;
    }
    if (in_force & (VM_MEASURE_FROZEN | VM_MEASURE_STOPPED))
        state->marks &= (uint16_t)~MARK_STOP_FAILED;
    state->marks &= (uint16_t)~MARK_STOP_SENT;
    if ((in_force & VM_MEASURE_STOP_SENT) && !(in_force & VM_MEASURE_RESUMING))
        state->marks |= MARK_STOP_SENT;
}

/* A pause just decided still shows in the rates: its guest grows until it takes hold, and then
 * fades from the host's estimators as it does from its own. That part of a fill is not to be
 * stopped twice. */
static void settle_pause(
    const struct decision *d, const struct vm_snapshot *vm, struct vm_state *state)
{
    uint32_t in_force = vm->measures.in_force;
    observe_stop(vm, state);
    uint64_t waited = since(d->now, state->pause_asked);
    uint64_t limit = PAUSE_SETTLE; /* nobody sees it in force */
    int64_t growth = rate_confirmed(&state->growth);
    if (in_force & (VM_MEASURE_FROZEN | VM_MEASURE_STOPPED)) {
        limit = STOP_TIME + PAUSE_SETTLE;
        growth = state->growth.fast;
    } else if (in_force & VM_MEASURE_STOP_SENT) {
        limit = STOP_TIME; /* thereafter it grows on */
    }
    if (!(in_force & VM_MEASURE_STOP_SENT))
        state->marks &= (uint16_t)~MARK_FROZEN_OVER;
    /* Of a slow one the last part is noise. */
    int64_t least = state->growth_before / GROWTH_STEP + 1;
    if (least > (int64_t)GROWTH_MEASURABLE)
        least = (int64_t)GROWTH_MEASURABLE;
    bool settles =
        waited < limit && since(d->now, state->growth.time) <= GROWTH_STALE && growth >= least;
    state->settling = settles ? growth : 0;
    if (settles && growth > state->growth_before)
        state->growth_before = growth; /* the estimate was still on its way up */
}

/* The balloon target in force: what the ledger says, or what we asked so lately that the ledger
 * need not show it yet, or what a dry run would have asked. UNKNOWN: none. */
static uint64_t target_in_force(
    const struct decision *d, const struct vm_snapshot *vm, const struct vm_state *state)
{
    bool pending =
        (state->marks & MARK_ASKED_DRY) != 0 || since(d->now, state->asked_time) < BALLOON_INTERVAL;
    if (known(state->asked) && pending)
        return state->asked;
    return vm->measures.in_force & VM_MEASURE_BALLOON ? vm->measures.balloon_target : UNKNOWN;
}

/* The guest's figures describe it as it stands: taken since the last target, with the balloon at
 * rest. Others would count the same idle memory twice. */
static bool is_settled(const struct decision *d, const struct vm_snapshot *vm,
    const struct vm_state *state, uint64_t current)
{
    if (since(d->now, vm->statistics.updated) > STATISTICS_STALE)
        return false;
    if (known(state->asked_time) &&
        vm->statistics.updated < add_held(state->asked_time, BALLOON_INTERVAL))
        return false;
    return sub_or_zero(vm->balloon.actual, current) <= BALLOON_STEP_MIN;
}

static uint64_t idle_reserve(const struct vm_snapshot *vm)
{
    return max_u64(IDLE_RESERVE, vm->maximum / IDLE_RESERVE_DIVISOR);
}

/* What it is about to use is not idle: a balloon in its way would be regretted in seconds. */
static uint64_t idle_ahead(const struct decision *d, const struct vm_state *state)
{
    bool fresh = since(d->now, state->growth.time) <= GROWTH_STALE;
    return fresh ? rate_bytes(rate_confirmed(&state->growth), GROWTH_AHEAD) : 0;
}

/* By its own word, which has to be there. */
static uint64_t idle_bytes(
    const struct decision *d, const struct vm_snapshot *vm, const struct vm_state *state)
{
    const struct vm_statistics *statistics = &vm->statistics;
    uint64_t idle =
        add_held(statistics->free, known_or(statistics->disk_caches, 0) / IDLE_CACHE_DIVISOR);
    return sub_or_zero(idle, add_held(idle_reserve(vm), idle_ahead(d, state)));
}

uint64_t vm_idle(const struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    if (!known(vm->statistics.free) || !known(vm->maximum) ||
        since(d->now, vm->statistics.updated) > STATISTICS_STALE)
        return UNKNOWN;
    return idle_bytes(d, vm, decision_state(d, position));
}

/* A target that takes only what the guest itself calls idle, or UNKNOWN. Its word orders who gives
 * first; what it can claim is bounded by what is resident (relief_balloon()). While the balloon
 * moves the last one stands, so that nobody else is pressed for what this guest is giving. */
static uint64_t idle_floor(const struct decision *d, const struct vm_snapshot *vm,
    const struct vm_state *state, uint64_t minimum, uint64_t current)
{
    const struct vm_statistics *statistics = &vm->statistics;
    if (vm->kind != VM_KIND_ELASTIC || !known(statistics->free))
        return UNKNOWN;
    if (!is_settled(d, vm, state, current)) {
        bool fresh = since(d->now, state->idle_floor_at) <= STATISTICS_STALE;
        return fresh && known(state->idle_floor) ? max_u64(minimum, state->idle_floor) : UNKNOWN;
    }
    return max_u64(minimum, sub_or_zero(current, idle_bytes(d, vm, state)));
}

static uint32_t traits(const struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    const struct vm_state *state = decision_state(d, position);
    uint32_t result = TRAIT_USABLE;
    if (is_enforced(d, position))
        result |= TRAIT_ENFORCED;
    if (known(state->stuck_until) && d->now < state->stuck_until)
        result |= state->marks & MARK_REFUSED ? TRAIT_STUCK | TRAIT_REFUSED : TRAIT_STUCK;
    if (is_movable(d, position)) {
        result |= TRAIT_DEFLATABLE;
        bool allowed = decision_rules(d, position)->rungs & RUNG_BIT(RUNG_BALLOON);
        if (allowed && vm_is_inflatable(vm) && !(result & TRAIT_STUCK))
            result |= TRAIT_INFLATABLE;
    }
    if (is_pausable(d, position)) {
        result |= TRAIT_PAUSABLE;
        if (is_ungreeted(d, vm))
            result |= TRAIT_UNGREETED;
        if (vm->measures.in_force & VM_MEASURE_STOP_SENT)
            result |= TRAIT_STOPPING;
    }
    if (is_brakable(d, position))
        result |= TRAIT_BRAKABLE;
    if (is_killable(d, position))
        result |= TRAIT_KILLABLE;
    if (vm->measures.in_force & VM_MEASURE_PAUSE)
        result |= TRAIT_PAUSED;
    return result;
}

/* Anonymous, it is not QEMU's program; a shared mapping, it is of shared memory or of a file,
 * whichever is more, and not QEMU's heap. In a small guest the rest is a third, and would be asked
 * for in vain. */
uint64_t vm_resident(const struct vm_snapshot *vm)
{
    switch (vm->wiring.shared) {
    case TRISTATE_YES:
        if (!known(vm->rss_shmem) || !known(vm->rss_file))
            return vm->rss;
        return min_u64(vm->rss, max_u64(vm->rss_shmem, vm->rss_file));
    case TRISTATE_NO:
        return min_u64(vm->rss, vm->rss_anonymous);
    case TRISTATE_UNKNOWN:
        break;
    }
    return vm->rss;
}

/* Nothing of what it calls idle is left once the balloon is where it shall be, and by the host's
 * figures it holds as much as it will be left then. A guest that is asked again and again has a
 * balloon that never rests, and would not be heard otherwise. */
static bool will_be_busy(const struct decision *d, const struct vm_snapshot *vm,
    const struct vm_state *state, const struct vm_scratch *scratch)
{
    uint64_t pending = sub_or_zero(vm->balloon.actual, scratch->current);
    return idle_bytes(d, vm, state) <= pending &&
           add_held(scratch->resident, add_held(idle_reserve(vm), idle_ahead(d, state))) >=
               scratch->current;
}

/* What the guest says of its need, as far as it was said with the balloon at rest. Who lies wins no
 * more than a stay of what it had. */
static void observe_need(const struct decision *d, const struct vm_snapshot *vm,
    struct vm_state *state, struct vm_scratch *scratch, bool advance)
{
    const struct vm_statistics *statistics = &vm->statistics;
    /* A balloon that has not reached its target in so long is at rest, too: against what is used.
     */
    bool fresh = since(d->now, statistics->updated) <= STATISTICS_STALE;
    bool resting = is_settled(d, vm, state, scratch->current) ||
                   (fresh && since(d->now, state->asked_time) > STUCK_AFTER);
    if (!known(statistics->free) || !resting) {
        /* While its balloon moves it is what it was, or what it will be once that is where it
         * shall be; just resumed, it has not been able to say. */
        bool said = known(statistics->free) && fresh;
        if ((said && ((state->marks & MARK_BUSY) || will_be_busy(d, vm, state, scratch))) ||
            since(d->now, state->resumed_at) <= STATISTICS_STALE)
            scratch->traits |= TRAIT_BUSY;
        return;
    }
    uint64_t idle =
        add_held(statistics->free, known_or(statistics->disk_caches, 0) / IDLE_CACHE_DIVISOR);
    uint64_t reserve = idle_reserve(vm);
    uint64_t ahead = add_held(reserve, idle_ahead(d, state));
    /* The host's figures must agree: what was never resident is not in use. */
    bool busy = known(scratch->idle_floor)
                    ? add_held(scratch->resident, ahead) >= scratch->idle_floor
                    : will_be_busy(d, vm, state, scratch);
    scratch->traits |= busy ? TRAIT_BUSY : 0;
    if (advance)
        state->marks = (uint16_t)((state->marks & ~MARK_BUSY) | (busy ? MARK_BUSY : 0));
    if ((scratch->traits & (TRAIT_DEFLATABLE | TRAIT_ENFORCED)) ==
            (TRAIT_DEFLATABLE | TRAIT_ENFORCED) &&
        (vm->measures.in_force & VM_MEASURE_BALLOON) && idle <= reserve / STARVED_DIVISOR)
        scratch->traits |= TRAIT_STARVED;
}

static void observe_vm(struct decision *d, uint32_t position, bool advance)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    struct vm_scratch *scratch = &d->vms[position];
    *scratch = (struct vm_scratch){.minimum = UNKNOWN, .idle_floor = UNKNOWN};
    if (vm->slot >= d->state->vm_capacity || vm->slot >= d->rules->vm_capacity)
        return;

    struct vm_state *state = decision_state(d, position);
    if (advance) {
        if (!vm_identity_equal(&state->identity, &vm->identity))
            vm_state_reset(state, &vm->identity);
        observe_growth(state, vm);
        /* What a dry run would have done is void once it is for real. */
        if (is_enforced(d, position)) {
            if (state->marks & MARK_ASKED_DRY)
                state->asked = state->asked_time = UNKNOWN;
            if (state->marks & MARK_PAUSED_DRY)
                state->pause_asked = UNKNOWN;
            brake_forget_dry(state);
            state->marks &= (uint16_t)~MARKS_DRY;
        }
        settle_pause(d, vm, state);
        brake_settle(d, vm, state);
    }
    scratch->held = known_or(state->held, 0);
    scratch->minimum = vm_minimum(vm, decision_rules(d, position));
    scratch->traits = traits(d, position);
    if (known(vm->maximum) && known(vm->balloon.actual) && known(vm->rss)) {
        uint64_t actual = min_u64(vm->balloon.actual, vm->maximum);
        uint64_t target = target_in_force(d, vm, state);
        scratch->resident = min_u64(vm_resident(vm), actual);
        scratch->current = min_u64(known_or(target, actual), vm->maximum);
        scratch->goal = scratch->current;
        scratch->idle_floor = idle_floor(d, vm, state, scratch->minimum, scratch->current);
        observe_need(d, vm, state, scratch, advance);
        if (advance && is_settled(d, vm, state, scratch->current)) {
            state->idle_floor = scratch->idle_floor;
            state->idle_floor_at = d->now;
        }
    }
}

/* What a guest gives to a balloon of ours, of its virtio-mem, or to swap, is a step, and ends:
 * taken for a rate it would hide that others go on growing, and call calm what is being held
 * together. */
static int64_t growth_of_its_own(const struct decision *d, uint32_t position, int64_t growth)
{
    bool gives =
        decision_vm(d, position)->measures.in_force & (VM_MEASURE_BALLOON | VM_MEASURE_RESIZE);
    bool reclaimed = since(d->now, decision_state(d, position)->reclaim_since) < HORIZON;
    return (gives || reclaimed) && growth < 0 ? 0 : growth;
}

void observe_vms(struct decision *d, bool advance)
{
    struct assessment *assessment = &d->plan->assessment;
    for (uint32_t i = 0; i < d->vm_count; i++) {
        observe_vm(d, i, advance);
        if (!(d->vms[i].traits & TRAIT_USABLE))
            continue;
        const struct rate *growth = &decision_state(d, i)->growth;
        if (known(vm_held(decision_vm(d, i))))
            assessment->guests_held = add_held(assessment->guests_held, d->vms[i].held);
        d->budget_held = add_held(d->budget_held, d->vms[i].held);
        if (since(d->now, growth->time) > GROWTH_STALE)
            continue;
        d->guests_fast = rate_sum(d->guests_fast, growth->fast);
        d->guests_slow = rate_sum(d->guests_slow, growth->slow);
        d->budget_fast = rate_sum(d->budget_fast, growth_of_its_own(d, i, growth->fast));
        d->budget_slow = rate_sum(d->budget_slow, growth_of_its_own(d, i, growth->slow));
        assessment->guests_growth = rate_sum(assessment->guests_growth, rate_confirmed(growth));
    }
}
