/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Letting paused guests run again. */
#ifndef PLIMSOLL_POLICY_RESUME_H
#define PLIMSOLL_POLICY_RESUME_H

#include "state.h"

/* Resumes at most one guest out of decision.room, and then sets aside room for those that wait. */
void resume_guests(struct decision *d);

/* Bytes short for the first that waits to be resumed and to run for a while, beside what comes
 * before it; 0: none. Fills its position (UINT32_MAX: nobody waits) and the pool that is short. */
uint64_t resume_lacking(const struct decision *d, uint32_t *ret_position, uint32_t *ret_pool);

/* It stands paused, and would be resumed were there room. */
bool resume_is_awaited(const struct decision *d, uint32_t position);

/* What paused guests of at least PRIORITY are likely to take when they are resumed. */
uint64_t resume_withheld(const struct decision *d, uint32_t priority);

/* The order in which paused guests are resumed: the most valuable first, of equals the one with the
 * least left to take. */
bool resume_before(const struct decision *d, uint32_t a, uint32_t b);

#endif
