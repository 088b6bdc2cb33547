/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An event over time, in as many cells as a page can show. Of each line a cell keeps the least and
 * the most with their times, so that no spike is lost; what stands above each other, the host's
 * memory, is of the one look in the cell at which the least was available.
 */
#ifndef PLIMSOLL_REPORT_TIMELINE_H
#define PLIMSOLL_REPORT_TIMELINE_H

#include "event.h"

/* Two points a cell: more are closer together than a page of a thousand pixels can show. */
#define TIMELINE_CELLS 300
/* Gaps that are told one by one; lines are broken at all of them. */
#define TIMELINE_GAPS 32

struct line_cell {
    bool any;
    int64_t least, most;
    uint64_t least_at, most_at; /* on the guard's clock */
};

struct host_cell {
    bool any, gap_before;
    enum band band;    /* the worst */
    uint64_t worst_at; /* the look that the rest is of */
    uint64_t total, available, guests;
};

enum guest_mark {
    GUEST_STILL = 1 << 0,
    GUEST_BRAKED = 1 << 1,
    GUEST_HELD = 1 << 2, /* a balloon or virtio-mem of ours is in force */
};

struct guest_cell {
    struct line_cell held; /* resident and huge pages */
    uint32_t marks;        /* enum guest_mark, or-ed */
};

struct guest_line {
    struct guest_cell *cells; /* NULL: it was never seen */
    bool any;                 /* else the next are of no meaning */
    int64_t least_held, most_held, first_held, last_held;
    uint64_t first_at, last_at;
};

struct timeline_gap {
    uint64_t from, to;
};

struct timeline {
    uint64_t begin, end; /* on the guard's clock */
    int64_t to_realtime; /* what makes it ns since 1970 */
    struct host_cell host[TIMELINE_CELLS];
    uint64_t floor;            /* of the host, in the last look; UNKNOWN */
    uint64_t total;            /* the most */
    struct guest_line *guests; /* GUESTS_MAX */
    bool memory_lost;          /* there was none for some guest's line */
    struct timeline_gap gaps[TIMELINE_GAPS];
    uint32_t gap_count; /* may be more than there is room for */
    uint64_t gap_time;  /* of all of them */
    uint64_t looks;
    uint64_t last; /* the look before */
};

/* -ENOMEM. */
int timeline_new(const struct event *event, struct timeline **ret_timeline);
struct timeline *timeline_free(struct timeline *timeline);
DEFINE_CLEANUP(struct timeline *, timeline_free);

/* GUESTS have been shown the same look. What is outside of the window is passed over. */
void timeline_look(struct timeline *timeline, const struct look *look, const struct roster *guests);
uint64_t timeline_realtime(const struct timeline *timeline, uint64_t time);

#endif
