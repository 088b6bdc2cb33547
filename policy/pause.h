/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stopping guests that grow, and what becomes of a freeze. */
#ifndef PLIMSOLL_POLICY_PAUSE_H
#define PLIMSOLL_POLICY_PAUSE_H

#include "state.h"

/* Pauses or freezes growers for each critical pool; for a node, of those bound to it. */
void pause_growers(struct decision *d);

/* Pauses the guest at POSITION, for the pool INDEX that is DEFICIT short, because a brake will not
 * do; or first whoever grows beside it and is worth less. False: facts or rules forbid it, or it
 * was lately tried. */
bool pause_for_brake(
    struct decision *d, uint32_t index, uint32_t position, enum reason reason, uint64_t deficit);

/* A pause has been decided that the rates do not show yet. */
bool pause_settling(const struct decision *d);

/* Fill rate of POOL once the pauses already decided take effect, for real or with those of dry run.
 */
int64_t pause_remaining_fill(
    const struct decision *d, const struct pool_view *pool, bool dry_run_too);

/* Growth in POOL that could still be stopped by pausing enforced guests. */
int64_t pause_possible(const struct decision *d, const struct pool_view *pool);

#endif
