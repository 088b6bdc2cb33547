/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guests that take memory faster than the balloons of others bring it, and are slowed down until
 * these have caught up; and when that is no help.
 */
#include <check.h>

#include "story.h"
#include "suite.h"

#define MS NSEC_PER_MSEC
#define SEC NSEC_PER_SEC

#define GROWER 0

static void brake_allow(struct story *story, unsigned guest)
{
    story_rules(story, guest)->rungs =
        RUNG_BIT(RUNG_BALLOON) | RUNG_BIT(RUNG_BRAKE) | RUNG_BIT(RUNG_PAUSE) | RUNG_BIT(RUNG_KILL);
    story_vm(story, guest)->vcpu_quotas = TRISTATE_YES;
}

static unsigned grower_add(struct story *story, int64_t growth)
{
    unsigned guest = story_guest(story, 12 * GIB, 3 * GIB);
    story->guests[guest].growth = growth;
    story->guests[guest].goal = 11 * GIB;
    story->guests[guest].honest = true;
    brake_allow(story, guest);
    return guest;
}

/* 5 GiB above the floor and 14 more that two guests do not use; their balloons move by SPEED. */
static struct story *story_of_idle(uint64_t speed, unsigned growers, int64_t growth)
{
    struct story *story = story_new(32 * GIB, 8 * GIB - 3 * GIB * growers);
    story_take_time(story, 100 * MS);
    for (unsigned i = 0; i < growers; i++)
        grower_add(story, growth);
    for (unsigned i = 0; i < 2; i++) {
        unsigned idle = story_guest(story, 9 * GIB, 9 * GIB);
        story->guests[idle].wants = 2 * GIB;
        story->guests[idle].honest = true;
        story->guests[idle].balloon_speed = speed;
        story_rules(story, idle)->priority = 500;
        story_rules(story, idle)->minimum = (struct amount){AMOUNT_BYTES, GIB};
    }
    return story;
}

static unsigned stops(const struct story *story, unsigned guest)
{
    return story->guests[guest].pauses + story->guests[guest].freezes;
}

static bool is_braked(struct story *story, unsigned guest)
{
    return story_vm(story, guest)->measures.in_force & VM_MEASURE_BRAKED;
}

/* With the brake it gets to its end beside guests that give what they do not use; without, it would
 * have been stopped on the way. */
START_TEST(slowed_until_balloons_have_caught_up)
{
    bool allowed = _i == 0;
    struct story *story = story_of_idle(100 * MIB, 1, 500 * (int64_t)MIB);
    if (!allowed)
        story_rules(story, GROWER)->rungs &= ~RUNG_BIT(RUNG_BRAKE);
    story_live(story, 180 * SEC);
    ck_assert_int_gt(story->headroom_least, 0);
    if (!allowed) {
        ck_assert_uint_eq(story->guests[GROWER].brakes, 0);
        ck_assert_uint_ge(stops(story, GROWER), 1);
        story_free(story);
        return;
    }
    ck_assert_uint_ge(story->guests[GROWER].brakes, 1);
    ck_assert_uint_eq(story->guests[GROWER].releases, story->guests[GROWER].brakes);
    ck_assert(!is_braked(story, GROWER));
    ck_assert_uint_eq(story->alerts[REASON_STUCK], 0);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_uint_eq(stops(story, i) + story->guests[i].kills, 0);
    ck_assert_uint_ne(story->guests[GROWER].finished, 0);
    story_free(story);
}
END_TEST

/* A balloon that moves at its full speed needs no brake beside it. */
START_TEST(balloons_that_keep_pace)
{
    struct story *story = story_of_idle(GIB, 1, 200 * (int64_t)MIB);
    story_live(story, 120 * SEC);
    ck_assert_uint_eq(story->guests[GROWER].brakes, 0);
    ck_assert_uint_ne(story->guests[GROWER].finished, 0);
    story_free(story);
}
END_TEST

/* What is short is bytes: nothing is on its way that a brake could wait for. */
START_TEST(where_nobody_gives_it_is_a_pause)
{
    struct story *story = story_of_idle(100 * MIB, 1, 500 * (int64_t)MIB);
    story_no_balloons(story);
    story_live(story, 60 * SEC);
    ck_assert_uint_eq(story->guests[GROWER].brakes, 0);
    ck_assert_uint_ge(stops(story, GROWER), 1);
    ck_assert_int_gt(story->headroom_least, 0);
    story_free(story);
}
END_TEST

/* Others are promised to bring much and bring next to nothing: scarce does not end, the brake does.
 */
START_TEST(ends_after_its_time)
{
    struct story *story = story_of_idle(MIB, 1, 500 * (int64_t)MIB);
    ck_assert(story_until(story, ACTION_BRAKE, GROWER, 60 * SEC, 20 * MS));
    story->guests[GROWER].growth = 100 * (int64_t)MIB;
    story->other += 2 * GIB; /* nor would scarce end without it */
    ck_assert(story_until(story, ACTION_RELEASE, GROWER, 31 * SEC, 20 * MS));
    ck_assert_int_eq((int)story_find(story, ACTION_RELEASE, GROWER)->reason, REASON_RELEASE_TIME);
    ck_assert_uint_ge(story->guests[GROWER].braked_longest, 29 * SEC);
    ck_assert_uint_le(story->guests[GROWER].braked_longest, 31 * SEC);
    story_run(story, 59 * SEC, 20 * MS);
    ck_assert_uint_eq(story->guests[GROWER].brakes, 1);
    story_free(story);
}
END_TEST

/* Braked, and critical does not end: others bring next to nothing, and something else has taken
 * what was left. */
static struct story *story_of_critical(unsigned growers)
{
    struct story *story = story_of_idle(MIB, growers, 500 * (int64_t)MIB);
    ck_assert(story_until(story, ACTION_BRAKE, GROWER, 60 * SEC, 20 * MS));
    return story;
}

static void make_critical(struct story *story)
{
    story_run(story, SEC, 20 * MS);
    int64_t headroom = story->plan->assessment.pools[0].headroom;
    ck_assert_int_gt(headroom, (int64_t)(600 * MIB));
    story->other += (uint64_t)headroom - 600 * MIB;
}

/* Let go, it would sprint, and have to be frozen. */
START_TEST(stopped_before_it_is_let_go_in_critical)
{
    struct story *story = story_of_critical(1);
    /* Under a brake nothing that is worth a pause. */
    story->guests[GROWER].growth = 10 * (int64_t)MIB;
    make_critical(story);
    ck_assert(story_until(story, ACTION_PAUSE, GROWER, 31 * SEC, 20 * MS));
    ck_assert_int_eq(story->plan->assessment.band, BAND_CRITICAL);
    ck_assert(is_braked(story, GROWER));
    ck_assert_uint_ge(story->guests[GROWER].braked_longest, 29 * SEC);
    story_run(story, SEC, 20 * MS);
    ck_assert(!is_braked(story, GROWER)); /* whoever resumes it finds its processors as they were */
    ck_assert(story_is_paused(story, GROWER));
    ck_assert_uint_eq(story->guests[GROWER].freezes, 0);
    story_free(story);
}
END_TEST

/* It may not be paused, or its monitor is silent: so long the brake goes on, and no longer. */
START_TEST(goes_on_in_critical_where_it_cannot_be_stopped)
{
    bool silent = _i == 1;
    struct story *story = story_of_critical(1);
    story->guests[GROWER].growth = 10 * (int64_t)MIB;
    make_critical(story);
    if (silent)
        story_vm(story, GROWER)->monitor = VM_MONITOR_SILENT;
    else
        story_rules(story, GROWER)->rungs = RUNG_BIT(RUNG_BALLOON) | RUNG_BIT(RUNG_BRAKE);
    story_run(story, 100 * SEC, 20 * MS);
    ck_assert_int_eq(story->plan->assessment.band, BAND_CRITICAL);
    ck_assert(is_braked(story, GROWER));
    ck_assert_uint_eq(stops(story, GROWER), 0);
    story_run(story, 25 * SEC, 20 * MS);
    ck_assert(!is_braked(story, GROWER));
    ck_assert_uint_eq(story->guests[GROWER].freezes, silent);
    ck_assert_uint_le(story->guests[GROWER].braked_longest, 2 * NSEC_PER_MINUTE + SEC);
    story_free(story);
}
END_TEST

/* It has come to its end: there is nothing to hold back. */
START_TEST(who_grows_no_more_is_let_go_in_critical)
{
    struct story *story = story_of_critical(1);
    story->guests[GROWER].growth = 0;
    make_critical(story);
    ck_assert(story_until(story, ACTION_RELEASE, GROWER, 31 * SEC, 20 * MS));
    ck_assert_int_eq((int)story_find(story, ACTION_RELEASE, GROWER)->reason, REASON_RELEASE_TIME);
    ck_assert_uint_eq(stops(story, GROWER), 0);
    story_free(story);
}
END_TEST

/* The lesser one is braked when the more valuable one has to be stopped, because it grows, or
 * because the time of its brake is over. */
START_TEST(nobody_stands_still_beside_a_lesser_one_that_is_slow)
{
    struct story *story = story_of_critical(2);
    struct vm_snapshot *valuable = story_vm(story, 1);
    story_rules(story, 1)->priority = 900;
    story->guests[0].growth = 10 * (int64_t)MIB;
    if (_i == 0) {
        valuable->vcpu_quotas = TRISTATE_NO;
        story->guests[1].growth = 200 * (int64_t)MIB;
    } else {
        valuable->measures.in_force |= VM_MEASURE_BRAKED;
        valuable->measures.braked_since = story->snapshot->time - 20 * SEC; /* the other has 30 */
        story->guests[1].growth = 10 * (int64_t)MIB;
        make_critical(story);
    }
    unsigned slow = 0;
    for (unsigned i = 0; i < 40 * 50; i++) {
        story_run(story, 20 * MS, 20 * MS);
        bool upside_down = story_is_paused(story, 1) && !story_is_paused(story, 0);
        slow = upside_down ? slow + 1 : 0;
        ck_assert_uint_lt(slow, 50); /* on the bridge from a freeze to a `stop` */
    }
    ck_assert_uint_ge(stops(story, 0), 1);
    ck_assert_uint_ge(stops(story, 1), 1);
    ck_assert_uint_eq(story->guests[0].kills + story->guests[1].kills, 0);
    story_free(story);
}
END_TEST

/* Where a more valuable one stands still already, who begins to grow is not merely braked. */
START_TEST(beside_a_valuable_one_that_is_paused_there_is_no_brake)
{
    struct story *story = story_of_idle(100 * MIB, 1, 500 * (int64_t)MIB);
    unsigned waiting = story_guest(story, 4 * GIB, 200 * MIB);
    story_rules(story, waiting)->priority = 900;
    story_pause(story, waiting);
    story_run(story, 9 * SEC, 20 * MS); /* so long it waits in any case */
    ck_assert(story_is_paused(story, waiting));
    ck_assert_uint_eq(story->guests[GROWER].brakes, 0);
    ck_assert_uint_ge(stops(story, GROWER), 1);
    ck_assert_int_gt(story->headroom_least, 0);
    story_free(story);
}
END_TEST

START_TEST(the_least_valuable_grower_first)
{
    bool enough = _i == 0;
    struct story *story = story_of_idle(100 * MIB, 2, 400 * (int64_t)MIB);
    story_rules(story, 1)->priority = 900;
    if (enough)
        story->guests[1].growth = 60 * (int64_t)MIB;
    ck_assert(story_until(story, ACTION_BRAKE, 0, 60 * SEC, 20 * MS));
    ck_assert_uint_eq(story->guests[1].brakes, 0);
    story_run(story, 25 * SEC, 20 * MS);
    ck_assert((story->guests[1].brakes == 0) == enough);
    story_free(story);
}
END_TEST

/* A lesser one that grows and cannot be braked takes its part: it is for a pause to stop it. */
START_TEST(nobody_is_braked_in_the_place_of_a_lesser_one)
{
    struct story *story = story_of_idle(100 * MIB, 2, 300 * (int64_t)MIB);
    story_rules(story, 1)->priority = 900;
    story_vm(story, 0)->vcpu_quotas = TRISTATE_NO;
    story_live(story, 30 * SEC);
    ck_assert_uint_eq(story->guests[0].brakes, 0);
    ck_assert(story->guests[1].brakes == 0 || stops(story, 0) > 0);
    story_free(story);
}
END_TEST

/* By index: what keeps it from being braked. */
START_TEST(who_is_never_braked)
{
    struct story *story = story_of_idle(100 * MIB, 1, 500 * (int64_t)MIB);
    switch (_i) {
    case 0:
        story_vm(story, GROWER)->vcpu_quotas = TRISTATE_NO;
        break;
    case 1:
        story_vm(story, GROWER)->vcpu_quotas = TRISTATE_UNKNOWN;
        break;
    case 2:
        story_rules(story, GROWER)->sacrifice = SACRIFICE_NEVER;
        break;
    case 3:
        story_vm(story, GROWER)->migration = VM_MIGRATION_POSTCOPY;
        break;
    case 4:
        story_vm(story, GROWER)->process_state = VM_PROCESS_STOPPED;
        break;
    }
    story_live(story, 20 * SEC);
    ck_assert_uint_eq(story->guests[GROWER].brakes, 0);
    story_free(story);
}
END_TEST

START_TEST(in_a_sprint_it_is_frozen)
{
    struct story *story = story_of_idle(100 * MIB, 1, 3 * (int64_t)GIB);
    story_live(story, 3 * SEC);
    ck_assert_uint_eq(story->guests[GROWER].brakes, 0);
    ck_assert_uint_ge(story->guests[GROWER].freezes, 1);
    ck_assert_int_gt(story->headroom_least, 0);
    story_free(story);
}
END_TEST

/* Its cgroups are not what they seemed: it is not asked at every look, and stopped as ever. */
START_TEST(a_brake_that_does_not_hold)
{
    struct story *story = story_of_idle(100 * MIB, 1, 500 * (int64_t)MIB);
    story->guests[GROWER].refuses_brake = true;
    story_live(story, 40 * SEC);
    ck_assert_uint_eq(story->guests[GROWER].brakes, 1);
    ck_assert_uint_ge(stops(story, GROWER), 1);
    ck_assert_int_gt(story->headroom_least, 0);
    story_free(story);
}
END_TEST

START_TEST(its_own_balloon_is_not_asked)
{
    struct story *story = story_of_idle(100 * MIB, 1, 500 * (int64_t)MIB);
    ck_assert(story_until(story, ACTION_BRAKE, GROWER, 60 * SEC, 20 * MS));
    unsigned asked = story->guests[GROWER].balloons;
    while (is_braked(story, GROWER)) {
        story_run(story, 20 * MS, 20 * MS);
        ck_assert(!is_braked(story, GROWER) || story->guests[GROWER].balloons == asked);
    }
    story_free(story);
}
END_TEST

/* Whoever resumes it, and when, finds its processors as they were. */
START_TEST(a_paused_guest_is_released)
{
    struct story *story = story_of_idle(100 * MIB, 1, 500 * (int64_t)MIB);
    ck_assert(story_until(story, ACTION_BRAKE, GROWER, 60 * SEC, 20 * MS));
    struct vm_snapshot *vm = story_vm(story, GROWER);
    vm->measures.in_force |= VM_MEASURE_STOP_SENT;
    story->guests[GROWER].stop_done = story->snapshot->time + 200 * MS;
    story_run(story, 100 * MS, 20 * MS);
    ck_assert(is_braked(story, GROWER)); /* else it would grow through its `stop` */
    story_run(story, 200 * MS, 20 * MS);
    ck_assert(!is_braked(story, GROWER));
    ck_assert(story_is_paused(story, GROWER));
    story_free(story);
}
END_TEST

/* What comes is for who runs, if slowly; a more valuable one that waits may have it. */
START_TEST(nobody_is_resumed_into_what_another_is_kept_from)
{
    bool lesser = _i == 0;
    struct story *story = story_of_idle(100 * MIB, 1, 500 * (int64_t)MIB);
    unsigned waiting = story_guest(story, 400 * MIB, 200 * MIB);
    story_rules(story, waiting)->priority = lesser ? 10 : 900;
    ck_assert(story_until(story, ACTION_BRAKE, GROWER, 60 * SEC, 20 * MS));
    story_pause(story, waiting);
    story->guests[GROWER].growth = 10 * (int64_t)MIB; /* under a brake, nothing that shows */
    story->other += 2500 * MIB;                       /* scarce without it, too */
    story->guests[1].balloon_speed = story->guests[2].balloon_speed = 8 * MIB;
    story_run(story, 20 * SEC, 20 * MS);
    ck_assert(is_braked(story, GROWER));
    ck_assert_uint_eq(story->guests[waiting].resumes, lesser ? 0 : 1);
    story->guests[GROWER].growth = 0;
    story_run(story, 60 * SEC, 20 * MS);
    ck_assert_uint_eq(story->guests[waiting].resumes, 1);
    story_free(story);
}
END_TEST

/* It goes on with room for what it grew by before it was slowed down. */
START_TEST(growth_before_a_brake_is_remembered)
{
    struct story *story = story_of_idle(100 * MIB, 1, 500 * (int64_t)MIB);
    ck_assert(story_until(story, ACTION_BRAKE, GROWER, 60 * SEC, 20 * MS));
    story_run(story, 3 * SEC, 20 * MS);
    ck_assert(is_braked(story, GROWER));
    story_no_balloons(story);
    story->guests[1].balloon_speed = story->guests[2].balloon_speed = 0;
    story->other += 3500 * MIB; /* nothing comes any more, and it is critical */
    ck_assert(story_until(story, ACTION_PAUSE, GROWER, 5 * SEC, 20 * MS));
    story_run(story, SEC, 20 * MS);
    ck_assert(!is_braked(story, GROWER));
    story->other -= GIB; /* less than what it takes in seconds is above critical */
    story_run(story, 15 * SEC, 20 * MS);
    ck_assert_uint_eq(story->guests[GROWER].resumes, 0);
    story_free(story);
}
END_TEST

/* Nobody knows what for; it is released as soon as it would have been. By index: when it began, and
 * whether memory is short. */
START_TEST(braked_by_an_earlier_guard)
{
    bool old = _i & 1, scarce = _i & 2;
    struct story *story = story_new(32 * GIB, scarce ? 27 * GIB : 4 * GIB);
    unsigned guest = story_guest(story, 4 * GIB, 3 * GIB);
    brake_allow(story, guest);
    story_vm(story, guest)->measures.in_force = VM_MEASURE_BRAKED;
    story_vm(story, guest)->measures.braked_since =
        story->snapshot->time - (old ? NSEC_PER_MINUTE : SEC);
    story_run(story, SEC, 100 * MS);
    ck_assert(is_braked(story, guest) == (scarce && !old));
    story_run(story, 30 * SEC, 100 * MS);
    ck_assert(!is_braked(story, guest));
    ck_assert_uint_eq(story->guests[guest].releases, 1);
    story_free(story);
}
END_TEST

/* The rules were edited, or the guard was switched to look on. */
START_TEST(no_longer_allowed)
{
    struct story *story = story_of_idle(100 * MIB, 1, 500 * (int64_t)MIB);
    ck_assert(story_until(story, ACTION_BRAKE, GROWER, 60 * SEC, 20 * MS));
    if (_i == 0)
        story_rules(story, GROWER)->rungs &= ~RUNG_BIT(RUNG_BRAKE);
    else
        story->rules->host.mode = MODE_DRY_RUN;
    story_run(story, 20 * MS, 20 * MS);
    ck_assert_ptr_nonnull(story_find(story, ACTION_RELEASE, GROWER));
    ck_assert_int_eq((int)story_find(story, ACTION_RELEASE, GROWER)->reason, REASON_RELEASE_VOID);
    story_free(story);
}
END_TEST

/* It is told once and counts as slowed, for as long as a brake would hold. */
START_TEST(dry_run_counts_as_pending)
{
    struct story *story = story_of_idle(100 * MIB, 1, 500 * (int64_t)MIB);
    story_rules(story, GROWER)->mode = MODE_DRY_RUN;
    ck_assert(story_until(story, ACTION_BRAKE, GROWER, 60 * SEC, 20 * MS));
    ck_assert_int_eq((int)story_find(story, ACTION_BRAKE, GROWER)->mode, MODE_DRY_RUN);
    story_run(story, 20 * SEC, 20 * MS);
    ck_assert(!is_braked(story, GROWER));
    ck_assert_uint_eq(story->guests[GROWER].brakes, 1);
    ck_assert_uint_eq(story->guests[GROWER].releases, 0);
    story_free(story);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("brake");
    tcase_add_loop_test(tests, slowed_until_balloons_have_caught_up, 0, 2);
    tcase_add_test(tests, balloons_that_keep_pace);
    tcase_add_test(tests, where_nobody_gives_it_is_a_pause);
    tcase_add_test(tests, ends_after_its_time);
    tcase_add_test(tests, stopped_before_it_is_let_go_in_critical);
    tcase_add_loop_test(tests, goes_on_in_critical_where_it_cannot_be_stopped, 0, 2);
    tcase_add_test(tests, who_grows_no_more_is_let_go_in_critical);
    tcase_add_loop_test(tests, nobody_stands_still_beside_a_lesser_one_that_is_slow, 0, 2);
    tcase_add_test(tests, beside_a_valuable_one_that_is_paused_there_is_no_brake);
    tcase_add_loop_test(tests, the_least_valuable_grower_first, 0, 2);
    tcase_add_test(tests, nobody_is_braked_in_the_place_of_a_lesser_one);
    tcase_add_loop_test(tests, who_is_never_braked, 0, 5);
    tcase_add_test(tests, in_a_sprint_it_is_frozen);
    tcase_add_test(tests, a_brake_that_does_not_hold);
    tcase_add_test(tests, its_own_balloon_is_not_asked);
    tcase_add_test(tests, a_paused_guest_is_released);
    tcase_add_loop_test(tests, nobody_is_resumed_into_what_another_is_kept_from, 0, 2);
    tcase_add_test(tests, growth_before_a_brake_is_remembered);
    tcase_add_loop_test(tests, braked_by_an_earlier_guard, 0, 4);
    tcase_add_loop_test(tests, no_longer_allowed, 0, 2);
    tcase_add_test(tests, dry_run_counts_as_pending);
    tcase_set_timeout(tests, 60);
    Suite *suite = suite_create("brake");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
