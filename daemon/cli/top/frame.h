/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A picture of the terminal, composed in memory row by row before any of it is shown. All text goes
 * through frame_put(), which lets nothing out that controls a terminal.
 */
#ifndef PLIMSOLL_CLI_TOP_FRAME_H
#define PLIMSOLL_CLI_TOP_FRAME_H

#include <stdbool.h>
#include <stddef.h>

/* Beyond what any screen has; of a text that is longer no more is looked at. */
#define FRAME_TEXT_MAX 2048

enum {
    LOOK_BOLD = 1,
    LOOK_DIM = 2,
    LOOK_REVERSE = 4,
};

/* How a text looks: a colour of look.h, or NULL, and LOOK_ bits. */
struct look {
    const char *colour;
    unsigned attributes;
};

struct frame_row {
    size_t begin, length; /* in the frame's text */
    unsigned columns;
};

struct frame {
    /* Set by the owner before frame_begin(). */
    unsigned columns; /* where a row is cut */
    bool plain;       /* no escape sequences at all */
    bool colours;     /* else attributes alone */
    bool utf8;        /* the terminal's; where it is not, what is not ASCII becomes '?' */
    /* The rows; read only. */
    struct frame_row *rows;
    unsigned row_count;
    char *text;
    bool failed; /* no memory: it is not to be shown */
    /* Its own. */
    size_t used, size;
    unsigned row_size;
    struct look present; /* what the terminal would be set to */
    unsigned under;      /* attributes of the whole row */
};

/* Empties it; the memory stays. */
void frame_begin(struct frame *frame);
void frame_clear(struct frame *frame);

/* A new row, all of it with these attributes on top of what its texts have. */
void frame_row(struct frame *frame, unsigned attributes);
void frame_put(struct frame *frame, struct look look, const char *text);
void __attribute__((format(printf, 3, 4)))
frame_print(struct frame *frame, struct look look, const char *format, ...);
/* Spaces up to COLUMN; none where the row is beyond it. */
void frame_pad(struct frame *frame, unsigned column);
/* TEXT in WIDTH columns, cut with an ellipsis or padded. */
void frame_cell(
    struct frame *frame, struct look look, const char *text, unsigned width, bool right);
/* Columns still free in the row. */
unsigned frame_left(const struct frame *frame);
/* Columns that TEXT would take. */
unsigned frame_width(const struct frame *frame, const char *text);

#endif
