/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pause and freeze on real guests: growth stops before the budget is used up, nothing of the guest
 * is lost, and it goes on by itself when there is room again.
 */
#include "guard.h"
#include "guest.h"

#include <stdlib.h>

#define MEMORY (384 * MIB)
#define STEP_LIMIT (90 * NSEC_PER_SEC)
#define HEADROOM (96 * MIB)
/* Held from the start: the pages that the kernel touched when it unpacked itself are used up by it,
 * and every further one shows in the RSS. */
#define HELD (80 * MIB)
#define GROWTH (200 * MIB)
#define CRITICAL (48 * MIB)
/* QEMU's own buffers move a little in a guest that stands still. */
#define NOISE (4 * MIB)

/* A guest that will grow and one that only takes up room; a budget that has no room for both. */
struct pair {
    struct guard guard;
    struct guest grower, filler;
    uint64_t budget;
};

static void pair_start(struct pair *pair, const char *name, bool monitored, uint64_t critical)
{
    guard_prepare(&pair->guard, name);
    guest_start(&pair->filler,
        &(struct guest_options){
            .name = "filler", .memory = MEMORY, .qmp_directory = pair->guard.qmp_directory});
    guest_boot(&pair->grower, &(struct guest_options){.name = "grower",
                                  .memory = MEMORY,
                                  .no_balloon_device = true,
                                  .schedule = "grow:80M",
                                  .qmp_directory = monitored ? pair->guard.qmp_directory : NULL});
    (void)guest_wait(&pair->filler, "ready", GUEST_READY_LIMIT);
    (void)guest_wait(&pair->grower, "done step=grow", STEP_LIMIT);
    uint64_t tight = critical + 24 * MIB, scarce = critical + 12 * MIB;
    pair->budget = guest_rss(&pair->filler) + guest_rss(&pair->grower) + HEADROOM;
    guard_configure(&pair->guard,
        "vm-budget=%llu\ntight=%llu 0s\nscarce=%llu 0s\ncritical=%llu 0s\n"
        "[class default]\nmode=enforce\nrungs=pause\n",
        (unsigned long long)pair->budget, (unsigned long long)tight, (unsigned long long)scarce,
        (unsigned long long)critical);
}

static void pair_end(struct pair *pair)
{
    guard_stop(&pair->guard);
    guest_end(&pair->grower);
    guest_end(&pair->filler);
}

/* It stands still now. */
static void check_still(struct pair *pair)
{
    uint64_t stopped = guest_rss(&pair->grower);
    uint64_t deadline = harness_now() + 2 * NSEC_PER_SEC;
    while (harness_look_again(deadline))
        ck_assert_uint_lt(guest_rss(&pair->grower), stopped + NOISE);
    ck_assert(child_alive(&pair->grower.qemu));
}

static void check_within_budget(struct pair *pair)
{
    ck_assert_uint_le(guest_rss(&pair->grower) + guest_rss(&pair->filler), pair->budget);
}

/* With the other guest gone there is room: it is resumed, and all its memory is still there. */
static void check_resumed(struct pair *pair, size_t *cursor)
{
    guest_end(&pair->filler);
    (void)guard_wait_event(&pair->guard, cursor, GUARD_ACT_LIMIT, "event=action", "vm=grower",
        "action=resume", "reason=resume-room", NULL);
    guest_wait_is(&pair->grower, "running", STEP_LIMIT);
    const char *done = guest_wait(&pair->grower, "done step=grow", STEP_LIMIT);
    ck_assert_uint_eq(guest_value(done, "held"), HELD + GROWTH);
}

START_TEST(test_pause_and_resume)
{
    struct pair pair;
    pair_start(&pair, "pause", true, CRITICAL);
    guard_start(&pair.guard);
    guard_wait_vm(&pair.guard, "grower");
    guard_wait_vm(&pair.guard, "filler");
    size_t cursor = guard_mark(&pair.guard);
    size_t start = cursor;

    guest_tell(&pair.grower, "grow:200M:8M/s");
    (void)guard_wait_event(
        &pair.guard, &cursor, GUARD_ACT_LIMIT, "event=action", "vm=grower", "action=pause", NULL);
    guest_wait_is(&pair.grower, "paused", STEP_LIMIT);
    check_still(&pair);
    check_within_budget(&pair);
    check_resumed(&pair, &cursor);
    ck_assert(!guard_saw(&pair.guard, start, "vm=filler", "action=pause", NULL));
    ck_assert(!guard_saw(&pair.guard, start, "action=kill", NULL));
    pair_end(&pair);
}
END_TEST

/* A pause by somebody else is theirs: it is never ended by the guard. */
START_TEST(test_foreign_pause_stays)
{
    struct pair pair;
    pair_start(&pair, "foreign", true, CRITICAL);
    guest_execute(&pair.filler, "stop", NULL);
    guard_start(&pair.guard);
    guard_wait_vm(&pair.guard, "grower");
    size_t cursor = guard_mark(&pair.guard);
    size_t start = cursor;

    guest_tell(&pair.grower, "grow:200M:8M/s");
    (void)guard_wait_event(
        &pair.guard, &cursor, GUARD_ACT_LIMIT, "event=action", "vm=grower", "action=pause", NULL);
    guest_end(&pair.grower);
    (void)guard_wait_event(&pair.guard, &cursor, GUARD_ACT_LIMIT, "event=band", "band=calm", NULL);
    ck_assert(guest_is(&pair.filler, "paused"));
    ck_assert(!guard_saw(&pair.guard, start, "vm=filler", "action=resume", NULL));
    pair_end(&pair);
}
END_TEST

/* Without a monitor there is only the freeze. */
START_TEST(test_freeze_without_monitor)
{
    struct pair pair;
    pair_start(&pair, "unmonitored", false, CRITICAL);
    guard_start(&pair.guard);
    guard_wait_vm(&pair.guard, "filler");
    size_t cursor = guard_mark(&pair.guard);

    guest_tell(&pair.grower, "grow:200M:8M/s");
    (void)guard_wait_event(&pair.guard, &cursor, GUARD_ACT_LIMIT, "event=action", "vm=grower",
        "action=freeze", "reason=freeze-no-monitor", NULL);
    uint64_t deadline = harness_now() + STEP_LIMIT;
    while (!guest_is_stopped(&pair.grower))
        ck_assert(harness_look_again(deadline));
    check_still(&pair);
    check_within_budget(&pair);
    check_resumed(&pair, &cursor);
    pair_end(&pair);
}
END_TEST

/* With no time for `stop` the vCPUs are frozen through their cgroups, under which the monitor goes
 * on answering. Until a `stop` took hold it could take all that is left, so the freeze stands until
 * there is room. */
START_TEST(test_sprint_freezes_vcpus)
{
    struct pair pair;
    /* Critical from the start, but nobody grows: the guard looks every few milliseconds, and the
     * first it sees of the growth is its full speed. */
    pair_start(&pair, "sprint", true, HEADROOM + 8 * MIB);
    bool isolated = guest_isolate_vcpus(&pair.grower);
    guard_start(&pair.guard);
    guard_wait_vm(&pair.guard, "grower");
    guard_wait_vm(&pair.guard, "filler");
    size_t cursor = guard_mark(&pair.guard);

    /* As fast as it goes: a few hundred MiB a second even under emulation. */
    guest_tell(&pair.grower, "grow:200M");
    (void)guard_wait_event(&pair.guard, &cursor, GUARD_ACT_LIMIT, "event=action", "vm=grower",
        "action=freeze", "reason=freeze-sprint", NULL);
    if (isolated) {
        uint64_t deadline = harness_now() + STEP_LIMIT;
        while (guest_vcpu_frozen(&pair.grower) == 0)
            ck_assert(harness_look_again(deadline));
        ck_assert(guest_is_going(&pair.grower));
        ck_assert(guest_is(&pair.grower, "running")); /* its monitor answers */
    }
    check_still(&pair);
    check_resumed(&pair, &cursor);
    if (isolated)
        ck_assert_int_eq(guest_vcpu_frozen(&pair.grower), 0);
    pair_end(&pair);
}
END_TEST

static Suite *suite_pause(void)
{
    Suite *suite = suite_create("pause");
    TCase *pause = tcase_create("pause");
    tcase_set_timeout(pause, 150);
    tcase_add_test(pause, test_pause_and_resume);
    tcase_add_test(pause, test_foreign_pause_stays);
    tcase_add_test(pause, test_freeze_without_monitor);
    tcase_add_test(pause, test_sprint_freezes_vcpus);
    suite_add_tcase(suite, pause);
    return suite;
}

int main(void)
{
    return harness_run(suite_pause, HARNESS_NEED_GUARD);
}
