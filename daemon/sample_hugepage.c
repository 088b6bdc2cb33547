/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns two descriptors for each page size. Names come from the folder once, at start; a node that
 * appears later is opened by the sizes known then, so that nothing is listed while sampling.
 */
#include "sample_hugepage.h"

#include "kernel_file.h"

#include <dirent.h>
#include <plimsoll/units.h>
#include <string.h>

void hugepage_sizes_find(const char *folder, struct hugepage_sizes *ret_sizes)
{
    static const char prefix[] = "hugepages-";
    struct hugepage_sizes sizes = {.count = 0};
    struct dirent *entry;

    DIR *directory = opendir(folder);
    while (directory && sizes.count < HUGEPAGE_SIZES_MAX && (entry = readdir(directory))) {
        const char *cursor = entry->d_name + strlen(prefix);
        uint64_t kib;
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0 &&
            kernel_number_parse(&cursor, &kib) && strcmp(cursor, "kB") == 0 && kib < UNKNOWN / KIB)
            sizes.kib[sizes.count++] = kib;
    }
    if (directory)
        (void)closedir(directory);
    *ret_sizes = sizes;
}

void hugepage_pools_open(
    struct hugepage_pools *pools, const char *folder, const struct hugepage_sizes *sizes)
{
    pools->count = 0;
    for (unsigned i = 0; i < sizes->count; i++) {
        unsigned long long kib = sizes->kib[i];
        int total = kernel_file_open_format("%s/hugepages-%llukB/nr_hugepages", folder, kib);
        int free = kernel_file_open_format("%s/hugepages-%llukB/free_hugepages", folder, kib);
        if (total < 0 || free < 0) {
            (void)kernel_file_close(total);
            (void)kernel_file_close(free);
            continue;
        }
        pools->pools[pools->count++] =
            (struct hugepage_pool){.page = kib * KIB, .total_fd = total, .free_fd = free};
    }
}

void hugepage_pools_close(struct hugepage_pools *pools)
{
    for (unsigned i = 0; i < pools->count; i++) {
        (void)kernel_file_close(pools->pools[i].total_fd);
        (void)kernel_file_close(pools->pools[i].free_fd);
    }
    pools->count = 0;
}

void hugepage_pools_read(
    const struct hugepage_pools *pools, uint64_t *ret_total, uint64_t *ret_free)
{
    uint64_t total = pools->count > 0 ? 0 : UNKNOWN;
    uint64_t free = total;

    for (unsigned i = 0; i < pools->count; i++) {
        const struct hugepage_pool *pool = &pools->pools[i];
        uint64_t total_pages, free_pages;
        if (kernel_file_read_number(pool->total_fd, &total_pages) < 0 ||
            kernel_file_read_number(pool->free_fd, &free_pages) < 0) {
            total = free = UNKNOWN;
            break;
        }
        total = add_held(total, scale_u64(total_pages, pool->page, 1));
        free = add_held(free, scale_u64(free_pages, pool->page, 1));
    }
    *ret_total = total;
    *ret_free = free;
}
