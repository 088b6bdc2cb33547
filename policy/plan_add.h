/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writing actions into a plan. */
#ifndef PLIMSOLL_POLICY_PLAN_ADD_H
#define PLIMSOLL_POLICY_PLAN_ADD_H

#include "state.h"

/* Appends an action on the VM at POSITION for the sake of pool number POOL; NULL when the plan is
 * full (counted in actions_dropped): then nothing may be remembered as asked. Kind, reason,
 * identity, pool and mode are set, the figures are the caller's. */
struct action *plan_add(struct decision *d, enum action_kind kind, enum reason reason,
    uint32_t position, uint32_t pool);

/* An alert about one VM; true when it went into the plan. */
bool plan_alert_vm(struct decision *d, enum reason reason, uint32_t position, uint32_t pool);

/* An alert about the host, at most once in INTERVAL for each reason; true when it went into the
 * plan. */
bool plan_alert_host(
    struct decision *d, enum reason reason, uint32_t pool, uint64_t interval, uint64_t deficit);

#endif
