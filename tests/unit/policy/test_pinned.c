/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is told of limits on locked memory and of pins, how often, and the budget of pins. */
#include <check.h>

#include "story.h"
#include "suite.h"

#define SEC NSEC_PER_SEC
#define FORMULA (STORY_DOMAIN_MEMORY + GIB)

/* ---- alerts ---- */

START_TEST(an_alert_comes_once_for_each_state)
{
    struct story *story = story_of_domain();
    struct vm_snapshot *vm = story_vm(story, 0);
    story->rules->host.memlock = MEMLOCK_REPORT;
    story_run_libvirt(story, 300 * SEC);
    ck_assert_uint_eq(story->alerts[REASON_MEMLOCK_UNLIMITED], 1);
    vm->memlock_soft = vm->memlock_hard = 20 * GIB;
    story_run_libvirt(story, 300 * SEC);
    ck_assert_uint_eq(story->alerts[REASON_MEMLOCK_DRIFT], 1);
    vm->memlock_soft = vm->memlock_hard = 21 * GIB;
    story_run_libvirt(story, 300 * SEC);
    ck_assert_uint_eq(story->alerts[REASON_MEMLOCK_DRIFT], 2);
    vm->memlock_soft = vm->memlock_hard = FORMULA;
    story_run_libvirt(story, 300 * SEC);
    ck_assert_uint_eq(story->alerts[REASON_MEMLOCK_DRIFT], 2);
    vm->memlock_soft = MIB; /* QEMU goes by the soft one */
    story_run_libvirt(story, 300 * SEC);
    ck_assert_uint_eq(story->alerts[REASON_MEMLOCK_DRIFT], 3);
    /* One that flaps is told of once a minute. */
    for (int second = 0; second < 600; second++) {
        vm->memlock_soft = vm->memlock_hard = (second % 2 ? 20 : 21) * GIB;
        story_run_libvirt(story, SEC);
    }
    ck_assert_uint_le(story->alerts[REASON_MEMLOCK_DRIFT], 3 + 11);
    ck_assert_uint_eq(story->alerts[REASON_MEMLOCK_UNLIMITED], 1);
    story_free(story);
}
END_TEST

/* More guests than lines in one look: all are told of, a look later. */
START_TEST(everybody_gets_a_turn)
{
    struct story *story = story_new(640 * GIB, GIB);
    for (unsigned i = 0; i < STORY_GUESTS; i++) {
        unsigned guest = story_guest(story, 8 * GIB, GIB);
        story_vm(story, guest)->memlock_soft = story_vm(story, guest)->memlock_hard =
            MEMLOCK_UNLIMITED;
    }
    story_run_libvirt(story, 20 * SEC);
    ck_assert_uint_eq(story->alerts[REASON_MEMLOCK_UNLIMITED], STORY_GUESTS);
    story_free(story);
}
END_TEST

START_TEST(pins_that_grow_are_told)
{
    struct story *story = story_of_domain();
    struct vm_snapshot *vm = story_vm(story, 0);
    vm->memlock_soft = vm->memlock_hard = FORMULA;
    vm->locked = 0;
    story_run_libvirt(story, 30 * SEC);
    vm->locked = 4 * GIB; /* it starts */
    story_run_libvirt(story, 300 * SEC);
    ck_assert_uint_eq(story->alerts[REASON_PINNED_GROWTH], 0);
    vm->locked += 200 * MIB;
    story_run_libvirt(story, 100 * SEC);
    ck_assert_uint_eq(story->alerts[REASON_PINNED_GROWTH], 0);
    vm->locked += GIB;
    story_run_libvirt(story, 300 * SEC);
    ck_assert_uint_eq(story->alerts[REASON_PINNED_GROWTH], 1);
    uint64_t before = vm->locked;
    vm->locked = 0; /* a reboot */
    story_run_libvirt(story, 20 * SEC);
    vm->locked = before;
    story_run_libvirt(story, 300 * SEC);
    ck_assert_uint_eq(story->alerts[REASON_PINNED_GROWTH], 1);
    story_free(story);
}
END_TEST

/* ---- the budget of pins ---- */

START_TEST(pins_are_summed_for_host_and_nodes)
{
    struct story *story = story_new(64 * GIB, 2 * GIB);
    story_nodes(story, 2);
    (void)story_guest_at(story, 8 * GIB, 6 * GIB, 0, 1);
    (void)story_guest_at(story, 8 * GIB, 4 * GIB, 1, 2);
    (void)story_guest_at(story, 8 * GIB, 4 * GIB, 1, 2);
    story_vm(story, 0)->locked = 6 * GIB;
    story_vm(story, 0)->pinned = 6 * GIB; /* the same pages, for another device */
    story_vm(story, 1)->locked = 3 * GIB;
    story_vm(story, 2)->locked = 100 * GIB; /* locked on fault: most of it is not there yet */
    story_run(story, SEC, SEC);
    const struct pool_view *pools = story->plan->assessment.pools;
    ck_assert_uint_eq(pools[0].pinned, 13 * GIB);
    ck_assert_uint_eq(pools[1].pinned, 13 * GIB);
    ck_assert_uint_eq(pools[2].pinned, 6 * GIB);
    ck_assert_uint_eq(pools[3].pinned, 7 * GIB);
    story_vm(story, 0)->locked = UNKNOWN;
    story_run(story, SEC, SEC);
    ck_assert_uint_eq(pools[0].pinned, 7 * GIB);
    story_free(story);
}
END_TEST

START_TEST(a_node_beyond_the_limit_is_told_once)
{
    struct story *story = story_new(64 * GIB, 2 * GIB);
    story_nodes(story, 2);
    (void)story_guest_at(story, 24 * GIB, 20 * GIB, 1, 2);
    struct vm_snapshot *vm = story_vm(story, 0);
    vm->locked = 15 * GIB;
    story->rules->host.pinned_limit = (struct amount){AMOUNT_SHARE, 5000};
    story_run_libvirt(story, 120 * SEC);
    ck_assert_uint_eq(story->alerts[REASON_PINNED_LIMIT], 0);
    vm->locked = 17 * GIB; /* of 32 GiB */
    ck_assert(story_until(story, ACTION_ALERT, ACTION_SLOT_HOST, 10 * SEC, SEC));
    const struct action *alert = story_find(story, ACTION_ALERT, ACTION_SLOT_HOST);
    ck_assert_int_eq(alert->reason, REASON_PINNED_LIMIT);
    ck_assert_int_eq(alert->pool, POOL_NODE);
    ck_assert_uint_eq(alert->node, 1);
    ck_assert_uint_eq(alert->deficit, GIB);
    story_run_libvirt(story, 120 * SEC);
    vm->locked = 15 * GIB + 900 * MIB; /* hardly below it */
    story_run_libvirt(story, 120 * SEC);
    vm->locked = 17 * GIB;
    story_run_libvirt(story, 120 * SEC);
    ck_assert_uint_eq(story->alerts[REASON_PINNED_LIMIT], 1);
    vm->locked = 10 * GIB;
    story_run_libvirt(story, 120 * SEC);
    vm->locked = 17 * GIB;
    story_run_libvirt(story, 120 * SEC);
    ck_assert_uint_eq(story->alerts[REASON_PINNED_LIMIT], 2);
    story_free(story);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("pinned");
    tcase_add_test(tests, an_alert_comes_once_for_each_state);
    tcase_add_test(tests, everybody_gets_a_turn);
    tcase_add_test(tests, pins_that_grow_are_told);
    tcase_add_test(tests, pins_are_summed_for_host_and_nodes);
    tcase_add_test(tests, a_node_beyond_the_limit_is_told_once);
    tcase_set_timeout(tests, 60); /* under valgrind */
    Suite *suite = suite_create("pinned");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
