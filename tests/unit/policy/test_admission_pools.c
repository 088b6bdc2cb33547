/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who may start on huge pages, on NUMA nodes, with a device that pins all; and what holds always.
 */
#include <check.h>
#include <string.h>

#include "admission_scene.h"
#include "suite.h"
#include "world.h"

/* ---- huge pages, pins, nodes ---- */

START_TEST(huge_pages_come_from_their_pool)
{
    struct story *story = host_new();
    guests(story, 1);
    story->snapshot->host.hugepages_total = 8 * GIB;
    story->snapshot->host.hugepages_free = 5 * GIB;
    struct admission_request request = plain;
    request.hugepages = true;
    struct admission_answer answer = ask(story, &request);
    ck_assert_int_eq(answer.verdict, ADMISSION_ALLOW);
    ck_assert_uint_eq(answer.needed, 192 * MIB);
    ck_assert_uint_eq(answer.reservation.hugepages, 4 * GIB);
    /* One that runs has touched half of its pages, and has a right to the rest. */
    story_vm(story, 0)->hugetlb = 2 * GIB;
    answer = ask(story, &request);
    refused(&answer, ADMISSION_LACK_HUGEPAGES);
    ck_assert_uint_eq(answer.left, 3 * GIB);
    story_free(story);
}
END_TEST

/* What guests have of huge pages is none of what is left to others … */
START_TEST(huge_pages_are_no_room_for_others)
{
    struct story *story = host_new();
    guests(story, 1);
    uint64_t before = ask(story, &plain).left;
    story_vm(story, 0)->hugetlb = 4 * GIB;
    story_run(story, SEC, 100 * MS);
    ck_assert_uint_le(ask(story, &plain).left, before + 2 * GIB);
    story_free(story);
}
END_TEST

/* … but the budget is of what guests have, whatever it is. */
START_TEST(huge_pages_count_for_the_budget)
{
    struct story *story = host_new();
    guests(story, 1);
    story->rules->host.budget = (struct amount){AMOUNT_BYTES, 5 * GIB};
    story->snapshot->host.hugepages_free = 8 * GIB;
    story_run(story, SEC, 100 * MS);
    struct admission_request request = plain;
    request.hugepages = true;
    struct admission_answer answer = ask(story, &request);
    refused(&answer, ADMISSION_LACK_PROMISE);
    ck_assert_int_eq(answer.pool, POOL_BUDGET);
    ck_assert_uint_eq(answer.needed, 4 * GIB + 192 * MIB);
    story_free(story);
}
END_TEST

/* A guest of 4 GiB that starts has touched one, or none yet, and has a right to the others once. */
START_TEST(who_starts_on_huge_pages_counts_once)
{
    for (uint64_t touched = 0; touched <= GIB; touched += GIB) {
        struct story *story = host_new();
        guests(story, 1);
        struct vm_snapshot *vm = story_vm(story, 0);
        vm->hugetlb = touched;
        story->snapshot->host.hugepages_free = 10 * GIB - touched;
        struct reservation reservation = {.hugepages = 4 * GIB - touched, .promised = 192 * MIB};
        memcpy(reservation.uuid, vm->identity.uuid, UUID_SIZE);
        reserve(story, &reservation);
        story_run(story, SEC, 100 * MS);
        struct admission_request request = plain;
        request.hugepages = true;
        request.maximum = 6 * GIB;
        ck_assert_int_eq(ask(story, &request).verdict, ADMISSION_ALLOW);
        request.maximum = 6 * GIB + MIB;
        struct admission_answer answer = ask(story, &request);
        refused(&answer, ADMISSION_LACK_HUGEPAGES);
        ck_assert_uint_eq(answer.left, 6 * GIB);
        story_free(story);
    }
}
END_TEST

START_TEST(pins_have_a_limit)
{
    struct story *story = host_new();
    guests(story, 1);
    story->rules->host.pinned_limit = (struct amount){AMOUNT_SHARE, 2500};
    struct admission_request request = plain;
    request.pinned = true;
    ck_assert_int_eq(ask(story, &request).verdict, ADMISSION_ALLOW);
    /* It has a device, and has not begun to pin. */
    story_vm(story, 0)->maximum = 6 * GIB;
    story_vm(story, 0)->wiring.vfio_groups = 1;
    struct admission_answer answer = ask(story, &request);
    refused(&answer, ADMISSION_LACK_PINNED);
    ck_assert_uint_eq(answer.left, 2 * GIB);
    story_free(story);
}
END_TEST

/* One node is promised to its guests, the other is free: who is bound to the first cannot start. */
START_TEST(nodes_are_looked_at_one_by_one)
{
    struct story *story = host_new();
    story->rules->host.commitment = COMMITMENT_MAXIMUM;
    story_nodes(story, 2);
    for (unsigned i = 0; i < 3; i++)
        story_guest_at(story, 4 * GIB, GIB, 0, 1u);
    story_run(story, SEC, 100 * MS);
    struct admission_request request = plain;
    ck_assert_int_eq(ask(story, &request).verdict, ADMISSION_ALLOW);
    request.nodes = 1u;
    struct admission_answer answer = ask(story, &request);
    refused(&answer, ADMISSION_LACK_PROMISE);
    ck_assert_int_eq(answer.pool, POOL_NODE);
    request.nodes = 2u;
    ck_assert_int_eq(ask(story, &request).verdict, ADMISSION_ALLOW);
    request.nodes = 3u; /* all there are: it is bound to none */
    answer = ask(story, &request);
    ck_assert_int_eq(answer.verdict, ADMISSION_ALLOW);
    ck_assert_uint_eq(answer.reservation.nodes, 0);
    request.nodes = 1u << 7; /* there is none */
    ck_assert_int_eq(ask(story, &request).lack, ADMISSION_LACK_FIGURES);
    story_free(story);
}
END_TEST

/* Who is bound to nothing fills a node, and gives it back; so there is room for who is bound to it,
 * if it can wait. */
START_TEST(what_others_have_on_a_node_can_be_had)
{
    struct story *story = host_new();
    story_nodes(story, 2);
    for (unsigned i = 0; i < 3; i++) {
        story_guest_at(story, 4608 * MIB, 4608 * MIB, 0, 0);
        story_rules(story, i)->minimum = (struct amount){AMOUNT_BYTES, GIB};
    }
    story_run(story, SEC, 100 * MS);
    struct admission_request request = plain;
    request.nodes = 1u;
    request.patience = 10 * SEC;
    ck_assert_int_eq(ask(story, &request).verdict, ADMISSION_WAIT);
    story_free(story);
}
END_TEST

/* There is much room on the other node; this one is not given back meanwhile. */
START_TEST(room_kept_on_a_node_is_given_to_nobody)
{
    for (int reserved = 0; reserved < 2; reserved++) {
        struct story *story = host_new();
        story_nodes(story, 2);
        unsigned guest = story_guest_at(story, 8 * GIB, GIB, 0, 1u);
        story_vm(story, guest)->measures.in_force = VM_MEASURE_BALLOON;
        story_vm(story, guest)->measures.balloon_target = 4 * GIB;
        story_vm(story, guest)->measures.balloon_before = 8 * GIB;
        story_vm(story, guest)->balloon.actual = 4 * GIB;
        struct reservation reservation = {.uuid = {0xaa}, .bytes = 13 * GIB, .nodes = 1u};
        if (reserved)
            reserve(story, &reservation);
        story_run(story, 20 * SEC, 100 * MS);
        ck_assert_uint_eq(story->guests[guest].grants > 0, !reserved);
        story_free(story);
    }
}
END_TEST

/* ---- whatever is seen ---- */

#define CAPACITY 8
#define CASES_DEFAULT 4000 /* × STEPS snapshots */
#define STEPS 4
#define GROWN_CASES 200
/* With at least so many cases every verdict must have been seen. */
#define CASES_TELLING 1000
#define SEED 20261122

static void draw_request(struct admission_request *request, uint64_t total)
{
    *request = (struct admission_request){
        .maximum = draw_below(total / 4 + 1) + MIB,
        .pinned = draw_below(4) == 0,
        .allocated = draw_below(4) == 0,
        .hugepages = draw_below(6) == 0,
        .balloon = draw_below(4) != 0,
        .nodes = draw_below(3) ? 0 : (uint32_t)draw_below(16),
        .patience = draw_below(10 * SEC),
    };
    request->uuid[0] = (uint8_t)(draw_below(4) + 1);
}

static struct admission_answer ask_world(
    const struct world *world, const struct admission_request *request, const struct vm_rules *own)
{
    struct admission_answer answer;

    admission_decide(
        world->snapshot, world->rules, (void *)world->state, world->scratch, request, own, &answer);
    return answer;
}

/* Equal questions have equal answers and leave no trace; who waits longer, or asks for less, is
 * never worse off; and with one more reservation nobody is better off. */
START_TEST(answers_are_pure_and_monotone)
{
    unsigned seen[ADMISSION_VERDICT_COUNT] = {0};
    uint64_t total = 64 * GIB;

    draw_seed(SEED);
    for (uint64_t i = 0; i < suite_cases(CASES_DEFAULT); i++) {
        struct world world = world_new(CAPACITY);
        draw_rules(world.rules, total);
        (void)policy_state_init(world.state, CAPACITY);
        for (unsigned step = 0; step < STEPS; step++) {
            struct admission_request request;
            draw_snapshot(world.snapshot, total, step == 0);
            policy_decide(
                world.snapshot, world.rules, (void *)world.state, world.scratch, world.plan);
            draw_request(&request, total);
            const struct vm_rules *own = &world.rules->vms[draw_below(CAPACITY)];
            memcpy(world.copy, world.state, policy_state_size(CAPACITY));
            struct admission_answer first = ask_world(&world, &request, own);
            struct admission_answer again = ask_world(&world, &request, own);
            ck_assert_mem_eq(&first, &again, sizeof(first));
            ck_assert_mem_eq(world.copy, world.state, policy_state_size(CAPACITY));
            seen[first.verdict]++;
            if (first.verdict != ADMISSION_ALLOW)
                ck_assert(first.needed > first.left || first.lack == ADMISSION_LACK_FIGURES);

            struct admission_request other = request;
            other.patience += SEC;
            ck_assert_int_le(ask_world(&world, &other, own).verdict, first.verdict);
            if (world.snapshot->reservation_count < RESERVATIONS_MAX) {
                struct reservation *more =
                    &world.snapshot->reservations[world.snapshot->reservation_count++];
                *more = first.reservation;
                more->uuid[0] = 99;
                ck_assert_int_ge(ask_world(&world, &request, own).verdict, first.verdict);
                world.snapshot->reservation_count--;
            }
        }
        world_free(&world);
    }
    bool telling = suite_cases(CASES_DEFAULT) >= CASES_TELLING;
    for (int verdict = 0; verdict < ADMISSION_VERDICT_COUNT && telling; verdict++)
        ck_assert_uint_gt(seen[verdict], 0);
}
END_TEST

/* squeezed's invariant, for a host that promises guests less than they may grow to: what was
 * admitted is still there when all of them have grown for all they are worth, and it cost nobody
 * his life. */
START_TEST(what_is_admitted_stays_there_however_others_grow)
{
    unsigned admitted = 0;
    uint64_t cases = suite_cases(GROWN_CASES);

    draw_seed(SEED);
    for (uint64_t i = 0; i < cases; i++) {
        struct story *story = host_new();
        unsigned count = 1 + (unsigned)draw_below(STORY_GUESTS - 1);
        for (unsigned guest = 0; guest < count; guest++) {
            uint64_t maximum = (1 + draw_below(6)) * GIB;
            story_guest(story, maximum, maximum * (20 + draw_below(60)) / 100);
            story->guests[guest].honest = true;
        }
        story_run(story, 5 * SEC, 100 * MS);
        struct admission_request request = plain;
        request.maximum = (1 + draw_below(8)) * GIB;
        request.patience = draw_below(10 * SEC);
        struct admission_answer answer = ask(story, &request);
        if (answer.verdict == ADMISSION_ALLOW) {
            admitted++;
            reserve(story, &answer.reservation);
            for (unsigned guest = 0; guest < count; guest++) {
                story->guests[guest].goal = story_vm(story, guest)->maximum;
                story->guests[guest].growth = (int64_t)((1 + draw_below(100)) * MIB);
            }
            story_run(story, 120 * SEC, 100 * MS);
            const struct pool_view *host = &story->plan->assessment.pools[0];
            ck_assert_int_ge(host->headroom, (int64_t)answer.reservation.bytes);
            for (unsigned guest = 0; guest < count; guest++)
                ck_assert_uint_eq(story->guests[guest].kills, 0);
        }
        story_free(story);
    }
    ck_assert_uint_gt(admitted, cases / 10);
}
END_TEST

int main(void)
{
    TCase *pools = tcase_create("pools"), *any = tcase_create("whatever is seen");

    tcase_add_test(pools, huge_pages_come_from_their_pool);
    tcase_add_test(pools, huge_pages_are_no_room_for_others);
    tcase_add_test(pools, huge_pages_count_for_the_budget);
    tcase_add_test(pools, who_starts_on_huge_pages_counts_once);
    tcase_add_test(pools, pins_have_a_limit);
    tcase_add_test(pools, nodes_are_looked_at_one_by_one);
    tcase_add_test(pools, what_others_have_on_a_node_can_be_had);
    tcase_add_test(pools, room_kept_on_a_node_is_given_to_nobody);
    tcase_add_test(any, answers_are_pure_and_monotone);
    tcase_add_test(any, what_is_admitted_stays_there_however_others_grow);
    tcase_set_timeout(any, 120);
    Suite *suite = suite_create("admission_pools");
    suite_add_tcase(suite, pools);
    suite_add_tcase(suite, any);
    return suite_run(suite);
}
