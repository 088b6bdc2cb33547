/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Zone watermarks out of /proc/zoneinfo: for the host as sums, per node as what
 * si_mem_available() (mm/show_mem.c) needs to know of them. Bytes.
 */
#ifndef PLIMSOLL_DAEMON_SAMPLE_ZONE_H
#define PLIMSOLL_DAEMON_SAMPLE_ZONE_H

#include <plimsoll/snapshot.h>

struct zone_node {
    uint32_t id;
    uint64_t low;     /* sum of the zones' low watermarks */
    uint64_t reserve; /* pgdat->totalreserve_pages: kept back by watermarks and lowmem_reserve */
};

struct zone_sample {
    uint64_t min, low, high; /* sums over all zones of the host */
    uint32_t node_count;
    struct zone_node nodes[NODES_MAX];
};

/* Reads the open zoneinfo. -EBADMSG: it names no zone; RET_SAMPLE is untouched then. */
int zone_sample_read(int fd, struct zone_sample *ret_sample);
/* NULL: nothing known of that node. */
const struct zone_node *zone_sample_find(const struct zone_sample *sample, uint32_t id);

#endif
