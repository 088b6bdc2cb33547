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

#define CAPACITY 8
#define STEPS 6
#define CASES_DEFAULT 8000 /* × STEPS snapshots */
/* With at least so many cases every kind of action must have been seen. */
#define CASES_TELLING 2000
#define SEED_DEFAULT 20240229

static uint64_t random_state;

/* xorshift64*, Vigna 2014 */
static uint64_t draw(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * UINT64_C(2685821657736338717);
}

static uint64_t draw_below(uint64_t bound)
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

struct world {
    struct snapshot *snapshot;
    struct rules *rules;
    void *state, *copy;
    struct policy_scratch *scratch;
    struct plan *plan, *again;
};

static void *allocate(size_t size)
{
    void *memory = calloc(1, size);
    ck_assert_ptr_nonnull(memory);
    return memory;
}

static struct world world_new(uint32_t capacity)
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

static void world_free(struct world *world)
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

static void draw_rules(struct rules *rules, uint64_t total)
{
    host_rules_default(&rules->host);
    rules->host.mode = draw_below(4) ? MODE_ENFORCE : MODE_DRY_RUN;
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
        vm->measures.in_force |= (uint32_t)draw_below(1 << 8);
        vm->measures.paused_since = draw_below(UINT64_C(1) << 50);
    }
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
    vm->oom_score_adj = (int32_t)draw_below(2001) - 1000;
    vm->statistics.updated = draw_below(3) ? now : draw_size(now);
    vm->statistics.free = draw_size(maximum);
    vm->statistics.disk_caches = draw_size(maximum);
    for (int node = 0; node < NODES_MAX; node++)
        vm->node_bytes[node] = draw_size(maximum);
    draw_measures(vm, maximum);
}

static void draw_snapshot(struct snapshot *snapshot, uint64_t total, bool anew)
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
    host->arc_size = draw_below(2) ? UNKNOWN : draw_size(total);
    host->arc_minimum = draw_size(total);
    host->node_count = (uint32_t)draw_below(4) ? (uint32_t)draw_below(5) : NODES_MAX;
    for (uint32_t i = 0; i < host->node_count; i++) {
        host->nodes[i].total = draw_size(total / 2);
        host->nodes[i].available = draw_size(total / 2);
    }
    if (anew)
        snapshot->vm_count = (uint32_t)draw_below((uint64_t)snapshot->vm_capacity + 1);
    for (uint32_t i = 0; i < snapshot->vm_count; i++) {
        struct vm_snapshot *vm = &snapshot->vms[i];
        vm->slot = i;
        if (anew || draw_below(20) == 0) {
            vm->identity = (struct vm_identity){(pid_t)(draw_below(9) + 1), draw_below(9), {0}};
            vm->identity.uuid[0] = (uint8_t)draw_below(4);
        }
        draw_vm(vm, total, snapshot->time);
    }
}

/* ---- what must hold ---- */

/* How often each kind came up: properties of plans that are empty prove nothing. */
static unsigned actions_seen[ACTION_KIND_COUNT];

struct seen {
    uint64_t grants;
    unsigned destructive;
};

static const struct vm_snapshot *vm_of(const struct world *world, const struct action *action)
{
    /* Here slot and position are the same. */
    ck_assert_uint_lt(action->slot, world->snapshot->vm_count);
    return &world->snapshot->vms[action->slot];
}

static void check_balloon(const struct world *world, const struct action *action, struct seen *seen)
{
    const struct vm_snapshot *vm = vm_of(world, action);
    const struct vm_rules *rules = &world->rules->vms[vm->slot];
    ck_assert_uint_le(action->target, vm->maximum);
    ck_assert_uint_ge(action->target, vm_minimum(vm, rules));
    ck_assert_int_eq(vm->monitor, VM_MONITOR_READY);
    ck_assert_int_eq(vm->migration, VM_MIGRATION_NONE);
    ck_assert_uint_eq(vm->measures.in_force & (VM_MEASURE_PAUSE | VM_MEASURE_KILLED), 0);
    if (action->reason != REASON_BALLOON_RETURN) {
        bool reports = vm->kind == VM_KIND_SELF_DEFLATING &&
                       vm->kind_reason == VM_KIND_REASON_FREE_PAGE_REPORTING;
        ck_assert(vm->kind == VM_KIND_ELASTIC || reports);
        ck_assert(rules->rungs & RUNG_BIT(RUNG_BALLOON));
        ck_assert_int_ne(world->plan->assessment.band, BAND_CALM);
        return;
    }
    if (action->mode == MODE_ENFORCE && (vm->measures.in_force & VM_MEASURE_BALLOON))
        seen->grants = add_held(seen->grants,
            sub_or_zero(action->target, min_u64(vm->measures.balloon_target, vm->maximum)));
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
    switch (action->kind) {
    case ACTION_BALLOON:
        check_balloon(world, action, seen);
        break;
    case ACTION_KILL:
        seen->destructive++;
        ck_assert(rules->rungs & RUNG_BIT(RUNG_KILL));
        ck_assert_uint_gt(action->relief, 0);
        ck_assert_int_eq(plan->assessment.band, BAND_CRITICAL);
        ck_assert_int_ne(rules->sacrifice, SACRIFICE_NEVER);
        ck_assert_int_ne(vm->migration, VM_MIGRATION_POSTCOPY);
        break;
    case ACTION_PAUSE:
    case ACTION_FREEZE:
        ck_assert_int_ne(rules->sacrifice, SACRIFICE_NEVER);
        ck_assert_int_ne(vm->migration, VM_MIGRATION_POSTCOPY);
        /* A freeze may come over a `stop` that hangs, nothing over a freeze. */
        ck_assert_uint_eq(vm->measures.in_force & VM_MEASURE_PAUSE,
            action->reason == REASON_FREEZE_SILENT ? vm->measures.in_force & VM_MEASURE_STOP_SENT
                                                   : 0);
        if (action->reason != REASON_BRIDGE_END)
            ck_assert_int_eq(plan->assessment.band, BAND_CRITICAL);
        break;
    case ACTION_RESUME:
        ck_assert(vm->measures.in_force & VM_MEASURE_PAUSE);
        /* In critical only with room for all that the guest can ever take. */
        if (plan->assessment.band == BAND_CRITICAL && known(vm->sampled) && known(vm_held(vm)))
            ck_assert_uint_le(sub_or_zero(vm->maximum, known_or(vm_held(vm), 0)),
                (uint64_t)plan->assessment.pools[0].headroom);
        break;
    case ACTION_OOM_SCORE:
        ck_assert_int_ge(action->oom_score_adj, -999);
        ck_assert_int_le(action->oom_score_adj, 500);
        break;
    case ACTION_THAW:
    case ACTION_ALERT:
    case ACTION_KIND_COUNT:
        break;
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
    const struct pool_view *host = &plan->assessment.pools[0];
    uint64_t room = host->headroom > 0 ? (uint64_t)host->headroom : 0;
    if (known(host->total) && world->rules->host.bands[BAND_SCARCE].headroom.kind == AMOUNT_AUTO)
        room = sub_or_zero(room, (host->total - host->floor) / 1000 * 75); /* where scarce begins */
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
    random_state = seed ? strtoull(seed, NULL, 10) : 0;
    if (random_state == 0) /* where xorshift would stay */
        random_state = SEED_DEFAULT;
    printf("PLIMSOLL_TEST_SEED=%llu\n", (unsigned long long)random_state);
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
