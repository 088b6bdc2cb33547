/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stories of what fills a host and is no leak, and of leaks that hide beside it. */
#include <check.h>
#include <stdlib.h>

#include "story.h"

#define SEC NSEC_PER_SEC

/* The lab's host with three guests, LEFT MiB above its floor. */
static struct story *story_of_host(uint64_t left)
{
    const uint64_t total = 3919 * MIB, floor = 198 * MIB;
    struct story *story = story_new(total, total - floor - left * MIB - 2100 * MIB);
    story->rules->host.floor = (struct amount){AMOUNT_BYTES, floor};
    story->snapshot->host.watermark_low = 110 * MIB;
    story_take_time(story, 500 * NSEC_PER_MSEC);
    for (unsigned i = 0; i < 3; i++) {
        story_guest(story, 1200 * MIB, 700 * MIB - 48 * MIB);
        story->guests[i].overhead = 48 * MIB;
        story_rules(story, i)->minimum = (struct amount){AMOUNT_SHARE, AMOUNT_SHARE_WHOLE};
    }
    story_no_balloons(story);
    story_live(story, 20 * SEC);
    return story;
}

static unsigned told(const struct story *story)
{
    return story->alerts[REASON_LEAK_OUTSIDE];
}

static const uint64_t rooms[] = {160, 300, 500, 800};

/* Its lists of free pages fill while a guest grows, and stay full. */
START_TEST(what_the_kernel_keeps_is_no_leak)
{
    struct story *story = story_of_host(rooms[_i]);
    story->guests[0].growth = 6 * (int64_t)MIB;
    story->guests[0].goal = 750 * MIB;
    story->other_growth = 9 * (int64_t)MIB;
    story_live(story, 8 * SEC);
    story->other_growth = 0;
    story_live(story, 60 * SEC);
    ck_assert_uint_eq(told(story), 0);
    story_free(story);
}
END_TEST

/* 45 MiB at 5 MiB/s, gone again, and so once more. */
START_TEST(a_command_that_somebody_runs_is_no_leak)
{
    struct story *story = story_of_host(rooms[_i]);
    for (int run = 0; run < 4; run++) {
        story->other_growth = 5 * (int64_t)MIB;
        story_live(story, 9 * SEC);
        story->other_growth = -45 * (int64_t)MIB;
        story_live(story, SEC);
        story->other_growth = 0;
        story_live(story, 3 * SEC);
    }
    ck_assert_uint_eq(told(story), 0);
    story_free(story);
}
END_TEST

/* A host so slow that all is noise: nobody can be stopped, and each guest is seen every third
 * second. */
START_TEST(slow_growth_among_noise_is_no_leak)
{
    struct story *story = story_of_host(rooms[_i]);
    for (unsigned i = 0; i < 3; i++) {
        story->guests[i].growth = (int64_t)MIB;
        story->guests[i].refuses_stop = true;
    }
    for (int tenth = 0; tenth < 400; tenth++) {
        story->other_growth = (tenth / 20 % 2 == 0 ? 5 : -5) * (int64_t)MIB;
        story_live(story, SEC / 10);
        for (unsigned i = 0; i < 3; i++)
            if (story_vm(story, i)->sampled == story->snapshot->time)
                story->guests[i].next_look = story->snapshot->time + 3 * SEC;
    }
    ck_assert_uint_eq(told(story), 0);
    story_free(story);
}
END_TEST

/* It is told when it has taken a quarter of what was left, and more than the kernel may keep. */
START_TEST(a_leak_beside_guests_that_grow_is_told)
{
    struct story *story = story_of_host(rooms[_i]);
    story->guests[0].growth = 10 * (int64_t)MIB;
    story->guests[0].goal = 900 * MIB;
    story_live(story, 5 * SEC);
    const uint64_t before = story->other;
    story->other_growth = 40 * (int64_t)MIB;
    for (int tenth = 0; tenth < 600 && told(story) == 0; tenth++)
        story_live(story, SEC / 10);
    ck_assert_uint_eq(told(story), 1);
    ck_assert_uint_le(story->other - before, 250 * MIB);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_uint_eq(story->guests[i].kills, 0);
    story_free(story);
}
END_TEST

/* Where nothing is left, no time is either. */
START_TEST(a_leak_at_the_wall_is_told_and_nobody_dies)
{
    struct story *story = story_of_host(20);
    story->other_growth = 15 * (int64_t)MIB;
    story_live(story, 12 * SEC);
    ck_assert_uint_eq(told(story), 1);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_uint_eq(story->guests[i].kills, 0);
    story_free(story);
}
END_TEST

/* Near the wall some of it counts as a leak; once a guest that may not be stopped has grown by as
 * much that is over, and who is to die for it dies. */
START_TEST(what_the_kernel_keeps_saves_nobody_whom_a_guest_costs)
{
    struct story *story = story_of_host(60);
    for (unsigned i = 0; i < 3; i++)
        story_rules(story, i)->rungs &= ~RUNG_BIT(RUNG_PAUSE);
    story_rules(story, 0)->sacrifice = SACRIFICE_NEVER;
    story_rules(story, 0)->priority = 900;
    story->other_growth = 15 * (int64_t)MIB;
    story_live(story, 3 * SEC);
    story->other_growth = 0;
    story->guests[0].growth = 5 * (int64_t)MIB;
    story_live(story, 30 * SEC);
    ck_assert_uint_ge(story->guests[1].kills + story->guests[2].kills, 1);
    ck_assert_int_ge(story->headroom_least, -60 * (int64_t)MIB);
    story_free(story);
}
END_TEST

static unsigned come_in(struct story *story, unsigned guest)
{
    struct vm_snapshot *vm = story_vm(story, guest);
    vm->migration = VM_MIGRATION_INCOMING;
    vm->run_state = VM_RUN_MIGRATING;
    vm_classify(vm, &vm->kind, &vm->kind_reason);
    story->guests[guest].growth = 2 * (int64_t)MIB;
    return guest;
}

/* Nobody dies for others, but one whose source goes on may. */
START_TEST(who_comes_in_makes_room_for_a_leak)
{
    struct story *story = story_of_host(60);
    (void)come_in(story, 1);
    story->other_growth = 15 * (int64_t)MIB;
    story_live(story, 8 * SEC);
    ck_assert_uint_eq(story->guests[1].kills, 1);
    ck_assert_uint_eq(story->guests[0].kills + story->guests[2].kills, 0);
    ck_assert_int_ge(story->headroom_least, -2 * (int64_t)MIB);
    /* It comes again, and the leak goes on: no second time, or it could never come. */
    unsigned again = come_in(story, story_guest(story, 1200 * MIB, 100 * MIB));
    story->guests[again].growth = 0;
    story_live(story, 100 * SEC);
    ck_assert_int_lt(story->headroom_least, 0);
    ck_assert_uint_eq(story->guests[again].kills, 0);
    story_free(story);
}
END_TEST

/* A guest that cannot be stopped pushes others to a small swap: what is used more is guests' all
 * the same. */
START_TEST(guests_in_swap_are_no_leak)
{
    struct story *story = story_of_host(300);
    story_swap(story, 600 * MIB, 200 * MIB, 100 * MIB);
    for (unsigned i = 0; i < 3; i++)
        story_rules(story, i)->rungs = 0;
    story_vm(story, 0)->maximum = story_vm(story, 0)->balloon.actual = 4 * GIB;
    story->guests[0].growth = 20 * (int64_t)MIB;
    story->guests[0].hot = 4 * GIB;
    story_live(story, 60 * SEC);
    ck_assert_uint_gt(story->guests[1].swapped + story->guests[2].swapped, 100 * MIB);
    ck_assert_uint_eq(told(story), 0);
    story_free(story);
}
END_TEST

#define ROOMS (int)(sizeof(rooms) / sizeof(rooms[0]))

int main(void)
{
    Suite *suite = suite_create("leak");
    TCase *tests = tcase_create("leak");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, what_the_kernel_keeps_is_no_leak, 0, ROOMS);
    tcase_add_loop_test(tests, a_command_that_somebody_runs_is_no_leak, 0, ROOMS);
    tcase_add_loop_test(tests, slow_growth_among_noise_is_no_leak, 0, ROOMS);
    tcase_add_loop_test(tests, a_leak_beside_guests_that_grow_is_told, 0, ROOMS);
    tcase_add_test(tests, a_leak_at_the_wall_is_told_and_nobody_dies);
    tcase_add_test(tests, what_the_kernel_keeps_saves_nobody_whom_a_guest_costs);
    tcase_add_test(tests, who_comes_in_makes_room_for_a_leak);
    tcase_add_test(tests, guests_in_swap_are_no_leak);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
