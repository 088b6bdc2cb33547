/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guard that dies in the middle of the ladder: its successor takes over what it did and takes it
 * back when there is room; without a successor the operator does, from the ledger alone. And there
 * is never more than one.
 */
#include "guard.h"
#include "guest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY (384 * MIB)
#define STEP_LIMIT (90 * NSEC_PER_SEC)
#define HEADROOM (96 * MIB)

struct scene {
    struct guard guard;
    struct guest grower;
};

static void scene_configure(struct scene *scene, uint64_t budget)
{
    guard_configure(&scene->guard,
        "vm-budget=%llu\ntight=72M 0s\nscarce=60M 0s\ncritical=48M 0s\n"
        "[class default]\nmode=enforce\nrungs=pause\n",
        (unsigned long long)budget);
}

/* Its guest is paused by the guard, which is then killed. */
static void scene_start(struct scene *scene, const char *name)
{
    guard_prepare(&scene->guard, name);
    guest_boot(&scene->grower,
        &(struct guest_options){
            .name = "grower", .memory = MEMORY, .qmp_directory = scene->guard.qmp_directory});
    scene_configure(scene, guest_rss(&scene->grower) + HEADROOM);
    guard_start(&scene->guard);
    guard_wait_vm(&scene->guard, "grower");
    size_t cursor = guard_mark(&scene->guard);
    guest_tell(&scene->grower, "grow:200M:8M/s");
    (void)guard_wait_event(
        &scene->guard, &cursor, GUARD_ACT_LIMIT, "event=action", "vm=grower", "action=pause", NULL);
    guest_wait_is(&scene->grower, "paused", STEP_LIMIT);
    guard_kill(&scene->guard);
    ck_assert(guest_is(&scene->grower, "paused"));
}

START_TEST(test_successor_adopts)
{
    static const struct guard_expectation paused = {"grower", "state", "paused"};
    struct scene scene;
    scene_start(&scene, "adopt");

    /* As short of memory as before: the pause stays, and it is known to be ours. */
    guard_start(&scene.guard);
    guard_wait_status(&scene.guard, guard_expects, &paused, "it is paused", STEP_LIMIT);
    ck_assert(guest_is(&scene.grower, "paused"));
    ck_assert(!guard_saw(&scene.guard, 0, "action=resume", NULL));
    guard_kill(&scene.guard);

    /* A successor with room resumes what its predecessor's predecessor has paused. */
    scene_configure(&scene, GIB);
    guard_start(&scene.guard);
    size_t cursor = 0;
    (void)guard_wait_event(
        &scene.guard, &cursor, GUARD_ACT_LIMIT, "event=action", "vm=grower", "action=resume", NULL);
    guest_wait_is(&scene.grower, "running", STEP_LIMIT);
    (void)guest_wait(&scene.grower, "done step=grow", STEP_LIMIT);
    guard_stop(&scene.guard);
    guest_end(&scene.grower);
}
END_TEST

START_TEST(test_undo_offline)
{
    struct scene scene;
    scene_start(&scene, "undo");
    ck_assert_int_eq(guard_undo_offline(&scene.guard), 0);
    ck_assert(guest_is(&scene.grower, "running"));
    ck_assert_int_eq(guest_oom_score_adj(&scene.grower), 0);
    (void)guest_wait(&scene.grower, "done step=grow", STEP_LIMIT);
    guest_end(&scene.grower);
}
END_TEST

START_TEST(test_only_one)
{
    struct guard guard;
    char output[4096], holder[16];
    guard_prepare(&guard, "one");
    guard_configure(&guard, "[class default]\nmode=enforce\n");
    guard_start(&guard);
    (void)snprintf(holder, sizeof(holder), "%d", guard.daemon.pid);
    ck_assert_int_ne(guard_run_second(&guard, output, sizeof(output)), 0);
    ck_assert_msg(strstr(output, holder) != NULL, "it does not name %s: %s", holder, output);
    /* Nor did it take anything away from the first. */
    struct json_object *status = guard_status(&guard);
    ck_assert_ptr_nonnull(status);
    json_object_put(status);
    /* With a guard alive, undo is the guard's. */
    ck_assert_int_ne(guard_undo_offline(&guard), 0);
    guard_stop(&guard);
}
END_TEST

static Suite *suite_restart(void)
{
    Suite *suite = suite_create("restart");
    TCase *restart = tcase_create("restart");
    tcase_set_timeout(restart, 150);
    tcase_add_test(restart, test_successor_adopts);
    tcase_add_test(restart, test_undo_offline);
    tcase_add_test(restart, test_only_one);
    suite_add_tcase(suite, restart);
    return suite;
}

int main(void)
{
    return harness_run(suite_restart, HARNESS_NEED_GUARD);
}
