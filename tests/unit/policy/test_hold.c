/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A hold: dry run for a time, in which what is in force is kept or carried to its end. */
#include <check.h>

#include "story.h"
#include "suite.h"

#define MS NSEC_PER_MSEC
#define SEC NSEC_PER_SEC

static void hold(struct story *story, bool held)
{
    story->rules->host.mode = held ? MODE_DRY_RUN : MODE_ENFORCE;
    story->rules->host.held = held;
    story->carries_on = true;
}

/* Limits would only be set again, and a guest would outgrow them meanwhile; but one that the rules
 * no longer want goes, as it goes from a class that looks on. */
START_TEST(limits_stay)
{
    struct story *story = story_new(64 * GIB, GIB);
    unsigned guest = story_guest(story, 8 * GIB, 4 * GIB);
    story_rules(story, guest)->pids_max = 512;
    story_run(story, 10 * SEC, SEC);
    ck_assert_uint_eq(story_vm(story, guest)->limits.values[VM_LIMIT_PIDS_MAX], 512);
    hold(story, true);
    story_rules(story, guest)->memory_max = (struct amount){AMOUNT_BYTES, 12 * GIB};
    story_run(story, 60 * SEC, SEC);
    ck_assert_uint_eq(story->guests[guest].unlimits, 0);
    ck_assert_uint_eq(story_vm(story, guest)->limits.values[VM_LIMIT_PIDS_MAX], 512);
    ck_assert_uint_eq(story_vm(story, guest)->limits.values[VM_LIMIT_MEMORY_MAX], VM_LIMIT_NONE);
    if (_i == 0)
        story_rules(story, guest)->pids_max = 0;
    else
        story_rules(story, guest)->mode = MODE_DRY_RUN;
    story_run(story, 60 * SEC, SEC);
    ck_assert_uint_eq(story->guests[guest].unlimits, 1);
    story_free(story);
}
END_TEST

/* And a limit that a class has changed meanwhile is not moved, nor told of each time. */
START_TEST(limits_do_not_move)
{
    struct story *story = story_new(64 * GIB, GIB);
    unsigned guest = story_guest(story, 8 * GIB, 4 * GIB);
    story_rules(story, guest)->pids_max = 512;
    story_run(story, 10 * SEC, SEC);
    hold(story, true);
    unsigned before = story->guests[guest].limits;
    story_rules(story, guest)->pids_max = 400;
    story_run(story, 60 * SEC, SEC);
    ck_assert_uint_eq(story->guests[guest].limits, before);
    hold(story, false);
    story_run(story, 10 * SEC, SEC);
    ck_assert_uint_eq(story_vm(story, guest)->limits.values[VM_LIMIT_PIDS_MAX], 400);
    story_free(story);
}
END_TEST

START_TEST(a_cap_on_locked_memory_stays)
{
    struct story *story = story_of_domain();
    story_run_libvirt(story, 600 * SEC);
    uint64_t cap = story_vm(story, 0)->memlock_hard;
    ck_assert_uint_lt(cap, MEMLOCK_UNLIMITED);
    hold(story, true);
    story_run_libvirt(story, 600 * SEC);
    ck_assert_uint_eq(story->guests[0].lifts, 0);
    ck_assert_uint_eq(story_vm(story, 0)->memlock_hard, cap);
    story_free(story);
}
END_TEST

/* Nobody new is stopped, and who was frozen in the last moment before it is paused properly. */
START_TEST(a_freeze_goes_to_its_end_and_nothing_new_begins)
{
    struct story *story = story_new(32 * GIB, 4 * GIB);
    for (unsigned i = 0; i < 2; i++) {
        unsigned guest = story_guest(story, 16 * GIB, 12 * GIB);
        story_rules(story, guest)->rungs = RUNG_BIT(RUNG_PAUSE) | RUNG_BIT(RUNG_KILL);
    }
    story->guests[0].growth = (int64_t)(60 * MIB);
    story_vm(story, 0)->monitor = VM_MONITOR_SILENT;
    ck_assert(story_until(story, ACTION_FREEZE, 0, 300 * SEC, 50 * MS));
    hold(story, true);
    story_vm(story, 0)->monitor = VM_MONITOR_READY;
    story->other -= 200 * MIB; /* else there is no room to thaw it in */
    story_run(story, 10 * SEC, 50 * MS);
    ck_assert_uint_eq(story_vm(story, 0)->measures.in_force, VM_MEASURE_STOPPED);
    story->guests[1].growth = (int64_t)(100 * MIB);
    story_run(story, 20 * SEC, 50 * MS);
    ck_assert_int_eq(story->plan->assessment.band, BAND_CRITICAL);
    ck_assert_uint_eq(story_vm(story, 1)->measures.in_force, 0);
    ck_assert_uint_eq(story->guests[1].pauses + story->guests[1].freezes, 0);
    ck_assert_uint_eq(story->guests[0].kills + story->guests[1].kills, 0);
    /* It acts again by itself. */
    hold(story, false);
    story_run(story, 200 * MS, 50 * MS);
    ck_assert_uint_eq(story->guests[1].freezes + story->guests[1].pauses, 1);
    story_free(story);
}
END_TEST

/* What balloons hold is given back as there is room. */
START_TEST(giving_back_goes_on)
{
    struct story *story = story_new(64 * GIB, 10 * GIB);
    struct vm_snapshot *vm = story_vm(story, story_guest(story, 32 * GIB, 10 * GIB));
    vm->measures.in_force = VM_MEASURE_BALLOON;
    vm->measures.balloon_before = 32 * GIB;
    vm->measures.balloon_target = vm->balloon.actual = 16 * GIB;
    hold(story, true);
    story_run(story, 60 * SEC, 100 * MS);
    ck_assert_uint_eq(story_vm(story, 0)->balloon.actual, 32 * GIB);
    story_free(story);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("hold");
    tcase_add_loop_test(tests, limits_stay, 0, 2);
    tcase_add_test(tests, limits_do_not_move);
    tcase_add_test(tests, a_cap_on_locked_memory_stays);
    tcase_add_test(tests, a_freeze_goes_to_its_end_and_nothing_new_begins);
    tcase_add_test(tests, giving_back_goes_on);
    tcase_set_timeout(tests, 60); /* under valgrind */
    Suite *suite = suite_create("hold");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
