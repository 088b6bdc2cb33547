/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stories of what goes wrong at the edge: a `stop` that hangs, a leak, a burst, a node that goes.
 */
#include <check.h>
#include <stdlib.h>

#include "story.h"

#define MS NSEC_PER_MSEC
#define SEC NSEC_PER_SEC

static struct story *story_of_grower(uint64_t stop_latency, unsigned *ret_grower)
{
    struct story *story = story_new(32 * GIB, 2 * GIB);
    story_take_time(story, stop_latency);
    unsigned grower = story_guest(story, 40 * GIB, 20 * GIB);
    story_rules(story, grower)->rungs = RUNG_BIT(RUNG_PAUSE) | RUNG_BIT(RUNG_KILL);
    story->guests[grower].growth = 300 * (int64_t)MIB;
    *ret_grower = grower;
    return story;
}

START_TEST(a_stop_that_hangs_is_frozen_through)
{
    unsigned grower;
    struct story *story = story_of_grower(NSEC_PER_MINUTE, &grower);
    story_live(story, 60 * SEC);
    ck_assert_uint_ge(story->guests[grower].pauses, 1);
    ck_assert_uint_ge(story->guests[grower].freezes, 1);
    ck_assert_uint_eq(story->guests[grower].kills, 0);
    ck_assert_int_gt(story->headroom_least, 0);
    story_free(story);
}
END_TEST

/* The first was enough: the second is not paused for growth that has been stopped already. */
START_TEST(nobody_is_paused_for_growth_that_stops)
{
    struct story *story = story_new(32 * GIB, 2 * GIB);
    story_take_time(story, SEC + 500 * MS);
    for (unsigned i = 0; i < 2; i++) {
        unsigned guest = story_guest(story, 32 * GIB, 10 * GIB);
        story_rules(story, guest)->rungs = RUNG_BIT(RUNG_PAUSE);
        story_rules(story, guest)->priority = i == 0 ? 10 : 500;
        story->guests[guest].growth = (i == 0 ? 500 : 3) * (int64_t)MIB;
    }
    story_live(story, 60 * SEC);
    ck_assert_uint_ge(story->guests[0].pauses, 1);
    ck_assert_uint_eq(story->guests[1].pauses + story->guests[1].freezes, 0);
    ck_assert_int_gt(story->headroom_least, 0);
    story_free(story);
}
END_TEST

START_TEST(a_monitor_that_never_greets_is_waited_for_ten_seconds)
{
    unsigned grower;
    struct story *story = story_of_grower(0, &grower);
    struct vm_snapshot *vm = story_vm(story, grower);
    vm->monitor = VM_MONITOR_CONNECTING;
    vm->migration = VM_MIGRATION_UNKNOWN;
    vm->run_state = VM_RUN_UNKNOWN;
    vm->first_seen = story->snapshot->time;
    story_live(story, 60 * SEC);
    ck_assert_uint_ge(story->guests[grower].freezes, 1);
    ck_assert_uint_eq(story->guests[grower].kills, 0);
    ck_assert_int_gt(story->headroom_least, 0);
    story_free(story);
}
END_TEST

static const int leaks[] = {10, 70, 100, 490};

START_TEST(a_leak_outside_is_told_and_nobody_dies_for_it)
{
    struct story *story = story_new(32 * GIB, 2 * GIB);
    story_take_time(story, 500 * MS);
    for (unsigned i = 0; i < 5; i++) {
        story_guest(story, 6 * GIB, 5 * GIB);
        story_rules(story, i)->minimum = (struct amount){AMOUNT_SHARE, AMOUNT_SHARE_WHOLE};
    }
    story->other_growth = leaks[_i] * (int64_t)MIB;
    /* To the wall and some minutes at it. */
    for (int second = 0; second < 600; second++) {
        story_live(story, SEC);
        if (story->snapshot->host.available == 0)
            story->other_growth = 0;
    }
    for (unsigned i = 0; i < 5; i++)
        ck_assert_uint_eq(story->guests[i].kills, 0);
    ck_assert_uint_ge(story->alerts[REASON_LEAK_OUTSIDE], 1);
    story_free(story);
}
END_TEST

/* In critical, too: where the floor is half a minute away there is time to see whether it goes on.
 */
START_TEST(a_moment_of_something_else_is_no_leak)
{
    struct story *story = story_new(16 * GIB, 2 * GIB);
    story_guest(story, 14 * GIB, 12 * GIB + 1100 * MIB);
    story_no_balloons(story);
    story_live(story, 10 * SEC);
    ck_assert_int_eq((int)story->plan->assessment.band, BAND_CRITICAL);
    story->other_growth = 9 * (int64_t)MIB;
    story_live(story, 3 * SEC);
    story->other_growth = 0;
    story_live(story, 10 * SEC);
    ck_assert_uint_eq(story->alerts[REASON_LEAK_OUTSIDE], 0);
    story->other_growth = 9 * (int64_t)MIB;
    story_live(story, 15 * SEC);
    ck_assert_uint_eq(story->alerts[REASON_LEAK_OUTSIDE], 1);
    story_free(story);
}
END_TEST

START_TEST(a_burst_of_something_else_pauses_nobody)
{
    struct story *story = story_new(16 * GIB, 2 * GIB);
    for (unsigned i = 0; i < 4; i++) {
        story_guest(story, 3 * GIB, 2 * GIB);
        story->guests[i].growth = 2 * (int64_t)MIB;
    }
    story_live(story, 10 * SEC);
    story->other_growth = 2 * (int64_t)GIB;
    story_live(story, SEC);
    story->other_growth = 0;
    story_live(story, 10 * SEC);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_uint_eq(story->guests[i].pauses + story->guests[i].freezes, 0);
    story_free(story);
}
END_TEST

START_TEST(a_node_that_goes_leaves_its_rate_to_nobody)
{
    struct story *story = story_new(64 * GIB, 10 * GIB);
    struct host_snapshot *host = &story->snapshot->host;
    const struct node_snapshot first = {.id = 0, .total = 32 * GIB, .available = 20 * GIB};
    const struct node_snapshot second = {.id = 1, .total = 32 * GIB, .available = 4 * GIB};
    host->node_count = 2;
    host->nodes[0] = first;
    host->nodes[1] = second;
    story_run(story, 20 * SEC, 100 * MS);
    host->node_count = 1;
    host->nodes[0] = second;
    story_run(story, 300 * MS, 100 * MS);
    ck_assert_int_eq(story->plan->assessment.pools[2].fill_rate, 0);
    story_free(story);
}
END_TEST

START_TEST(at_the_floor_nobody_looks_a_thousand_times_a_second)
{
    struct story *story = story_new(4 * GIB, 3 * GIB);
    story_guest(story, GIB, 1000 * MIB);
    story_rules(story, 0)->rungs = 0;
    story_live(story, 20 * SEC);
    ck_assert_int_le(story->plan->assessment.pools[0].headroom, 0);
    uint64_t before = story->snapshot->sequence;
    story_live(story, 10 * SEC);
    ck_assert_uint_le(story->snapshot->sequence - before, 300);
    story_free(story);
}
END_TEST

START_TEST(the_kernels_order_is_kept_in_critical_too)
{
    struct story *story = story_new(16 * GIB, 12 * GIB);
    story_guest(story, 4 * GIB, 3 * GIB);
    story_rules(story, 0)->rungs = RUNG_BIT(RUNG_KILL);
    story_run(story, SEC, 100 * MS);
    int32_t before = story_vm(story, 0)->oom_score_adj;
    story->other = 12 * GIB + 200 * MIB;
    story_run(story, 2 * SEC, 100 * MS);
    ck_assert_int_eq(story->plan->assessment.band, BAND_CRITICAL);
    story_rules(story, 0)->priority = 900;
    story_run(story, 6 * SEC, 100 * MS);
    ck_assert_int_lt(story_vm(story, 0)->oom_score_adj, before);
    story_free(story);
}
END_TEST

/* Pressed below what it uses, a guest is not the first to go for having nothing to give. */
START_TEST(who_has_nothing_idle_refuses_nothing)
{
    struct story *story = story_new(32 * GIB, 3 * GIB);
    unsigned honest = story_guest(story, 14 * GIB, 13 * GIB + 900 * MIB);
    story_guest(story, 15 * GIB, 14 * GIB);
    story->guests[honest].honest = true;
    story->guests[honest].balloon_speed = 0;
    story_run(story, 60 * SEC, 100 * MS);
    ck_assert_uint_gt(story->guests[honest].balloons, 0);
    ck_assert_uint_eq(story->alerts[REASON_STUCK], 0);
    story_free(story);
}
END_TEST

/* What a guest never touched is idle by its word, and nothing of it can come back. */
START_TEST(who_never_touched_what_is_idle_refuses_nothing)
{
    struct story *story = story_new(32 * GIB, 9 * GIB);
    for (unsigned i = 0; i < 10; i++) {
        story_guest(story, 3 * GIB, 2 * GIB);
        story->guests[i].honest = true;
    }
    story_live(story, 60 * SEC);
    unsigned asked = 0;
    for (unsigned i = 0; i < 10; i++)
        asked += story->guests[i].balloons;
    ck_assert_uint_gt(asked, 0);
    ck_assert_uint_eq(story->alerts[REASON_STUCK], 0);
    story_free(story);
}
END_TEST

/* A balloon that holds what its guest needs is opened in tight, not only in calm. */
START_TEST(who_starves_is_given_to_in_tight)
{
    struct story *story = story_new(64 * GIB, 39 * GIB);
    unsigned guest = story_guest(story, 16 * GIB, 12 * GIB);
    struct vm_snapshot *vm = story_vm(story, guest);
    vm->measures.in_force = VM_MEASURE_BALLOON;
    vm->measures.balloon_before = 16 * GIB;
    vm->measures.balloon_target = vm->balloon.actual = 12 * GIB;
    story_guest(story, 4 * GIB, 3 * GIB);
    story->guests[guest].honest = true;
    story->guests[guest].wants = 13 * GIB;
    story->guests[guest].balloon_speed = 64 * MIB;
    story_live(story, 40 * SEC);
    ck_assert_int_ge(story->plan->assessment.band, BAND_TIGHT);
    ck_assert_uint_eq(story->guests[guest].touched, 13 * GIB);
    story_free(story);
}
END_TEST

/* A valuable guest with a balloon of ours at 768 MiB, and three lesser ones that were stopped for
 * it.
 */
static struct story *story_of_starving(uint64_t other)
{
    struct story *story = story_new(3900 * MIB, other);
    unsigned gold = story_guest(story, GIB, 760 * MIB);
    struct vm_snapshot *vm = story_vm(story, gold);
    story_rules(story, gold)->priority = 900;
    story->guests[gold].honest = true;
    story->guests[gold].wants = 820 * MIB;
    story->guests[gold].balloon_speed = 64 * MIB;
    vm->measures.in_force = VM_MEASURE_BALLOON;
    vm->measures.balloon_before = GIB;
    vm->measures.balloon_target = vm->balloon.actual = 768 * MIB;
    for (unsigned i = 0; i < 3; i++) {
        unsigned bronze = story_guest(story, GIB, 690 * MIB);
        story_rules(story, bronze)->priority = 10;
        story_pause(story, bronze);
    }
    return story;
}

/* As in the lab: all others were stopped for it, and then nobody gave it what stood free. */
START_TEST(who_starves_is_given_to_where_lesser_guests_wait)
{
    struct story *story = story_of_starving(700 * MIB);
    story_live(story, 100 * MS);
    ck_assert_int_eq((int)story->plan->assessment.band, BAND_SCARCE);
    ck_assert_uint_lt(story->guests[0].touched, 780 * MIB);
    story_live(story, 40 * SEC);
    ck_assert_int_eq((int)story->plan->assessment.band, BAND_SCARCE);
    ck_assert_uint_eq(story->guests[0].touched, 820 * MIB);
    ck_assert_int_gt(story->headroom_least, 0);
    story_free(story);
}
END_TEST

/* One that says so, and of which the host holds half of that; and one beside whom equals wait. */
START_TEST(who_does_not_starve_gets_nothing_of_the_lesser)
{
    struct story *story = story_of_starving((_i == 0 ? 1080 : 700) * MIB);
    if (_i == 0) {
        story->guests[0].touched = story->guests[0].wants = 380 * MIB;
        story->guests[0].honest = false;
        story->guests[0].free = 0;
    } else {
        story_rules(story, 0)->priority = 10;
    }
    story_live(story, 9 * SEC); /* before anybody's back-off is over */
    ck_assert_int_eq((int)story->plan->assessment.band, BAND_SCARCE);
    ck_assert_uint_eq(story->guests[0].grants, 0);
    /* Nor is anything kept for who only says so: of those that wait, one takes little more. */
    story_vm(story, 1)->maximum = 700 * MIB;
    story_live(story, 120 * SEC);
    ck_assert_uint_eq(story->guests[1].resumes, 1);
    story_free(story);
}
END_TEST

/* In scarce who runs is pressed by shares, but not the valuable one that has nothing left: not by a
 * single step, again and again while its balloon has yet to come to rest. */
START_TEST(who_will_have_nothing_left_is_not_pressed_for_more)
{
    struct story *story = story_of_starving(760 * MIB);
    struct vm_snapshot *vm = story_vm(story, 0);
    vm->measures.balloon_target = 700 * MIB;
    story->guests[0].balloon_speed = 0; /* it holds what it has */
    story_live(story, 60 * SEC);
    ck_assert_uint_eq(story->guests[0].balloons, 0);
    ck_assert_uint_ge(vm->measures.balloon_target, 700 * MIB);
    story_free(story);
}
END_TEST

/* The guard was started anew while a large victim is still dying. */
START_TEST(a_victim_of_an_earlier_guard_is_awaited)
{
    struct story *story = story_new(32 * GIB, 2 * GIB);
    unsigned dying = story_guest(story, 16 * GIB, 14 * GIB);
    unsigned other = story_guest(story, 16 * GIB, 15 * GIB);
    story_rules(story, other)->rungs = RUNG_BIT(RUNG_KILL);
    story_vm(story, dying)->measures.killed_since = story->snapshot->time;
    if (_i == 1)
        story_vm(story, dying)->measures.in_force |= VM_MEASURE_KILLED;
    story->kills_take_hold = false;
    story->other = 3 * GIB;
    story_run(story, SEC, 20 * MS);
    ck_assert_uint_eq(story->guests[other].kills + story->guests[dying].kills, _i == 1 ? 0 : 1);
    story_free(story);
}
END_TEST

static struct story *story_of_a_balloon(uint64_t other)
{
    struct story *story = story_new(64 * GIB, other);
    unsigned guest = story_guest(story, 32 * GIB, 10 * GIB);
    struct vm_snapshot *vm = story_vm(story, guest);
    vm->measures.in_force = VM_MEASURE_BALLOON;
    vm->measures.balloon_before = 32 * GIB;
    vm->measures.balloon_target = vm->balloon.actual = 16 * GIB;
    return story;
}

/* Neither asked for more now, nor given more than that when there is room again. */
START_TEST(another_program_keeps_its_balloon)
{
    struct story *story = story_of_a_balloon(50 * GIB);
    story_rules(story, 0)->minimum = (struct amount){AMOUNT_BYTES, 16 * GIB};
    story_run(story, 5 * SEC, 100 * MS);
    ck_assert_uint_eq(story->guests[0].yields, 0);
    story->guests[0].balloon_speed = 0;
    story_vm(story, 0)->balloon.actual = 12 * GIB;
    story_run(story, 6 * SEC, 100 * MS);
    ck_assert_uint_eq(story->guests[0].yields, 1);
    ck_assert_uint_eq(story_vm(story, 0)->measures.in_force & VM_MEASURE_BALLOON, 0);
    story->guests[0].balloon_speed = GIB;
    story->other = 4 * GIB;
    story_run(story, 30 * SEC, 100 * MS);
    ck_assert_uint_eq(story->guests[0].yields, 1);
    ck_assert_uint_eq(story_vm(story, 0)->balloon.actual, 12 * GIB);
    story_free(story);
}
END_TEST

/* Nor while it is being given back: then it has just been given more, or is about to. */
START_TEST(another_program_keeps_it_on_its_way_back)
{
    for (uint64_t moment = 1; moment <= 12; moment++) {
        struct story *story = story_of_a_balloon(4 * GIB);
        story_run(story, 2 * SEC + moment * 100 * MS, 100 * MS);
        unsigned grants = story->guests[0].grants;
        ck_assert_uint_gt(grants, 0);
        story->guests[0].balloon_speed = 0;
        story_vm(story, 0)->balloon.actual = 12 * GIB;
        story_run(story, 20 * SEC, 100 * MS);
        ck_assert_uint_eq(story->guests[0].yields, 1);
        ck_assert_uint_eq(story->guests[0].grants, grants);
        ck_assert_uint_eq(story_vm(story, 0)->measures.in_force & VM_MEASURE_BALLOON, 0);
        story_free(story);
    }
}
END_TEST

/* It returned nothing at first, was left alone for that, and got to its target meanwhile. */
START_TEST(another_program_keeps_the_balloon_of_one_that_was_stuck)
{
    struct story *story = story_of_a_balloon(50 * GIB);
    story_rules(story, 0)->minimum = (struct amount){AMOUNT_BYTES, 6 * GIB};
    story->guests[0].balloon_speed = 0;
    story_run(story, 15 * SEC, 100 * MS);
    story->guests[0].balloon_speed = 2 * GIB;
    story_run(story, 10 * SEC, 100 * MS);
    uint64_t target = story_vm(story, 0)->measures.balloon_target;
    ck_assert_uint_eq(story_vm(story, 0)->balloon.actual, target);
    story->guests[0].balloon_speed = 0;
    story_vm(story, 0)->balloon.actual = target - 2 * GIB;
    story_run(story, 6 * SEC, 100 * MS);
    ck_assert_uint_eq(story->guests[0].yields, 1);
    story_free(story);
}
END_TEST

/* However old the last target is. */
START_TEST(a_figure_that_is_wrong_for_a_moment_is_no_other_program)
{
    struct story *story = story_of_a_balloon(50 * GIB);
    story_rules(story, 0)->minimum = (struct amount){AMOUNT_BYTES, 16 * GIB};
    story_run(story, 20 * SEC, 100 * MS);
    story->guests[0].balloon_speed = 0;
    for (unsigned i = 0; i < 3; i++) {
        story_vm(story, 0)->balloon.actual = 12 * GIB;
        story_run(story, 3 * SEC, 100 * MS);
        story_vm(story, 0)->balloon.actual = 16 * GIB;
        story_run(story, SEC, 100 * MS);
    }
    ck_assert_uint_eq(story->guests[0].yields, 0);
    ck_assert_uint_ne(story_vm(story, 0)->measures.in_force & VM_MEASURE_BALLOON, 0);
    story_free(story);
}
END_TEST

/* Nor is one that stood when its QEMU fell silent, and stands when it answers again. */
START_TEST(what_a_silent_guest_was_last_seen_at_proves_nothing)
{
    struct story *story = story_of_a_balloon(50 * GIB);
    story_rules(story, 0)->minimum = (struct amount){AMOUNT_BYTES, 16 * GIB};
    story_run(story, 20 * SEC, 100 * MS);
    story->guests[0].balloon_speed = 0;
    story_vm(story, 0)->balloon.actual = 12 * GIB;
    story_run(story, SEC, 100 * MS);
    story_vm(story, 0)->monitor = VM_MONITOR_SILENT;
    story_run(story, 20 * SEC, 100 * MS);
    story_vm(story, 0)->monitor = VM_MONITOR_READY;
    story_run(story, 3 * SEC, 100 * MS);
    ck_assert_uint_eq(story->guests[0].yields, 0);
    story_run(story, 3 * SEC, 100 * MS);
    ck_assert_uint_eq(story->guests[0].yields, 1);
    story_free(story);
}
END_TEST

START_TEST(a_guest_on_its_way_back_is_no_other_program)
{
    struct story *story = story_of_a_balloon(4 * GIB);
    story->guests[0].balloon_speed = 10 * MIB;
    story_run(story, 60 * SEC, 100 * MS);
    ck_assert_uint_eq(story->guests[0].yields, 0);
    ck_assert_uint_gt(story->guests[0].grants, 0);
    ck_assert_uint_ne(story_vm(story, 0)->measures.in_force & VM_MEASURE_BALLOON, 0);
    story_free(story);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("edges");
    tcase_add_test(tests, a_stop_that_hangs_is_frozen_through);
    tcase_add_test(tests, nobody_is_paused_for_growth_that_stops);
    tcase_add_test(tests, a_monitor_that_never_greets_is_waited_for_ten_seconds);
    tcase_add_loop_test(
        tests, a_leak_outside_is_told_and_nobody_dies_for_it, 0, sizeof(leaks) / sizeof(leaks[0]));
    tcase_add_test(tests, a_moment_of_something_else_is_no_leak);
    tcase_add_test(tests, a_burst_of_something_else_pauses_nobody);
    tcase_add_test(tests, a_node_that_goes_leaves_its_rate_to_nobody);
    tcase_add_test(tests, at_the_floor_nobody_looks_a_thousand_times_a_second);
    tcase_add_test(tests, the_kernels_order_is_kept_in_critical_too);
    tcase_add_test(tests, who_has_nothing_idle_refuses_nothing);
    tcase_add_test(tests, who_never_touched_what_is_idle_refuses_nothing);
    tcase_add_loop_test(tests, a_victim_of_an_earlier_guard_is_awaited, 0, 2);
    tcase_add_test(tests, who_starves_is_given_to_in_tight);
    tcase_add_test(tests, who_starves_is_given_to_where_lesser_guests_wait);
    tcase_add_loop_test(tests, who_does_not_starve_gets_nothing_of_the_lesser, 0, 2);
    tcase_add_test(tests, who_will_have_nothing_left_is_not_pressed_for_more);
    tcase_add_test(tests, another_program_keeps_its_balloon);
    tcase_add_test(tests, another_program_keeps_it_on_its_way_back);
    tcase_add_test(tests, another_program_keeps_the_balloon_of_one_that_was_stuck);
    tcase_add_test(tests, a_figure_that_is_wrong_for_a_moment_is_no_other_program);
    tcase_add_test(tests, what_a_silent_guest_was_last_seen_at_proves_nothing);
    tcase_add_test(tests, a_guest_on_its_way_back_is_no_other_program);
    tcase_set_timeout(tests, 60); /* under valgrind */
    Suite *suite = suite_create("edges");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
