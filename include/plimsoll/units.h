/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The units of the whole project: bytes and nanoseconds, unsigned 64 bit; rates in bytes per
 * second. A quantity nobody could measure is UNKNOWN, which is never zero and never a small number:
 * test with known() before computing with it.
 */
#ifndef PLIMSOLL_UNITS_H
#define PLIMSOLL_UNITS_H

#include <stdbool.h>
#include <stdint.h>

#define KIB UINT64_C(1024)
#define MIB (UINT64_C(1024) * KIB)
#define GIB (UINT64_C(1024) * MIB)
#define TIB (UINT64_C(1024) * GIB)

#define NSEC_PER_USEC UINT64_C(1000)
#define NSEC_PER_MSEC UINT64_C(1000000)
#define NSEC_PER_SEC UINT64_C(1000000000)
#define NSEC_PER_MINUTE (60 * NSEC_PER_SEC)

/* "Nobody knows": the value of any quantity that could not be measured. */
#define UNKNOWN UINT64_MAX
/* "Not within any horizon": the value of a time that never comes. */
#define NEVER UINT64_MAX

static inline bool known(uint64_t value)
{
    return value != UNKNOWN;
}

/* The value, or FALLBACK where nobody knows it. */
static inline uint64_t known_or(uint64_t value, uint64_t fallback)
{
    return known(value) ? value : fallback;
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* a - b, or 0 where that would be negative. */
static inline uint64_t sub_or_zero(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* a + b, held below UNKNOWN so that a sum never turns into "nobody knows". */
static inline uint64_t add_held(uint64_t a, uint64_t b)
{
    return a >= UNKNOWN - 1 - min_u64(b, UNKNOWN - 1) ? UNKNOWN - 1 : a + b;
}

/* value * numerator / denominator without overflow of the product; denominator must not be 0. */
static inline uint64_t scale_u64(uint64_t value, uint64_t numerator, uint64_t denominator)
{
    __extension__ typedef unsigned __int128 wide;
    wide result = (wide)value * numerator / denominator;
    return result >= UNKNOWN - 1 ? UNKNOWN - 1 : (uint64_t)result;
}

/* Signed difference of two byte counts, held to what int64_t can carry. */
static inline int64_t diff_i64(uint64_t a, uint64_t b)
{
    if (a >= b)
        return a - b > (uint64_t)INT64_MAX ? INT64_MAX : (int64_t)(a - b);
    return b - a > (uint64_t)INT64_MAX ? -INT64_MAX : -(int64_t)(b - a);
}

#endif
