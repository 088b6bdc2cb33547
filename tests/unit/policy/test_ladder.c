/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stories about who is stopped or killed, and who never is. */
#include <check.h>

#include "story.h"
#include "suite.h"

#define MS NSEC_PER_MSEC
#define SEC NSEC_PER_SEC

START_TEST(ten_guests_grow_together)
{
    struct story *story = story_new(64 * GIB, 2 * GIB);
    for (unsigned i = 0; i < 10; i++) {
        unsigned guest = story_guest(story, 12 * GIB, 5 * GIB);
        story_rules(story, guest)->rungs = RUNG_BIT(RUNG_PAUSE);
        story->guests[guest].growth = (int64_t)(600 * MIB);
    }
    story_take_time(story, 500 * MS);
    story_run(story, 20 * SEC, 5 * MS);
    unsigned stopped = 0, kills = 0;
    for (unsigned i = 0; i < 10; i++) {
        stopped += story_is_paused(story, i);
        kills += story->guests[i].kills;
    }
    ck_assert_uint_eq(stopped, 10);
    ck_assert_uint_eq(kills, 0);
    ck_assert_int_gt(story->headroom_least, (int64_t)(100 * MIB));
    story_free(story);
}
END_TEST

/* And says who would have been next, and why it is not he. */
START_TEST(the_least_valuable_grower_is_stopped_first)
{
    struct story *story = story_new(32 * GIB, 2 * GIB);
    for (unsigned i = 0; i < 3; i++) {
        unsigned guest = story_guest(story, 16 * GIB, 7 * GIB);
        story_rules(story, guest)->rungs = RUNG_BIT(RUNG_PAUSE);
        story_rules(story, guest)->priority = 300 - 100 * i;
        story->guests[guest].growth = (int64_t)(60 * MIB);
    }
    story_rules(story, 2)->sacrifice = SACRIFICE_NEVER;
    ck_assert(story_until(story, ACTION_PAUSE, 1, 120 * SEC, 50 * MS));
    ck_assert_uint_eq(story->guests[0].pauses + story->guests[2].pauses, 0);
    const struct action *pause = story_find(story, ACTION_PAUSE, 1);
    ck_assert_uint_eq(pause->choice.rival.slot, 0);
    ck_assert_int_eq((int)pause->choice.rival.reason, RIVAL_DEARER);
    ck_assert_uint_eq(pause->choice.rival.figure, pause->loss / 2);
    ck_assert_uint_eq(pause->choice.left, story->plan->assessment.pools[0].time_to_exhaustion);
    story_free(story);
}
END_TEST

/* It is seen to grow on, so it is not waited for, and not asked a second time. */
START_TEST(a_stop_that_fails_is_followed_by_a_freeze)
{
    struct story *story = story_new(32 * GIB, 2 * GIB);
    unsigned guest = story_guest(story, 30 * GIB, 20 * GIB);
    story_rules(story, guest)->rungs = RUNG_BIT(RUNG_PAUSE);
    story->guests[guest].growth = (int64_t)(60 * MIB);
    story->guests[guest].refuses_stop = true;
    story->stop_latency = 800 * MS;
    ck_assert(story_until(story, ACTION_PAUSE, guest, 300 * SEC, 50 * MS));
    ck_assert(story_until(story, ACTION_FREEZE, guest, SEC, 50 * MS));
    ck_assert_uint_eq(story->guests[guest].pauses, 1);
    story_free(story);
}
END_TEST

START_TEST(somebody_elses_stopped_guest_can_only_be_killed)
{
    struct story *story = story_new(32 * GIB, 2 * GIB);
    unsigned held = story_guest(story, 16 * GIB, 12 * GIB);
    unsigned grower = story_guest(story, 30 * GIB, 12 * GIB);
    story_vm(story, held)->process_state = VM_PROCESS_STOPPED;
    story_rules(story, grower)->rungs = 0;
    story->guests[grower].growth = (int64_t)(400 * MIB);
    ck_assert(story_until(story, ACTION_KILL, held, 60 * SEC, 10 * MS));
    ck_assert_uint_eq(story->guests[held].pauses + story->guests[held].balloons, 0);
    story_free(story);
}
END_TEST

static struct story *story_of_choice(enum sacrifice of_cheap)
{
    struct story *story = story_new(64 * GIB, 2 * GIB);
    story_guest(story, 10 * GIB, 9 * GIB);
    story_guest(story, 10 * GIB, 9 * GIB);
    unsigned grower = story_guest(story, 60 * GIB, 30 * GIB);
    for (unsigned i = 0; i < 2; i++)
        story_rules(story, i)->rungs = RUNG_BIT(RUNG_KILL);
    story_rules(story, 0)->priority = 1;
    story_rules(story, 0)->sacrifice = of_cheap;
    story_rules(story, grower)->rungs = 0;
    story->guests[grower].growth = (int64_t)(200 * MIB);
    return story;
}

START_TEST(the_least_loss_dies)
{
    struct story *story = story_of_choice(SACRIFICE_NORMAL);
    ck_assert(story_until(story, ACTION_KILL, 0, 120 * SEC, 10 * MS));
    story_free(story);
}
END_TEST

/* Rules of guests may still be on their way: until then nobody dies, and then at once. */
START_TEST(nobody_dies_before_kills_may_begin)
{
    struct story *story = story_of_choice(SACRIFICE_NORMAL);
    ck_assert(story_until(story, ACTION_KILL, 0, 120 * SEC, 10 * MS));
    uint64_t kills_from = story->snapshot->time + SEC;
    story_free(story);

    story = story_of_choice(SACRIFICE_NORMAL);
    story->rules->host.kills_from = kills_from;
    ck_assert(story_until(story, ACTION_KILL, 0, 120 * SEC, 10 * MS));
    ck_assert_uint_ge(story->snapshot->time, kills_from);
    ck_assert_uint_le(story->snapshot->time, kills_from + 20 * MS);
    story_free(story);
}
END_TEST

START_TEST(who_is_last_outlives_others_of_more_value)
{
    struct story *story = story_of_choice(SACRIFICE_LAST);
    ck_assert(story_until(story, ACTION_KILL, 1, 120 * SEC, 10 * MS));
    ck_assert_uint_eq(story->guests[0].kills, 0);
    story_free(story);
}
END_TEST

START_TEST(who_is_never_sacrificed_is_told_about_instead)
{
    struct story *story = story_of_choice(SACRIFICE_NEVER);
    story_rules(story, 1)->sacrifice = SACRIFICE_NEVER;
    story_run(story, 120 * SEC, 50 * MS);
    ck_assert_uint_eq(story->guests[0].kills + story->guests[1].kills, 0);
    ck_assert_uint_ge(story->alerts[REASON_NO_VICTIM], 1);
    ck_assert_uint_le(story->alerts[REASON_NO_VICTIM], 2);
    story_free(story);
}
END_TEST

START_TEST(an_incoming_migration_is_the_cheapest_victim)
{
    struct story *story = story_of_choice(SACRIFICE_NORMAL);
    story_vm(story, 1)->migration = VM_MIGRATION_INCOMING;
    story_vm(story, 1)->run_state = VM_RUN_MIGRATING;
    ck_assert(story_until(story, ACTION_KILL, 1, 120 * SEC, 10 * MS));
    story_free(story);
}
END_TEST

START_TEST(a_post_copy_is_never_touched)
{
    struct story *story = story_of_choice(SACRIFICE_NORMAL);
    story_vm(story, 0)->migration = story_vm(story, 1)->migration = VM_MIGRATION_POSTCOPY;
    story->guests[0].growth = story->guests[1].growth = (int64_t)(50 * MIB);
    story_run(story, 120 * SEC, 50 * MS);
    ck_assert_uint_eq(story->guests[0].kills + story->guests[1].kills, 0);
    ck_assert_uint_eq(story->guests[0].pauses + story->guests[1].freezes, 0);
    story_free(story);
}
END_TEST

/* A guest that grows again whenever it is let is let ever more seldom. */
START_TEST(pause_and_resume_do_not_chase_each_other)
{
    struct story *story = story_new(32 * GIB, 2 * GIB);
    unsigned grower = story_guest(story, 64 * GIB, 16 * GIB);
    story_rules(story, grower)->rungs = RUNG_BIT(RUNG_PAUSE);
    story->guests[grower].growth = (int64_t)(200 * MIB);
    for (int minute = 0; minute < 20; minute++) {
        story_run(story, NSEC_PER_MINUTE, 50 * MS);
        if (story_is_paused(story, grower)) {
            /* Somebody swaps it out: room again. */
            story->guests[grower].touched = 16 * GIB;
            story->guests[grower].wants = 16 * GIB;
        }
    }
    ck_assert_uint_ge(story->guests[grower].resumes, 2);
    ck_assert_uint_le(story->guests[grower].pauses, 8);
    ck_assert_uint_eq(story->guests[grower].kills, 0);
    ck_assert_int_gt(story->headroom_least, 0);
    story_free(story);
}
END_TEST

START_TEST(a_drifting_balloon_is_asked_again_but_not_for_ever)
{
    struct story *story = story_new(32 * GIB, 3 * GIB);
    unsigned guest = story_guest(story, 27 * GIB, 26 * GIB);
    story_rules(story, guest)->rungs = RUNG_BIT(RUNG_BALLOON);
    story->guests[guest].wants = 20 * GIB;
    story_run(story, 20 * SEC, 100 * MS);
    unsigned asked = story->guests[guest].balloons, again = 0;
    ck_assert_uint_gt(asked, 0);
    for (int i = 0; i < 1200; i++) {
        struct vm_snapshot *vm = story_vm(story, guest);
        story->guests[guest].balloon_speed = 0;
        vm->balloon.actual = 27 * GIB;
        story->other = 8 * GIB;
        story_run(story, 100 * MS, 100 * MS);
        const struct action *action = story_find(story, ACTION_BALLOON, guest);
        again += action && action->reason == REASON_BALLOON_DRIFT;
    }
    ck_assert_uint_ge(again, 1);
    ck_assert_uint_le(again, 4);
    story_free(story);
}
END_TEST

START_TEST(a_band_is_left_late_and_not_at_once)
{
    struct story *story = story_new(100 * GIB, 84 * GIB + 400 * MIB); /* headroom 14 GiB */
    story_run(story, 2 * SEC, 100 * MS);
    ck_assert_int_eq(story->plan->assessment.band, BAND_TIGHT);
    story->other -= 2 * GIB; /* above 15 %, below a quarter more of it */
    story_run(story, 20 * SEC, 100 * MS);
    ck_assert_int_eq(story->plan->assessment.band, BAND_TIGHT);
    story->other -= 4 * GIB;
    story_run(story, 4 * SEC, 100 * MS);
    ck_assert_int_eq(story->plan->assessment.band, BAND_TIGHT);
    story_run(story, 2 * SEC, 100 * MS);
    ck_assert_int_eq(story->plan->assessment.band, BAND_CALM);
    story_free(story);
}
END_TEST

START_TEST(the_same_room_is_not_given_twice)
{
    struct story *story = story_new(64 * GIB, 28 * GIB); /* 3 GiB above what calm needs */
    for (unsigned i = 0; i < 2; i++) {
        struct vm_snapshot *vm = story_vm(story, story_guest(story, 32 * GIB, 10 * GIB));
        vm->measures.in_force = VM_MEASURE_BALLOON;
        vm->measures.balloon_before = 32 * GIB;
        vm->measures.balloon_target = vm->balloon.actual = 16 * GIB;
    }
    story_run(story, 8 * SEC, 100 * MS);
    uint64_t given = story_vm(story, 0)->measures.balloon_target +
                     story_vm(story, 1)->measures.balloon_target - 32 * GIB;
    ck_assert_uint_gt(given, GIB);
    ck_assert_uint_le(given, 3 * GIB + 256 * MIB);
    story_free(story);
}
END_TEST

/* A guest of 7 GiB that was frozen before the guard was switched to look on. */
static struct story *story_frozen(uint64_t other, unsigned *ret_guest)
{
    struct story *story = story_new(32 * GIB, other);
    unsigned guest = story_guest(story, 16 * GIB, 7 * GIB);
    story_rules(story, guest)->rungs = RUNG_BIT(RUNG_PAUSE);
    story->guests[guest].growth = (int64_t)(20 * MIB);
    story_run(story, 2 * SEC, 100 * MS);
    story_pause(story, guest);
    struct vm_snapshot *vm = story_vm(story, guest);
    vm->measures.in_force = VM_MEASURE_FROZEN_CGROUP;
    vm->run_state = VM_RUN_RUNNING;
    story_rules(story, guest)->mode = MODE_DRY_RUN;
    story->carries_on = true;
    *ret_guest = guest;
    return story;
}

/* A freeze is a first step: what stands between it and the `stop` hangs with its locks and I/O. */
START_TEST(in_dry_run_a_freeze_becomes_a_pause)
{
    unsigned guest;
    struct story *story = story_frozen(22 * GIB, &guest);
    story->stop_latency = 200 * MS;
    story_run(story, 4 * SEC, 50 * MS);
    ck_assert_uint_eq(story->guests[guest].thaws, 1);
    ck_assert_uint_eq(story->guests[guest].pauses, 1);
    ck_assert_uint_eq(story_vm(story, guest)->measures.in_force, VM_MEASURE_STOPPED);
    ck_assert_uint_eq(story->guests[guest].freezes, 0);
    story_free(story);
}
END_TEST

/* It has left the freeze and runs: to stop it again, or ever later, would be a new measure. */
START_TEST(in_dry_run_a_stop_that_fails_is_not_tried_again)
{
    unsigned guest;
    struct story *story = story_frozen(22 * GIB, &guest);
    story->guests[guest].refuses_stop = true;
    story->guests[guest].growth = 0;
    story_run(story, 300 * SEC, 50 * MS);
    ck_assert_uint_eq(story->guests[guest].thaws, 1);
    ck_assert_uint_eq(story->guests[guest].pauses, 1);
    ck_assert_uint_eq(story->guests[guest].freezes, 0);
    ck_assert_uint_eq(story_vm(story, guest)->measures.in_force, 0);
    story_free(story);
}
END_TEST

/* Who cannot be asked for half a minute has run for so long. */
START_TEST(in_dry_run_a_stop_does_not_come_late)
{
    unsigned guest;
    struct story *story = story_frozen(22 * GIB, &guest);
    story->guests[guest].growth = 0;
    ck_assert(story_until(story, ACTION_THAW, guest, 4 * SEC, 50 * MS));
    story_vm(story, guest)->monitor = VM_MONITOR_SILENT;
    story_run(story, 40 * SEC, 50 * MS);
    story_vm(story, guest)->monitor = VM_MONITOR_READY;
    story_run(story, 40 * SEC, 50 * MS);
    ck_assert_uint_eq(story->guests[guest].pauses, 0);
    ck_assert_uint_eq(story_vm(story, guest)->measures.in_force, 0);
    story_free(story);
}
END_TEST

/* A dry run's own pause of it, told of in between, takes nothing off the way. */
START_TEST(in_dry_run_a_pause_that_is_told_of_does_not_end_the_bridge)
{
    unsigned guest;
    struct story *story = story_frozen(22 * GIB, &guest);
    story->guests[guest].growth = (int64_t)(60 * MIB);
    ck_assert(story_until(story, ACTION_THAW, guest, 4 * SEC, 50 * MS));
    story_vm(story, guest)->monitor = VM_MONITOR_CONNECTING;
    story->other += 1600 * MIB;
    bool told = story_until(story, ACTION_FREEZE, guest, 20 * SEC, 50 * MS);
    ck_assert(told && story_find(story, ACTION_FREEZE, guest)->mode == MODE_DRY_RUN);
    story_vm(story, guest)->monitor = VM_MONITOR_READY;
    story_run(story, 5 * SEC, 50 * MS);
    ck_assert_uint_eq(story_vm(story, guest)->measures.in_force, VM_MEASURE_STOPPED);
    story_free(story);
}
END_TEST

/* What was only told of is not waited for by a guard that has begun to act. */
START_TEST(after_dry_run_a_pause_is_not_waited_for)
{
    struct story *story = story_new(32 * GIB, 2 * GIB);
    unsigned guest = story_guest(story, 30 * GIB, 20 * GIB);
    story_rules(story, guest)->rungs = RUNG_BIT(RUNG_PAUSE);
    story_rules(story, guest)->mode = MODE_DRY_RUN;
    story->guests[guest].growth = (int64_t)(60 * MIB);
    ck_assert(story_until(story, ACTION_PAUSE, guest, 300 * SEC, 50 * MS));
    ck_assert_uint_eq(story->guests[guest].pauses, 0);
    story_rules(story, guest)->mode = MODE_ENFORCE;
    story_run(story, 200 * MS, 50 * MS);
    ck_assert_uint_eq(story->guests[guest].pauses + story->guests[guest].freezes, 1);
    story_free(story);
}
END_TEST

/* Without room it stays, and nobody new is stopped for it. */
START_TEST(in_dry_run_a_freeze_without_room_stays)
{
    unsigned guest;
    struct story *story = story_frozen(24 * GIB + 700 * MIB, &guest);
    story_run(story, 60 * SEC, 50 * MS);
    ck_assert_uint_eq(story->guests[guest].thaws, 0);
    ck_assert_uint_eq(story_vm(story, guest)->measures.in_force, VM_MEASURE_FROZEN_CGROUP);
    ck_assert_uint_ge(story->alerts[REASON_FREEZE_STANDS], 1);
    story_free(story);
}
END_TEST

/* Where nobody ends it, it is told of. */
START_TEST(in_dry_run_a_freeze_that_stands_is_told_of)
{
    struct story *story = story_new(32 * GIB, 24 * GIB);
    unsigned guest = story_guest(story, 16 * GIB, 7 * GIB);
    story_pause(story, guest);
    struct vm_snapshot *vm = story_vm(story, guest);
    vm->measures.in_force = VM_MEASURE_FROZEN_CGROUP;
    vm->run_state = VM_RUN_RUNNING;
    story_rules(story, guest)->mode = MODE_DRY_RUN;
    story_run(story, 1200 * SEC, SEC);
    ck_assert_uint_ge(story->alerts[REASON_FREEZE_STANDS], 1);
    story_free(story);
}
END_TEST

/* A guard that only looks on resumes whom it has paused; what keeps that from coming about may
 * pass. */
START_TEST(in_dry_run_a_resume_is_tried_again)
{
    struct story *story = story_new(32 * GIB, 2 * GIB);
    unsigned guest = story_guest(story, 8 * GIB, 2 * GIB), resumes = 0;
    story_pause(story, guest);
    story_rules(story, guest)->mode = MODE_DRY_RUN;
    for (unsigned i = 0; i < 1500; i++) {
        story_run(story, SEC, SEC);
        resumes += story_find(story, ACTION_RESUME, guest) != NULL;
    }
    ck_assert_uint_ge(resumes, 2);
    ck_assert_uint_le(resumes, 4);
    story_free(story);
}
END_TEST

/* What it grew by nobody knows; that it waits is known, and who is worth less leaves it room. */
START_TEST(who_was_paused_by_an_earlier_guard_keeps_its_claim)
{
    struct story *story = story_new(32 * GIB, 25 * GIB + 512 * MIB);
    unsigned valuable = story_guest(story, 8 * GIB, 2 * GIB);
    unsigned lesser = story_guest(story, 8 * GIB, 2 * GIB);
    story_pause(story, valuable);
    story_rules(story, valuable)->priority = 900;
    story_no_balloons(story);
    story->guests[lesser].growth = 20 * (int64_t)MIB;
    story_live(story, 20 * SEC);
    ck_assert_uint_eq(story->guests[lesser].pauses, 1);
    ck_assert_uint_lt(story->guests[lesser].touched, 2 * GIB + 200 * MIB);
    story_free(story);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("ladder");
    tcase_add_test(tests, ten_guests_grow_together);
    tcase_add_test(tests, the_least_valuable_grower_is_stopped_first);
    tcase_add_test(tests, a_stop_that_fails_is_followed_by_a_freeze);
    tcase_add_test(tests, in_dry_run_a_freeze_that_stands_is_told_of);
    tcase_add_test(tests, in_dry_run_a_freeze_becomes_a_pause);
    tcase_add_test(tests, in_dry_run_a_stop_that_fails_is_not_tried_again);
    tcase_add_test(tests, in_dry_run_a_stop_does_not_come_late);
    tcase_add_test(tests, in_dry_run_a_pause_that_is_told_of_does_not_end_the_bridge);
    tcase_add_test(tests, in_dry_run_a_freeze_without_room_stays);
    tcase_add_test(tests, after_dry_run_a_pause_is_not_waited_for);
    tcase_add_test(tests, in_dry_run_a_resume_is_tried_again);
    tcase_add_test(tests, who_was_paused_by_an_earlier_guard_keeps_its_claim);
    tcase_add_test(tests, somebody_elses_stopped_guest_can_only_be_killed);
    tcase_add_test(tests, the_least_loss_dies);
    tcase_add_test(tests, nobody_dies_before_kills_may_begin);
    tcase_add_test(tests, who_is_last_outlives_others_of_more_value);
    tcase_add_test(tests, who_is_never_sacrificed_is_told_about_instead);
    tcase_add_test(tests, an_incoming_migration_is_the_cheapest_victim);
    tcase_add_test(tests, a_post_copy_is_never_touched);
    tcase_add_test(tests, pause_and_resume_do_not_chase_each_other);
    tcase_add_test(tests, a_drifting_balloon_is_asked_again_but_not_for_ever);
    tcase_add_test(tests, a_band_is_left_late_and_not_at_once);
    tcase_add_test(tests, the_same_room_is_not_given_twice);
    tcase_set_timeout(tests, 60); /* under valgrind */
    Suite *suite = suite_create("ladder");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
