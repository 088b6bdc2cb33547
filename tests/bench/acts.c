/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From tick to act: how long the tick takes that ends in a freeze or a kill, from its first read to
 * the return of the act and its alert, and what is allocated from the tick that crosses the hard
 * threshold on. The host is made up of files, its guests are children that get the signals; the
 * makers of that host are the tests', and end what they run in when they fail, so they run as a
 * test, in a process of its own.
 */
#include "bench.h"

#include "fake_host.h"

#include <check.h>
#include <fcntl.h>
#include <plimsoll/cleanup.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define TICK (100 * NSEC_PER_MSEC)
/* The estimators' memory of what was before. */
#define CALM_TICKS 20
/* Of 100 ms, until an act must have come. */
#define TICKS_MAX 200

static const char enforcing[] = "[guard]\nmode=enforce\nqmp-directory=/nonexistent\nmax-vms=1024\n"
                                "[class default]\nmode=enforce\n";

static const struct {
    const char *label;
    enum action_kind kind;
    uint64_t rss, available; /* at first */
    uint64_t growth;         /* what the guest takes from the host in a tick */
} acts[] = {
    {"freeze", ACTION_FREEZE, GIB, 4 * GIB, 400 * MIB},
    {"kill", ACTION_KILL, 5 * GIB, 100 * MIB, 0}, /* nobody grows, there is simply nothing left */
};

/* In memory of both processes. */
struct acts_report {
    unsigned repetitions[ELEMENTSOF(acts)]; /* that came to the act */
    unsigned allocations[ELEMENTSOF(acts)];
    double ticks[ELEMENTSOF(acts)][REPETITIONS]; /* us */
};
static struct acts_report *report;

static bool plan_has(const struct plan *plan, enum action_kind kind)
{
    for (uint32_t i = 0; i < plan->action_count; i++)
        if (plan->actions[i].kind == kind)
            return true;
    return false;
}

/* Ticks until the act has come; what is allocated counts from the first critical one on. */
static void act_await(struct fake_host *host, pid_t pid, unsigned act, unsigned repetition)
{
    const uint64_t growth = acts[act].growth;
    uint64_t rss = acts[act].rss, available = acts[act].available;

    for (unsigned i = 0; i < TICKS_MAX; i++) {
        if (i > CALM_TICKS && available > growth) {
            rss += growth;
            available -= growth;
        }
        fake_host_set_rss(host, pid, rss);
        fake_host_set_available(host, available);
        unsigned allocations = allocations_count();
        uint64_t begin = clock_read(CLOCK_MONOTONIC);
        fake_host_tick(host, TICK);
        uint64_t end = clock_read(CLOCK_MONOTONIC);
        if (host->guard->plan->assessment.band == BAND_CRITICAL)
            report->allocations[act] += allocations_count() - allocations;
        if (plan_has(host->guard->plan, acts[act].kind)) {
            report->ticks[act][repetition] = (double)(end - begin) / (double)NSEC_PER_USEC;
            report->repetitions[act]++;
            return;
        }
    }
}

START_TEST(acts_run)
{
    for (unsigned repetition = 0; repetition < REPETITIONS; repetition++) {
        for (unsigned act = 0; act < ELEMENTSOF(acts); act++) {
            struct fake_host host;

            fake_host_begin(&host, FAKE_CGROUPS_V2, enforcing);
            pid_t pid = fake_host_guest(&host, "one", acts[act].rss);
            fake_host_start_guard(&host);
            act_await(&host, pid, act, repetition);
            fake_host_end(&host);
            (void)kill(pid, SIGKILL);
            (void)waitpid(pid, NULL, 0);
        }
    }
}
END_TEST

_Noreturn static void acts_child(void)
{
    Suite *suite = suite_create("acts");
    TCase *tests = tcase_create("acts");
    SRunner *runner;

    /* What the guards lack is said once, by main(). */
    (void)dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
    tcase_add_test(tests, acts_run);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_SILENT);
    _exit(srunner_ntests_failed(runner) == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

bool acts_measure(void)
{
    int status = -1;

    report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (report == MAP_FAILED)
        return false;
    (void)printf("\nThe tick that acts, us, %d repetitions\n%-8s %8s %8s %8s   %s\n", REPETITIONS,
        "act", "median", "p10", "p90", "allocations from the hard threshold to the act, all");
    pid_t child = fork();
    if (child == 0)
        acts_child();
    bool done = child > 0 && waitpid(child, &status, 0) == child && status == 0;
    for (unsigned act = 0; act < ELEMENTSOF(acts) && done; act++) {
        if (report->repetitions[act] < REPETITIONS) {
            (void)printf("%-8s did not come in %u of %d repetitions\n", acts[act].label,
                REPETITIONS - report->repetitions[act], REPETITIONS);
            continue;
        }
        struct spread spread = spread_of(report->ticks[act], REPETITIONS);
        (void)printf("%-8s %8.1f %8.1f %8.1f   %u\n", acts[act].label, spread.median, spread.low,
            spread.high, report->allocations[act]);
    }
    if (!done)
        (void)fprintf(stderr, "the acts could not be measured\n");
    (void)munmap(report, sizeof(*report));
    return done;
}
