/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guard's first rung on real guests: idle memory comes back to the host and is given back when
 * there is room, and a guest whose balloon moves nothing is found out.
 */
#include "guard.h"
#include "guest.h"

#include <stdlib.h>

#define MEMORY (384 * MIB)
#define STEP_LIMIT (60 * NSEC_PER_SEC)

static unsigned long long mebibytes(uint64_t bytes)
{
    return (unsigned long long)(bytes / MIB);
}

/* The budget is what they hold now and HEADROOM; only bytes count, as emulation is too slow for
 * forecasts in time to mean much. */
static void configure(struct guard *guard, uint64_t held, uint64_t headroom)
{
    guard_configure(guard,
        "vm-budget=%lluM\ntight=%lluM 0s\nscarce=%lluM 0s\ncritical=8M 0s\n"
        "[class default]\nmode=enforce\nrungs=balloon\nminimum=30%%\n",
        mebibytes(held + headroom), mebibytes(headroom * 3 / 4), mebibytes(headroom / 2));
}

START_TEST(test_inflates_and_returns)
{
    struct guard guard;
    struct guest idle, grower;
    guard_prepare(&guard, "inflate");
    guest_start(
        &grower, &(struct guest_options){
                     .name = "grower", .memory = MEMORY, .qmp_directory = guard.qmp_directory});
    guest_boot(&idle, &(struct guest_options){.name = "idle",
                          .memory = MEMORY,
                          .qmp_directory = guard.qmp_directory,
                          .schedule = "grow:160M"});
    (void)guest_wait(&idle, "done step=grow", STEP_LIMIT);
    guest_tell(&idle, "free:160M");
    (void)guest_wait(&idle, "done step=free", STEP_LIMIT);
    (void)guest_wait(&grower, "ready", GUEST_READY_LIMIT);
    uint64_t before = guest_rss(&idle);
    configure(&guard, before + guest_rss(&grower), 96 * MIB);
    guard_start(&guard);
    guard_wait_vm(&guard, "idle");
    guard_wait_vm(&guard, "grower");
    size_t cursor = guard_mark(&guard);

    guest_tell(&grower, "grow:200M:8M/s");
    (void)guard_wait_event(
        &guard, &cursor, GUARD_ACT_LIMIT, "event=action", "vm=idle", "action=balloon", NULL);
    guest_wait_rss_below(&idle, before - 48 * MIB, STEP_LIMIT);
    ck_assert_uint_ge(guest_balloon_actual(&idle), MEMORY * 30 / 100);

    /* Room again, since a whole guest has gone: what was taken is given back. */
    guest_end(&grower);
    (void)guard_wait_event(&guard, &cursor, GUARD_ACT_LIMIT, "event=action", "vm=idle",
        "action=balloon", "reason=balloon-return", NULL);
    uint64_t deadline = harness_now() + STEP_LIMIT;
    while (guest_balloon_actual(&idle) < MEMORY)
        ck_assert(harness_look_again(deadline));
    guard_stop(&guard);
    guest_end(&idle);
}
END_TEST

/* No driver behind the device: rigid, whatever QEMU accepts. */
START_TEST(test_driverless_is_rigid)
{
    static const struct guard_expectation rigid = {"driverless", "kind", "rigid"};
    static const struct guard_expectation reason = {"driverless", "kind_reason", "no-driver"};
    struct guard guard;
    struct guest guest;
    guard_prepare(&guard, "rigid");
    guest_boot(&guest, &(struct guest_options){.name = "driverless",
                           .memory = MEMORY,
                           .qmp_directory = guard.qmp_directory,
                           .schedule = "no-balloon"});
    configure(&guard, guest_rss(&guest), 96 * MIB);
    guard_start(&guard);
    size_t start = guard_mark(&guard);
    guard_wait_status(&guard, guard_expects, &rigid, "it is rigid", STEP_LIMIT);
    guard_wait_status(&guard, guard_expects, &reason, "it has no driver", STEP_LIMIT);

    guest_tell(&guest, "grow:200M:16M/s");
    size_t cursor = start;
    (void)guard_wait_event(&guard, &cursor, GUARD_ACT_LIMIT, "event=band", "band=scarce", NULL);
    (void)guest_wait(&guest, "done step=grow", STEP_LIMIT);
    ck_assert(!guard_saw(&guard, start, "vm=driverless", "action=balloon", NULL));
    ck_assert_uint_eq(guest_balloon_actual(&guest), MEMORY);
    guard_stop(&guard);
    guest_end(&guest);
}
END_TEST

/* In dry run all is decided and said, and nothing done. */
START_TEST(test_dry_run_touches_nothing)
{
    struct guard guard;
    struct guest guest;
    guard_prepare(&guard, "dry");
    guest_boot(&guest, &(struct guest_options){.name = "dry",
                           .memory = MEMORY,
                           .qmp_directory = guard.qmp_directory,
                           .schedule = "grow:100M"});
    (void)guest_wait(&guest, "done step=grow", STEP_LIMIT);
    guest_tell(&guest, "free:100M");
    (void)guest_wait(&guest, "done step=free", STEP_LIMIT);
    guard_configure(&guard,
        "vm-budget=%lluM\ntight=128M 0s\nscarce=96M 0s\ncritical=8M 0s\n"
        "[class default]\nmode=dry-run\nrungs=balloon\nminimum=30%%\n",
        mebibytes(guest_rss(&guest) + 64 * MIB));
    guard_start(&guard);
    size_t cursor = 0;
    (void)guard_wait_event(
        &guard, &cursor, GUARD_ACT_LIMIT, "event=action", "vm=dry", "action=balloon", NULL);
    for (unsigned i = 0; i < 3; i++)
        (void)guest_report(&guest, "free");
    ck_assert_uint_eq(guest_balloon_actual(&guest), MEMORY);
    ck_assert_int_eq(guest_oom_score_adj(&guest), 0);
    guard_stop(&guard);
    guest_end(&guest);
}
END_TEST

static Suite *suite_balloon(void)
{
    Suite *suite = suite_create("balloon");
    TCase *balloon = tcase_create("balloon");
    tcase_set_timeout(balloon, 150);
    tcase_add_test(balloon, test_inflates_and_returns);
    tcase_add_test(balloon, test_driverless_is_rigid);
    tcase_add_test(balloon, test_dry_run_touches_nothing);
    suite_add_tcase(suite, balloon);
    return suite;
}

int main(void)
{
    return harness_run(suite_balloon, HARNESS_NEED_GUARD);
}
