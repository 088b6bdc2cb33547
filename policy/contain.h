/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Limits of guests' own cgroups: by class, and for a shortage. */
#ifndef PLIMSOLL_POLICY_CONTAIN_H
#define PLIMSOLL_POLICY_CONTAIN_H

#include "state.h"

/* Looks at the limits of all guests from time to time: sets one, gives back, alerts. */
void contain_look(struct decision *d);

/* LIMIT of its cgroup is one that we have set. */
bool contain_is_ours(const struct vm_snapshot *vm, enum vm_limit limit);

#endif
