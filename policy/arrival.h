/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Guests on their way in: by a migration that has not come to its end, or out of a file. */
#ifndef PLIMSOLL_POLICY_ARRIVAL_H
#define PLIMSOLL_POLICY_ARRIVAL_H

#include "state.h"

/* It takes memory and does not run yet: nothing can be asked of it, and stopping it stops nothing.
 */
bool vm_is_arriving(const struct vm_snapshot *vm);

/* … by a migration, so that its source goes on. */
bool vm_is_incoming(const struct vm_snapshot *vm);

/* What of a pool of KIND, of nodes those WANTED, is kept for guests that start or arrive, but for
 * the one of uuid BUT; NULL: for all. */
uint64_t arrival_kept(
    const struct decision *d, enum pool_kind kind, uint32_t wanted, const uint8_t but[UUID_SIZE]);

/* The highest priority of those for which something is kept; 0: there is none. */
uint32_t arrival_priority(const struct decision *d);

#endif
