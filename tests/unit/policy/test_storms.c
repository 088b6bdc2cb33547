/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Storms: more memory is wanted at once than there is, with acts that take their time and guests
 * seen as seldom as the guard sees them. Somebody has to wait; nobody has to die, and the one who
 * matters gets through. Each storm prints how it went.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include <plimsoll/cleanup.h>

#include "story.h"

#define MS NSEC_PER_MSEC
#define SEC NSEC_PER_SEC
#define COUNT 6
#define VALUABLE 0u

static const uint64_t latencies[] = {50 * MS, 500 * MS, SEC, 2 * SEC};
static const int rates[] = {14, 40, 85, 120};
static const int slow_rates[] = {2, 3, 4, 6, 9};
#define STORMS ((int)(ELEMENTSOF(latencies) * ELEMENTSOF(rates)))

static unsigned count_paused(struct story *story)
{
    unsigned paused = 0;
    for (unsigned i = 0; i < STORY_GUESTS; i++)
        paused += story_is_paused(story, i);
    return paused;
}

static unsigned count_finished(const struct story *story)
{
    unsigned finished = 0;
    for (unsigned i = 0; i < STORY_GUESTS; i++)
        finished += story->guests[i].finished != 0;
    return finished;
}

static unsigned count_kills(const struct story *story)
{
    unsigned kills = 0;
    for (unsigned i = 0; i < STORY_GUESTS; i++)
        kills += story->guests[i].kills;
    return kills;
}

static double seconds(uint64_t time)
{
    return (double)time / (double)SEC;
}

static void tell(struct story *story, const char *name, uint64_t begin)
{
    const struct story_guest *guest = &story->guests[VALUABLE];
    printf("%s: kills %u, least headroom %lld MiB, paused %u, finished %u; the valuable one: %s "
           "%.1f s, has %llu "
           "MiB, paused %.1f s (%.1f at a stretch), starved %.1f s\n",
        name, count_kills(story), (long long)(story->headroom_least / (int64_t)MIB),
        count_paused(story), count_finished(story),
        guest->finished ? "finished after" : "not finished",
        seconds(guest->finished ? guest->finished - begin : story->snapshot->time - begin),
        (unsigned long long)(guest->touched / MIB), seconds(guest->paused),
        seconds(guest->paused_longest), seconds(guest->starved));
    fflush(stdout);
}

/* A host of 3900 MiB, 2800 of them available, on which six guests want 900 MiB each. */
static struct story *story_of_storm(int rate, uint64_t stop_latency)
{
    struct story *story = story_new(3900 * MIB, (3900 - 2800 - COUNT * 150) * MIB);
    story_take_time(story, stop_latency);
    for (unsigned i = 0; i < COUNT; i++) {
        unsigned number = story_guest(story, GIB, 100 * MIB);
        struct story_guest *guest = &story->guests[number];
        guest->overhead = 50 * MIB;
        guest->honest = true;
        guest->goal = 1000 * MIB;
        guest->growth = rate * (int64_t)MIB;
        guest->grows_after = story->snapshot->time + 2 * SEC;
        story_rules(story, number)->priority = number == VALUABLE ? 900 : 10;
    }
    return story;
}

START_TEST(the_standard_storm)
{
    int rate = rates[(size_t)_i / ELEMENTSOF(latencies)];
    uint64_t latency = latencies[(size_t)_i % ELEMENTSOF(latencies)];
    struct story *story = story_of_storm(rate, latency);
    uint64_t begin = story->snapshot->time + 2 * SEC;
    char name[64];
    snprintf(name, sizeof(name), "storm 6x%d MiB/s, stop %.2f s", rate, seconds(latency));
    story_live(story, 120 * SEC);
    tell(story, name, begin);
    ck_assert_uint_eq(count_kills(story), 0);
    ck_assert_int_ge(story->headroom_least, 0);
    const struct story_guest *valuable = &story->guests[VALUABLE];
    ck_assert_uint_ne(valuable->finished, 0);
    /* Half as long again as it would take by itself. */
    ck_assert_uint_le(valuable->finished - begin, 900 * SEC / (uint64_t)rate * 3 / 2 + 5 * SEC);
    ck_assert_uint_le(valuable->paused_longest, 10 * SEC);
    for (unsigned i = 0; i < COUNT; i++)
        ck_assert_uint_ge(story->guests[i].touched, 100 * MIB);
    /* Not all of the others are stopped half-way: some go on, if there is time to choose. */
    if (latency < SEC)
        ck_assert_uint_le(count_paused(story), COUNT / 2);

    /* Who is done gives back: the others go on. */
    unsigned waiting = count_paused(story), resumes = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        resumes += story->guests[i].resumes;
        if (story->guests[i].finished)
            story->guests[i].touched = story->guests[i].wants = story->guests[i].goal = 100 * MIB;
    }
    story_live(story, 60 * SEC);
    for (unsigned i = 0; i < COUNT; i++)
        resumes -= story->guests[i].resumes;
    if (waiting > 0)
        ck_assert_uint_ne(resumes, 0);
    ck_assert_uint_eq(count_kills(story), 0);
    ck_assert_int_ge(story->headroom_least, 0);
    story_free(story);
}
END_TEST

/* Processors are short, too: in the crowd the valuable one grows slowly, and takes over what of the
 * fill was that of the lesser who stand still. What it is left must not be reckoned by how fast it
 * was. */
START_TEST(a_valuable_guest_held_up_by_the_crowd)
{
    struct story *story = story_of_storm(16, latencies[_i]);
    struct story_guest *valuable = &story->guests[VALUABLE];
    uint64_t begin = story->snapshot->time + 2 * SEC;
    for (unsigned i = 0; i < 600; i++) {
        valuable->growth = 33 * (int64_t)MIB / (COUNT - count_paused(story));
        story_live(story, 200 * MS);
    }
    char name[64];
    snprintf(name, sizeof(name), "storm in a crowd, stop %.2f s", seconds(latencies[_i]));
    tell(story, name, begin);
    ck_assert_uint_eq(count_kills(story), 0);
    ck_assert_int_ge(story->headroom_least, 0);
    ck_assert_uint_ne(valuable->finished, 0);
    story_free(story);
}
END_TEST

/* Where all grow slowly scarce is near the end, and the room that is kept by then is what the
 * valuable one gets through with. */
START_TEST(a_slow_storm)
{
    int rate = slow_rates[_i];
    struct story *story = story_of_storm(rate, 500 * MS);
    uint64_t begin = story->snapshot->time + 2 * SEC;
    char name[64];
    snprintf(name, sizeof(name), "slow storm 6x%d MiB/s", rate);
    for (unsigned i = 0; i < 900 / (unsigned)rate + 60; i++)
        story_live(story, SEC);
    tell(story, name, begin);
    ck_assert_uint_eq(count_kills(story), 0);
    ck_assert_int_ge(story->headroom_least, 0);
    ck_assert_uint_ne(story->guests[VALUABLE].finished, 0);
    story_free(story);
}
END_TEST

/* It stands still for a moment, and the room it leaves is not yet anybody's: who was just paused
 * for it is not resumed into it, to be paused again. */
START_TEST(a_valuable_guest_draws_breath)
{
    struct story *story = story_of_storm(16, latencies[_i]);
    unsigned first = COUNT;
    while (first == COUNT) {
        story_live(story, 10 * MS);
        ck_assert_uint_lt(story->snapshot->time, 1000 * SEC + 60 * SEC);
        for (unsigned i = 0; i < COUNT; i++)
            first = story->guests[i].pauses > 0 ? i : first;
    }
    ck_assert_int_lt(story->plan->assessment.band, BAND_CRITICAL);
    story->guests[VALUABLE].growth = 0;
    story_live(story, 3 * SEC);
    ck_assert_uint_eq(story->guests[first].resumes, 0);
    story_free(story);
}
END_TEST

/* Nor is one resumed into its room that has waited for long: in the lab a valuable guest stood for
 * 13 s, three others were, and it did not get through. Who has ended keeps nobody waiting. */
START_TEST(a_valuable_guest_stands_for_a_moment)
{
    struct story *story = story_new(16 * GIB, 6656 * MIB);
    unsigned gold = story_guest(story, 9 * GIB, 4 * GIB),
             bronze = story_guest(story, 4 * GIB, 2 * GIB);
    story_rules(story, gold)->priority = 900;
    story_rules(story, bronze)->priority = 10;
    story_no_balloons(story);
    story_pause(story, bronze);
    story->guests[gold].goal = 6 * GIB;
    story->guests[gold].growth = 50 * (int64_t)MIB;
    story_live(story, 30 * SEC);
    ck_assert_uint_eq(story->guests[bronze].resumes, 0);
    story->guests[gold].growth = 0;
    story_live(story, 8 * SEC);
    ck_assert_uint_eq(story->guests[bronze].resumes, 0);
    story_live(story, 30 * SEC);
    ck_assert_uint_eq(story->guests[bronze].resumes, 1);
    story_free(story);
}
END_TEST

/* A valuable guest that grows by little is no reason to stop a lesser one beside gigabytes: what is
 * reserved is not the whole fill, least of all the part of it that is the lesser one's own. */
START_TEST(a_slow_valuable_guest_beside_a_fast_one)
{
    struct story *story = story_new(64 * GIB, 20 * GIB);
    story_take_time(story, latencies[_i]);
    unsigned gold = story_guest(story, 32 * GIB, GIB), bronze = story_guest(story, 60 * GIB, GIB);
    story_rules(story, gold)->priority = 900;
    story_rules(story, bronze)->priority = 10;
    story->guests[gold].goal = 32 * GIB;
    story->guests[gold].growth = 2 * (int64_t)MIB;
    story->guests[bronze].goal = 37 * GIB;
    story->guests[bronze].growth = 300 * (int64_t)MIB;
    story->guests[gold].grows_after = story->guests[bronze].grows_after = story->snapshot->time;
    story_live(story, 300 * SEC);
    ck_assert_uint_eq(story->guests[bronze].pauses, 0);
    ck_assert_uint_eq(count_kills(story), 0);
    ck_assert_int_ge(story->headroom_least, 0);
    story_free(story);
}
END_TEST

/* A balloon that its guest outgrows gives nothing: whoever waited for it would let the room meant
 * for the valuable one go to the lesser. As in the lab's storm, once two of the others were paused.
 */
START_TEST(a_guest_that_outgrows_its_balloon)
{
    struct story *story = story_new(3900 * MIB, (3900 - 880 - 540 - 660) * MIB);
    uint64_t begin = story->snapshot->time;
    story_take_time(story, latencies[_i]);
    unsigned gold = story_guest(story, GIB, 500 * MIB), bronze = story_guest(story, GIB, 600 * MIB);
    story_rules(story, gold)->priority = 900;
    story_rules(story, bronze)->priority = 10;
    for (unsigned i = 0; i < 2; i++) {
        story->guests[i].overhead = 50 * MIB;
        story->guests[i].goal = 950 * MIB;
        story->guests[i].grows_after = begin;
        story->guests[i].balloon_speed = 5 * MIB;
        story->guests[i].honest = true;
    }
    story->guests[gold].growth = 10 * (int64_t)MIB;
    story->guests[bronze].growth = 10 * (int64_t)MIB;
    story_live(story, 120 * SEC);
    char name[64];
    snprintf(name, sizeof(name), "a slow balloon, stop %.2f s", seconds(latencies[_i]));
    tell(story, name, begin);
    ck_assert_uint_eq(count_kills(story), 0);
    ck_assert_int_ge(story->headroom_least, 0);
    ck_assert_uint_ne(story->guests[gold].finished, 0);
    story_free(story);
}
END_TEST

/* A guard that was shot in the storm and began anew sees a host at rest: it has measured nothing
 * yet. */
START_TEST(a_new_guard_resumes_nobody_before_it_knows)
{
    struct story *story = story_new(16 * GIB, 4 * GIB);
    unsigned guest = story_guest(story, 2 * GIB, GIB);
    story_pause(story, guest);
    story_live(story, 5 * SEC);
    ck_assert_uint_eq(story->guests[guest].resumes, 0);
    story_live(story, 30 * SEC);
    ck_assert_uint_eq(story->guests[guest].resumes, 1);
    story_free(story);
}
END_TEST

START_TEST(a_budget_storm)
{
    uint64_t latency = latencies[_i];
    struct story *story = story_new(24 * GIB, 4 * GIB);
    uint64_t begin = story->snapshot->time + 2 * SEC;
    story_take_time(story, latency);
    story->rules->host.budget = (struct amount){AMOUNT_BYTES, 700 * MIB};
    for (unsigned i = 0; i < 3; i++) {
        unsigned number = story_guest(story, 384 * MIB, 70 * MIB);
        struct story_guest *guest = &story->guests[number];
        guest->overhead = 20 * MIB;
        guest->honest = true;
        guest->goal = 350 * MIB;
        guest->growth = 40 * (int64_t)MIB;
        guest->grows_after = begin + i * SEC;
        story_rules(story, number)->priority = number == VALUABLE ? 900 : 10;
    }
    char name[64];
    snprintf(name, sizeof(name), "budget storm, stop %.2f s", seconds(latency));
    story_live(story, 120 * SEC);
    tell(story, name, begin);
    ck_assert_uint_eq(count_kills(story), 0);
    ck_assert_int_ge(story->headroom_least, 0);
    /* The others grow on through a `stop` of a second, and there is that much less. */
    if (latency < SEC)
        ck_assert_uint_ne(story->guests[VALUABLE].finished, 0);
    ck_assert_uint_ge(story->guests[VALUABLE].touched, 290 * MIB);
    story_free(story);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("storms");
    tcase_add_loop_test(tests, the_standard_storm, 0, STORMS);
    tcase_add_loop_test(
        tests, a_valuable_guest_held_up_by_the_crowd, 0, (int)ELEMENTSOF(latencies));
    tcase_add_loop_test(tests, a_slow_storm, 0, (int)ELEMENTSOF(slow_rates));
    tcase_add_loop_test(tests, a_valuable_guest_draws_breath, 0, (int)ELEMENTSOF(latencies));
    tcase_add_test(tests, a_valuable_guest_stands_for_a_moment);
    tcase_add_loop_test(
        tests, a_slow_valuable_guest_beside_a_fast_one, 0, (int)ELEMENTSOF(latencies));
    tcase_add_loop_test(tests, a_guest_that_outgrows_its_balloon, 0, (int)ELEMENTSOF(latencies));
    tcase_add_test(tests, a_new_guard_resumes_nobody_before_it_knows);
    tcase_add_loop_test(tests, a_budget_storm, 0, (int)ELEMENTSOF(latencies));
    tcase_set_timeout(tests, 60); /* under valgrind */
    Suite *suite = suite_create("storms");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
