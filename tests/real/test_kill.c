/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The last rung on real guests: the least valuable goes first, the next only when what the first
 * freed has shown and was not enough, and the kernel is told the same order beforehand.
 */
#include "guard.h"
#include "guest.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MEMORY (320 * MIB)
/* Gold alone grows: the cover is then one guest at a time. With two growers a single larger victim
 * may rightly be the lesser loss, as it stops growing, too. */
#define GOLD_MEMORY (512 * MIB)
#define STEP_LIMIT (90 * NSEC_PER_SEC)
#define HEADROOM (80 * MIB)

/* Priorities 900, 50 and 10: the names say it. */
struct trio {
    struct guard guard;
    struct guest gold, silver, bronze;
    uint64_t budget;
};

/* Starts the three and a guard whose budget is what they hold and a little. */
static void trio_start(struct trio *trio, const char *name, const char *host_rules)
{
    struct guest *guests[] = {&trio->gold, &trio->silver, &trio->bronze};
    static const char *const names[] = {"gold", "silver", "bronze"};
    guard_prepare(&trio->guard, name);
    for (unsigned i = 0; i < 3; i++)
        guest_start(guests[i], &(struct guest_options){.name = names[i],
                                   .memory = i == 0 ? GOLD_MEMORY : MEMORY,
                                   .no_balloon_device = true,
                                   .qmp_directory = trio->guard.qmp_directory});
    trio->budget = HEADROOM;
    for (unsigned i = 0; i < 3; i++) {
        (void)guest_wait(guests[i], "ready", GUEST_READY_LIMIT);
        trio->budget += guest_rss(guests[i]);
    }
    guard_configure(&trio->guard,
        "vm-budget=%llu\ntight=64M 0s\nscarce=52M 0s\ncritical=40M 0s\n%s"
        "[class default]\nmode=enforce\nrungs=kill\n"
        "[vm gold]\nmatch=gold\npriority=900\n"
        "[vm silver]\nmatch=silver\npriority=50\n"
        "[vm bronze]\nmatch=bronze\npriority=10\n",
        (unsigned long long)trio->budget, host_rules);
    guard_start(&trio->guard);
    for (unsigned i = 0; i < 3; i++)
        guard_wait_vm(&trio->guard, names[i]);
}

static void trio_end(struct trio *trio)
{
    guard_stop(&trio->guard);
    guest_end(&trio->gold);
    guest_end(&trio->silver);
    guest_end(&trio->bronze);
}

START_TEST(test_least_valuable_goes_first)
{
    struct trio trio;
    trio_start(&trio, "first", "");
    size_t cursor = guard_mark(&trio.guard);
    size_t start = cursor;

    guest_tell(&trio.gold, "grow:160M:8M/s");
    (void)guard_wait_event(&trio.guard, &cursor, GUARD_ACT_LIMIT, "event=action", "vm=bronze",
        "action=kill", "reason=kill-floor", NULL);
    ck_assert_int_eq(child_wait(&trio.bronze.qemu, STEP_LIMIT), 128 + 9);
    /* What the kill freed is enough, and the guard has waited to see that. */
    (void)guest_wait(&trio.gold, "done step=grow", STEP_LIMIT);
    ck_assert(child_alive(&trio.silver.qemu));
    ck_assert(!guard_saw(&trio.guard, start, "vm=silver", "action=kill", NULL));
    ck_assert_uint_le(guest_rss(&trio.gold) + guest_rss(&trio.silver), trio.budget);
    trio_end(&trio);
}
END_TEST

START_TEST(test_next_victim_waits)
{
    struct trio trio;
    trio_start(&trio, "next", "");
    size_t cursor = guard_mark(&trio.guard);

    /* More than one victim frees. */
    guest_tell(&trio.gold, "grow:360M:8M/s");
    (void)guard_wait_event(
        &trio.guard, &cursor, GUARD_ACT_LIMIT, "event=action", "vm=bronze", "action=kill", NULL);
    (void)guard_wait_event(
        &trio.guard, &cursor, GUARD_ACT_LIMIT, "event=action", "vm=silver", "action=kill", NULL);
    ck_assert_int_eq(child_wait(&trio.silver.qemu, STEP_LIMIT), 128 + 9);
    /* Only a victim whose memory is back makes room for the next decision. */
    ck_assert(!child_alive(&trio.bronze.qemu));
    (void)guest_wait(&trio.gold, "done step=grow", STEP_LIMIT);
    ck_assert(child_alive(&trio.gold.qemu));
    trio_end(&trio);
}
END_TEST

/* The circuit breaker: beyond the limit it only says so. */
START_TEST(test_breaker)
{
    struct trio trio;
    trio_start(&trio, "breaker", "max-destructive=1/10min\n");
    size_t cursor = guard_mark(&trio.guard);

    guest_tell(&trio.gold, "grow:360M:8M/s");
    (void)guard_wait_event(
        &trio.guard, &cursor, GUARD_ACT_LIMIT, "event=action", "vm=bronze", "action=kill", NULL);
    size_t killed = cursor;
    (void)guard_wait_event(&trio.guard, &cursor, GUARD_ACT_LIMIT, "reason=breaker", NULL);
    (void)guest_wait(&trio.gold, "done step=grow", STEP_LIMIT);
    ck_assert(child_alive(&trio.silver.qemu));
    ck_assert(!guard_saw(&trio.guard, killed, "action=kill", NULL));
    trio_end(&trio);
}
END_TEST

/* The kernel, should it be faster, takes the same victim. */
START_TEST(test_kernel_order)
{
    struct trio trio;
    trio_start(&trio, "order", "");
    uint64_t deadline = harness_now() + GUARD_ACT_LIMIT;
    while (guest_oom_score_adj(&trio.bronze) <= guest_oom_score_adj(&trio.silver) ||
           guest_oom_score_adj(&trio.silver) <= guest_oom_score_adj(&trio.gold)) {
        if (!harness_look_again(deadline)) {
            guard_dump(&trio.guard);
            ck_abort_msg("oom_score_adj: bronze %d, silver %d, gold %d",
                guest_oom_score_adj(&trio.bronze), guest_oom_score_adj(&trio.silver),
                guest_oom_score_adj(&trio.gold));
        }
    }
    trio_end(&trio);
}
END_TEST

/* A lower score than the present one takes CAP_SYS_RESOURCE, which a container's root lacks. */
static bool scores_can_be_lowered(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    bool can = fd >= 0 && write(fd, "-1", 2) == 2 && write(fd, "0", 1) == 1;
    if (fd >= 0)
        close(fd);
    return can;
}

static Suite *suite_kill(void)
{
    Suite *suite = suite_create("kill");
    TCase *kill = tcase_create("kill");
    tcase_set_timeout(kill, 180);
    tcase_add_test(kill, test_least_valuable_goes_first);
    tcase_add_test(kill, test_next_victim_waits);
    tcase_add_test(kill, test_breaker);
    if (scores_can_be_lowered())
        tcase_add_test(kill, test_kernel_order);
    else
        (void)fprintf(stderr, "SKIP: test_kernel_order: oom_score_adj cannot be lowered here "
                              "(CAP_SYS_RESOURCE is needed)\n");
    suite_add_tcase(suite, kill);
    return suite;
}

int main(void)
{
    return harness_run(suite_kill, HARNESS_NEED_GUARD);
}
