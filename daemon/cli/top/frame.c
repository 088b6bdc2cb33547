/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns what is composed before it is shown. Theory of operation:
 *
 * All rows stand one behind the other in one growing text; each knows where it begins and how many
 * columns it takes. A text is put character by character: one that is broken, controls the terminal
 * or has no width known to the locale becomes '?', and what would pass the last column is left out.
 * An escape sequence is written only where the look changes, and each row ends in the plain look,
 * so that rows can be written alone and in any order.
 */
#include "frame.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include <plimsoll/cleanup.h>

#include "look.h"
#include "text.h"

#define TEXT_SIZE_FIRST 16384
#define ROW_SIZE_FIRST 64
/* "\x1b[0;1;2;7;35m" */
#define LOOK_SEQUENCE_MAX 32

void frame_begin(struct frame *frame)
{
    frame->row_count = 0;
    frame->used = 0;
    frame->failed = false;
    frame->present = (struct look){0};
    frame->under = 0;
}

void frame_clear(struct frame *frame)
{
    free(frame->text);
    free(frame->rows);
    *frame = (struct frame){0};
}

static void bytes_add(struct frame *frame, const char *bytes, size_t length)
{
    size_t size = frame->size ? frame->size : TEXT_SIZE_FIRST;

    while (size - frame->used < length)
        size *= 2;
    if (size > frame->size) {
        char *text = realloc(frame->text, size);
        if (!text) {
            frame->failed = true;
            return;
        }
        frame->text = text;
        frame->size = size;
    }
    memcpy(frame->text + frame->used, bytes, length);
    frame->used += length;
    frame->rows[frame->row_count - 1].length += length;
}

static bool look_equals(struct look a, struct look b)
{
    bool same = a.colour == b.colour || (a.colour && b.colour && strcmp(a.colour, b.colour) == 0);

    return same && a.attributes == b.attributes;
}

static void look_set(struct frame *frame, struct look look)
{
    char sequence[LOOK_SEQUENCE_MAX];

    if (frame->plain)
        return;
    if (!frame->colours)
        look.colour = NULL;
    if (look_equals(look, frame->present))
        return;
    int length = snprintf(sequence, sizeof(sequence), "\x1b[0%s%s%s%s%sm",
        look.attributes & LOOK_BOLD ? ";1" : "", look.attributes & LOOK_DIM ? ";2" : "",
        look.attributes & LOOK_REVERSE ? ";7" : "", look.colour ? ";" : "",
        look.colour ? look_code(look.colour) : "");
    bytes_add(frame, sequence, (size_t)length);
    frame->present = look;
}

void frame_row(struct frame *frame, unsigned attributes)
{
    if (frame->row_count > 0 && !frame->failed)
        look_set(frame, (struct look){0});
    if (frame->row_count == frame->row_size) {
        unsigned size = frame->row_size ? 2 * frame->row_size : ROW_SIZE_FIRST;
        struct frame_row *rows = realloc(frame->rows, size * sizeof(*rows));
        if (!rows) {
            frame->failed = true;
            return;
        }
        frame->rows = rows;
        frame->row_size = size;
    }
    frame->rows[frame->row_count++] = (struct frame_row){.begin = frame->used};
    frame->present = (struct look){0};
    frame->under = attributes;
}

/* One character of TEXT as it is shown: bytes taken, and in *RET_WIDTH the columns; *RET_TEXT is
 * what stands for it. */
static size_t character_next(const struct frame *frame, const char *text, size_t available,
    const char **ret_text, size_t *ret_length, unsigned *ret_width)
{
    size_t length = text_character(text, available);
    wchar_t wide = L'\0';
    mbstate_t state = {0};
    int width = 1;

    *ret_text = text;
    *ret_length = length;
    if (length > 1)
        width = frame->utf8 && mbrtowc(&wide, text, length, &state) == length ? wcwidth(wide) : -1;
    if (length == 0 || width < 0) {
        *ret_text = "?";
        *ret_length = 1;
        width = 1;
    }
    *ret_width = (unsigned)width;
    return length > 0 ? length : 1;
}

unsigned frame_width(const struct frame *frame, const char *text)
{
    size_t length = strnlen(text, FRAME_TEXT_MAX);
    unsigned sum = 0;

    for (size_t i = 0; i < length;) {
        const char *shown;
        size_t bytes;
        unsigned width;
        i += character_next(frame, text + i, length - i, &shown, &bytes, &width);
        sum += width;
    }
    return sum;
}

unsigned frame_left(const struct frame *frame)
{
    unsigned used = frame->row_count > 0 ? frame->rows[frame->row_count - 1].columns : 0;

    return used < frame->columns ? frame->columns - used : 0;
}

/* At most WIDTH columns of TEXT. */
static void text_put(struct frame *frame, struct look look, const char *text, unsigned width)
{
    size_t length = strnlen(text, FRAME_TEXT_MAX);

    if (frame->failed || length == 0)
        return;
    look.attributes |= frame->under;
    look_set(frame, look);
    for (size_t i = 0; i < length && !frame->failed;) {
        const char *shown;
        size_t bytes;
        unsigned columns;
        i += character_next(frame, text + i, length - i, &shown, &bytes, &columns);
        if (columns > width || columns > frame_left(frame))
            return;
        width -= columns;
        bytes_add(frame, shown, bytes);
        frame->rows[frame->row_count - 1].columns += columns;
    }
}

void frame_put(struct frame *frame, struct look look, const char *text)
{
    text_put(frame, look, text, frame->columns);
}

void frame_print(struct frame *frame, struct look look, const char *format, ...)
{
    char text[FRAME_TEXT_MAX];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    frame_put(frame, look, text);
}

void frame_pad(struct frame *frame, unsigned column)
{
    static const char spaces[] = "                                ";

    if (frame->failed)
        return;
    if (column > frame->columns)
        column = frame->columns;
    for (unsigned used; (used = frame->rows[frame->row_count - 1].columns) < column;) {
        unsigned count = column - used;
        if (count > sizeof(spaces) - 1)
            count = sizeof(spaces) - 1;
        frame_put(frame, (struct look){0}, spaces + sizeof(spaces) - 1 - count);
        if (frame->failed)
            return;
    }
}

void frame_cell(struct frame *frame, struct look look, const char *text, unsigned width, bool right)
{
    unsigned begin = frame->columns - frame_left(frame), wanted = frame_width(frame, text);

    if (width == 0)
        return;
    if (right && wanted < width)
        frame_pad(frame, begin + width - wanted);
    if (wanted <= width) {
        frame_put(frame, look, text);
    } else {
        text_put(frame, look, text, width - 1);
        frame_put(frame, look, frame->utf8 ? TEXT_ELLIPSIS : "~");
    }
    frame_pad(frame, begin + width);
}
