/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The limits of a cgroup: which are a guest's own, what they say, and how they are put back. */
#include "cgroup_limit.h"
#include "cgroup_scene.h"
#include "sample_cgroup.h"
#include "sample_process.h"
#include "sample_vm.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <plimsoll/cleanup.h>
#include <string.h>
#include <unistd.h>

#define PID 4711

static struct fake_tree *tree;
static struct limit_group group = LIMIT_GROUP_NONE;
static struct vm_limits limits;

static void setup(void)
{
    tree = fake_tree_new();
    fake_tree_process(tree, &(struct fake_process){.pid = PID, .rss_kib = 8192});
    fake_tree_process(tree, &(struct fake_process){.pid = 815, .name = "swtpm", .rss_kib = 1024});
    cgroup_scene_make(tree, PID);
}

static void teardown(void)
{
    limit_group_close(&group);
    tree = fake_tree_free(tree);
}

static void look(enum fake_cgroups cgroups)
{
    struct cgroup_mounts *mounts;

    fake_tree_mounts(tree, cgroups);
    ck_assert_int_eq(cgroup_mounts_new(&tree->roots, &mounts), 0);
    int process = process_folder_open(tree->proc, PID);
    ck_assert_int_ge(process, 0);
    limit_group_open(mounts, process, &group);
    (void)close(process);
    cgroup_mounts_free(mounts);
    limits_read(&group, tree->proc, PID, &limits);
}

static void expect_none_known(void)
{
    for (int limit = 0; limit < VM_LIMIT_COUNT; limit++)
        ck_assert(!known(limits.values[limit]));
    ck_assert(!known(limits.cpu_period) && !known(limits.tasks));
}

START_TEST(every_limit_is_read)
{
    look(FAKE_CGROUPS_V2);
    ck_assert_uint_eq(limits.values[VM_LIMIT_MEMORY_HIGH], VM_LIMIT_NONE);
    ck_assert_uint_eq(limits.values[VM_LIMIT_MEMORY_MAX], VM_LIMIT_NONE);
    ck_assert_uint_eq(limits.values[VM_LIMIT_CPU_MAX], VM_LIMIT_NONE);
    ck_assert_uint_eq(limits.values[VM_LIMIT_OOM_GROUP], VM_LIMIT_NONE);
    ck_assert_uint_eq(limits.values[VM_LIMIT_PIDS_MAX], 16384);
    ck_assert_uint_eq(limits.cpu_period, 100 * NSEC_PER_MSEC);
    ck_assert_uint_eq(limits.tasks, 20);
    ck_assert(!limits.legacy);
    cgroup_scene_write(tree, "memory.high", "4294967296\n");
    cgroup_scene_write(tree, "memory.max", "8589934592\n");
    cgroup_scene_write(tree, "cpu.max", "25000 50000\n");
    cgroup_scene_write(tree, "memory.oom.group", "1\n");
    limits_read(&group, tree->proc, PID, &limits);
    ck_assert_uint_eq(limits.values[VM_LIMIT_MEMORY_HIGH], 4 * GIB);
    ck_assert_uint_eq(limits.values[VM_LIMIT_MEMORY_MAX], 8 * GIB);
    ck_assert_uint_eq(limits.values[VM_LIMIT_CPU_MAX], 25 * NSEC_PER_MSEC);
    ck_assert_uint_eq(limits.values[VM_LIMIT_OOM_GROUP], 1);
    ck_assert_uint_eq(limits.cpu_period, 50 * NSEC_PER_MSEC);
}
END_TEST

static const struct {
    const char *path, *text;
    bool group, tasks; /* still its own */
} company[] = {
    {CGROUP_SCENE_GROUP "/cgroup.procs", "4711\n815\n", false, false},
    {CGROUP_SCENE_GROUP "/cgroup.procs", "815\n", false, false},
    {CGROUP_SCENE_GROUP "/cgroup.procs", "", false, false},
    {CGROUP_SCENE_GROUP "/cgroup.type", "domain\n", false, false}, /* with others below */
    {CGROUP_SCENE_SCOPE "/cgroup.procs", "815\n", true, false},
    {CGROUP_SCENE_SCOPE "/cgroup.stat", "nr_descendants 4\n", true, false}, /* one beside it */
    {CGROUP_SCENE_SCOPE "/cgroup.stat", "nr_dying_descendants 3\n", true, false},
};

START_TEST(what_is_shared_is_not_its_own)
{
    fake_tree_write(tree, company[_i].path, "%s", company[_i].text);
    look(FAKE_CGROUPS_V2);
    ck_assert_int_eq(known(limits.values[VM_LIMIT_MEMORY_HIGH]), company[_i].group);
    ck_assert_int_eq(known(limits.values[VM_LIMIT_PIDS_MAX]), company[_i].tasks);
    ck_assert_int_eq(limit_check(&group, VM_LIMIT_MEMORY_HIGH, tree->proc, PID),
        company[_i].group ? 0 : -ENODEV);
    ck_assert_int_eq(limit_check(&group, VM_LIMIT_PIDS_MAX, tree->proc, PID), -ENODEV);
}
END_TEST

/* A slice with one guest in it has that one's tasks alone, today. */
START_TEST(only_libvirts_scope_stands_for_its_group)
{
    fake_tree_write(tree, "proc/4711/cgroup", "0::/machine.slice/alone\n");
    fake_tree_write(tree, "unified/machine.slice/cgroup.stat", "nr_descendants 1\n");
    fake_tree_write(tree, "unified/machine.slice/cgroup.procs", "%s", "");
    fake_tree_write(tree, "unified/machine.slice/pids.max", "max\n");
    fake_tree_write(tree, "unified/machine.slice/alone/cgroup.stat", "nr_descendants 0\n");
    fake_tree_write(tree, "unified/machine.slice/alone/cgroup.procs", "4711\n");
    fake_tree_write(tree, "unified/machine.slice/alone/memory.max", "max\n");
    look(FAKE_CGROUPS_V2);
    ck_assert_uint_eq(limits.values[VM_LIMIT_MEMORY_MAX], VM_LIMIT_NONE);
    ck_assert(!known(limits.values[VM_LIMIT_PIDS_MAX]) && !known(limits.tasks));
}
END_TEST

/* On v1 there is nothing of the kind, and that is known. */
START_TEST(legacy)
{
    fake_tree_write(tree, "proc/4711/cgroup", "5:memory:/machine/one\n0::/machine\n");
    fake_tree_write(tree, "memory/machine/one/memory.usage_in_bytes", "5000000\n");
    look(_i == 0 ? FAKE_CGROUPS_V1 : FAKE_CGROUPS_HYBRID);
    expect_none_known();
    ck_assert(limits.legacy);
}
END_TEST

static const struct {
    const char *name, *text;
    enum vm_limit limit;
} broken[] = {
    {"memory.high", "", VM_LIMIT_MEMORY_HIGH},
    {"memory.high", "maximum\n", VM_LIMIT_MEMORY_HIGH},
    {"memory.high", "4096", VM_LIMIT_MEMORY_HIGH},
    {"memory.max", "-1\n", VM_LIMIT_MEMORY_MAX},
    {"memory.max", "18446744073709551615\n", VM_LIMIT_MEMORY_MAX},
    {"memory.max", "999999999999999999999999999999\n", VM_LIMIT_MEMORY_MAX},
    {"pids.max", "12 13\n", VM_LIMIT_PIDS_MAX},
    {"cpu.max", "max\n", VM_LIMIT_CPU_MAX},
    {"cpu.max", "50000 x\n", VM_LIMIT_CPU_MAX},
    {"memory.oom.group", "yes\n", VM_LIMIT_OOM_GROUP},
};

START_TEST(what_is_malformed_is_unknown)
{
    cgroup_scene_write(tree, broken[_i].name, broken[_i].text);
    look(FAKE_CGROUPS_V2);
    ck_assert(!known(limits.values[broken[_i].limit]));
}
END_TEST

START_TEST(texts)
{
    static const struct {
        enum vm_limit limit;
        uint64_t value;
        const char *text;
    } cases[] = {
        {VM_LIMIT_MEMORY_HIGH, 4 * GIB, "4294967296\n"},
        {VM_LIMIT_MEMORY_MAX, VM_LIMIT_NONE, "max\n"},
        {VM_LIMIT_CPU_MAX, 25 * NSEC_PER_MSEC, "25000\n"},
        {VM_LIMIT_CPU_MAX, VM_LIMIT_NONE, "max\n"},
        {VM_LIMIT_OOM_GROUP, 1, "1\n"},
        {VM_LIMIT_OOM_GROUP, VM_LIMIT_NONE, "0\n"},
        {VM_LIMIT_PIDS_MAX, VM_LIMIT_NONE - 1, "18446744073709551613\n"},
    };
    char text[LIMIT_TEXT_MAX];

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        limit_format(cases[i].limit, cases[i].value, text);
        ck_assert_str_eq(text, cases[i].text);
    }
}
END_TEST

START_TEST(only_ours_is_put_back)
{
    const struct vm_contained ours = {.set = 4 * GIB, .before = 6 * GIB};

    look(FAKE_CGROUPS_V2);
    cgroup_scene_write(tree, "memory.high", "5368709120\n");
    ck_assert_int_eq(limit_restore(&group, VM_LIMIT_MEMORY_HIGH, &ours, UNKNOWN, true), -ESTALE);
    /* Ours before the last, of which nobody knows whether it came. */
    ck_assert_int_eq(limit_restore(&group, VM_LIMIT_MEMORY_HIGH, &ours, 5 * GIB, false), 0);
    ck_assert_str_eq(cgroup_scene_read(tree, "memory.high"), "6442450944\n");
    ck_assert_int_eq(limit_restore(&group, VM_LIMIT_MEMORY_HIGH, &ours, UNKNOWN, false), 0);
    cgroup_scene_write(tree, "memory.high", "4294967296\n");
    /* To write what is below the use would reclaim. */
    cgroup_scene_write(tree, "memory.current", "6442450945\n");
    ck_assert_int_eq(limit_restore(&group, VM_LIMIT_MEMORY_HIGH, &ours, UNKNOWN, false), -EAGAIN);
    ck_assert_str_eq(cgroup_scene_read(tree, "memory.high"), "4294967296\n");
    ck_assert_int_eq(limit_restore(&group, VM_LIMIT_MEMORY_HIGH, &ours, UNKNOWN, true), 0);
    ck_assert_str_eq(cgroup_scene_read(tree, "memory.high"), "6442450944\n");
    fake_tree_remove(tree, CGROUP_SCENE_GROUP "/memory.high");
    ck_assert_int_eq(limit_restore(&group, VM_LIMIT_MEMORY_HIGH, &ours, UNKNOWN, true), -ENOENT);
}
END_TEST

/* They cost as much as all else that a full look reads. */
START_TEST(a_full_look_reads_them_now_and_then)
{
    const struct vm_identity identity = {.pid = PID};
    const struct host_snapshot host = {.node_count = 1};
    struct vm_sampler sampler = VM_SAMPLER_CLOSED;
    struct vm_snapshot vm = {.identity = identity};
    struct cgroup_mounts *mounts;
    uint64_t now = NSEC_PER_MINUTE;

    fake_tree_mounts(tree, FAKE_CGROUPS_V2);
    ck_assert_int_eq(cgroup_mounts_new(&tree->roots, &mounts), 0);
    ck_assert_int_eq(vm_sampler_open(&sampler, &tree->roots, mounts, &identity), 0);
    ck_assert_int_eq(vm_sampler_read(&sampler, SAMPLE_FULL, &host, now, &vm), 0);
    ck_assert_uint_eq(vm.limits.values[VM_LIMIT_MEMORY_HIGH], VM_LIMIT_NONE);
    cgroup_scene_write(tree, "memory.high", "4294967296\n");
    now += VM_LIMITS_INTERVAL - 1;
    ck_assert_int_eq(vm_sampler_read(&sampler, SAMPLE_FULL, &host, now, &vm), 0);
    ck_assert_uint_eq(vm.limits.values[VM_LIMIT_MEMORY_HIGH], VM_LIMIT_NONE);
    ck_assert_int_eq(vm_sampler_read(&sampler, SAMPLE_FULL, &host, now + 1, &vm), 0);
    ck_assert_uint_eq(vm.limits.values[VM_LIMIT_MEMORY_HIGH], 4 * GIB);
    vm_sampler_close(&sampler);
    cgroup_mounts_free(mounts);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cgroup limits");
    TCase *tests = tcase_create("limits");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, every_limit_is_read);
    tcase_add_loop_test(tests, what_is_shared_is_not_its_own, 0, (int)ELEMENTSOF(company));
    tcase_add_test(tests, only_libvirts_scope_stands_for_its_group);
    tcase_add_loop_test(tests, legacy, 0, 2);
    tcase_add_loop_test(tests, what_is_malformed_is_unknown, 0, (int)ELEMENTSOF(broken));
    tcase_add_test(tests, texts);
    tcase_add_test(tests, only_ours_is_put_back);
    tcase_add_test(tests, a_full_look_reads_them_now_and_then);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
