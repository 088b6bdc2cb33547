/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the output buffer of a session, which is part of the session, so that sending never
 * allocates.
 *
 * A line that the peer was too busy to take can be withdrawn when its request times out. So a QEMU
 * that wakes up after minutes does not find old orders (a `stop`, a balloon target) that nobody
 * wants any more, but for those that its socket had taken.
 */
#include "output.h"

#include "transport.h"

#include <errno.h>
#include <string.h>

struct qmp_writer qmp_output_writer(struct qmp_output *output)
{
    memmove(output->bytes, output->bytes + output->begin, output->end - output->begin);
    output->end -= output->begin;
    output->begin = 0;
    return (struct qmp_writer){
        .text = output->bytes + output->end,
        .size = sizeof(output->bytes) - output->end,
    };
}

int qmp_output_commit(
    struct qmp_output *output, const struct qmp_writer *writer, struct qmp_extent *ret_extent)
{
    if (writer->bad)
        return -ENOBUFS;
    *ret_extent = (struct qmp_extent){
        .start = output->position + (output->end - output->begin),
        .length = writer->length,
    };
    output->end += writer->length;
    return 0;
}

int qmp_output_flush(struct qmp_output *output, int fd)
{
    while (!qmp_output_empty(output)) {
        ssize_t sent =
            qmp_transport_send(fd, output->bytes + output->begin, output->end - output->begin);
        if (sent == -EAGAIN)
            return 0;
        if (sent < 0)
            return (int)sent;
        output->begin += (size_t)sent;
        output->position += (uint64_t)sent;
    }
    return 0;
}

bool qmp_output_withdraw(struct qmp_output *output, const struct qmp_extent *extent)
{
    if (extent->start < output->position)
        return false;
    char *line = output->bytes + output->begin + (extent->start - output->position);
    char *end = output->bytes + output->end;
    memmove(line, line + extent->length, (size_t)(end - line) - extent->length);
    output->end -= extent->length;
    return true;
}
