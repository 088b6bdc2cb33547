/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stories of who is ended where it may take more than one: the set that loses least, one after the
 * other, and none too many.
 */
#include <check.h>

#include "story.h"
#include "suite.h"

#define MS NSEC_PER_MSEC
#define SEC NSEC_PER_SEC
#define VICTIMS 4 /* before the one who cannot be ended */

/* Guests that can only be killed, of so many GiB and so dear; beside them one grows for whom nobody
 * else need go in the end but for 3 GiB. What is short at the floor is what critical needs, and his
 * growth for ten seconds, which nobody knows to end: between 4 and 5 GiB. */
struct victim {
    unsigned size; /* GiB; 0: there is none */
    unsigned priority;
};

static struct story *story_of_victims(const struct victim victims[VICTIMS])
{
    struct story *story = story_new(64 * GIB, 2 * GIB);
    uint64_t held = 0;
    for (unsigned i = 0; i < VICTIMS; i++) {
        uint64_t size = victims[i].size * GIB;
        story_guest(story, size + GIB, size > 0 ? size : 16 * MIB);
        story_rules(story, i)->rungs = size > 0 ? RUNG_BIT(RUNG_KILL) : 0;
        story_rules(story, i)->priority = size > 0 ? victims[i].priority : 1;
        held += size;
    }
    unsigned grower = story_guest(story, 62 * GIB, 56 * GIB - held);
    story_rules(story, grower)->rungs = 0;
    story->guests[grower].growth = 200 * (int64_t)MIB;
    story->guests[grower].goal = 61 * GIB - held;
    return story;
}

/* Until somebody is killed; returns that. */
static const struct action *first_kill(struct story *story)
{
    for (unsigned k = 0; k < 6000; k++) {
        story_run(story, 10 * MS, 10 * MS);
        for (unsigned i = 0; i < story->plan->action_count; i++)
            if (story->plan->actions[i].kind == ACTION_KILL)
                return &story->plan->actions[i];
    }
    ck_abort_msg("nobody is killed");
}

static void check_killed(const struct story *story, unsigned set)
{
    for (unsigned i = 0; i < VICTIMS; i++)
        ck_assert_msg(story->guests[i].kills == (set >> i & 1), "guest %u was killed %u times", i,
            story->guests[i].kills);
}

START_TEST(two_small_ones_go_before_a_dear_one)
{
    static const struct victim victims[VICTIMS] = {{8, 200}, {3, 10}, {2, 10}};
    struct story *story = story_of_victims(victims);
    const struct action *kill = first_kill(story);
    ck_assert_uint_gt(kill->deficit, 4 * GIB);
    ck_assert_uint_lt(kill->deficit, 5 * GIB);
    ck_assert_uint_eq(kill->slot, 1); /* of equals whoever returns more */
    ck_assert_uint_eq(kill->choice.guests, 2);
    ck_assert_uint_eq(kill->choice.loss, 2 * kill->loss);
    ck_assert_uint_eq(kill->choice.least, kill->choice.loss);
    ck_assert_uint_eq(kill->choice.rival.slot, 2);
    ck_assert_int_eq((int)kill->choice.rival.reason, RIVAL_NEXT);
    story_run(story, 60 * SEC, 10 * MS);
    ck_assert_uint_eq(story->guests[0].kills, 0);
    ck_assert_uint_eq(story->guests[1].kills, 1);
    story_free(story);
}
END_TEST

/* The best loss per byte is that of one after whom it takes both of the others all the same. */
START_TEST(two_go_where_one_by_one_it_would_be_three)
{
    static const struct victim victims[VICTIMS] = {{1, 6}, {3, 24}, {3, 24}};
    struct story *story = story_of_victims(victims);
    story->guests[VICTIMS].goal += 3 * GIB; /* both are needed */
    const struct action *kill = first_kill(story);
    ck_assert_uint_eq(kill->slot, 1); /* of equals the lower slot */
    ck_assert_uint_eq(kill->choice.guests, 2);
    ck_assert_uint_eq(kill->choice.rival.slot, 2);
    story_free(story);
}
END_TEST

START_TEST(the_dearer_one_is_the_runner_up)
{
    static const struct victim victims[VICTIMS] = {{6, 80}, {6, 70}};
    struct story *story = story_of_victims(victims);
    const struct action *kill = first_kill(story);
    ck_assert_uint_eq(kill->slot, 1);
    ck_assert_uint_eq(kill->choice.guests, 1);
    ck_assert_uint_eq(kill->choice.rival.slot, 0);
    ck_assert_int_eq((int)kill->choice.rival.reason, RIVAL_DEARER);
    /* 10 × 60 min × 2, in thousandths. */
    ck_assert_uint_eq(kill->choice.rival.figure, UINT64_C(10) * 60 * 2 * 1000);
    story_run(story, 60 * SEC, 10 * MS);
    check_killed(story, 1 << 1);
    story_free(story);
}
END_TEST

START_TEST(the_larger_of_equals_is_the_runner_up)
{
    static const struct victim victims[VICTIMS] = {{8, 70}, {6, 70}};
    struct story *story = story_of_victims(victims);
    const struct action *kill = first_kill(story);
    ck_assert_uint_eq(kill->slot, 1); /* no more than it takes */
    ck_assert_int_eq((int)kill->choice.rival.reason, RIVAL_EQUAL);
    ck_assert_uint_gt(kill->choice.rival.figure, kill->relief);
    story_free(story);
}
END_TEST

/* Whoever stood in a plan is spared when what is left will do. */
START_TEST(the_second_is_spared_when_growth_ends)
{
    static const struct victim victims[VICTIMS] = {{8, 200}, {3, 10}, {2, 10}};
    struct story *story = story_of_victims(victims);
    ck_assert_uint_eq(first_kill(story)->choice.guests, 2);
    story->guests[VICTIMS].growth = 0;
    story_run(story, 60 * SEC, 10 * MS);
    check_killed(story, 1 << 1);
    story_free(story);
}
END_TEST

/* peer_9: a kill storm on stale readings. Both are needed and die slowly, and nobody dies before
 * the first has shown what it brings, nor anybody else. */
START_TEST(peer_9_a_set_of_two_is_no_storm)
{
    static const struct victim victims[VICTIMS] = {{8, 200}, {3, 10}, {2, 10}, {3, 50}};
    struct story *story = story_of_victims(victims);
    story->guests[VICTIMS].goal += 3 * GIB;
    story->kill_latency = 900 * MS;
    ck_assert_uint_eq(first_kill(story)->slot, 1);
    story_run(story, 800 * MS, 10 * MS);
    check_killed(story, 1 << 1);
    story_run(story, 60 * SEC, 10 * MS);
    check_killed(story, 1 << 1 | 1 << 2);
    story_free(story);
}
END_TEST

/* What one brings would be gone before the next could die: so many go at once that it lasts, and
 * no more. A GiB takes 0.21 s to return, the next 0.12 s to begin with. */
START_TEST(who_cannot_wait_for_one_another_go_together)
{
    static const struct victim victims[VICTIMS] = {{1, 10}, {1, 10}, {1, 10}, {1, 10}};
    static const struct {
        uint64_t growth;
        unsigned together;
    } cases[] = {{3 * GIB, 1}, {6 * GIB, 2}};
    struct story *story = story_of_victims(victims);
    story->rules->host.max_destructive = 4;
    story->guests[VICTIMS].growth = (int64_t)cases[_i].growth;
    const struct action *kill = first_kill(story);
    ck_assert_uint_eq(story_count(story, ACTION_KILL), cases[_i].together);
    ck_assert_int_eq(
        (int)kill->choice.rival.reason, cases[_i].together > 1 ? RIVAL_TOGETHER : RIVAL_NEXT);
    story_free(story);
}
END_TEST

/* Below the floor already, there is time for one after the other as long as there is memory at all:
 * by what a GiB brings the fill lasts for seconds. */
START_TEST(below_the_floor_one_goes_where_one_lasts)
{
    static const struct victim victims[VICTIMS] = {{1, 10}, {1, 10}, {1, 10}, {1, 10}};
    struct story *story = story_of_victims(victims);
    story->rules->host.max_destructive = 4;
    story_run(story, 2 * SEC, 10 * MS);
    story->other += 3 * GIB;
    (void)first_kill(story);
    ck_assert_int_lt(story->plan->assessment.pools[0].headroom, 0);
    ck_assert_uint_eq(story_count(story, ACTION_KILL), 1);
    story_free(story);
}
END_TEST

/* Nobody else dies while one of those who went together lives, or their memory is on its way. */
START_TEST(those_who_went_together_are_awaited_together)
{
    static const struct victim victims[VICTIMS] = {{1, 10}, {1, 10}, {1, 10}, {1, 10}};
    struct story *story = story_of_victims(victims);
    story->rules->host.max_destructive = 4;
    story->guests[VICTIMS].growth = 6 * (int64_t)GIB;
    story->kill_latency = 400 * MS;
    (void)first_kill(story);
    unsigned together = story_count(story, ACTION_KILL);
    ck_assert_uint_eq(together, 2);
    story->guests[VICTIMS].growth = 0;
    for (unsigned k = 0; k < 30; k++) {
        story_run(story, 10 * MS, 10 * MS);
        ck_assert_uint_eq(story_count(story, ACTION_KILL), 0);
    }
    story_free(story);
}
END_TEST

/* Both would do for now; but after the one who fills, nothing does, and his end is enough. */
START_TEST(of_equals_the_one_who_fills_goes)
{
    struct story *story = story_new(64 * GIB, 2 * GIB);
    unsigned idle = story_guest(story, 9 * GIB, 8 * GIB);
    unsigned grower = story_guest(story, 62 * GIB, 40 * GIB);
    story_rules(story, idle)->rungs = story_rules(story, grower)->rungs = RUNG_BIT(RUNG_KILL);
    story->guests[grower].growth = 500 * (int64_t)MIB;
    story->guests[grower].goal = 61 * GIB;
    ck_assert_uint_eq(first_kill(story)->slot, grower);
    story_run(story, 60 * SEC, 10 * MS);
    ck_assert_uint_eq(story->guests[idle].kills, 0);
    story_free(story);
}
END_TEST

/* Where the breaker lets only one go, it is one. */
START_TEST(the_breaker_counts_those_who_go_together)
{
    static const struct victim victims[VICTIMS] = {{1, 10}, {1, 10}, {1, 10}, {1, 10}};
    struct story *story = story_of_victims(victims);
    story->rules->host.max_destructive = 1;
    story->guests[VICTIMS].growth = 6 * (int64_t)GIB;
    (void)first_kill(story);
    ck_assert_uint_eq(story_count(story, ACTION_KILL), 1);
    story_free(story);
}
END_TEST

/* Two would lose less, and the breaker would stop after the first of them. */
START_TEST(no_set_is_broken_off_by_the_breaker)
{
    static const struct victim victims[VICTIMS] = {{8, 200}, {3, 10}, {2, 10}};
    struct story *story = story_of_victims(victims);
    story->rules->host.max_destructive = 1;
    const struct action *kill = first_kill(story);
    ck_assert_uint_eq(kill->slot, 0);
    ck_assert_uint_eq(kill->choice.guests, 1);
    ck_assert_uint_lt(kill->choice.least, kill->choice.loss);
    ck_assert_int_eq((int)kill->choice.rival.reason, RIVAL_BREAKER);
    ck_assert_uint_eq(kill->choice.rival.figure, 2);
    story_run(story, 60 * SEC, 10 * MS);
    check_killed(story, 1 << 0);
    ck_assert_uint_eq(story->alerts[REASON_BREAKER], 0);
    story_free(story);
}
END_TEST

/* Nobody covers alone, and nobody may go who is last, as long as the others together do. */
START_TEST(last_ones_join_no_set_that_can_do_without)
{
    static const struct victim victims[VICTIMS] = {{8, 1}, {3, 100}, {3, 100}};
    struct story *story = story_of_victims(victims);
    story_rules(story, 0)->sacrifice = SACRIFICE_LAST;
    const struct action *kill = first_kill(story);
    ck_assert_uint_eq(kill->slot, 1); /* of equals the lower slot */
    ck_assert_uint_eq(kill->choice.guests, 2);
    story_run(story, 60 * SEC, 10 * MS);
    ck_assert_uint_eq(story->guests[0].kills, 0);
    story_free(story);
}
END_TEST

/* At 8 GiB a second more fills while one of the small ones dies than he leaves. */
START_TEST(in_a_sprint_small_ones_are_no_help)
{
    static const struct victim victims[VICTIMS] = {{10, 200}, {1, 1}, {1, 1}, {1, 1}};
    struct story *story = story_of_victims(victims);
    struct story_guest *grower = &story->guests[VICTIMS];
    grower->wants = grower->touched = 28 * GIB;
    grower->growth = 8 * (int64_t)GIB;
    const struct action *kill = first_kill(story);
    ck_assert_uint_eq(kill->slot, 0);
    ck_assert_uint_eq(kill->choice.guests, 0); /* nor are all of them enough */
    ck_assert_int_eq((int)kill->choice.rival.reason, RIVAL_NEXT);
    story_free(story);
}
END_TEST

/* Nothing is lost by the end of one that comes in, whatever it frees. */
START_TEST(who_comes_in_goes_first)
{
    static const struct victim victims[VICTIMS] = {{8, 200}, {1, 1}, {1, 1}, {1, 1}};
    struct story *story = story_of_victims(victims);
    struct story_guest *grower = &story->guests[VICTIMS];
    grower->wants = grower->touched = 28 * GIB;
    grower->growth = 8 * (int64_t)GIB;
    story_vm(story, 2)->migration = VM_MIGRATION_INCOMING;
    story_vm(story, 2)->run_state = VM_RUN_MIGRATING;
    ck_assert_uint_eq(first_kill(story)->slot, 2);
    story_free(story);
}
END_TEST

/* Nor does its end count for the breaker. */
START_TEST(who_comes_in_takes_nobodys_place)
{
    static const struct victim victims[VICTIMS] = {{8, 200}, {3, 10}, {2, 10}};
    struct story *story = story_of_victims(victims);
    story->rules->host.max_destructive = 1;
    story_vm(story, 2)->migration = VM_MIGRATION_INCOMING;
    story_vm(story, 2)->run_state = VM_RUN_MIGRATING;
    const struct action *kill = first_kill(story);
    ck_assert_uint_eq(kill->slot, 2);
    ck_assert_uint_eq(kill->choice.guests, 2);
    ck_assert_uint_eq(kill->choice.rival.slot, 1);
    story_free(story);
}
END_TEST

/* Both are needed, and then perhaps not. */
START_TEST(who_is_last_goes_last)
{
    static const struct victim victims[VICTIMS] = {{3, 1}, {3, 100}};
    struct story *story = story_of_victims(victims);
    story_rules(story, 0)->sacrifice = SACRIFICE_LAST;
    const struct action *kill = first_kill(story);
    ck_assert_uint_eq(kill->slot, 1);
    ck_assert_uint_eq(kill->choice.guests, 2);
    story_run(story, 60 * SEC, 10 * MS);
    check_killed(story, 1 << 1);
    story_free(story);
}
END_TEST

#define SLOW_ONES 8

/* Eight that die slowly would be enough, but while each of them does, as much fills again; and one
 * that is as large as they. */
static struct story *story_of_slow_ones(unsigned priority)
{
    struct story *story = story_new(256 * GIB, 2 * GIB);
    story->rules->host.max_destructive = 20;
    for (unsigned i = 0; i < SLOW_ONES; i++) {
        story_guest(story, 9 * GIB, 8 * GIB);
        story_vm(story, i)->wiring.shared = TRISTATE_YES;
        story_rules(story, i)->priority = 1;
    }
    story_guest(story, 81 * GIB, 80 * GIB);
    story_rules(story, SLOW_ONES)->priority = priority;
    for (unsigned i = 0; i <= SLOW_ONES; i++)
        story_rules(story, i)->rungs = RUNG_BIT(RUNG_KILL);
    unsigned grower = story_guest(story, 250 * GIB, 72 * GIB);
    story_rules(story, grower)->rungs = 0;
    story->guests[grower].growth = 43 * (int64_t)GIB / 10;
    return story;
}

START_TEST(slow_ones_are_no_set)
{
    struct story *story = story_of_slow_ones(200);
    const struct action *kill = first_kill(story);
    ck_assert_uint_eq(kill->slot, SLOW_ONES);
    ck_assert_uint_eq(kill->choice.guests, 1);
    ck_assert_uint_lt(kill->choice.rival.slot, SLOW_ONES);
    ck_assert_int_eq((int)kill->choice.rival.reason, RIVAL_SLOW);
    story_free(story);
}
END_TEST

START_TEST(slow_ones_go_before_the_last)
{
    struct story *story = story_of_slow_ones(1);
    story_rules(story, SLOW_ONES)->sacrifice = SACRIFICE_LAST;
    ck_assert_uint_lt(first_kill(story)->slot, SLOW_ONES);
    story_free(story);
}
END_TEST

START_TEST(who_is_last_is_the_runner_up)
{
    static const struct victim victims[VICTIMS] = {{8, 1}, {6, 100}};
    struct story *story = story_of_victims(victims);
    story_rules(story, 0)->sacrifice = SACRIFICE_LAST;
    const struct action *kill = first_kill(story);
    ck_assert_uint_eq(kill->slot, 1);
    ck_assert_uint_eq(kill->choice.rival.slot, 0);
    ck_assert_int_eq((int)kill->choice.rival.reason, RIVAL_LAST);
    story_free(story);
}
END_TEST

START_TEST(who_is_protected_is_the_runner_up_of_the_only_one)
{
    static const struct victim victims[VICTIMS] = {{8, 1}, {6, 100}};
    struct story *story = story_of_victims(victims);
    story_rules(story, 0)->sacrifice = SACRIFICE_NEVER;
    const struct action *kill = first_kill(story);
    ck_assert_uint_eq(kill->slot, 1);
    ck_assert_int_eq((int)kill->choice.rival.reason, RIVAL_PROTECTED);
    ck_assert_uint_eq(kill->choice.rival.slot, 0);
    story_free(story);
}
END_TEST

START_TEST(who_gives_too_little_is_the_runner_up)
{
    static const struct victim victims[VICTIMS] = {{1, 1}, {6, 100}};
    struct story *story = story_of_victims(victims);
    const struct action *kill = first_kill(story);
    ck_assert_uint_eq(kill->slot, 1);
    ck_assert_uint_eq(kill->choice.rival.slot, 0);
    ck_assert_int_eq((int)kill->choice.rival.reason, RIVAL_SHORT);
    ck_assert_uint_gt(kill->choice.rival.figure, 3 * GIB);
    ck_assert_uint_lt(kill->choice.rival.figure, 4 * GIB);
    story_free(story);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("victims");
    tcase_add_test(tests, two_small_ones_go_before_a_dear_one);
    tcase_add_test(tests, two_go_where_one_by_one_it_would_be_three);
    tcase_add_test(tests, the_dearer_one_is_the_runner_up);
    tcase_add_test(tests, the_larger_of_equals_is_the_runner_up);
    tcase_add_test(tests, the_second_is_spared_when_growth_ends);
    tcase_add_test(tests, peer_9_a_set_of_two_is_no_storm);
    tcase_add_loop_test(tests, who_cannot_wait_for_one_another_go_together, 0, 2);
    tcase_add_test(tests, below_the_floor_one_goes_where_one_lasts);
    tcase_add_test(tests, those_who_went_together_are_awaited_together);
    tcase_add_test(tests, of_equals_the_one_who_fills_goes);
    tcase_add_test(tests, the_breaker_counts_those_who_go_together);
    tcase_add_test(tests, no_set_is_broken_off_by_the_breaker);
    tcase_add_test(tests, last_ones_join_no_set_that_can_do_without);
    tcase_add_test(tests, in_a_sprint_small_ones_are_no_help);
    tcase_add_test(tests, who_comes_in_goes_first);
    tcase_add_test(tests, who_comes_in_takes_nobodys_place);
    tcase_add_test(tests, who_is_last_goes_last);
    tcase_add_test(tests, slow_ones_are_no_set);
    tcase_add_test(tests, slow_ones_go_before_the_last);
    tcase_add_test(tests, who_is_last_is_the_runner_up);
    tcase_add_test(tests, who_is_protected_is_the_runner_up_of_the_only_one);
    tcase_add_test(tests, who_gives_too_little_is_the_runner_up);
    tcase_set_timeout(tests, 60); /* under valgrind */
    Suite *suite = suite_create("victims");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
