/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What every plan keeps to, whatever was seen. */
#ifndef PLIMSOLL_TESTS_PLAN_CHECK_H
#define PLIMSOLL_TESTS_PLAN_CHECK_H

#include "world.h"

/* So many guests at most. */
#define PLAN_CHECK_VMS 8

/* How often each kind came up: properties of plans that are empty prove nothing. */
struct plan_seen {
    unsigned actions[ACTION_KIND_COUNT];
    unsigned node_actions[ACTION_KIND_COUNT];
    unsigned starts; /* balloons for the sake of a start */
    unsigned caps;
};

/* Other guests, of whom nothing was decided yet. */
void plan_check_begin(void);
/* Ends the test unless all holds of WORLD's plan, whose guests stand at their slots. */
void plan_check(const struct world *world);
/* In all plans so far. */
const struct plan_seen *plan_check_seen(void);

#endif
