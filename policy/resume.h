/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Letting paused guests run again. */
#ifndef PLIMSOLL_POLICY_RESUME_H
#define PLIMSOLL_POLICY_RESUME_H

#include "state.h"

/* Resumes at most one guest out of decision.room, and then sets aside room for those that wait. */
void resume_guests(struct decision *d);

/* What paused guests of at least PRIORITY are likely to take when they are resumed. */
uint64_t resume_withheld(const struct decision *d, uint32_t priority);

#endif
