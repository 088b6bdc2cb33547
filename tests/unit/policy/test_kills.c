/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stories of kills: where nothing but a kill helps, there is one, and no second before the first
 * has shown what it brings. peer_N: see test_stories.c.
 */
#include <check.h>

#include "story.h"
#include "suite.h"

#define MS NSEC_PER_MSEC
#define SEC NSEC_PER_SEC

static struct story *story_of_killing(void)
{
    struct story *story = story_new(32 * GIB, 2 * GIB);
    for (unsigned i = 0; i < 4; i++) {
        unsigned guest = story_guest(story, 8 * GIB, 7 * GIB);
        story_rules(story, guest)->rungs = RUNG_BIT(RUNG_KILL);
        story_rules(story, guest)->priority = 100 + i;
        story->guests[guest].growth = (int64_t)(200 * MIB);
    }
    return story;
}

static unsigned kills_in(const struct story *story)
{
    unsigned kills = 0;
    for (unsigned i = 0; i < 4; i++)
        kills += story->guests[i].kills;
    return kills;
}

/* systemd-oomd: kill storms on stale readings. But where time is short, a victim that stays is not
 * waited for. */
START_TEST(peer_9_one_kill_until_it_shows)
{
    struct story *story = story_of_killing();
    story->kills_take_hold = false;
    ck_assert(story_until(story, ACTION_KILL, 0, 60 * SEC, 10 * MS));
    ck_assert(!story->guests[0].orderly); /* there is no time for that */
    uint64_t patience = 2 * story_find(story, ACTION_KILL, 0)->predicted + SEC;
    story_run(story, patience - 20 * MS, 10 * MS);
    ck_assert_uint_eq(kills_in(story), 1);
    story_run(story, 40 * MS, 10 * MS);
    ck_assert_uint_eq(kills_in(story), 2);
    story_free(story);
}
END_TEST

/* Runs until somebody is killed who takes LATENCY to die, in no hurry. */
static struct story *story_of_a_slow_kill(uint64_t latency)
{
    struct story *story = story_of_killing();
    story->kill_latency = latency;
    for (unsigned i = 0; i < 4; i++) {
        story->guests[i].growth = 10 * (int64_t)MIB;
        story_vm(story, i)->callable = true;
    }
    for (unsigned k = 0; k < 6000 && kills_in(story) == 0; k++)
        story_live(story, 100 * MS);
    ck_assert_uint_eq(kills_in(story), 1);
    return story;
}

/* That libvirt lets QEMU end by itself is begun so much earlier that the floor is kept all the
 * same.
 */
START_TEST(an_end_in_order_has_its_time_before_the_floor)
{
    struct story *story = story_of_a_slow_kill(KILL_ORDERLY_TIME);
    ck_assert(story->guests[0].orderly);
    story_live(story, 2 * SEC);
    ck_assert_int_ge(story->headroom_least, 0);
    ck_assert_int_lt(story->headroom_least, 80 * (int64_t)MIB);
    story_free(story);
}
END_TEST

/* It has all of that time, and no more. */
START_TEST(an_end_in_order_is_hurried_when_the_floor_is_at_hand)
{
    struct story *story = story_of_a_slow_kill(5 * SEC);
    for (unsigned i = 0; i < 8; i++) {
        ck_assert(!story->plan->hurry);
        story_live(story, 100 * MS);
    }
    ck_assert_int_gt(story->headroom_least, 0);
    for (unsigned i = 0; i < 5 && !story->plan->hurry; i++)
        story_live(story, 100 * MS);
    ck_assert(story->plan->hurry);
    story_free(story);
}
END_TEST

/* A guard whose looks come late, as on a host short of processors, kills so much sooner. */
START_TEST(a_guard_that_is_late_keeps_the_floor)
{
    struct story *story = story_of_killing();
    story_take_time(story, 0);
    story->lateness = 200 * MS;
    for (unsigned i = 0; i < 4; i++)
        story->guests[i].growth = 10 * (int64_t)MIB;
    for (unsigned k = 0; k < 6000 && kills_in(story) == 0; k++)
        story_live(story, 100 * MS);
    story_live(story, SEC);
    ck_assert_uint_eq(kills_in(story), 1);
    ck_assert_int_ge(story->headroom_least, 0);
    ck_assert_int_lt(story->headroom_least, 40 * (int64_t)MIB);
    story_free(story);
}
END_TEST

/* Whose monitor is silent, be it by libvirt's fault, is not asked to end by itself. */
START_TEST(who_does_not_hear_is_killed_at_once)
{
    struct story *story = story_of_killing();
    for (unsigned i = 0; i < 4; i++) {
        story->guests[i].growth = 10 * (int64_t)MIB;
        story_vm(story, i)->callable = _i != 1;
        if (_i == 0)
            story_vm(story, i)->monitor = VM_MONITOR_SILENT;
        if (_i == 2)
            story_vm(story, i)->process_state = VM_PROCESS_STOPPED;
    }
    for (unsigned k = 0; k < 6000 && kills_in(story) == 0; k++)
        story_live(story, 100 * MS);
    ck_assert_uint_eq(kills_in(story), 1);
    ck_assert(!story->guests[0].orderly);
    ck_assert_int_lt(story->headroom_least, 40 * (int64_t)MIB / 2); /* and not sooner */
    story_free(story);
}
END_TEST

/* It takes its memory with it in the end: nobody else dies meanwhile, while what is left will do.
 */
START_TEST(a_slow_kill_is_waited_for)
{
    struct story *story = story_of_a_slow_kill(5 * SEC);
    ck_assert(story->guests[0].orderly);
    story_live(story, 10 * SEC);
    ck_assert_uint_eq(kills_in(story), 1);
    story_free(story);
}
END_TEST

START_TEST(peer_10_a_victim_that_does_not_end_is_not_waited_for_for_ever)
{
    struct story *story = story_of_a_slow_kill(NSEC_PER_MINUTE);
    story_live(story, 9 * SEC);
    ck_assert_uint_eq(kills_in(story), 1);
    story_live(story, 2 * SEC);
    ck_assert_uint_eq(kills_in(story), 2);
    story_free(story);
}
END_TEST

START_TEST(a_slow_kill_is_not_waited_for_when_time_becomes_short)
{
    struct story *story = story_of_a_slow_kill(NSEC_PER_MINUTE);
    story_live(story, 6 * SEC);
    ck_assert_uint_eq(kills_in(story), 1);
    for (unsigned i = 0; i < 4; i++)
        story->guests[i].growth = 200 * (int64_t)MIB;
    story_live(story, SEC);
    ck_assert_uint_eq(kills_in(story), 2);
    story_free(story);
}
END_TEST

START_TEST(a_kill_that_suffices_is_the_only_one)
{
    struct story *story = story_of_killing();
    story_run(story, 60 * SEC, 10 * MS);
    ck_assert_uint_eq(story->guests[0].kills, 1);
    for (unsigned i = 1; i < 4; i++)
        ck_assert_uint_eq(story->guests[i].kills, 0);
    story_free(story);
}
END_TEST

START_TEST(the_breaker_stops_a_massacre)
{
    struct story *story = story_of_killing();
    story->rules->host.max_destructive = 1;
    story->guests[3].growth = (int64_t)(900 * MIB);
    story_rules(story, 3)->sacrifice = SACRIFICE_NEVER;
    story_vm(story, 3)->maximum = 64 * GIB;
    story_vm(story, 3)->balloon.actual = 64 * GIB;
    story_run(story, 120 * SEC, 20 * MS);
    ck_assert_uint_eq(kills_in(story), 1);
    ck_assert_uint_eq(story->alerts[REASON_BREAKER], 1);
    story_free(story);
}
END_TEST

START_TEST(who_comes_back_from_the_dead_is_not_killed_again)
{
    struct story *story = story_of_killing();
    struct vm_identity before = story_vm(story, 0)->identity; /* the least loss */
    before.pid = 77;
    policy_state_seed(story->state, story->snapshot->time - SEC, &before);
    ck_assert(story_until(story, ACTION_KILL, 1, 60 * SEC, 10 * MS));
    ck_assert_uint_eq(story->guests[0].kills, 0);
    ck_assert_uint_gt(story->alerts[REASON_RESTARTED_VICTIM], 0);
    story_free(story);
}
END_TEST

/* So many of the past are remembered. */
#define REMEMBERED 64

/* Ended twice, and between the two a great many others, who are forgotten before it. */
START_TEST(who_was_ended_again_is_remembered_from_then_on)
{
    struct story *story = story_of_killing();
    uint64_t begin = story->snapshot->time - 100 * SEC;
    story->rules->host.max_destructive_window = SEC;
    struct vm_identity again = story_vm(story, 0)->identity, other = {.pid = 1000};
    again.pid = 77;
    policy_state_seed(story->state, begin, &again);
    for (uint64_t i = 1; i < REMEMBERED + REMEMBERED / 2; i++) {
        if (i == REMEMBERED)
            policy_state_seed(story->state, begin + i * 100 * MS, &again);
        other.pid++;
        policy_state_seed(story->state, begin + i * 100 * MS, &other);
    }
    ck_assert(story_until(story, ACTION_KILL, 1, 60 * SEC, 10 * MS));
    ck_assert_uint_eq(story->guests[0].kills, 0);
    story_free(story);
}
END_TEST

START_TEST(a_dry_run_does_not_march_through_all_guests)
{
    struct story *story = story_of_killing();
    story->rules->host.mode = MODE_DRY_RUN;
    unsigned kills = 0;
    for (int i = 0; i < 400; i++) {
        story_run(story, 10 * MS, 10 * MS);
        kills += story_count(story, ACTION_KILL);
        for (unsigned guest = 0; guest < 4; guest++)
            story->guests[guest].growth = 0;
        story->other = 2 * GIB + GIB + GIB / 2;
    }
    ck_assert_uint_le(kills, 1);
    ck_assert_int_eq((int)story->plan->assessment.band, BAND_CRITICAL);
    story_free(story);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("kills");
    tcase_add_test(tests, peer_9_one_kill_until_it_shows);
    tcase_add_test(tests, an_end_in_order_has_its_time_before_the_floor);
    tcase_add_loop_test(tests, who_does_not_hear_is_killed_at_once, 0, 3);
    tcase_add_test(tests, an_end_in_order_is_hurried_when_the_floor_is_at_hand);
    tcase_add_test(tests, a_guard_that_is_late_keeps_the_floor);
    tcase_add_test(tests, a_slow_kill_is_waited_for);
    tcase_add_test(tests, peer_10_a_victim_that_does_not_end_is_not_waited_for_for_ever);
    tcase_add_test(tests, a_slow_kill_is_not_waited_for_when_time_becomes_short);
    tcase_add_test(tests, a_kill_that_suffices_is_the_only_one);
    tcase_add_test(tests, the_breaker_stops_a_massacre);
    tcase_add_test(tests, who_comes_back_from_the_dead_is_not_killed_again);
    tcase_add_test(tests, who_was_ended_again_is_remembered_from_then_on);
    tcase_add_test(tests, a_dry_run_does_not_march_through_all_guests);
    tcase_set_timeout(tests, 60); /* under valgrind */
    Suite *suite = suite_create("kills");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
