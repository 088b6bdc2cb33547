/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the fields of what goes into policy_decide() and of what comes out. */
#include <plimsoll/fields.h>
#include <plimsoll/plan.h>

#include "fields_private.h"

static const struct field vm_identity_rows[] = {
    FIELD(vm_identity, pid), FIELD(vm_identity, start_time), FIELD_RAW(vm_identity, uuid)};
const struct field_table fields_vm_identity = FIELD_TABLE(vm_identity, vm_identity_rows);

static const struct field amount_rows[] = {
    FIELD_ENUM(amount, kind, AMOUNT_SHARE + 1), FIELD(amount, value)};
static const struct field_table fields_amount = FIELD_TABLE(amount, amount_rows);

static const struct field threshold_rows[] = {
    FIELD_NESTED(threshold, headroom, amount), FIELD(threshold, time)};
static const struct field_table fields_threshold = FIELD_TABLE(threshold, threshold_rows);

static const struct field host_rules_rows[] = {FIELD_ENUM(host_rules, mode, MODE_COUNT),
    FIELD(host_rules, held), FIELD(host_rules, held_until),
    FIELD_ENUM(host_rules, on_exit, ON_EXIT_COUNT), FIELD_NESTED(host_rules, floor, amount),
    FIELD_NESTED(host_rules, budget, amount), FIELD_NESTED_ARRAY(host_rules, bands, threshold),
    FIELD(host_rules, max_destructive), FIELD(host_rules, max_destructive_window),
    FIELD(host_rules, kills_from), FIELD_ENUM(host_rules, memlock, MEMLOCK_MODE_COUNT),
    FIELD_NESTED(host_rules, pinned_limit, amount),
    FIELD_ENUM(host_rules, admission, ADMISSION_MODE_COUNT),
    FIELD_ENUM(host_rules, commitment, COMMITMENT_COUNT)};
const struct field_table fields_host_rules = FIELD_TABLE(host_rules, host_rules_rows);

static const struct field vm_rules_rows[] = {FIELD_STRING(vm_rules, class_name),
    FIELD_ENUM(vm_rules, mode, MODE_COUNT),
    FIELD_RANGE(vm_rules, priority, PRIORITY_MIN, PRIORITY_MAX),
    FIELD_RANGE(vm_rules, shares, 1, SHARES_MAX), FIELD_NESTED(vm_rules, minimum, amount),
    FIELD(vm_rules, rungs), FIELD_ENUM(vm_rules, sacrifice, SACRIFICE_COUNT),
    FIELD(vm_rules, restart_cost), FIELD_ENUM(vm_rules, commitment, COMMITMENT_COUNT),
    FIELD_NESTED(vm_rules, memory_high, amount), FIELD_NESTED(vm_rules, memory_max, amount),
    FIELD(vm_rules, pids_max), FIELD(vm_rules, cpu_max), FIELD(vm_rules, oom_group)};
const struct field_table fields_vm_rules = FIELD_TABLE(vm_rules, vm_rules_rows);

static const struct field node_snapshot_rows[] = {FIELD(node_snapshot, id),
    FIELD(node_snapshot, total), FIELD(node_snapshot, free), FIELD(node_snapshot, available),
    FIELD(node_snapshot, hugepages_total), FIELD(node_snapshot, hugepages_free)};
static const struct field_table fields_node_snapshot =
    FIELD_TABLE(node_snapshot, node_snapshot_rows);

static const struct field host_snapshot_rows[] = {FIELD(host_snapshot, total),
    FIELD(host_snapshot, free), FIELD(host_snapshot, available), FIELD(host_snapshot, anonymous),
    FIELD(host_snapshot, cached), FIELD(host_snapshot, shmem),
    FIELD(host_snapshot, slab_unreclaimable), FIELD(host_snapshot, page_tables),
    FIELD(host_snapshot, locked), FIELD(host_snapshot, commit_limit),
    FIELD(host_snapshot, committed), FIELD_ENUM(host_snapshot, overcommit, OVERCOMMIT_STRICT + 1),
    FIELD(host_snapshot, swap_total), FIELD(host_snapshot, swap_free),
    FIELD(host_snapshot, swap_rate), FIELD(host_snapshot, watermark_min),
    FIELD(host_snapshot, watermark_low), FIELD(host_snapshot, watermark_high),
    FIELD(host_snapshot, arc_size), FIELD(host_snapshot, arc_minimum),
    FIELD(host_snapshot, hugepages_total), FIELD(host_snapshot, hugepages_free),
    FIELD(host_snapshot, oom_kills), FIELD(host_snapshot, allocation_stalls),
    FIELD(host_snapshot, swapped_in), FIELD(host_snapshot, swapped_out),
    FIELD(host_snapshot, memory_pressure.some), FIELD(host_snapshot, memory_pressure.full),
    FIELD(host_snapshot, largest_process.pid), FIELD_STRING(host_snapshot, largest_process.name),
    FIELD(host_snapshot, largest_process.rss), FIELD(host_snapshot, largest_process.growth),
    FIELD_STRING(host_snapshot, largest_tmpfs.path), FIELD(host_snapshot, largest_tmpfs.used),
    FIELD(host_snapshot, largest_tmpfs.growth), FIELD(host_snapshot, fill_rate_most),
    FIELD(host_snapshot, scores_raise_only), FIELD_RANGE(host_snapshot, node_count, 0, NODES_MAX),
    FIELD_NESTED_ARRAY(host_snapshot, nodes, node_snapshot)};
static const struct field_table fields_host_snapshot =
    FIELD_TABLE(host_snapshot, host_snapshot_rows);

static const struct field reservation_rows[] = {FIELD_RAW(reservation, uuid),
    FIELD(reservation, bytes), FIELD(reservation, hugepages), FIELD(reservation, promised),
    FIELD(reservation, promised_pinned), FIELD(reservation, nodes), FIELD(reservation, priority),
    FIELD(reservation, returning)};
static const struct field_table fields_reservation = FIELD_TABLE(reservation, reservation_rows);

static const struct field snapshot_rows[] = {FIELD(snapshot, time), FIELD(snapshot, realtime),
    FIELD(snapshot, sequence), FIELD_NESTED(snapshot, host, host_snapshot),
    FIELD_RANGE(snapshot, reservation_count, 0, RESERVATIONS_MAX),
    FIELD_NESTED_ARRAY(snapshot, reservations, reservation),
    FIELD_RANGE(snapshot, vm_capacity, 0, MAX_VMS_LIMIT),
    FIELD_RANGE(snapshot, vm_count, 0, MAX_VMS_LIMIT)};
const struct field_table fields_snapshot = FIELD_TABLE(snapshot, snapshot_rows);

static const struct field vm_contained_rows[] = {
    FIELD(vm_contained, set), FIELD(vm_contained, before)};
static const struct field_table fields_vm_contained = FIELD_TABLE(vm_contained, vm_contained_rows);

static const struct field vm_snapshot_rows[] = {FIELD_NESTED(vm_snapshot, identity, vm_identity),
    FIELD_RANGE(vm_snapshot, slot, 0, MAX_VMS_LIMIT - 1), FIELD(vm_snapshot, sources),
    FIELD_STRING(vm_snapshot, name), FIELD(vm_snapshot, first_seen), FIELD(vm_snapshot, sampled),
    FIELD_ENUM(vm_snapshot, process_state, VM_PROCESS_STATE_COUNT),
    FIELD_ENUM(vm_snapshot, run_state, VM_RUN_STATE_COUNT),
    FIELD_ENUM(vm_snapshot, monitor, VM_MONITOR_COUNT),
    FIELD_ENUM(vm_snapshot, migration, VM_MIGRATION_COUNT), FIELD(vm_snapshot, callable),
    FIELD_ENUM(vm_snapshot, vcpu_cgroups, TRISTATE_YES + 1),
    FIELD_ENUM(vm_snapshot, vcpu_quotas, TRISTATE_YES + 1), FIELD(vm_snapshot, rss),
    FIELD(vm_snapshot, rss_anonymous), FIELD(vm_snapshot, rss_file), FIELD(vm_snapshot, rss_shmem),
    FIELD(vm_snapshot, hugetlb), FIELD(vm_snapshot, swap), FIELD(vm_snapshot, page_tables),
    FIELD(vm_snapshot, locked), FIELD(vm_snapshot, pinned), FIELD(vm_snapshot, memlock_soft),
    FIELD(vm_snapshot, memlock_hard), FIELD(vm_snapshot, uid), FIELD(vm_snapshot, cgroup_current),
    FIELD_ARRAY(vm_snapshot, node_bytes), FIELD(vm_snapshot, nodes_allowed),
    FIELD(vm_snapshot, oom_score_adj), FIELD(vm_snapshot, maximum),
    FIELD_ENUM(vm_snapshot, balloon.device, TRISTATE_YES + 1),
    FIELD_ENUM(vm_snapshot, balloon.driver, TRISTATE_YES + 1),
    FIELD_ENUM(vm_snapshot, balloon.deflate_on_oom, TRISTATE_YES + 1),
    FIELD_ENUM(vm_snapshot, balloon.free_page_reporting, TRISTATE_YES + 1),
    FIELD(vm_snapshot, balloon.actual), FIELD(vm_snapshot, statistics.updated),
    FIELD(vm_snapshot, statistics.total), FIELD(vm_snapshot, statistics.free),
    FIELD(vm_snapshot, statistics.available), FIELD(vm_snapshot, statistics.disk_caches),
    FIELD(vm_snapshot, statistics.swapped_in), FIELD(vm_snapshot, statistics.swapped_out),
    FIELD(vm_snapshot, statistics.major_faults), FIELD(vm_snapshot, resizable.size),
    FIELD(vm_snapshot, resizable.requested), FIELD(vm_snapshot, resizable.maximum),
    FIELD(vm_snapshot, resizable.block), FIELD(vm_snapshot, resizable.updated),
    FIELD(vm_snapshot, resizable.asked), FIELD(vm_snapshot, resizable.answered),
    FIELD(vm_snapshot, resizable.result), FIELD(vm_snapshot, wiring.vfio_groups),
    FIELD(vm_snapshot, wiring.iommufd), FIELD(vm_snapshot, wiring.vdpa),
    FIELD_ENUM(vm_snapshot, wiring.kvm, TRISTATE_YES + 1),
    FIELD_ENUM(vm_snapshot, wiring.encrypted, TRISTATE_YES + 1),
    FIELD_ENUM(vm_snapshot, wiring.shared, TRISTATE_YES + 1),
    FIELD(vm_snapshot, wiring.backend_nodes), FIELD(vm_snapshot, definition.confirmed),
    FIELD(vm_snapshot, definition.memory), FIELD(vm_snapshot, definition.hard_limit),
    FIELD_ENUM(vm_snapshot, definition.locked, TRISTATE_YES + 1),
    FIELD_ENUM(vm_snapshot, definition.viommu, TRISTATE_YES + 1),
    FIELD(vm_snapshot, definition.vfio_devices), FIELD(vm_snapshot, definition.vdpa_devices),
    FIELD(vm_snapshot, definition.nvme_disks),
    FIELD_ENUM(vm_snapshot, definition.savable, TRISTATE_YES + 1),
    FIELD(vm_snapshot, definition.version), FIELD_ENUM(vm_snapshot, kind, VM_KIND_COUNT),
    FIELD_ENUM(vm_snapshot, kind_reason, VM_KIND_REASON_COUNT),
    FIELD_ENUM(vm_snapshot, reclaim.possible, TRISTATE_YES + 1), FIELD(vm_snapshot, reclaim.asked),
    FIELD(vm_snapshot, reclaim.answered), FIELD(vm_snapshot, reclaim.result),
    FIELD_ARRAY(vm_snapshot, limits.values), FIELD(vm_snapshot, limits.cpu_period),
    FIELD(vm_snapshot, limits.tasks), FIELD(vm_snapshot, limits.legacy),
    FIELD_ENUM(vm_snapshot, limits.written, VM_LIMIT_COUNT), FIELD(vm_snapshot, limits.previous),
    FIELD(vm_snapshot, limits.asked), FIELD(vm_snapshot, limits.answered),
    FIELD(vm_snapshot, limits.result), FIELD(vm_snapshot, measures.in_force),
    FIELD(vm_snapshot, measures.contained), FIELD(vm_snapshot, measures.balloon_target),
    FIELD(vm_snapshot, measures.balloon_before), FIELD(vm_snapshot, measures.balloon_since),
    FIELD(vm_snapshot, measures.paused_since), FIELD(vm_snapshot, measures.killed_since),
    FIELD(vm_snapshot, measures.braked_since), FIELD(vm_snapshot, measures.ending_until),
    FIELD(vm_snapshot, measures.memlock_set), FIELD(vm_snapshot, measures.oom_score_set),
    FIELD_NESTED_ARRAY(vm_snapshot, measures.limits, vm_contained),
    FIELD_NESTED(vm_snapshot, measures.resize, vm_contained),
    FIELD(vm_snapshot, measures.resize_previous)};
const struct field_table fields_vm_snapshot = FIELD_TABLE(vm_snapshot, vm_snapshot_rows);

static const struct field pool_view_rows[] = {FIELD_ENUM(pool_view, kind, POOL_KIND_COUNT),
    FIELD(pool_view, node), FIELD(pool_view, total), FIELD(pool_view, available),
    FIELD(pool_view, floor), FIELD(pool_view, pinned), FIELD(pool_view, reserved),
    FIELD(pool_view, headroom), FIELD(pool_view, fill_rate), FIELD(pool_view, time_to_exhaustion),
    FIELD_ENUM(pool_view, band, BAND_COUNT), FIELD(pool_view, sprint)};
static const struct field_table fields_pool_view = FIELD_TABLE(pool_view, pool_view_rows);

static const struct field plan_rows[] = {FIELD(plan, time),
    FIELD_ENUM(plan, assessment.band, BAND_COUNT),
    FIELD_RANGE(plan, assessment.worst, 0, POOLS_MAX - 1), FIELD(plan, assessment.sprint),
    FIELD_RANGE(plan, assessment.pool_count, 0, POOLS_MAX),
    FIELD_NESTED_ARRAY(plan, assessment.pools, pool_view), FIELD(plan, assessment.guests_held),
    FIELD(plan, assessment.guests_growth),
    FIELD_ENUM(plan, assessment.culprit.kind, CULPRIT_KIND_COUNT),
    FIELD(plan, assessment.culprit.mounted), FIELD(plan, assessment.culprit.pid),
    FIELD(plan, assessment.culprit.bytes), FIELD(plan, assessment.culprit.growth),
    FIELD(plan, hurry), FIELD(plan, next_wake), FIELD(plan, action_capacity),
    FIELD(plan, action_count), FIELD(plan, actions_dropped)};
const struct field_table fields_plan = FIELD_TABLE(plan, plan_rows);

static const struct field action_rows[] = {FIELD_ENUM(action, kind, ACTION_KIND_COUNT),
    FIELD_ENUM(action, reason, REASON_COUNT), FIELD(action, slot),
    FIELD_NESTED(action, identity, vm_identity), FIELD_ENUM(action, pool, POOL_KIND_COUNT),
    FIELD(action, node), FIELD(action, target), FIELD_ENUM(action, limit, VM_LIMIT_COUNT),
    FIELD(action, oom_score_adj), FIELD(action, deadline), FIELD(action, orderly),
    FIELD_ENUM(action, mode, MODE_COUNT), FIELD(action, relief), FIELD(action, predicted),
    FIELD(action, loss), FIELD(action, deficit), FIELD(action, choice.guests),
    FIELD(action, choice.loss), FIELD(action, choice.least), FIELD(action, choice.left),
    FIELD(action, choice.rival.slot), FIELD_ENUM(action, choice.rival.reason, RIVAL_REASON_COUNT),
    FIELD(action, choice.rival.figure)};
const struct field_table fields_action = FIELD_TABLE(action, action_rows);
