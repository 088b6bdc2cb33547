/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The pools of memory that can run short: the host, the budget of all guests, each NUMA node. */
#ifndef PLIMSOLL_POLICY_POOL_H
#define PLIMSOLL_POLICY_POOL_H

#include "state.h"

#define POOL_INDEX_HOST 0
#define POOL_INDEX_BUDGET 1
#define POOL_INDEX_NODES 2

/* Fills the views of plan->assessment, their bands included. ADVANCE false: the snapshot is no
 * younger than the last, so that rates and bands stay as they were. */
void pools_assess(struct decision *d, bool advance);

/* What the pool may lose before its floor: total - floor. 0 where it could not be measured. */
uint64_t pool_capacity(const struct pool_view *pool);

/* Headroom at or below which BAND begins, and the headroom that must be there to leave it. */
uint64_t pool_enter(const struct decision *d, const struct pool_view *pool, enum band band);
uint64_t pool_leave(const struct decision *d, const struct pool_view *pool, enum band band);

/* Time to exhaustion at which BAND begins; 0: time does not count. */
uint64_t pool_enter_time(const struct decision *d, const struct pool_view *pool, enum band band);

/* RATE where it is worth a forecast, else 0. */
int64_t pool_worth(const struct pool_view *pool, int64_t rate);

/* RATE where it is that, or where the floor is so near that it has to be stopped, else 0. */
int64_t pool_matters(const struct pool_view *pool, int64_t rate);

/* The rate by which POOL fills, where it matters, else 0. */
int64_t pool_filling(const struct decision *d, const struct pool_view *pool);

/* What the host's memory can be filled by in TIME at most: as the guard has measured, and no less
 * than usual, for whatever ran beside a measurement made it slower. */
uint64_t pool_filled_most(const struct decision *d, uint64_t time);

/* Memory the pool has beyond where BAND is left: what may be given away without falling into it. 0
 * while unmeasured. */
uint64_t pool_room(const struct decision *d, const struct pool_view *pool, enum band band);

/* Free swap beyond what counts as available and what is kept for the kernel: what more of memory
 * can be written there. 0 where nobody knows. */
uint64_t pool_swap_spare(const struct decision *d);

/* Bytes short for leaving BAND and staying out of it for the horizon; 0: none. */
uint64_t pool_deficit(const struct decision *d, const struct pool_view *pool, enum band band);

#endif
