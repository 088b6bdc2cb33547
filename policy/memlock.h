/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* RLIMIT_MEMLOCK: what is wrong with it, and where it can be lowered without harm. */
#ifndef PLIMSOLL_POLICY_MEMLOCK_H
#define PLIMSOLL_POLICY_MEMLOCK_H

#include "state.h"

/* Looks at all guests' limits and pins from time to time: alerts, caps, and gives back. */
void memlock_look(struct decision *d);

#endif
