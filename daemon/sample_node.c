/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the open files of each node.
 *
 * The first list comes from libnuma on a real host; it reads it once and keeps it. Hotplug is seen
 * by comparing the text of node/online with the one remembered. When a node's file fails the node
 * is closed and the memory of that text dropped, so that the next full read looks again.
 */
#include "sample_node.h"

#include "kernel_file.h"

#include <errno.h>
#include <limits.h>
#include <numa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "0-1,4,…": 1024 nodes at worst alternate, at 5 characters each; beyond NODES_MAX all is ignored,
 * so that a cut text loses nothing we would have used. */
#define NODE_ONLINE_MAX 512

struct node_source {
    uint32_t id;
    int meminfo_fd;
    struct hugepage_pools pools;
    uint64_t hugepages_total, hugepages_free; /* as of the last full read */
};

struct node_sampler {
    char folder[PATH_MAX];
    struct hugepage_sizes sizes;
    int online_fd;
    char online[NODE_ONLINE_MAX];
    uint32_t count;
    struct node_source sources[NODES_MAX];
};

struct node_meminfo {
    uint64_t total, free, active_file, inactive_file, reclaimable, slab_reclaimable;
};

/* In the file's order. */
static const struct kernel_field node_fields[] = {
    KERNEL_FIELD("MemTotal", struct node_meminfo, total),
    KERNEL_FIELD("MemFree", struct node_meminfo, free),
    KERNEL_FIELD("Active(file)", struct node_meminfo, active_file),
    KERNEL_FIELD("Inactive(file)", struct node_meminfo, inactive_file),
    KERNEL_FIELD("KReclaimable", struct node_meminfo, reclaimable),
    KERNEL_FIELD("SReclaimable", struct node_meminfo, slab_reclaimable),
};

static void node_source_close(struct node_source *source)
{
    source->meminfo_fd = kernel_file_close(source->meminfo_fd);
    hugepage_pools_close(&source->pools);
}

static void node_add(struct node_sampler *sampler, uint32_t id)
{
    char folder[PATH_MAX];

    for (uint32_t i = 0; i < sampler->count; i++)
        if (sampler->sources[i].id == id)
            return;
    if (sampler->count == NODES_MAX)
        return;
    int fd = kernel_file_open_format("%s/node%u/meminfo", sampler->folder, id);
    if (fd < 0)
        return;
    struct node_source *source = &sampler->sources[sampler->count];
    *source = (struct node_source){
        .id = id, .meminfo_fd = fd, .hugepages_total = UNKNOWN, .hugepages_free = UNKNOWN};
    int length = snprintf(folder, sizeof(folder), "%s/node%u/hugepages", sampler->folder, id);
    if (length > 0 && (size_t)length < sizeof(folder))
        hugepage_pools_open(&source->pools, folder, &sampler->sizes);
    sampler->count++;
}

static void node_drop(struct node_sampler *sampler, uint32_t index)
{
    node_source_close(&sampler->sources[index]);
    sampler->count--;
    memmove(&sampler->sources[index], &sampler->sources[index + 1],
        (sampler->count - index) * sizeof(sampler->sources[0]));
    sampler->online[0] = '\0';
}

static void node_add_list(struct node_sampler *sampler, const char *cursor)
{
    uint64_t first, last;

    while (kernel_number_parse(&cursor, &first)) {
        last = first;
        if (*cursor == '-') {
            cursor++;
            if (!kernel_number_parse(&cursor, &last))
                return;
        }
        if (last > INT_MAX)
            return;
        for (uint64_t id = first; id <= last && sampler->count < NODES_MAX; id++)
            node_add(sampler, (uint32_t)id);
        if (*cursor == ',')
            cursor++;
    }
}

/* Opens nodes that are online and not open yet, if the kernel's list is not the one remembered. */
static void node_refresh(struct node_sampler *sampler)
{
    char online[NODE_ONLINE_MAX];

    if (kernel_file_read(sampler->online_fd, online, sizeof(online)) < 0 ||
        strcmp(online, sampler->online) == 0)
        return;
    memcpy(sampler->online, online, sizeof(online));
    node_add_list(sampler, online);
}

static void node_add_from_libnuma(struct node_sampler *sampler)
{
    if (numa_available() < 0)
        return;
    for (int id = 0; id <= numa_max_node(); id++)
        if (numa_bitmask_isbitset(numa_nodes_ptr, (unsigned)id))
            node_add(sampler, (uint32_t)id);
}

int node_sampler_new(const struct roots *roots, const struct hugepage_sizes *sizes,
    struct node_sampler **ret_sampler)
{
    struct node_sampler *sampler = calloc(1, sizeof(*sampler));
    if (!sampler)
        return -ENOMEM;
    sampler->sizes = *sizes;
    int length =
        snprintf(sampler->folder, sizeof(sampler->folder), "%s/devices/system/node", roots->sys);
    if (length < 0 || (size_t)length >= sizeof(sampler->folder)) {
        free(sampler);
        return -ENAMETOOLONG;
    }
    sampler->online_fd = kernel_file_open_format("%s/online", sampler->folder);
    if (strcmp(roots->sys, "/sys") == 0)
        node_add_from_libnuma(sampler);
    node_refresh(sampler);
    if (sampler->count == 0) {
        (void)node_sampler_free(sampler);
        return -ENOENT;
    }
    *ret_sampler = sampler;
    return 0;
}

struct node_sampler *node_sampler_free(struct node_sampler *sampler)
{
    if (!sampler)
        return NULL;
    for (uint32_t i = 0; i < sampler->count; i++)
        node_source_close(&sampler->sources[i]);
    (void)kernel_file_close(sampler->online_fd);
    free(sampler);
    return NULL;
}

static uint64_t node_available(const struct node_meminfo *meminfo, const struct zone_node *zone)
{
    uint64_t slab = known(meminfo->reclaimable) ? meminfo->reclaimable : meminfo->slab_reclaimable;

    if (!zone || !known(meminfo->free) || !known(meminfo->active_file) ||
        !known(meminfo->inactive_file) || !known(slab))
        return UNKNOWN;
    uint64_t file = add_held(meminfo->active_file, meminfo->inactive_file);
    uint64_t gain =
        add_held(file - min_u64(file / 2, zone->low), slab - min_u64(slab / 2, zone->low));
    return sub_or_zero(add_held(meminfo->free, gain), zone->reserve);
}

/* False: the node is gone. */
static bool node_read(struct node_source *source, enum sample_depth depth,
    const struct zone_sample *zones, struct node_snapshot *ret_node)
{
    char text[KERNEL_FILE_TEXT];
    struct node_meminfo meminfo;

    if (kernel_file_read(source->meminfo_fd, text, sizeof(text)) < 0)
        return false;
    /* Each line begins with "Node N". */
    (void)kernel_fields_parse(
        text, 2, node_fields, sizeof(node_fields) / sizeof(node_fields[0]), &meminfo);
    if (depth == SAMPLE_FULL)
        hugepage_pools_read(&source->pools, &source->hugepages_total, &source->hugepages_free);
    *ret_node = (struct node_snapshot){
        .id = source->id,
        .total = meminfo.total,
        .free = meminfo.free,
        .available = node_available(&meminfo, zones ? zone_sample_find(zones, source->id) : NULL),
        .hugepages_total = source->hugepages_total,
        .hugepages_free = source->hugepages_free,
    };
    return true;
}

void node_sampler_read(struct node_sampler *sampler, enum sample_depth depth,
    const struct zone_sample *zones, struct host_snapshot *host)
{
    struct node_snapshot node;

    if (depth == SAMPLE_FULL)
        node_refresh(sampler);
    host->node_count = 0;
    for (uint32_t i = 0; i < sampler->count;) {
        if (!node_read(&sampler->sources[i], depth, zones, &node)) {
            node_drop(sampler, i);
            continue;
        }
        if (node.total != 0)
            host->nodes[host->node_count++] = node;
        i++;
    }
}
