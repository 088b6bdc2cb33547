/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rungs between pause and kill that end a guest and take their time: save and shutdown. */
#ifndef PLIMSOLL_POLICY_ENDS_H
#define PLIMSOLL_POLICY_ENDS_H

#include "state.h"

/* Sees what became of the save or shutdown under way. Before kill_settle(), which takes over when
 * its guest has gone. */
void ends_settle(struct decision *d);

/* Has at most one guest of those that are ENFORCED, or of the others, saved or shut down, where
 * nothing milder keeps a floor and there is time for it; true: one is. After kill_watch(), and
 * after pausing was decided. */
bool end_victim(struct decision *d, bool enforced);

#endif
