/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The last rung. */
#ifndef PLIMSOLL_POLICY_KILL_H
#define PLIMSOLL_POLICY_KILL_H

#include "state.h"

/* Sees whether the last kill's bytes have shown. */
void kill_settle(struct decision *d);

/* Kills at most one guest, where nothing milder keeps a floor. After pausing was decided. */
void kill_victim(struct decision *d);

#endif
