/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The cap on locked memory, from a guest's figures to its limit and back: acts, whole ticks, a
 * guard's end and the next one. Guests are real children, their limit is limits_scene's.
 */
#include "act.h"
#include "fake_guest.h"
#include "limits_scene.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <plimsoll/policy.h>

/* VmLck and VmPin of the fake guest. */
#define USE (3 * MIB)
#define CAP (4 * GIB)
#define MEMORY (2 * GIB)
#define UNLIMITED RLIM_INFINITY

static struct fake_host host;
static pid_t pid;

static struct vm *vm_here(void)
{
    return fake_guest_vm(&host, pid);
}

static const struct ledger_entry *entry_here(void)
{
    return ledger_get(host.guard->ledger, vm_here()->slot);
}

/* libvirt's side, which is to fill this. */
static void define(void)
{
    struct vm_snapshot *figures = &vm_here()->figures;

    figures->sources |= VM_SOURCE_LIBVIRT;
    figures->migration = VM_MIGRATION_NONE;
    figures->definition = (struct vm_definition){.confirmed = host.now,
        .memory = MEMORY,
        .hard_limit = MEMLOCK_UNLIMITED,
        .locked = TRISTATE_NO,
        .viommu = TRISTATE_NO,
        .vfio_devices = 1,
        .version = 11003000};
}

static void setup(void)
{
    char path[64];

    limits_begin();
    fake_guest_host(&host, "restore");
    fake_tree_write(host.tree, "plimsoll.conf",
        "[guard]\nmode=enforce\non-exit=restore\nqmp-directory=/nonexistent\nmax-vms=8\n"
        "[memlock]\nmode=enforce\n[class default]\nmode=enforce\n");
    fake_host_set_available(&host, 12 * GIB);
    pid = fake_host_guest(&host, "one", 2 * GIB);
    (void)snprintf(path, sizeof path, "proc/%d/status", (int)pid);
    fake_tree_write(host.tree, path,
        "Name:\tqemu\nState:\tS (sleeping)\nUid:\t64055\t64055\t64055\t64055\nVmLck:\t    1024 kB\n"
        "VmPin:\t    2048 kB\nRssAnon:\t 2097152 kB\nRssFile:\t     256 kB\nRssShmem:\t   0 kB\n");
    fake_host_start_guard(&host);
    host.guard->snapshot->host.scores_raise_only = false;
    fake_host_tick(&host, NSEC_PER_SEC);
    limits.sets = 0; /* the rehearsal's */
}

static void teardown(void)
{
    fake_host_end(&host);
}

static void expect_nothing_in_force(void)
{
    ck_assert_uint_eq(vm_here()->figures.measures.in_force & VM_MEASURE_MEMLOCK, 0);
    const struct ledger_entry *entry = entry_here();
    ck_assert(!entry || !(entry->measures.in_force & VM_MEASURE_MEMLOCK));
}

/* ---- the act ---- */

static bool was_in_ledger;

static void look_into_ledger(void)
{
    const struct ledger_entry *entry = entry_here();

    was_in_ledger = entry && (entry->measures.in_force & VM_MEASURE_MEMLOCK) &&
                    entry->measures.memlock_set == CAP && entry->memlock_soft_before == 64 * MIB &&
                    entry->memlock_hard_before == MEMLOCK_UNLIMITED;
}

START_TEST(capped_and_restored)
{
    ck_assert_uint_eq(vm_here()->figures.uid, 64055);
    limits.before_set = look_into_ledger;
    ck_assert_int_eq(act_memlock(vm_here(), CAP, MODE_ENFORCE), 0);
    ck_assert(was_in_ledger);
    ck_assert(limits_are(CAP, CAP));
    ck_assert_uint_eq(vm_here()->figures.memlock_soft, CAP);
    ck_assert_uint_eq(vm_here()->figures.memlock_hard, CAP);
    ck_assert_int_eq(act_memlock(vm_here(), CAP, MODE_ENFORCE), -EALREADY);
    ck_assert_uint_eq(limits.sets, 1);
    ck_assert_int_eq(act_memlock_restore(vm_here()), 0);
    ck_assert(limits_are(64 * MIB, UNLIMITED));
    expect_nothing_in_force();
    ck_assert_int_eq(act_memlock_restore(vm_here()), -EALREADY);
    ck_assert_uint_eq(limits.sets, 2);
}
END_TEST

/* At the present use, or short of the room above it: QEMU would abort at the guest's reboot. */
START_TEST(naive_cap_is_refused)
{
    const uint64_t caps[] = {0, USE, GIB, USE + GIB - 1};

    for (size_t i = 0; i < sizeof caps / sizeof caps[0]; i++)
        ck_assert_int_eq(act_memlock(vm_here(), caps[i], MODE_ENFORCE), -ERANGE);
    ck_assert_int_eq(act_memlock(vm_here(), MEMLOCK_UNLIMITED, MODE_ENFORCE), -EINVAL);
    ck_assert_int_eq(act_memlock(vm_here(), UNKNOWN, MODE_ENFORCE), -EINVAL);
    ck_assert_uint_eq(limits.sets, 0);
    expect_nothing_in_force();
    ck_assert_int_eq(act_memlock(vm_here(), USE + GIB, MODE_ENFORCE), 0);
}
END_TEST

/* Use is looked at right before, not as it was when the cap was decided. */
START_TEST(use_that_grew_since_counts)
{
    char path[64];

    (void)snprintf(path, sizeof path, "proc/%d/status", (int)pid);
    fake_tree_write(host.tree, path,
        _i == 0 ? "VmLck:\t 3145728 kB\nVmPin:\t 4 kB\n" : "VmLck:\t 3145728 kB\n");
    ck_assert_int_eq(act_memlock(vm_here(), CAP, MODE_ENFORCE), _i == 0 ? -ERANGE : -EBADMSG);
    ck_assert_uint_eq(limits.sets, 0);
}
END_TEST

START_TEST(dry_run_sets_nothing)
{
    ck_assert_int_eq(act_memlock(vm_here(), CAP, MODE_DRY_RUN), 0);
    ck_assert_int_eq(act_memlock(vm_here(), USE, MODE_DRY_RUN), -ERANGE);
    ck_assert_uint_eq(limits.sets, 0);
    expect_nothing_in_force();
}
END_TEST

START_TEST(refused_by_the_kernel_leaves_nothing)
{
    limits.error = EPERM;
    ck_assert_int_eq(act_memlock(vm_here(), CAP, MODE_ENFORCE), -EPERM);
    expect_nothing_in_force();
    limits.error = 0;
    ck_assert_int_eq(act_memlock(vm_here(), CAP, MODE_ENFORCE), 0);
    /* What cannot be given back stays in the ledger. */
    limits.error = EPERM;
    ck_assert_int_eq(act_memlock_restore(vm_here()), -EPERM);
    ck_assert_ptr_nonnull(entry_here());
    ck_assert(entry_here()->measures.in_force & VM_MEASURE_MEMLOCK);
    limits.error = 0;
}
END_TEST

/* libvirt has raised or set the limit since the guard looked. */
START_TEST(another_limit_than_decided_on_is_left)
{
    limits.limit = _i == 0 ? (struct rlimit){5 * GIB, 5 * GIB} : (struct rlimit){GIB, UNLIMITED};
    ck_assert_int_eq(act_memlock(vm_here(), CAP, MODE_ENFORCE), -ESTALE);
    ck_assert_uint_eq(limits.sets, 0);
    expect_nothing_in_force();
}
END_TEST

static void somebody_sets(void)
{
    limits.limit = (struct rlimit){7 * GIB, 7 * GIB};
}

START_TEST(who_is_quicker_wins)
{
    limits.before_set = somebody_sets;
    ck_assert_int_eq(act_memlock(vm_here(), CAP, MODE_ENFORCE), -ESTALE);
    ck_assert(limits_are(7 * GIB, 7 * GIB));
    expect_nothing_in_force();
    limits_begin();
    ck_assert_int_eq(act_memlock(vm_here(), CAP, MODE_ENFORCE), 0);
    limits.before_set = somebody_sets;
    ck_assert_int_eq(act_memlock_restore(vm_here()), 0);
    ck_assert(limits_are(7 * GIB, 7 * GIB));
    expect_nothing_in_force();
}
END_TEST

START_TEST(a_limit_is_never_raised)
{
    limits.limit = (struct rlimit){3 * GIB, 3 * GIB};
    vm_here()->figures.memlock_soft = vm_here()->figures.memlock_hard = 3 * GIB;
    ck_assert_int_eq(act_memlock(vm_here(), CAP, MODE_ENFORCE), -EALREADY);
    ck_assert_int_eq(act_memlock(vm_here(), 3 * GIB, MODE_ENFORCE), -EALREADY);
    ck_assert_uint_eq(limits.sets, 0);
}
END_TEST

START_TEST(either_part_that_changed_stays)
{
    ck_assert_int_eq(act_memlock(vm_here(), CAP, MODE_ENFORCE), 0);
    limits.limit = _i == 0 ? (struct rlimit){CAP, 9 * GIB} : (struct rlimit){GIB, CAP};
    const struct rlimit theirs = limits.limit;
    ck_assert_int_eq(act_memlock_restore(vm_here()), 0);
    ck_assert(limits_are(theirs.rlim_cur, theirs.rlim_max));
    expect_nothing_in_force();
}
END_TEST

START_TEST(who_has_ended_is_not_capped)
{
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    fake_host_await(pid, WEXITED);
    ck_assert_int_eq(act_memlock(vm_here(), CAP, MODE_ENFORCE), -ESRCH);
    ck_assert_uint_eq(limits.sets, 0);
}
END_TEST

/* ---- the whole way ---- */

static const char *words(rlim_t limit, char buffer[32])
{
    if (limit == UNLIMITED)
        return "unlimited";
    (void)snprintf(buffer, 32, "%llu", (unsigned long long)limit);
    return buffer;
}

/* A tick to which /proc says what the limit is, and libvirt's side what it holds. A score is a
 * regular file here, of which a shorter one leaves the rest. */
static void tick(void)
{
    char path[64], soft[32], hard[32];

    (void)snprintf(path, sizeof path, "proc/%d/oom_score_adj", (int)pid);
    fake_tree_write(host.tree, path, "%d\n", (int)vm_here()->figures.oom_score_adj);
    (void)snprintf(path, sizeof path, "proc/%d/limits", (int)pid);
    fake_tree_write(host.tree, path, "Limit\nMax locked memory         %s   %s   bytes\n",
        words(limits.limit.rlim_cur, soft), words(limits.limit.rlim_max, hard));
    define();
    fake_host_tick(&host, NSEC_PER_SEC);
}

static void live(void)
{
    for (unsigned i = 0; i < 180; i++)
        tick();
}

START_TEST(a_domain_without_a_limit_gets_one)
{
    live();
    ck_assert(limits_are(MEMORY + GIB, MEMORY + GIB));
    ck_assert_uint_eq(limits.sets, 1);
    ck_assert(vm_has(vm_here(), VM_MEASURE_MEMLOCK));
    live();
    ck_assert_uint_eq(limits.sets, 1);
    guard_leave(host.guard);
    ck_assert(limits_are(64 * MIB, UNLIMITED));
    expect_nothing_in_force();
}
END_TEST

START_TEST(a_guest_of_nobody_is_told_of_alone)
{
    for (unsigned i = 0; i < 180; i++)
        fake_host_tick(&host, NSEC_PER_SEC);
    ck_assert_uint_eq(limits.sets, 0);
    expect_nothing_in_force();
}
END_TEST

START_TEST(the_next_guard_gives_it_back)
{
    struct error error = {0};

    live();
    ck_assert_uint_eq(limits.sets, 1);
    host.guard = guard_free(host.guard);
    fake_host_start_guard(&host);
    unsigned rehearsed = limits.sets;
    ck_assert(vm_has(vm_here(), VM_MEASURE_MEMLOCK));
    ck_assert_uint_eq(vm_here()->memlock_before.soft, 64 * MIB);
    live();
    ck_assert_uint_eq(limits.sets, rehearsed);
    fake_tree_write(host.tree, "plimsoll.conf",
        "[guard]\nmode=dry-run\nqmp-directory=/nonexistent\nmax-vms=8\n");
    ck_assert_int_eq(guard_reload(host.guard, &error), 0);
    for (unsigned i = 0; i < 10; i++)
        tick();
    ck_assert(limits_are(64 * MIB, UNLIMITED));
    expect_nothing_in_force();
}
END_TEST

START_TEST(a_limit_set_over_ours_is_left_and_not_capped_again)
{
    live();
    limits.limit = (struct rlimit){UNLIMITED, UNLIMITED};
    unsigned before = limits.sets;
    live();
    live();
    ck_assert_uint_eq(limits.sets, before);
    ck_assert(limits_are(UNLIMITED, UNLIMITED));
    expect_nothing_in_force();
}
END_TEST

int main(void)
{
    if (!suite_has_pidfd())
        return suite_skip(SUITE_NO_PIDFD);

    Suite *suite = suite_create("memlock");
    TCase *tests = tcase_create("memlock");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, capped_and_restored);
    tcase_add_test(tests, naive_cap_is_refused);
    tcase_add_loop_test(tests, use_that_grew_since_counts, 0, 2);
    tcase_add_test(tests, dry_run_sets_nothing);
    tcase_add_test(tests, refused_by_the_kernel_leaves_nothing);
    tcase_add_loop_test(tests, another_limit_than_decided_on_is_left, 0, 2);
    tcase_add_test(tests, who_is_quicker_wins);
    tcase_add_test(tests, a_limit_is_never_raised);
    tcase_add_loop_test(tests, either_part_that_changed_stays, 0, 2);
    tcase_add_test(tests, who_has_ended_is_not_capped);
    tcase_add_test(tests, a_domain_without_a_limit_gets_one);
    tcase_add_test(tests, a_guest_of_nobody_is_told_of_alone);
    tcase_add_test(tests, the_next_guard_gives_it_back);
    tcase_add_test(tests, a_limit_set_over_ours_is_left_and_not_capped_again);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
