/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Limits of a guest's cgroup, from the class to the files and back: acts, whole ticks, a guard's
 * end and the next one. The guest is a real child, its cgroup is cgroup_scene's.
 */
#include "act.h"
#include "cgroup_scene.h"
#include "fake_guest.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define HIGH VM_LIMIT_MEMORY_HIGH

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

/* None of its memory is in huge pages, which would wire it. */
static void dress(void)
{
    char path[64];

    (void)snprintf(path, sizeof path, "proc/%d/status", (int)pid);
    fake_tree_write(host.tree, path,
        "VmLck: 0 kB\nVmPin: 0 kB\nRssAnon: 2097152 kB\nRssFile: 0 kB\nRssShmem: 0 kB\n"
        "VmPTE: 0 kB\nVmSwap: 0 kB\nHugetlbPages: 0 kB\n");
    cgroup_scene_make(host.tree, pid);
}

static void begin(const char *limits)
{
    fake_host_begin(&host, FAKE_CGROUPS_V2, "");
    fake_tree_write(host.tree, "plimsoll.conf",
        "[guard]\nmode=enforce\non-exit=restore\nqmp-directory=/nonexistent\nmax-vms=8\n"
        "[class default]\nmode=enforce\n%s",
        limits);
    fake_host_set_available(&host, 12 * GIB);
    pid = fake_host_guest(&host, "one", 2 * GIB);
    dress();
    fake_host_start_guard(&host);
    fake_host_tick(&host, NSEC_PER_SEC);
}

static void setup(void)
{
    begin("");
}

static void teardown(void)
{
    fake_host_end(&host);
}

static int contain(enum vm_limit limit, uint64_t value)
{
    return act_contain(vm_here(), host.guard->container, limit, value, MODE_ENFORCE, loop_now());
}

/* Bounded by the test's own limit. */
static void await_answer(void)
{
    const struct vm_limits *limits = &vm_here()->figures.limits;

    while (known(limits->asked) && !known(limits->answered))
        ck_assert_int_eq(loop_wait(host.guard->loop, loop_now() + NSEC_PER_SEC), 0);
}

static void expect_nothing_in_force(void)
{
    ck_assert(!vm_has(vm_here(), VM_MEASURE_CONTAIN));
    ck_assert_uint_eq(vm_here()->figures.measures.contained, 0);
    const struct ledger_entry *entry = entry_here();
    ck_assert(!entry || !(entry->measures.in_force & VM_MEASURE_CONTAIN));
}

static void expect_file(const char *name, const char *text)
{
    ck_assert_str_eq(cgroup_scene_read(host.tree, name), text);
}

/* ---- the act ---- */

START_TEST(set_and_restored)
{
    ck_assert_int_eq(contain(HIGH, 4 * GIB), 0);
    const struct ledger_entry *entry = entry_here();
    ck_assert(entry && (entry->measures.in_force & VM_MEASURE_CONTAIN));
    ck_assert_uint_eq(entry->measures.limits[HIGH].set, 4 * GIB);
    ck_assert_uint_eq(entry->measures.limits[HIGH].before, VM_LIMIT_NONE);
    ck_assert_uint_eq(entry->limit_previous, VM_LIMIT_NONE);
    await_answer();
    expect_file("memory.high", "4294967296\n");
    ck_assert_int_eq(vm_here()->figures.limits.result, 0);
    ck_assert_uint_eq(vm_here()->figures.limits.values[HIGH], 4 * GIB);
    ck_assert(!known(entry_here()->limit_previous));
    /* From there it moves, and what was found stays what is given back. */
    ck_assert_int_eq(contain(HIGH, 3 * GIB), 0);
    await_answer();
    ck_assert_int_eq(contain(HIGH, 5 * GIB), 0);
    await_answer();
    expect_file("memory.high", "5368709120\n");
    ck_assert_int_eq(contain(VM_LIMIT_PIDS_MAX, 512), 0);
    await_answer();
    expect_file("pids.max", "512\n");
    ck_assert_int_eq(act_contain_restore_all(vm_here(), loop_now()), 0);
    cgroup_scene_expect_unlimited(host.tree);
    expect_nothing_in_force();
    ck_assert_int_eq(act_contain_restore(vm_here(), HIGH, loop_now()), -EALREADY);
}
END_TEST

START_TEST(dry_run_writes_nothing)
{
    ck_assert_int_eq(
        act_contain(vm_here(), host.guard->container, HIGH, 4 * GIB, MODE_DRY_RUN, host.now), 0);
    ck_assert_int_eq(act_contain(vm_here(), host.guard->container, VM_LIMIT_MEMORY_MAX, GIB,
                         MODE_DRY_RUN, host.now),
        -ERANGE);
    ck_assert(!known(vm_here()->figures.limits.asked));
    cgroup_scene_expect_unlimited(host.tree);
    expect_nothing_in_force();
}
END_TEST

/* Use is looked at right before, not as it was when the limit was decided. */
START_TEST(room_above_the_use_is_left)
{
    ck_assert_int_eq(contain(VM_LIMIT_MEMORY_MAX, GIB + 64 * MIB - 1), -ERANGE);
    ck_assert_int_eq(contain(VM_LIMIT_PIDS_MAX, 83), -ERANGE);
    expect_nothing_in_force();
    cgroup_scene_write(host.tree, "memory.current", "3221225472\n");
    ck_assert_int_eq(contain(VM_LIMIT_MEMORY_MAX, 3 * GIB + 64 * MIB), -ERANGE); /* a sixteenth */
    ck_assert_int_eq(contain(VM_LIMIT_MEMORY_MAX, 3 * GIB + 192 * MIB), 0);
    await_answer();
    expect_file("memory.max", "3422552064\n");
    ck_assert_int_eq(contain(VM_LIMIT_PIDS_MAX, 84), 0);
    await_answer();
    /* Raising it needs no room. */
    cgroup_scene_write(host.tree, "memory.current", "3421503488\n");
    ck_assert_int_eq(contain(VM_LIMIT_MEMORY_MAX, 3 * GIB + 256 * MIB), 0);
    await_answer();
    expect_file("memory.max", "3489660928\n");
}
END_TEST

START_TEST(a_limit_is_never_loosened)
{
    cgroup_scene_write(host.tree, "memory.high", "2147483648\n");
    ck_assert_int_eq(contain(HIGH, 2 * GIB), -EALREADY);
    ck_assert_int_eq(contain(HIGH, 3 * GIB), -EALREADY);
    ck_assert_int_eq(contain(HIGH, VM_LIMIT_NONE), -EINVAL);
    ck_assert_int_eq(contain(HIGH, 0), -EINVAL);
    ck_assert_int_eq(contain(HIGH, GIB), 0);
    await_answer();
    ck_assert_int_eq(contain(HIGH, 2 * GIB), -EALREADY);
    ck_assert_int_eq(act_contain_restore(vm_here(), HIGH, loop_now()), 0);
    expect_file("memory.high", "2147483648\n");
}
END_TEST

START_TEST(a_group_that_others_have_moved_into_is_left)
{
    fake_tree_write(
        host.tree, CGROUP_SCENE_GROUP "/cgroup.procs", "%d\n%d\n", (int)pid, (int)getpid());
    fake_host_dress(&host, getpid(), "swtpm", GIB);
    ck_assert_int_eq(contain(HIGH, 4 * GIB), -ENODEV);
    cgroup_scene_expect_unlimited(host.tree);
    expect_nothing_in_force();
}
END_TEST

START_TEST(somebody_elses_stays)
{
    ck_assert_int_eq(contain(HIGH, 4 * GIB), 0);
    await_answer();
    cgroup_scene_write(host.tree, "memory.high", "7516192768\n");
    ck_assert_int_eq(contain(HIGH, 3 * GIB), -ESTALE);
    ck_assert_int_eq(act_contain_restore(vm_here(), HIGH, loop_now()), 0);
    expect_file("memory.high", "7516192768\n");
    expect_nothing_in_force();
}
END_TEST

START_TEST(one_write_at_a_time)
{
    ck_assert_int_eq(contain(HIGH, 4 * GIB), 0);
    ck_assert_int_eq(contain(VM_LIMIT_PIDS_MAX, 512), -EBUSY);
    ck_assert_int_eq(act_contain_restore(vm_here(), HIGH, loop_now()), -EBUSY);
    await_answer();
    ck_assert_int_eq(act_contain_restore(vm_here(), HIGH, loop_now()), 0);
    cgroup_scene_expect_unlimited(host.tree);
}
END_TEST

/* As if 4 GiB had been handed over, where ours of 5 GiB may have been before it. */
static void pretend_handed_over(uint64_t previous)
{
    struct vm *vm = vm_here();

    vm->figures.measures.in_force |= VM_MEASURE_CONTAIN;
    vm->figures.measures.contained = VM_LIMIT_BIT(HIGH);
    vm->figures.measures.limits[HIGH] =
        (struct vm_contained){.set = 4 * GIB, .before = VM_LIMIT_NONE};
    vm->figures.limits.written = HIGH;
    vm->figures.limits.previous = previous;
    vm->figures.limits.asked = loop_now();
    vm_write_ledger(vm);
}

START_TEST(refused_by_the_kernel_leaves_what_was)
{
    pretend_handed_over(VM_LIMIT_NONE);
    act_contain_answered(vm_here(), -EINVAL, loop_now());
    expect_nothing_in_force();
    cgroup_scene_write(host.tree, "memory.high", "5368709120\n");
    pretend_handed_over(5 * GIB);
    act_contain_answered(vm_here(), -EINVAL, loop_now());
    ck_assert_uint_eq(entry_here()->measures.limits[HIGH].set, 5 * GIB);
    ck_assert_int_eq(act_contain_restore(vm_here(), HIGH, loop_now()), 0);
    expect_file("memory.high", "max\n");
}
END_TEST

/* It may come to be set yet: either is ours. */
START_TEST(who_hangs_may_still_set_it)
{
    cgroup_scene_write(host.tree, "memory.high", "5368709120\n");
    pretend_handed_over(5 * GIB);
    act_contain_answered(vm_here(), -ETIMEDOUT, loop_now());
    ck_assert_uint_eq(entry_here()->measures.limits[HIGH].set, 4 * GIB);
    ck_assert_uint_eq(entry_here()->limit_previous, 5 * GIB);
    if (_i == 0)
        cgroup_scene_write(host.tree, "memory.high", "4294967296\n");
    ck_assert_int_eq(act_contain_restore(vm_here(), HIGH, loop_now()), 0);
    expect_file("memory.high", "max\n");
    expect_nothing_in_force();
}
END_TEST

/* Forgotten meanwhile, ours of 5 GiB would later be somebody else's. */
START_TEST(what_cannot_be_read_stays_in_doubt)
{
    cgroup_scene_write(host.tree, "memory.high", "\n");
    pretend_handed_over(5 * GIB);
    act_contain_answered(vm_here(), -EINVAL, loop_now());
    ck_assert_uint_eq(entry_here()->limit_previous, 5 * GIB);
    ck_assert_int_eq(contain(VM_LIMIT_PIDS_MAX, 512), -EAGAIN);
    ck_assert_uint_eq(entry_here()->measures.limits[HIGH].set, 4 * GIB);
    ck_assert_uint_eq(entry_here()->limit_previous, 5 * GIB);
    cgroup_scene_write(host.tree, "memory.high", "5368709120\n");
    ck_assert_int_eq(act_contain_restore(vm_here(), HIGH, loop_now()), 0);
    expect_file("memory.high", "max\n");
    expect_nothing_in_force();
}
END_TEST

/* The next write needs the place where the doubt is kept. */
START_TEST(a_doubt_ends_with_the_next_write)
{
    cgroup_scene_write(host.tree, "memory.high", "5368709120\n");
    pretend_handed_over(5 * GIB);
    act_contain_answered(vm_here(), -ETIMEDOUT, loop_now());
    ck_assert_int_eq(contain(VM_LIMIT_PIDS_MAX, 512), 0);
    await_answer();
    ck_assert_uint_eq(entry_here()->measures.limits[HIGH].set, 5 * GIB);
    ck_assert_int_eq(act_contain_restore_all(vm_here(), loop_now()), 0);
    expect_file("memory.high", "max\n");
    expect_file("pids.max", "16384\n");
}
END_TEST

START_TEST(what_would_block_is_put_off)
{
    cgroup_scene_write(host.tree, "memory.high", "2147483648\n");
    ck_assert_int_eq(contain(HIGH, GIB), 0);
    await_answer();
    cgroup_scene_write(host.tree, "memory.current", "3221225472\n");
    ck_assert_int_eq(act_contain_restore(vm_here(), HIGH, loop_now()), -EAGAIN);
    ck_assert(entry_here()->measures.in_force & VM_MEASURE_CONTAIN);
    ck_assert_int_eq(vm_here()->figures.limits.result, -EAGAIN);
    cgroup_scene_write(host.tree, "memory.current", "1073741824\n");
    ck_assert_int_eq(act_contain_restore(vm_here(), HIGH, loop_now()), 0);
    expect_file("memory.high", "2147483648\n");
}
END_TEST

START_TEST(who_has_ended_is_not_contained)
{
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    fake_host_await(pid, WEXITED);
    ck_assert_int_eq(contain(HIGH, 4 * GIB), -ESRCH);
    cgroup_scene_expect_unlimited(host.tree);
}
END_TEST

/* ---- the whole way ---- */

#define ALL_LIMITS "memory-high=50%\nmemory-max=6G\npids-max=512\ncpu-max=150%\noom-group=yes\n"

/* A score is a regular file here, of which a shorter one leaves the rest; and where the guard
 * writes the quota alone, the kernel shows the period. */
static void tick(void)
{
    char path[64];

    (void)snprintf(path, sizeof path, "proc/%d/oom_score_adj", (int)pid);
    fake_tree_write(host.tree, path, "%d\n", (int)vm_here()->figures.oom_score_adj);
    if (strcmp(cgroup_scene_read(host.tree, "cpu.max"), "150000\n") == 0)
        cgroup_scene_write(host.tree, "cpu.max", "150000 100000\n");
    fake_host_tick(&host, NSEC_PER_SEC);
    await_answer();
}

static void live(void)
{
    for (unsigned i = 0; i < 30; i++)
        tick();
}

static void expect_all_limited(void)
{
    expect_file("memory.high", "4294967296\n");
    expect_file("memory.max", "6442450944\n");
    expect_file("pids.max", "512\n");
    expect_file("cpu.max", "150000 100000\n");
    expect_file("memory.oom.group", "1\n");
}

/* The kernel shows the period beside what was put back. */
static void expect_none_limited(void)
{
    expect_file("cpu.max", "max\n");
    cgroup_scene_write(host.tree, "cpu.max", "max 100000\n");
    cgroup_scene_expect_unlimited(host.tree);
}

START_TEST(a_class_is_set_kept_and_given_back)
{
    begin(ALL_LIMITS);
    live();
    expect_all_limited();
    ck_assert_uint_eq(vm_here()->figures.measures.contained, (1U << VM_LIMIT_COUNT) - 1);
    live();
    expect_all_limited();
    guard_leave(host.guard);
    expect_none_limited();
    expect_nothing_in_force();
    fake_host_end(&host);
}
END_TEST

START_TEST(the_next_guard_gives_it_back)
{
    struct error error = {0};

    begin(ALL_LIMITS);
    live();
    host.guard = guard_free(host.guard);
    expect_all_limited();
    fake_host_start_guard(&host);
    ck_assert(vm_has(vm_here(), VM_MEASURE_CONTAIN));
    live();
    expect_all_limited();
    fake_tree_write(host.tree, "plimsoll.conf",
        "[guard]\nmode=dry-run\nqmp-directory=/nonexistent\nmax-vms=8\n[class default]\n%s",
        ALL_LIMITS);
    ck_assert_int_eq(guard_reload(host.guard, &error), 0);
    live();
    expect_none_limited();
    expect_nothing_in_force();
    fake_host_end(&host);
}
END_TEST

START_TEST(legacy_cgroups_are_left_as_they_are)
{
    char path[128];

    fake_host_begin(&host, FAKE_CGROUPS_V1, "");
    fake_tree_write(host.tree, "plimsoll.conf",
        "[guard]\nmode=enforce\nqmp-directory=/nonexistent\nmax-vms=8\n"
        "[class default]\nmode=enforce\n%s",
        ALL_LIMITS);
    fake_host_set_available(&host, 12 * GIB);
    pid = fake_host_guest(&host, "one", 2 * GIB);
    (void)snprintf(path, sizeof path, "proc/%d/cgroup", (int)pid);
    fake_tree_write(host.tree, path, "5:memory:/one\n");
    fake_tree_write(host.tree, "memory/one/memory.usage_in_bytes", "5000000\n");
    fake_tree_write(host.tree, "memory/one/memory.limit_in_bytes", "9223372036854771712\n");
    fake_host_start_guard(&host);
    for (unsigned i = 0; i < 30; i++)
        fake_host_tick(&host, NSEC_PER_SEC);
    ck_assert(vm_here()->figures.limits.legacy);
    expect_nothing_in_force();
    (void)snprintf(path, sizeof path, "%s/one/memory.limit_in_bytes", host.tree->memory);
    ck_assert_str_eq(scratch_read(path), "9223372036854771712\n");
    fake_host_end(&host);
}
END_TEST

int main(void)
{
    if (!suite_has_pidfd())
        return suite_skip(SUITE_NO_PIDFD);

    Suite *suite = suite_create("contain");
    TCase *acts = tcase_create("acts"), *whole = tcase_create("whole way");

    tcase_add_checked_fixture(acts, setup, teardown);
    tcase_set_timeout(acts, 60);
    tcase_add_test(acts, set_and_restored);
    tcase_add_test(acts, dry_run_writes_nothing);
    tcase_add_test(acts, room_above_the_use_is_left);
    tcase_add_test(acts, a_limit_is_never_loosened);
    tcase_add_test(acts, a_group_that_others_have_moved_into_is_left);
    tcase_add_test(acts, somebody_elses_stays);
    tcase_add_test(acts, one_write_at_a_time);
    tcase_add_test(acts, refused_by_the_kernel_leaves_what_was);
    tcase_add_loop_test(acts, who_hangs_may_still_set_it, 0, 2);
    tcase_add_test(acts, what_cannot_be_read_stays_in_doubt);
    tcase_add_test(acts, a_doubt_ends_with_the_next_write);
    tcase_add_test(acts, what_would_block_is_put_off);
    tcase_add_test(acts, who_has_ended_is_not_contained);
    suite_add_tcase(suite, acts);
    tcase_set_timeout(whole, 60);
    tcase_add_test(whole, a_class_is_set_kept_and_given_back);
    tcase_add_test(whole, the_next_guard_gives_it_back);
    tcase_add_test(whole, legacy_cgroups_are_left_as_they_are);
    suite_add_tcase(suite, whole);
    return suite_run(suite);
}
