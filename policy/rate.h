/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rates of change from samples at irregular times. */
#ifndef PLIMSOLL_POLICY_RATE_H
#define PLIMSOLL_POLICY_RATE_H

#include <plimsoll/units.h>

/* Bytes per second, positive while the quantity grows. */
struct rate {
    uint64_t time; /* of the last sample; UNKNOWN: none */
    int64_t fast, slow;
    int64_t burst;    /* follows within 50 ms: little delay, some noise */
    uint32_t growing; /* samples in a row that grew, held at RATE_CONFIRM_SAMPLES */
};

void rate_reset(struct rate *rate);

/* The quantity has changed by DELTA since the last sample. The first call only notes the time, and
 * one that is not later than the last changes nothing. */
void rate_update(struct rate *rate, uint64_t now, int64_t delta);

/* The smaller of both estimates: what a burst does not move. */
int64_t rate_steady(const struct rate *rate);

/* The fast estimate once enough samples in a row agree with it, else the steady one. */
int64_t rate_confirmed(const struct rate *rate);

/* a + b and rate × time in bytes, held to the type. */
int64_t rate_sum(int64_t a, int64_t b);
uint64_t rate_bytes(int64_t rate, uint64_t time);

/* Nanoseconds until HEADROOM is used up by RATE; 0 when it is, NEVER when RATE is not positive. */
uint64_t rate_exhaustion(int64_t headroom, int64_t rate);

#endif
