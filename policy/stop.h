/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stopping one guest. */
#ifndef PLIMSOLL_POLICY_STOP_H
#define PLIMSOLL_POLICY_STOP_H

#include "state.h"

/* Why a guest has to be stopped, and how much is short of what it would need; REASON_NONE: it need
 * not. */
struct shortage {
    enum reason reason;
    uint64_t bytes;
};

/* Plans it for the sake of pool number POOL, and remembers what has to be known of it later; RIVAL
 * is who would have been next. False: the plan is full, and nothing is remembered. */
bool stop_guest(struct decision *d, uint32_t position, uint32_t pool,
    const struct shortage *shortage, const struct rival *rival);

#endif
