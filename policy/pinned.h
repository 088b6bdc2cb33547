/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The budget of locked and pinned memory. */
#ifndef PLIMSOLL_POLICY_PINNED_H
#define PLIMSOLL_POLICY_PINNED_H

#include "state.h"

/* Fills `pinned` of each pool. After pools_assess(). */
void pinned_assess(struct decision *d);

/* How much of POOL, which is measured, may be pinned. */
uint64_t pinned_limit(const struct decision *d, const struct pool_view *pool);

/* Alerts of pools beyond the limit. */
void pinned_look_pools(struct decision *d);
/* An alert where the guest at POSITION has pinned more since. */
void pinned_look_vm(struct decision *d, uint32_t position);

#endif
