/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who is to go before whom, as people are told: it is what the kernel is armed with. */
#include <check.h>
#include <string.h>

#include "suite.h"
#include "world.h"

#define GUESTS 6

static struct world world;
static uint32_t order[GUESTS];

static void setup(void)
{
    world = world_new(GUESTS);
    (void)policy_state_init(world.state, GUESTS);
    host_rules_default(&world.rules->host);
    world.rules->host.mode = MODE_ENFORCE;
    world.snapshot->time = 1000 * NSEC_PER_SEC;
    world.snapshot->vm_count = GUESTS;
    world.snapshot->host = (struct host_snapshot){.total = 64 * GIB,
        .available = 40 * GIB,
        .free = 40 * GIB,
        .swap_rate = UNKNOWN,
        .fill_rate_most = UNKNOWN,
        .arc_size = UNKNOWN,
        .arc_minimum = UNKNOWN};
    for (uint32_t i = 0; i < GUESTS; i++) {
        struct vm_snapshot *vm = &world.snapshot->vms[i];
        /* Slots are not positions. */
        *vm = (struct vm_snapshot){.slot = GUESTS - 1 - i,
            .identity = {.pid = (pid_t)(100 + i), .start_time = 1},
            .sampled = world.snapshot->time,
            .process_state = VM_PROCESS_ALIVE,
            .run_state = VM_RUN_RUNNING,
            .monitor = VM_MONITOR_READY,
            .rss = 2 * GIB,
            .locked = 0,
            .pinned = 0,
            .hugetlb = 0,
            .maximum = 4 * GIB,
            .cgroup_current = UNKNOWN,
            .memlock_hard = UNKNOWN,
            .memlock_soft = UNKNOWN,
            .definition = VM_DEFINITION_UNKNOWN,
            .resizable = VM_RESIZABLE_UNKNOWN,
            .statistics.updated = UNKNOWN,
            .balloon.actual = 4 * GIB};
        vm_rules_default(&world.rules->vms[vm->slot]);
        world.rules->vms[vm->slot].mode = MODE_ENFORCE;
    }
}

static void teardown(void)
{
    world_free(&world);
}

static struct vm_rules *rules_of(uint32_t position)
{
    return &world.rules->vms[world.snapshot->vms[position].slot];
}

static void expect(const uint32_t expected[GUESTS])
{
    memset(order, 0xff, sizeof(order));
    policy_victim_order(world.snapshot, world.rules, world.scratch, order);
    for (uint32_t i = 0; i < GUESTS; i++)
        ck_assert_msg(order[i] == expected[i], "guest %u is %u, not %u", i, order[i], expected[i]);
}

START_TEST(least_loss_first)
{
    rules_of(0)->priority = 900;
    rules_of(1)->sacrifice = SACRIFICE_LAST;
    rules_of(2)->sacrifice = SACRIFICE_NEVER;
    rules_of(3)->priority = 10;
    rules_of(4)->rungs &= ~RUNG_BIT(RUNG_KILL);
    expect((uint32_t[GUESTS]){3, 4, 0, 1, 0, 2});
    /* Its source goes on. */
    world.snapshot->vms[0].migration = VM_MIGRATION_INCOMING;
    expect((uint32_t[GUESTS]){1, 4, 0, 2, 0, 3});
    world.snapshot->vms[0].migration = VM_MIGRATION_POSTCOPY;
    expect((uint32_t[GUESTS]){0, 3, 0, 1, 0, 2});
    /* Who is going already is nobody's next. */
    world.snapshot->vms[3].measures.in_force = VM_MEASURE_KILLED;
    world.snapshot->vms[5].measures.in_force = VM_MEASURE_SAVING;
    expect((uint32_t[GUESTS]){0, 1, 0, 0, 0, 0});
}
END_TEST

START_TEST(equals_by_position)
{
    expect((uint32_t[GUESTS]){1, 2, 3, 4, 5, 6});
}
END_TEST

/* What the kernel would see after the scores of a plan: resident memory, and adj of all of it. */
static int64_t points_after(uint32_t position)
{
    const struct vm_snapshot *vm = &world.snapshot->vms[position];
    int64_t adj = vm->oom_score_adj;

    for (uint32_t i = 0; i < world.plan->action_count; i++)
        if (world.plan->actions[i].kind == ACTION_OOM_SCORE &&
            world.plan->actions[i].slot == vm->slot)
            adj = world.plan->actions[i].oom_score_adj;
    return (int64_t)vm->rss + (int64_t)world.snapshot->host.total / 1000 * adj;
}

START_TEST(the_kernel_is_armed_with_it)
{
    for (uint32_t i = 0; i < GUESTS; i++) {
        rules_of(i)->priority = 50 + 37 * ((i * 5 + 2) % GUESTS);
        world.snapshot->vms[i].rss = (1 + i) * GIB / 2;
    }
    rules_of(4)->sacrifice = SACRIFICE_LAST;
    policy_decide(world.snapshot, world.rules, world.state, world.scratch, world.plan);
    policy_victim_order(world.snapshot, world.rules, world.scratch, order);
    for (uint32_t a = 0; a < GUESTS; a++)
        for (uint32_t b = 0; b < GUESTS; b++)
            if (order[a] < order[b])
                ck_assert_msg(points_after(a) > points_after(b), "%u before %u: %lld, %lld", a, b,
                    (long long)points_after(a), (long long)points_after(b));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy_victim_order");
    TCase *tests = tcase_create("order");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, least_loss_first);
    tcase_add_test(tests, equals_by_position);
    tcase_add_test(tests, the_kernel_is_armed_with_it);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
