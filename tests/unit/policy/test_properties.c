/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Properties that hold for whatever is seen. Worlds are drawn from a generator of our own, whose
 * seed is printed (PLIMSOLL_TEST_SEED repeats it); PLIMSOLL_TEST_CASES lowers their number for slow
 * runs. Each world lives for a few snapshots that need not make sense together: hostile guests,
 * figures that jump, fields that nobody knows.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "story.h"
#include "suite.h"
#include "world.h"

#define CAPACITY 8
#define STEPS 6
#define CASES_DEFAULT 8000 /* × STEPS snapshots */
/* With at least so many cases every kind of action must have been seen. */
#define CASES_TELLING 2000
#define SEED_DEFAULT 20240229

/* ---- what must hold ---- */

/* How often each kind came up: properties of plans that are empty prove nothing. */
static unsigned actions_seen[ACTION_KIND_COUNT];

struct seen {
    uint64_t grants;
    unsigned destructive, reclaims, limits;
};

static const struct vm_snapshot *vm_of(const struct world *world, const struct action *action)
{
    /* Here slot and position are the same. */
    ck_assert_uint_lt(action->slot, world->snapshot->vm_count);
    return &world->snapshot->vms[action->slot];
}

static uint32_t binding_of(const struct world *world, const struct vm_snapshot *vm)
{
    uint32_t all = (uint32_t)((UINT64_C(1) << world->snapshot->host.node_count) - 1);
    uint32_t allowed = vm->nodes_allowed & all;
    return allowed == all ? 0 : allowed;
}

static unsigned node_acts_seen[ACTION_KIND_COUNT];
static unsigned starts_seen; /* balloons for the sake of a start */

/* Nobody is asked for a node who has no memory there, nobody stopped who is not bound to it, nor
 * while another of the nodes it is bound to is far from its end. */
static void check_node(const struct world *world, const struct action *action)
{
    const struct vm_snapshot *vm = vm_of(world, action);
    const struct pool_view *nodes = &world->plan->assessment.pools[2];
    uint32_t binding = binding_of(world, vm), bit = UINT32_C(1) << action->node;
    ck_assert_uint_lt(action->node, world->snapshot->host.node_count);
    node_acts_seen[action->kind]++;
    if (action->kind == ACTION_BALLOON)
        ck_assert(action->reason == REASON_BALLOON_RETURN || (binding & bit) ||
                  (known(vm->node_bytes[action->node]) && vm->node_bytes[action->node] > 0));
    if (action->kind != ACTION_BRAKE && action->kind != ACTION_PAUSE &&
        action->kind != ACTION_FREEZE && action->kind != ACTION_KILL)
        return;
    if (action->reason == REASON_BRIDGE_END)
        return; /* an earlier freeze's other half, whatever that was for */
    ck_assert_uint_ne(binding & bit, 0);
    if (action->kind == ACTION_KILL || nodes[action->node].band != BAND_SCARCE)
        ck_assert_int_eq(nodes[action->node].band, BAND_CRITICAL);
    /* Thresholds as they were drawn may begin critical above scarce. */
    bool ordered = world->rules->host.bands[BAND_CRITICAL].headroom.kind == AMOUNT_AUTO;
    for (uint32_t node = 0; ordered && node < world->snapshot->host.node_count; node++)
        if (binding >> node & 1)
            ck_assert(nodes[node].band >= BAND_SCARCE || nodes[node].time_to_exhaustion != NEVER);
    if (action->kind == ACTION_KILL)
        ck_assert(vm->node_bytes[action->node] > 0);
}

/* Nothing is taken in calm, but for a guest that starts and for which room is kept. */
static void check_inflation(const struct world *world, const struct action *action)
{
    const struct assessment *assessment = &world->plan->assessment;
    uint64_t reserved = 0;
    for (uint32_t i = 0; i < assessment->pool_count; i++)
        if (assessment->pools[i].kind == action->pool && assessment->pools[i].node == action->node)
            reserved = assessment->pools[i].reserved;
    if (action->reason != REASON_BALLOON_START) {
        ck_assert_int_ne(assessment->band, BAND_CALM);
        return;
    }
    ck_assert_uint_gt(reserved, 0);
    ck_assert_int_eq(action->mode, MODE_ENFORCE);
    starts_seen++;
}

static void check_balloon(const struct world *world, const struct action *action, struct seen *seen)
{
    const struct vm_snapshot *vm = vm_of(world, action);
    const struct vm_rules *rules = &world->rules->vms[vm->slot];
    if (!known(action->target)) {
        ck_assert_uint_ne(vm->measures.in_force & VM_MEASURE_BALLOON, 0);
        ck_assert_uint_lt(vm->balloon.actual, vm->measures.balloon_target);
        return;
    }
    ck_assert_uint_le(action->target, vm->maximum);
    ck_assert_uint_ge(action->target, vm_minimum(vm, rules));
    ck_assert_int_eq(vm->monitor, VM_MONITOR_READY);
    ck_assert_int_eq(vm->migration, VM_MIGRATION_NONE);
    ck_assert_uint_eq(
        vm->measures.in_force & (VM_MEASURE_PAUSE | VM_MEASURE_KILLED | VM_MEASURE_ENDING), 0);
    if (action->reason != REASON_BALLOON_RETURN) {
        bool reports = vm->kind == VM_KIND_SELF_DEFLATING &&
                       vm->kind_reason == VM_KIND_REASON_FREE_PAGE_REPORTING;
        ck_assert(vm->kind == VM_KIND_ELASTIC || reports);
        ck_assert(rules->rungs & RUNG_BIT(RUNG_BALLOON));
        check_inflation(world, action);
        return;
    }
    if (action->mode == MODE_ENFORCE && (vm->measures.in_force & VM_MEASURE_BALLOON))
        seen->grants = add_held(seen->grants,
            sub_or_zero(action->target, min_u64(vm->measures.balloon_target, vm->maximum)));
}

/* Never below the minimum, never more than it had, and only who may be asked. */
static void check_resize(const struct world *world, const struct action *action, struct seen *seen)
{
    const struct vm_snapshot *vm = vm_of(world, action);
    const struct vm_rules *rules = &world->rules->vms[vm->slot];
    const struct vm_resizable *sizes = &vm->resizable;
    const struct vm_measures *measures = &vm->measures;
    bool ours = measures->in_force & VM_MEASURE_RESIZE;
    uint64_t before = ours ? measures->resize.before : sizes->requested;
    if (!known(action->target)) {
        ck_assert(ours);
        ck_assert_uint_ne(sizes->requested, measures->resize.set);
        return;
    }
    ck_assert_int_eq(vm->kind, VM_KIND_RESIZABLE);
    ck_assert_int_eq(vm->monitor, VM_MONITOR_READY);
    ck_assert_int_eq(vm->run_state, VM_RUN_RUNNING);
    ck_assert_int_eq(vm->migration, VM_MIGRATION_NONE);
    ck_assert_uint_eq(
        measures->in_force & (VM_MEASURE_PAUSE | VM_MEASURE_KILLED | VM_MEASURE_ENDING), 0);
    ck_assert_uint_eq(action->target % sizes->block, 0);
    ck_assert_uint_le(action->target, before);
    uint64_t memory = add_held(vm->maximum, before);
    uint64_t minimum = min_u64(amount_bytes(rules->minimum, memory, memory / 2), memory);
    uint64_t ram = min_u64(known_or(vm->balloon.actual, vm->maximum), vm->maximum);
    ck_assert(action->target == before || ram + action->target >= minimum);
    if (action->reason == REASON_RESIZE_RETURN) {
        ck_assert_int_eq(world->plan->assessment.pools[0].band, BAND_CALM);
        uint64_t has = max_u64(measures->resize.set, min_u64(sizes->size, before));
        seen->grants = add_held(seen->grants, sub_or_zero(action->target, has));
        return;
    }
    ck_assert(rules->rungs & RUNG_BIT(RUNG_RESIZE));
    ck_assert_int_ne(world->plan->assessment.band, BAND_CALM);
    ck_assert_uint_gt(action->relief, 0);
}

/* In critical, of the host, the budget or all nodes it is bound to, only with room for all that the
 * guest can ever take. */
static void check_resume(const struct world *world, const struct vm_snapshot *vm)
{
    const struct pool_view *pools = world->plan->assessment.pools;
    uint64_t all = sub_or_zero(vm->maximum, known_or(vm_held(vm), 0)), room = 0;
    uint32_t binding = binding_of(world, vm);
    bool node_critical = binding != 0;
    if (!known(vm->sampled) || !known(vm_held(vm)))
        return;
    if (pools[0].band == BAND_CRITICAL || pools[1].band == BAND_CRITICAL)
        ck_assert_uint_le(all, (uint64_t)pools[0].headroom);
    for (uint32_t node = 0; node < world->snapshot->host.node_count; node++) {
        if (!(binding >> node & 1))
            continue;
        node_critical = node_critical && pools[2 + node].band == BAND_CRITICAL;
        room =
            add_held(room, pools[2 + node].headroom > 0 ? (uint64_t)pools[2 + node].headroom : 0);
    }
    ck_assert(!node_critical || all <= room);
}

/* Before critical only in scarce, and only for the sake of somebody else who is worth as much or
 * more; that a `stop` on its way hangs may show at any time. */
static void check_early_pause(const struct world *world, const struct vm_snapshot *vm)
{
    const struct snapshot *snapshot = world->snapshot;
    bool others = false;
    for (uint32_t i = 0; i < snapshot->vm_count; i++)
        others = others ||
                 (&snapshot->vms[i] != vm && world->rules->vms[snapshot->vms[i].slot].priority >=
                                                 world->rules->vms[vm->slot].priority);
    ck_assert(others || (vm->measures.in_force & VM_MEASURE_STOP_SENT));
    ck_assert_int_eq(world->plan->assessment.band, BAND_SCARCE);
}

static unsigned caps_seen;

/* The last cap decided for each slot, and for whom. */
static struct {
    struct vm_identity identity;
    uint64_t cap;
} caps[CAPACITY];

/* Of libvirt's guests alone, above all they can need, on known figures, and not twice. */
static void check_memlock(const struct world *world, const struct action *action)
{
    const struct vm_snapshot *vm = vm_of(world, action);
    uint64_t cap = action->target;
    if (!known(cap)) {
        ck_assert(vm->measures.in_force & VM_MEASURE_MEMLOCK);
        caps[action->slot].cap = 0; /* given back: another may come */
        return;
    }
    caps_seen++;
    ck_assert_int_eq(action->reason, REASON_MEMLOCK_CAP);
    ck_assert_int_eq(world->rules->host.memlock, MEMLOCK_ENFORCE);
    ck_assert(vm->sources & VM_SOURCE_LIBVIRT);
    ck_assert(known(vm->locked) && known(vm->pinned) && known(vm->uid) && known(vm->sampled));
    ck_assert(known(vm->memlock_soft) && known(vm->memlock_hard));
    ck_assert_uint_eq(vm->wiring.iommufd, 0);
    ck_assert_int_eq(vm->migration, VM_MIGRATION_NONE);
    ck_assert(known(memlock_formula(vm)) && known(memlock_safe_cap(vm)));
    ck_assert_uint_ge(cap, memlock_formula(vm));
    ck_assert_uint_ge(cap, memlock_safe_cap(vm));
    ck_assert_uint_ge(cap, vm->locked + vm->pinned + GIB);
    ck_assert_uint_lt(cap, vm->memlock_hard);
    ck_assert(!(vm->measures.in_force & VM_MEASURE_MEMLOCK));
    ck_assert(!vm_identity_equal(&caps[action->slot].identity, &vm->identity) ||
              caps[action->slot].cap != cap);
    caps[action->slot].identity = vm->identity;
    caps[action->slot].cap = cap;
}

/* Only with swap to spare, of who is allowed, can be and is not wired, and when there is a need. */
static void check_reclaim(const struct world *world, const struct action *action)
{
    const struct vm_snapshot *vm = vm_of(world, action);
    const struct host_snapshot *host = &world->snapshot->host;
    bool paused = vm->measures.in_force & VM_MEASURE_PAUSE, waits = false;
    ck_assert(world->rules->vms[vm->slot].rungs & RUNG_BIT(RUNG_RECLAIM));
    ck_assert_int_eq(vm->reclaim.possible, TRISTATE_YES);
    ck_assert(known(host->swap_free) && known(host->swap_total));
    ck_assert_uint_le(action->target, host->swap_free);
    ck_assert_uint_le(action->target, vm->rss);
    ck_assert_uint_gt(action->target, 0);
    ck_assert_uint_eq(vm->wiring.vfio_groups + vm->wiring.iommufd + vm->wiring.vdpa, 0);
    ck_assert(known_or(vm->hugetlb, 0) == 0);
    ck_assert_int_ne(action->pool, POOL_BUDGET);
    for (uint32_t i = 0; i < world->snapshot->vm_count; i++)
        waits = waits || (world->snapshot->vms[i].measures.in_force & VM_MEASURE_PAUSE);
    ck_assert(waits || world->plan->assessment.band >= BAND_SCARCE);
    if (paused || vm->run_state == VM_RUN_PAUSED)
        return;
    ck_assert_int_eq(action->reason, REASON_RECLAIM_IDLE);
    ck_assert_uint_ge(vm->rss - action->target, vm_minimum(vm, &world->rules->vms[vm->slot]));
}

static void check_end(const struct world *world, const struct action *action, struct seen *seen)
{
    const struct vm_snapshot *vm = vm_of(world, action);
    seen->destructive++;
    ck_assert(vm->callable);
    ck_assert_uint_gt(action->relief, 0);
    ck_assert_uint_gt(action->deadline, 0);
    ck_assert_int_eq(world->plan->assessment.band, BAND_CRITICAL);
    ck_assert(!world->plan->assessment.sprint);
    ck_assert_int_ne(world->rules->vms[vm->slot].sacrifice, SACRIFICE_NEVER);
    ck_assert_int_eq((int)vm->migration, VM_MIGRATION_NONE);
    ck_assert_uint_eq(
        vm->measures.in_force & (VM_MEASURE_FROZEN | VM_MEASURE_STOP_SENT | VM_MEASURE_RESUMING |
                                    VM_MEASURE_ENDING | VM_MEASURE_KILLED),
        0);
}

/* From scarce on, of who is allowed, can be and runs freely, for the sake of balloons of others. */
static void check_brake(const struct world *world, const struct action *action)
{
    const struct vm_snapshot *vm = vm_of(world, action);
    const struct vm_rules *rules = &world->rules->vms[vm->slot];
    ck_assert(rules->rungs & RUNG_BIT(RUNG_BRAKE));
    ck_assert_int_ne(rules->sacrifice, SACRIFICE_NEVER);
    ck_assert_int_eq(vm->vcpu_quotas, TRISTATE_YES);
    ck_assert_int_ne(vm->migration, VM_MIGRATION_POSTCOPY);
    ck_assert_int_ge(world->plan->assessment.band, BAND_SCARCE);
    ck_assert(!world->plan->assessment.sprint);
    ck_assert_uint_eq(
        vm->measures.in_force & (VM_MEASURE_PAUSE | VM_MEASURE_KILLED | VM_MEASURE_RESUMING |
                                    VM_MEASURE_BRAKED | VM_MEASURE_ENDING),
        0);
}

/* One at a time, tighter than what was found, and with room above the use where more would kill. */
static void check_contain(const struct world *world, const struct action *action)
{
    const struct vm_snapshot *vm = vm_of(world, action);
    const struct vm_contained *ours = &vm->measures.limits[action->limit];
    bool held = (vm->measures.in_force & VM_MEASURE_CONTAIN) &&
                (vm->measures.contained & VM_LIMIT_BIT(action->limit));
    bool shortage =
        action->reason == REASON_CONTAIN_TAKEN_BACK || action->reason == REASON_CONTAIN_OUTGROWN;
    uint64_t present = vm->limits.values[action->limit], target = action->target;
    ck_assert_int_lt(action->limit, VM_LIMIT_COUNT);
    if (!known(target)) {
        ck_assert(held);
        return;
    }
    ck_assert(known(present) && known(vm->sampled) && !world->plan->assessment.sprint);
    ck_assert_uint_lt(target, held ? ours->before : present);
    if (held)
        ck_assert_uint_eq(present, ours->set);
    if (action->limit == VM_LIMIT_MEMORY_MAX) {
        ck_assert_uint_eq(vm->wiring.vfio_groups + vm->wiring.iommufd + vm->wiring.vdpa, 0);
        ck_assert(target > present || target >= contain_least(action->limit, vm->cgroup_current));
    }
    if (shortage) {
        ck_assert_int_eq(action->limit, VM_LIMIT_MEMORY_HIGH);
        ck_assert(held || world->plan->assessment.band >= BAND_SCARCE);
        ck_assert(world->rules->vms[vm->slot].rungs & RUNG_BIT(RUNG_BRAKE));
    }
}

static void check_action(const struct world *world, const struct action *action, struct seen *seen)
{
    const struct plan *plan = world->plan;
    actions_seen[action->kind]++;
    if (action->slot == ACTION_SLOT_HOST) {
        ck_assert_int_eq(action->kind, ACTION_ALERT);
        return;
    }
    const struct vm_snapshot *vm = vm_of(world, action);
    const struct vm_rules *rules = &world->rules->vms[vm->slot];
    ck_assert_int_ne(action->reason, REASON_NONE);
    if (action->mode == MODE_ENFORCE) {
        ck_assert_int_eq(world->rules->host.mode, MODE_ENFORCE);
        ck_assert_int_eq(rules->mode, MODE_ENFORCE);
    }
    if (action->pool == POOL_NODE)
        check_node(world, action);
    switch (action->kind) {
    case ACTION_BALLOON:
        check_balloon(world, action, seen);
        break;
    case ACTION_RESIZE:
        check_resize(world, action, seen);
        break;
    case ACTION_SAVE:
        ck_assert(rules->rungs & RUNG_BIT(RUNG_SAVE));
        ck_assert_int_eq((int)vm->definition.savable, TRISTATE_YES);
        ck_assert_uint_eq(vm->definition.vfio_devices, 0);
        check_end(world, action, seen);
        break;
    case ACTION_SHUTDOWN:
        ck_assert(rules->rungs & RUNG_BIT(RUNG_SHUTDOWN));
        ck_assert_int_eq((int)vm->run_state, VM_RUN_RUNNING);
        ck_assert_uint_eq(vm->measures.in_force & VM_MEASURE_PAUSE, 0);
        check_end(world, action, seen);
        break;
    case ACTION_KILL:
        seen->destructive++;
        ck_assert(rules->rungs & RUNG_BIT(RUNG_KILL));
        ck_assert_uint_gt(action->relief, 0);
        ck_assert_int_eq(plan->assessment.band, BAND_CRITICAL);
        ck_assert_int_ne(rules->sacrifice, SACRIFICE_NEVER);
        ck_assert_int_ne(vm->migration, VM_MIGRATION_POSTCOPY);
        break;
    case ACTION_BRAKE:
        check_brake(world, action);
        break;
    case ACTION_RELEASE:
        ck_assert(vm->measures.in_force & VM_MEASURE_BRAKED);
        break;
    case ACTION_PAUSE:
    case ACTION_FREEZE:
        ck_assert_int_ne(rules->sacrifice, SACRIFICE_NEVER);
        ck_assert_int_ne(vm->migration, VM_MIGRATION_POSTCOPY);
        /* A freeze may come over a `stop` that hangs, nothing over a freeze. */
        ck_assert_uint_eq(vm->measures.in_force & VM_MEASURE_PAUSE,
            action->reason == REASON_FREEZE_SILENT ? vm->measures.in_force & VM_MEASURE_STOP_SENT
                                                   : 0);
        if (action->reason != REASON_BRIDGE_END && plan->assessment.band != BAND_CRITICAL)
            check_early_pause(world, vm);
        break;
    case ACTION_RESUME:
        ck_assert(vm->measures.in_force & VM_MEASURE_PAUSE);
        check_resume(world, vm);
        break;
    case ACTION_RECLAIM:
        check_reclaim(world, action);
        seen->reclaims += action->mode == MODE_ENFORCE;
        break;
    case ACTION_OOM_SCORE:
        ck_assert_int_ge(action->oom_score_adj, -999);
        ck_assert_int_le(action->oom_score_adj, 900);
        break;
    case ACTION_MEMLOCK:
        check_memlock(world, action);
        break;
    case ACTION_CONTAIN:
        check_contain(world, action);
        seen->limits += known(action->target);
        break;
    case ACTION_THAW:
    case ACTION_ALERT:
    case ACTION_KIND_COUNT:
        break;
    }
}

/* Whatever else is so, a brake whose time is up is released, or was to be a moment ago. */
static void check_brakes_end(const struct world *world)
{
    static uint64_t asked[CAPACITY];
    const struct snapshot *snapshot = world->snapshot;
    for (uint32_t i = 0; i < world->plan->action_count; i++)
        if (world->plan->actions[i].kind == ACTION_RELEASE)
            asked[world->plan->actions[i].slot] = snapshot->time;
    for (uint32_t i = 0; i < snapshot->vm_count; i++) {
        const struct vm_snapshot *vm = &snapshot->vms[i];
        bool over = (vm->measures.in_force & VM_MEASURE_BRAKED) &&
                    vm->process_state != VM_PROCESS_DEAD &&
                    vm->measures.braked_since + NSEC_PER_MINUTE < snapshot->time;
        ck_assert(!over || asked[vm->slot] + 3 * NSEC_PER_SEC > snapshot->time);
    }
}

static void check_plan(const struct world *world)
{
    const struct plan *plan = world->plan;
    struct seen seen = {0};
    ck_assert_uint_eq(plan->actions_dropped, 0);
    ck_assert_uint_ge(plan->next_wake, NSEC_PER_MSEC);
    ck_assert_uint_le(plan->next_wake, NSEC_PER_SEC);
    for (uint32_t i = 0; i < plan->action_count; i++)
        check_action(world, &plan->actions[i], &seen);
    ck_assert_uint_le(seen.destructive, 1);
    ck_assert_uint_le(seen.reclaims, 1);
    check_brakes_end(world);
    ck_assert_uint_le(seen.limits, 1);
    const struct pool_view *host = &plan->assessment.pools[0];
    uint64_t room = host->headroom > 0 ? (uint64_t)host->headroom : 0;
    const struct threshold *bands = world->rules->host.bands;
    if (known(host->total) && bands[BAND_TIGHT].headroom.kind == AMOUNT_AUTO &&
        bands[BAND_SCARCE].headroom.kind == AMOUNT_AUTO)
        room = sub_or_zero(room, (host->total - host->floor) / 1000 * 75); /* where scarce begins */
    room = sub_or_zero(room, host->reserved);
    ck_assert_uint_le(seen.grants, room);
}

static void decide(struct world *world)
{
    uint32_t capacity = world->snapshot->vm_capacity;
    size_t written = sizeof(struct plan);
    memcpy(world->copy, world->state, policy_state_size(capacity));
    policy_decide(world->snapshot, world->rules, world->state, world->scratch, world->plan);
    memset((char *)world->scratch + sizeof(uint64_t), 0xa5,
        policy_scratch_size(capacity) - sizeof(uint64_t));
    policy_decide(world->snapshot, world->rules, world->copy, world->scratch, world->again);
    written += world->plan->action_count * sizeof(struct action);
    ck_assert_mem_eq(world->plan, world->again, written);
    ck_assert_mem_eq(world->state, world->copy, policy_state_size(capacity));
}

static void live(uint32_t capacity, uint64_t cases)
{
    struct world world = world_new(capacity);
    for (uint64_t i = 0; i < cases; i++) {
        uint64_t total = draw_below(512 * GIB) + 256 * MIB;
        policy_state_init(world.state, capacity);
        draw_rules(world.rules, total);
        world.snapshot->time = draw_below(UINT64_C(1) << 50);
        memset(caps, 0, sizeof(caps));
        for (int step = 0; step < STEPS; step++) {
            draw_snapshot(world.snapshot, total, step == 0);
            decide(&world);
            check_plan(&world);
        }
    }
    world_free(&world);
}

START_TEST(whatever_is_seen_the_guarantees_hold)
{
    uint64_t cases = suite_cases(CASES_DEFAULT);
    live(CAPACITY, cases);
    for (int kind = 0; kind < ACTION_KIND_COUNT && cases >= CASES_TELLING; kind++)
        ck_assert_msg(
            actions_seen[kind] > 0, "never seen: %s", action_kind_name((enum action_kind)kind));
    ck_assert(cases < CASES_TELLING || caps_seen > 0);
    ck_assert(cases < CASES_TELLING || starts_seen > 0);
    static const enum action_kind for_nodes[] = {
        ACTION_BALLOON, ACTION_PAUSE, ACTION_FREEZE, ACTION_KILL};
    for (int i = 0; i < 4 && cases >= CASES_TELLING; i++)
        ck_assert_msg(node_acts_seen[for_nodes[i]] > 0, "never seen for a node: %s",
            action_kind_name(for_nodes[i]));
}
END_TEST

START_TEST(a_host_for_no_guest_and_for_one)
{
    live(0, suite_cases(CASES_DEFAULT) / 20);
    live(1, suite_cases(CASES_DEFAULT) / 4);
}
END_TEST

START_TEST(nobody_knows_anything)
{
    struct world world = world_new(CAPACITY);
    policy_state_init(world.state, CAPACITY);
    host_rules_default(&world.rules->host);
    world.rules->host.mode = MODE_ENFORCE;
    memset(&world.snapshot->host, 0xff, sizeof(world.snapshot->host));
    world.snapshot->host.scores_raise_only = false;
    world.snapshot->vm_count = CAPACITY;
    for (uint32_t i = 0; i < CAPACITY; i++) {
        vm_rules_default(&world.rules->vms[i]);
        world.rules->vms[i].mode = MODE_ENFORCE;
        memset(&world.snapshot->vms[i], 0xff, sizeof(world.snapshot->vms[i]));
        world.snapshot->vms[i].slot = i;
        world.snapshot->vms[i].run_state = VM_RUN_UNKNOWN;
        world.snapshot->vms[i].monitor = VM_MONITOR_NONE;
        world.snapshot->vms[i].migration = VM_MIGRATION_UNKNOWN;
        world.snapshot->vms[i].kind = VM_KIND_UNKNOWN;
        world.snapshot->vms[i].process_state = VM_PROCESS_UNKNOWN;
        world.snapshot->vms[i].measures.in_force = 0;
    }
    for (uint64_t now = 1; now < 20; now++) {
        world.snapshot->time = now * NSEC_PER_SEC;
        decide(&world);
        ck_assert_uint_eq(world.plan->action_count, 0);
    }
    world_free(&world);
}
END_TEST

START_TEST(the_same_snapshot_again_changes_nothing)
{
    struct world world = world_new(CAPACITY);
    policy_state_init(world.state, CAPACITY);
    draw_rules(world.rules, 64 * GIB);
    draw_snapshot(world.snapshot, 64 * GIB, true);
    decide(&world);
    memcpy(world.copy, world.state, policy_state_size(CAPACITY));
    policy_decide(world.snapshot, world.rules, world.state, world.scratch, world.plan);
    ck_assert_mem_eq(world.state, world.copy, policy_state_size(CAPACITY));
    ck_assert_uint_eq(world.plan->action_count, 0);
    world_free(&world);
}
END_TEST

/* Guests whose demand stands still come to rest: after the first minutes nothing moves any more,
 * and on the way there no balloon turns around more than a few times. */
START_TEST(a_steady_world_does_not_oscillate)
{
    uint64_t cases = suite_cases(CASES_DEFAULT) / 80 + 1;
    for (uint64_t i = 0; i < cases; i++) {
        struct story *story = story_new(64 * GIB, (2 + draw_below(8)) * GIB);
        unsigned count = 3 + (unsigned)draw_below(5);
        for (unsigned guest = 0; guest < count; guest++) {
            uint64_t maximum = (4 + draw_below(12)) * GIB;
            story_guest(story, maximum, maximum * (40 + draw_below(60)) / 100);
            story_rules(story, guest)->minimum = (struct amount){AMOUNT_SHARE, 2000};
            story->guests[guest].wants = maximum * (10 + draw_below(30)) / 100;
            if (draw_below(2))
                story->guests[guest].free = maximum - story->guests[guest].wants;
        }
        story_run(story, 120 * NSEC_PER_SEC, 250 * NSEC_PER_MSEC);
        unsigned before = 0, after = 0;
        for (unsigned guest = 0; guest < count; guest++) {
            ck_assert_uint_le(story->guests[guest].turns, 4);
            before += story->guests[guest].balloons + story->guests[guest].grants;
        }
        story_run(story, 60 * NSEC_PER_SEC, 250 * NSEC_PER_MSEC);
        for (unsigned guest = 0; guest < count; guest++)
            after += story->guests[guest].balloons + story->guests[guest].grants;
        ck_assert_uint_le(after - before, count);
        story_free(story);
    }
}
END_TEST

int main(void)
{
    const char *seed = getenv("PLIMSOLL_TEST_SEED");
    uint64_t number = seed ? strtoull(seed, NULL, 10) : 0;
    if (number == 0) /* where xorshift would stay */
        number = SEED_DEFAULT;
    draw_seed(number);
    printf("PLIMSOLL_TEST_SEED=%llu\n", (unsigned long long)number);
    TCase *tests = tcase_create("properties");
    tcase_add_test(tests, whatever_is_seen_the_guarantees_hold);
    tcase_add_test(tests, a_host_for_no_guest_and_for_one);
    tcase_add_test(tests, nobody_knows_anything);
    tcase_add_test(tests, the_same_snapshot_again_changes_nothing);
    tcase_add_test(tests, a_steady_world_does_not_oscillate);
    tcase_set_timeout(tests, 100); /* under valgrind */
    Suite *suite = suite_create("properties");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
