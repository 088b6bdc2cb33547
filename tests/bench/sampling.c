/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What it costs to watch N guests: time per VM and sample with the files kept open, against
 * open-read-close of the very same files, in one run, turn by turn, so that whatever disturbs the
 * machine disturbs both. Sleeping processes stand in for guests: the kernel's work for statm, stat
 * and status does not depend on what a process is, only slightly on its number of threads.
 *
 * Medians over REPETITIONS passes over all processes, with the 10th and 90th percentile. A way of
 * sampling is a row of `ways`; add one to measure another. The last row is the walk that finds the
 * guests, per process; with few of them the machine's own processes weigh in it.
 */
#include "bench.h"

#include "kernel_file.h"
#include "sample_cgroup.h"
#include "sample_process.h"
#include "sample_vm.h"
#include "scan.h"

#include <errno.h>
#include <fcntl.h>
#include <plimsoll/cleanup.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Descriptors of the program itself and of the host's files. */
#define FILES_BESIDE 256
#define FILES_AT_THE_EDGE 1
/* Processes a step of the scan looks at. */
#define SCAN_BUDGET 64

static const struct roots roots = {.proc = "/proc", .sys = "/sys"};

struct bench {
    unsigned count;
    bool edge_only; /* RLIMIT_NOFILE does not allow all files of so many */
    pid_t *pids;
    struct vm_sampler *samplers;
    struct vm_snapshot *vms;
    struct cgroup_mounts *mounts;
    struct host_sampler *host_sampler;
    struct host_snapshot host;
};

/* ---- the ways of sampling ---- */

static void sample_edge(struct bench *bench, unsigned i)
{
    (void)vm_sampler_read(&bench->samplers[i], SAMPLE_EDGE, &bench->host, 1, &bench->vms[i]);
}

static void sample_full(struct bench *bench, unsigned i)
{
    (void)vm_sampler_read(&bench->samplers[i], SAMPLE_FULL, &bench->host, 1, &bench->vms[i]);
}

/* One file alone, kept open: where the time goes. */
static void sample_statm(struct bench *bench, unsigned i)
{
    char text[256];

    (void)kernel_file_read(bench->samplers[i].statm_fd, text, sizeof(text));
}

static void sample_stat(struct bench *bench, unsigned i)
{
    char text[1280];

    (void)kernel_file_read(bench->samplers[i].stat_fd, text, sizeof(text));
}

static void sample_cgroup(struct bench *bench, unsigned i)
{
    char text[64];

    (void)kernel_file_read(bench->samplers[i].cgroup_current_fd, text, sizeof(text));
}

/* What a full sample reads each VM_LIMITS_INTERVAL only, and here but once. */
static void sample_limits(struct bench *bench, unsigned i)
{
    limits_read(&bench->samplers[i].limits, roots.proc, bench->pids[i], &bench->vms[i].limits);
}

static void reopen(pid_t pid, const char *const *names, unsigned count)
{
    char text[KERNEL_FILE_TEXT];

    for (unsigned i = 0; i < count; i++) {
        int fd = kernel_file_open_format("/proc/%d/%s", (int)pid, names[i]);
        (void)kernel_file_read(fd, text, sizeof(text));
        (void)kernel_file_close(fd);
    }
}

static void reopen_cgroup(const struct bench *bench, unsigned i)
{
    char path[64], text[KERNEL_FILE_TEXT];

    /* Opening by the descriptor's link finds the same file, without composing its name. */
    const int fds[] = {bench->samplers[i].cgroup_current_fd, bench->samplers[i].cgroup_numa_fd};
    for (unsigned file = 0; file < ELEMENTSOF(fds); file++) {
        if (fds[file] < 0)
            continue;
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[file]);
        int fd = kernel_file_open(AT_FDCWD, path);
        (void)kernel_file_read(fd, text, sizeof(text));
        (void)kernel_file_close(fd);
    }
}

static void sample_edge_reopened(struct bench *bench, unsigned i)
{
    static const char *const names[] = {"statm"};

    reopen(bench->pids[i], names, ELEMENTSOF(names));
}

static void sample_full_reopened(struct bench *bench, unsigned i)
{
    static const char *const names[] = {"stat", "statm", "status", "limits", "oom_score_adj"};

    reopen(bench->pids[i], names, ELEMENTSOF(names));
    reopen_cgroup(bench, i);
}

static const struct {
    const char *name;
    void (*sample)(struct bench *bench, unsigned i);
    unsigned against; /* row to give the ratio to; its own: none */
    bool at_the_edge; /* reads no files but those of the edge */
} ways[] = {
    {"edge sample, files kept open", sample_edge, 1, true},
    {"edge files, open-read-close", sample_edge_reopened, 1, true},
    {"full sample, files kept open", sample_full, 3, false},
    {"full files, open-read-close", sample_full_reopened, 3, false},
    {"statm alone, kept open", sample_statm, 4, true},
    {"stat alone, kept open", sample_stat, 5, false},
    {"cgroup memory alone, kept open", sample_cgroup, 6, false},
    {"limits of its cgroup, reopened", sample_limits, 7, false},
};

/* ---- processes to watch ---- */

static bool processes_start(struct bench *bench)
{
    (void)fflush(stdout);
    for (unsigned i = 0; i < bench->count; i++) {
        pid_t child = fork();
        if (child == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (;;)
                (void)pause();
        }
        if (child < 0) {
            (void)fprintf(stderr, "fork: %s after %u processes\n", strerror(errno), i);
            bench->count = i;
            return false;
        }
        bench->pids[i] = child;
    }
    return true;
}

static void processes_stop(struct bench *bench)
{
    for (unsigned i = 0; i < bench->count; i++)
        (void)kill(bench->pids[i], SIGKILL);
    for (unsigned i = 0; i < bench->count; i++)
        (void)waitpid(bench->pids[i], NULL, 0);
}

static void keep_edge_files(struct vm_sampler *sampler)
{
    struct vm_sampler edge = VM_SAMPLER_CLOSED;

    edge.statm_fd = STEAL_FD(sampler->statm_fd);
    vm_sampler_close(sampler);
    *sampler = edge;
}

static bool samplers_open(struct bench *bench)
{
    struct process_stat stat;

    for (unsigned i = 0; i < bench->count; i++) {
        int fd = kernel_file_open_format("/proc/%d/stat", (int)bench->pids[i]);
        int result = process_stat_read(fd, &stat);
        (void)kernel_file_close(fd);
        const struct vm_identity identity = {
            .pid = bench->pids[i], .start_time = result < 0 ? 0 : stat.start_time};
        if (result == 0)
            result = vm_sampler_open(&bench->samplers[i], &roots, bench->mounts, &identity);
        if (result < 0) {
            (void)fprintf(stderr, "process %u: %s\n", i, strerror(-result));
            return false;
        }
        if (bench->edge_only)
            keep_edge_files(&bench->samplers[i]);
    }
    return true;
}

/* ---- measuring ---- */

/* CPU time of this thread, which is what sampling takes from the guests. */
static double pass_cost(struct bench *bench, unsigned way)
{
    uint64_t begin = clock_read(CLOCK_THREAD_CPUTIME_ID);
    for (unsigned i = 0; i < bench->count; i++)
        ways[way].sample(bench, i);
    uint64_t end = clock_read(CLOCK_THREAD_CPUTIME_ID);
    return (double)(end - begin) / bench->count / (double)NSEC_PER_USEC;
}

static bool way_fits(const struct bench *bench, unsigned way)
{
    return ways[way].at_the_edge || !bench->edge_only;
}

static void measure(struct bench *bench)
{
    static double costs[ELEMENTSOF(ways)][REPETITIONS + 1];
    static double ratios[ELEMENTSOF(ways)][REPETITIONS + 1];

    for (unsigned turn = 0; turn <= REPETITIONS; turn++) {
        for (unsigned way = 0; way < ELEMENTSOF(ways); way++)
            if (way_fits(bench, way))
                costs[way][turn] = pass_cost(bench, way);
        for (unsigned way = 0; way < ELEMENTSOF(ways); way++)
            if (way_fits(bench, way))
                ratios[way][turn] = costs[ways[way].against][turn] / costs[way][turn];
    }
    for (unsigned way = 0; way < ELEMENTSOF(ways); way++) {
        if (!way_fits(bench, way))
            continue;
        /* The first turn warmed the caches, which a guard that runs finds warm. */
        struct spread cost = spread_of(costs[way] + 1, REPETITIONS);
        struct spread ratio = spread_of(ratios[way] + 1, REPETITIONS);
        (void)printf("%9u  %-32s %7.2f %7.2f %7.2f", bench->count, ways[way].name, cost.median,
            cost.low, cost.high);
        if (ways[way].against != way)
            (void)printf("   %5.2f (%.2f-%.2f)", ratio.median, ratio.low, ratio.high);
        (void)printf("\n");
    }
}

static void scan_ignore(const struct scan_found *found, void *userdata)
{
    (void)found;
    (void)userdata;
}

/* Rounds of the scan over all of /proc, each cut into steps as the guard does it. The first looks
 * into every process and is left out; of the others each looks into a tenth. */
static void measure_scan(const struct bench *bench)
{
    double costs[REPETITIONS + 1];
    struct scan *scan;

    if (scan_new(&roots, &scan) < 0)
        return;
    for (unsigned turn = 0; turn <= REPETITIONS; turn++) {
        uint64_t begin = clock_read(CLOCK_THREAD_CPUTIME_ID);
        while (scan_step(scan, SCAN_BUDGET, begin, scan_ignore, NULL) == 0)
            continue;
        uint64_t end = clock_read(CLOCK_THREAD_CPUTIME_ID);
        costs[turn] = (double)(end - begin) / bench->count / (double)NSEC_PER_USEC;
    }
    struct spread cost = spread_of(costs + 1, REPETITIONS);
    (void)printf("%9u  %-32s %7.2f %7.2f %7.2f\n", bench->count, "scan round (with the others')",
        cost.median, cost.low, cost.high);
    (void)scan_free(scan);
}

static bool bench_run(unsigned count, bool edge_only)
{
    static struct bench bench;

    bench = (struct bench){.count = count, .edge_only = edge_only};
    bench.pids = calloc(count, sizeof(bench.pids[0]));
    bench.samplers = calloc(count, sizeof(bench.samplers[0]));
    bench.vms = calloc(count, sizeof(bench.vms[0]));
    bool ready = bench.pids && bench.samplers && bench.vms;
    for (unsigned i = 0; ready && i < count; i++)
        bench.samplers[i] = (struct vm_sampler)VM_SAMPLER_CLOSED;
    ready = ready && cgroup_mounts_new(&roots, &bench.mounts) == 0 &&
            host_sampler_new(&roots, &bench.host_sampler, NULL) == 0;
    if (ready) {
        host_sampler_read(bench.host_sampler, SAMPLE_FULL, 0, &bench.host);
        ready = processes_start(&bench) && samplers_open(&bench);
        if (ready) {
            measure(&bench);
            measure_scan(&bench);
        }
        for (unsigned i = 0; i < bench.count; i++)
            vm_sampler_close(&bench.samplers[i]);
        processes_stop(&bench);
    }
    (void)host_sampler_free(bench.host_sampler);
    (void)cgroup_mounts_free(bench.mounts);
    free(bench.pids);
    free(bench.samplers);
    free(bench.vms);
    return ready;
}

static bool descriptors_allow(unsigned processes, unsigned files)
{
    const rlim_t descriptors = (rlim_t)processes * files + FILES_BESIDE;
    const struct rlimit wanted = {.rlim_cur = descriptors, .rlim_max = descriptors};
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= descriptors)
        return true;
    return setrlimit(RLIMIT_NOFILE, &wanted) == 0;
}

void sampling_head(void)
{
    (void)printf("CPU time per VM and sample in us, %d passes each\n", REPETITIONS);
    (void)printf("%9s  %-32s %7s %7s %7s   %s\n", "processes", "way", "median", "p10", "p90",
        "cheaper by (p10-p90)");
}

bool sampling_measure(unsigned processes)
{
    bool all = descriptors_allow(processes, VM_SAMPLER_FILES);

    if (!all && !descriptors_allow(processes, FILES_AT_THE_EDGE)) {
        (void)printf("%9u  not measured: RLIMIT_NOFILE is too low\n", processes);
        return true;
    }
    if (!all)
        (void)printf("%9u  edge files only: RLIMIT_NOFILE is too low for all\n", processes);
    return bench_run(processes, !all);
}
