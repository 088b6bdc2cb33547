/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns which part has which rows. The title and the footer are always there; the guests have what
 * the other parts leave. On a low screen the pools, the graph and the decisions go, in the reverse
 * of that order.
 */
#include "draw.h"

#include <stdio.h>
#include <string.h>

/* Decisions have a share of the rows within these bounds. */
#define DECISIONS_SHARE 5
#define DECISIONS_MIN 3
#define DECISIONS_MAX 12
/* Guests come before all but the title. */
#define GUESTS_MIN 4
/* Without the graph, without the decisions. */
#define GRAPH_SCREEN 16
#define DECISIONS_SCREEN 20

static const struct look bold = {.attributes = LOOK_BOLD};

static void key_put(struct frame *frame, const char *key, const char *what)
{
    frame_put(frame, bold, key);
    frame_print(frame, (struct look){0}, " %s  ", what);
}

static void footer_put(const struct canvas *canvas, const struct viewer *view)
{
    struct frame *frame = canvas->frame;

    frame_row(frame, 0);
    if (view->filtering) {
        frame_put(frame, bold, "Name holds: ");
        frame_put(frame, (struct look){0}, view->filter);
        frame_put(frame, (struct look){.attributes = LOOK_REVERSE}, " ");
        frame_put(frame, (struct look){.attributes = LOOK_DIM}, "  Enter keeps it, Esc drops it");
        return;
    }
    if (view->page != VIEW_TABLE) {
        key_put(frame, "Esc", "back");
        if (view->scroll_end > 0)
            key_put(frame, "j k", "scroll");
        key_put(frame, "Space", view->paused ? "go on" : "pause");
        key_put(frame, "q", "back");
        return;
    }
    key_put(frame, "q", "quit");
    key_put(frame, "h", "help");
    if (view->filter[0]) {
        frame_print(frame, bold, "/%s", view->filter);
        frame_put(frame, (struct look){0}, "  ");
        key_put(frame, "Esc", "all guests");
    }
    key_put(frame, "j k", "choose");
    key_put(frame, "Enter", "open");
    key_put(frame, "s", "sort");
    key_put(frame, "r", "reverse");
    if (!view->filter[0])
        key_put(frame, "/", "filter");
    key_put(frame, "Space", view->paused ? "go on" : "pause");
}

static void decisions_heading(const struct canvas *canvas, const struct viewer *view)
{
    struct frame *frame = canvas->frame;
    char range[64];

    frame_row(frame, LOOK_REVERSE);
    frame_put(frame, bold, "LAST DECISIONS");
    if (canvas->screen && view->count > view->rows) {
        int length = snprintf(range, sizeof(range), "guests %zu to %zu of %zu", view->first + 1,
            view->first + view->rows, view->count);
        frame_pad(frame, canvas->columns - (unsigned)length);
        frame_put(frame, (struct look){0}, range);
    }
    if (canvas->screen)
        frame_pad(frame, canvas->columns);
}

/* Rows of the screen that are not used yet, less the footer. */
static unsigned rows_left(const struct canvas *canvas)
{
    return canvas->rows > canvas->frame->row_count + 1 ? canvas->rows - canvas->frame->row_count - 1
                                                       : 0;
}

static void table_page(const struct canvas *canvas, const struct model *model, struct viewer *view)
{
    unsigned decisions = canvas->rows / DECISIONS_SHARE;

    if (decisions < DECISIONS_MIN)
        decisions = DECISIONS_MIN;
    if (decisions > DECISIONS_MAX)
        decisions = DECISIONS_MAX;
    draw_pools(canvas, model);
    if (canvas->rows >= GRAPH_SCREEN)
        draw_trail(canvas, model);
    unsigned left = rows_left(canvas);
    /* The table's heading, and that of the decisions. */
    bool tells = canvas->rows >= DECISIONS_SCREEN && left >= GUESTS_MIN + decisions + 2;
    unsigned others = 1 + (tells ? decisions + 1 : 0);
    draw_table(canvas, model, view, left > others ? left - others : 0);
    if (!tells)
        return;
    decisions_heading(canvas, view);
    draw_decisions(canvas, model, NULL, decisions);
}

static void small_page(const struct canvas *canvas)
{
    frame_row(canvas->frame, 0);
    frame_print(canvas->frame, bold, "%ux%u is too small", canvas->columns, canvas->rows);
    frame_row(canvas->frame, 0);
    frame_print(
        canvas->frame, (struct look){0}, "%dx%d is needed", DRAW_COLUMNS_MIN, DRAW_ROWS_MIN);
}

/* Without a screen: all of it, below one another. */
static void batch_page(const struct canvas *canvas, const struct model *model, struct viewer *view)
{
    draw_title(canvas, model, NULL);
    draw_pools(canvas, model);
    draw_trail(canvas, model);
    draw_table(canvas, model, view, 0);
    decisions_heading(canvas, view);
    draw_decisions(canvas, model, NULL, DECISIONS_MAX);
}

void draw_page(const struct canvas *canvas, const struct model *model, struct viewer *view)
{
    frame_begin(canvas->frame);
    if (!canvas->screen) {
        batch_page(canvas, model, view);
        return;
    }
    if (canvas->columns < DRAW_COLUMNS_MIN || canvas->rows < DRAW_ROWS_MIN) {
        small_page(canvas);
        return;
    }
    draw_title(canvas, model, view);
    switch (view->page) {
    case VIEW_TABLE:
        table_page(canvas, model, view);
        break;
    case VIEW_GUEST:
        draw_guest(canvas, model, view, rows_left(canvas));
        break;
    case VIEW_HELP:
        draw_help(canvas, view, rows_left(canvas));
        break;
    }
    footer_put(canvas, view);
}
