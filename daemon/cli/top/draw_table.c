/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the table of guests. Theory of operation:
 *
 * Columns of figures have a width of their own, so that the table does not dance with them; those
 * of words are as wide as their widest, bounded. What does not fit is given up column by column,
 * least needed first; what is left over goes to the names, and then to the bars. Without a screen
 * nothing is given up or cut.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <plimsoll/cleanup.h>
#include <plimsoll/units.h>

#include "draw.h"
#include "field.h"
#include "look.h"
#include "text.h"

#define GAP 1
#define BAR_MAX 40

struct column_look {
    unsigned least, most; /* columns; of the same the width is fixed */
    bool right;
};

static const struct column_look columns[] = {
    [GUEST_NAME] = {16, 60, false},
    [GUEST_CLASS] = {6, 12, false},
    [GUEST_MODE] = {8, 8, false},
    [GUEST_STATE] = {8, 13, false},
    [GUEST_RSS] = {7, 7, true},
    [GUEST_BAR] = {14, 14, false},
    [GUEST_GROWTH] = {9, 9, true},
    [GUEST_PINNED] = {7, 7, true},
    [GUEST_MEASURES] = {9, 22, false},
};
static_assert(ELEMENTSOF(columns) == GUEST_COLUMN_COUNT, "a column has no look");

/* Given up in this order. */
static const enum guest_column expendable[] = {
    GUEST_PINNED, GUEST_MODE, GUEST_CLASS, GUEST_GROWTH, GUEST_MEASURES};

static const struct look plain = {0};

const char *draw_growth(const struct guest *guest, char cell[FIELD_MAX])
{
    char bytes[TEXT_NUMBER_MAX];
    uint64_t rate = guest->growth < 0 ? (uint64_t)-guest->growth : (uint64_t)guest->growth;

    if (!guest->has_growth)
        (void)snprintf(cell, FIELD_MAX, FIELD_UNKNOWN);
    else if (rate < KIB)
        (void)snprintf(cell, FIELD_MAX, "0");
    else
        (void)snprintf(cell, FIELD_MAX, "%c%s/s", guest->growth < 0 ? '-' : '+',
            text_format_bytes(rate, bytes, sizeof(bytes)));
    return cell;
}

static const char *cell_text(
    const struct guest *guest, enum guest_column column, char cell[FIELD_MAX])
{
    switch (column) {
    case GUEST_NAME:
        return guest->name;
    case GUEST_CLASS:
        return guest->class_name;
    case GUEST_MODE:
        return guest->mode;
    case GUEST_STATE:
        return guest->state;
    case GUEST_RSS:
        return text_format_bytes(guest->rss, cell, FIELD_MAX);
    case GUEST_GROWTH:
        return draw_growth(guest, cell);
    case GUEST_PINNED:
        return text_format_bytes(guest->pinned, cell, FIELD_MAX);
    case GUEST_MEASURES:
        return guest->measures;
    case GUEST_BAR:
    case GUEST_COLUMN_COUNT:
        break;
    }
    return "";
}

/* ---- the bar ---- */

struct bar_glyphs {
    const char *steps[9]; /* of one column, empty to full */
    const char *given, *taken, *minimum, *balloon;
};

static const struct bar_glyphs bar_blocks = {
    .steps = {"", "\xe2\x96\x8f", "\xe2\x96\x8e", "\xe2\x96\x8d", "\xe2\x96\x8c", "\xe2\x96\x8b",
        "\xe2\x96\x8a", "\xe2\x96\x89", "\xe2\x96\x88"},
    .given = "\xe2\x96\x91",
    .taken = "\xc2\xb7",
    .minimum = "|",
    .balloon = "]",
};
static const struct bar_glyphs bar_letters = {
    .steps = {"", "", "", "", "#", "#", "#", "#", "#"},
    .given = "-",
    .taken = ".",
    .minimum = "|",
    .balloon = "]",
};

/* The column of a mark at BYTES; WIDTH where nobody knows. */
static unsigned bar_mark(uint64_t bytes, uint64_t maximum, unsigned width)
{
    if (!known(bytes))
        return width;
    uint64_t column = scale_u64(width, bytes, maximum);
    return column < width ? (unsigned)column : width - 1;
}

void draw_bar(struct frame *frame, const struct guest *guest, unsigned width)
{
    const struct bar_glyphs *glyphs = frame->utf8 ? &bar_blocks : &bar_letters;
    const struct look full = {.colour = "cyan"}, mark = {.attributes = LOOK_BOLD},
                      free_part = {.attributes = LOOK_DIM};
    unsigned begin = frame->columns - frame_left(frame);
    uint64_t maximum = guest->maximum;

    if (!known(maximum) || maximum == 0 || !known(guest->rss)) {
        frame_cell(frame, plain, FIELD_UNKNOWN, width, false);
        return;
    }
    uint64_t steps = scale_u64(width * 8ULL, min_u64(guest->rss, maximum), maximum);
    unsigned minimum = bar_mark(guest->minimum, maximum, width);
    unsigned balloon = bar_mark(guest->balloon, maximum, width);
    for (unsigned i = 0; i < width; i++) {
        unsigned step = (unsigned)min_u64(sub_or_zero(steps, i * 8ULL), 8);
        if (i == balloon)
            frame_put(frame, mark, glyphs->balloon);
        else if (i == minimum)
            frame_put(frame, mark, glyphs->minimum);
        else if (glyphs->steps[step][0])
            frame_put(frame, full, glyphs->steps[step]);
        else
            frame_put(frame, free_part, i < balloon ? glyphs->given : glyphs->taken);
    }
    frame_pad(frame, begin + width);
}

/* ---- widths ---- */

static unsigned layout_sum(const struct table_layout *layout)
{
    unsigned sum = 0;

    for (unsigned i = 0; i < GUEST_COLUMN_COUNT; i++)
        sum += layout->widths[i] ? layout->widths[i] + (sum ? GAP : 0) : 0;
    return sum;
}

/* Columns that all say the same are left out on a screen. */
static bool column_tells(
    const struct model *model, const struct viewer *view, enum guest_column column)
{
    struct json_object *host = field_get(model_status(model), "host");

    if (column != GUEST_PINNED && column != GUEST_MODE)
        return true;
    for (size_t i = 0; i < view->count; i++) {
        const struct guest *guest = view->order[i];
        if (column == GUEST_PINNED && known(guest->pinned) && guest->pinned > 0)
            return true;
        if (column == GUEST_MODE && !field_is(host, "mode", guest->mode))
            return true;
    }
    return false;
}

static unsigned column_widest(
    const struct frame *frame, const struct viewer *view, enum guest_column column)
{
    char cell[FIELD_MAX];
    unsigned widest = (unsigned)strlen(guest_column_title(column)) + 1; /* and its arrow */

    for (size_t i = 0; i < view->count; i++) {
        unsigned width = frame_width(frame, cell_text(view->order[i], column, cell));
        widest = width > widest ? width : widest;
    }
    return widest;
}

/* Up to MOST columns more, as long as there is room. */
static void column_widen(
    struct table_layout *layout, enum guest_column column, unsigned wanted, unsigned width)
{
    unsigned sum = layout_sum(layout), room = width > sum ? width - sum : 0;
    unsigned *present = &layout->widths[column];

    if (*present == 0 || wanted <= *present)
        return;
    *present += wanted - *present < room ? wanted - *present : room;
}

static void layout_fit(struct table_layout *layout, unsigned width)
{
    for (size_t i = 0; i < ELEMENTSOF(expendable) && layout_sum(layout) > width; i++)
        layout->widths[expendable[i]] = 0;
    /* On the narrowest screens the bar and the name give what is missing. */
    while (layout_sum(layout) > width && layout->widths[GUEST_BAR] > 6)
        layout->widths[GUEST_BAR]--;
    while (layout_sum(layout) > width && layout->widths[GUEST_NAME] > 6)
        layout->widths[GUEST_NAME]--;
}

static void layout_make(const struct canvas *canvas, const struct model *model, struct viewer *view,
    struct table_layout *layout)
{
    unsigned widest[GUEST_COLUMN_COUNT];

    for (unsigned i = 0; i < GUEST_COLUMN_COUNT; i++) {
        const struct column_look *look = &columns[i];
        bool fixed = look->least == look->most;
        widest[i] = fixed ? look->least : column_widest(canvas->frame, view, (enum guest_column)i);
        if (canvas->screen && widest[i] > look->most)
            widest[i] = look->most;
        layout->widths[i] = widest[i];
        if (canvas->screen && widest[i] > look->least)
            layout->widths[i] = look->least;
        if (canvas->screen && !column_tells(model, view, (enum guest_column)i))
            layout->widths[i] = 0;
    }
    if (canvas->screen) {
        layout_fit(layout, canvas->columns);
        column_widen(layout, GUEST_STATE, widest[GUEST_STATE], canvas->columns);
        column_widen(layout, GUEST_CLASS, widest[GUEST_CLASS], canvas->columns);
        column_widen(layout, GUEST_NAME, 24, canvas->columns);
        column_widen(layout, GUEST_MEASURES, widest[GUEST_MEASURES], canvas->columns);
        column_widen(layout, GUEST_NAME, widest[GUEST_NAME], canvas->columns);
        column_widen(layout, GUEST_BAR, BAR_MAX, canvas->columns);
    }
    for (unsigned i = 0; i < GUEST_COLUMN_COUNT; i++)
        view->columns[i] = layout->widths[i] > 0;
}

/* ---- rows ---- */

/* ▼: the largest, or the first letter, is on top as it is at the start; ▲: reversed. */
static void heading_put(
    const struct canvas *canvas, const struct viewer *view, const struct table_layout *layout)
{
    struct frame *frame = canvas->frame;
    const char *arrow = frame->utf8 ? (view->reverse ? "\xe2\x96\xb2" : "\xe2\x96\xbc")
                                    : (view->reverse ? "^" : "v");
    bool first = true;

    frame_row(frame, LOOK_REVERSE);
    for (unsigned i = 0; i < GUEST_COLUMN_COUNT; i++) {
        char title[FIELD_MAX];
        if (layout->widths[i] == 0)
            continue;
        if (!first)
            frame_put(frame, plain, " ");
        first = false;
        (void)snprintf(title, sizeof(title), "%s%s", guest_column_title((enum guest_column)i),
            view->sort == i ? arrow : "");
        frame_cell(frame, (struct look){.attributes = view->sort == i ? LOOK_BOLD : 0}, title,
            layout->widths[i], columns[i].right);
    }
    if (canvas->screen)
        frame_pad(frame, canvas->columns);
}

static void guest_put(const struct canvas *canvas, const struct guest *guest,
    const struct table_layout *layout, unsigned attributes)
{
    struct frame *frame = canvas->frame;
    bool first = true;

    frame_row(frame, attributes);
    for (unsigned i = 0; i < GUEST_COLUMN_COUNT; i++) {
        struct look look = {0};
        char cell[FIELD_MAX];
        if (layout->widths[i] == 0)
            continue;
        if (!first)
            frame_put(frame, plain, " ");
        first = false;
        if (i == GUEST_BAR) {
            draw_bar(frame, guest, layout->widths[i]);
            continue;
        }
        if (i == GUEST_STATE)
            look.colour = look_state(guest->vm);
        if (i == GUEST_MEASURES)
            look.colour = "yellow";
        frame_cell(frame, look, cell_text(guest, (enum guest_column)i, cell), layout->widths[i],
            columns[i].right);
    }
    if (canvas->screen && (attributes & LOOK_REVERSE))
        frame_pad(frame, canvas->columns);
}

void draw_table(
    const struct canvas *canvas, const struct model *model, struct viewer *view, unsigned rows)
{
    struct table_layout layout = {0};
    unsigned old = model->away ? LOOK_DIM : 0;

    layout_make(canvas, model, view, &layout);
    heading_put(canvas, view, &layout);
    if (!canvas->screen)
        rows = (unsigned)view->count;
    viewer_fit(view, rows);
    for (unsigned i = 0; i < rows; i++) {
        size_t place = view->first + i;
        if (place < view->count) {
            bool selected = canvas->screen && place == view->position;
            guest_put(canvas, view->order[place], &layout, old | (selected ? LOOK_REVERSE : 0));
            continue;
        }
        frame_row(canvas->frame, 0);
        if (i == 0)
            frame_put(canvas->frame, plain,
                view->filter[0] ? "No guest has a name like that." : "No guests.");
    }
    if (!canvas->screen && view->count == 0) {
        frame_row(canvas->frame, 0);
        frame_put(canvas->frame, plain, "No guests.");
    }
}
