/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A trace of memory over time, from a file of comma-separated values: a first line that names the
 * columns, among them `time` (seconds, decimal, not falling) and `rss` (bytes). Lines where either
 * is `nan` say nothing. Columns of other names are passed over.
 */
#ifndef PLIMSOLL_SIMULATE_TRACE_FILE_H
#define PLIMSOLL_SIMULATE_TRACE_FILE_H

#include <plimsoll/error.h>
#include <plimsoll/simulator.h>

/* A week at one sample a second. */
#define TRACE_POINTS_MAX 604800
#define TRACE_LINE_MAX 1024
/* Beyond it no figure makes sense, and sums must not overflow. */
#define TRACE_BYTES_MAX (64 * TIB)

/* At least one point, the first at time 0; the caller frees them. -EINVAL: ERROR says which line
 * is wrong and why; other errno: it could not be read, and ERROR says so. */
int trace_file_read(
    const char *path, struct demand_point **ret_points, uint32_t *ret_count, struct error *error);

#endif
