/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What without.c and without_judge.c share: the tracks of guests that were held back. */
#ifndef PLIMSOLL_REPORT_WITHOUT_PRIVATE_H
#define PLIMSOLL_REPORT_WITHOUT_PRIVATE_H

#include "without.h"

/* Looks over which growth is taken. */
#define RATE_POINTS 11

struct point {
    uint64_t time, own;
    uint64_t held;  /* resident, huge pages and swap, as recorded */
    uint64_t whole; /* with what balloons took */
};

struct track {
    struct point *points;
    uint32_t count;
    uint64_t apart;  /* between two of them at least */
    uint64_t start;  /* of the record's time */
    uint64_t before; /* what it held before the balloon was first seen; UNKNOWN: it was not */
    struct point last;
    bool free;  /* it ran without hindrance at its last look */
    bool ended; /* by the guard; its memory is free from then on */
    bool gone;
    uint64_t gone_time;
    uint64_t hugetlb, page_tables;
};

/* Of each guest, tracked or not. */
struct growth {
    bool any;
    uint32_t in_force;
    uint64_t time, own, held;
    uint64_t recent_own[RATE_POINTS], recent[RATE_POINTS]; /* a ring */
    uint32_t recent_count;                                 /* ever */
    uint64_t rate;                                         /* bytes/s while it last ran free */
};

struct supply {
    uint64_t time, bytes;
};

struct without_tracker {
    struct growth *growth;
    struct track **tracks;
    uint32_t track_count;
    struct supply *supply;
    uint32_t supply_count;
    uint64_t supply_apart;
    bool any, measured, before, memory_lost;
    uint64_t since, gap; /* UNKNOWN: there was none */
};

/* What GUEST, who is tracked, would hold at TIME, and what it does; 0 where it is not there. */
void track_reckon(const struct without_tracker *tracker, const struct roster *guests,
    uint32_t guest, uint64_t time, uint64_t *ret_whole, uint64_t *ret_held);

#endif
