/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The huge page pools of the host or of one NUMA node, all page sizes together, in bytes. Memory in
 * a pool is no victim's to give back to others.
 */
#ifndef PLIMSOLL_DAEMON_SAMPLE_HUGEPAGE_H
#define PLIMSOLL_DAEMON_SAMPLE_HUGEPAGE_H

#include <stdint.h>

/* Page sizes one architecture offers: arm64 has four for each base page size, no other has more. */
#define HUGEPAGE_SIZES_MAX 8

/* The sizes in KiB, found once: every node offers the host's. */
struct hugepage_sizes {
    unsigned count;
    uint64_t kib[HUGEPAGE_SIZES_MAX];
};
void hugepage_sizes_find(const char *folder, struct hugepage_sizes *ret_sizes);

struct hugepage_pools {
    unsigned count;
    struct hugepage_pool {
        uint64_t page; /* bytes */
        int total_fd, free_fd;
    } pools[HUGEPAGE_SIZES_MAX];
};

/* Opens FOLDER/hugepages-*kB; sizes that cannot be opened are left out. No allocation. */
void hugepage_pools_open(
    struct hugepage_pools *pools, const char *folder, const struct hugepage_sizes *sizes);
void hugepage_pools_close(struct hugepage_pools *pools);
/* UNKNOWN, both, where there is no pool or one cannot be read. */
void hugepage_pools_read(
    const struct hugepage_pools *pools, uint64_t *ret_total, uint64_t *ret_free);

#endif
