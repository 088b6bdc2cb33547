/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Thresholds and looks by the fastest fill there can be, as the guard has measured it. */
#include <check.h>

#include <plimsoll/cleanup.h>

#include "story.h"
#include "suite.h"

#define SEC NSEC_PER_SEC

/* The headroom of a small host goes in milliseconds: there critical begins by what the fastest fill
 * takes before it can be stopped, and the next look comes the sooner the faster that is. */
START_TEST(a_small_host_is_on_the_edge_sooner)
{
    struct story *story = story_new(2 * GIB, 0);
    story_run(story, SEC, SEC);
    uint64_t floor = story->plan->assessment.pools[0].floor;
    story_free(story);

    static const struct {
        uint64_t rate, headroom;
        enum band band;
    } cases[] = {
        {UNKNOWN, 90 * MIB, BAND_SCARCE}, {UNKNOWN, 75 * MIB, BAND_CRITICAL},
        {GIB, 75 * MIB, BAND_CRITICAL}, /* measured on a busy host */
        {12 * GIB, 90 * MIB, BAND_CRITICAL},
        {200 * GIB, 130 * MIB, BAND_SCARCE}, /* scarce comes before it, whatever is measured */
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        story = story_new(2 * GIB, 2 * GIB - floor - cases[i].headroom);
        story->snapshot->host.fill_rate_most = cases[i].rate;
        story_run(story, 5 * SEC, SEC);
        ck_assert_int_eq(story->plan->assessment.band, cases[i].band);
        story_free(story);
    }
}
END_TEST

/* From 2 GiB to 6 TiB: what is kept free grows with the host, and is less and less of it. */
START_TEST(thresholds_fit_any_size)
{
    static const struct {
        uint64_t total, tight, critical;
    } cases[] = {
        {2 * GIB, 297 * MIB, 81 * MIB},
        {16 * GIB, 2380 * MIB, 476 * MIB},
        {64 * GIB, 9640 * MIB, 1928 * MIB},
        {GIB << 10, 76 * GIB, 15 * GIB},
        {6 * GIB << 10, 330 * GIB, 66 * GIB},
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        struct story *story = story_new(cases[i].total, 0);
        story_run(story, SEC, SEC);
        uint64_t floor = story->plan->assessment.pools[0].floor;
        story_free(story);
        const struct {
            uint64_t headroom;
            enum band band;
        } sides[] = {
            {cases[i].tight / 20 * 21, BAND_CALM},
            {cases[i].tight / 20 * 19, BAND_TIGHT},
            {cases[i].critical / 20 * 19, BAND_CRITICAL},
        };
        for (size_t k = 0; k < ELEMENTSOF(sides); k++) {
            story = story_new(cases[i].total, cases[i].total - floor - sides[k].headroom);
            story_run(story, 2 * SEC, SEC);
            ck_assert_int_eq(story->plan->assessment.band, sides[k].band);
            story_free(story);
        }
    }
}
END_TEST

START_TEST(the_next_look_comes_by_the_fastest_fill)
{
    uint64_t wakes[2];
    for (unsigned i = 0; i < 2; i++) {
        struct story *story = story_new(16 * GIB, 8 * GIB);
        story->snapshot->host.fill_rate_most = (uint64_t)(i + 1) * 20 * GIB;
        story_run(story, 5 * SEC, SEC);
        wakes[i] = story->plan->next_wake;
        story_free(story);
    }
    ck_assert_uint_lt(wakes[0], SEC);
    ck_assert_uint_lt(wakes[1], wakes[0] / 2 + NSEC_PER_MSEC);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("race");
    tcase_add_test(tests, thresholds_fit_any_size);
    tcase_add_test(tests, a_small_host_is_on_the_edge_sooner);
    tcase_add_test(tests, the_next_look_comes_by_the_fastest_fill);
    Suite *suite = suite_create("race");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
