/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the policy would do from here on, if so much memory were needed: some looks ahead, on copies
 * of snapshot and history. Nothing of the originals is changed; like all of libpolicy it opens,
 * allocates and reads nothing else.
 *
 * What is taken for granted (FORECAST_ASSUMED): guests go on growing as they do now, up to their
 * size, and so does what else fills the host; a balloon gives what the policy counts on, at its
 * usual rate; acts take as long as they were measured to take; who finds no memory waits. The
 * kernel is taken to kill nobody.
 */
#ifndef PLIMSOLL_FORECAST_H
#define PLIMSOLL_FORECAST_H

#include <plimsoll/policy.h>

/* So far ahead nothing is believed: as long as scarce looks ahead by itself. */
#define FORECAST_TIME NSEC_PER_MINUTE
/* A storm is through in a hundred looks, and where balloons move there is one a second. With a
 * thousand guests the caller may stop before. */
#define FORECAST_LOOKS_MAX 400
/* One for each kind of thing that is done to a guest; more than that nobody reads. */
#define FORECAST_STEPS_MAX 512

#define FORECAST_ASSUMED                                                                           \
    "the memory is needed at once and by no guest; guests go on growing as now, and so does what " \
    "else fills the host; balloons give what is resident above their target, at 1 GiB a second; "  \
    "what is in dry run or held is not done; what one node lacks is not swapped out; the "         \
    "kernel's "                                                                                    \
    "OOM killer takes nobody"

#define FORECAST_ANY_NODE UINT32_MAX

struct forecast_need {
    uint64_t bytes;
    uint32_t node; /* index into host.nodes, or FORECAST_ANY_NODE: of all, as they have it */
};

/* What is decided, once for each guest, kind, reason and mode: a balloon goes down in many. */
struct forecast_step {
    uint64_t time, last; /* ns from the snapshot on: decided first, and last */
    uint32_t times;
    enum band band;       /* when it was decided first */
    struct action action; /* as it was decided last; `relief` is the sum of all */
};

enum forecast_ending {
    FORECAST_OPEN,    /* it is not over */
    FORECAST_SETTLED, /* nothing more is decided, or on its way */
    FORECAST_TOO_FAR, /* FORECAST_TIME is over */
    FORECAST_CUT,     /* FORECAST_LOOKS_MAX, or the caller has stopped */
    FORECAST_ENDING_COUNT,
};

struct forecast_result {
    enum forecast_ending ending;
    bool met;                     /* nobody waits for memory any more, and the floor is kept */
    uint64_t met_at;              /* since when, ns from the snapshot on; UNKNOWN: not met */
    uint64_t lacking;             /* at the end: bytes below the floor, and those waited for */
    uint64_t waited_most, waited; /* the most bytes that somebody had to wait for; how long, ns */
    uint64_t time;                /* played so far, ns */
    uint32_t looks;
    uint32_t steps_dropped; /* beyond FORECAST_STEPS_MAX */
    bool dry;               /* some step is in dry run alone */
};

struct forecast;

size_t forecast_size(uint32_t vm_capacity);

/* Makes BUFFER (forecast_size() bytes, aligned as malloc does) the beginning: what SNAPSHOT shows,
 * of which was decided with STATE what PLAN says and is done since, and NEED taken at once; the
 * first look is when PLAN asks for it. All are copied. */
struct forecast *forecast_begin(void *buffer, const struct snapshot *snapshot,
    const struct policy_state *state, const struct plan *plan, const struct forecast_need *need);

/* One look ahead; false, and nothing is done, when it is over. RULES the same each time. */
bool forecast_look(
    struct forecast *forecast, const struct rules *rules, struct policy_scratch *scratch);

/* So far; of what is over by the caller's will with FORECAST_CUT. */
void forecast_result(const struct forecast *forecast, struct forecast_result *ret_result);
/* The last look's. */
const struct plan *forecast_plan(const struct forecast *forecast);
/* In the order in which they were first decided. */
const struct forecast_step *forecast_steps(const struct forecast *forecast, uint32_t *ret_count);

const char *forecast_ending_name(enum forecast_ending ending);

#endif
