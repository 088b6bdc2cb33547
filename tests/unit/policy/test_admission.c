/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who may start: by what is promised, by what is free, and by what can be made free in time. The
 * host of these stories has 32 GiB, of which 2 are others'; its floor is 0.9 GiB and critical
 * begins 0.9 GiB above that. QEMU's own part of 4 GiB is 192 MiB.
 */
#include <check.h>
#include <string.h>

#include <plimsoll/admission.h>

#include "story.h"
#include "suite.h"
#include "world.h"

#define SEC NSEC_PER_SEC
#define MS NSEC_PER_MSEC

static struct story *host_new(void)
{
    return story_new(32 * GIB, 2 * GIB);
}

static const struct admission_request plain = {
    .uuid = {0xaa}, .maximum = 4 * GIB, .balloon = true, .patience = 2 * SEC};

static struct admission_answer ask_as(
    struct story *story, const struct admission_request *request, const struct vm_rules *own)
{
    struct admission_answer answer;

    admission_decide(
        story->snapshot, story->rules, story->state, story->scratch, request, own, &answer);
    return answer;
}

static struct admission_answer ask(struct story *story, const struct admission_request *request)
{
    struct vm_rules own;

    vm_rules_default(&own);
    own.mode = MODE_ENFORCE;
    return ask_as(story, request, &own);
}

static void reserve(struct story *story, const struct reservation *reservation)
{
    story->snapshot->reservations[story->snapshot->reservation_count++] = *reservation;
}

/* So many guests of 4 GiB that use GIB each; by default they are promised their minimum, which is
 * half. */
static void guests(struct story *story, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        story_guest(story, 4 * GIB, GIB);
    story_run(story, SEC, 100 * MS);
}

static void refused(const struct admission_answer *answer, enum admission_lack lack)
{
    ck_assert_int_eq(answer->verdict, ADMISSION_REFUSE);
    ck_assert_int_eq(answer->lack, lack);
    ck_assert_uint_gt(answer->needed, answer->left);
}

/* ---- promises ---- */

START_TEST(a_start_that_fits_is_admitted)
{
    struct story *story = host_new();
    guests(story, 2);
    struct admission_answer answer = ask(story, &plain);
    ck_assert_int_eq(answer.verdict, ADMISSION_ALLOW);
    ck_assert_uint_eq(answer.needed, 2 * GIB + 128 * MIB);
    ck_assert_uint_eq(answer.reservation.bytes, 2 * GIB + 128 * MIB);
    ck_assert_uint_eq(answer.reservation.promised, 4 * GIB + 192 * MIB);
    ck_assert_uint_eq(answer.reservation.uuid[0], 0xaa);
    story_free(story);
}
END_TEST

/* Six guests that use 1 GiB each have been promised all of their 4: that much is gone, although
 * most of the host is free. */
START_TEST(what_was_promised_counts_and_not_what_is_used)
{
    struct story *story = host_new();
    story->rules->host.commitment = COMMITMENT_MAXIMUM;
    guests(story, 6);
    struct admission_answer answer = ask(story, &plain);
    refused(&answer, ADMISSION_LACK_PROMISE);
    ck_assert_int_eq(answer.pool, POOL_HOST);
    ck_assert_uint_lt(answer.left, 4 * GIB);
    ck_assert_uint_gt(answer.left, 2 * GIB);

    story->rules->host.commitment = COMMITMENT_MINIMUM;
    answer = ask(story, &plain);
    ck_assert_int_eq(answer.verdict, ADMISSION_ALLOW);
    story_free(story);
}
END_TEST

START_TEST(a_class_says_what_its_guests_are_promised)
{
    struct story *story = host_new();
    guests(story, 6);
    for (unsigned i = 0; i < 6; i++)
        story_rules(story, i)->commitment = COMMITMENT_MAXIMUM;
    struct vm_rules own;
    vm_rules_default(&own);
    own.mode = MODE_ENFORCE;
    own.commitment = COMMITMENT_MAXIMUM;
    struct admission_answer answer = ask_as(story, &plain, &own);
    refused(&answer, ADMISSION_LACK_PROMISE);
    own.commitment = COMMITMENT_MINIMUM;
    answer = ask_as(story, &plain, &own);
    ck_assert_int_eq(answer.verdict, ADMISSION_ALLOW);
    story_free(story);
}
END_TEST

/* What the guard cannot take back is promised whole, whoever has the better argument for less. */
START_TEST(whose_balloon_is_not_ours_is_promised_all)
{
    struct vm_rules own;
    vm_rules_default(&own);
    own.mode = MODE_ENFORCE;
    struct story *story = host_new();
    guests(story, 6);

    struct admission_request request = plain;
    request.balloon = false;
    ck_assert_uint_eq(ask(story, &request).needed, 4 * GIB + 192 * MIB);
    request = plain;
    request.pinned = true;
    ck_assert_uint_eq(ask(story, &request).needed, 4 * GIB + 192 * MIB);
    own.mode = MODE_DRY_RUN;
    ck_assert_uint_eq(ask_as(story, &plain, &own).needed, 4 * GIB + 192 * MIB);
    own.mode = MODE_ENFORCE;
    own.rungs &= ~RUNG_BIT(RUNG_BALLOON);
    ck_assert_uint_eq(ask_as(story, &plain, &own).needed, 4 * GIB + 192 * MIB);
    story_free(story);
}
END_TEST

static void make_rigid(struct vm_snapshot *vm)
{
    vm->wiring.vfio_groups = 1;
}

static void make_booting(struct vm_snapshot *vm)
{
    vm->balloon.driver = TRISTATE_UNKNOWN;
}

static void make_driverless(struct vm_snapshot *vm)
{
    vm->balloon.driver = TRISTATE_NO;
}

/* Of ten guests, which are promised half of what they have, two turn out to give nothing. */
START_TEST(guests_that_give_nothing_are_promised_their_maximum)
{
    static void (*const makes[])(struct vm_snapshot * vm) = {make_rigid, make_booting, make_driverless};

    for (size_t make = 0; make < 3; make++) {
        struct story *story = host_new();
        guests(story, 10);
        uint64_t before = ask(story, &plain).left;
        for (unsigned i = 0; i < 2; i++) {
            struct vm_snapshot *vm = story_vm(story, i);
            makes[make](vm);
            vm_classify(vm, &vm->kind, &vm->kind_reason);
        }
        story_run(story, SEC, 100 * MS);
        ck_assert_uint_le(ask(story, &plain).left, before - 4 * GIB + 64 * MIB);
        story_free(story);
    }
}
END_TEST

/* It may hold more than it was promised; its balloon gives that back, so it is nobody's. */
START_TEST(what_is_held_beyond_the_promise_can_be_promised)
{
    struct story *story = host_new();
    for (unsigned i = 0; i < 6; i++)
        story_guest(story, 4 * GIB, 3 * GIB);
    story_run(story, SEC, 100 * MS);
    uint64_t left = ask(story, &plain).left;
    /* 32 less floor, critical, others, and six times 2 GiB with QEMU's part. */
    ck_assert_uint_gt(left, 14 * GIB);
    ck_assert_uint_lt(left, 16 * GIB);
    story_free(story);
}
END_TEST

START_TEST(the_floor_is_kept)
{
    struct story *story = host_new();
    story->rules->host.floor = (struct amount){AMOUNT_BYTES, 26 * GIB};
    guests(story, 0);
    struct admission_request request = plain;
    ck_assert_int_eq(ask(story, &request).verdict, ADMISSION_ALLOW);
    request.maximum = 8 * GIB;
    struct admission_answer answer = ask(story, &request);
    refused(&answer, ADMISSION_LACK_PROMISE);
    story_free(story);
}
END_TEST

START_TEST(the_budget_is_a_promise_too)
{
    struct story *story = host_new();
    story->rules->host.budget = (struct amount){AMOUNT_BYTES, 6 * GIB};
    guests(story, 2);
    struct admission_answer answer = ask(story, &plain);
    refused(&answer, ADMISSION_LACK_PROMISE);
    ck_assert_int_eq(answer.pool, POOL_BUDGET);
    story_free(story);
}
END_TEST

START_TEST(without_figures_there_is_no_room)
{
    struct story *story = host_new();
    guests(story, 1);
    story->snapshot->host.available = UNKNOWN;
    struct admission_answer answer = ask(story, &plain);
    ck_assert_int_eq(answer.verdict, ADMISSION_REFUSE);
    ck_assert_int_eq(answer.lack, ADMISSION_LACK_FIGURES);
    story_free(story);
}
END_TEST

/* ---- reservations ---- */

START_TEST(reservations_of_others_count_and_ones_own_does_not)
{
    struct story *story = host_new();
    guests(story, 2);
    uint64_t before = ask(story, &plain).left;
    struct reservation mine = ask(story, &plain).reservation;
    reserve(story, &mine);
    ck_assert_uint_eq(ask(story, &plain).left, before);

    struct reservation other = mine;
    other.uuid[0] = 0xbb;
    reserve(story, &other);
    ck_assert_uint_eq(ask(story, &plain).left, before - other.promised);
    /* Once its guest is seen, that is what counts. */
    story->snapshot->reservations[1].uuid[0] = 1;
    ck_assert_uint_eq(ask(story, &plain).left, before);
    story_free(story);
}
END_TEST

/* Guests of 4 GiB one after the other, before any has touched a page, until there is no promise
 * left: each counts with all it has until its balloon answers. */
START_TEST(starts_at_once_do_not_share_the_same_room)
{
    struct story *story = host_new();
    guests(story, 0);
    struct admission_request request = plain;
    unsigned admitted = 0;
    for (;; admitted++) {
        struct admission_answer answer = ask(story, &request);
        if (answer.verdict != ADMISSION_ALLOW)
            break;
        reserve(story, &answer.reservation);
        request.uuid[0]++;
    }
    ck_assert_uint_eq(admitted, 7);
    story_free(story);
}
END_TEST

/* ---- room ---- */

/* Six guests use all of their 4 GiB, of which 3 are their minimum: some 4 GiB are left above
 * critical. */
static struct story *full_host_new(void)
{
    struct story *story = host_new();
    for (unsigned i = 0; i < 6; i++)
        story_guest(story, 4 * GIB, 4 * GIB);
    for (unsigned i = 0; i < 6; i++)
        story_rules(story, i)->minimum = (struct amount){AMOUNT_BYTES, 3 * GIB};
    story_run(story, 10 * SEC, 100 * MS);
    return story;
}

/* Nothing is asked of anybody in calm, but for a guest that starts it is. Then there is room, and
 * nobody is stopped for it. */
START_TEST(room_is_made_by_balloon)
{
    struct story *story = full_host_new();
    ck_assert_int_eq(story->plan->assessment.band, BAND_CALM);
    unsigned balloons = story->guests[0].balloons;
    struct admission_request request = plain;
    request.maximum = 8 * GIB;
    request.allocated = true;
    struct vm_rules own;
    vm_rules_default(&own);
    own.mode = MODE_ENFORCE;
    own.minimum = (struct amount){AMOUNT_BYTES, 3 * GIB};

    struct admission_answer answer = ask_as(story, &request, &own);
    ck_assert_int_eq(answer.verdict, ADMISSION_WAIT);
    ck_assert_int_eq(answer.lack, ADMISSION_LACK_ROOM);
    reserve(story, &answer.reservation);
    story_run(story, 2 * SEC, 100 * MS);
    ck_assert_uint_gt(story->guests[0].balloons, balloons);
    request.patience = 0;
    answer = ask_as(story, &request, &own);
    ck_assert_int_eq(answer.verdict, ADMISSION_ALLOW);
    for (unsigned i = 0; i < 6; i++) {
        ck_assert_uint_eq(story->guests[i].pauses + story->guests[i].kills, 0);
        ck_assert_uint_ge(story_vm(story, i)->balloon.actual, 3 * GIB);
    }
    story_free(story);
}
END_TEST

/* In a tenth of a second nobody needs to be asked for gigabytes. */
START_TEST(what_cannot_be_had_in_time_is_refused_at_once)
{
    struct story *story = full_host_new();
    struct admission_request request = plain;
    request.maximum = 8 * GIB;
    request.allocated = true;
    request.patience = 100 * MS;
    struct admission_answer answer = ask(story, &request);
    refused(&answer, ADMISSION_LACK_ROOM);
    story_free(story);
}
END_TEST

/* What comes back in critical is for those who wait for it. */
START_TEST(nobody_is_admitted_in_critical)
{
    struct story *story = host_new();
    guests(story, 4);
    story->other = 30 * GIB - 4 * GIB;
    story_run(story, 200 * MS, 100 * MS);
    ck_assert_int_eq(story->plan->assessment.band, BAND_CRITICAL);
    ck_assert_int_eq(ask(story, &plain).verdict, ADMISSION_REFUSE);
    story_free(story);
}
END_TEST

/* A balloon of ours is given back once there is room; not out of what is kept for a start. */
START_TEST(reserved_room_is_given_to_nobody)
{
    for (int reserved = 0; reserved < 2; reserved++) {
        struct story *story = host_new();
        unsigned guest = story_guest(story, 8 * GIB, GIB);
        story_vm(story, guest)->measures.in_force = VM_MEASURE_BALLOON;
        story_vm(story, guest)->measures.balloon_target = 4 * GIB;
        story_vm(story, guest)->measures.balloon_before = 8 * GIB;
        story_vm(story, guest)->balloon.actual = 4 * GIB;
        struct reservation reservation = {.uuid = {0xaa}, .bytes = 24 * GIB};
        if (reserved)
            reserve(story, &reservation);
        story_run(story, 20 * SEC, 100 * MS);
        ck_assert_uint_eq(story->guests[guest].grants > 0, !reserved);
        story_free(story);
    }
}
END_TEST

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
    make_rigid(story_vm(story, 0));
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
    request.nodes = 3u;
    ck_assert_int_eq(ask(story, &request).verdict, ADMISSION_ALLOW);
    request.nodes = 1u << 7; /* there is none */
    ck_assert_int_eq(ask(story, &request).lack, ADMISSION_LACK_FIGURES);
    story_free(story);
}
END_TEST

/* ---- whatever is seen ---- */

#define CAPACITY 8
#define CASES_DEFAULT 4000 /* × STEPS snapshots */
#define STEPS 4
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

int main(void)
{
    TCase *promises = tcase_create("promises"), *room = tcase_create("room");
    TCase *pools = tcase_create("pools"), *any = tcase_create("whatever is seen");

    tcase_add_test(promises, a_start_that_fits_is_admitted);
    tcase_add_test(promises, what_was_promised_counts_and_not_what_is_used);
    tcase_add_test(promises, a_class_says_what_its_guests_are_promised);
    tcase_add_test(promises, whose_balloon_is_not_ours_is_promised_all);
    tcase_add_test(promises, guests_that_give_nothing_are_promised_their_maximum);
    tcase_add_test(promises, what_is_held_beyond_the_promise_can_be_promised);
    tcase_add_test(promises, the_floor_is_kept);
    tcase_add_test(promises, the_budget_is_a_promise_too);
    tcase_add_test(promises, without_figures_there_is_no_room);
    tcase_add_test(room, reservations_of_others_count_and_ones_own_does_not);
    tcase_add_test(room, starts_at_once_do_not_share_the_same_room);
    tcase_add_test(room, room_is_made_by_balloon);
    tcase_add_test(room, what_cannot_be_had_in_time_is_refused_at_once);
    tcase_add_test(room, nobody_is_admitted_in_critical);
    tcase_add_test(room, reserved_room_is_given_to_nobody);
    tcase_add_test(pools, huge_pages_come_from_their_pool);
    tcase_add_test(pools, pins_have_a_limit);
    tcase_add_test(pools, nodes_are_looked_at_one_by_one);
    tcase_add_test(any, answers_are_pure_and_monotone);
    tcase_set_timeout(any, 120);
    Suite *suite = suite_create("admission");
    suite_add_tcase(suite, promises);
    suite_add_tcase(suite, room);
    suite_add_tcase(suite, pools);
    suite_add_tcase(suite, any);
    return suite_run(suite);
}
