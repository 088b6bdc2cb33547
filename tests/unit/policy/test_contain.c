/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Limits of guests' cgroups: by class, and for a shortage. */
#include <check.h>

#include "story.h"
#include "suite.h"

#define SEC NSEC_PER_SEC

static uint64_t value_of(struct story *story, unsigned guest, enum vm_limit limit)
{
    return story_vm(story, guest)->limits.values[limit];
}

static void set_value(struct story *story, unsigned guest, enum vm_limit limit, uint64_t value)
{
    story_vm(story, guest)->limits.values[limit] = value;
}

static bool is_ours(struct story *story, unsigned guest, enum vm_limit limit)
{
    const struct vm_measures *measures = &story_vm(story, guest)->measures;
    return (measures->in_force & VM_MEASURE_CONTAIN) && (measures->contained & VM_LIMIT_BIT(limit));
}

/* One guest of 8 GiB that uses 4, on a host that has plenty. */
static struct story *story_of_one(void)
{
    struct story *story = story_new(64 * GIB, GIB);
    (void)story_guest(story, 8 * GIB, 4 * GIB);
    return story;
}

static void give_class(struct story *story, unsigned guest)
{
    struct vm_rules *rules = story_rules(story, guest);
    rules->memory_high = (struct amount){AMOUNT_SHARE, 9000};
    rules->memory_max = (struct amount){AMOUNT_BYTES, 12 * GIB + 5};
    rules->pids_max = 512;
    rules->cpu_max = 150;
    rules->oom_group = true;
}

/* ---- by class ---- */

START_TEST(a_class_sets_what_it_says_and_no_more)
{
    struct story *story = story_of_one();
    give_class(story, 0);
    story_run(story, 10 * SEC, SEC / 10);
    ck_assert_uint_eq(
        value_of(story, 0, VM_LIMIT_MEMORY_HIGH), 8 * GIB / 10 * 9 / (64 * KIB) * (64 * KIB));
    ck_assert_uint_eq(value_of(story, 0, VM_LIMIT_MEMORY_MAX), 12 * GIB);
    ck_assert_uint_eq(value_of(story, 0, VM_LIMIT_PIDS_MAX), 512);
    ck_assert_uint_eq(value_of(story, 0, VM_LIMIT_CPU_MAX), 150 * NSEC_PER_MSEC);
    ck_assert_uint_eq(value_of(story, 0, VM_LIMIT_OOM_GROUP), 1);
    ck_assert_uint_eq(story->guests[0].limits, VM_LIMIT_COUNT);
    ck_assert_uint_eq(story->guests[0].unlimits, 0);
    ck_assert_uint_eq(story->alerts[REASON_CONTAIN_REFUSED], 0);
    story_free(story);
}
END_TEST

START_TEST(a_class_that_says_nothing_sets_nothing)
{
    struct story *story = story_of_one();
    story_run(story, 60 * SEC, SEC);
    ck_assert_uint_eq(story->guests[0].limits, 0);
    story_free(story);
}
END_TEST

/* A plan has one limit for all guests: to write one may take its time. */
START_TEST(one_limit_at_a_time)
{
    struct story *story = story_of_one();
    (void)story_guest(story, 8 * GIB, 4 * GIB);
    give_class(story, 0);
    give_class(story, 1);
    ck_assert(story_until(story, ACTION_CONTAIN, 0, 10 * SEC, SEC / 10));
    ck_assert_uint_eq(story_count(story, ACTION_CONTAIN), 1);
    struct vm_limits *limits = &story_vm(story, 0)->limits;
    limits->answered = UNKNOWN; /* it is still being written */
    story_run(story, 10 * SEC, SEC / 10);
    ck_assert_uint_eq(story->guests[0].limits + story->guests[1].limits, 1);
    limits->answered = story->snapshot->time;
    story_run(story, 10 * SEC, SEC / 10);
    ck_assert_uint_eq(
        story->guests[0].limits + story->guests[1].limits, UINT64_C(2) * VM_LIMIT_COUNT);
    story_free(story);
}
END_TEST

/* Nor one that nobody answers for: it is not waited for without end. */
START_TEST(who_never_answers_holds_up_nobody)
{
    struct story *story = story_of_one();
    (void)story_guest(story, 8 * GIB, 4 * GIB);
    give_class(story, 1);
    story_vm(story, 0)->limits.asked = story->snapshot->time;
    story_run(story, 10 * SEC, SEC);
    ck_assert_uint_eq(story->guests[1].limits, 0);
    story_run(story, 10 * SEC, SEC);
    ck_assert_uint_gt(story->guests[1].limits, 0);
    story_free(story);
}
END_TEST

START_TEST(dry_run_tells_each_once)
{
    struct story *story = story_of_one();
    give_class(story, 0);
    story_rules(story, 0)->mode = MODE_DRY_RUN;
    story_run(story, 300 * SEC, SEC / 2);
    ck_assert_uint_eq(story->guests[0].limits, VM_LIMIT_COUNT);
    ck_assert_uint_eq(story_vm(story, 0)->measures.in_force & VM_MEASURE_CONTAIN, 0);
    story_rules(story, 0)->mode = MODE_ENFORCE;
    story_run(story, 10 * SEC, SEC / 2);
    ck_assert_uint_eq(story->guests[0].limits, UINT64_C(2) * VM_LIMIT_COUNT);
    ck_assert(is_ours(story, 0, VM_LIMIT_PIDS_MAX));
    story_free(story);
}
END_TEST

START_TEST(what_another_has_set_is_only_tightened)
{
    struct story *story = story_of_one();
    give_class(story, 0);
    set_value(story, 0, VM_LIMIT_MEMORY_HIGH, 6 * GIB);
    set_value(story, 0, VM_LIMIT_PIDS_MAX, 16384);
    set_value(story, 0, VM_LIMIT_OOM_GROUP, 1);
    story_run(story, 10 * SEC, SEC);
    ck_assert_uint_eq(value_of(story, 0, VM_LIMIT_MEMORY_HIGH), 6 * GIB);
    ck_assert(!is_ours(story, 0, VM_LIMIT_MEMORY_HIGH) && !is_ours(story, 0, VM_LIMIT_OOM_GROUP));
    ck_assert_uint_eq(value_of(story, 0, VM_LIMIT_PIDS_MAX), 512);
    story_rules(story, 0)->pids_max = 0;
    story_run(story, 10 * SEC, SEC);
    ck_assert_uint_eq(value_of(story, 0, VM_LIMIT_PIDS_MAX), 16384);
    story_free(story);
}
END_TEST

START_TEST(a_rule_that_moves_moves_the_limit)
{
    struct story *story = story_of_one();
    struct vm_rules *rules = story_rules(story, 0);
    rules->memory_max = (struct amount){AMOUNT_BYTES, 10 * GIB};
    story_run(story, 5 * SEC, SEC);
    rules->memory_max.value = 12 * GIB;
    story_run(story, 5 * SEC, SEC);
    ck_assert_uint_eq(value_of(story, 0, VM_LIMIT_MEMORY_MAX), 12 * GIB);
    rules->memory_max.value = 9 * GIB;
    story_run(story, 5 * SEC, SEC);
    ck_assert_uint_eq(value_of(story, 0, VM_LIMIT_MEMORY_MAX), 9 * GIB);
    ck_assert_uint_eq(story->guests[0].unlimits, 0);
    ck_assert_uint_eq(
        story_vm(story, 0)->measures.limits[VM_LIMIT_MEMORY_MAX].before, VM_LIMIT_NONE);
    /* Switched to dry run, or without the rule, it goes. */
    if (_i == 0)
        rules->mode = MODE_DRY_RUN;
    else
        rules->memory_max.kind = AMOUNT_AUTO;
    ck_assert(story_until(story, ACTION_CONTAIN, 0, 5 * SEC, SEC));
    ck_assert_int_eq(story_find(story, ACTION_CONTAIN, 0)->reason, REASON_CONTAIN_LIFT);
    ck_assert(!known(story_find(story, ACTION_CONTAIN, 0)->target));
    story_free(story);
}
END_TEST

START_TEST(a_share_of_what_nobody_knows_is_left_as_it_is)
{
    struct story *story = story_of_one();
    story_rules(story, 0)->memory_high = (struct amount){AMOUNT_SHARE, 9000};
    story_vm(story, 0)->maximum = UNKNOWN;
    story_run(story, 5 * SEC, SEC);
    ck_assert_uint_eq(story->guests[0].limits, 0);
    story_vm(story, 0)->maximum = 8 * GIB;
    story_run(story, 5 * SEC, SEC);
    ck_assert_uint_eq(story->guests[0].limits, 1);
    story_vm(story, 0)->maximum = UNKNOWN;
    story_run(story, 5 * SEC, SEC);
    ck_assert(is_ours(story, 0, VM_LIMIT_MEMORY_HIGH));
    ck_assert_uint_eq(story->guests[0].limits + story->guests[0].unlimits, 1);
    story_free(story);
}
END_TEST

START_TEST(another_limit_over_ours_stays)
{
    struct story *story = story_of_one();
    give_class(story, 0);
    story_run(story, 10 * SEC, SEC);
    set_value(story, 0, VM_LIMIT_MEMORY_HIGH, 7 * GIB + 512 * MIB);
    ck_assert(story_until(story, ACTION_CONTAIN, 0, 10 * SEC, SEC));
    const struct action *action = story_find(story, ACTION_CONTAIN, 0);
    ck_assert_int_eq(action->reason, REASON_CONTAIN_CHANGED);
    ck_assert_int_eq(action->limit, VM_LIMIT_MEMORY_HIGH);
    story_run(story, 300 * SEC, SEC);
    ck_assert_uint_eq(value_of(story, 0, VM_LIMIT_MEMORY_HIGH), 7 * GIB + 512 * MIB);
    ck_assert_uint_eq(story->guests[0].limits, VM_LIMIT_COUNT);
    ck_assert_uint_eq(story->guests[0].unlimits, 1);
    story_free(story);
}
END_TEST

/* The guard ended, or its helper hung, between ledger and kernel: nobody else has changed it. */
START_TEST(a_write_that_never_came_is_made_again)
{
    struct story *story = story_of_one();
    give_class(story, 0);
    story_run(story, 10 * SEC, SEC);
    struct vm_snapshot *vm = story_vm(story, 0);
    vm->limits.written = VM_LIMIT_PIDS_MAX;
    vm->limits.previous = VM_LIMIT_NONE;
    set_value(story, 0, VM_LIMIT_PIDS_MAX, VM_LIMIT_NONE);
    story_run(story, SEC, SEC);
    const struct action *action = story_find(story, ACTION_CONTAIN, 0);
    ck_assert(action && action->reason == REASON_CONTAIN_LIFT);
    vm->limits.previous = UNKNOWN;
    story_run(story, 5 * SEC, SEC);
    ck_assert_uint_eq(value_of(story, 0, VM_LIMIT_PIDS_MAX), 512);
    ck_assert(is_ours(story, 0, VM_LIMIT_PIDS_MAX));
    story_free(story);
}
END_TEST

START_TEST(a_refusal_of_the_kernels_is_not_repeated_at_once)
{
    struct story *story = story_of_one();
    story_rules(story, 0)->pids_max = 512;
    story->guests[0].refuses_limits = true;
    story_run(story, 59 * SEC, SEC / 2);
    ck_assert_uint_eq(story->guests[0].limits, 1);
    story->guests[0].refuses_limits = false;
    story_run(story, 10 * SEC, SEC / 2);
    ck_assert_uint_eq(story->guests[0].limits, 2);
    ck_assert_uint_eq(value_of(story, 0, VM_LIMIT_PIDS_MAX), 512);
    story_free(story);
}
END_TEST

/* ---- what would end a guest ---- */

START_TEST(a_maximum_below_the_use_waits_until_there_is_room)
{
    struct story *story = story_of_one();
    struct vm_rules *rules = story_rules(story, 0);
    rules->memory_max = (struct amount){AMOUNT_BYTES, 4 * GIB + 200 * MIB}; /* needs 256 MiB */
    rules->pids_max = 70;                                                   /* needs 74 */
    story_run(story, 300 * SEC, SEC);
    ck_assert_uint_eq(story->guests[0].limits, 0);
    ck_assert_uint_eq(story->alerts[REASON_CONTAIN_REFUSED], 2); /* each once */
    story->guests[0].touched = story->guests[0].wants = 3 * GIB;
    story_vm(story, 0)->limits.tasks = 6;
    story_run(story, 10 * SEC, SEC);
    ck_assert_uint_eq(value_of(story, 0, VM_LIMIT_MEMORY_MAX), 4 * GIB + 200 * MIB);
    ck_assert_uint_eq(value_of(story, 0, VM_LIMIT_PIDS_MAX), 70);
    story_free(story);
}
END_TEST

/* libvirt says so before QEMU has opened its device. */
START_TEST(a_wired_guest_has_no_maximum)
{
    struct story *story = story_of_one();
    struct vm_snapshot *vm = story_vm(story, 0);
    struct vm_rules *rules = story_rules(story, 0);
    if (_i == 0)
        vm->wiring.vfio_groups = 1;
    else if (_i == 1)
        vm->definition.vfio_devices = 1;
    else
        vm->locked = 8 * GIB;
    rules->memory_max = (struct amount){AMOUNT_BYTES, 12 * GIB};
    rules->memory_high = (struct amount){AMOUNT_BYTES, 8 * GIB};
    story_run(story, 300 * SEC, SEC);
    ck_assert_uint_eq(story->guests[0].limits, 0);
    ck_assert_uint_eq(story->alerts[REASON_CONTAIN_REFUSED], 2);
    /* Above all that it can come to hold there is nothing to be slowed for. */
    rules->memory_high.value = 9 * GIB;
    story_run(story, 10 * SEC, SEC);
    ck_assert_uint_eq(value_of(story, 0, VM_LIMIT_MEMORY_HIGH), 9 * GIB);
    ck_assert_uint_eq(story->guests[0].limits, 1);
    story_free(story);
}
END_TEST

/* libvirt's rule for locked memory follows its hard_limit, which a memory.max of ours is. */
START_TEST(a_maximum_of_ours_is_no_drift_of_locked_memory)
{
    struct story *story = story_of_one();
    struct vm_snapshot *vm = story_vm(story, 0);
    story->rules->host.memlock = MEMLOCK_REPORT;
    vm->sources |= VM_SOURCE_LIBVIRT;
    vm->memlock_soft = vm->memlock_hard = 64 * MIB;
    vm->definition = (struct vm_definition){
        .memory = 8 * GIB, .hard_limit = MEMLOCK_UNLIMITED, .locked = TRISTATE_NO};
    give_class(story, 0);
    story_run_libvirt(story, 60 * SEC);
    ck_assert(is_ours(story, 0, VM_LIMIT_MEMORY_MAX));
    vm->definition.hard_limit = value_of(story, 0, VM_LIMIT_MEMORY_MAX);
    story_run_libvirt(story, 300 * SEC);
    ck_assert_uint_eq(story->alerts[REASON_MEMLOCK_DRIFT], 0);
    vm->definition.hard_limit = 10 * GIB;
    story_run_libvirt(story, 300 * SEC);
    ck_assert_uint_eq(story->alerts[REASON_MEMLOCK_DRIFT], 1);
    story_free(story);
}
END_TEST

START_TEST(a_device_that_comes_lifts_the_maximum)
{
    struct story *story = story_of_one();
    give_class(story, 0);
    story_run(story, 10 * SEC, SEC);
    ck_assert(is_ours(story, 0, VM_LIMIT_MEMORY_MAX) && is_ours(story, 0, VM_LIMIT_MEMORY_HIGH));
    story_vm(story, 0)->wiring.vfio_groups = 1;
    story_run(story, 2 * SEC, SEC);
    ck_assert_uint_eq(value_of(story, 0, VM_LIMIT_MEMORY_MAX), VM_LIMIT_NONE);
    ck_assert_uint_eq(value_of(story, 0, VM_LIMIT_MEMORY_HIGH), VM_LIMIT_NONE);
    ck_assert(is_ours(story, 0, VM_LIMIT_CPU_MAX));
    story_free(story);
}
END_TEST

START_TEST(without_a_cgroup_of_its_own_it_is_told)
{
    struct story *story = story_of_one();
    give_class(story, 0);
    for (int limit = 0; limit < VM_LIMIT_COUNT; limit++)
        set_value(story, 0, (enum vm_limit)limit, UNKNOWN);
    story_vm(story, 0)->limits.cpu_period = UNKNOWN;
    story_run(story, 300 * SEC, SEC);
    ck_assert_uint_eq(story->guests[0].limits, 0);
    ck_assert_uint_eq(story->alerts[REASON_CONTAIN_REFUSED], VM_LIMIT_COUNT);
    story_free(story);
}
END_TEST

/* Until its descriptors were looked at, nobody knows whether its memory is wired. */
START_TEST(who_is_not_known_yet_is_left_alone)
{
    struct story *story = story_of_one();
    give_class(story, 0);
    story_vm(story, 0)->wiring.kvm = TRISTATE_UNKNOWN;
    story_run(story, 10 * SEC, SEC);
    ck_assert_uint_eq(story->guests[0].limits, 0);
    ck_assert_uint_eq(story->alerts[REASON_CONTAIN_REFUSED], 0);
    story_free(story);
}
END_TEST

/* ---- for a shortage ---- */

/* There is swap, on a slow device: what it takes in ten seconds counts as available. */
#define SWAP_SPEED MIB
#define SWAP_USABLE (10 * MIB)

/* QEMU leaks beside a guest whose memory is all in use; of 16 GiB OTHER are somebody else's. */
static struct story *story_of_leak(uint64_t other)
{
    struct story *story = story_new(16 * GIB, other + SWAP_USABLE);
    story_swap(story, 16 * GIB, SWAP_SPEED, SWAP_SPEED);
    (void)story_guest(story, 4 * GIB, 4 * GIB);
    story->guests[0].overhead = GIB;
    story_vm(story, 0)->reclaim.possible = TRISTATE_NO; /* or the guard would have begun so */
    story_rules(story, 0)->rungs = RUNG_BIT(RUNG_BRAKE);
    return story;
}

START_TEST(who_outgrows_its_maximum_is_held_while_memory_is_scarce)
{
    struct story *story = story_of_leak(10 * GIB + 300 * MIB);
    story_run(story, 5 * SEC, SEC / 10);
    ck_assert_int_ge(story->plan->assessment.band, BAND_SCARCE);
    /* What it has it keeps; growth ends there. */
    ck_assert_uint_eq(value_of(story, 0, VM_LIMIT_MEMORY_HIGH), 5 * GIB);
    story->guests[0].overhead = GIB + 512 * MIB;
    story_run(story, 5 * SEC, SEC / 10);
    ck_assert_uint_eq(value_of(story, 0, VM_LIMIT_MEMORY_HIGH), 5 * GIB);
    /* What it gives back it does not get again. */
    story->guests[0].overhead = 512 * MIB;
    story_run(story, 2 * SEC, SEC / 10);
    ck_assert_uint_eq(value_of(story, 0, VM_LIMIT_MEMORY_HIGH), 4 * GIB + 512 * MIB);
    story->guests[0].overhead = 64 * MIB;
    story_run(story, 2 * SEC, SEC / 10);
    ck_assert_uint_eq(value_of(story, 0, VM_LIMIT_MEMORY_HIGH), 4 * GIB + 192 * MIB);
    /* In calm it is free again. */
    story->other = GIB;
    story_run(story, 60 * SEC, SEC);
    ck_assert_int_eq(story->plan->assessment.band, BAND_CALM);
    ck_assert_uint_eq(value_of(story, 0, VM_LIMIT_MEMORY_HIGH), VM_LIMIT_NONE);
    ck_assert(!is_ours(story, 0, VM_LIMIT_MEMORY_HIGH));
    story_free(story);
}
END_TEST

START_TEST(with_memory_to_spare_or_without_leave_nobody_is_held)
{
    struct story *story = story_of_leak(_i == 0 ? 4 * GIB : 10 * GIB + 300 * MIB);
    struct vm_snapshot *vm = story_vm(story, 0);
    if (_i == 1)
        story_rules(story, 0)->rungs = RUNGS_DEFAULT & ~RUNG_BIT(RUNG_KILL);
    if (_i == 2)
        vm->wiring.vfio_groups = 1;
    if (_i == 3)
        story->guests[0].overhead = 64 * MIB;
    if (_i == 4)
        story_rules(story, 0)->sacrifice = SACRIFICE_NEVER;
    if (_i == 5)
        vm->migration = VM_MIGRATION_OUTGOING;
    if (_i == 6)
        story->snapshot->host.swap_free = 0; /* full: what is reclaimed has no place */
    story_run(story, 20 * SEC, SEC);
    ck_assert_uint_eq(story->guests[0].limits, 0);
    story_free(story);
}
END_TEST

/* It was ballooned to 2 GiB, reached that, and then takes back what it gave. */
START_TEST(who_takes_ballooned_memory_back_is_held)
{
    struct story *story = story_new(16 * GIB, 12 * GIB + 500 * MIB + SWAP_USABLE);
    story_swap(story, 16 * GIB, SWAP_SPEED, SWAP_SPEED);
    (void)story_guest(story, 4 * GIB, 2 * GIB);
    struct vm_snapshot *vm = story_vm(story, 0);
    story_rules(story, 0)->rungs = RUNG_BIT(RUNG_BALLOON) | RUNG_BIT(RUNG_BRAKE);
    vm->measures.in_force = VM_MEASURE_BALLOON;
    vm->measures.balloon_target = vm->balloon.actual = 2 * GIB;
    vm->measures.balloon_before = 4 * GIB;
    story_run(story, 5 * SEC, SEC / 2);
    ck_assert_uint_eq(story->guests[0].limits, 0);
    story->guests[0].balloon_speed = 0;
    story->guests[0].touched = story->guests[0].wants = 2 * GIB + 700 * MIB;
    vm->balloon.actual = 4 * GIB;
    story_run(story, 5 * SEC, SEC / 2);
    ck_assert_int_ge(story->plan->assessment.band, BAND_SCARCE);
    ck_assert_uint_eq(story->guests[0].limits, 1);
    ck_assert_uint_eq(value_of(story, 0, VM_LIMIT_MEMORY_HIGH), 2 * GIB + 700 * MIB);
    story_free(story);
}
END_TEST

/* The lower of both holds, and the class's remains. */
START_TEST(class_and_shortage_together)
{
    struct story *story = story_of_leak(10 * GIB + 300 * MIB);
    story_rules(story, 0)->memory_high = (struct amount){AMOUNT_BYTES, 6 * GIB};
    story_run(story, 5 * SEC, SEC / 10);
    ck_assert_uint_eq(value_of(story, 0, VM_LIMIT_MEMORY_HIGH), 5 * GIB);
    story->other = GIB;
    story_run(story, 60 * SEC, SEC);
    ck_assert_uint_eq(value_of(story, 0, VM_LIMIT_MEMORY_HIGH), 6 * GIB);
    ck_assert(is_ours(story, 0, VM_LIMIT_MEMORY_HIGH));
    ck_assert_uint_eq(story->guests[0].unlimits, 0);
    story_free(story);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, a_class_sets_what_it_says_and_no_more);
    tcase_add_test(tests, a_class_that_says_nothing_sets_nothing);
    tcase_add_test(tests, one_limit_at_a_time);
    tcase_add_test(tests, who_never_answers_holds_up_nobody);
    tcase_add_test(tests, dry_run_tells_each_once);
    tcase_add_test(tests, what_another_has_set_is_only_tightened);
    tcase_add_loop_test(tests, a_rule_that_moves_moves_the_limit, 0, 2);
    tcase_add_test(tests, a_share_of_what_nobody_knows_is_left_as_it_is);
    tcase_add_test(tests, another_limit_over_ours_stays);
    tcase_add_test(tests, a_write_that_never_came_is_made_again);
    tcase_add_test(tests, a_refusal_of_the_kernels_is_not_repeated_at_once);
    tcase_add_test(tests, a_maximum_below_the_use_waits_until_there_is_room);
    tcase_add_loop_test(tests, a_wired_guest_has_no_maximum, 0, 3);
    tcase_add_test(tests, a_maximum_of_ours_is_no_drift_of_locked_memory);
    tcase_add_test(tests, a_device_that_comes_lifts_the_maximum);
    tcase_add_test(tests, without_a_cgroup_of_its_own_it_is_told);
    tcase_add_test(tests, who_is_not_known_yet_is_left_alone);
    tcase_add_test(tests, who_outgrows_its_maximum_is_held_while_memory_is_scarce);
    tcase_add_loop_test(tests, with_memory_to_spare_or_without_leave_nobody_is_held, 0, 7);
    tcase_add_test(tests, who_takes_ballooned_memory_back_is_held);
    tcase_add_test(tests, class_and_shortage_together);
}

int main(void)
{
    TCase *tests = tcase_create("contain");
    add_tests(tests);
    tcase_set_timeout(tests, 60); /* under valgrind */
    Suite *suite = suite_create("contain");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
