/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Slowing down guests that grow, so that balloons of others can catch up. */
#ifndef PLIMSOLL_POLICY_BRAKE_H
#define PLIMSOLL_POLICY_BRAKE_H

#include "state.h"

/* Brings what is remembered of a brake up to date; after that of a pause. */
void brake_settle(const struct decision *d, const struct vm_snapshot *vm, struct vm_state *state);

/* What a dry run would have braked is void. */
void brake_forget_dry(struct vm_state *state);

/* Releases whose brake has served, or has lasted long enough; has the guest stopped before, where
 * that would begin a sprint. */
void brake_release(struct decision *d);

/* Brakes one grower that outruns the balloons of others, for each pool that is scarce or worse. */
void brake_growers(struct decision *d);

/* True where the guest at POSITION is braked, or now will be, and need not be paused for others
 * that are DEFICIT short of POOL number INDEX: balloons are under way, and there is time to wait
 * for them. */
bool brake_instead(struct decision *d, uint32_t index, uint32_t position, uint64_t deficit);

/* It is braked, for real or in dry run, and would go on growing without. */
bool brake_holds_back(const struct decision *d, uint32_t position);

/* It has been braked for long enough to show, and grows on: not by what its vCPUs do. */
bool brake_fails(const struct decision *d, uint32_t position);

/* The highest priority of those under a brake; 0: nobody is. Who is worth no more is not resumed
 * into what they are kept from. */
uint32_t brake_priority(const struct decision *d);

#endif
