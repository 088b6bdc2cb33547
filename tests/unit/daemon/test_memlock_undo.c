/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `plimsoll undo` of a cap on locked memory. */
#include "limits_scene.h"
#include "suite.h"
#include "undo_scene.h"

#include <check.h>
#include <errno.h>
#include <plimsoll/units.h>

#define CAP (4 * GIB)

static void put_cap(void)
{
    struct ledger_entry entry;

    undo_child_start(NULL);
    undo_put(0, "web", (struct vm_measures){.in_force = VM_MEASURE_MEMLOCK, .memlock_set = CAP});
    entry = *ledger_get(scene.ledger, 0);
    entry.memlock_soft_before = 64 * MIB;
    entry.memlock_hard_before = MEMLOCK_UNLIMITED;
    ledger_put(scene.ledger, 0, &entry);
    limits_begin();
    limits.limit = (struct rlimit){CAP, CAP};
}

START_TEST(ours_goes)
{
    put_cap();
    ck_assert_uint_eq(undo_run(NULL), 0);
    undo_assert_said("web memlock ok restored");
    ck_assert(limits_are(64 * MIB, RLIM_INFINITY));
    ck_assert_ptr_null(ledger_get(scene.ledger, 0));
}
END_TEST

START_TEST(theirs_stays)
{
    put_cap();
    limits.limit = _i == 0 ? (struct rlimit){CAP, 5 * GIB} : (struct rlimit){GIB, CAP};
    const struct rlimit theirs = limits.limit;
    ck_assert_uint_eq(undo_run(NULL), 0);
    undo_assert_said("web memlock ok somebody else has changed it");
    ck_assert(limits_are(theirs.rlim_cur, theirs.rlim_max));
    ck_assert_ptr_null(ledger_get(scene.ledger, 0));
}
END_TEST

START_TEST(without_the_right_it_stays_in_the_ledger)
{
    put_cap();
    limits.error = EPERM;
    ck_assert_uint_eq(undo_run(NULL), 1);
    undo_assert_said("web memlock no cannot restore it");
    ck_assert_uint_eq(undo_in_force(0), VM_MEASURE_MEMLOCK);
}
END_TEST

int main(void)
{
    if (!suite_has_pidfd())
        return suite_skip(SUITE_NO_PIDFD);

    Suite *suite = suite_create("memlock undo");
    TCase *tests = tcase_create("memlock undo");

    tcase_add_checked_fixture(tests, undo_scene_setup, undo_scene_teardown);
    tcase_add_test(tests, ours_goes);
    tcase_add_loop_test(tests, theirs_stays, 0, 2);
    tcase_add_test(tests, without_the_right_it_stays_in_the_ledger);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
