/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the generator of random worlds: a stream of numbers that repeats from its seed, and how
 * often each oddity comes up.
 */
#include "world.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t random_state;

void draw_seed(uint64_t seed)
{
    random_state = seed;
}

void draw_seed_asked(uint64_t usual)
{
    const char *asked = getenv("PLIMSOLL_TEST_SEED");
    uint64_t seed = asked ? strtoull(asked, NULL, 10) : 0;
    if (seed == 0) /* where xorshift would stay */
        seed = usual;
    draw_seed(seed);
    printf("PLIMSOLL_TEST_SEED=%llu\n", (unsigned long long)seed);
    (void)fflush(stdout); /* each test is a process of its own, and would say it again */
}

/* xorshift64*, Vigna 2014 */
static uint64_t draw(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * UINT64_C(2685821657736338717);
}

uint64_t draw_below(uint64_t bound)
{
    return draw() % bound;
}

/* Mostly sizes as they are, sometimes nothing, all, or nobody knows. */
static uint64_t draw_size(uint64_t largest)
{
    switch (draw_below(24)) {
    case 0:
        return UNKNOWN;
    case 1:
        return 0;
    case 2:
        return UNKNOWN - 1;
    case 3:
        return largest;
    case 4:
        return draw();
    }
    return draw_below(largest + 1);
}

static void *allocate(size_t size)
{
    void *memory = calloc(1, size);
    ck_assert_ptr_nonnull(memory);
    return memory;
}

struct world world_new(uint32_t capacity)
{
    struct world world = {
        .snapshot = allocate(snapshot_size(capacity)),
        .rules = allocate(rules_size(capacity)),
        .state = allocate(policy_state_size(capacity)),
        .copy = allocate(policy_state_size(capacity)),
        .scratch = policy_scratch_init(allocate(policy_scratch_size(capacity)), capacity),
        .plan = allocate(plan_size(capacity)),
        .again = allocate(plan_size(capacity)),
    };
    world.snapshot->vm_capacity = world.rules->vm_capacity = capacity;
    world.plan->action_capacity = world.again->action_capacity = plan_action_capacity(capacity);
    return world;
}

void world_free(struct world *world)
{
    free(world->snapshot);
    free(world->rules);
    free(world->state);
    free(world->copy);
    free(world->scratch);
    free(world->plan);
    free(world->again);
}

static struct amount draw_amount(uint64_t largest)
{
    switch (draw_below(4)) {
    case 0:
        return (struct amount){AMOUNT_BYTES, draw_size(largest)};
    case 1:
        return (struct amount){AMOUNT_SHARE, draw_below(AMOUNT_SHARE_WHOLE + 1)};
    }
    return (struct amount){.kind = AMOUNT_AUTO};
}

void draw_rules(struct rules *rules, uint64_t total)
{
    host_rules_default(&rules->host);
    rules->host.mode = draw_below(4) ? MODE_ENFORCE : MODE_DRY_RUN;
    rules->host.held = rules->host.mode == MODE_DRY_RUN && draw_below(2);
    rules->host.memlock = draw_below(3) ? MEMLOCK_ENFORCE : (enum memlock_mode)draw_below(3);
    if (draw_below(3) == 0)
        rules->host.pinned_limit = (struct amount){AMOUNT_SHARE, draw_below(AMOUNT_SHARE_WHOLE)};
    if (draw_below(4) == 0)
        rules->host.budget = draw_amount(total);
    if (draw_below(6) == 0)
        rules->host.floor = draw_amount(total);
    for (int band = BAND_TIGHT; band < BAND_COUNT; band++)
        if (draw_below(6) == 0)
            rules->host.bands[band] =
                (struct threshold){draw_amount(total), draw_size(NSEC_PER_MINUTE)};
    for (uint32_t i = 0; i < rules->vm_capacity; i++) {
        struct vm_rules *vm = &rules->vms[i];
        vm_rules_default(vm);
        vm->mode = draw_below(4) ? MODE_ENFORCE : MODE_DRY_RUN;
        vm->priority = (uint32_t)draw_below(1001);
        vm->shares = (uint32_t)draw_below(4000);
        vm->minimum = draw_amount(total / 4);
        vm->rungs = draw_below(3) ? RUNG_ALL : (uint32_t)draw_below(RUNG_ALL + 1);
        vm->sacrifice = (enum sacrifice)draw_below(SACRIFICE_COUNT);
        vm->restart_cost = draw_size(100 * NSEC_PER_MINUTE);
        vm->memory_high = draw_amount(total / 4);
        vm->memory_max = draw_amount(total / 4);
        vm->pids_max = (uint32_t)draw_below(1000);
        vm->cpu_max = (uint32_t)draw_below(200);
        vm->oom_group = draw_below(2);
    }
}

/* Mostly none; of ours or not. */
static void draw_limits(struct vm_snapshot *vm, uint64_t maximum, uint64_t now)
{
    struct vm_limits *limits = &vm->limits;
    limits->cpu_period = draw_below(8) ? 100 * NSEC_PER_MSEC : draw_size(NSEC_PER_SEC);
    limits->tasks = draw_size(500);
    limits->written = (enum vm_limit)draw_below(VM_LIMIT_COUNT);
    limits->previous = draw_below(4) ? UNKNOWN : draw_size(maximum);
    limits->asked = draw_below(4) ? UNKNOWN : draw_size(now);
    limits->answered = draw_below(16) ? limits->asked : UNKNOWN;
    limits->result = draw_below(4) ? 0 : -(int32_t)draw_below(100);
    for (int i = 0; i < VM_LIMIT_COUNT; i++) {
        struct vm_contained *ours = &vm->measures.limits[i];
        limits->values[i] = draw_below(3) ? VM_LIMIT_NONE : draw_size(maximum);
        ours->before = draw_below(2) ? VM_LIMIT_NONE : draw_size(maximum);
        ours->set = draw_below(2) ? limits->values[i] : draw_size(maximum);
        if (draw_below(4) == 0)
            vm->measures.contained |= VM_LIMIT_BIT(i);
    }
}

static void draw_measures(struct vm_snapshot *vm, uint64_t maximum)
{
    vm->measures = (struct vm_measures){.balloon_target = UNKNOWN, .balloon_before = UNKNOWN};
    if (draw_below(3) == 0) {
        vm->measures.in_force |= VM_MEASURE_BALLOON;
        vm->measures.balloon_target = draw_size(maximum);
        vm->measures.balloon_before = draw_size(maximum);
    }
    if (draw_below(5) == 0) {
        vm->measures.in_force |= (uint32_t)draw_below(1 << 11);
        if (draw_below(4) == 0)
            vm->measures.in_force |= (uint32_t)draw_below(4) * VM_MEASURE_SAVING;
        vm->measures.memlock_set = draw_size(maximum);
        vm->measures.paused_since = draw_below(UINT64_C(1) << 50);
        vm->measures.braked_since = draw_below(UINT64_C(1) << 50);
        vm->measures.ending_until = draw_size(UINT64_C(1) << 50);
    }
}

static uint32_t draw_count(uint32_t most)
{
    return draw_below(24) ? (uint32_t)draw_below(most + 1) : COUNT_UNKNOWN;
}

/* A domain, and a limit on locked memory that has mostly nothing to do with it. */
static void draw_domain(struct vm_snapshot *vm, uint64_t total)
{
    vm->sources = draw_below(8) ? VM_SOURCE_PROC | VM_SOURCE_LIBVIRT : VM_SOURCE_PROC;
    vm->uid = draw_below(16) ? draw_below(8) : UNKNOWN;
    vm->memlock_hard = draw_below(2) ? MEMLOCK_UNLIMITED : draw_size(total);
    vm->memlock_soft = draw_below(8) ? vm->memlock_hard : draw_size(total);
    vm->wiring.kvm = draw_below(16) ? TRISTATE_YES : TRISTATE_UNKNOWN;
    vm->wiring.iommufd = draw_below(12) ? 0 : 1;
    vm->wiring.vfio_groups = (uint32_t)draw_below(3);
    vm->wiring.vdpa = draw_below(4) ? 0 : 1;
    vm->definition = (struct vm_definition){
        .memory = draw_size(total / 3 + MIB),
        .hard_limit = draw_below(6) ? MEMLOCK_UNLIMITED : draw_size(total),
        .locked = draw_below(8) ? TRISTATE_NO : (enum tristate)draw_below(3),
        .viommu = (enum tristate)draw_below(3),
        .vfio_devices = draw_count(3),
        .vdpa_devices = draw_count(2),
        .nvme_disks = draw_below(3) ? 0 : draw_count(2),
        .savable = draw_below(3) ? TRISTATE_YES : (enum tristate)draw_below(3),
        .version = draw_below(2) ? 11003000 : 9000000,
    };
}

/* Of ours or not; sizes are whole blocks, as QEMU has them. */
static void draw_resizable(struct vm_snapshot *vm, uint64_t now)
{
    uint64_t block = (2 * MIB) << draw_below(4), count = draw_below(64);
    struct vm_resizable *sizes = &vm->resizable;
    *sizes = (struct vm_resizable){
        .size = draw_below(12) ? draw_below(count + 1) * block : UNKNOWN,
        .requested = draw_below(12) ? draw_below(count + 1) * block : UNKNOWN,
        .maximum = count * block,
        .block = draw_below(12) ? block : UNKNOWN,
        .updated = draw_size(now),
        .asked = draw_below(2) ? UNKNOWN : draw_size(now),
        .answered = draw_size(now),
        .result = draw_below(4) ? 0 : -(int32_t)draw_below(100),
    };
    vm->measures.resize_previous = UNKNOWN;
    if (draw_below(3) == 0) {
        vm->measures.in_force |= VM_MEASURE_RESIZE;
        vm->measures.resize.before = draw_below(count + 1) * block;
        vm->measures.resize.set = draw_below(2) ? sizes->requested : draw_below(count + 1) * block;
        if (known(vm->measures.resize.set)) /* ours took, it did not give */
            vm->measures.resize.before =
                max_u64(vm->measures.resize.before, vm->measures.resize.set);
        vm->measures.resize_previous = draw_below(4) ? UNKNOWN : draw_below(count + 1) * block;
    }
    if (draw_below(2)) /* all of it pinned */
        vm->rss = vm->rss_anonymous = add_held(known_or(vm->maximum, 0), known_or(sizes->size, 0));
}

static void draw_vm(struct vm_snapshot *vm, uint64_t total, uint64_t now)
{
    uint64_t maximum = draw_below(total / 3 + 1) + MIB;
    vm->sampled = draw_below(10) ? now : UNKNOWN;
    vm->process_state = draw_below(5) ? VM_PROCESS_ALIVE
                                      : (enum vm_process_state)draw_below(VM_PROCESS_STATE_COUNT);
    vm->run_state =
        draw_below(4) ? VM_RUN_RUNNING : (enum vm_run_state)draw_below(VM_RUN_STATE_COUNT);
    vm->monitor = draw_below(4) ? VM_MONITOR_READY : (enum vm_monitor)draw_below(VM_MONITOR_COUNT);
    vm->migration =
        draw_below(4) ? VM_MIGRATION_NONE : (enum vm_migration)draw_below(VM_MIGRATION_COUNT);
    vm->vcpu_quotas = draw_below(4) ? TRISTATE_YES : (enum tristate)draw_below(3);
    vm->kind = draw_below(3) ? VM_KIND_ELASTIC : (enum vm_kind)draw_below(VM_KIND_COUNT);
    vm->kind_reason = (enum vm_kind_reason)draw_below(VM_KIND_REASON_COUNT);
    vm->maximum = draw_below(12) ? maximum : draw_size(maximum);
    vm->balloon.actual = draw_size(maximum);
    vm->rss = draw_size(maximum);
    vm->rss_anonymous = known(vm->rss) ? vm->rss : draw_size(maximum);
    vm->rss_shmem = draw_below(4) ? 0 : draw_size(maximum);
    vm->hugetlb = draw_below(4) ? 0 : draw_size(maximum);
    vm->swap = draw_size(maximum);
    vm->page_tables = draw_size(maximum / 100);
    vm->locked = draw_size(maximum);
    vm->pinned = draw_below(2) ? 0 : draw_size(maximum);
    if (draw_below(3) == 0) { /* all of it mapped, and something beside */
        vm->locked = vm->definition.memory;
        vm->pinned = draw_size(GIB);
    }
    vm->oom_score_adj = (int32_t)draw_below(2001) - 1000;
    vm->statistics.updated = draw_below(3) ? now : draw_size(now);
    vm->statistics.free = draw_size(maximum);
    vm->statistics.disk_caches = draw_size(maximum);
    for (int node = 0; node < NODES_MAX; node++)
        vm->node_bytes[node] = draw_below(3) ? draw_size(maximum) : 0;
    /* Mostly one node or two; sometimes all, none known, or any. */
    vm->nodes_allowed = draw_below(4) ? UINT32_C(1) << draw_below(3) : (uint32_t)draw();
    if (draw_below(3) == 0)
        vm->nodes_allowed |= UINT32_C(1) << draw_below(3);
    else if (draw_below(6) == 0)
        vm->nodes_allowed = 0;
    vm->reclaim = (struct vm_reclaim){
        .possible = draw_below(4) ? TRISTATE_YES : (enum tristate)draw_below(3),
        .asked = draw_size(now),
        .answered = draw_size(now),
        .result = draw_below(2) ? 0 : -(int32_t)draw_below(100),
    };
    draw_measures(vm, maximum);
    vm->cgroup_current = draw_size(maximum);
    draw_limits(vm, maximum, now);
    if (vm->kind == VM_KIND_RESIZABLE)
        draw_resizable(vm, now);
}

/* Mostly none, sometimes some, of guests that are there or not. */
static void draw_reservations(struct snapshot *snapshot, uint64_t total)
{
    snapshot->reservation_count = draw_below(3) ? 0 : (uint32_t)draw_below(4);
    for (uint32_t i = 0; i < snapshot->reservation_count; i++) {
        struct reservation *reservation = &snapshot->reservations[i];
        *reservation = (struct reservation){
            .bytes = draw_size(total / 8),
            .hugepages = draw_size(total / 8),
            .promised = draw_size(total / 4),
            .promised_pinned = draw_size(total / 4),
            .nodes = draw_below(2) ? 0 : (uint32_t)draw(),
        };
        reservation->uuid[0] = (uint8_t)draw_below(8);
    }
}

void draw_snapshot(struct snapshot *snapshot, uint64_t total, bool anew)
{
    struct host_snapshot *host = &snapshot->host;
    snapshot->time +=
        draw_below(4) ? draw_below(2 * NSEC_PER_SEC) + 1 : draw_below(NSEC_PER_MINUTE);
    host->total = draw_below(30) ? total : draw_size(total);
    /* Near the edge more often than not. */
    host->available = draw_below(3) ? draw_below(total / 8 + 1) : draw_size(total);
    host->swap_total = draw_size(total);
    host->swap_free = draw_below(2) ? 0 : draw_size(total);
    host->swap_rate = draw_size(GIB);
    host->watermark_high = draw_below(total / 100 + 1);
    host->fill_rate_most = draw_size(256 * GIB);
    host->arc_size = draw_below(2) ? UNKNOWN : draw_size(total);
    host->arc_minimum = draw_size(total);
    host->node_count = (uint32_t)draw_below(4) ? (uint32_t)draw_below(5) : NODES_MAX;
    for (uint32_t i = 0; i < host->node_count; i++) {
        host->nodes[i].id = i;
        host->nodes[i].total = draw_size(total / 2);
        host->nodes[i].available = draw_size(draw_below(2) ? total / 2 : total / 50);
    }
    draw_reservations(snapshot, total);
    if (anew)
        snapshot->vm_count = (uint32_t)draw_below((uint64_t)snapshot->vm_capacity + 1);
    for (uint32_t i = 0; i < snapshot->vm_count; i++) {
        struct vm_snapshot *vm = &snapshot->vms[i];
        vm->slot = i;
        if (anew || draw_below(20) == 0) {
            vm->identity = (struct vm_identity){(pid_t)(draw_below(9) + 1), draw_below(9), {0}};
            vm->identity.uuid[0] = (uint8_t)draw_below(4);
            draw_domain(vm, total);
        }
        vm->callable = draw_below(3) != 0;
        vm->definition.confirmed = draw_below(12) ? snapshot->time : draw_size(snapshot->time);
        draw_vm(vm, total, snapshot->time);
    }
}
