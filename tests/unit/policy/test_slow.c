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

/* By host: how many of 8 guests that are bound to its first node grow, and how fast; and how a
 * guest beside them shrinks, which is on the other node. */
static const struct {
    uint64_t total, left; /* above the node's floor */
    unsigned growers;
    int64_t growth, shrinks; /* bytes per second */
} node_fills[] = {
    {4 * GIB, 80 * MIB, 8, (int64_t)MIB / 5, 0},
    {4 * GIB, 80 * MIB, 8, (int64_t)MIB / 2, 0},
    {4 * GIB, 80 * MIB, 2, (int64_t)MIB / 2, 0},
    {4 * GIB, 80 * MIB, 1, 3 * (int64_t)MIB / 4, 0},
    {4 * GIB, 80 * MIB, 8, (int64_t)MIB / 2, 8 * (int64_t)MIB},
    {64 * GIB, 512 * MIB, 8, 3 * (int64_t)MIB / 4, 0},
};

/* A node is a pool like any other to those who are bound to it. */
START_TEST(who_grows_slowly_does_not_fill_a_node)
{
    const uint64_t total = node_fills[_i].total, floor = total / 20, size = total / 48;
    struct story *story = story_new(total, total / 8);
    story->rules->host.floor = (struct amount){AMOUNT_BYTES, floor};
    story_nodes(story, 2);
    story->node_other[0] = total / 2 - floor / 2 - node_fills[_i].left - 8 * size;
    story->node_other[1] = total / 16;
    story->other = story->node_other[0] + story->node_other[1];
    story_take_time(story, 500 * NSEC_PER_MSEC);
    for (unsigned i = 0; i < 8; i++) {
        story_guest_at(story, 4 * size, size, 0, 1);
        story->guests[i].overhead = 0;
        story->guests[i].growth = i < node_fills[_i].growers ? node_fills[_i].growth : 0;
    }
    story_guest_at(story, total / 4, total / 5, 1, 0);
    story->guests[8].growth = -node_fills[_i].shrinks;
    story_no_balloons(story);
    story_run(story, 200 * SEC, 50 * NSEC_PER_MSEC);
    ck_assert_uint_ge(story->node_least[0], floor / 2);
    ck_assert_uint_eq(story->node_overrun, 0);
    for (unsigned i = 0; i <= 8; i++) {
        ck_assert_uint_eq(story->guests[i].kills, 0);
        if (i >= node_fills[_i].growers)
            ck_assert_uint_eq(story->guests[i].pauses + story->guests[i].freezes, 0);
    }
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
    TCase *nodes = tcase_create("nodes");
    tcase_set_timeout(nodes, 60);
    tcase_add_loop_test(nodes, who_grows_slowly_does_not_fill_a_node, 0,
        (int)(sizeof(node_fills) / sizeof(node_fills[0])));
    suite_add_tcase(suite, nodes);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
