/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the fields of what the policy remembers; an index among them is within its array. How many
 * guests it has room for is not among them: that is as whoever makes a state says.
 */
#include <plimsoll/fields.h>

#include "fields_private.h"
#include "state.h"

/* The vms follow the fixed part at once, as whoever reads them back takes for granted. */
static_assert(offsetof(struct policy_state, vms) == sizeof(struct policy_state),
    "the fixed part ends where the vms begin");

static const struct field rate_rows[] = {FIELD(rate, time), FIELD(rate, fast), FIELD(rate, slow),
    FIELD(rate, burst), FIELD(rate, growing)};
static const struct field_table fields_rate = FIELD_TABLE(rate, rate_rows);

static const struct field vm_state_rows[] = {FIELD_NESTED(vm_state, identity, vm_identity),
    FIELD_NESTED(vm_state, growth, rate), FIELD(vm_state, held), FIELD(vm_state, grew_at),
    FIELD(vm_state, grown_from), FIELD(vm_state, growth_peak), FIELD(vm_state, growth_peak_at),
    FIELD(vm_state, asked), FIELD(vm_state, asked_time), FIELD(vm_state, asked_actual),
    FIELD(vm_state, other_since), FIELD(vm_state, before), FIELD(vm_state, round_since),
    FIELD(vm_state, round_rss), FIELD(vm_state, round_resident), FIELD(vm_state, round_growth),
    FIELD(vm_state, round_idle), FIELD(vm_state, idle_floor), FIELD(vm_state, idle_floor_at),
    FIELD(vm_state, stuck_until), FIELD(vm_state, stuck_cooldown), FIELD(vm_state, drift_next),
    FIELD(vm_state, drift_backoff), FIELD(vm_state, granted), FIELD(vm_state, grant_held),
    FIELD(vm_state, grant_at), FIELD(vm_state, fed_at), FIELD(vm_state, fed_hold),
    FIELD(vm_state, resize_asked), FIELD(vm_state, resize_time), FIELD(vm_state, resize_size),
    FIELD(vm_state, resize_moved), FIELD(vm_state, resize_returned), FIELD(vm_state, resize_dry),
    FIELD(vm_state, resize_stuck), FIELD(vm_state, resize_yielded), FIELD(vm_state, pause_asked),
    FIELD(vm_state, growth_before), FIELD(vm_state, settling), FIELD(vm_state, resume_after),
    FIELD(vm_state, resume_backoff), FIELD(vm_state, resumed_at), FIELD(vm_state, bridge_at),
    FIELD(vm_state, brake_asked), FIELD(vm_state, release_asked), FIELD(vm_state, brake_again),
    FIELD(vm_state, brake_growth), FIELD(vm_state, reclaim_rss), FIELD(vm_state, reclaim_since),
    FIELD(vm_state, reclaim_next), FIELD(vm_state, reclaim_backoff), FIELD(vm_state, reclaim_piece),
    FIELD(vm_state, save_after), FIELD(vm_state, shutdown_after), FIELD(vm_state, oom_asked),
    FIELD(vm_state, memlock_limit), FIELD(vm_state, memlock_since), FIELD(vm_state, memlock_asked),
    FIELD(vm_state, memlock_told_limit), FIELD(vm_state, memlock_told_formula),
    FIELD(vm_state, memlock_told_at), FIELD(vm_state, memlock_use),
    FIELD(vm_state, memlock_undefined_at), FIELD(vm_state, pinned_base),
    FIELD(vm_state, pinned_since), FIELD(vm_state, pinned_told_at),
    FIELD_ENUM(vm_state, memlock_told, REASON_COUNT), FIELD(vm_state, memlock_dry),
    FIELD(vm_state, memlock_yielded), FIELD(vm_state, memlock_undefined),
    FIELD(vm_state, contain_told_at), FIELD(vm_state, contain_told), FIELD(vm_state, contain_dry),
    FIELD(vm_state, contain_yielded), FIELD(vm_state, contain_shortage), FIELD(vm_state, marks)};
const struct field_table fields_vm_state = FIELD_TABLE(vm_state, vm_state_rows);

static const struct field pool_state_rows[] = {FIELD_NESTED(pool_state, fill, rate),
    FIELD(pool_state, memory), FIELD(pool_state, swap_free), FIELD(pool_state, better_since),
    FIELD_ENUM(pool_state, band, BAND_COUNT), FIELD(pool_state, node),
    FIELD(pool_state, pinned_over), FIELD(pool_state, pinned_at)};
static const struct field_table fields_pool_state = FIELD_TABLE(pool_state, pool_state_rows);

static const struct field destruction_rows[] = {
    FIELD(destruction, time), FIELD_NESTED(destruction, identity, vm_identity)};
static const struct field_table fields_destruction = FIELD_TABLE(destruction, destruction_rows);

static const struct field leak_low_rows[] = {
    FIELD(leak_low, since), FIELD(leak_low, outside), FIELD(leak_low, used)};
static const struct field_table fields_leak_low = FIELD_TABLE(leak_low, leak_low_rows);

static const struct field policy_state_rows[] = {
    FIELD_RANGE(policy_state, destruction_count, 0, DESTRUCTION_MAX), FIELD(policy_state, time),
    FIELD(policy_state, wake), FIELD(policy_state, late),
    FIELD_NESTED_ARRAY(policy_state, pools, pool_state),
    FIELD_RANGE(policy_state, kill.count, 0, KILLS_AT_ONCE),
    FIELD_NESTED_ARRAY(policy_state, kill.victims, vm_identity), FIELD(policy_state, kill.asked),
    FIELD(policy_state, kill.predicted), FIELD(policy_state, kill.relief),
    FIELD(policy_state, kill.available), FIELD_RANGE(policy_state, kill.pool, 0, POOLS_MAX - 1),
    FIELD(policy_state, kill.gone), FIELD_NESTED(policy_state, end.identity, vm_identity),
    FIELD_ENUM(policy_state, end.kind, ACTION_KIND_COUNT), FIELD(policy_state, end.deadline),
    FIELD(policy_state, end.relief), FIELD(policy_state, end.available),
    FIELD_RANGE(policy_state, end.pool, 0, POOLS_MAX - 1),
    FIELD_NESTED(policy_state, reclaim.identity, vm_identity), FIELD(policy_state, reclaim.asked),
    FIELD(policy_state, reclaim.bytes), FIELD(policy_state, reclaim_dry),
    FIELD_NESTED_ARRAY(policy_state, destructions, destruction), FIELD_ARRAY(policy_state, alerted),
    FIELD(policy_state, resumed_at), FIELD(policy_state, oom_scored_at),
    FIELD(policy_state, leak.at), FIELD(policy_state, leak.rate), FIELD(policy_state, leak.since),
    FIELD(policy_state, leak.killed_at), FIELD(policy_state, leak.incoming_at),
    FIELD_NESTED(policy_state, leak.origin, leak_low), FIELD(policy_state, leak.seen_at),
    FIELD(policy_state, leak.seen), FIELD(policy_state, leak.seen_held),
    FIELD(policy_state, leak.outside), FIELD(policy_state, leak.used),
    FIELD_NESTED_ARRAY(policy_state, leak.lows, leak_low), FIELD(policy_state, culprit.time),
    FIELD(policy_state, culprit.guests), FIELD_ARRAY(policy_state, culprit.bytes),
    FIELD_NESTED_ARRAY(policy_state, culprit.growth, rate), FIELD(policy_state, culprit.seen),
    FIELD_ENUM(policy_state, culprit.last.kind, CULPRIT_KIND_COUNT),
    FIELD(policy_state, culprit.last.mounted), FIELD(policy_state, culprit.last.pid),
    FIELD(policy_state, culprit.last.bytes), FIELD(policy_state, culprit.last.growth),
    FIELD(policy_state, stall.since), FIELD(policy_state, stall.full),
    FIELD(policy_state, memlock_at), FIELD(policy_state, memlock_next),
    FIELD(policy_state, contain_at), FIELD(policy_state, contain_next),
    FIELD(policy_state, contain_more), FIELD(policy_state, oom_critical),
    FIELD(policy_state, inflated_at), FIELD_ENUM(policy_state, inflated_band, BAND_COUNT)};
const struct field_table fields_policy_state = FIELD_TABLE(policy_state, policy_state_rows);
