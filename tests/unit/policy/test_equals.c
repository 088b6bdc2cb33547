/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guests worth the same, of which not all can grow to their end: some are stopped for the others,
 * and only those who have to be.
 */
#include <check.h>

#include <plimsoll/cleanup.h>

#include "story.h"
#include "suite.h"

#define MS NSEC_PER_MSEC
#define SEC NSEC_PER_SEC

static unsigned stops(const struct story *story, unsigned guest)
{
    return story->guests[guest].pauses + story->guests[guest].freezes;
}

static unsigned all_stops(const struct story *story)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < STORY_GUESTS; i++)
        sum += stops(story, i);
    return sum;
}

static unsigned grower(struct story *story, uint64_t maximum, uint64_t touched, int64_t growth)
{
    unsigned number = story_guest(story, maximum, touched);
    story->guests[number].growth = growth;
    return number;
}

/* Room for three of six, no balloons. That not all will fit shows only on the way: each has its
 * part by then, and one comes to its end, not none. */
START_TEST(one_comes_to_its_end)
{
    static const int rates[] = {14, 40, 120};
    struct story *story = story_new(3900 * MIB, 200 * MIB);
    unsigned finished = 0;
    story_take_time(story, 500 * MS);
    for (unsigned i = 0; i < 6; i++) {
        grower(story, GIB, 100 * MIB, rates[_i] * (int64_t)MIB);
        story->guests[i].overhead = 50 * MIB;
        story->guests[i].goal = 1000 * MIB;
        story->guests[i].grows_after = story->snapshot->time + 2 * SEC;
    }
    story_no_balloons(story);
    story_live(story, 240 * SEC);
    for (unsigned i = 0; i < 6; i++)
        finished += story->guests[i].finished != 0;
    ck_assert_uint_ge(finished, 1);
    ck_assert_int_ge(story->headroom_least, 0);
    story_free(story);
}
END_TEST

START_TEST(who_is_sacrificed_last_is_left_room)
{
    struct story *story = story_new(16 * GIB, 2 * GIB);
    story_take_time(story, 100 * MS);
    for (unsigned i = 0; i < 3; i++)
        grower(story, 6 * GIB, 2 * GIB, (i == 0 ? 30 : 60) * (int64_t)MIB);
    story->guests[0].goal = 5 * GIB;
    story_rules(story, 0)->sacrifice = SACRIFICE_LAST;
    story_no_balloons(story);
    story_live(story, 240 * SEC);
    ck_assert_uint_eq(stops(story, 0), 0);
    ck_assert_uint_ne(story->guests[0].finished, 0);
    story_free(story);
}
END_TEST

/* Garbage is collected: what is taken comes back, whoever takes it at the moment. */
START_TEST(up_and_down_is_no_growth)
{
    struct story *story = story_new(64 * GIB, 22 * GIB + 300 * MIB);
    story_take_time(story, 100 * MS);
    for (unsigned i = 0; i < 12; i++)
        story_guest(story, 4 * GIB, 3 * GIB);
    story_no_balloons(story);
    for (unsigned k = 0; k < 1800; k++) {
        for (unsigned i = 0; i < 12; i++) {
            struct story_guest *guest = &story->guests[i];
            bool up = (k + i * 50 / 12) % 50 < 40;
            guest->touched = up ? guest->touched + 4 * MIB : guest->touched - 16 * MIB;
            guest->wants = guest->touched;
        }
        story_live(story, 100 * MS);
    }
    ck_assert_int_eq((int)story->plan->assessment.band, BAND_SCARCE);
    ck_assert_uint_eq(all_stops(story), 0);
    story_free(story);
}
END_TEST

/* That they have long grown by little makes nothing more of a burst. */
START_TEST(a_burst_of_long_slow_growers)
{
    struct story *story = story_new(256 * GIB, 190 * GIB);
    story_take_time(story, 100 * MS);
    for (unsigned i = 0; i < STORY_GUESTS; i++)
        grower(story, 16 * GIB, 100 * MIB, 2 * (int64_t)MIB);
    story_no_balloons(story);
    story_live(story, 60 * SEC);
    for (unsigned i = 0; i < STORY_GUESTS; i++)
        story->guests[i].growth = 2 * (int64_t)GIB / STORY_GUESTS;
    story_live(story, 6 * SEC);
    for (unsigned i = 0; i < STORY_GUESTS; i++)
        story->guests[i].growth = 2 * (int64_t)MIB;
    story_live(story, 60 * SEC);
    ck_assert_uint_eq(all_stops(story), 0);
    story_free(story);
}
END_TEST

/* Half a minute from the end at that rate, if it lasted: all that guests show while they boot. */
START_TEST(guests_that_boot_together_are_left_alone)
{
    struct story *story = story_new(256 * GIB, 190 * GIB);
    bool scarce = false;
    for (unsigned i = 0; i < STORY_GUESTS; i++) {
        grower(story, 16 * GIB, 100 * MIB, 2 * (int64_t)GIB / STORY_GUESTS);
        story->guests[i].goal = 100 * MIB + 24 * GIB / STORY_GUESTS;
        story->guests[i].grows_after = story->snapshot->time + 2 * SEC;
    }
    story_no_balloons(story);
    for (unsigned i = 0; i < 300; i++) {
        story_live(story, 100 * MS);
        scarce = scarce || story->plan->assessment.band >= BAND_SCARCE;
    }
    ck_assert(scarce);
    ck_assert_uint_eq(all_stops(story), 0);
    story_free(story);
}
END_TEST

/* Who begins to grow is not stopped for those who do so slowly and for long. */
START_TEST(a_newcomer_among_slow_growers)
{
    struct story *story = story_new(256 * GIB, 195 * GIB);
    story_take_time(story, 100 * MS);
    for (unsigned i = 0; i < 14; i++)
        grower(story, 8 * GIB, 3 * GIB, 4 * (int64_t)MIB);
    unsigned newcomer = story_guest(story, 4 * GIB, 100 * MIB);
    story->guests[newcomer].goal = 1500 * MIB;
    story_no_balloons(story);
    story_live(story, 60 * SEC);
    story->guests[newcomer].growth = 300 * (int64_t)MIB;
    story_live(story, 20 * SEC);
    ck_assert_int_eq((int)story->plan->assessment.band, BAND_SCARCE);
    ck_assert_uint_ne(story->guests[newcomer].finished, 0);
    ck_assert_uint_eq(all_stops(story), 0);
    story_free(story);
}
END_TEST

/* On a node who waits is not resumed into the room that the one is growing into for whom it waits.
 */
START_TEST(on_a_node_nobody_is_resumed_to_be_paused_again)
{
    struct story *story = story_new(64 * GIB, 0);
    story_take_time(story, 100 * MS);
    story_nodes(story, 2);
    for (unsigned i = 0; i < 4; i++) {
        story_guest_at(story, 16 * GIB, 7 * GIB, 0, 1);
        story->guests[i].growth = i < 3 ? (int64_t)(20 + 5 * i) * (int64_t)MIB : 0;
        story->guests[i].goal = 9 * GIB;
    }
    story_no_balloons(story);
    story_live(story, 300 * SEC);
    ck_assert_uint_ge(all_stops(story), 1);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_uint_le(stops(story, i), 1);
    ck_assert_uint_eq(story->node_overrun, 0);
    story_free(story);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("equals");
    tcase_add_loop_test(tests, one_comes_to_its_end, 0, 3);
    tcase_add_test(tests, who_is_sacrificed_last_is_left_room);
    tcase_add_test(tests, up_and_down_is_no_growth);
    tcase_add_test(tests, a_burst_of_long_slow_growers);
    tcase_add_test(tests, guests_that_boot_together_are_left_alone);
    tcase_add_test(tests, a_newcomer_among_slow_growers);
    tcase_add_test(tests, on_a_node_nobody_is_resumed_to_be_paused_again);
    tcase_set_timeout(tests, 60);
    Suite *suite = suite_create("equals");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
