/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Properties that hold for whatever is seen. Worlds are drawn from a generator of our own, whose
 * seed is printed (PLIMSOLL_TEST_SEED repeats it); PLIMSOLL_TEST_CASES lowers their number for slow
 * runs. Each world lives for a few snapshots that need not make sense together: hostile guests,
 * figures that jump, fields that nobody knows.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "plan_check.h"
#include "story.h"
#include "suite.h"
#include "world.h"

#define CAPACITY PLAN_CHECK_VMS
#define STEPS 6
#define CASES_DEFAULT 17000 /* × STEPS snapshots */
/* With at least so many cases every kind of action must have been seen. */
#define CASES_TELLING 2000
#define SEED_DEFAULT 20240229

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
        plan_check_begin();
        for (int step = 0; step < STEPS; step++) {
            draw_snapshot(world.snapshot, total, step == 0);
            decide(&world);
            plan_check(&world);
        }
    }
    world_free(&world);
}

START_TEST(whatever_is_seen_the_guarantees_hold)
{
    uint64_t cases = suite_cases(CASES_DEFAULT);
    const struct plan_seen *seen = plan_check_seen();
    live(CAPACITY, cases);
    for (int kind = 0; kind < ACTION_KIND_COUNT && cases >= CASES_TELLING; kind++)
        ck_assert_msg(
            seen->actions[kind] > 0, "never seen: %s", action_kind_name((enum action_kind)kind));
    ck_assert(cases < CASES_TELLING || seen->caps > 0);
    ck_assert(cases < CASES_TELLING || seen->starts > 0);
    static const enum action_kind for_nodes[] = {
        ACTION_BALLOON, ACTION_PAUSE, ACTION_FREEZE, ACTION_KILL};
    for (int i = 0; i < 4 && cases >= CASES_TELLING; i++)
        ck_assert_msg(seen->node_actions[for_nodes[i]] > 0, "never seen for a node: %s",
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

#define SHARED_GUESTS 8

struct shared_guest {
    uint64_t maximum, touched, wants;
    uint32_t shares;
};

/* What the first of these guests comes to rest with on a host that is short by LACKING. */
static uint64_t rest_of_first(const struct shared_guest *guests, unsigned count, uint64_t lacking)
{
    uint64_t touched = 0;
    for (unsigned i = 0; i < count; i++)
        touched += guests[i].touched;
    struct story *story = story_new(128 * GIB, 128 * GIB - touched - 6 * GIB + lacking);
    for (unsigned i = 0; i < count; i++) {
        story_guest(story, guests[i].maximum, guests[i].touched);
        story_rules(story, i)->minimum = (struct amount){AMOUNT_SHARE, 2000};
        story_rules(story, i)->shares = guests[i].shares;
        story->guests[i].wants = guests[i].wants;
        story->guests[i].honest = true;
    }
    story_run(story, 60 * NSEC_PER_SEC, 250 * NSEC_PER_MSEC);
    uint64_t rest = story->snapshot->vms[0].balloon.actual;
    story_free(story);
    return rest;
}

/* Of two worlds that are equal but for the shares of one guest, it has no less in the end where it
 * has more of them, but for the step in which targets are asked for. */
START_TEST(more_shares_never_leave_a_guest_with_less)
{
    uint64_t cases = suite_cases(CASES_DEFAULT) / 80 + 1, more = 0; /* × 480 snapshots */
    for (uint64_t i = 0; i < cases; i++) {
        struct shared_guest guests[SHARED_GUESTS] = {0};
        unsigned count = 2 + (unsigned)draw_below(SHARED_GUESTS - 1);
        for (unsigned guest = 0; guest < count; guest++) {
            uint64_t maximum = (4 + draw_below(12)) * GIB;
            guests[guest] = (struct shared_guest){
                .maximum = maximum,
                .touched = maximum * (60 + draw_below(40)) / 100,
                .wants = maximum * (20 + draw_below(40)) / 100,
                .shares = 100 + (uint32_t)draw_below(2000),
            };
        }
        uint64_t lacking = draw_below(8 * GIB);
        uint64_t few = rest_of_first(guests, count, lacking);
        guests[0].shares *= 2 + (uint32_t)draw_below(8);
        uint64_t many = rest_of_first(guests, count, lacking);
        ck_assert_uint_ge(many + guests[0].maximum / 100, few);
        more += many > few + guests[0].maximum / 100;
    }
    ck_assert(cases < CASES_TELLING / 80 || more > cases / 8);
}
END_TEST

/* Guests whose demand stands still come to rest: after the first minutes nothing moves any more,
 * and on the way there no balloon turns around more than a few times. */
START_TEST(a_steady_world_does_not_oscillate)
{
    uint64_t cases = suite_cases(CASES_DEFAULT) / 170 + 1;
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
    draw_seed_asked(SEED_DEFAULT);
    TCase *tests = tcase_create("properties");
    tcase_add_test(tests, whatever_is_seen_the_guarantees_hold);
    tcase_add_test(tests, a_host_for_no_guest_and_for_one);
    tcase_add_test(tests, nobody_knows_anything);
    tcase_add_test(tests, the_same_snapshot_again_changes_nothing);
    tcase_add_test(tests, more_shares_never_leave_a_guest_with_less);
    tcase_add_test(tests, a_steady_world_does_not_oscillate);
    tcase_set_timeout(tests, 100); /* under valgrind */
    Suite *suite = suite_create("properties");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
