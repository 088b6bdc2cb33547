/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest leaves to others that grow. */
#ifndef PLIMSOLL_POLICY_RESERVE_H
#define PLIMSOLL_POLICY_RESERVE_H

#include "state.h"

/* The order of pauses: A is stopped before B. Total but for guests that are alike in all of it. */
bool reserve_yields_before(const struct decision *d, uint32_t a, uint32_t b);

/* A comes before B in that order by what rules say of both, whatever they do. */
bool reserve_is_worth_less(const struct decision *d, uint32_t a, uint32_t b);

/* What guests that are more valuable than this one and grow, or did until they were paused, may
 * take of POOL ahead: in RESERVED_ALONE at their pace, or in RESERVED_AHEAD with what the lesser
 * leave; bytes. Who is bound to other nodes than this one takes nothing that it could leave. */
uint64_t reserve_for_valuable(
    const struct decision *d, const struct pool_view *pool, uint32_t position);

/* The same for a minute (RESERVED_AHEAD): what has to be there at once. */
uint64_t reserve_soon(const struct decision *d, const struct pool_view *pool, uint32_t position);

/* Both are bound to nodes, and to none in common. */
bool reserve_is_elsewhere(const struct decision *d, uint32_t a, uint32_t b);

/* What a guest that grows is expected to take: as much again as since it began, bytes. */
uint64_t reserve_expected(const struct decision *d, uint32_t position);

/* What is expected of those who are worth as much, run, grow, and would be paused after it. */
uint64_t reserve_for_equals(
    const struct decision *d, const struct pool_view *pool, uint32_t position);

/* Both, for a minute. */
uint64_t reserve_for_others(
    const struct decision *d, const struct pool_view *pool, uint32_t position);

/* Both, from one that waits to be given room: valuable guests that grew a moment ago count as if
 * they went on. */
uint64_t reserve_before_waiting(
    const struct decision *d, const struct pool_view *pool, uint32_t position);

/* The same, on all the nodes it is bound to. */
uint64_t reserve_on_nodes(const struct decision *d, uint32_t position);

#endif
