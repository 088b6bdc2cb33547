/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory that only looks available. */
#ifndef PLIMSOLL_POLICY_STALL_H
#define PLIMSOLL_POLICY_STALL_H

#include "state.h"

/* Tells of a host on which everything waits for memory though its figures say that there is some.
 */
void stall_watch(struct decision *d);

#endif
