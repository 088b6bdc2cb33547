/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guest itself, without a guard: everything the other tests take for granted about it, and the
 * facts about balloons that the guard is built on, seen on the real component.
 */
#include "guest.h"

#include <signal.h>
#include <stdlib.h>

#define MEMORY (256 * MIB)
#define STEP_LIMIT (60 * NSEC_PER_SEC)
/* Translation buffers, monitor buffers and the kernel's own pages move the RSS by a few MiB. */
#define NOISE (16 * MIB)

/* As long as a report takes to come, with the machine busy: what has not moved by then stands. */
#define STILL_REPORTS 3
/* What the host's khugepaged may add to a guest that stands still, when it fills gaps. */
#define STILL (4 * MIB)

START_TEST(test_grows_by_schedule)
{
    struct guest guest;
    guest_boot(&guest, &(struct guest_options){.name = "grow", .memory = MEMORY});
    uint64_t before = guest_rss(&guest);
    guest_tell(&guest, "grow:96M@500ms:48M/s");
    const char *done = guest_wait(&guest, "done step=grow", STEP_LIMIT);
    ck_assert_uint_eq(guest_value(done, "held"), 96 * MIB);
    /* The kernel touched some of these pages before, when it unpacked itself. */
    ck_assert_uint_gt(guest_rss(&guest), before + 24 * MIB);
    guest_tell(&guest, "check");
    const char *checked = guest_wait(&guest, "checked", STEP_LIMIT);
    ck_assert_uint_eq(guest_value(checked, "whole"), 96 * MIB / 4096);
    ck_assert_uint_eq(guest_value(checked, "changed"), 0);
    guest_end(&guest);
}
END_TEST

START_TEST(test_balloon_lowers_rss)
{
    static const bool memfds[] = {false, true};
    struct guest guest;
    guest_boot(&guest,
        &(struct guest_options){
            .name = "balloon", .memory = MEMORY, .memfd = memfds[_i], .schedule = "grow:128M"});
    (void)guest_wait(&guest, "done step=grow", STEP_LIMIT);
    guest_tell(&guest, "free:128M");
    (void)guest_wait(&guest, "done step=free", STEP_LIMIT);
    uint64_t before = guest_rss(&guest);

    guest_set_balloon(&guest, MEMORY - 128 * MIB);
    guest_wait_rss_below(&guest, before - 96 * MIB, STEP_LIMIT);
    uint64_t low = guest_rss(&guest);

    /* Given back, memory returns to the host's books only as the guest touches it. */
    guest_set_balloon(&guest, MEMORY);
    uint64_t deadline = harness_now() + STEP_LIMIT;
    while (guest_balloon_actual(&guest) < MEMORY)
        ck_assert(harness_look_again(deadline));
    ck_assert_uint_lt(guest_rss(&guest), low + NOISE);
    guest_tell(&guest, "grow:128M");
    (void)guest_wait(&guest, "done step=grow", STEP_LIMIT);
    ck_assert_uint_gt(guest_rss(&guest), low + 64 * MIB);
    guest_end(&guest);
}
END_TEST

START_TEST(test_squeezed_guest_waits)
{
    struct guest guest;
    guest_boot(&guest,
        &(struct guest_options){.name = "squeezed", .memory = MEMORY, .schedule = "grow:64M"});
    (void)guest_wait(&guest, "done step=grow", STEP_LIMIT);
    /* Less than it holds already: the balloon takes what is free and the guest lives on. */
    guest_set_balloon(&guest, 32 * MIB);
    uint64_t deadline = harness_now() + STEP_LIMIT;
    while (guest_report(&guest, "free") > 48 * MIB)
        ck_assert(harness_look_again(deadline));
    guest_tell(&guest, "grow:80M:32M/s");
    (void)guest_wait(&guest, "waits", STEP_LIMIT);
    for (unsigned i = 0; i < STILL_REPORTS; i++)
        (void)guest_report(&guest, "held");
    ck_assert_uint_gt(guest_balloon_actual(&guest), 64 * MIB);
    guest_set_balloon(&guest, MEMORY);
    const char *done = guest_wait(&guest, "done step=grow", STEP_LIMIT);
    ck_assert_uint_eq(guest_value(done, "held"), 144 * MIB);
    guest_end(&guest);
}
END_TEST

START_TEST(test_unloaded_balloon)
{
    struct guest guest;
    guest_boot(&guest, &(struct guest_options){.name = "unloaded", .memory = MEMORY});
    guest_set_balloon(&guest, MEMORY - 64 * MIB);
    uint64_t deadline = harness_now() + STEP_LIMIT;
    while (guest_balloon_actual(&guest) > MEMORY - 64 * MIB)
        ck_assert(harness_look_again(deadline));

    guest_tell(&guest, "unload-balloon");
    (void)guest_wait(&guest, "done step=unload-balloon", STEP_LIMIT);
    uint64_t actual = guest_balloon_actual(&guest);
    guest_set_balloon(&guest, MEMORY - 128 * MIB);
    for (unsigned i = 0; i < STILL_REPORTS; i++)
        (void)guest_report(&guest, "free");
    ck_assert_uint_eq(guest_balloon_actual(&guest), actual);
    guest_end(&guest);
}
END_TEST

START_TEST(test_without_driver)
{
    struct guest guest;
    guest_boot(&guest,
        &(struct guest_options){.name = "driverless", .memory = MEMORY, .schedule = "no-balloon"});
    guest_set_balloon(&guest, MEMORY - 128 * MIB);
    for (unsigned i = 0; i < STILL_REPORTS; i++)
        (void)guest_report(&guest, "free");
    ck_assert_uint_eq(guest_balloon_actual(&guest), MEMORY);
    guest_end(&guest);
}
END_TEST

START_TEST(test_without_device)
{
    struct guest guest;
    guest_boot(&guest,
        &(struct guest_options){.name = "deviceless", .memory = MEMORY, .no_balloon_device = true});
    ck_assert_ptr_null(guest_query(&guest, "query-balloon", NULL));
    guest_end(&guest);
}
END_TEST

/* `stop` stops growth; `cont` continues it, at its rate and not in a burst. */
START_TEST(test_stop_and_continue)
{
    struct guest guest;
    guest_boot(&guest, &(struct guest_options){
                           .name = "stopped", .memory = MEMORY, .schedule = "grow:150M:16M/s"});
    uint64_t grown = guest_wait_rss_above(&guest, guest_rss(&guest) + 8 * MIB, STEP_LIMIT);
    guest_execute(&guest, "stop", NULL);
    ck_assert(guest_is(&guest, "paused"));
    uint64_t stopped = guest_rss(&guest);
    ck_assert_uint_ge(stopped + NOISE, grown);
    uint64_t deadline = harness_now() + 2 * NSEC_PER_SEC;
    while (harness_look_again(deadline))
        ck_assert_uint_lt(guest_rss(&guest), stopped + STILL);
    guest_execute(&guest, "cont", NULL);
    guest_wait_rss_above(&guest, stopped + 16 * MIB, STEP_LIMIT);
    (void)guest_wait(&guest, "done step=grow", STEP_LIMIT);
    guest_end(&guest);
}
END_TEST

/* Both ways of a freeze: a SIGSTOP, and the vCPU's cgroup, under which the monitor still answers.
 */
START_TEST(test_freeze)
{
    struct guest guest;
    guest_boot(&guest,
        &(struct guest_options){.name = "frozen", .memory = MEMORY, .schedule = "grow:150M:16M/s"});
    (void)guest_wait_rss_above(&guest, guest_rss(&guest) + 8 * MIB, STEP_LIMIT);
    child_signal(&guest.qemu, SIGSTOP);
    uint64_t deadline = harness_now() + STEP_LIMIT;
    while (!guest_is_stopped(&guest))
        ck_assert(harness_look_again(deadline));
    uint64_t stopped = guest_rss(&guest);
    deadline = harness_now() + 2 * NSEC_PER_SEC;
    while (harness_look_again(deadline))
        ck_assert_uint_lt(guest_rss(&guest), stopped + STILL);
    child_signal(&guest.qemu, SIGCONT);
    guest_wait_rss_above(&guest, stopped + 8 * MIB, STEP_LIMIT);

    if (guest_isolate_vcpus(&guest)) {
        ck_assert_int_eq(guest_vcpu_frozen(&guest), 0);
        guest_freeze_vcpu(&guest, true);
        ck_assert(guest_is(&guest, "running"));
        stopped = guest_rss(&guest);
        deadline = harness_now() + 2 * NSEC_PER_SEC;
        while (harness_look_again(deadline))
            ck_assert_uint_lt(guest_rss(&guest), stopped + STILL);
        guest_freeze_vcpu(&guest, false);
    }
    (void)guest_wait(&guest, "done step=grow", STEP_LIMIT);
    guest_end(&guest);
}
END_TEST

/* libcheck's limit only ends what hangs: each wait has its own. */
#define TEST_LIMIT 120

static Suite *suite_guest(void)
{
    Suite *suite = suite_create("guest");
    TCase *guest = tcase_create("guest");
    tcase_set_timeout(guest, TEST_LIMIT);
    tcase_add_test(guest, test_grows_by_schedule);
    tcase_add_loop_test(guest, test_balloon_lowers_rss, 0, 2);
    tcase_add_test(guest, test_squeezed_guest_waits);
    tcase_add_test(guest, test_unloaded_balloon);
    tcase_add_test(guest, test_without_driver);
    tcase_add_test(guest, test_without_device);
    tcase_add_test(guest, test_stop_and_continue);
    tcase_add_test(guest, test_freeze);
    suite_add_tcase(suite, guest);
    return suite;
}

int main(void)
{
    return harness_run(suite_guest, 0);
}
