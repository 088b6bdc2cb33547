/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns nothing; reads what is told of a guest's binding.
 *
 * libvirt 9.0 tells it twice: numatune's strict and restrictive set cpuset.mems of the emulator's
 * and the vCPUs' cgroups, which shows in the main thread's Mems_allowed_list; and every mode but
 * restrictive goes to the memory backends as host-nodes= and policy=, for a guest without cells of
 * its own too (qemuBuildMemoryBackendProps), where strict is `bind`. A guest started by hand may
 * have the second alone. A task's own policy (numactl) shows in numa_maps only, which costs 13 ms a
 * GiB.
 */
#include "sample_binding.h"

#include "kernel_file.h"

#include <string.h>

#define MASK_BITS 64

/* The bits of HOST's nodes that LIST, "0-1,4\n", names. RET_OTHERS: it names more than those. False
 * where it is malformed. */
static bool list_parse(
    const char *list, const struct host_snapshot *host, uint32_t *ret_nodes, bool *ret_others)
{
    uint64_t first, last, named = 0, found = 0;
    uint32_t nodes = 0;

    for (;;) {
        if (!kernel_number_parse(&list, &first))
            return false;
        last = first;
        if (*list == '-') {
            list++;
            if (!kernel_number_parse(&list, &last) || last < first)
                return false;
        }
        named = add_held(named, add_held(last - first, 1));
        for (uint32_t i = 0; i < host->node_count && i < NODES_MAX; i++)
            if (host->nodes[i].id >= first && host->nodes[i].id <= last) {
                nodes |= UINT32_C(1) << i;
                found++;
            }
        if (*list != ',')
            break;
        list++;
    }
    *ret_nodes = nodes;
    *ret_others = named > found;
    return *list == '\n';
}

static uint32_t mask_of_ids(uint64_t ids, const struct host_snapshot *host)
{
    uint32_t nodes = 0;

    for (uint32_t i = 0; i < host->node_count && i < NODES_MAX; i++)
        if (host->nodes[i].id < MASK_BITS && (ids >> host->nodes[i].id & 1))
            nodes |= UINT32_C(1) << i;
    return nodes;
}

uint32_t binding_parse(const char *status, uint64_t backends, const struct host_snapshot *host)
{
    static const char key[] = "\nMems_allowed_list:\t";
    uint32_t cpuset = 0, bound = mask_of_ids(backends, host);
    bool others = false;

    const char *line = strstr(status, key);
    if (!line || !list_parse(line + strlen(key), host, &cpuset, &others))
        cpuset = 0;
    /* A node that is listed and not watched has no memory, unless there are too many to watch. */
    if (others && host->node_count >= NODES_MAX)
        cpuset = 0;
    if (cpuset == 0 || (cpuset & bound) == 0)
        return cpuset ? cpuset : bound; /* the kernel lets the cpuset override a policy */
    return cpuset & bound;
}
