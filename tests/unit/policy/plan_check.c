/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns what must hold of any plan, kind by kind, and how often each kind came up. */
#include "plan_check.h"

#include "plan_check_ends.h"

#include <check.h>
#include <inttypes.h>
#include <string.h>

static struct plan_seen counted;

struct seen {
    uint64_t grants;
    uint64_t grants_of_lesser; /* to whom paused guests leave it */
    unsigned reclaims, limits;
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

/* Nobody is asked for a node who has no memory there, nobody stopped who is not bound to it, nor
 * while another of the nodes it is bound to is far from its end. */
static void check_node(const struct world *world, const struct action *action)
{
    const struct vm_snapshot *vm = vm_of(world, action);
    const struct pool_view *nodes = &world->plan->assessment.pools[2];
    uint32_t binding = binding_of(world, vm), bit = UINT32_C(1) << action->node;
    ck_assert_uint_lt(action->node, world->snapshot->host.node_count);
    counted.node_actions[action->kind]++;
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
    counted.starts++;
}

/* Above tight to anybody there is room for; in scarce, where lesser ones stand paused. */
static void check_grant(
    const struct world *world, const struct vm_rules *rules, uint64_t bytes, struct seen *seen)
{
    const struct snapshot *snapshot = world->snapshot;
    const struct pool_view *pools = world->plan->assessment.pools;
    bool lesser = false;
    for (uint32_t i = 0; i < snapshot->vm_count; i++)
        lesser |= (snapshot->vms[i].measures.in_force & VM_MEASURE_PAUSE) &&
                  world->rules->vms[snapshot->vms[i].slot].priority < rules->priority;
    for (uint32_t pool = 0; pool < 2; pool++) /* host and budget */
        ck_assert_int_le((int)pools[pool].band, lesser ? BAND_SCARCE : BAND_TIGHT);
    if (lesser)
        seen->grants_of_lesser = add_held(seen->grants_of_lesser, bytes);
    else
        seen->grants = add_held(seen->grants, bytes);
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
        check_grant(world, rules,
            sub_or_zero(action->target, min_u64(vm->measures.balloon_target, vm->maximum)), seen);
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
    /* Who is below it already, whose balloon took more since, may be given back a part. */
    bool raised =
        ours && action->reason == REASON_RESIZE_RETURN && action->target >= measures->resize.set;
    ck_assert_msg(raised || action->target == before || ram + action->target >= minimum,
        "target %" PRIu64 ", before %" PRIu64 ", minimum %" PRIu64 " of %" PRIu64 ", ram %" PRIu64,
        action->target, before, minimum, memory, ram);
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

/* Before critical only for the sake of somebody else: of one who is worth more, or in scarce as
 * much; that a `stop` on its way hangs may show at any time. */
static void check_early_pause(const struct world *world, const struct vm_snapshot *vm)
{
    const struct snapshot *snapshot = world->snapshot;
    uint32_t priority = world->rules->vms[vm->slot].priority;
    enum band band = world->plan->assessment.band;
    bool others = false;
    for (uint32_t i = 0; i < snapshot->vm_count; i++) {
        uint32_t other = world->rules->vms[snapshot->vms[i].slot].priority;
        others = others || (&snapshot->vms[i] != vm &&
                               (band < BAND_SCARCE ? other > priority : other >= priority));
    }
    ck_assert(others || (vm->measures.in_force & VM_MEASURE_STOP_SENT));
    ck_assert(band == BAND_SCARCE || band == BAND_TIGHT);
}

/* The last cap decided for each slot, and for whom. */
static struct {
    struct vm_identity identity;
    uint64_t cap;
} caps[PLAN_CHECK_VMS];

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
    counted.caps++;
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
    ck_assert(known(world->plan->assessment.pools[0].total));
    ck_assert(waits || world->plan->assessment.band >= BAND_SCARCE);
    if (paused || vm->run_state == VM_RUN_PAUSED)
        return;
    ck_assert_int_eq(action->reason, REASON_RECLAIM_IDLE);
    ck_assert_uint_ge(vm->rss - action->target, vm_minimum(vm, &world->rules->vms[vm->slot]));
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

static void check_pause(const struct world *world, const struct action *action)
{
    const struct vm_snapshot *vm = vm_of(world, action);
    ck_assert_int_ne(world->rules->vms[vm->slot].sacrifice, SACRIFICE_NEVER);
    ck_assert_int_ne(vm->migration, VM_MIGRATION_POSTCOPY);
    /* A freeze may come over a `stop` that hangs, nothing over a freeze. */
    ck_assert_uint_eq(vm->measures.in_force & VM_MEASURE_PAUSE,
        action->reason == REASON_FREEZE_SILENT ? vm->measures.in_force & VM_MEASURE_STOP_SENT : 0);
    if (action->reason != REASON_BRIDGE_END && world->plan->assessment.band != BAND_CRITICAL)
        check_early_pause(world, vm);
}

/* What holds of its kind alone. */
static void check_kind(const struct world *world, const struct action *action, struct seen *seen)
{
    const struct vm_snapshot *vm = vm_of(world, action);
    switch (action->kind) {
    case ACTION_BALLOON:
        check_balloon(world, action, seen);
        break;
    case ACTION_RESIZE:
        check_resize(world, action, seen);
        break;
    case ACTION_SAVE:
    case ACTION_SHUTDOWN:
        plan_check_end(world, action, vm);
        break;
    case ACTION_KILL:
        plan_check_kill(world, action, vm);
        break;
    case ACTION_BRAKE:
        check_brake(world, action);
        break;
    case ACTION_RELEASE:
        ck_assert(vm->measures.in_force & VM_MEASURE_BRAKED);
        break;
    case ACTION_PAUSE:
    case ACTION_FREEZE:
        check_pause(world, action);
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

static void check_action(const struct world *world, const struct action *action, struct seen *seen)
{
    counted.actions[action->kind]++;
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
    check_kind(world, action, seen);
}

/* Whatever else is so, a brake whose time is up is released, or was to be a moment ago, or its
 * guest is stopped first. */
static void check_brakes_end(const struct world *world)
{
    static uint64_t asked[PLAN_CHECK_VMS];
    const struct snapshot *snapshot = world->snapshot;
    for (uint32_t i = 0; i < world->plan->action_count; i++) {
        const struct action *action = &world->plan->actions[i];
        if (action->kind == ACTION_RELEASE || action->kind == ACTION_PAUSE ||
            action->kind == ACTION_FREEZE)
            asked[action->slot] = snapshot->time;
    }
    for (uint32_t i = 0; i < snapshot->vm_count; i++) {
        const struct vm_snapshot *vm = &snapshot->vms[i];
        bool over = (vm->measures.in_force & VM_MEASURE_BRAKED) &&
                    vm->process_state != VM_PROCESS_DEAD &&
                    vm->measures.braked_since + 2 * NSEC_PER_MINUTE < snapshot->time;
        ck_assert(!over || asked[vm->slot] + 3 * NSEC_PER_SEC > snapshot->time);
    }
}

/* What of the host thresholds are shares of: above 256 GiB a third. */
static uint64_t share_whole(const struct pool_view *host)
{
    uint64_t capacity = host->total - host->floor;
    return capacity <= 256 * GIB ? capacity : 256 * GIB + (capacity - 256 * GIB) / 3;
}

void plan_check(const struct world *world)
{
    const struct plan *plan = world->plan;
    struct seen seen = {0};
    ck_assert_uint_eq(plan->actions_dropped, 0);
    ck_assert_uint_ge(plan->next_wake, NSEC_PER_MSEC);
    ck_assert_uint_le(plan->next_wake, NSEC_PER_SEC);
    for (uint32_t i = 0; i < plan->action_count; i++)
        check_action(world, &plan->actions[i], &seen);
    plan_check_batch(world);
    ck_assert_uint_le(seen.reclaims, 1);
    check_brakes_end(world);
    ck_assert_uint_le(seen.limits, 1);
    const struct pool_view *host = &plan->assessment.pools[0];
    uint64_t room = host->headroom > 0 ? (uint64_t)host->headroom : 0;
    const struct threshold *bands = world->rules->host.bands;
    uint64_t above_critical = room;
    if (known(host->total) && bands[BAND_CRITICAL].headroom.kind == AMOUNT_AUTO)
        above_critical = sub_or_zero(room, share_whole(host) / 1000 * 30);
    ck_assert_uint_le(
        add_held(seen.grants, seen.grants_of_lesser), sub_or_zero(above_critical, host->reserved));
    if (known(host->total) && bands[BAND_TIGHT].headroom.kind == AMOUNT_AUTO &&
        bands[BAND_SCARCE].headroom.kind == AMOUNT_AUTO)
        room = sub_or_zero(room, share_whole(host) / 1000 * 75); /* where scarce begins */
    room = sub_or_zero(room, host->reserved);
    ck_assert_uint_le(seen.grants, room);
}

void plan_check_begin(void)
{
    memset(caps, 0, sizeof(caps));
}

const struct plan_seen *plan_check_seen(void)
{
    return &counted;
}
