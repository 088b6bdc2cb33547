/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stories of hosts that fill so slowly that no look shows much: they fill all the same. */
#include <check.h>
#include <stdlib.h>

#include "story.h"

#define SEC NSEC_PER_SEC

static const struct {
    uint64_t total, left; /* above the floor */
    int64_t growth;       /* of each of 16 guests, bytes per second */
} fills[] = {
    {4 * GIB, 160 * MIB, (int64_t)MIB / 5},
    {4 * GIB, 160 * MIB, (int64_t)MIB / 2},
    {4 * GIB, 400 * MIB, (int64_t)MIB},
    {64 * GIB, 2 * GIB, (int64_t)MIB},
    {512 * GIB, 8 * GIB, 8 * (int64_t)MIB},
    {4096 * GIB, 40 * GIB, 64 * (int64_t)MIB},
};

/* Nobody grows fast, nobody has a balloon, and together they would pass the floor. */
START_TEST(many_that_grow_slowly_do_not_pass_the_floor)
{
    const uint64_t total = fills[_i].total, floor = total / 20, size = total / 24;
    struct story *story = story_new(total, total - floor - fills[_i].left - 16 * size);
    story->rules->host.floor = (struct amount){AMOUNT_BYTES, floor};
    story_take_time(story, 500 * NSEC_PER_MSEC);
    for (unsigned i = 0; i < 16; i++) {
        story_guest(story, 4 * size, size);
        story->guests[i].overhead = 0;
        story->guests[i].growth = fills[_i].growth;
        story_rules(story, i)->minimum = (struct amount){AMOUNT_SHARE, AMOUNT_SHARE_WHOLE};
    }
    story_no_balloons(story);
    story_live(story, 600 * SEC);
    ck_assert_int_ge(story->headroom_least, 0);
    for (unsigned i = 0; i < 16; i++)
        ck_assert_uint_eq(story->guests[i].kills, 0);
    story_free(story);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("slow");
    TCase *tests = tcase_create("slow");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, many_that_grow_slowly_do_not_pass_the_floor, 0,
        (int)(sizeof(fills) / sizeof(fills[0])));
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
