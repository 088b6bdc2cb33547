/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What watching a host costs: each guest's sample, whole ticks with and without a sick monitor,
 * the acts, and the guard's own memory. It prints medians with the 10th and 90th percentile, ratios
 * and differences within one run, and judges nothing.
 *
 *     bench_observe [PROCESSES…]        default 10 100 1000 4000
 *
 * Run it as root, on a machine that does little else; it says at its head how busy the machine was
 * and what it may not do. It ends by itself, in about two minutes, later on a busy machine. The
 * guards it starts are in dry run, or on a host of files made up for the purpose: no other process
 * is touched. They log to syslog as any guard does.
 *
 * The parts: sampling.c, ticks.c (with guests.c), acts.c, memory.c.
 */
#include "bench.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define SIZES_MAX 16
#define PROCESSES_MAX 16384

/* What a guard opens for one guest (isolate.c). */
#define DESCRIPTORS_PER_GUEST 24

static void machine_print(const char *when)
{
    double loads[3] = {0, 0, 0};

    (void)getloadavg(loads, 3);
    (void)printf("%s: %ld processors, load %.2f %.2f %.2f\n", when, sysconf(_SC_NPROCESSORS_ONLN),
        loads[0], loads[1], loads[2]);
}

static void rights_print(void)
{
    struct rlimit limit = {0, 0};

    if (geteuid() != 0)
        (void)printf(
            "not root: nobody's copy of a program counts as QEMU, so no ticks are measured\n");
    if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
        (void)printf("memory cannot be locked (%s): a guard may be slowed by reclaim, and its "
                     "resident memory is less than locked\n",
            strerror(errno));
    (void)munlockall();
    if (sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1}) < 0)
        (void)printf("no real-time priority (%s): p99 of ticks is that of time slices when others "
                     "run\n",
            strerror(errno));
    (void)sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){.sched_priority = 0});
    if (access("/proc/self/oom_score_adj", W_OK) < 0)
        (void)printf("oom_score_adj cannot be written\n");
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < (rlim_t)BENCH_GUESTS_MAX * DESCRIPTORS_PER_GUEST)
        (void)printf("RLIMIT_NOFILE: %llu, fewer than a guard wants for %d guests\n",
            (unsigned long long)limit.rlim_max, BENCH_GUESTS_MAX);
}

static bool sizes_parse(int count, char **texts, unsigned sizes[SIZES_MAX])
{
    for (int i = 0; i < count; i++) {
        char *end;
        unsigned long size = strtoul(texts[i], &end, 10);
        if (*end != '\0' || size < 1 || size > PROCESSES_MAX || i == SIZES_MAX) {
            (void)fprintf(stderr, "%s: up to %d numbers of 1 to %d processes are taken\n", texts[i],
                SIZES_MAX, PROCESSES_MAX);
            return false;
        }
        sizes[i] = (unsigned)size;
    }
    return true;
}

int main(int argc, char **argv)
{
    unsigned sizes[SIZES_MAX] = {10, 100, 1000, 4000};
    int count = argc > 1 ? argc - 1 : 4;
    bool done = true;

    const char *slash = strrchr(argv[0], '/');
    if (strcmp(slash ? slash + 1 : argv[0], GUEST_PROGRAM) == 0)
        return guest_main(argc, argv);
    if (!sizes_parse(argc - 1, argv + 1, sizes))
        return EXIT_FAILURE;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    machine_print("before");
    rights_print();
    (void)printf("\n");
    sampling_head();
    for (int i = 0; i < count; i++)
        done &= sampling_measure(sizes[i]);
    ticks_head();
    for (int i = 0; i < count && geteuid() == 0; i++)
        if (sizes[i] < BENCH_GUESTS_MAX)
            done &= ticks_measure(sizes[i]);
    done &= acts_measure();
    done &= memory_measure();
    machine_print("\nafter");
    return done ? EXIT_SUCCESS : EXIT_FAILURE;
}
