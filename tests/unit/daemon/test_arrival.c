/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the guard makes of a QEMU that was started for a guest from elsewhere, between one VM and a
 * QEMU that says word by word what the test wants it to say. Nothing is waited for.
 */
#include "fake_monitor.h"
#include "suite.h"
#include "vm.h"

#include <check.h>

static struct fake_monitor bench;
static uint64_t later; /* than it is, for the monitor */

static void setup(void)
{
    later = 0;
    fake_monitor_begin(&bench, true);
    bench.heard[0] = '\0';
}

static void teardown(void)
{
    fake_monitor_end(&bench);
}

/* QEMU says STATUS, and MIGRATION when it is asked for that. */
static void say(const char *status, const char *migration)
{
    bench.status = status;
    bench.migration = migration;
    later += NSEC_PER_MINUTE;
    fake_monitor_pass(&bench, later);
    fake_monitor_settle(&bench);
}

static void expect(enum vm_run_state state, enum vm_migration migration)
{
    ck_assert_int_eq((int)bench.vm->figures.run_state, (int)state);
    ck_assert_int_eq((int)bench.vm->figures.migration, (int)migration);
}

/* By a socket it comes from a peer; by a descriptor, from wherever that leads. */
static const struct {
    const char *migration;
    enum vm_migration expected;
} origins[] = {
    {"{\"socket-address\": [{\"type\": \"inet\"}]}", VM_MIGRATION_INCOMING},
    {"{\"status\": \"active\", \"socket-address\": [{\"type\": \"inet\"}]}", VM_MIGRATION_INCOMING},
    {"{\"status\": \"active\"}", VM_MIGRATION_LOADING},
    {"{}", VM_MIGRATION_LOADING},
    {"{\"status\": \"postcopy-active\", \"socket-address\": [{}]}", VM_MIGRATION_POSTCOPY},
};

START_TEST(what_arrives)
{
    say("inmigrate", origins[_i].migration);
    expect(VM_RUN_MIGRATING, origins[_i].expected);
}
END_TEST

START_TEST(what_has_come)
{
    say("inmigrate", origins[0].migration);
    say("paused", "{\"status\": \"completed\", \"socket-address\": [{}]}");
    expect(VM_RUN_PAUSED, VM_MIGRATION_NONE);
}
END_TEST

/* That it runs says nothing of whether all of it has come: until that is answered nobody knows. */
START_TEST(what_runs_may_be_in_post_copy)
{
    say("inmigrate", origins[0].migration);
    bench.status = NULL;
    bench.fake.running = true;
    bench.migration = "{\"status\": \"postcopy-active\"}";
    fake_monitor_say_event(&bench, "RESUME");
    fake_monitor_look(&bench);
    expect(VM_RUN_RUNNING, VM_MIGRATION_UNKNOWN);
    fake_monitor_settle(&bench);
    expect(VM_RUN_RUNNING, VM_MIGRATION_POSTCOPY);
}
END_TEST

START_TEST(nothing_is_set_before_it_runs)
{
    say("inmigrate", origins[0].migration);
    bench.heard[0] = '\0';
    fake_monitor_pass(&bench, 60 * NSEC_PER_MINUTE); /* all is asked again */
    fake_monitor_settle(&bench);
    ck_assert_uint_eq(fake_monitor_count(&bench, 'i'), 0);
    ck_assert_uint_gt(fake_monitor_count(&bench, 'q'), 0);
    bench.status = bench.migration = NULL;
    fake_monitor_say_event(&bench, "RESUME");
    fake_monitor_settle(&bench);
    ck_assert_uint_gt(fake_monitor_count(&bench, 'i'), 0);
    expect(VM_RUN_RUNNING, VM_MIGRATION_NONE);
}
END_TEST

int main(void)
{
    if (!suite_has_pidfd())
        return suite_skip(SUITE_NO_PIDFD);
    Suite *suite = suite_create("arrival");
    TCase *tests = tcase_create("arrival");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, what_arrives, 0, (int)(sizeof origins / sizeof *origins));
    tcase_add_test(tests, what_has_come);
    tcase_add_test(tests, what_runs_may_be_in_post_copy);
    tcase_add_test(tests, nothing_is_set_before_it_runs);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
