/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stories of the room on NUMA nodes: who may run on a full one, who waits for it, who looks at it.
 */
#include <check.h>

#include "story.h"
#include "suite.h"

#define MS NSEC_PER_MSEC
#define SEC NSEC_PER_SEC
#define NODE_0 1u
#define NODE_1 2u

/* Beside a full node that will stay so: with all that it can ever take it does not touch the floor.
 */
START_TEST(who_is_near_its_end_runs_on_a_full_node)
{
    struct story *story = story_new(64 * GIB, 24 * GIB);
    story_nodes(story, 2);
    unsigned guest = story_guest_at(story, 640 * MIB, 600 * MIB, 0, NODE_0);
    story_pause(story, guest);
    story_no_balloons(story);
    /* Some 200 MiB above the floor, and in critical's hysteresis. */
    story->node_other[0] = 31140 * MIB;
    story_live(story, 30 * SEC);
    ck_assert_uint_eq(story->guests[guest].resumes, 1);
    ck_assert_uint_eq(story->node_overrun, 0);
    story_free(story);
}
END_TEST

/* Its other node has gigabytes, so that its full one is no emergency and not looked at as one. */
START_TEST(a_full_node_beside_a_free_one_is_no_hurry)
{
    struct story *story = story_new(64 * GIB, 8 * GIB);
    story_nodes(story, 4);
    /* 174 MiB above the floor of its node. */
    story->node_other[0] = 15 * GIB + 533 * MIB;
    story->other = story->node_other[0] + 6 * GIB;
    unsigned guest = story_guest_at(story, 12 * GIB, GIB, 1, NODE_0 | NODE_1);
    story->guests[guest].honest = true;
    story->guests[guest].goal = 10 * GIB;
    story->guests[guest].growth = 5 * (int64_t)MIB;
    story_run(story, 20 * SEC, 100 * MS);
    ck_assert_uint_ge(story->plan->next_wake, 50 * MS);
    story_free(story);
}
END_TEST

/* Guests that are bound to nothing fill it most, and are nobody's leak: who is killed for a grower
 * that cannot be stopped, is killed for that. */
START_TEST(what_other_guests_hold_on_a_node_is_no_leak)
{
    struct story *story = story_new(64 * GIB, 4 * GIB);
    story_nodes(story, 2);
    unsigned unbound = story_guest_at(story, 29 * GIB, 28 * GIB, 0, 0);
    unsigned grower = story_guest_at(story, 2 * GIB, 512 * MIB, 0, NODE_0);
    unsigned idle = story_guest_at(story, 512 * MIB, 256 * MIB, 0, NODE_0);
    story_no_balloons(story);
    story_rules(story, unbound)->rungs = 0;
    story_rules(story, grower)->rungs = story_rules(story, idle)->rungs = RUNG_BIT(RUNG_KILL);
    story_rules(story, grower)->sacrifice = SACRIFICE_NEVER;
    story->guests[grower].growth = 100 * (int64_t)MIB;
    story->guests[grower].goal = 2 * GIB;
    story_live(story, 60 * SEC);
    ck_assert_uint_eq(story->alerts[REASON_LEAK_OUTSIDE], 0);
    ck_assert_uint_eq(story->guests[idle].kills, 1);
    ck_assert_uint_eq(story->guests[unbound].kills + story->guests[grower].kills, 0);
    story_free(story);
}
END_TEST

/* A valuable guest waits for its node; a lesser one does not take what is left there meanwhile. */
START_TEST(who_waits_for_a_node_keeps_its_place)
{
    struct story *story = story_new(64 * GIB, 24 * GIB);
    story_nodes(story, 2);
    story->node_other[1] = 0;
    for (unsigned i = 0; i < 2; i++) {
        unsigned guest = story_guest_at(story, 2 * GIB, 512 * MIB, 0, NODE_0);
        story_pause(story, guest);
    }
    story_rules(story, 0)->priority = 900;
    story_vm(story, 1)->maximum = 640 * MIB;
    story_no_balloons(story);
    /* Some 300 MiB above where critical is left: the lesser would take 128, the other 640. */
    story->node_other[0] = 29760 * MIB;
    story_live(story, 4 * SEC);
    ck_assert_uint_eq(story->guests[0].resumes + story->guests[1].resumes, 0);
    story->node_other[0] -= 8 * GIB;
    story_live(story, 30 * SEC);
    ck_assert_uint_eq(story->guests[0].resumes, 1);
    ck_assert_uint_eq(story->guests[1].resumes, 1);
    story_free(story);
}
END_TEST

/* Three guests of 1 GiB grow on a node that has 1.3 GiB: the lesser are stopped while there is room
 * for what the valuable one takes. One on the other node, of whose QEMU a little lies on this one,
 * has none of its guest's memory to give here. */
START_TEST(the_valuable_guest_of_a_node_gets_through)
{
    struct story *story = story_new(4 * GIB, 1400 * MIB);
    story_nodes(story, 2);
    for (unsigned i = 0; i < 4; i++) {
        bool south = i == 3;
        unsigned guest = story_guest_at(story, GIB, 64 * MIB, south, south ? NODE_1 : NODE_0);
        story->guests[guest].growth = 20 * (int64_t)MIB;
        story->guests[guest].goal = (i == 0 ? 564 : i == 3 ? 664 : 864) * MIB;
        story_rules(story, guest)->priority = i == 0 ? 900 : 10;
    }
    story_live(story, SEC);
    story->guests[3].on_node[0] += 8 * MIB;
    story->guests[3].on_node[1] -= 8 * MIB;
    for (unsigned i = 0; i < 120 * SEC / (10 * MS); i++) {
        story_run(story, 10 * MS, 10 * MS);
        const struct action *asked = story_find(story, ACTION_BALLOON, 3);
        ck_assert(!asked || story->plan->assessment.pools[asked->pool].kind != POOL_NODE);
    }
    ck_assert_uint_ne(story->guests[0].finished, 0);
    ck_assert_uint_eq(story->guests[0].pauses + story->guests[0].freezes, 0);
    ck_assert_uint_ne(story->guests[3].finished, 0);
    ck_assert_uint_eq(story->guests[3].pauses, 0);
    ck_assert_uint_eq(story->node_overrun, 0);
    story_free(story);
}
END_TEST

/* Its node 0 is full, the other has room; GUEST does not use all that it has. */
static void fill_node(struct story *story, unsigned guest, bool bound_too)
{
    if (bound_too)
        story_guest_at(story, GIB, 512 * MIB, 0, NODE_0);
    story->guests[guest].free = 10 * GIB;
    story->node_other[0] = 15 * GIB + 500 * MIB;
    story->node_other[1] = 2 * GIB;
    story->other = story->node_other[0] + story->node_other[1];
}

/* A node that is full of what may be anywhere, beside one with room for it. While the whole host
 * was short the guest gave what it did not use; it gets that back, and is not asked for more. */
START_TEST(a_node_to_which_nobody_is_bound_is_nobodys_shortage)
{
    struct story *story = story_new(64 * GIB, 4 * GIB);
    story_nodes(story, 2);
    unsigned guest = story_guest_at(story, 16 * GIB, 16 * GIB, 0, 0);
    fill_node(story, guest, _i == 1);
    story_run(story, 20 * SEC, 100 * MS);
    ck_assert_int_ge((int)story->plan->assessment.pools[2].band, BAND_TIGHT);
    ck_assert_int_eq(story->guests[guest].balloons > 0, _i == 1);
    if (_i == 0) {
        story->node_other[1] += 28 * GIB;
        story->other += 28 * GIB;
        story_run(story, 20 * SEC, 100 * MS);
        ck_assert_uint_gt(story->guests[guest].balloons, 0);
        story->node_other[0] += 8 * GIB; /* it stays full */
        story->node_other[1] -= 29 * GIB;
        story->other -= 21 * GIB;
        story_run(story, 60 * SEC, 100 * MS);
        ck_assert_int_ge((int)story->plan->assessment.pools[2].band, BAND_TIGHT);
        ck_assert_uint_gt(story->guests[guest].grants, 0);
    }
    story_free(story);
}
END_TEST

/* Nor is virtio-mem taken for it. By index: nobody is bound there, somebody is. */
START_TEST(no_virtio_mem_is_taken_for_a_node_to_which_nobody_is_bound)
{
    struct story *story = story_new(64 * GIB, 4 * GIB);
    story_nodes(story, 2);
    unsigned guest = story_guest_at(story, 4 * GIB, 4 * GIB, 0, 0);
    story_resizable(story, guest, 12 * GIB);
    fill_node(story, guest, _i == 1);
    story_run(story, 20 * SEC, 100 * MS);
    ck_assert_int_eq(story->guests[guest].resizes > 0, _i == 1);
    ck_assert_int_eq((int)story->plan->assessment.pools[2].band > BAND_CALM, _i == 0);
    story_free(story);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("node room");
    tcase_add_test(tests, who_is_near_its_end_runs_on_a_full_node);
    tcase_add_test(tests, a_full_node_beside_a_free_one_is_no_hurry);
    tcase_add_test(tests, what_other_guests_hold_on_a_node_is_no_leak);
    tcase_add_test(tests, who_waits_for_a_node_keeps_its_place);
    tcase_add_test(tests, the_valuable_guest_of_a_node_gets_through);
    tcase_add_loop_test(tests, a_node_to_which_nobody_is_bound_is_nobodys_shortage, 0, 2);
    tcase_add_loop_test(tests, no_virtio_mem_is_taken_for_a_node_to_which_nobody_is_bound, 0, 2);
    tcase_set_timeout(tests, 60); /* under valgrind */
    Suite *suite = suite_create("node room");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
