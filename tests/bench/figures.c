/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Clocks, percentiles, and the allocator's counter, which replaces glibc's entry points for the
 * whole program and its libraries.
 */
#include "bench.h"

#include <plimsoll/units.h>
#include <stddef.h>
#include <stdlib.h>

/* glibc's own names of its allocator. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *pointer, size_t size);

/* Else the build's hidden visibility keeps them from the libraries. */
#define SEEN_BY_LIBRARIES __attribute__((visibility("default")))

static unsigned allocations;

SEEN_BY_LIBRARIES void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}

SEEN_BY_LIBRARIES void *calloc(size_t count, size_t size)
{
    allocations++;
    return __libc_calloc(count, size);
}

SEEN_BY_LIBRARIES void *realloc(void *pointer, size_t size)
{
    allocations++;
    return __libc_realloc(pointer, size);
}

unsigned allocations_made(void)
{
    return allocations;
}

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
