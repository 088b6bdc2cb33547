/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the layout of the policy's memory: its sizes, a state without history, and the latest
 * destructive actions, which the circuit breaker counts. The caller gives the memory.
 */
#include "state.h"

#include "cover.h"

size_t policy_state_size(uint32_t vm_capacity)
{
    return sizeof(struct policy_state) + (size_t)vm_capacity * sizeof(struct vm_state);
}

size_t policy_scratch_size(uint32_t vm_capacity)
{
    return sizeof(struct policy_scratch) + (size_t)vm_capacity * sizeof(struct vm_scratch) +
           cover_size(vm_capacity);
}

void pool_state_reset(struct pool_state *pool)
{
    __builtin_memset(pool, 0, sizeof(*pool));
    rate_reset(&pool->fill);
    pool->memory = pool->swap_free = UNKNOWN;
    pool->better_since = pool->pinned_at = UNKNOWN;
}

void vm_state_reset(struct vm_state *vm, const struct vm_identity *identity)
{
    /* By memset first: equal histories shall be equal byte by byte, padding included. */
    __builtin_memset(vm, 0, sizeof(*vm));
    vm->identity = *identity;
    rate_reset(&vm->growth);
    vm->held = vm->grew_at = vm->grown_from = vm->growth_peak_at = UNKNOWN;
    vm->asked = vm->asked_time = vm->asked_actual = vm->before = UNKNOWN;
    vm->other_since = UNKNOWN;
    vm->round_since = vm->stuck_until = UNKNOWN;
    vm->idle_floor = vm->idle_floor_at = UNKNOWN;
    vm->stuck_cooldown = STUCK_COOLDOWN;
    vm->drift_next = UNKNOWN;
    vm->drift_backoff = DRIFT_BACKOFF;
    vm->grant_at = vm->fed_at = vm->pause_asked = UNKNOWN;
    vm->fed_hold = FED_HOLD;
    vm->resize_asked = vm->resize_time = vm->resize_returned = UNKNOWN;
    vm->resize_size = vm->resize_moved = UNKNOWN;
    vm->growth_before = -1;
    vm->brake_asked = vm->release_asked = vm->brake_again = UNKNOWN;
    vm->reclaim_rss = vm->reclaim_since = vm->reclaim_next = UNKNOWN;
    vm->reclaim_backoff = RECLAIM_BACKOFF;
    vm->reclaim_piece = RECLAIM_PIECE_MIN;
    vm->resume_after = vm->resumed_at = UNKNOWN;
    vm->resume_backoff = RESUME_BACKOFF;
    vm->bridge_at = UNKNOWN;
    vm->save_after = vm->shutdown_after = UNKNOWN;
    vm->memlock_limit = vm->memlock_since = vm->memlock_asked = UNKNOWN;
    vm->memlock_undefined_at = UNKNOWN;
    vm->memlock_told_limit = vm->memlock_told_formula = vm->memlock_told_at = UNKNOWN;
    vm->contain_told_at = UNKNOWN;
    vm->pinned_base = vm->pinned_since = vm->pinned_told_at = UNKNOWN;
}

struct policy_state *policy_state_init(void *buffer, uint32_t vm_capacity)
{
    struct policy_state *state = buffer;
    __builtin_memset(state, 0, policy_state_size(vm_capacity));
    state->vm_capacity = vm_capacity;
    state->time = UNKNOWN;
    state->resumed_at = state->oom_scored_at = state->inflated_at = UNKNOWN;
    state->memlock_at = state->contain_at = UNKNOWN;
    state->stall.since = UNKNOWN;
    state->leak.at = state->leak.since = UNKNOWN;
    state->leak.killed_at = state->leak.incoming_at = UNKNOWN;
    state->wake = UNKNOWN;
    state->leak.seen_at = state->leak.lows[0].since = state->leak.lows[1].since = UNKNOWN;
    for (int reason = 0; reason < REASON_COUNT; reason++)
        state->alerted[reason] = UNKNOWN;
    state->culprit.time = state->culprit.seen = UNKNOWN;
    for (int kind = 0; kind < CULPRIT_KIND_COUNT; kind++) {
        state->culprit.bytes[kind] = UNKNOWN;
        rate_reset(&state->culprit.growth[kind]);
    }
    for (int i = 0; i < POOLS_MAX; i++)
        pool_state_reset(&state->pools[i]);
    static const struct vm_identity nobody;
    for (uint32_t slot = 0; slot < vm_capacity; slot++)
        vm_state_reset(&state->vms[slot], &nobody);
    return state;
}

struct policy_scratch *policy_scratch_init(void *buffer, uint32_t vm_capacity)
{
    struct policy_scratch *scratch = buffer;
    __builtin_memset(scratch, 0, policy_scratch_size(vm_capacity));
    scratch->vm_capacity = vm_capacity;
    return scratch;
}

struct cover *scratch_cover(struct policy_scratch *scratch)
{
    void *behind = scratch->vms + scratch->vm_capacity;
    return behind;
}

void state_remember_destruction(
    struct policy_state *state, uint64_t time, const struct vm_identity *identity)
{
    struct destruction *oldest = NULL, *place = NULL;
    for (uint32_t i = 0; i < state->destruction_count && !place; i++) {
        struct destruction *past = &state->destructions[i];
        if (destruction_is_of(past, identity))
            place = past;
        if (!oldest || past->time < oldest->time)
            oldest = past;
    }
    if (!place)
        place = state->destruction_count < DESTRUCTION_MAX
                    ? &state->destructions[state->destruction_count++]
                    : oldest;
    *place = (struct destruction){.time = time, .identity = *identity};
}

void policy_state_seed(
    struct policy_state *state, uint64_t time, const struct vm_identity *identity)
{
    state_remember_destruction(state, time, identity);
}
