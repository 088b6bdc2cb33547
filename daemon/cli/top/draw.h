/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The model as rows of a frame. Each function adds rows and leaves what it does not know out, or as
 * a dash.
 */
#ifndef PLIMSOLL_CLI_TOP_DRAW_H
#define PLIMSOLL_CLI_TOP_DRAW_H

#include "frame.h"
#include "guests.h"
#include "model.h"
#include "viewer.h"

/* What is smaller shows nothing that helps. */
#define DRAW_COLUMNS_MIN 40
#define DRAW_ROWS_MIN 10

/* How a frame is used. */
struct canvas {
    struct frame *frame;
    unsigned rows, columns; /* of the screen; without one columns of the graph and the bars */
    bool screen;            /* else all guests, and nothing cut */
};

/* Which columns the table has, and how wide; 0: not shown. */
struct table_layout {
    unsigned widths[GUEST_COLUMN_COUNT];
};

/* The whole frame: the page that VIEW is on. */
void draw_page(const struct canvas *canvas, const struct model *model, struct viewer *view);

/* ---- its parts ---- */

/* Band, mode, guests, the moment; and whether all of it is old. */
void draw_title(const struct canvas *canvas, const struct model *model, const struct viewer *view);
void draw_pools(const struct canvas *canvas, const struct model *model);
void draw_trail(const struct canvas *canvas, const struct model *model);
/* The heading and ROWS guests, or all without a screen. */
void draw_table(
    const struct canvas *canvas, const struct model *model, struct viewer *view, unsigned rows);
/* The last decisions in ROWS rows, the newest below; those about GUEST, or all with NULL. */
void draw_decisions(const struct canvas *canvas, const struct model *model,
    const struct guest *guest, unsigned rows);
void draw_guest(
    const struct canvas *canvas, const struct model *model, struct viewer *view, unsigned rows);
void draw_help(const struct canvas *canvas, struct viewer *view, unsigned rows);
/* What a guest holds of its maximum, in WIDTH columns. */
void draw_bar(struct frame *frame, const struct guest *guest, unsigned width);
/* Bytes a second with a sign; "-" where GUEST has no past. */
const char *draw_growth(const struct guest *guest, char cell[FIELD_MAX]);

#endif
