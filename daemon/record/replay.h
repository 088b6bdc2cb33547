/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A trace played again: of each frame the policy decides anew, with what it remembered then, by the
 * rules of then or by others. The host and its guests stay as they were, whatever is decided now.
 */
#ifndef PLIMSOLL_RECORD_REPLAY_H
#define PLIMSOLL_RECORD_REPLAY_H

#include "config.h"

#include <plimsoll/error.h>
#include <plimsoll/policy.h>
#include <stdio.h>

struct replay_score {
    uint64_t frames, stretches;
    uint64_t actions;     /* that were decided then */
    uint64_t differences; /* frames in which it is decided otherwise */
    bool cut;             /* the trace ends within a frame */
};

struct replay_difference {
    const struct snapshot *snapshot;
    const struct plan *then, *now;
    bool exact; /* figures count, too */
};

struct replay_witness {
    void (*difference)(const struct replay_difference *difference, void *userdata);
    void (*frame)(void *userdata); /* after each frame, different or not; may be NULL */
    void *userdata;
};

/*
 * CONFIG gives the rules instead, all but the modes and what a domain's metadata said; it may be
 * NULL. Then whatever is in a plan counts, to the last figure; with it who is to do what, to what
 * extent and why. WITNESS is told of each difference; it may be NULL. A negative errno: the trace
 * is unusable, as RET_ERROR says; what was told before holds.
 */
int replay_run(FILE *in, const struct config *config, const struct replay_witness *witness,
    struct replay_score *ret_score, struct error *ret_error);

/* Whether PLAN has no action like this one, and it counts: unless EXACT, the order of the kernel's
 * victims does not, as it is made anew each few seconds from the scores that there are. */
bool replay_plan_lacks(const struct plan *plan, const struct action *action, bool exact);

#endif
