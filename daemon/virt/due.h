/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The domains to be asked about, each once however often it changed since, the longest due first.
 */
#ifndef PLIMSOLL_DAEMON_VIRT_DUE_H
#define PLIMSOLL_DAEMON_VIRT_DUE_H

#include <plimsoll/snapshot.h>

/* More at a time, and it is quicker to ask about all. */
#define DUE_MAX 256

struct due {
    struct due_domain {
        uint8_t uuid[UUID_SIZE];
        bool edited; /* its definition may have changed: what is wrong in it is news */
    } domains[DUE_MAX];
    unsigned count;
};

/* False: there is no room. */
bool due_add(struct due *due, const uint8_t uuid[UUID_SIZE], bool edited);
void due_remove_first(struct due *due);

#endif
