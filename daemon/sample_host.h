/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host's own figures. All files are opened once and read again by pread at offset 0; a file
 * that is not there or not readable leaves its fields UNKNOWN and is never a failure of the tick.
 */
#ifndef PLIMSOLL_DAEMON_SAMPLE_HOST_H
#define PLIMSOLL_DAEMON_SAMPLE_HOST_H

#include "roots.h"

#include <plimsoll/error.h>
#include <plimsoll/snapshot.h>

struct host_sampler;

/* Opens everything. Fails only when /proc/meminfo cannot be read: without it there is nothing to
 * guard. Says on the diagnostics log, once, what this host does not offer (PSI, NUMA, …). */
int host_sampler_new(
    const struct roots *roots, struct host_sampler **ret_sampler, struct error *ret_error);
struct host_sampler *host_sampler_free(struct host_sampler *sampler);

/* How much to read: near the edge the figures that decide must not wait for those that inform. */
enum sample_depth {
    SAMPLE_EDGE, /* meminfo, PSI totals, node figures */
    SAMPLE_FULL, /* also vmstat, zoneinfo, overcommit, ARC, hugepage pools */
};

/* Fills HOST in place; what this depth does not read keeps its last value. No allocation.
 * largest_process and largest_tmpfs are not touched (scan.h and sample_tmpfs.h know them). */
void host_sampler_read(struct host_sampler *sampler, enum sample_depth depth, uint64_t now,
    struct host_snapshot *host);

/* A PSI trigger to poll for EPOLLPRI, the second line behind polling; -1 where there can be none.
 */
int host_sampler_psi_fd(const struct host_sampler *sampler);

#endif
