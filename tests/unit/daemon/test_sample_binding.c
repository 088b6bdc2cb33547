/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which NUMA nodes a guest's memory may lie on, as its status and its backends say. */
#include "fake_tree.h"
#include "sample_vm.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <plimsoll/cleanup.h>
#include <string.h>

static const struct fake_process guest = {.pid = 4711, .start_time = 777, .rss_kib = 8192};
static const struct vm_identity identity = {.pid = 4711, .start_time = 777};

static struct fake_tree *tree;
static struct cgroup_mounts *mounts;
static struct vm_sampler sampler = VM_SAMPLER_CLOSED;
static struct vm_snapshot vm;
/* Node 1 first: figures go by the node's number, not by its place. */
static const struct host_snapshot host = {.node_count = 2, .nodes = {{.id = 1}, {.id = 0}}};

static void setup(void)
{
    tree = fake_tree_new();
    fake_tree_process(tree, &guest);
    fake_tree_mounts(tree, FAKE_CGROUPS_V2);
    memset(&vm, 0, sizeof(vm));
    ck_assert_int_eq(cgroup_mounts_new(&tree->roots, &mounts), 0);
    ck_assert_int_eq(vm_sampler_open(&sampler, &tree->roots, mounts, &identity), 0);
}

static void teardown(void)
{
    vm_sampler_close(&sampler);
    mounts = cgroup_mounts_free(mounts);
    tree = fake_tree_free(tree);
}

static int read_full(void)
{
    return vm_sampler_read(&sampler, SAMPLE_FULL, &host, 42, &vm);
}

/* Index 0 is node 1, index 1 is node 0. */
static const struct {
    const char *line;
    uint64_t backends; /* by the kernel's numbers */
    uint32_t nodes;
} bindings[] = {
    {"Mems_allowed:\t1\nMems_allowed_list:\t0\n", 0, 2},
    {"Mems_allowed_list:\t1\n", 0, 1},
    {"Mems_allowed_list:\t0-1\n", 0, 3},
    {"Mems_allowed_list:\t0,1\n", 0, 3},
    {"Mems_allowed_list:\t0-1023\n", 0, 3}, /* the others have no memory */
    {"Mems_allowed_list:\t1,7-9\n", 0, 1},
    {"Mems_allowed_list:\t0-1\n", 1, 2},
    {"Mems_allowed_list:\t0-1\n", 2, 1},
    {"Mems_allowed_list:\t0-1\n", 3, 3},
    {"Mems_allowed_list:\t0\n", 2, 2}, /* the cpuset stands above the policy */
    {"", 1, 2},
    {"", 0, 0},
    {"Mems_allowed_list:\t0", 0, 0}, /* cut */
    {"Mems_allowed_list:\t\n", 0, 0},
    {"Mems_allowed_list:\t0-\n", 0, 0},
    {"Mems_allowed_list:\t1-0\n", 0, 0},
    {"Mems_allowed_list:\t0;1\n", 0, 0},
    {"Mems_allowed_list:\t0-18446744073709551614\n", 0, 3},
    {"Mems_allowed_list:\t99999999999999999999\n", 0, 0},
    {"XMems_allowed_list:\t0\n", 0, 0},
};

START_TEST(binding)
{
    vm.wiring.backend_nodes = bindings[_i].backends;
    vm.nodes_allowed = 99;
    fake_tree_write(
        tree, "proc/4711/status", "Name:\tqemu\nRssAnon:\t12 kB\n%s", bindings[_i].line);
    ck_assert_int_eq(read_full(), 0);
    ck_assert_uint_eq(vm.nodes_allowed, bindings[_i].nodes);
    fake_tree_write(tree, "proc/4711/status", "%s", "");
    ck_assert_int_eq(read_full(), -ESRCH);
    ck_assert_uint_eq(vm.nodes_allowed, 0);
}
END_TEST

/* With more nodes than are watched, what is listed beyond them may have memory. */
START_TEST(binding_beyond_the_nodes_watched)
{
    struct host_snapshot many = {.node_count = NODES_MAX};

    for (uint32_t i = 0; i < NODES_MAX; i++)
        many.nodes[i].id = i;
    fake_tree_write(tree, "proc/4711/status", "RssAnon:\t1 kB\nMems_allowed_list:\t3,40\n");
    ck_assert_int_eq(vm_sampler_read(&sampler, SAMPLE_FULL, &many, 42, &vm), 0);
    ck_assert_uint_eq(vm.nodes_allowed, 0);
    fake_tree_write(tree, "proc/4711/status", "RssAnon:\t1 kB\nMems_allowed_list:\t3,31\n");
    ck_assert_int_eq(vm_sampler_read(&sampler, SAMPLE_FULL, &many, 42, &vm), 0);
    ck_assert_uint_eq(vm.nodes_allowed, UINT32_C(1) << 31 | 8);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sample_binding");
    TCase *tests = tcase_create("binding");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, binding, 0, (int)ELEMENTSOF(bindings));
    tcase_add_test(tests, binding_beyond_the_nodes_watched);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
