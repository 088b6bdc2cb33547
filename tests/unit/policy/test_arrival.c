/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Guests on their way in: what is kept for them, what is never done to them, and who goes first. */
#include <check.h>

#include "admission_scene.h"
#include "suite.h"

/* ---- what is kept ---- */

static void arrive(struct story *story, unsigned guest, enum vm_migration migration)
{
    struct vm_snapshot *vm = story_vm(story, guest);

    vm->run_state = VM_RUN_MIGRATING;
    vm->migration = migration;
    vm_classify(vm, &vm->kind, &vm->kind_reason);
}

/* A guest of 8 GiB of which 1 GiB has come, and more comes. */
static unsigned add_arrival(struct story *story, enum vm_migration migration)
{
    unsigned guest = story_guest(story, 8 * GIB, GIB);

    story_vm(story, guest)->first_seen = story->snapshot->time;
    story->guests[guest].growth = (int64_t)(100 * MIB);
    arrive(story, guest, migration);
    return guest;
}

static uint64_t reserved(const struct story *story)
{
    return story->plan->assessment.pools[0].reserved;
}

static const enum vm_migration arrivals[] = {VM_MIGRATION_INCOMING, VM_MIGRATION_LOADING};

/* … up to its maximum, whether it was asked for or not; whoever else starts gets none of that. */
START_TEST(what_it_will_take_is_kept_for_it)
{
    struct story *story = host_new();
    guests(story, 2);
    uint64_t before = ask(story, &plain).left;
    unsigned guest = add_arrival(story, arrivals[_i]);
    story_run(story, SEC, 100 * MS);
    uint64_t kept = reserved(story);
    ck_assert_uint_gt(kept, 6 * GIB);
    ck_assert_uint_lt(kept, 8 * GIB);
    ck_assert_uint_le(ask(story, &plain).left, before - 8 * GIB);

    /* What was kept when it was admitted is the same room. */
    struct reservation own = {.bytes = 4 * GIB, .promised = 8 * GIB, .priority = 7};
    own.uuid[0] = 0xcc;
    story_vm(story, guest)->identity.uuid[0] = 0xcc;
    reserve(story, &own);
    story_decide(story);
    ck_assert_uint_eq(reserved(story), kept);
    own.uuid[0] = 0xdd;
    reserve(story, &own);
    story_decide(story);
    ck_assert_uint_eq(reserved(story), kept + 4 * GIB);
    story_free(story);
}
END_TEST

START_TEST(nothing_is_kept_for_one_that_does_not_come)
{
    struct story *story = host_new();
    guests(story, 2);
    unsigned guest = add_arrival(story, VM_MIGRATION_INCOMING);
    story->guests[guest].growth = 0;
    story_run(story, 58 * SEC, 100 * MS);
    ck_assert_uint_gt(reserved(story), 0);
    story_run(story, 4 * SEC, 100 * MS);
    ck_assert_uint_eq(reserved(story), 0);
    /* Its source has come after all. */
    story->guests[guest].growth = (int64_t)(100 * MIB);
    story_run(story, 2 * SEC, 100 * MS);
    ck_assert_uint_gt(reserved(story), 0);
    story_free(story);
}
END_TEST

START_TEST(nothing_is_kept_for_one_that_runs)
{
    struct story *story = host_new();
    guests(story, 2);
    unsigned guest = add_arrival(story, VM_MIGRATION_INCOMING);
    story_run(story, SEC, 100 * MS);
    ck_assert_uint_gt(reserved(story), 0);
    story_vm(story, guest)->run_state = VM_RUN_RUNNING;
    story_vm(story, guest)->migration = VM_MIGRATION_NONE;
    story_run(story, SEC, 100 * MS);
    ck_assert_uint_eq(reserved(story), 0);
    story_free(story);
}
END_TEST

/* ---- what is done ---- */

/* One that comes in, and one that grows beside it by itself, more than there is for both. */
static struct story *story_of_two(enum vm_migration migration, unsigned *ret_arrival)
{
    struct story *story = story_new(32 * GIB, 2 * GIB);
    unsigned grower = story_guest(story, 24 * GIB, 16 * GIB);

    story->guests[grower].growth = (int64_t)(50 * MIB);
    story_rules(story, grower)->rungs = RUNG_BIT(RUNG_PAUSE) | RUNG_BIT(RUNG_KILL);
    *ret_arrival = story_guest(story, 16 * GIB, GIB);
    story->guests[*ret_arrival].growth = (int64_t)(200 * MIB);
    arrive(story, *ret_arrival, migration);
    return story;
}

static bool was_disturbed(const struct story_guest *guest)
{
    return guest->pauses + guest->freezes + guest->balloons + guest->brakes + guest->reclaims +
               guest->saves + guest->shutdowns >
           0;
}

/* Whatever its worth; and again when it comes again, for its end was no loss. */
START_TEST(a_migration_is_the_first_to_be_killed)
{
    unsigned arrival;
    struct story *story = story_of_two(VM_MIGRATION_INCOMING, &arrival);
    story_rules(story, 0)->rungs &= ~RUNG_BIT(RUNG_PAUSE);
    story_vm(story, arrival)->identity.uuid[0] = 0xcc;
    for (int times = 0; times < 5; times++) {
        story_rules(story, arrival)->priority = 900;
        ck_assert(story_until(story, ACTION_KILL, arrival, 120 * SEC, 10 * MS));
        const struct action *kill = story_find(story, ACTION_KILL, arrival);
        ck_assert_int_eq(kill->reason, (int)REASON_KILL_INCOMING);
        ck_assert_uint_eq(kill->loss, 0);
        ck_assert(!kill->orderly);
        ck_assert_int_gt(story->headroom_least, 0);
        ck_assert(!was_disturbed(&story->guests[arrival]));
        story_run(story, 5 * SEC, 10 * MS);
        arrival = story_guest(story, 16 * GIB, GIB);
        story->guests[arrival].growth = (int64_t)(200 * MIB);
        story_vm(story, arrival)->identity.uuid[0] = 0xcc;
        arrive(story, arrival, VM_MIGRATION_INCOMING);
    }
    ck_assert_uint_eq(story->guests[0].kills, 0);
    story_free(story);
}
END_TEST

START_TEST(one_that_fits_comes_in)
{
    unsigned arrival;
    struct story *story = story_of_two(VM_MIGRATION_INCOMING, &arrival);
    story->guests[0].growth = 0;
    story->guests[arrival].goal = 9 * GIB;
    story_run(story, 120 * SEC, 10 * MS);
    ck_assert(story->guests[arrival].alive);
    ck_assert(!was_disturbed(&story->guests[arrival]));
    ck_assert_uint_eq(story->guests[0].pauses + story->guests[0].freezes, 0);
    story_free(story);
}
END_TEST

/* Of one that is read from a file nothing goes on elsewhere; to stop it would stop nothing. */
START_TEST(one_that_is_restored_is_no_cheap_victim)
{
    unsigned arrival;
    struct story *story = story_of_two(VM_MIGRATION_LOADING, &arrival);
    story_rules(story, arrival)->priority = 900;
    ck_assert(story_until(story, ACTION_PAUSE, 0, 120 * SEC, 10 * MS));
    ck_assert_uint_eq(story->guests[arrival].kills, 0);
    ck_assert(!was_disturbed(&story->guests[arrival]));
    story_free(story);
}
END_TEST

/* A guard that has just begun may find it running, in post-copy. */
START_TEST(one_that_has_not_greeted_is_left_alone)
{
    unsigned arrival;
    struct story *story = story_of_two(VM_MIGRATION_LOADING, &arrival);
    story_rules(story, 0)->rungs = 0;
    story->guests[0].growth = (int64_t)(3 * GIB);
    story_vm(story, 0)->maximum = story_vm(story, 0)->balloon.actual = 64 * GIB;
    story_vm(story, arrival)->run_state = VM_RUN_UNKNOWN;
    story_vm(story, arrival)->monitor = VM_MONITOR_CONNECTING;
    story_vm(story, arrival)->first_seen = story->snapshot->time;
    ck_assert(!story_until(story, ACTION_KILL, arrival, 9 * SEC, 10 * MS));
    ck_assert(story_until(story, ACTION_KILL, arrival, 5 * SEC, 10 * MS));
    ck_assert(!was_disturbed(&story->guests[arrival]));
    story_free(story);
}
END_TEST

START_TEST(who_may_not_be_killed_comes_in)
{
    unsigned arrival;
    struct story *story = story_of_two(VM_MIGRATION_INCOMING, &arrival);
    if (_i == 0)
        story_rules(story, arrival)->sacrifice = SACRIFICE_NEVER;
    else
        story_rules(story, arrival)->rungs &= ~RUNG_BIT(RUNG_KILL);
    story_run(story, 120 * SEC, 10 * MS);
    ck_assert_uint_eq(story->guests[arrival].kills, 0);
    ck_assert(!was_disturbed(&story->guests[arrival]));
    ck_assert_uint_gt(story->guests[0].pauses, 0);
    story_free(story);
}
END_TEST

START_TEST(in_dry_run_it_is_only_said)
{
    unsigned arrival;
    struct story *story = story_of_two(VM_MIGRATION_INCOMING, &arrival);
    story_rules(story, arrival)->mode = MODE_DRY_RUN;
    story_rules(story, 0)->rungs = 0;
    ck_assert(story_until(story, ACTION_KILL, arrival, 120 * SEC, 10 * MS));
    ck_assert_int_eq(story_find(story, ACTION_KILL, arrival)->mode, (int)MODE_DRY_RUN);
    story_run(story, 20 * SEC, 10 * MS);
    ck_assert(story->guests[arrival].alive);
    story_free(story);
}
END_TEST

/* ---- the kernel's order ---- */

START_TEST(the_kernel_takes_a_migration_first)
{
    struct story *story = story_new(32 * GIB, 2 * GIB);
    story_guest(story, 16 * GIB, 12 * GIB);
    unsigned gold = story_guest(story, 8 * GIB, GIB);
    story_rules(story, gold)->priority = 900;
    story_run(story, 20 * SEC, 100 * MS);
    ck_assert_int_lt(story_points(story, gold), story_points(story, 0));
    arrive(story, gold, VM_MIGRATION_INCOMING);
    story_run(story, 20 * SEC, 100 * MS);
    ck_assert_int_gt(story_points(story, gold), story_points(story, 0));
    story_free(story);
}
END_TEST

/* From the first look at which it is seen to run, or is not seen any more. */
START_TEST(who_has_come_is_no_first_victim_any_more)
{
    struct story *story = story_new(32 * GIB, 2 * GIB);
    story_guest(story, 16 * GIB, 12 * GIB);
    unsigned gold = story_guest(story, 8 * GIB, GIB);
    story_rules(story, gold)->priority = 900;
    arrive(story, gold, VM_MIGRATION_INCOMING);
    story_run(story, 21 * SEC, 100 * MS);
    ck_assert_int_gt(story_points(story, gold), story_points(story, 0));
    arrive(story, gold, _i == 0 ? VM_MIGRATION_NONE : VM_MIGRATION_UNKNOWN);
    story_run(story, 100 * MS, 100 * MS);
    ck_assert_int_lt(story_points(story, gold), story_points(story, 0));
    story_free(story);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy_arrival");
    TCase *tests = tcase_create("arrival");

    tcase_add_loop_test(tests, what_it_will_take_is_kept_for_it, 0, 2);
    tcase_add_test(tests, nothing_is_kept_for_one_that_does_not_come);
    tcase_add_test(tests, nothing_is_kept_for_one_that_runs);
    tcase_add_test(tests, a_migration_is_the_first_to_be_killed);
    tcase_add_test(tests, one_that_fits_comes_in);
    tcase_add_test(tests, one_that_is_restored_is_no_cheap_victim);
    tcase_add_test(tests, one_that_has_not_greeted_is_left_alone);
    tcase_add_loop_test(tests, who_may_not_be_killed_comes_in, 0, 2);
    tcase_add_test(tests, in_dry_run_it_is_only_said);
    tcase_add_test(tests, the_kernel_takes_a_migration_first);
    tcase_add_loop_test(tests, who_has_come_is_no_first_victim_any_more, 0, 2);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
