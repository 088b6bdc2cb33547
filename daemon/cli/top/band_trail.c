/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the past of the band. Theory of operation:
 *
 * While somebody looks, each status is a moment. Of what was before the log tells where the band
 * changed, from which and with what headroom; so between two changes the band is told and the
 * headroom is not, and no figure is made up for it. It is walked backwards, from the band of the
 * first status; the guard's start, or the oldest line, ends it.
 */
#include "band_trail.h"

#include <stdlib.h>

#include <plimsoll/units.h>

#include "alert.h"
#include "field.h"

static void moment_add(struct band_trail *trail, struct band_moment moment)
{
    trail->moments[trail->count++ % BAND_TRAIL_MAX] = moment;
}

static bool band_read(struct json_object *object, const char *key, enum band *ret_band)
{
    for (enum band band = BAND_CALM; band < BAND_COUNT; band++)
        if (field_is(object, key, band_name(band))) {
            *ret_band = band;
            return true;
        }
    return false;
}

struct json_object *status_worst_pool(struct json_object *status)
{
    struct json_object *host = field_get(status, "host"), *nodes = field_get(host, "nodes");
    uint64_t node = field_u64(status, "worst_node");

    if (field_is(status, "worst", "budget"))
        return field_get(status, "budget");
    if (!field_is(status, "worst", "node"))
        return host;
    for (size_t i = 0;
         json_object_is_type(nodes, json_type_array) && i < json_object_array_length(nodes); i++) {
        struct json_object *one = json_object_array_get_idx(nodes, i);
        if (known(node) && field_u64(one, "id") == node)
            return one;
    }
    return host;
}

/* HEADROOM of what POOL has above its floor. */
static bool share_of(struct json_object *pool, int64_t headroom, uint16_t *ret_share)
{
    uint64_t total = field_u64(pool, "total"), floor = field_u64(pool, "floor");

    if (!known(total) || !known(floor) || total <= floor)
        return false;
    uint64_t share =
        headroom > 0 ? scale_u64((uint64_t)headroom, BAND_TRAIL_WHOLE, total - floor) : 0;
    *ret_share = (uint16_t)min_u64(share, BAND_TRAIL_WHOLE);
    return true;
}

void band_trail_add(struct band_trail *trail, struct json_object *status)
{
    struct json_object *pool = status_worst_pool(status);
    struct json_object *headroom = field_get(pool, "headroom");
    struct band_moment moment = {.what = BAND_NOBODY_KNOWS};

    if (band_read(status, "band", &moment.band))
        moment.what = json_object_is_type(headroom, json_type_int) &&
                              share_of(pool, json_object_get_int64(headroom), &moment.share)
                          ? BAND_MEASURED
                          : BAND_TOLD;
    moment_add(trail, moment);
}

void band_trail_skip(struct band_trail *trail, uint64_t count)
{
    for (uint64_t i = 0; i < count && i < BAND_TRAIL_MAX; i++)
        moment_add(trail, (struct band_moment){.what = BAND_NOBODY_KNOWS});
}

struct band_moment band_trail_at(const struct band_trail *trail, uint64_t ago)
{
    if (ago >= trail->count || ago >= BAND_TRAIL_MAX)
        return (struct band_moment){.what = BAND_NOBODY_KNOWS};
    return trail->moments[(trail->count - 1 - ago) % BAND_TRAIL_MAX];
}

/* What a change of band measured, as far as its pool is one of STATUS. */
static bool change_share(
    struct json_object *fields, struct json_object *status, uint16_t *ret_share)
{
    struct json_object *text = field_get(fields, "headroom"), *asked = json_object_new_object();
    struct json_object *pool;
    char *end = NULL;
    long long headroom = 0;

    /* status_worst_pool() knows where the pools are. */
    (void)json_object_object_add(asked, "host", json_object_get(field_get(status, "host")));
    (void)json_object_object_add(asked, "budget", json_object_get(field_get(status, "budget")));
    (void)json_object_object_add(asked, "worst", json_object_get(field_get(fields, "pool")));
    if (known(alert_number(fields, "node")))
        (void)json_object_object_add(
            asked, "worst_node", json_object_new_uint64(alert_number(fields, "node")));
    pool = status_worst_pool(asked);
    if (json_object_is_type(text, json_type_string))
        headroom = strtoll(json_object_get_string(text), &end, 10);
    bool is_known = end && *end == '\0' && end != json_object_get_string(text) &&
                    share_of(pool, headroom, ret_share);
    json_object_put(asked);
    return is_known;
}

/* The way back through the log. */
struct walk {
    struct json_object *lines, *status;
    size_t next;    /* lines that are still older */
    enum band band; /* before all that are younger */
    bool whole;     /* nothing was said that is not in the lines */
};

/* One line into the moment in which it was said; false: there was no guard before it. */
static bool line_tell(struct walk *walk, struct json_object *fields, struct band_moment *moment)
{
    enum band before, band;
    uint16_t share = 0;

    if (!field_is(fields, "event", "band"))
        return !field_is(fields, "event", "start");
    if (!band_read(fields, "before", &before) || !band_read(fields, "band", &band))
        return false;
    /* Of several changes within one moment the worst is what somebody looks for. */
    if (moment->what != BAND_MEASURED || band > moment->band) {
        moment->band = band;
        if (change_share(fields, walk->status, &share)) {
            moment->what = BAND_MEASURED;
            moment->share = share;
        }
    }
    walk->band = before;
    return true;
}

/* The moment that begins at BEGIN; false: the log goes no further. */
static bool moment_tell(struct walk *walk, uint64_t begin, struct band_moment *ret_moment)
{
    *ret_moment = (struct band_moment){.what = BAND_TOLD, .band = walk->band};
    for (; walk->next > 0; walk->next--) {
        struct json_object *line = json_object_array_get_idx(walk->lines, walk->next - 1);
        uint64_t said = field_u64(line, "realtime");
        if (known(said) && said < begin)
            return true;
        struct json_object *fields = alert_fields(line);
        bool goes_on = line_tell(walk, fields, ret_moment);
        json_object_put(fields);
        if (!goes_on)
            return false;
    }
    return walk->whole;
}

void band_trail_tell(struct band_trail *trail, struct json_object *status,
    struct json_object *lines, uint64_t interval, uint64_t limit, bool whole)
{
    struct walk walk = {.lines = lines, .status = status, .whole = whole && lines};
    uint64_t begin = field_u64(status, "realtime"), count = 0;

    limit = min_u64(limit, BAND_TRAIL_MAX - 1);
    struct band_moment *moments = calloc(limit + 1, sizeof(*moments));
    if (json_object_is_type(lines, json_type_array))
        walk.next = json_object_array_length(lines);
    bool goes_on = moments && lines && known(begin) && band_read(status, "band", &walk.band);
    while (goes_on && count < limit && begin > interval) {
        begin -= interval;
        goes_on = moment_tell(&walk, begin, &moments[count++]);
    }
    band_trail_skip(trail, limit - count);
    while (count > 0)
        moment_add(trail, moments[--count]);
    free(moments);
}
