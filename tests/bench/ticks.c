/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whole ticks of whole guards, in dry run, over the same real guests: one guard for each kind of
 * peer, in a process of its own, that takes its turns when told to. They take them one repetition
 * after the other, so that each is compared with what stood beside it in time.
 *
 * A turn is what the guard's loop does but for sleeping: tick, inventory, events. Its clock goes on
 * by a second each turn, so each tick reads the edge files of all guests, each tenth all their
 * files, and time-outs and new connections of a sick peer, which take seconds in life, come every
 * few turns; "connected" counts the turns that found a connection to the peer.
 *
 * The guards run at real-time priority while they take their turns, else the 99th percentile would
 * be that of other programs' time slices.
 */
#include "bench.h"

#include "guard_private.h"
#include "inventory_private.h"

#include <errno.h>
#include <fcntl.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/units.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TURNS 100 /* of one repetition */
#define TURNS_WARM 20
/* With so many guests a turn takes 10 ms; the last kind of peer is left to smaller herds. What a
 * peer adds does not depend on who is beside it. */
#define HERD_LARGE 500

/* free() for CLEANUP(). */
static void free_at(char **text)
{
    free(*text);
}

static const char *const peer_labels[] = {
    [PEER_NONE] = "no monitor",
    [PEER_MUTE] = "one never answers",
    [PEER_HANGS] = "one greets, hangs",
};
_Static_assert(ELEMENTSOF(peer_labels) == PEER_COUNT, "a peer without its label");

/* One guard's process and what it tells, in memory of both. */
struct worker {
    pid_t pid;
    int go, done;
    struct report {
        unsigned guests; /* seen; 0: the guard did not start */
        unsigned allocations;
        unsigned connections; /* turns in which the peer, if there is one, was connected to */
        struct error error;
        double ticks[TURNS], turns[TURNS]; /* us */
    } * report;
};

/* ---- in the guard's process ---- */

static bool is_connected(const struct guard *guard)
{
    const struct inventory *inventory = guard->inventory;

    return inventory->monitor_count > 0 &&
           qmp_session_fd(monitor_session(inventory->monitors[0])) >= 0;
}

static void turns_take(struct guard *guard, uint64_t *now, struct report *report, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        *now += NSEC_PER_SEC;
        unsigned allocations = allocations_count();
        uint64_t begin = clock_read(CLOCK_MONOTONIC);
        guard_tick(guard, *now);
        uint64_t end = clock_read(CLOCK_MONOTONIC);
        report->allocations += allocations_count() - allocations;
        inventory_advance(guard->inventory, guard->plan->assessment.band, *now);
        (void)loop_wait(guard->loop, 0);
        uint64_t turned = clock_read(CLOCK_MONOTONIC);
        report->connections += is_connected(guard);
        report->ticks[i] = (double)(end - begin) / (double)NSEC_PER_USEC;
        report->turns[i] = (double)(turned - begin) / (double)NSEC_PER_USEC;
    }
}

/* Its own configuration and runtime directory, in the herd's folder. The options hold the paths. */
static int guard_start(
    const struct herd *herd, enum peer peer, struct guard **ret_guard, struct error *ret_error)
{
    static char config[128], runtime[128];
    CLEANUP(free_at) char *directory = herd_qmp_directory(herd, peer);
    const struct guard_options options = {.config_path = config, .runtime_directory = runtime};

    (void)snprintf(config, sizeof(config), "%s/%d.conf", herd->folder, (int)peer);
    (void)snprintf(runtime, sizeof(runtime), "%s/%d", herd->folder, (int)peer);
    int fd = open(config, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || !directory ||
        dprintf(fd, "[guard]\nmode=dry-run\nqmp-directory=%s\nmax-vms=%d\n", directory,
            BENCH_GUESTS_MAX) < 0)
        return error_set(ret_error, -EIO, "%s cannot be written", config);
    (void)close(fd);
    return guard_new(&options, ret_guard, ret_error);
}

_Noreturn static void worker_run(
    const struct herd *herd, enum peer peer, int go, int done, struct report *report)
{
    struct guard *guard = NULL;
    uint64_t now = loop_now();
    char byte;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* What it lacks is said once, by main(). */
    (void)dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
    if (guard_start(herd, peer, &guard, &report->error) == 0 && guard) {
        turns_take(guard, &now, report, TURNS_WARM);
        report->guests = guard->snapshot->vm_count;
    }
    (void)sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1});
    while (write(done, "", 1) == 1 && guard && read(go, &byte, 1) == 1) {
        report->allocations = report->connections = 0;
        turns_take(guard, &now, report, TURNS);
    }
    (void)guard_free(guard);
    _exit(EXIT_SUCCESS);
}

/* ---- in the benchmark ---- */

static void worker_stop(struct worker *worker)
{
    if (worker->go >= 0)
        (void)close(worker->go);
    if (worker->done >= 0)
        (void)close(worker->done);
    if (worker->pid > 0)
        (void)waitpid(worker->pid, NULL, 0);
    if (worker->report)
        (void)munmap(worker->report, sizeof(*worker->report));
}

/* Returns once its guard stands, or does not: then *RET_GUESTS says 0. */
static bool worker_start(const struct herd *herd, enum peer peer, struct worker *ret_worker)
{
    int go[2], done[2];
    char byte;

    void *map = mmap(
        NULL, sizeof(struct report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED || pipe2(go, O_CLOEXEC) < 0 || pipe2(done, O_CLOEXEC) < 0)
        return false;
    *ret_worker = (struct worker){.go = go[1], .done = done[0], .report = map};
    ret_worker->pid = fork();
    if (ret_worker->pid == 0) {
        (void)close(go[1]);
        (void)close(done[0]);
        worker_run(herd, peer, go[0], done[1], map);
    }
    (void)close(go[0]);
    (void)close(done[1]);
    return ret_worker->pid > 0 && read(ret_worker->done, &byte, 1) == 1;
}

/* Of one peer, for each repetition, us. */
struct series {
    double tick_median[REPETITIONS], tick_p99[REPETITIONS];
    double turn_p99[REPETITIONS];
    double turn_added[REPETITIONS], tick_added[REPETITIONS]; /* to p99, against no monitor */
    unsigned allocations, connections;
};

static bool repetition_take(struct worker *worker, struct series *series, unsigned repetition)
{
    struct report *report = worker->report;
    char byte;

    if (write(worker->go, "", 1) != 1 || read(worker->done, &byte, 1) != 1)
        return false;
    series->tick_median[repetition] = spread_of(report->ticks, TURNS).median;
    series->tick_p99[repetition] = sorted_at(report->ticks, TURNS, 990);
    (void)spread_of(report->turns, TURNS);
    series->turn_p99[repetition] = sorted_at(report->turns, TURNS, 990);
    series->allocations += report->allocations;
    series->connections += report->connections;
    return true;
}

static void print_spread(double *values)
{
    struct spread spread = spread_of(values, REPETITIONS);
    char range[32];

    (void)snprintf(range, sizeof(range), "(%.0f-%.0f)", spread.low, spread.high);
    (void)printf(" %7.0f %-14s", spread.median, range);
}

static void series_print(unsigned guests, enum peer peer, struct series *series)
{
    (void)printf("%7u  %-18s", guests, peer_labels[peer]);
    print_spread(series->tick_median);
    print_spread(series->tick_p99);
    print_spread(series->turn_p99);
    (void)printf(" %6u %9u", series->allocations, series->connections);
    if (peer != PEER_NONE) {
        print_spread(series->tick_added);
        print_spread(series->turn_added);
    }
    (void)printf("\n");
}

static bool workers_measure(struct worker *workers, enum peer peers, unsigned guests)
{
    static struct series all[PEER_COUNT];

    memset(all, 0, sizeof(all));
    for (unsigned i = 0; i < REPETITIONS; i++) {
        for (enum peer peer = PEER_NONE; peer < peers; peer++) {
            if (!repetition_take(&workers[peer], &all[peer], i))
                return false;
            all[peer].tick_added[i] = all[peer].tick_p99[i] - all[PEER_NONE].tick_p99[i];
            all[peer].turn_added[i] = all[peer].turn_p99[i] - all[PEER_NONE].turn_p99[i];
        }
    }
    for (enum peer peer = PEER_NONE; peer < peers; peer++)
        series_print(guests, peer, &all[peer]);
    return true;
}

void ticks_head(void)
{
    (void)printf("\nWhole ticks in us, %d repetitions of %d turns: median (p10-p90) of the "
                 "repetitions\n"
                 "%7s  %-18s %-22s %-22s %-22s %6s %9s %-22s %s\n",
        REPETITIONS, TURNS, "guests", "monitors", "    tick, median", "    tick, p99",
        "    turn, p99", "allocs", "connected", "    added: tick's p99", "    added: turn's p99");
}

bool ticks_measure(unsigned guests)
{
    struct worker workers[PEER_COUNT];
    static struct herd herd;
    const enum peer peers = guests < HERD_LARGE ? PEER_COUNT : PEER_HANGS;
    bool ready = herd_start(&herd, guests);

    for (enum peer peer = PEER_NONE; peer < PEER_COUNT; peer++)
        workers[peer] = (struct worker){.go = -1, .done = -1};
    for (enum peer peer = PEER_NONE; ready && peer < peers; peer++) {
        ready = worker_start(&herd, peer, &workers[peer]);
        if (ready && workers[peer].report->guests < guests) {
            (void)printf("%7u  not measured: the guard sees %u of them. %s\n", guests,
                workers[peer].report->guests, workers[peer].report->error.text);
            ready = false;
        }
    }
    if (ready)
        ready = workers_measure(workers, peers, guests);
    /* A later one has the ends of those before it. */
    for (unsigned i = PEER_COUNT; i > 0; i--)
        worker_stop(&workers[i - 1]);
    herd_stop(&herd);
    return ready;
}
