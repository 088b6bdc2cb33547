/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guard's clean exit, guard_leave(), with real processes as guests: what it makes of freezes
 * whatever is configured, and what it gives back with on-exit=restore. Where it would go on looking
 * for room or for an answer, the fake host becomes tight and ends that.
 */
#include "act.h"
#include "fake_guest.h"
#include "process.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <plimsoll/cleanup.h>

#define SCORE_BEFORE (-250)

static struct fake_host host;
static struct fake_guest one, two;

static struct vm *vm_of(const struct fake_guest *guest)
{
    return fake_guest_vm(&host, guest->pid);
}

/* These are in force, the ledger says so, too, and nothing else is. */
static void expect_measures(const struct vm *vm, uint32_t measures)
{
    const struct ledger_entry *entry = ledger_get(host.guard->ledger, vm->slot);

    ck_assert_uint_eq(vm->figures.measures.in_force, measures);
    ck_assert_uint_eq(entry ? entry->measures.in_force : 0, measures);
}

static void begin(const char *on_exit, uint64_t available)
{
    fake_guest_host(&host, on_exit);
    fake_host_set_available(&host, available);
    fake_guest_start(&one, &host, "one", 7 * GIB);
    fake_guest_start(&two, &host, "two", 7 * GIB);
    fake_host_start_guard(&host);
    fake_guest_await_monitor(&host, &one);
    fake_guest_await_monitor(&host, &two);
    /* What guard_leave() goes by is the last look; this one decides, and acts on nothing. */
    guard_reckon(host.guard, loop_now());
}

static void end(void)
{
    fake_guest_end(&one);
    fake_guest_end(&two);
    fake_host_end(&host);
}

static int score_get(pid_t pid)
{
    char path[128];
    int32_t score = 0;

    (void)snprintf(path, sizeof path, "%s/%d/oom_score_adj", host.tree->proc, (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(process_score_read(fd, &score), 0);
    (void)close(fd);
    return score;
}

/* ---- freezes ---- */

START_TEST(freeze_becomes_a_pause)
{
    begin("keep", 10 * GIB);
    ck_assert_int_eq(act_freeze(vm_of(&one), MODE_ENFORCE, loop_now()), 0);
    fake_host_await(one.pid, WSTOPPED);
    guard_leave(host.guard);
    expect_measures(vm_of(&one), VM_MEASURE_STOPPED);
    ck_assert_int_ne(fake_host_real_state(one.pid), 'T');
    ck_assert(!one.record->running);
    ck_assert_uint_eq(one.record->stops, 1);
    ck_assert_uint_eq(one.record->conts, 0);
    expect_measures(vm_of(&two), 0);
    ck_assert_uint_eq(two.record->stops, 0);
    end();
}
END_TEST

START_TEST(freeze_without_a_monitor_stays)
{
    fake_guest_host(&host, "keep");
    pid_t pid = fake_host_guest(&host, "alone", 4 * GIB);
    fake_host_start_guard(&host);
    guard_reckon(host.guard, loop_now());
    const struct vm *vm = fake_guest_vm(&host, pid);
    ck_assert_int_eq(act_freeze(fake_guest_vm(&host, pid), MODE_ENFORCE, loop_now()), 0);
    fake_host_await(pid, WSTOPPED);
    guard_leave(host.guard);
    ck_assert_int_eq(fake_host_real_state(pid), 'T');
    expect_measures(vm, VM_MEASURE_FROZEN_SIGNAL);
    fake_host_end(&host);
}
END_TEST

/* ---- measures ---- */

static void take_measures(void)
{
    fake_guest_inflate(&host, &one, 6 * GIB);
    fake_guest_pause(&host, &one);
    ck_assert_int_eq(act_oom_score(vm_of(&one), &host.guard->roots, -100, MODE_ENFORCE), 0);
    fake_guest_pause(&host, &two);
    expect_measures(vm_of(&one), VM_MEASURE_BALLOON | VM_MEASURE_STOPPED | VM_MEASURE_OOM_SCORE);
}

START_TEST(restore_gives_everything_back_in_calm)
{
    begin("restore", 12 * GIB);
    ck_assert_int_eq(host.guard->plan->assessment.band, BAND_CALM);
    take_measures();
    guard_leave(host.guard);
    expect_measures(vm_of(&one), 0);
    expect_measures(vm_of(&two), 0);
    ck_assert(one.record->running && two.record->running);
    ck_assert_uint_eq(one.record->balloon, FAKE_GUEST_RAM);
    ck_assert_uint_eq(one.record->conts, 1);
    ck_assert_uint_eq(two.record->conts, 1);
    ck_assert_int_eq(score_get(one.pid), SCORE_BEFORE);
    end();
}
END_TEST

/* Configured to keep, or without the room to give: nothing is touched. */
static const struct {
    const char *on_exit;
    uint64_t available;
    enum band band;
} keeping[] = {
    {"keep", 12 * GIB, BAND_CALM},
    {"restore", 2304 * MIB, BAND_TIGHT},
    {"restore", 100 * MIB, BAND_CRITICAL},
};

START_TEST(measures_are_kept)
{
    begin(keeping[_i].on_exit, keeping[_i].available);
    ck_assert_int_eq(host.guard->plan->assessment.band, keeping[_i].band);
    take_measures();
    guard_leave(host.guard);
    expect_measures(vm_of(&one), VM_MEASURE_BALLOON | VM_MEASURE_STOPPED | VM_MEASURE_OOM_SCORE);
    expect_measures(vm_of(&two), VM_MEASURE_STOPPED);
    ck_assert_uint_eq(one.record->conts + two.record->conts, 0);
    ck_assert_uint_eq(one.record->balloons, 0);
    ck_assert_int_eq(score_get(one.pid), -100);
    end();
}
END_TEST

/* Each would take 5 GiB of some 11: both at once is more than half. The first takes what it was
 * given, and more. */
START_TEST(no_more_than_half_at_once)
{
    begin("restore", 12 * GIB);
    fake_guest_inflate(&host, &one, 3 * GIB);
    fake_guest_inflate(&host, &two, 3 * GIB);
    guard_reckon(host.guard, loop_now());
    uint64_t room = (uint64_t)host.guard->plan->assessment.pools[0].headroom;
    ck_assert_uint_gt(room / 2, 5 * GIB);
    ck_assert_uint_lt(room / 2, 10 * GIB);
    one.record->available_then = two.record->available_then = 2 * GIB;
    guard_leave(host.guard);
    ck_assert_uint_eq(one.record->balloons + two.record->balloons, 1);
    const struct fake_guest *kept = one.record->balloons == 0 ? &one : &two;
    expect_measures(vm_of(kept), VM_MEASURE_BALLOON);
    ck_assert_uint_eq(kept->record->balloon, 3 * GIB);
    end();
}
END_TEST

/* The second guest's balloon comes one look after its resume, and ends the restore: at that look
 * the first, which has refused, could have been asked again. */
START_TEST(refused_resume_is_not_tried_again)
{
    begin("restore", 12 * GIB);
    one.record->refuses_cont = true;
    fake_guest_pause(&host, &one);
    fake_guest_inflate(&host, &two, 7 * GIB);
    fake_guest_pause(&host, &two);
    two.record->available_then = 2 * GIB;
    guard_leave(host.guard);
    ck_assert_uint_eq(two.record->conts, 1);
    ck_assert_uint_eq(two.record->balloons, 1);
    expect_measures(vm_of(&two), 0);
    ck_assert_uint_eq(one.record->conts, 1);
    expect_measures(vm_of(&one), VM_MEASURE_STOPPED);
    end();
}
END_TEST

int main(void)
{
    if (!suite_has_pidfd())
        return suite_skip(SUITE_NO_PIDFD);

    Suite *suite = suite_create("leave");
    TCase *leave = tcase_create("leave");

    tcase_set_timeout(leave, 60);
    tcase_add_test(leave, freeze_becomes_a_pause);
    tcase_add_test(leave, freeze_without_a_monitor_stays);
    tcase_add_test(leave, restore_gives_everything_back_in_calm);
    tcase_add_loop_test(leave, measures_are_kept, 0, ELEMENTSOF(keeping));
    tcase_add_test(leave, no_more_than_half_at_once);
    tcase_add_test(leave, refused_resume_is_not_tried_again);
    suite_add_tcase(suite, leave);
    return suite_run(suite);
}
