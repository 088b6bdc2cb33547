/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One QEMU that answers nobody, which a SIGSTOP makes of any: its monitor accepts and stays silent,
 * as under a hung disk. The guard goes on guarding the others, and what needs no answer still works
 * on the silent one.
 */
#include "guard.h"
#include "guest.h"

#include <signal.h>
#include <stdlib.h>

#define MEMORY (320 * MIB)
#define STEP_LIMIT (90 * NSEC_PER_SEC)
#define HEADROOM (96 * MIB)

struct pair {
    struct guard guard;
    struct guest grower, hung;
};

static void pair_start(struct pair *pair, const char *name, const char *rungs)
{
    guard_prepare(&pair->guard, name);
    guest_start(&pair->hung,
        &(struct guest_options){
            .name = "hung", .memory = MEMORY, .qmp_directory = pair->guard.qmp_directory});
    guest_boot(&pair->grower,
        &(struct guest_options){
            .name = "grower", .memory = MEMORY, .qmp_directory = pair->guard.qmp_directory});
    (void)guest_wait(&pair->hung, "ready", GUEST_READY_LIMIT);
    uint64_t budget = guest_rss(&pair->hung) + guest_rss(&pair->grower) + HEADROOM;
    guard_configure(&pair->guard,
        "vm-budget=%llu\ntight=72M 0s\nscarce=60M 0s\ncritical=48M 0s\n"
        "[class default]\nmode=enforce\nrungs=%s\n"
        "[vm grower]\nmatch=grower\npriority=900\n"
        "[vm hung]\nmatch=hung\npriority=10\n",
        (unsigned long long)budget, rungs);
    guard_start(&pair->guard);
    guard_wait_vm(&pair->guard, "hung");
    guard_wait_vm(&pair->guard, "grower");
}

static void pair_end(struct pair *pair)
{
    guard_stop(&pair->guard);
    guest_end(&pair->grower);
    guest_end(&pair->hung);
}

/* The silent guest costs the other nothing: it is paused in time, and the guard answers. */
START_TEST(test_others_are_guarded)
{
    struct pair pair;
    /* Without balloon, which would hold the grower back and leave nothing to pause. */
    pair_start(&pair, "others", "pause");
    child_signal(&pair.hung.qemu, SIGSTOP);
    size_t cursor = guard_mark(&pair.guard);

    guest_tell(&pair.grower, "grow:160M:8M/s");
    (void)guard_wait_event(
        &pair.guard, &cursor, GUARD_ACT_LIMIT, "event=action", "vm=grower", "action=pause", NULL);
    guest_wait_is(&pair.grower, "paused", STEP_LIMIT);
    struct json_object *status = guard_status(&pair.guard);
    ck_assert_ptr_nonnull(status);
    ck_assert_ptr_nonnull(guard_status_vm(status, "hung"));
    json_object_put(status);
    pair_end(&pair);
}
END_TEST

/* A silent monitor is seen as such, and believed again when it answers. */
START_TEST(test_silence_is_seen)
{
    static const struct guard_expectation silent = {"hung", "monitor", "silent"};
    static const struct guard_expectation ready = {"hung", "monitor", "ready"};
    struct pair pair;
    pair_start(&pair, "silence", "balloon pause");
    child_signal(&pair.hung.qemu, SIGSTOP);
    /* In tight the guard asks each second, so that silence shows soon. */
    guest_tell(&pair.grower, "grow:95M");
    guard_wait_status(&pair.guard, guard_expects, &silent, "its monitor is silent", STEP_LIMIT);
    child_signal(&pair.hung.qemu, SIGCONT);
    guard_wait_status(&pair.guard, guard_expects, &ready, "its monitor is ready", STEP_LIMIT);
    pair_end(&pair);
}
END_TEST

/* A kill needs no answer. */
START_TEST(test_silent_guest_is_killed)
{
    struct pair pair;
    pair_start(&pair, "kill", "kill");
    child_signal(&pair.hung.qemu, SIGSTOP);
    size_t cursor = guard_mark(&pair.guard);

    guest_tell(&pair.grower, "grow:160M:8M/s");
    (void)guard_wait_event(&pair.guard, &cursor, GUARD_ACT_LIMIT, "event=action", "vm=hung",
        "action=kill", "reason=kill-floor", NULL);
    ck_assert_int_eq(child_wait(&pair.hung.qemu, STEP_LIMIT), 128 + SIGKILL);
    (void)guest_wait(&pair.grower, "done step=grow", STEP_LIMIT);
    pair_end(&pair);
}
END_TEST

static Suite *suite_hung(void)
{
    Suite *suite = suite_create("hung");
    TCase *hung = tcase_create("hung");
    tcase_set_timeout(hung, 150);
    tcase_add_test(hung, test_others_are_guarded);
    tcase_add_test(hung, test_silence_is_seen);
    tcase_add_test(hung, test_silent_guest_is_killed);
    suite_add_tcase(suite, hung);
    return suite;
}

int main(void)
{
    return harness_run(suite_hung, HARNESS_NEED_GUARD);
}
