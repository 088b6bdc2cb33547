/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The bytes a session has yet to send: fixed in size, whole lines in the order they were given.
 */
#ifndef PLIMSOLL_QMP_OUTPUT_H
#define PLIMSOLL_QMP_OUTPUT_H

#include "text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Holds the QMP_REQUESTS_MAX longest usual requests (qom-get of guest-stats, about 150 bytes), and
 * any one request: both strings of get_boolean at QMP_NAME_MAX, each byte escaped to six. */
#define QMP_OUTPUT_MAX 2048

struct qmp_output {
    uint64_t position; /* in the stream, of the first byte not sent */
    size_t begin, end;
    char bytes[QMP_OUTPUT_MAX];
};

/* Where a line stands in the stream. */
struct qmp_extent {
    uint64_t start;
    size_t length;
};

/* A writer for one line at the end of the output; nothing is queued before commit. */
struct qmp_writer qmp_output_writer(struct qmp_output *output);
/* Queues what WRITER holds; -ENOBUFS when it did not fit. */
int qmp_output_commit(
    struct qmp_output *output, const struct qmp_writer *writer, struct qmp_extent *ret_extent);

/* Sends what FD takes. Returns 0, also when the socket takes no more, or negative errno. */
int qmp_output_flush(struct qmp_output *output, int fd);

/* Takes a line back of which no byte has left: true; the lines behind it then stand EXTENT->length
 * earlier. Else false. */
bool qmp_output_withdraw(struct qmp_output *output, const struct qmp_extent *extent);

static inline bool qmp_output_empty(const struct qmp_output *output)
{
    return output->begin == output->end;
}

#endif
