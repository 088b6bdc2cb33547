/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * RLIMIT_MEMLOCK of a real child: lowered and compared as anybody may; capped by the act and given
 * back by it and by undo where the test has CAP_SYS_RESOURCE, which raising a hard limit takes.
 */
#include "act.h"
#include "process.h"
#include "suite.h"
#include "undo_scene.h"

#include <check.h>
#include <errno.h>
#include <linux/capability.h>
#include <plimsoll/policy.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static struct process_memlock limit_now(void)
{
    struct rlimit limit;

    ck_assert_int_eq(prlimit(scene.child, RLIMIT_MEMLOCK, NULL, &limit), 0);
    return (struct process_memlock){
        limit.rlim_cur == RLIM_INFINITY ? MEMLOCK_UNLIMITED : limit.rlim_cur,
        limit.rlim_max == RLIM_INFINITY ? MEMLOCK_UNLIMITED : limit.rlim_max};
}

static void expect_limit(uint64_t soft, uint64_t hard)
{
    const struct process_memlock now = limit_now();

    ck_assert_uint_eq(now.soft, soft);
    ck_assert_uint_eq(now.hard, hard);
}

static bool may_raise(void)
{
    static const char key[] = "CapEff:";
    unsigned long long effective = 0;
    char line[256];
    FILE *file = fopen("/proc/self/status", "re");

    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, key, strlen(key)) == 0)
            effective = strtoull(line + strlen(key), NULL, 16);
    if (file)
        (void)fclose(file);
    return effective >> CAP_SYS_RESOURCE & 1;
}

START_TEST(lowered_only_from_what_is_expected)
{
    struct process_memlock before, other, low = {256 * KIB, 512 * KIB};

    undo_child_start(NULL);
    int pidfd = process_hold(scene.child);
    ck_assert_int_ge(pidfd, 0);
    ck_assert_int_eq(process_memlock_read(scene.child, pidfd, &before), 0);
    expect_limit(before.soft, before.hard);
    other = before;
    other.soft ^= 1;
    ck_assert_int_eq(process_memlock_exchange(scene.child, pidfd, &other, &low), -ESTALE);
    other = before;
    other.hard ^= 1;
    ck_assert_int_eq(process_memlock_exchange(scene.child, pidfd, &other, &low), -ESTALE);
    expect_limit(before.soft, before.hard);
    ck_assert_int_eq(process_memlock_exchange(scene.child, pidfd, &before, &low), 0);
    expect_limit(low.soft, low.hard);
    kill(scene.child, SIGKILL);
    ck_assert_int_eq(waitid(P_PID, (id_t)scene.child, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
    ck_assert_int_eq(process_memlock_read(scene.child, pidfd, &other), -ESRCH);
    (void)close(pidfd);
}
END_TEST

START_TEST(raised_by_nobody_without_the_right)
{
    struct process_memlock before, high;

    undo_child_start(NULL);
    int pidfd = process_hold(scene.child);
    ck_assert_int_eq(process_memlock_read(scene.child, pidfd, &before), 0);
    high = (struct process_memlock){before.soft, before.hard + 4096};
    ck_assert_int_eq(process_memlock_exchange(scene.child, pidfd, &before, &high), -EPERM);
    expect_limit(before.soft, before.hard);
    (void)close(pidfd);
}
END_TEST

/* ---- with the right ---- */

/* The child as the guard holds it, without a limit. */
static struct vm *vm_make(void)
{
    static const struct roots roots = {.proc = "/proc", .sys = "/sys"};
    const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
    struct cgroup_mounts *mounts = NULL;
    struct vm *vm = NULL;

    undo_child_start(NULL);
    ck_assert_int_eq(prlimit(scene.child, RLIMIT_MEMLOCK, &none, NULL), 0);
    undo_put(0, "web", (struct vm_measures){.in_force = VM_MEASURE_OOM_SCORE});
    const struct vm_identity identity = ledger_get(scene.ledger, 0)->identity;
    ledger_clear(scene.ledger, 0);
    ck_assert_int_eq(cgroup_mounts_new(&roots, &mounts), 0);
    ck_assert_int_eq(vm_new(0, &identity, &roots, mounts, scene.ledger, &vm), 0);
    cgroup_mounts_free(mounts);
    (void)snprintf(vm->figures.name, sizeof vm->figures.name, "web");
    vm->figures.memlock_soft = vm->figures.memlock_hard = MEMLOCK_UNLIMITED;
    return vm;
}

START_TEST(capped_and_given_back)
{
    const bool by_undo = _i == 1;
    struct vm *vm = vm_make();

    ck_assert_int_eq(act_memlock(vm, GIB - 1, MODE_ENFORCE), -ERANGE);
    expect_limit(MEMLOCK_UNLIMITED, MEMLOCK_UNLIMITED);
    ck_assert_int_eq(act_memlock(vm, 2 * GIB, MODE_ENFORCE), 0);
    expect_limit(2 * GIB, 2 * GIB);
    ck_assert_uint_eq(undo_in_force(0), VM_MEASURE_MEMLOCK);
    if (by_undo)
        ck_assert_uint_eq(undo_run(NULL), 0);
    else
        ck_assert_int_eq(act_memlock_restore(vm), 0);
    expect_limit(MEMLOCK_UNLIMITED, MEMLOCK_UNLIMITED);
    ck_assert_uint_eq(undo_in_force(0), 0);
    vm_free(vm);
}
END_TEST

START_TEST(changed_by_another_it_stays)
{
    const bool by_undo = _i == 1;
    const struct rlimit theirs = {3 * GIB, 3 * GIB};
    struct vm *vm = vm_make();

    ck_assert_int_eq(act_memlock(vm, 2 * GIB, MODE_ENFORCE), 0);
    ck_assert_int_eq(prlimit(scene.child, RLIMIT_MEMLOCK, &theirs, NULL), 0);
    if (by_undo)
        ck_assert_uint_eq(undo_run(NULL), 0);
    else
        ck_assert_int_eq(act_memlock_restore(vm), 0);
    expect_limit(3 * GIB, 3 * GIB);
    ck_assert_uint_eq(undo_in_force(0), 0);
    vm_free(vm);
}
END_TEST

int main(void)
{
    if (!suite_has_pidfd())
        return suite_skip(SUITE_NO_PIDFD);

    Suite *suite = suite_create("memlock real");
    TCase *tests = tcase_create("memlock real");

    tcase_add_checked_fixture(tests, undo_scene_setup, undo_scene_teardown);
    tcase_add_test(tests, lowered_only_from_what_is_expected);
    if (may_raise()) {
        tcase_add_loop_test(tests, capped_and_given_back, 0, 2);
        tcase_add_loop_test(tests, changed_by_another_it_stays, 0, 2);
    } else {
        (void)fprintf(stderr, "capping and giving back of a real limit is left out: raising a hard "
                              "limit takes CAP_SYS_RESOURCE, which is lacking here\n");
        tcase_add_test(tests, raised_by_nobody_without_the_right);
    }
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
