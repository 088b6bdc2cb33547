/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Taking virtio-mem from guests, seeing whether it came, and giving it back. */
#ifndef PLIMSOLL_POLICY_RESIZE_H
#define PLIMSOLL_POLICY_RESIZE_H

#include "state.h"

/* Sees what became of sizes that are requested: who has stopped above them, and whom somebody else
 * has resized meanwhile. */
void resize_settle(struct decision *d);

/* Takes what balloons do not bring, for every pool that is tight or worse. */
void resize_shrink(struct decision *d);

/* Gives back out of the room that is left. */
void resize_return(struct decision *d);

/* Bytes that return to POOL when the guests have given up what is requested of them already; of
 * those in dry run, too, with DRY_RUN_TOO. */
uint64_t resize_pending(const struct decision *d, const struct pool_view *pool, bool dry_run_too);

#endif
