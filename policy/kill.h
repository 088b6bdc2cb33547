/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The last rung. */
#ifndef PLIMSOLL_POLICY_KILL_H
#define PLIMSOLL_POLICY_KILL_H

#include "victim.h"

/* Sees whether the last kill's bytes have shown. */
void kill_settle(struct decision *d);

/*
 * Fills RET_CASE and returns true when nothing milder than ending somebody keeps the pool INDEX
 * from filling, or lifts it above its floor, as enforced guests see it, or as it looks to those in
 * dry run. In critical alone.
 */
bool kill_case(
    const struct decision *d, uint32_t index, bool dry_run, struct victim_case *ret_case);
/* What those who cannot be paused will not take of POOL within TIME, because they end before. */
uint64_t kill_excess(const struct decision *d, const struct pool_view *pool, uint64_t time);
/* Whether there is time for a kill after TIME, by what is available and not by the floor: on the
 * host, and on each node for the guests that are bound to it. Over a budget nobody dies but by us.
 */
bool kill_has_time(const struct decision *d, uint64_t time);

/* The floor is at hand, and whoever is being killed in order has not ended: he is to be, now. */
bool kill_presses(const struct decision *d);

/* Kills guests of those that are ENFORCED, one or as many as cannot wait for one another, or of the
 * others, where nothing milder keeps a floor; true: one is. After pausing was decided. */
bool kill_victim(struct decision *d, bool enforced);

#endif
