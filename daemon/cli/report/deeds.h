/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The actions of an event in the order of time, as rows of a table. Steps of one guest in one
 * direction that follow each other are one row. The order of the kernel's victims, which is kept up
 * all the time, has no rows.
 */
#ifndef PLIMSOLL_REPORT_DEEDS_H
#define PLIMSOLL_REPORT_DEEDS_H

#include "roster.h"
#include "traces.h"

/* What a person may scroll through; where balloons alone are more, the rest is kept for what harms
 * guests. */
#define DEEDS_MAX 512
#define DEEDS_MILD 384

/* What the looks that followed show of it. */
enum deed_seen {
    DEED_NOT_SEEN,
    DEED_SEEN,     /* `seen_after` its last decision */
    DEED_NOT_DONE, /* it was in dry run */
    DEED_NO_SIGN,  /* it leaves no sign that is recorded: an alert, a piece of swap, a limit */
    DEED_SEEN_COUNT,
};

struct deed {
    uint64_t first, last; /* on the guard's clock */
    uint32_t guest;       /* GUEST_NONE: the host, or somebody who is not known */
    enum action_kind kind;
    enum reason reason;
    enum mode mode;
    enum band band; /* at the first */
    uint32_t times;
    uint64_t target; /* of the last; UNKNOWN */
    uint64_t bytes;  /* what was expected to come back, or not to be taken, of all of them */
    enum vm_limit limit;
    enum deed_seen seen;
    uint64_t seen_after;
};

struct deeds {
    struct deed *all; /* DEEDS_MAX */
    uint32_t count;
    uint32_t left_out; /* actions, for want of rows */
    uint32_t *latest;  /* by guest: its last row, or DEEDS_MAX */
};

/* -ENOMEM. */
int deeds_new(struct deeds **ret_deeds);
struct deeds *deeds_free(struct deeds *deeds);
DEFINE_CLEANUP(struct deeds *, deeds_free);

/* GUESTS have been shown the same look. */
void deeds_look(struct deeds *deeds, const struct look *look, const struct roster *guests);

/* KIND ends a guest, stops it or slows it down, or is an alert. */
bool deed_harms(enum action_kind kind);
/* "not-seen", "seen", "not-done", "no-sign". */
const char *deed_seen_name(enum deed_seen seen);

#endif
