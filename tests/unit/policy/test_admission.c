/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who may start: by what is promised, by what is free, and by what can be made free in time. */
#include <check.h>
#include <string.h>

#include "admission_scene.h"
#include "suite.h"

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
    static void (*const makes[])(struct vm_snapshot * vm) = {
        make_rigid, make_booting, make_driverless};

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

/* A QEMU that falls silent has its target all the same; without one it gives nothing. */
START_TEST(a_silent_guest_goes_on_towards_its_target)
{
    struct story *story = full_host_new();
    struct admission_request request = plain;
    request.maximum = 8 * GIB;
    request.allocated = true;
    struct admission_answer answer = ask(story, &request);
    ck_assert_int_eq(answer.verdict, ADMISSION_WAIT);
    reserve(story, &answer.reservation);
    if (_i == 1)
        story_run(story, 100 * MS, 100 * MS); /* they are asked */
    for (unsigned i = 0; i < 6; i++)
        story_vm(story, i)->monitor = VM_MONITOR_SILENT;
    ck_assert_int_eq(ask(story, &request).verdict, _i == 1 ? ADMISSION_WAIT : ADMISSION_REFUSE);
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
    for (unsigned i = 0; i < 4; i++) {
        story_guest(story, 4 * GIB, 4 * GIB);
        story_rules(story, i)->minimum = (struct amount){AMOUNT_BYTES, GIB};
    }
    story_run(story, SEC, 100 * MS);
    story->other = 15 * GIB;
    story_run(story, 200 * MS, 100 * MS);
    ck_assert_int_eq(story->plan->assessment.band, BAND_CRITICAL);
    struct admission_request request = plain;
    request.patience = 10 * SEC;
    struct admission_answer answer = ask(story, &request);
    refused(&answer, ADMISSION_LACK_ROOM);
    ck_assert_uint_eq(answer.left, 0);
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

/* In calm guests are seldom asked: what they said a minute ago is no reason to press them, and what
 * they say next may be. */
START_TEST(nobody_is_pressed_by_old_figures)
{
    struct story *story = full_host_new();
    for (unsigned i = 0; i < 6; i++) {
        struct vm_statistics *statistics = &story_vm(story, i)->statistics;
        statistics->updated = story->snapshot->time - 60 * SEC;
        statistics->free = 2 * GIB;
    }
    struct reservation reservation = {.uuid = {0xaa}, .bytes = 8 * GIB, .priority = 100};
    reserve(story, &reservation);
    story_decide(story);
    ck_assert_uint_eq(story_count(story, ACTION_BALLOON), 0);
    ck_assert_uint_le(story->plan->next_wake, 100 * MS);
    story_free(story);
}
END_TEST

/* A guard that looks on tells what it would do, balloons included. */
START_TEST(a_dry_run_counts_on_balloons_too)
{
    struct story *story = full_host_new();
    story->rules->host.mode = MODE_DRY_RUN;
    story_run(story, SEC, 100 * MS);
    struct admission_request request = plain;
    request.maximum = 8 * GIB;
    request.allocated = true;
    struct vm_rules own;
    vm_rules_default(&own);
    own.minimum = (struct amount){AMOUNT_BYTES, 3 * GIB};
    ck_assert_int_eq(ask_as(story, &request, &own).verdict, ADMISSION_WAIT);
    story_free(story);
}
END_TEST

/* ---- saved ---- */

/* Six guests that are promised all of their 4 GiB; the last is saved. Its memory is free, and yet
 * no stranger is promised it. */
START_TEST(what_a_saved_guest_was_promised_is_its_own)
{
    struct story *story = host_new();
    story->rules->host.commitment = COMMITMENT_MAXIMUM;
    guests(story, 6);
    struct reservation saved;
    admission_saved(story->snapshot, story->rules, 5, UNKNOWN, &saved);
    ck_assert_uint_eq(saved.promised, 4 * GIB + 192 * MIB);
    ck_assert_uint_eq(saved.bytes, 0);
    ck_assert_uint_eq(saved.returning, 4 * GIB); /* when nobody knows what it held */
    ck_assert_mem_eq(saved.uuid, story->snapshot->vms[5].identity.uuid, UUID_SIZE);
    story->snapshot->vm_count = 5;
    ck_assert_int_eq(ask(story, &plain).verdict, ADMISSION_ALLOW);

    reserve(story, &saved);
    struct admission_answer answer = ask(story, &plain);
    refused(&answer, ADMISSION_LACK_PROMISE);
    struct admission_request itself = plain;
    memcpy(itself.uuid, saved.uuid, UUID_SIZE);
    ck_assert_int_eq(ask(story, &itself).verdict, ADMISSION_ALLOW);
    story_free(story);
}
END_TEST

/* Where it is promised its minimum it is promised no more by being saved; but of what is free it
 * takes all that it held. */
START_TEST(a_restored_guest_takes_at_once_what_it_held)
{
    struct story *story = host_new();
    guests(story, 6);
    struct reservation saved;
    admission_saved(story->snapshot, story->rules, 5, 3 * GIB, &saved);
    ck_assert_uint_eq(saved.promised, 2 * GIB + 128 * MIB);
    story->snapshot->vm_count = 5;
    reserve(story, &saved);
    struct admission_request itself = plain;
    memcpy(itself.uuid, saved.uuid, UUID_SIZE);
    struct admission_answer answer = ask(story, &itself);
    ck_assert_int_eq(answer.verdict, ADMISSION_ALLOW);
    ck_assert_uint_eq(answer.needed, 2 * GIB + 128 * MIB);
    ck_assert_uint_eq(answer.reservation.bytes, 3 * GIB);
    ck_assert_uint_eq(answer.reservation.returning, 3 * GIB); /* for when it asks again */
    ck_assert_uint_eq(ask(story, &plain).reservation.bytes, 2 * GIB + 128 * MIB);
    story_free(story);
}
END_TEST

/* Nothing of what is free is kept for it, or it would have been saved for nothing. */
START_TEST(no_balloon_moves_for_a_saved_guest)
{
    struct story *story = host_new();
    guests(story, 6);
    struct reservation saved;
    admission_saved(story->snapshot, story->rules, 5, GIB, &saved);
    saved.promised = 64 * GIB;
    saved.priority = 1000;
    reserve(story, &saved);
    story_run(story, 10 * SEC, 100 * MS);
    for (unsigned i = 0; i < 6; i++)
        ck_assert_uint_eq(story->snapshot->vms[i].balloon.actual, 4 * GIB);
    story_free(story);
}
END_TEST

int main(void)
{
    TCase *promises = tcase_create("promises"), *room = tcase_create("room");

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
    tcase_add_loop_test(room, a_silent_guest_goes_on_towards_its_target, 0, 2);
    tcase_add_test(room, what_cannot_be_had_in_time_is_refused_at_once);
    tcase_add_test(room, nobody_is_admitted_in_critical);
    tcase_add_test(room, reserved_room_is_given_to_nobody);
    tcase_add_test(room, nobody_is_pressed_by_old_figures);
    tcase_add_test(room, a_dry_run_counts_on_balloons_too);
    TCase *saved = tcase_create("saved");
    tcase_add_test(saved, what_a_saved_guest_was_promised_is_its_own);
    tcase_add_test(saved, a_restored_guest_takes_at_once_what_it_held);
    tcase_add_test(saved, no_balloon_moves_for_a_saved_guest);
    Suite *suite = suite_create("admission");
    suite_add_tcase(suite, saved);
    suite_add_tcase(suite, promises);
    suite_add_tcase(suite, room);
    return suite_run(suite);
}
