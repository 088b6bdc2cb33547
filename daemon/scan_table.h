/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the scan remembers of processes from round to round, bounded: whom it need not look into
 * again, and how large each was. Forgetting is harmless: the process is looked at once more.
 */
#ifndef PLIMSOLL_DAEMON_SCAN_TABLE_H
#define PLIMSOLL_DAEMON_SCAN_TABLE_H

#include <plimsoll/snapshot.h>

struct scan_table;

struct scan_entry {
    pid_t pid;           /* 0: free */
    uint32_t seen_round; /* last round that met it */
    uint32_t look_round; /* round of the next look into its descriptors */
    uint64_t start_time;
    uint64_t rss, time; /* its size when last met */
};

int scan_table_new(struct scan_table **ret_table);
struct scan_table *scan_table_free(struct scan_table *table);

/* The entry of a process; a new one (seen_round 0, rss UNKNOWN) takes the place of the one not met
 * for longest among its few neighbours. Never NULL. Valid until the next call. */
struct scan_entry *scan_table_get(struct scan_table *table, pid_t pid, uint64_t start_time);

#endif
