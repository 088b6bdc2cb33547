/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether what fills the host is not the guests. */
#ifndef PLIMSOLL_POLICY_LEAK_H
#define PLIMSOLL_POLICY_LEAK_H

#include "state.h"

/* Sees whether what fills is the guests, and tells of it. Before anybody is ended. */
void leak_watch(struct decision *d);

/* Most of what fills POOL, the host, is not the guests, or lately was not. */
bool leak_holds(const struct decision *d, const struct pool_view *pool);

#endif
