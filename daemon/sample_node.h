/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host's NUMA nodes, one by one. What is available on a node is computed as si_mem_available()
 * (mm/show_mem.c) does for the host, with the node's own figures:
 *
 *     free - reserve + (file - min(file / 2, low)) + (slab - min(slab / 2, low))
 *
 * free, file (Active(file) + Inactive(file)) and slab (KReclaimable) from the node's meminfo;
 * low and reserve (totalreserve_pages) from zoneinfo, see sample_zone.h. Never below 0.
 */
#ifndef PLIMSOLL_DAEMON_SAMPLE_NODE_H
#define PLIMSOLL_DAEMON_SAMPLE_NODE_H

#include "roots.h"
#include "sample_host.h"
#include "sample_hugepage.h"
#include "sample_zone.h"

struct node_sampler;

/* -ENOENT: the host shows no nodes; or another negative errno. */
int node_sampler_new(const struct roots *roots, const struct hugepage_sizes *sizes,
    struct node_sampler **ret_sampler);
struct node_sampler *node_sampler_free(struct node_sampler *sampler);

/* Rewrites host->nodes. A node that has vanished, or has no memory, is left out; one that came (or
 * came back) is found at SAMPLE_FULL. ZONES may be NULL: available is then UNKNOWN. No allocation.
 */
void node_sampler_read(struct node_sampler *sampler, enum sample_depth depth,
    const struct zone_sample *zones, struct host_snapshot *host);

#endif
