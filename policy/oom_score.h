/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel's own killer, armed with the policy's order. */
#ifndef PLIMSOLL_POLICY_OOM_SCORE_H
#define PLIMSOLL_POLICY_OOM_SCORE_H

#include "state.h"

void oom_score_order(struct decision *d);

#endif
