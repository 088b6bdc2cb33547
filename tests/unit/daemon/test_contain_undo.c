/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `plimsoll undo` of limits of a guest's cgroup. */
#include "cgroup_scene.h"
#include "suite.h"
#include "undo_scene.h"

#include <check.h>
#include <plimsoll/units.h>
#include <stdio.h>

static struct fake_tree *tree;

/* The ledger says 4 GiB where 6 GiB were, and 512 tasks where systemd had 16384. */
static void put_limits(enum vm_limit written, uint64_t previous)
{
    struct vm_measures measures = {.in_force = VM_MEASURE_CONTAIN,
        .contained = VM_LIMIT_BIT(VM_LIMIT_MEMORY_HIGH) | VM_LIMIT_BIT(VM_LIMIT_PIDS_MAX)};
    struct ledger_entry entry;

    measures.limits[VM_LIMIT_MEMORY_HIGH] = (struct vm_contained){4 * GIB, 6 * GIB};
    measures.limits[VM_LIMIT_PIDS_MAX] = (struct vm_contained){512, 16384};
    undo_put(0, "web", measures);
    entry = *ledger_get(scene.ledger, 0);
    entry.limit_written = written;
    entry.limit_previous = previous;
    ledger_put(scene.ledger, 0, &entry);
}

static void setup(void)
{
    char path[64], stat[512];

    undo_scene_setup();
    undo_child_start(NULL);
    tree = fake_tree_new();
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)scene.child);
    (void)snprintf(stat, sizeof stat, "%s", scratch_read(path));
    (void)snprintf(path, sizeof path, "proc/%d/stat", (int)scene.child);
    fake_tree_write(tree, path, "%s", stat);
    fake_tree_mounts(tree, FAKE_CGROUPS_V2);
    cgroup_scene_make(tree, scene.child);
    cgroup_scene_write(tree, "memory.high", "4294967296\n");
    cgroup_scene_write(tree, "pids.max", "512\n");
    (void)snprintf(scene.proc, sizeof scene.proc, "%s", tree->proc);
    put_limits(VM_LIMIT_PIDS_MAX, UNKNOWN);
}

static void teardown(void)
{
    tree = fake_tree_free(tree);
    undo_scene_teardown();
}

static void expect_file(const char *name, const char *text)
{
    ck_assert_str_eq(cgroup_scene_read(tree, name), text);
}

START_TEST(ours_go)
{
    ck_assert_uint_eq(undo_run(NULL), 0);
    undo_assert_said("web memory-high ok restored");
    undo_assert_said("web pids-max ok restored");
    expect_file("memory.high", "6442450944\n");
    expect_file("pids.max", "16384\n");
    ck_assert_ptr_null(ledger_get(scene.ledger, 0));
}
END_TEST

START_TEST(theirs_stay)
{
    cgroup_scene_write(tree, "memory.high", "5368709120\n");
    ck_assert_uint_eq(undo_run(NULL), 0);
    undo_assert_said("web memory-high ok somebody else has changed it");
    expect_file("memory.high", "5368709120\n");
    expect_file("pids.max", "16384\n");
    ck_assert_ptr_null(ledger_get(scene.ledger, 0));
}
END_TEST

/* The guard ended between ledger and kernel, on the way from 5 GiB to 4. */
START_TEST(ours_before_goes_too)
{
    cgroup_scene_write(tree, "memory.high", "5368709120\n");
    put_limits(VM_LIMIT_MEMORY_HIGH, 5 * GIB);
    ck_assert_uint_eq(undo_run(NULL), 0);
    expect_file("memory.high", "6442450944\n");
}
END_TEST

START_TEST(what_cannot_be_restored_stays_in_the_ledger)
{
    fake_tree_remove(tree, CGROUP_SCENE_GROUP "/memory.high");
    ck_assert_uint_eq(undo_run(NULL), 1);
    undo_assert_said("web memory-high no cannot restore it");
    undo_assert_said("web pids-max ok restored");
    ck_assert_uint_eq(undo_in_force(0), VM_MEASURE_CONTAIN);
    ck_assert_uint_eq(
        ledger_get(scene.ledger, 0)->measures.contained, VM_LIMIT_BIT(VM_LIMIT_MEMORY_HIGH));
}
END_TEST

/* No mount shows where it stands. */
START_TEST(without_its_cgroup_all_stays)
{
    fake_tree_write(tree, "proc/self/mountinfo", "23 1 0:20 / / rw - ext4 /dev/root rw\n");
    ck_assert_uint_eq(undo_run(NULL), 2);
    expect_file("memory.high", "4294967296\n");
    ck_assert_uint_eq(undo_in_force(0), VM_MEASURE_CONTAIN);
}
END_TEST

int main(void)
{
    if (!suite_has_pidfd())
        return suite_skip(SUITE_NO_PIDFD);

    Suite *suite = suite_create("contain undo");
    TCase *tests = tcase_create("contain undo");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, ours_go);
    tcase_add_test(tests, theirs_stay);
    tcase_add_test(tests, ours_before_goes_too);
    tcase_add_test(tests, what_cannot_be_restored_stays_in_the_ledger);
    tcase_add_test(tests, without_its_cgroup_all_stays);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
