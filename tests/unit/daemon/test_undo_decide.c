/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The decisions of undo: what is ours is taken back, what is another's is left, what would harm is
 * refused.
 */
#include "suite.h"
#include "undo.h"

#include <check.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/units.h>
#include <string.h>

#define OURS (VM_MEASURE_STOP_SENT | VM_MEASURE_STOPPED)

START_TEST(test_resume)
{
    static const struct {
        enum qmp_run_state run_state;
        enum qmp_migration migration;
        uint32_t measures;
        enum undo_verdict expected;
    } cases[] = {
        {QMP_RUN_PAUSED, QMP_MIGRATION_NONE, OURS, UNDO_DO},
        {QMP_RUN_PAUSED, QMP_MIGRATION_NONE, VM_MEASURE_STOP_SENT, UNDO_DO},
        {QMP_RUN_PAUSED, QMP_MIGRATION_NONE, VM_MEASURE_BALLOON, UNDO_REFUSE},
        {QMP_RUN_PAUSED, QMP_MIGRATION_ACTIVE, OURS, UNDO_REFUSE},
        {QMP_RUN_PAUSED, QMP_MIGRATION_POSTCOPY, OURS, UNDO_REFUSE},
        {QMP_RUN_PAUSED, QMP_MIGRATION_OTHER, OURS, UNDO_REFUSE},
        {QMP_RUN_RUNNING, QMP_MIGRATION_NONE, OURS, UNDO_FORGET},
        {QMP_RUN_RUNNING, QMP_MIGRATION_ACTIVE, OURS, UNDO_REFUSE},
        {QMP_RUN_POSTMIGRATE, QMP_MIGRATION_NONE, OURS, UNDO_REFUSE},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        struct undo_decision decision =
            undo_may_resume(cases[i].run_state, cases[i].migration, cases[i].measures);

        ck_assert_msg(decision.verdict == cases[i].expected, "case %zu: %s", i, decision.why);
    }
    /* Nothing but `paused` is ever resumed, known state or not. */
    for (int state = 0; state <= QMP_RUN_COUNT; state++) {
        struct undo_decision decision =
            undo_may_resume((enum qmp_run_state)state, QMP_MIGRATION_NONE, OURS);

        ck_assert_ptr_nonnull(decision.why);
        ck_assert_int_eq(decision.verdict == UNDO_DO, state == QMP_RUN_PAUSED);
    }
}
END_TEST

START_TEST(test_deflate)
{
    static const struct {
        uint64_t actual, before, target;
        enum qmp_migration migration;
        enum undo_verdict expected;
    } cases[] = {
        {4 * GIB, 8 * GIB, 4 * GIB, QMP_MIGRATION_NONE, UNDO_DO},
        {6 * GIB, 8 * GIB, 4 * GIB, QMP_MIGRATION_NONE, UNDO_DO},
        /* It never followed: the target may still wait for it to run. */
        {8 * GIB, 8 * GIB, 4 * GIB, QMP_MIGRATION_NONE, UNDO_DO},
        {9 * GIB, 8 * GIB, 4 * GIB, QMP_MIGRATION_NONE, UNDO_FORGET},
        {4 * GIB - 4 * KIB, 8 * GIB, 4 * GIB, QMP_MIGRATION_NONE, UNDO_DO},
        {3 * GIB, 8 * GIB, 4 * GIB, QMP_MIGRATION_NONE, UNDO_FORGET},
        {4 * GIB, 8 * GIB, 4 * GIB, QMP_MIGRATION_ACTIVE, UNDO_REFUSE},
        {UNKNOWN, 8 * GIB, 4 * GIB, QMP_MIGRATION_NONE, UNDO_REFUSE},
        {4 * GIB, UNKNOWN, 4 * GIB, QMP_MIGRATION_NONE, UNDO_REFUSE},
        {4 * GIB, 0, 0, QMP_MIGRATION_NONE, UNDO_REFUSE},
        {4 * GIB, 8 * GIB, UNKNOWN, QMP_MIGRATION_NONE, UNDO_REFUSE},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        struct undo_decision decision =
            undo_may_deflate(cases[i].actual, cases[i].before, cases[i].target, cases[i].migration);

        ck_assert_msg(decision.verdict == cases[i].expected, "case %zu: %s", i, decision.why);
    }
}
END_TEST

START_TEST(test_resize)
{
    static const struct vm_contained ours = {.set = 4 * GIB, .before = 8 * GIB};
    static const struct {
        uint64_t requested, previous;
        enum qmp_migration migration;
        enum undo_verdict expected;
    } cases[] = {
        {4 * GIB, UNKNOWN, QMP_MIGRATION_NONE, UNDO_DO},
        /* The guard ended before it was done: either is ours. */
        {6 * GIB, 6 * GIB, QMP_MIGRATION_NONE, UNDO_DO},
        {6 * GIB, UNKNOWN, QMP_MIGRATION_NONE, UNDO_FORGET},
        {8 * GIB, UNKNOWN, QMP_MIGRATION_NONE, UNDO_FORGET},
        {8 * GIB, 8 * GIB, QMP_MIGRATION_NONE, UNDO_FORGET},
        {UNKNOWN, UNKNOWN, QMP_MIGRATION_NONE, UNDO_REFUSE},
        {4 * GIB, UNKNOWN, QMP_MIGRATION_ACTIVE, UNDO_REFUSE},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        struct undo_decision decision =
            undo_may_resize(cases[i].requested, &ours, cases[i].previous, cases[i].migration);

        ck_assert_msg(decision.verdict == cases[i].expected, "case %zu: %s", i, decision.why);
    }
}
END_TEST

START_TEST(test_score)
{
    ck_assert_int_eq(undo_may_restore_score(300, 300).verdict, UNDO_DO);
    ck_assert_int_eq(undo_may_restore_score(-999, 300).verdict, UNDO_FORGET);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("undo decisions");
    TCase *tcase = tcase_create("decide");

    tcase_add_test(tcase, test_resume);
    tcase_add_test(tcase, test_deflate);
    tcase_add_test(tcase, test_resize);
    tcase_add_test(tcase, test_score);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
