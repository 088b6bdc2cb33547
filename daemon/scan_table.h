/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the scan remembers of processes from round to round, bounded: whom it need not look into
 * again, how large each was, and what a guest's command line said. Forgetting is harmless: the
 * process is looked at once more.
 */
#ifndef PLIMSOLL_DAEMON_SCAN_TABLE_H
#define PLIMSOLL_DAEMON_SCAN_TABLE_H

#include "scan_cmdline.h"

#include <sys/types.h>

struct scan_table;

/* The command line of one executed image: pid and start time outlive an exec, the file does not. */
struct scan_guest {
    dev_t device; /* of the executable; 0 with INODE 0: it cannot be looked at */
    ino_t inode;
    struct cmdline_facts facts;
};

struct scan_entry {
    pid_t pid;           /* 0: free */
    uint32_t seen_round; /* last round that met it */
    uint32_t look_round; /* round of the next look into its descriptors */
    uint64_t start_time;
    uint64_t rss, time;       /* its size when last met */
    struct scan_guest *guest; /* NULL: never read; freed by the table */
};

int scan_table_new(struct scan_table **ret_table);
struct scan_table *scan_table_free(struct scan_table *table);

/* The entry of a process; a new one (seen_round 0, rss UNKNOWN) takes the place of the one not met
 * for longest among its few neighbours. Never NULL. Valid until the next call. */
struct scan_entry *scan_table_get(struct scan_table *table, pid_t pid, uint64_t start_time);

#endif
