/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the partial line of a session.
 *
 * Most replies come in one read, whole. Such a line is handed out where it lies, in the reader's
 * own bytes; only a line that is cut by the end of a read is copied. So a session between replies
 * owns no input memory at all, and what a huge line needed is given back with the next call.
 */
#include "frame.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* First size of a partial line: holds the usual reply cut in two; then it doubles. */
#define PARTIAL_MIN 1024

void qmp_frame_release(struct qmp_frame *frame)
{
    free(frame->partial);
    frame->partial = NULL;
    frame->length = 0;
    frame->capacity = 0;
}

static int frame_append(struct qmp_frame *frame, const char *bytes, size_t length)
{
    /* CR and LF are kept too: the LF marks a partial line that was handed out. */
    size_t bound = frame->line_max + 2;
    if (length > bound - frame->length)
        return -EMSGSIZE;
    size_t needed = frame->length + length;

    if (needed > frame->capacity) {
        size_t capacity = frame->capacity ? frame->capacity : PARTIAL_MIN;
        while (capacity < needed)
            capacity *= 2;
        if (capacity > bound)
            capacity = bound;
        char *grown = realloc(frame->partial, capacity);
        if (!grown)
            return -ENOMEM;
        frame->partial = grown;
        frame->capacity = capacity;
    }
    memcpy(frame->partial + frame->length, bytes, length);
    frame->length = needed;
    return 0;
}

int qmp_frame_next(struct qmp_frame *frame, const char **bytes, size_t *length,
    const char **ret_line, size_t *ret_length)
{
    /* A partial line that ends in LF was handed out by the last call. */
    if (frame->length > 0 && frame->partial[frame->length - 1] == '\n')
        qmp_frame_release(frame);
    if (*length == 0)
        return 0;

    const char *end = memchr(*bytes, '\n', *length);
    size_t taken = end ? (size_t)(end - *bytes) + 1 : *length;
    const char *line = *bytes;
    size_t line_length = taken;

    if (!end || frame->length > 0) {
        int r = frame_append(frame, *bytes, taken);
        if (r < 0)
            return r;
        line = frame->partial;
        line_length = frame->length;
    }
    *bytes += taken;
    *length -= taken;
    if (!end)
        return 0;

    line_length--;
    if (line_length > 0 && line[line_length - 1] == '\r')
        line_length--;
    if (line_length > frame->line_max)
        return -EMSGSIZE;
    *ret_line = line;
    *ret_length = line_length;
    return 1;
}
