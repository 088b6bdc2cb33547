/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest leaves to others that grow. */
#ifndef PLIMSOLL_POLICY_RESERVE_H
#define PLIMSOLL_POLICY_RESERVE_H

#include "state.h"

/* The order of pauses: A is stopped before B. Total but for guests that are alike in all of it. */
bool reserve_yields_before(const struct decision *d, uint32_t a, uint32_t b);

/* What guests that are more valuable than this one and grow, or did until they were paused, may
 * take of POOL ahead (RESERVED_AHEAD), bytes. Who is bound to other nodes than this one takes
 * nothing that it could leave. */
uint64_t reserve_for_valuable(
    const struct decision *d, const struct pool_view *pool, uint32_t position);

/* The same, and what those may take who are worth as much, run, grow, and would be paused after it,
 * if they grow for RESERVED_LASTED times as long as they have, at most RESERVED_AHEAD. */
uint64_t reserve_for_others(
    const struct decision *d, const struct pool_view *pool, uint32_t position);

#endif
