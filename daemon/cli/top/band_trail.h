/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How near the edge the host was of late: one moment each interval, with its band and the headroom
 * of the pool that made it.
 */
#ifndef PLIMSOLL_CLI_TOP_BAND_TRAIL_H
#define PLIMSOLL_CLI_TOP_BAND_TRAIL_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include <plimsoll/policy.h>

#include "screen.h"

/* As many as the widest screen has columns. */
#define BAND_TRAIL_MAX SCREEN_COLUMNS_MAX
/* Headroom as a share of what the pool has above its floor, in so many parts. */
#define BAND_TRAIL_WHOLE 1000

struct band_moment {
    enum {
        BAND_NOBODY_KNOWS,
        BAND_TOLD,    /* the log tells the band, and no headroom */
        BAND_MEASURED /* both */
    } what;
    enum band band;
    uint16_t share; /* of BAND_TRAIL_WHOLE; below the floor 0 */
};

/* Begins zeroed. */
struct band_trail {
    struct band_moment moments[BAND_TRAIL_MAX];
    uint64_t count; /* of all; the last BAND_TRAIL_MAX are kept */
};

/* The moment of STATUS. */
void band_trail_add(struct band_trail *trail, struct json_object *status);
/* COUNT moments, the guard being away, of which nothing is known. */
void band_trail_skip(struct band_trail *trail, uint64_t count);
/* The LIMIT moments, each an INTERVAL, that end at that of STATUS, which is added after them, as
 * far as LINES, GetLog's, tell of them. WHOLE: all that was said in that time is in LINES. */
void band_trail_tell(struct band_trail *trail, struct json_object *status,
    struct json_object *lines, uint64_t interval, uint64_t limit, bool whole);
/* The moment so many before the last, which is 0. */
struct band_moment band_trail_at(const struct band_trail *trail, uint64_t ago);

/* The pool of STATUS that makes its band: host, budget or a node; NULL: it does not say. */
struct json_object *status_worst_pool(struct json_object *status);

#endif
