/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Having the kernel write to swap what guests do not need now. */
#ifndef PLIMSOLL_POLICY_RECLAIM_H
#define PLIMSOLL_POLICY_RECLAIM_H

#include "state.h"

/* Judges the piece on its way, and watches what comes back of earlier ones. Before anything is
 * planned. */
void reclaim_settle(struct decision *d);

/* Bytes of POOL that the paused are likely to give within the horizon, by what is known of the swap
 * device: nobody need die for them. */
uint64_t reclaim_coming(const struct decision *d, const struct pool_view *pool);

/* Asks for one piece, of one guest, where memory is scarce or somebody waits paused for room. After
 * resume_guests(). */
void reclaim_guests(struct decision *d);

#endif
