/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The life of a pause and of a balloon target, between one VM whose process is a real child and a
 * QEMU that says word by word what the test wants it to say. Nothing is waited for.
 */
#include "act.h"
#include "fake_monitor.h"
#include "suite.h"
#include "vm.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <plimsoll/cleanup.h>

static struct fake_monitor bench;

static void setup(void)
{
    fake_monitor_begin(&bench, true);
    bench.heard[0] = '\0';
}

static void teardown(void)
{
    fake_monitor_end(&bench);
}

/* ---- pause ---- */

static void pause_whole(void)
{
    ck_assert_int_eq(act_pause(bench.vm, MODE_ENFORCE, loop_now()), 0);
    fake_monitor_settle(&bench);
    fake_monitor_expect(&bench, VM_MEASURE_STOPPED);
}

static void resume_whole(void)
{
    bench.heard[0] = '\0';
    ck_assert_int_eq(act_resume(bench.vm, MODE_ENFORCE, loop_now()), 0);
    fake_monitor_settle(&bench);
    ck_assert_msg(strncmp(bench.heard, "qmc", 3) == 0, "asked \"%s\"", bench.heard);
    ck_assert_uint_eq(fake_monitor_count(&bench, 'c'), 1);
    ck_assert(bench.fake.running);
    fake_monitor_expect(&bench, 0);
}

START_TEST(stop_with_its_event_is_ours)
{
    ck_assert_int_eq(act_pause(bench.vm, MODE_ENFORCE, loop_now()), 0);
    fake_monitor_expect(&bench, VM_MEASURE_STOP_SENT); /* before QEMU has so much as read it */
    fake_monitor_settle(&bench);
    fake_monitor_expect(&bench, VM_MEASURE_STOPPED);
    ck_assert_int_eq(bench.vm->figures.run_state, VM_RUN_PAUSED);
    ck_assert_int_eq(act_pause(bench.vm, MODE_ENFORCE, loop_now()), -EALREADY);
    resume_whole();
}
END_TEST

START_TEST(stop_without_an_event_is_somebody_elses)
{
    bench.fake.running = false; /* since our last look */
    ck_assert_int_eq(act_pause(bench.vm, MODE_ENFORCE, loop_now()), 0);
    fake_monitor_settle(&bench);
    fake_monitor_expect(&bench, 0);
    ck_assert_int_eq(bench.vm->figures.run_state, VM_RUN_PAUSED);
    ck_assert_int_eq(act_resume(bench.vm, MODE_ENFORCE, loop_now()), -EALREADY);
    ck_assert_uint_eq(fake_monitor_count(&bench, 'c'), 0);
}
END_TEST

/* Whether the STOP event came before the deadline or with the late answer. */
START_TEST(stop_that_drains_for_long_stays_ours)
{
    ck_assert_int_eq(act_pause(bench.vm, MODE_ENFORCE, loop_now()), 0);
    uint64_t id = fake_monitor_hold(&bench, "\"stop\"");
    if (_i == 0)
        fake_monitor_say_event(&bench, "STOP");
    fake_monitor_look(&bench);
    fake_monitor_expect(&bench, VM_MEASURE_STOP_SENT);
    fake_monitor_pass(&bench, MONITOR_STOP_TIMEOUT + NSEC_PER_SEC);
    fake_monitor_look(&bench);
    fake_monitor_expect(&bench, VM_MEASURE_STOP_SENT);
    if (_i != 0)
        fake_monitor_say_event(&bench, "STOP");
    bench.fake.running = false;
    ck_assert_int_eq(fake_qemu_reply(&bench.fake, id, "{}"), 0);
    fake_monitor_settle(&bench);
    fake_monitor_expect(&bench, VM_MEASURE_STOPPED);
    resume_whole();
}
END_TEST

START_TEST(late_stop_on_a_guest_paused_by_another_is_theirs)
{
    ck_assert_int_eq(act_pause(bench.vm, MODE_ENFORCE, loop_now()), 0);
    uint64_t id = fake_monitor_hold(&bench, "\"stop\"");
    fake_monitor_pass(&bench, MONITOR_STOP_TIMEOUT + NSEC_PER_SEC);
    fake_monitor_expect(&bench, VM_MEASURE_STOP_SENT);
    bench.fake.running = false;
    ck_assert_int_eq(fake_qemu_reply(&bench.fake, id, "{}"), 0);
    fake_monitor_settle(&bench);
    fake_monitor_expect(&bench, 0);
}
END_TEST

START_TEST(connection_lost_under_a_stop)
{
    bool stopped = _i == 0;

    ck_assert_int_eq(act_pause(bench.vm, MODE_ENFORCE, loop_now()), 0);
    (void)fake_monitor_hold(&bench, "\"stop\"");
    if (_i == 0)
        fake_monitor_say_event(&bench, "STOP");
    fake_monitor_look(&bench);
    fake_qemu_hang_up(&bench.fake);
    fake_monitor_look(&bench);
    fake_monitor_expect(&bench, VM_MEASURE_STOP_SENT);
    fake_monitor_pass(&bench, NSEC_PER_MINUTE); /* beyond any back-off */
    fake_monitor_expect(&bench, VM_MEASURE_STOP_SENT);
    bench.fake.running = !stopped;
    ck_assert_int_eq(fake_qemu_accept(&bench.fake), 0);
    ck_assert_int_eq(fake_qemu_greet(&bench.fake), 0);
    fake_monitor_settle(&bench);
    fake_monitor_expect(&bench, stopped ? VM_MEASURE_STOPPED : 0);
    if (stopped)
        resume_whole();
}
END_TEST

START_TEST(resumed_by_another)
{
    pause_whole();
    bench.fake.running = true;
    fake_monitor_say_event(&bench, "RESUME");
    fake_monitor_settle(&bench);
    fake_monitor_expect(&bench, 0);
    ck_assert_int_eq(act_resume(bench.vm, MODE_ENFORCE, loop_now()), -EALREADY);
    fake_monitor_settle(&bench);
    ck_assert_uint_eq(fake_monitor_count(&bench, 'c'), 0);
}
END_TEST

static const struct {
    const char *status, *migration;
} forbidden[] = {
    {"postmigrate", NULL},
    {"finish-migrate", NULL},
    {"inmigrate", NULL},
    {"io-error", NULL},
    {"paused", "{\"status\": \"active\"}"},
    {"paused", "{\"status\": \"device\"}"},
    {"paused", "{\"status\": \"postcopy-active\"}"},
    {"paused", "{\"status\": \"not known to us\"}"},
    {"paused", "{\"status\": 7}"},
};

START_TEST(never_cont_where_it_corrupts)
{
    pause_whole();
    bench.status = forbidden[_i].status;
    bench.migration = forbidden[_i].migration;
    ck_assert_int_eq(act_resume(bench.vm, MODE_ENFORCE, loop_now()), 0);
    fake_monitor_settle(&bench);
    fake_monitor_expect(&bench, VM_MEASURE_STOPPED);
    ck_assert_uint_eq(fake_monitor_count(&bench, 'c'), 0);
    bench.status = bench.migration = NULL;
    monitor_refresh(bench.monitor);
    fake_monitor_settle(&bench);
    resume_whole();
}
END_TEST

/* ---- freeze ---- */

START_TEST(frozen_guest_is_asked_nothing)
{
    ck_assert_int_eq(act_freeze(bench.vm, MODE_ENFORCE, loop_now()), 0);
    fake_host_await(bench.child, WSTOPPED);
    fake_monitor_expect(&bench, VM_MEASURE_FROZEN_SIGNAL);
    ck_assert_int_eq(act_pause(bench.vm, MODE_ENFORCE, loop_now()), -EALREADY);
    ck_assert_int_eq(act_freeze(bench.vm, MODE_ENFORCE, loop_now()), -EALREADY);
    uint64_t later = loop_now() + 10 * NSEC_PER_MINUTE;
    monitor_advance(bench.monitor, BAND_CALM, later);
    ck_assert_uint_gt(monitor_deadline(bench.monitor), later); /* else the loop would spin */
    ck_assert(!fake_qemu_has_heard(&bench.fake));
    ck_assert_str_eq(bench.heard, "");
    ck_assert_int_eq(act_thaw(bench.vm, MODE_ENFORCE), 0);
    fake_host_await(bench.child, WCONTINUED);
    fake_monitor_expect(&bench, 0);
    fake_monitor_pass(&bench, NSEC_PER_MINUTE);
    fake_monitor_settle(&bench);
    ck_assert_uint_gt(fake_monitor_count(&bench, 'q'), 0); /* it is asked again */
    ck_assert_uint_eq(fake_monitor_count(&bench, 's'), 0);
}
END_TEST

START_TEST(freeze_over_a_hanging_stop)
{
    ck_assert_int_eq(act_pause(bench.vm, MODE_ENFORCE, loop_now()), 0);
    uint64_t id = fake_monitor_hold(&bench, "\"stop\"");
    ck_assert_int_eq(act_freeze(bench.vm, MODE_ENFORCE, loop_now()), 0);
    fake_host_await(bench.child, WSTOPPED);
    fake_monitor_expect(&bench, VM_MEASURE_STOP_SENT | VM_MEASURE_FROZEN_SIGNAL);
    bench.heard[0] = '\0';
    ck_assert_int_eq(act_resume(bench.vm, MODE_ENFORCE, loop_now()), 0);
    fake_host_await(bench.child, WCONTINUED);
    fake_monitor_look(&bench);
    fake_monitor_expect(&bench, VM_MEASURE_STOP_SENT | VM_MEASURE_RESUMING);
    ck_assert_int_eq(act_freeze(bench.vm, MODE_ENFORCE, loop_now()), -EALREADY);
    fake_monitor_settle(&bench);
    ck_assert_uint_eq(fake_monitor_count(&bench, 'c'), 0); /* the stop is awaited */
    bench.heard[0] = '\0';
    fake_monitor_say_event(&bench, "STOP");
    bench.fake.running = false;
    ck_assert_int_eq(fake_qemu_reply(&bench.fake, id, "{}"), 0);
    fake_monitor_settle(&bench);
    ck_assert_uint_eq(fake_monitor_count(&bench, 'c'), 1);
    /* What the monitor asks for itself may stand between. */
    ck_assert_msg(strchr(bench.heard, 'q') < strchr(bench.heard, 'm') &&
                      strchr(bench.heard, 'm') < strchr(bench.heard, 'c'),
        "asked \"%s\"", bench.heard);
    ck_assert(bench.fake.running);
    fake_monitor_expect(&bench, 0);
}
END_TEST

/* ---- what is asked at all ---- */

START_TEST(nothing_is_asked_while_an_answer_is_overdue)
{
    pause_whole();
    monitor_refresh(bench.monitor);
    uint64_t id = fake_monitor_hold(&bench, "\"query-status\"");
    fake_monitor_pass(&bench, MONITOR_TIMEOUT + NSEC_PER_SEC);
    ck_assert_int_eq(bench.vm->figures.monitor, VM_MONITOR_SILENT);
    ck_assert_int_eq(bench.vm->figures.run_state, VM_RUN_UNKNOWN);
    ck_assert_int_eq(act_pause(bench.vm, MODE_ENFORCE, loop_now()), -EALREADY);
    ck_assert_int_eq(act_resume(bench.vm, MODE_ENFORCE, loop_now()), 0);
    uint64_t later = loop_now() + 10 * NSEC_PER_MINUTE;
    monitor_advance(bench.monitor, BAND_CALM, later);
    ck_assert_uint_gt(monitor_deadline(bench.monitor), later);
    fake_monitor_look(&bench);
    ck_assert(!fake_qemu_has_heard(&bench.fake));
    bench.heard[0] = '\0';
    ck_assert_int_eq(fake_qemu_reply(&bench.fake, id,
                         "{\"status\": \"paused\", \"singlestep\": false, \"running\": false}"),
        0);
    fake_monitor_settle(&bench);
    ck_assert_int_eq(bench.vm->figures.monitor, VM_MONITOR_READY);
    ck_assert_uint_eq(fake_monitor_count(&bench, 'c'), 1);
    fake_monitor_expect(&bench, 0);
}
END_TEST

START_TEST(dry_run_changes_nothing_in_qemu)
{
    fake_monitor_begin(&bench, _i != 0);
    fake_monitor_pass(&bench, 10 * NSEC_PER_MINUTE);
    fake_monitor_settle(&bench);
    ck_assert_uint_gt(fake_monitor_count(&bench, 'q'), 1);
    ck_assert_int_eq(bench.vm->figures.balloon.device, TRISTATE_YES);
    if (_i != 0)
        ck_assert_uint_gt(fake_monitor_count(&bench, 'i'), 0);
    else
        ck_assert_uint_eq(fake_monitor_count(&bench, 'i'), 0);
    ck_assert_int_eq(act_pause(bench.vm, MODE_DRY_RUN, loop_now()), 0);
    ck_assert_int_eq(act_freeze(bench.vm, MODE_DRY_RUN, loop_now()), 0);
    ck_assert_int_eq(act_balloon(bench.vm, GIB / 2, MODE_DRY_RUN, loop_now()), 0);
    fake_monitor_settle(&bench);
    ck_assert_uint_eq(fake_monitor_count(&bench, 's'), 0);
    ck_assert_uint_eq(bench.fake.balloon, GIB);
    fake_monitor_expect(&bench, 0);
    fake_monitor_end(&bench);
}
END_TEST

/* ---- balloon ---- */

START_TEST(balloon_ends_where_it_began)
{
    ck_assert_int_eq(act_balloon(bench.vm, GIB / 2, MODE_ENFORCE, loop_now()), 0);
    fake_monitor_expect(&bench, VM_MEASURE_BALLOON);
    fake_monitor_settle(&bench);
    ck_assert_uint_eq(bench.fake.balloon, GIB / 2);
    ck_assert_uint_eq(ledger_get(bench.ledger, 0)->measures.balloon_before, GIB);
    ck_assert_uint_eq(ledger_get(bench.ledger, 0)->measures.balloon_target, GIB / 2);
    ck_assert_int_eq(act_balloon(bench.vm, GIB / 4 * 3, MODE_ENFORCE, loop_now()), 0);
    fake_monitor_settle(&bench);
    fake_monitor_expect(&bench, VM_MEASURE_BALLOON);
    ck_assert_uint_eq(ledger_get(bench.ledger, 0)->measures.balloon_before, GIB);
    ck_assert_int_eq(act_balloon(bench.vm, GIB, MODE_ENFORCE, loop_now()), 0);
    fake_monitor_expect(&bench, VM_MEASURE_BALLOON); /* until QEMU has said yes */
    fake_monitor_settle(&bench);
    fake_monitor_expect(&bench, 0);
}
END_TEST

START_TEST(answer_to_an_inflate_does_not_end_the_deflate)
{
    ck_assert_int_eq(act_balloon(bench.vm, GIB / 2, MODE_ENFORCE, loop_now()), 0);
    uint64_t inflate = fake_monitor_hold(&bench, "\"balloon\"");
    ck_assert_int_eq(act_balloon(bench.vm, GIB, MODE_ENFORCE, loop_now()), 0);
    uint64_t deflate = fake_monitor_hold(&bench, "\"balloon\"");
    ck_assert_int_eq(fake_qemu_reply(&bench.fake, inflate, "{}"), 0);
    fake_monitor_look(&bench);
    fake_monitor_expect(&bench, VM_MEASURE_BALLOON);
    ck_assert_int_eq(fake_qemu_reply(&bench.fake, deflate, "{}"), 0);
    fake_monitor_look(&bench);
    fake_monitor_expect(&bench, 0);
}
END_TEST

int main(void)
{
    if (!suite_has_pidfd())
        return suite_skip(SUITE_NO_PIDFD);

    Suite *suite = suite_create("pause");
    TCase *acts = tcase_create("acts"), *dry = tcase_create("dry run");

    tcase_set_timeout(acts, 60);
    tcase_add_checked_fixture(acts, setup, teardown);
    tcase_add_test(acts, stop_with_its_event_is_ours);
    tcase_add_test(acts, stop_without_an_event_is_somebody_elses);
    tcase_add_loop_test(acts, stop_that_drains_for_long_stays_ours, 0, 2);
    tcase_add_test(acts, late_stop_on_a_guest_paused_by_another_is_theirs);
    tcase_add_loop_test(acts, connection_lost_under_a_stop, 0, 2);
    tcase_add_test(acts, resumed_by_another);
    tcase_add_loop_test(acts, never_cont_where_it_corrupts, 0, ELEMENTSOF(forbidden));
    tcase_add_test(acts, frozen_guest_is_asked_nothing);
    tcase_add_test(acts, freeze_over_a_hanging_stop);
    tcase_add_test(acts, nothing_is_asked_while_an_answer_is_overdue);
    tcase_add_test(acts, balloon_ends_where_it_began);
    tcase_add_test(acts, answer_to_an_inflate_does_not_end_the_deflate);
    suite_add_tcase(suite, acts);
    tcase_add_loop_test(dry, dry_run_changes_nothing_in_qemu, 0, 2);
    suite_add_tcase(suite, dry);
    return suite_run(suite);
}
