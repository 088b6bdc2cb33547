/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns one fixed array, used as a set-associative cache: a process has its place among the WAYS
 * entries of one set. Nothing is ever deleted; the dead are overwritten, being those not met for
 * longest. Consecutive pids go to different sets, so a full array means that many processes.
 */
#include "scan_table.h"

#include <errno.h>
#include <stdlib.h>

/* 16,384 processes that have memory of their own: a host with more only has some of them looked at
 * more often. 768 KiB, touched as processes come, and some 200 bytes for each guest. */
#define TABLE_SETS 2048
#define TABLE_WAYS 8

struct scan_table {
    struct scan_entry entries[TABLE_SETS][TABLE_WAYS];
};

int scan_table_new(struct scan_table **ret_table)
{
    struct scan_table *table = calloc(1, sizeof(*table));

    if (!table)
        return -ENOMEM;
    *ret_table = table;
    return 0;
}

struct scan_table *scan_table_free(struct scan_table *table)
{
    if (!table)
        return NULL;
    for (unsigned set = 0; set < TABLE_SETS; set++)
        for (unsigned way = 0; way < TABLE_WAYS; way++)
            free(table->entries[set][way].guest);
    free(table);
    return NULL;
}

struct scan_entry *scan_table_get(struct scan_table *table, pid_t pid, uint64_t start_time)
{
    struct scan_entry *set = table->entries[(uint32_t)pid % TABLE_SETS];
    struct scan_entry *oldest = &set[0];

    for (unsigned i = 0; i < TABLE_WAYS; i++) {
        if (set[i].pid == pid && set[i].start_time == start_time)
            return &set[i];
        if (set[i].seen_round < oldest->seen_round)
            oldest = &set[i];
    }
    free(oldest->guest);
    *oldest = (struct scan_entry){.pid = pid, .start_time = start_time, .rss = UNKNOWN};
    return oldest;
}
