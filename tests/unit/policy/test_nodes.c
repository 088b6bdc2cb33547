/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stories of NUMA nodes: of a host that is half free while one of its nodes runs out. Whoever is
 * bound there must be stopped before the kernel kills, and nobody else may notice.
 */
#include <check.h>

#include "story.h"
#include "suite.h"

#define MS NSEC_PER_MSEC
#define SEC NSEC_PER_SEC
#define NODE_0 1u
#define NODE_1 2u

static const struct pool_view *node_pool(const struct story *story, uint32_t node)
{
    return &story->plan->assessment.pools[2 + node];
}

static unsigned acts(const struct story *story, unsigned guest)
{
    const struct story_guest *it = &story->guests[guest];
    return it->balloons + it->pauses + it->freezes + it->kills;
}

/* The story of the lab: two nodes of 2 GiB, growers bound to the first. */
static struct story *story_of_growers(unsigned growers, int64_t growth, bool balloons)
{
    struct story *story = story_new(4 * GIB, 800 * MIB);
    story_take_time(story, 500 * MS);
    story_nodes(story, 2);
    for (unsigned i = 0; i < growers; i++) {
        unsigned grower = story_guest_at(story, GIB, 100 * MIB, 0, NODE_0);
        story->guests[grower].growth = growth;
        story->guests[grower].goal = 900 * MIB;
        story->guests[grower].honest = true;
    }
    unsigned bystander = story_guest_at(story, GIB, 300 * MIB, 1, 0);
    story->guests[bystander].honest = true;
    story->guests[bystander].overhead = story->guests[0].overhead;
    if (!balloons)
        story_no_balloons(story);
    return story;
}

static const struct {
    int64_t growth;
    bool balloons;
} storms[] = {{30 * (int64_t)MIB, false}, {30 * (int64_t)MIB, true}, {100 * (int64_t)MIB, false},
    {100 * (int64_t)MIB, true}, {2 * (int64_t)MIB, false}};

START_TEST(bound_growers_are_stopped_and_the_bystander_is_not)
{
    struct story *story = story_of_growers(3, storms[_i].growth, storms[_i].balloons);
    unsigned stops = 0, kills = 0;
    story_live(story, storms[_i].growth > 10 * (int64_t)MIB ? 120 * SEC : 600 * SEC);
    for (unsigned i = 0; i < 3; i++) {
        stops += story->guests[i].pauses + story->guests[i].freezes;
        kills += story->guests[i].kills;
    }
    ck_assert_uint_ge(stops, 1);
    ck_assert_uint_eq(kills, 0);
    ck_assert_uint_eq(story->node_overrun, 0);
    ck_assert_uint_gt(story->node_least[0], 0);
    ck_assert_uint_eq(acts(story, 3), 0);
    ck_assert_int_lt(story->plan->assessment.pools[0].band, BAND_CRITICAL);
    story_free(story);
}
END_TEST

START_TEST(an_act_for_a_node_names_it)
{
    struct story *story = story_of_growers(3, 30 * (int64_t)MIB, false);
    ck_assert(story_until(story, ACTION_PAUSE, 0, 120 * SEC, 20 * MS));
    const struct action *action = story_find(story, ACTION_PAUSE, 0);
    ck_assert_ptr_nonnull(action);
    ck_assert_int_eq(action->pool, POOL_NODE);
    ck_assert_uint_eq(action->node, 0);
    ck_assert_uint_gt(action->deficit, 0);
    ck_assert_int_ge(node_pool(story, 0)->band, BAND_SCARCE);
    ck_assert_int_eq(node_pool(story, 1)->band, BAND_CALM);
    story_free(story);
}
END_TEST

/* The more valuable guest gets through. */
START_TEST(the_least_valuable_waits)
{
    struct story *story = story_of_growers(3, 60 * (int64_t)MIB, false);
    story_rules(story, 2)->priority = 900;
    story_vm(story, 2)->maximum = story_vm(story, 2)->balloon.actual = 700 * MIB;
    story->guests[2].goal = 600 * MIB;
    story_live(story, 60 * SEC);
    ck_assert_uint_eq(story->guests[2].pauses + story->guests[2].freezes, 0);
    ck_assert_uint_gt(story->guests[2].finished, 0);
    ck_assert_uint_eq(story->node_overrun, 0);
    story_free(story);
}
END_TEST

/* When one of those that filled the node has gone, who waits for that node is resumed. */
START_TEST(a_paused_guest_is_resumed_when_its_node_has_room)
{
    struct story *story = story_of_growers(3, 60 * (int64_t)MIB, false);
    story_live(story, 60 * SEC);
    unsigned waiting = 3;
    for (unsigned i = 0; i < 3; i++)
        if (story_is_paused(story, i))
            waiting = i;
    ck_assert_uint_lt(waiting, 3);
    unsigned before = story->guests[waiting].resumes;
    ck_assert_int_gt(story->plan->assessment.pools[0].headroom, (int64_t)GIB);
    story_vm(story, (waiting + 1) % 3)->measures.in_force |= VM_MEASURE_KILLED;
    story_live(story, 60 * SEC);
    ck_assert_uint_gt(story->guests[waiting].resumes, before);
    ck_assert_uint_eq(story->node_overrun, 0);
    story_free(story);
}
END_TEST

/* Its own node is critical for others; a guest that waits elsewhere does not wait for that. */
START_TEST(a_node_holds_up_nobody_elsewhere)
{
    struct story *story = story_of_growers(3, 60 * (int64_t)MIB, false);
    story_pause(story, 3);
    story_rules(story, 3)->priority = 10;
    story_live(story, 30 * SEC);
    ck_assert_uint_eq(story->guests[3].resumes, 1);
    story_live(story, 60 * SEC);
    ck_assert_uint_eq(story->node_overrun, 0);
    story_free(story);
}
END_TEST

/* Memory that may lie anywhere fills the first node, and goes on in the second. */
START_TEST(a_node_full_of_what_may_spill_over_harms_nobody)
{
    struct story *story = story_new(64 * GIB, 4 * GIB);
    story_nodes(story, 2);
    for (unsigned i = 0; i < 3; i++) {
        unsigned guest = story_guest_at(story, 16 * GIB, 8 * GIB, 0, i == 0 ? NODE_0 : 0);
        story->guests[guest].growth = i == 0 ? 0 : 300 * (int64_t)MIB;
        story->guests[guest].goal = 15 * GIB;
    }
    story_no_balloons(story);
    story->node_other[0] = 6 * GIB;
    story_live(story, 60 * SEC);
    ck_assert_uint_eq(story->node_least[0], 0);
    ck_assert_int_lt(story->plan->assessment.band, BAND_CRITICAL);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_uint_eq(acts(story, i), 0);
    ck_assert_uint_gt(story->guests[1].finished, 0);
    story_free(story);
}
END_TEST

/* The same with a bound guest that begins to grow when nothing is left to it: it alone is stopped,
 * at once. */
START_TEST(who_is_bound_to_a_full_node_is_stopped_when_it_grows)
{
    struct story *story = story_new(64 * GIB, 4 * GIB);
    story_nodes(story, 2);
    unsigned bound = story_guest_at(story, 16 * GIB, 8 * GIB, 0, NODE_0);
    unsigned other = story_guest_at(story, 30 * GIB, 23 * GIB, 0, 0);
    story->guests[other].growth = 20 * (int64_t)MIB;
    story_no_balloons(story);
    story->node_other[0] = 300 * MIB;
    story_live(story, 20 * SEC);
    ck_assert_uint_eq(acts(story, bound), 0);
    story->guests[bound].growth = 50 * (int64_t)MIB;
    story_live(story, 30 * SEC);
    ck_assert_uint_ge(story->guests[bound].pauses + story->guests[bound].freezes, 1);
    ck_assert_uint_eq(story->guests[bound].kills, 0);
    ck_assert_uint_eq(acts(story, other), 0);
    ck_assert_uint_eq(story->node_overrun, 0);
    story_free(story);
}
END_TEST

/* A node of 32 GiB that others fill but for LEFT bytes above its minimum, with a bound guest that
 * grows, and half of the host free. */
static struct story *story_of_a_full_node(uint64_t left, int64_t growth, unsigned *ret_bound)
{
    struct story *story = story_new(64 * GIB, 24 * GIB);
    story_take_time(story, 500 * MS);
    story_nodes(story, 2);
    *ret_bound = story_guest_at(story, 16 * GIB, 8 * GIB, 0, NODE_0);
    story_no_balloons(story);
    story->node_other[0] = 24 * GIB - left;
    story->node_other[1] = 0;
    story_live(story, 10 * SEC);
    ck_assert_uint_eq(acts(story, *ret_bound), 0);
    ck_assert_uint_ge(story->plan->next_wake, 50 * MS);
    story->guests[*ret_bound].growth = growth;
    return story;
}

/* Below the high watermark nothing is available, so nothing can be seen to fill: but the guest is.
 */
START_TEST(growth_counts_where_nothing_is_available)
{
    unsigned bound;
    struct story *story = story_of_a_full_node(60 * MIB, 50 * (int64_t)MIB, &bound);
    ck_assert_uint_eq(story->node_least[0], 0);
    story_live(story, 2 * SEC);
    ck_assert(story_is_paused(story, bound));
    /* Other nodes' memory is no room for it, neither to cross a bridge nor to run. */
    story_live(story, 120 * SEC);
    ck_assert(story_is_paused(story, bound));
    ck_assert_uint_eq(story->guests[bound].thaws + story->guests[bound].resumes, 0);
    ck_assert_uint_eq(story->guests[bound].kills, 0);
    ck_assert_uint_eq(story->node_overrun, 0);
    story->node_other[0] -= 10 * GIB;
    story_live(story, 30 * SEC);
    ck_assert_uint_ge(story->guests[bound].resumes, 1);
    story_free(story);
}
END_TEST

/* What others took of the floor is no sprint: while there is time a `stop` will do. */
START_TEST(below_a_nodes_floor_there_is_time_for_a_stop)
{
    unsigned bound;
    struct story *story = story_of_a_full_node(350 * MIB, 10 * (int64_t)MIB, &bound);
    ck_assert_int_lt(node_pool(story, 0)->headroom, 0);
    story_live(story, 10 * SEC);
    ck_assert_uint_eq(story->guests[bound].pauses, 1);
    ck_assert_uint_eq(story->guests[bound].freezes, 0);
    story_free(story);
}
END_TEST

START_TEST(free_swap_is_room_on_any_node)
{
    unsigned bound;
    struct story *story = story_of_a_full_node(8 * GIB, 10 * (int64_t)MIB, &bound);
    story->snapshot->host.swap_total = story->snapshot->host.swap_free = 64 * GIB;
    story->snapshot->host.swap_rate = GIB;
    story->node_other[0] = 24 * GIB - 350 * MIB;
    story_live(story, 20 * SEC);
    ck_assert_uint_eq(acts(story, bound), 0);
    story_free(story);
}
END_TEST

START_TEST(near_its_end_a_node_is_looked_at_often)
{
    unsigned bound;
    struct story *story = story_of_a_full_node(2 * GIB, 100 * (int64_t)MIB, &bound);
    story_live(story, 5 * SEC);
    ck_assert_int_lt(story->plan->assessment.pools[0].band, BAND_TIGHT);
    ck_assert_uint_le(story->plan->next_wake, 120 * MS);
    story_free(story);
}
END_TEST

/* Those who are bound give down to their minimum for a grower among them; who could be elsewhere is
 * not pressed for it, though it lies there, too. */
START_TEST(only_the_bound_are_pressed_for_a_node)
{
    struct story *story = story_new(64 * GIB, 4 * GIB);
    story_take_time(story, 500 * MS);
    story_nodes(story, 2);
    unsigned grower = story_guest_at(story, 12 * GIB, 8 * GIB, 0, NODE_0);
    unsigned bound = story_guest_at(story, 10 * GIB, 10 * GIB, 0, NODE_0);
    unsigned free_to_go = story_guest_at(story, 10 * GIB, 10 * GIB, 0, 0);
    story->guests[grower].growth = 40 * (int64_t)MIB;
    story_live(story, 60 * SEC);
    ck_assert_uint_gt(story->guests[bound].balloons, 0);
    ck_assert_uint_eq(acts(story, free_to_go), 0);
    ck_assert_uint_eq(story->node_overrun, 0);
    story_free(story);
}
END_TEST

/* Bound to both nodes of four: the first is full, what comes goes to the second; only when that
 * ends as well is anybody stopped. */
START_TEST(a_set_of_nodes_ends_with_its_last)
{
    struct story *story = story_new(64 * GIB, 4 * GIB);
    story_take_time(story, 500 * MS);
    story_nodes(story, 4);
    unsigned grower = story_guest_at(story, 40 * GIB, 14 * GIB, 0, NODE_0 | NODE_1);
    unsigned other = story_guest_at(story, 16 * GIB, GIB, 2, 0);
    story->guests[grower].growth = 200 * (int64_t)MIB;
    story_no_balloons(story);
    story_live(story, 40 * SEC);
    ck_assert_uint_gt(story->guests[grower].on_node[1], 5 * GIB);
    ck_assert_uint_eq(acts(story, grower), 0);
    story_live(story, 60 * SEC);
    ck_assert_uint_ge(story->guests[grower].pauses + story->guests[grower].freezes, 1);
    ck_assert_uint_eq(story->guests[grower].kills, 0);
    ck_assert_uint_eq(story->node_overrun, 0);
    ck_assert_uint_eq(acts(story, other), 0);
    story_free(story);
}
END_TEST

/* Two nodes, each with growers of its own: the shortage of the one is not met on the other. */
START_TEST(each_node_has_its_own)
{
    struct story *story = story_new(16 * GIB, GIB);
    story_take_time(story, 500 * MS);
    story_nodes(story, 2);
    for (uint32_t node = 0; node < 2; node++)
        for (unsigned i = 0; i < 2; i++) {
            unsigned guest = story_guest_at(story, 6 * GIB, GIB, node, node == 0 ? NODE_0 : NODE_1);
            story->guests[guest].goal = node == 0 ? 5 * GIB : 2 * GIB;
            story->guests[guest].growth = 80 * (int64_t)MIB;
            story_rules(story, guest)->priority = node == 0 ? 500 : 10;
        }
    story_no_balloons(story);
    story_live(story, 120 * SEC);
    ck_assert_uint_ge(story->guests[0].pauses + story->guests[1].pauses, 1);
    ck_assert_uint_eq(acts(story, 2) + acts(story, 3), 0);
    ck_assert_uint_eq(story->node_overrun, 0);
    story_free(story);
}
END_TEST

/* Of a guest that lies half on each node only half of what it returns helps. */
START_TEST(half_of_a_guest_relieves_by_half)
{
    struct story *story = story_new(64 * GIB, 2 * GIB);
    story_nodes(story, 2);
    unsigned half = story_guest_at(story, 16 * GIB, 16 * GIB, 0, 0);
    story_guest_at(story, 22 * GIB, 22 * GIB, 0, NODE_0);
    story->guests[half].free = 12 * GIB;
    story->guests[half].on_node[0] = story->guests[half].on_node[1] = 8 * GIB;
    story->guests[1].balloon_speed = 0;
    story_decide(story);
    const struct action *action = story_find(story, ACTION_BALLOON, half);
    ck_assert_ptr_nonnull(action);
    ck_assert_int_eq(action->pool, POOL_NODE);
    uint64_t returned = 16 * GIB - action->target;
    ck_assert_uint_gt(returned, 0);
    ck_assert_uint_eq(action->relief, returned / 2);
    story_free(story);
}
END_TEST

/* What nobody measured lies where its guest is bound to, and otherwise nowhere. */
START_TEST(unknown_memory_is_where_its_guest_is_bound)
{
    struct story *story = story_new(64 * GIB, 2 * GIB);
    struct host_snapshot *host = &story->snapshot->host;
    host->node_count = 2;
    for (uint32_t i = 0; i < 2; i++)
        host->nodes[i] = (struct node_snapshot){
            .id = i, .total = 32 * GIB, .available = i == 0 ? GIB : 30 * GIB};
    static const uint32_t allowed[] = {NODE_0, NODE_1, NODE_0 | NODE_1, 0};
    for (unsigned i = 0; i < 4; i++) {
        story_guest(story, 8 * GIB, 7 * GIB);
        story->guests[i].free = 5 * GIB;
        story_vm(story, i)->nodes_allowed = allowed[i];
    }
    story_decide(story);
    ck_assert_ptr_nonnull(story_find(story, ACTION_BALLOON, 0));
    for (unsigned i = 1; i < 4; i++)
        ck_assert_ptr_null(story_find(story, ACTION_BALLOON, i));
    story_free(story);
}
END_TEST

/* Neither can be paused, and one grows to the end of the node: the kernel would kill by size, the
 * guard kills the lesser loss, of those that are there. */
START_TEST(who_cannot_be_paused_makes_the_node_kill)
{
    struct story *story = story_of_growers(2, 40 * (int64_t)MIB, false);
    unsigned idle = story_guest_at(story, GIB, 700 * MIB, 0, NODE_0);
    for (unsigned i = 0; i < 4; i++)
        story_rules(story, i)->rungs = RUNG_BIT(RUNG_KILL);
    story_rules(story, 0)->sacrifice = story_rules(story, 1)->sacrifice = SACRIFICE_NEVER;
    story_rules(story, 2)->priority = 1; /* elsewhere */
    story_rules(story, idle)->priority = 50;
    story_live(story, 60 * SEC);
    ck_assert_uint_eq(story->guests[idle].kills, 1);
    ck_assert_uint_eq(story->guests[0].kills + story->guests[1].kills + story->guests[2].kills, 0);
    story_free(story);
}
END_TEST

/* As long as nobody bound to it grows, a full node is nobody's death. */
START_TEST(a_full_node_alone_kills_nobody)
{
    struct story *story = story_new(64 * GIB, 4 * GIB);
    story_nodes(story, 2);
    unsigned bound = story_guest_at(story, 16 * GIB, 8 * GIB, 0, NODE_0);
    story_rules(story, bound)->rungs = RUNG_BIT(RUNG_KILL);
    story_guest_at(story, 20 * GIB, 16 * GIB, 0, 0);
    story_rules(story, 1)->rungs = RUNG_BIT(RUNG_KILL);
    story->guests[1].growth = 300 * (int64_t)MIB;
    story->node_other[0] = 20 * GIB;
    story_live(story, 30 * SEC);
    ck_assert_uint_eq(story->node_least[0], 0);
    ck_assert_uint_eq(acts(story, 0) + acts(story, 1), 0);
    story_free(story);
}
END_TEST

/* A dry run tells what it would do for the node and does not march through all of its guests. */
START_TEST(a_dry_run_pauses_for_a_node_as_if_it_had)
{
    struct story *story = story_of_growers(3, 30 * (int64_t)MIB, false);
    story->rules->host.mode = MODE_DRY_RUN;
    ck_assert(story_until(story, ACTION_PAUSE, 0, 120 * SEC, 20 * MS));
    ck_assert_int_eq(story_find(story, ACTION_PAUSE, 0)->mode, MODE_DRY_RUN);
    story_decide(story);
    ck_assert_uint_eq(story_count(story, ACTION_PAUSE), 0);
    ck_assert_uint_eq(story->guests[0].pauses, 0);
    story_free(story);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("nodes");
    tcase_add_loop_test(tests, bound_growers_are_stopped_and_the_bystander_is_not, 0,
        (int)(sizeof(storms) / sizeof(storms[0])));
    tcase_add_test(tests, an_act_for_a_node_names_it);
    tcase_add_test(tests, the_least_valuable_waits);
    tcase_add_test(tests, a_paused_guest_is_resumed_when_its_node_has_room);
    tcase_add_test(tests, a_node_holds_up_nobody_elsewhere);
    tcase_add_test(tests, a_node_full_of_what_may_spill_over_harms_nobody);
    tcase_add_test(tests, who_is_bound_to_a_full_node_is_stopped_when_it_grows);
    tcase_add_test(tests, growth_counts_where_nothing_is_available);
    tcase_add_test(tests, below_a_nodes_floor_there_is_time_for_a_stop);
    tcase_add_test(tests, free_swap_is_room_on_any_node);
    tcase_add_test(tests, near_its_end_a_node_is_looked_at_often);
    tcase_add_test(tests, only_the_bound_are_pressed_for_a_node);
    tcase_add_test(tests, a_set_of_nodes_ends_with_its_last);
    tcase_add_test(tests, each_node_has_its_own);
    tcase_add_test(tests, half_of_a_guest_relieves_by_half);
    tcase_add_test(tests, unknown_memory_is_where_its_guest_is_bound);
    tcase_add_test(tests, who_cannot_be_paused_makes_the_node_kill);
    tcase_add_test(tests, a_full_node_alone_kills_nobody);
    tcase_add_test(tests, a_dry_run_pauses_for_a_node_as_if_it_had);
    tcase_set_timeout(tests, 60); /* under valgrind */
    Suite *suite = suite_create("nodes");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
