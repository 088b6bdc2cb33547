/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns demand curves. A curve of any form is points in order of time; a trace of hours is some ten
 * thousand of them, so the one that holds is searched by halves. Noise is drawn from seed and
 * second alone, so that it is the same however time is cut into steps.
 */
#include "demand.h"

/* demand_peak() looks so often. */
#define PEAK_STEP NSEC_PER_SEC

/* The curve's own time at AGE. */
static uint64_t curve_time(const struct demand *demand, uint64_t age)
{
    uint64_t time = sub_or_zero(age, demand->delay);
    return demand->repeat > 0 ? time % demand->repeat : time;
}

static uint64_t between(const struct demand_point *a, const struct demand_point *b, uint64_t time)
{
    uint64_t way = time - a->time, whole = b->time - a->time;
    if (b->bytes >= a->bytes)
        return a->bytes + scale_u64(b->bytes - a->bytes, way, whole);
    return a->bytes - scale_u64(a->bytes - b->bytes, way, whole);
}

static uint64_t curve_at(const struct demand *demand, uint64_t time)
{
    const struct demand_point *points = demand->points;
    uint32_t low = 0, high = demand->count; /* points[low] is at or before time, or the first */
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (points[middle].time <= time)
            low = middle;
        else
            high = middle;
    }
    if (demand->stepwise || time <= points[low].time || low + 1 == demand->count)
        return points[low].bytes;
    return between(&points[low], &points[low + 1], time);
}

/* The finalizer of splitmix64 (Steele, Lea, Flood, OOPSLA 2014). */
static uint64_t mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

uint64_t demand_at(const struct demand *demand, uint64_t age, uint64_t seed)
{
    uint64_t bytes = curve_at(demand, curve_time(demand, age));
    if (demand->noise == 0)
        return bytes;
    uint64_t drawn = mix(mix(seed) + age / NSEC_PER_SEC) % (2 * demand->noise + 1);
    return sub_or_zero(bytes + drawn, demand->noise);
}

uint64_t demand_peak(const struct demand *demand, uint64_t age, uint64_t time)
{
    uint64_t peak = 0;
    for (uint64_t ahead = 0; ahead <= time; ahead += PEAK_STEP)
        peak = max_u64(peak, curve_at(demand, curve_time(demand, age + ahead)));
    return peak;
}
