/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Events of pressure: stretches of the record from the first look at which the band was above calm
 * to its lasting return, with what they came to.
 */
#ifndef PLIMSOLL_REPORT_EVENT_H
#define PLIMSOLL_REPORT_EVENT_H

#include "loss.h"

/* So much of calm is shown before, and at least so much behind: what led to it, and that it is
 * over. */
#define EVENT_MARGIN (10 * NSEC_PER_SEC)
/* A return lasts when it has lasted for so long: pressure that comes back sooner is of the same
 * event. A brake may stand for two minutes, what was taken is given back in steps of ten seconds,
 * and who is resumed shows within such a time whether it grows on. Behind an event so much is shown
 * at most, while anything is still held. */
#define EVENT_APART (2 * NSEC_PER_MINUTE)
/* A record of 256M, of weeks, had some dozens; the oldest beyond it are left out. */
#define EVENTS_MAX 1000

enum event_ending {
    EVENT_RETURNED, /* to calm */
    EVENT_GOES_ON,  /* when the record ends */
    EVENT_LOST,     /* the record has a gap there, or the host was started anew */
    EVENT_ENDING_COUNT,
};

/* The least headroom of one pool. */
struct event_least {
    bool known;
    int64_t headroom;
    uint64_t time, realtime;
};

struct event {
    uint64_t begin, end; /* on the guard's clock: the first look above calm, the first calm one */
    uint64_t begin_realtime, end_realtime;
    uint64_t window_begin, window_end; /* with the margins, as far as there are looks */
    bool begun_before; /* the first look that the record has of it was above calm already */
    enum event_ending ending;
    enum band worst;
    struct pool_view pool; /* that was worst, at its worst look */
    uint32_t pool_node;    /* the kernel's number of a POOL_NODE */
    uint32_t pool_index;
    struct event_least least[POOLS_MAX]; /* as assessment.pools[] */
    uint32_t first_trace;
    uint64_t first_look,
        last_look; /* numbers: of the window's first, and of the last that counts */
    uint64_t begin_look;
    struct loss loss;
};

struct events {
    struct event *all; /* in order of time */
    uint32_t count;
    uint64_t left_out; /* the oldest */
    /* The record as a whole; times of day in ns since 1970. */
    uint64_t looks, from, to;
    uint32_t gaps; /* without a look for longer than LOOK_APART_MOST */
};

/* -ENOMEM. */
int events_new(struct events **ret_events);
struct events *events_free(struct events *events);
DEFINE_CLEANUP(struct events *, events_free);

/* Reads the whole record. A negative errno, and words. */
int events_find(struct events *events, struct traces *traces, struct progress *progress,
    struct error *ret_error);

/* "returned", "goes-on", "lost". */
const char *event_ending_name(enum event_ending ending);

#endif
