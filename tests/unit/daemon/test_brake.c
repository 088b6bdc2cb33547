/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The life of a brake: one VM whose process is a real child, two files that stand for its vCPUs'
 * cpu.max, and a QEMU that says what the test wants it to say.
 */
#include "act.h"
#include "fake_monitor.h"
#include "suite.h"
#include "vm.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <plimsoll/cleanup.h>

#define VCPUS 2
#define OURS "5000 100000\n"
#define NONE "max 100000\n"

static struct fake_monitor bench;

static const char *quota_path(unsigned vcpu)
{
    static char path[128];

    (void)snprintf(path, sizeof path, "unified/vcpu%u/cpu.max", vcpu);
    return path;
}

static void quota_put(unsigned vcpu, const char *text)
{
    fake_tree_write(bench.host.tree, quota_path(vcpu), "%s", text);
}

/* In a fake file a shorter text leaves the end of a longer one. */
static void quota_expect(unsigned vcpu, const char *text)
{
    char path[256];

    (void)snprintf(path, sizeof path, "%s/%s", bench.host.tree->folder, quota_path(vcpu));
    const char *found = scratch_read(path);
    ck_assert_msg(strncmp(found, text, strlen(text)) == 0, "vcpu%u has \"%s\"", vcpu, found);
}

static void quota_open(unsigned vcpu, int mode)
{
    char path[256];

    (void)snprintf(path, sizeof path, "%s/%s", bench.host.tree->folder, quota_path(vcpu));
    bench.vm->quota_fds[vcpu] = open(path, mode | O_CLOEXEC);
    ck_assert_int_ge(bench.vm->quota_fds[vcpu], 0);
    bench.vm->quota_count = vcpu + 1;
}

static void setup(void)
{
    fake_monitor_begin(&bench, true);
    for (unsigned i = 0; i < VCPUS; i++) {
        quota_put(i, NONE);
        quota_open(i, O_RDWR);
    }
}

static void teardown(void)
{
    fake_monitor_end(&bench);
}

static void brake_whole(void)
{
    ck_assert_int_eq(act_brake(bench.vm, MODE_ENFORCE, loop_now()), 0);
    fake_monitor_expect(&bench, VM_MEASURE_BRAKED);
    quota_expect(0, OURS);
    quota_expect(1, OURS);
}

START_TEST(puts_back_what_was_there)
{
    static const char *const before[] = {NONE, "20000 50000\n", "max 1000000\n", "5001 100000\n"};

    for (unsigned i = 0; i < VCPUS; i++)
        quota_put(i, before[_i]);
    brake_whole();
    ck_assert(known(ledger_get(bench.ledger, 0)->measures.braked_since));
    ck_assert_int_eq(act_brake(bench.vm, MODE_ENFORCE, loop_now()), -EALREADY);
    ck_assert_int_eq(act_release(bench.vm, MODE_ENFORCE), 0);
    fake_monitor_expect(&bench, 0);
    for (unsigned i = 0; i < VCPUS; i++)
        quota_expect(i, before[_i]);
    ck_assert_int_eq(act_release(bench.vm, MODE_ENFORCE), -EALREADY);
}
END_TEST

static const struct {
    const char *first, *second;
    int result;
} refused[] = {
    {NONE, "20000 100000\n", -ENOTUNIQ}, /* one value is remembered for all */
    {NONE, "max 50000\n", -ENOTUNIQ},
    {"5000 100000\n", "5000 100000\n", -ERANGE}, /* no more than that as it is */
    {"1000 100000\n", "1000 100000\n", -ERANGE}, {"max\n", "max\n", -EBADMSG},
    {"lots 100000\n", "lots 100000\n", -EBADMSG}, {"max 0\n", "max 0\n", -EBADMSG},
    {"max 100000", "max 100000", -EBADMSG}, /* cut */
};

START_TEST(leaves_alone_what_it_could_not_put_back)
{
    quota_put(0, refused[_i].first);
    quota_put(1, refused[_i].second);
    ck_assert_int_eq(act_brake(bench.vm, MODE_ENFORCE, loop_now()), refused[_i].result);
    fake_monitor_expect(&bench, 0);
    quota_expect(0, refused[_i].first);
    quota_expect(1, refused[_i].second);
}
END_TEST

START_TEST(without_cgroups_of_its_own)
{
    vm_close_quotas(bench.vm);
    ck_assert_int_eq(act_brake(bench.vm, MODE_ENFORCE, loop_now()), -ENODEV);
    fake_monitor_expect(&bench, 0);
}
END_TEST

START_TEST(dry_run_writes_nothing)
{
    ck_assert_int_eq(act_brake(bench.vm, MODE_DRY_RUN, loop_now()), 0);
    fake_monitor_expect(&bench, 0);
    quota_expect(0, NONE);
    quota_expect(1, NONE);
}
END_TEST

/* What the operator has set meanwhile stays. */
START_TEST(compares_before_it_restores)
{
    brake_whole();
    quota_put(0, "30000 100000\n");
    ck_assert_int_eq(act_release(bench.vm, MODE_ENFORCE), 0);
    fake_monitor_expect(&bench, 0);
    quota_expect(0, "30000 100000\n");
    quota_expect(1, NONE);
}
END_TEST

START_TEST(half_a_brake_is_none)
{
    (void)close(bench.vm->quota_fds[1]);
    quota_open(1, O_RDONLY);
    ck_assert_int_eq(act_brake(bench.vm, MODE_ENFORCE, loop_now()), -EBADF);
    fake_monitor_expect(&bench, 0);
    quota_expect(0, NONE);
    quota_expect(1, NONE);
}
END_TEST

START_TEST(never_over_a_pause)
{
    ck_assert_int_eq(act_pause(bench.vm, MODE_ENFORCE, loop_now()), 0);
    ck_assert_int_eq(act_brake(bench.vm, MODE_ENFORCE, loop_now()), -EBUSY);
    fake_monitor_settle(&bench);
    ck_assert_int_eq(act_brake(bench.vm, MODE_ENFORCE, loop_now()), -EBUSY);
    quota_expect(0, NONE);
}
END_TEST

/* A pause works under a brake, which is taken back beside it. */
START_TEST(a_pause_comes_over_a_brake)
{
    brake_whole();
    ck_assert_int_eq(act_pause(bench.vm, MODE_ENFORCE, loop_now()), 0);
    fake_monitor_settle(&bench);
    fake_monitor_expect(&bench, VM_MEASURE_STOPPED | VM_MEASURE_BRAKED);
    ck_assert_int_eq(act_release(bench.vm, MODE_ENFORCE), 0);
    fake_monitor_expect(&bench, VM_MEASURE_STOPPED);
    quota_expect(0, NONE);
}
END_TEST

/* Throttled, its threads would take long to end, and its memory with them. */
START_TEST(a_victim_is_released_first)
{
    brake_whole();
    ck_assert_int_eq(act_kill(bench.vm, REASON_KILL_FLOOR, false, MODE_ENFORCE, loop_now()), 0);
    fake_monitor_expect(&bench, VM_MEASURE_KILLED);
    quota_expect(0, NONE);
    quota_expect(1, NONE);
}
END_TEST

/* By index: under the brake, right after it, long after it. */
START_TEST(silence_is_our_own_doing)
{
    brake_whole();
    if (_i > 0)
        ck_assert_int_eq(act_release(bench.vm, MODE_ENFORCE), 0);
    if (_i > 1)
        bench.vm->brake_ended -= VM_BRAKE_GRACE + NSEC_PER_MINUTE;
    monitor_refresh(bench.monitor);
    (void)fake_monitor_hold(&bench, "\"query-status\"");
    fake_monitor_pass(&bench, MONITOR_TIMEOUT + NSEC_PER_SEC);
    ck_assert_int_eq((int)bench.vm->figures.monitor, _i > 1 ? VM_MONITOR_SILENT : VM_MONITOR_READY);
}
END_TEST

int main(void)
{
    if (!suite_has_pidfd())
        return suite_skip(SUITE_NO_PIDFD);

    Suite *suite = suite_create("brake");
    TCase *acts = tcase_create("acts");

    tcase_set_timeout(acts, 60);
    tcase_add_checked_fixture(acts, setup, teardown);
    tcase_add_loop_test(acts, puts_back_what_was_there, 0, 4);
    tcase_add_loop_test(acts, leaves_alone_what_it_could_not_put_back, 0, ELEMENTSOF(refused));
    tcase_add_test(acts, without_cgroups_of_its_own);
    tcase_add_test(acts, dry_run_writes_nothing);
    tcase_add_test(acts, compares_before_it_restores);
    tcase_add_test(acts, half_a_brake_is_none);
    tcase_add_test(acts, never_over_a_pause);
    tcase_add_test(acts, a_pause_comes_over_a_brake);
    tcase_add_test(acts, a_victim_is_released_first);
    tcase_add_loop_test(acts, silence_is_our_own_doing, 0, 3);
    suite_add_tcase(suite, acts);
    return suite_run(suite);
}
