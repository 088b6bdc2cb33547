/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the rate estimators. Exponential averages of one rate of change, with time constants of
 * half a second and five seconds, and of 50 ms for sprints alone. Samples come at irregular times,
 * 1 ms to 1 s apart, so the weight of each is its share of time: new = (old × tau + change) / (tau
 * + elapsed), the implicit Euler form of the low-pass. It needs no exponential, cannot overshoot
 * and becomes the plain average for a gap much longer than tau.
 */
#include "rate.h"

#include "tuning.h"

__extension__ typedef __int128 wide;

/* Rates are held to ±2^60 bytes per second, so that a sum of two fits 64 bits. */
#define RATE_LIMIT (INT64_C(1) << 60)

static int64_t hold(wide value)
{
    if (value > RATE_LIMIT)
        return RATE_LIMIT;
    if (value < -RATE_LIMIT)
        return -RATE_LIMIT;
    return (int64_t)value;
}

void rate_reset(struct rate *rate)
{
    *rate = (struct rate){.time = UNKNOWN};
}

static int64_t fold(int64_t old, int64_t delta, uint64_t elapsed, uint64_t tau)
{
    wide sum = (wide)old * (wide)tau + (wide)delta * (wide)NSEC_PER_SEC;
    return hold(sum / ((wide)tau + (wide)elapsed));
}

void rate_update(struct rate *rate, uint64_t now, int64_t delta)
{
    if (!known(rate->time)) {
        rate->time = now;
        return;
    }
    if (now <= rate->time)
        return;
    uint64_t elapsed = now - rate->time;
    rate->burst = fold(rate->burst, delta, elapsed, RATE_BURST_TAU);
    rate->fast = fold(rate->fast, delta, elapsed, RATE_FAST_TAU);
    rate->slow = fold(rate->slow, delta, elapsed, RATE_SLOW_TAU);
    rate->time = now;
    if (delta <= 0)
        rate->growing = 0;
    else if (rate->growing < RATE_CONFIRM_SAMPLES)
        rate->growing++;
}

int64_t rate_steady(const struct rate *rate)
{
    return rate->fast < rate->slow ? rate->fast : rate->slow;
}

int64_t rate_confirmed(const struct rate *rate)
{
    return rate->growing >= RATE_CONFIRM_SAMPLES ? rate->fast : rate_steady(rate);
}

int64_t rate_sum(int64_t a, int64_t b)
{
    return hold((wide)a + b);
}

uint64_t rate_bytes(int64_t rate, uint64_t time)
{
    return rate > 0 ? scale_u64((uint64_t)rate, time, NSEC_PER_SEC) : 0;
}

uint64_t rate_exhaustion(int64_t headroom, int64_t rate)
{
    if (headroom <= 0)
        return 0;
    if (rate <= 0)
        return NEVER;
    return scale_u64((uint64_t)headroom, NSEC_PER_SEC, (uint64_t)rate);
}
