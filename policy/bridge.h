/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a freeze to a proper pause. */
#ifndef PLIMSOLL_POLICY_BRIDGE_H
#define PLIMSOLL_POLICY_BRIDGE_H

#include "state.h"

/* Thaws what is frozen, one a decision, so that a `stop` can take its place; sends that `stop`; and
 * tells of freezes that stand too long. */
void bridge_freezes(struct decision *d);

#endif
