/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What every plan keeps to that ends guests; part of plan_check(). */
#ifndef PLIMSOLL_TESTS_PLAN_CHECK_ENDS_H
#define PLIMSOLL_TESTS_PLAN_CHECK_ENDS_H

#include "world.h"

/* A save or shutdown of VM, and a kill. */
void plan_check_end(
    const struct world *world, const struct action *action, const struct vm_snapshot *vm);
void plan_check_kill(
    const struct world *world, const struct action *action, const struct vm_snapshot *vm);
/* Of all of them there is one, or kills that had to be together: for one pool, in one mode. */
void plan_check_batch(const struct world *world);

#endif
