/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How near the edge a pool is. */
#ifndef PLIMSOLL_POLICY_BAND_H
#define PLIMSOLL_POLICY_BAND_H

#include "state.h"

/* Moves STATE's band to what the figures of POOL say: up at once, down after the dwell time. */
void band_advance(struct decision *d, const struct pool_view *pool, struct pool_state *state);

/* POOL is where critical would begin, or go on, if there is anybody for whom it may (a node's). */
bool band_is_edge(
    const struct decision *d, const struct pool_view *pool, const struct pool_state *state);

/* Whether POOL, in critical, leaves less time than a `stop` may need. */
bool band_sprint(
    const struct decision *d, const struct pool_view *pool, const struct pool_state *state);

#endif
