/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who is ended, by whichever rung: saved, shut down or killed. */
#ifndef PLIMSOLL_POLICY_VICTIM_H
#define PLIMSOLL_POLICY_VICTIM_H

#include "cover.h"
#include "state.h"

/* What of a pool nothing milder than ending a guest can give. */
struct victim_case {
    const struct pool_view *pool;
    uint32_t index;
    int64_t filling; /* that no pause can stop, bytes per second */
    uint64_t has;    /* headroom, and what is on its way */
    uint64_t below;  /* the floor, if it is */
    uint64_t deficit;
    uint64_t ahead; /* ns that an end may take before its memory begins to return */
    bool leak;      /* what fills is not the guests: only one that covers all justifies its end */
    bool dry_run;   /* as guests in dry run see it: no breaker counts what is not done */
    bool barred;    /* the caller's note: victim_is_barred() has spared somebody */
};

struct victim_choice {
    uint32_t position;         /* who goes now */
    struct cover_result cover; /* the set it is one of; covers nothing: it is the best per byte */
    uint32_t count;            /* of guests in d->cover */
};

/* The breaker is open: so many others were ended in the window, or were to be, that the guest at
 * POSITION must not be lost as well. */
bool victim_is_barred(
    const struct decision *d, const struct victim_case *wanted, uint32_t position);

/* Whether an end of this guest would count for the case as ENFORCED guests see it, or those in dry
 * run; whether rules and facts allow one is the caller's. Gives an alert where something restarts
 * it. */
bool victim_counts(
    struct decision *d, const struct victim_case *wanted, uint32_t position, bool enforced);

/* Bytes all guests with all of TRAITS would leave together by the horizon, their growth with them.
 */
uint64_t victim_relief(const struct decision *d, const struct pool_view *pool, uint32_t traits);

/* Who goes first of the set of least loss among those marked TRAIT_CANDIDATE; false: nobody is
 * marked, or for a leak nobody is enough. The order is the same whatever the rung: the least
 * valuable goes first. */
bool victim_choose(
    struct decision *d, const struct victim_case *wanted, struct victim_choice *ret_choice);

/* Makes CHOICE, the last that was made and explained with RIVAL_NEXT, the one who goes next; false:
 * all of its set have gone, or the breaker lets no other go. */
bool victim_follow(
    struct decision *d, const struct victim_case *wanted, struct victim_choice *choice);

/* What CHOICE, the last that was made, rests on, and why it is nobody else. Unless that is
 * RIVAL_NEXT another choice may be made for it, so that d->cover is this one's no more. */
void victim_explain(struct decision *d, const struct victim_case *wanted,
    const struct victim_choice *choice, struct choice *ret_choice);

#endif
