/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Clocks and percentiles.
 */
#include "bench.h"

#include <plimsoll/units.h>
#include <stddef.h>
#include <stdlib.h>

uint64_t clock_read(clockid_t clock)
{
    struct timespec time;

    (void)clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * NSEC_PER_SEC + (uint64_t)time.tv_nsec;
}

static int compare_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

struct spread spread_of(double *values, unsigned count)
{
    qsort(values, count, sizeof(values[0]), compare_double);
    return (struct spread){
        .low = values[count / 10],
        .median = values[count / 2],
        .high = values[count - 1 - count / 10],
    };
}

double sorted_at(const double *values, unsigned count, unsigned per_mille)
{
    return values[(count - 1) * per_mille / 1000];
}
