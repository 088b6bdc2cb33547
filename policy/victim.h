/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who is ended, by whichever rung: saved, shut down or killed. */
#ifndef PLIMSOLL_POLICY_VICTIM_H
#define PLIMSOLL_POLICY_VICTIM_H

#include "state.h"

/* What of a pool nothing milder than ending a guest can give. */
struct victim_case {
    const struct pool_view *pool;
    uint32_t index;
    int64_t filling; /* that no pause can stop, bytes per second */
    uint64_t has;    /* headroom, and what is on its way */
    uint64_t below;  /* the floor, if it is */
    uint64_t deficit;
    bool leak; /* what fills is not the guests: only full cover justifies an end */
};

/* So many others were ended in the window, or were to be, that the guest at POSITION must not be
 * lost as well. */
bool victim_breaker_open(const struct decision *d, uint32_t position);

/* Whether an end of this guest would count for the case as ENFORCED guests see it, or those in dry
 * run; whether rules and facts allow one is the caller's. Gives an alert where something restarts
 * it. */
bool victim_counts(
    struct decision *d, const struct victim_case *wanted, uint32_t position, bool enforced);

/* Bytes all guests with all of TRAITS would free together. */
uint64_t victim_relief(
    const struct decision *d, const struct pool_view *pool, uint32_t traits, bool last_too);

/* The least loss among those marked TRAIT_CANDIDATE; UINT32_MAX: nobody is, or for a leak nobody is
 * enough. The order is the same whatever the rung: the least valuable goes first. */
uint32_t victim_choose(const struct decision *d, const struct victim_case *wanted);

#endif
