/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which NUMA nodes a guest may allocate on. */
#ifndef PLIMSOLL_DAEMON_SAMPLE_BINDING_H
#define PLIMSOLL_DAEMON_SAMPLE_BINDING_H

#include <plimsoll/snapshot.h>

/*
 * The nodes by index into HOST's, as bits (struct vm_snapshot, nodes_allowed): those of the cpuset
 * by STATUS, the text of /proc/PID/status, and of them those that BACKENDS names by the kernel's
 * numbers (struct vm_wiring, backend_nodes). 0: nobody says, or the guest may use a node beyond
 * those watched.
 */
uint32_t binding_parse(const char *status, uint64_t backends, const struct host_snapshot *host);

#endif
