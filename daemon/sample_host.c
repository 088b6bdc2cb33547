/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the descriptors of the host's own files, and what must be remembered between two reads: the
 * zones' watermarks for the nodes' arithmetic, and the highest recent rate of writing to swap.
 *
 * Every file stands alone: one that fails makes its own fields UNKNOWN for this tick and is tried
 * again in the next. Free swap counts as available only as far as the device can fill it, and the
 * one proof of what it can do is having seen it; hence the peak, which fades because a device that
 * was quick an hour ago may be worn, shared or throttled now.
 */
#include "sample_host.h"

#include "kernel_file.h"
#include "log.h"
#include "sample_hugepage.h"
#include "sample_node.h"
#include "sample_psi.h"
#include "sample_zone.h"

#include <errno.h>
#include <limits.h>
#include <plimsoll/cleanup.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Time constant with which an unconfirmed peak of the swap rate fades. */
#define SWAP_RATE_MEMORY (10 * NSEC_PER_MINUTE)
/* Somebody waited for memory this part of the time: what went to swap is all that could. */
#define SWAP_LIMITED_DIVISOR 5
/* The kernel folds its per-CPU vmstat counters once a second (vm.stat_interval), so a rate over
 * less would be a jump of the counter divided by almost nothing. */
#define SWAP_RATE_INTERVAL NSEC_PER_SEC

struct host_sampler {
    int meminfo_fd, vmstat_fd, zoneinfo_fd, overcommit_fd, arc_fd;
    struct psi_source psi;
    struct hugepage_pools pools;
    struct node_sampler *nodes; /* NULL: the host shows none */
    struct zone_sample zones;
    bool zones_known;
    uint64_t swap_rate, swap_time, swap_bytes; /* UNKNOWN before the first */
    uint64_t swap_stalled;                     /* PSI's total at swap_time */
};

/* In the file's order. */
static const struct kernel_field meminfo_fields[] = {
    KERNEL_FIELD("MemTotal", struct host_snapshot, total),
    KERNEL_FIELD("MemFree", struct host_snapshot, free),
    KERNEL_FIELD("MemAvailable", struct host_snapshot, available),
    KERNEL_FIELD("Cached", struct host_snapshot, cached),
    KERNEL_FIELD("Mlocked", struct host_snapshot, locked),
    KERNEL_FIELD("SwapTotal", struct host_snapshot, swap_total),
    KERNEL_FIELD("SwapFree", struct host_snapshot, swap_free),
    KERNEL_FIELD("AnonPages", struct host_snapshot, anonymous),
    KERNEL_FIELD("Shmem", struct host_snapshot, shmem),
    KERNEL_FIELD("SUnreclaim", struct host_snapshot, slab_unreclaimable),
    KERNEL_FIELD("PageTables", struct host_snapshot, page_tables),
    KERNEL_FIELD("CommitLimit", struct host_snapshot, commit_limit),
    KERNEL_FIELD("Committed_AS", struct host_snapshot, committed),
};

static void host_read_meminfo(const struct host_sampler *sampler, struct host_snapshot *host)
{
    char text[KERNEL_FILE_TEXT];

    if (kernel_file_read(sampler->meminfo_fd, text, sizeof(text)) < 0)
        text[0] = '\0';
    (void)kernel_fields_parse(text, 0, meminfo_fields, ELEMENTSOF(meminfo_fields), host);
}

/* The number of a line "KEY… NUMBER" whose key begins with PREFIX; with a PREFIX that ends in a
 * blank the key is matched whole. */
static bool vmstat_value(const char *line, const char *prefix, uint64_t *ret_value)
{
    const char *cursor = strchr(line, ' ');

    return cursor && strncmp(line, prefix, strlen(prefix)) == 0 &&
           kernel_number_parse(&cursor, ret_value) && *cursor == '\0';
}

static void host_read_vmstat(const struct host_sampler *sampler, struct host_snapshot *host)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    struct kernel_lines lines;
    uint64_t value;
    char *line;

    host->oom_kills = host->allocation_stalls = UNKNOWN;
    host->swapped_in = host->swapped_out = UNKNOWN;
    kernel_lines_begin(&lines, sampler->vmstat_fd);
    while ((line = kernel_lines_next(&lines))) {
        if (vmstat_value(line, "oom_kill ", &value))
            host->oom_kills = value;
        else if (vmstat_value(line, "pswpin ", &value))
            host->swapped_in = scale_u64(value, page, 1);
        else if (vmstat_value(line, "pswpout ", &value))
            host->swapped_out = scale_u64(value, page, 1);
        else if (vmstat_value(line, "allocstall", &value))
            host->allocation_stalls = add_held(known_or(host->allocation_stalls, 0), value);
    }
}

/* What the device can do shows only while somebody waits for it. Before that the kernel swaps as
 * little as it has to: a few kilobytes a second say nothing against the device. */
static bool swap_is_limited(const struct host_sampler *sampler, uint64_t stalled, uint64_t elapsed)
{
    return known(stalled) && known(sampler->swap_stalled) &&
           sub_or_zero(stalled, sampler->swap_stalled) >= elapsed / SWAP_LIMITED_DIVISOR;
}

static void host_update_swap_rate(
    struct host_sampler *sampler, uint64_t now, struct host_snapshot *host)
{
    uint64_t bytes = host->swapped_out, stalled = host->memory_pressure.some;

    if (known(bytes) && !known(sampler->swap_time)) {
        sampler->swap_time = now;
        sampler->swap_bytes = bytes;
        sampler->swap_stalled = stalled;
    }
    uint64_t elapsed = known(sampler->swap_time) ? sub_or_zero(now, sampler->swap_time) : 0;
    if (known(bytes) && elapsed >= SWAP_RATE_INTERVAL) {
        uint64_t rate = scale_u64(sub_or_zero(bytes, sampler->swap_bytes), NSEC_PER_SEC, elapsed);
        bool limited = swap_is_limited(sampler, stalled, elapsed);
        if (limited && known(sampler->swap_rate))
            sampler->swap_rate -=
                scale_u64(sampler->swap_rate, min_u64(elapsed, SWAP_RATE_MEMORY), SWAP_RATE_MEMORY);
        if (limited ? rate > known_or(sampler->swap_rate, 0)
                    : known(sampler->swap_rate) && rate > sampler->swap_rate)
            sampler->swap_rate = rate;
        sampler->swap_time = now;
        sampler->swap_bytes = bytes;
        sampler->swap_stalled = stalled;
    }
    host->swap_rate = sampler->swap_rate;
}

static void host_read_zones(struct host_sampler *sampler)
{
    sampler->zones_known = zone_sample_read(sampler->zoneinfo_fd, &sampler->zones) == 0;
}

static void host_read_overcommit(const struct host_sampler *sampler, struct host_snapshot *host)
{
    static const enum overcommit_mode modes[] = {
        OVERCOMMIT_HEURISTIC, OVERCOMMIT_ALWAYS, OVERCOMMIT_STRICT};
    uint64_t value;

    host->overcommit = OVERCOMMIT_UNKNOWN;
    if (kernel_file_read_number(sampler->overcommit_fd, &value) == 0 && value < ELEMENTSOF(modes))
        host->overcommit = modes[value];
}

/* A line of arcstats is "NAME TYPE NUMBER". */
static bool arc_value(const char *line, const char *name, uint64_t *ret_value)
{
    size_t length = strlen(name);
    const char *cursor = line + length;
    uint64_t type, value;

    if (strncmp(line, name, length) != 0 || *cursor != ' ' ||
        !kernel_number_parse(&cursor, &type) || !kernel_number_parse(&cursor, &value) ||
        *cursor != '\0')
        return false;
    *ret_value = value;
    return true;
}

static void host_read_arc(const struct host_sampler *sampler, struct host_snapshot *host)
{
    struct kernel_lines lines;
    uint64_t value;
    char *line;

    host->arc_size = host->arc_minimum = UNKNOWN;
    kernel_lines_begin(&lines, sampler->arc_fd);
    while ((line = kernel_lines_next(&lines))) {
        if (arc_value(line, "size", &value))
            host->arc_size = value;
        else if (arc_value(line, "c_min", &value))
            host->arc_minimum = value;
    }
}

static void host_read_full(struct host_sampler *sampler, uint64_t now, struct host_snapshot *host)
{
    host_read_vmstat(sampler, host);
    host_update_swap_rate(sampler, now, host);
    host_read_zones(sampler);
    host->watermark_min = sampler->zones_known ? sampler->zones.min : UNKNOWN;
    host->watermark_low = sampler->zones_known ? sampler->zones.low : UNKNOWN;
    host->watermark_high = sampler->zones_known ? sampler->zones.high : UNKNOWN;
    host_read_overcommit(sampler, host);
    host_read_arc(sampler, host);
    hugepage_pools_read(&sampler->pools, &host->hugepages_total, &host->hugepages_free);
}

void host_sampler_read(
    struct host_sampler *sampler, enum sample_depth depth, uint64_t now, struct host_snapshot *host)
{
    host_read_meminfo(sampler, host);
    host->memory_pressure = psi_source_read(&sampler->psi);
    if (depth == SAMPLE_FULL)
        host_read_full(sampler, now, host);
    host->node_count = 0;
    if (sampler->nodes)
        node_sampler_read(
            sampler->nodes, depth, sampler->zones_known ? &sampler->zones : NULL, host);
}

int host_sampler_psi_fd(const struct host_sampler *sampler)
{
    return sampler->psi.trigger;
}

/* What an operator should know of a host that cannot tell everything. */
static void host_say_missing(
    const struct host_sampler *sampler, const struct roots *roots, int psi_error)
{
    if (psi_error < 0)
        log_message(LOG_NOTICE,
            "no memory pressure figures: %s/pressure/memory: %s (psi=1 on the kernel's command "
            "line turns them on)",
            roots->proc, strerror(-psi_error));
    else if (sampler->psi.trigger < 0)
        log_message(LOG_INFO, "no memory pressure trigger: polling alone watches the pressure");
    if (!sampler->nodes)
        log_message(
            LOG_INFO, "no NUMA nodes shown in %s: only the host as a whole is watched", roots->sys);
    if (!sampler->zones_known)
        log_message(LOG_NOTICE,
            "%s/zoneinfo cannot be read: watermarks and what is available on a node stay unknown",
            roots->proc);
    if (sampler->vmstat_fd < 0)
        log_message(LOG_NOTICE, "%s/vmstat: %s: swapping and OOM kills stay unknown", roots->proc,
            strerror(-sampler->vmstat_fd));
    if (sampler->pools.count == 0)
        log_message(LOG_INFO, "no huge page pools on this host");
}

static void host_open_hugepages(struct host_sampler *sampler, const struct roots *roots)
{
    struct hugepage_sizes sizes = {.count = 0};
    char folder[PATH_MAX];

    int length = snprintf(folder, sizeof(folder), "%s/kernel/mm/hugepages", roots->sys);
    if (length > 0 && (size_t)length < sizeof(folder)) {
        hugepage_sizes_find(folder, &sizes);
        hugepage_pools_open(&sampler->pools, folder, &sizes);
    }
    if (node_sampler_new(roots, &sizes, &sampler->nodes) < 0)
        sampler->nodes = NULL;
}

DEFINE_CLEANUP(struct host_sampler *, host_sampler_free);

int host_sampler_new(
    const struct roots *roots, struct host_sampler **ret_sampler, struct error *ret_error)
{
    CLEANUP(host_sampler_free_at) struct host_sampler *sampler = calloc(1, sizeof(*sampler));
    struct host_snapshot host;

    if (!sampler)
        return error_set(ret_error, -ENOMEM, "out of memory");
    sampler->swap_rate = sampler->swap_time = sampler->swap_bytes = UNKNOWN;
    sampler->swap_stalled = UNKNOWN;
    sampler->meminfo_fd = kernel_file_open_format("%s/meminfo", roots->proc);
    sampler->vmstat_fd = kernel_file_open_format("%s/vmstat", roots->proc);
    sampler->zoneinfo_fd = kernel_file_open_format("%s/zoneinfo", roots->proc);
    sampler->overcommit_fd = kernel_file_open_format("%s/sys/vm/overcommit_memory", roots->proc);
    sampler->arc_fd = kernel_file_open_format("%s/spl/kstat/zfs/arcstats", roots->proc);
    int psi_error = psi_source_open(&sampler->psi, roots);
    host_open_hugepages(sampler, roots);
    if (sampler->meminfo_fd < 0)
        return error_set(ret_error, sampler->meminfo_fd, "%s/meminfo: %s", roots->proc,
            strerror(-sampler->meminfo_fd));
    host_read_meminfo(sampler, &host);
    if (!known(host.total) || !known(host.free))
        return error_set(ret_error, -EBADMSG,
            "%s/meminfo says neither MemTotal nor MemFree: is it the kernel's?", roots->proc);
    host_read_zones(sampler);
    host_say_missing(sampler, roots, psi_error);
    *ret_sampler = STEAL(sampler);
    return 0;
}

struct host_sampler *host_sampler_free(struct host_sampler *sampler)
{
    if (!sampler)
        return NULL;
    (void)kernel_file_close(sampler->meminfo_fd);
    (void)kernel_file_close(sampler->vmstat_fd);
    (void)kernel_file_close(sampler->zoneinfo_fd);
    (void)kernel_file_close(sampler->overcommit_fd);
    (void)kernel_file_close(sampler->arc_fd);
    psi_source_close(&sampler->psi);
    hugepage_pools_close(&sampler->pools);
    (void)node_sampler_free(sampler->nodes);
    free(sampler);
    return NULL;
}
