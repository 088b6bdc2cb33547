/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the rows about the host: first what matters most in words, then the pools' figures, then the
 * past of the band as a graph. Of the nodes only the worst is shown: a row for each would leave no
 * room for guests.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <plimsoll/cleanup.h>
#include <plimsoll/units.h>

#include "draw.h"
#include "field.h"
#include "look.h"
#include "text.h"

/* On a screen with so many rows the graph has more than two. */
#define TALL_SCREEN 36
#define GRAPH_ROWS 2
#define GRAPH_ROWS_TALL 4
/* Before the graph. */
#define GRAPH_LABEL 10
/* Where there is room for available and total as well. */
#define WIDE_SCREEN 110
/* Steps of a block character. */
#define BLOCK_STEPS 8

static const struct look plain = {0}, bold = {.attributes = LOOK_BOLD},
                         dim = {.attributes = LOOK_DIM};

static void band_put(struct frame *frame, struct json_object *status)
{
    char word[FIELD_MAX];

    (void)field_text(status, "band", word);
    for (char *letter = word; *letter; letter++)
        if (*letter >= 'a' && *letter <= 'z')
            *letter = (char)(*letter - 'a' + 'A');
    frame_print(frame,
        (struct look){.colour = look_band(status), .attributes = LOOK_BOLD | LOOK_REVERSE},
        " %.32s ", word);
    if (!field_is(status, "band", "calm")) {
        frame_print(frame, bold, " by the %.32s", field_text(status, "worst", word));
        if (known(field_u64(status, "worst_node")))
            frame_print(frame, bold, " %" PRIu64, field_u64(status, "worst_node"));
    }
    struct json_object *sprint = field_get(status, "sprint");
    if (json_object_is_type(sprint, json_type_boolean) && json_object_get_boolean(sprint))
        frame_put(frame, (struct look){.colour = "red", .attributes = LOOK_BOLD}, " in a sprint");
}

/* Paused by somebody, or stopped by the guard: what somebody may be waiting for. */
static size_t guests_stopped(const struct guests *guests)
{
    size_t count = 0;

    for (size_t i = 0; i < guests->count; i++)
        count += !field_is(guests->list[i].vm, "state", "running") &&
                 !field_is(guests->list[i].vm, "state", "alive");
    return count;
}

static void guests_put(struct frame *frame, const struct model *model, const struct viewer *view)
{
    const struct guests *guests = &model->guests;
    size_t stopped = guests_stopped(guests), count = guests->count + guests->left_out;

    frame_put(frame, plain, "  ");
    if (view && view->filter[0])
        frame_print(frame, plain, "%zu of ", view->count);
    frame_print(frame, plain, "%zu guest%s", count, count == 1 ? "" : "s");
    if (stopped > 0)
        frame_print(frame, (struct look){.colour = "yellow"}, ", %zu not running", stopped);
    if (guests->left_out > 0)
        frame_print(frame, plain, ", %zu not shown", guests->left_out);
}

/* At the right end, where there is room. */
static void clock_put(const struct canvas *canvas, struct json_object *status)
{
    char moment[TEXT_NUMBER_MAX];
    uint64_t realtime = field_u64(status, "realtime");

    if (!known(realtime))
        return;
    const char *clock = strchr(text_format_moment(realtime, moment, sizeof(moment)), ' ');
    if (!canvas->screen) {
        frame_print(canvas->frame, plain, "  %s", moment);
        return;
    }
    clock = clock ? clock + 1 : moment;
    if (frame_left(canvas->frame) <= strlen(clock))
        return;
    frame_pad(canvas->frame, canvas->columns - (unsigned)strlen(clock));
    frame_put(canvas->frame, plain, clock);
}

static void away_put(struct frame *frame, const struct model *model)
{
    const struct look alarm = {.colour = "red", .attributes = LOOK_BOLD | LOOK_REVERSE};
    uint64_t age = sub_or_zero(model_clock(), model->answered) / NSEC_PER_SEC * NSEC_PER_SEC;
    char text[TEXT_NUMBER_MAX];

    frame_row(frame, 0);
    frame_put(frame, alarm, " NO ANSWER ");
    frame_print(frame, bold, " all figures are %s old; asking again",
        text_format_time(age, text, sizeof(text)));
    frame_row(frame, 0);
    frame_put(frame, (struct look){.colour = "red"}, model->reason.text);
}

void draw_title(const struct canvas *canvas, const struct model *model, const struct viewer *view)
{
    struct frame *frame = canvas->frame;
    struct json_object *status = model_status(model), *host = field_get(status, "host");
    char mode[FIELD_MAX], left[FIELD_MAX];

    frame_row(frame, 0);
    band_put(frame, status);
    frame_put(frame, plain, "  ");
    if (field_is(host, "mode", "dry-run"))
        frame_put(frame, (struct look){.colour = "yellow", .attributes = LOOK_BOLD},
            "DRY RUN: nothing is touched");
    else if (field_is(host, "mode", "held"))
        frame_print(frame, (struct look){.colour = "yellow", .attributes = LOOK_BOLD},
            "HELD for %.32s: nothing is taken",
            field_time(field_get(status, "hold"), "remaining", left));
    else
        frame_print(frame, plain, "mode %.32s", field_text(host, "mode", mode));
    guests_put(frame, model, view);
    if (view && view->paused) {
        frame_put(frame, plain, "  ");
        frame_put(frame, (struct look){.attributes = LOOK_BOLD | LOOK_REVERSE}, " PAUSED ");
    }
    clock_put(canvas, status);
    if (model->away)
        away_put(frame, model);
}

/* ---- pools ---- */

static void rate_put(struct frame *frame, struct json_object *pool, unsigned width)
{
    struct json_object *value = field_get(pool, "fill_rate");
    int64_t rate = json_object_is_type(value, json_type_int) ? json_object_get_int64(value) : 0;
    char bytes[TEXT_NUMBER_MAX], text[FIELD_MAX] = "";

    (void)text_format_bytes(
        rate < 0 ? (uint64_t) - (rate + 1) + 1 : (uint64_t)rate, bytes, sizeof(bytes));
    if (!json_object_is_type(value, json_type_int))
        (void)snprintf(text, sizeof(text), "filling -");
    else if (rate != 0)
        (void)snprintf(text, sizeof(text), "%s %s/s", rate > 0 ? "filling" : "freeing", bytes);
    else
        (void)snprintf(text, sizeof(text), "steady");
    frame_cell(frame, plain, text, width, false);
}

static void pool_put(const struct canvas *canvas, const char *name, struct json_object *pool)
{
    struct frame *frame = canvas->frame;
    char text[FIELD_MAX], figure[FIELD_MAX];

    frame_row(frame, 0);
    frame_cell(frame, plain, name, 8, false);
    frame_cell(
        frame, (struct look){.colour = look_band(pool)}, field_text(pool, "band", text), 9, false);
    (void)snprintf(
        text, sizeof(text), "headroom %.32s", field_signed_bytes(pool, "headroom", "", figure));
    frame_cell(frame, bold, text, 16, false);
    (void)snprintf(text, sizeof(text), "floor %.32s", field_bytes(pool, "floor", figure));
    frame_cell(frame, plain, text, 13, false);
    rate_put(frame, pool, 18);
    if (known(field_u64(pool, "time_to_exhaustion"))) {
        (void)snprintf(
            text, sizeof(text), "lasts %.32s", field_time(pool, "time_to_exhaustion", figure));
        frame_put(frame, bold, text);
    }
    if (canvas->columns < WIDE_SCREEN)
        return;
    frame_pad(frame, 82);
    frame_print(frame, plain, "available %.32s", field_bytes(pool, "available", figure));
    frame_print(frame, plain, " of %.32s", field_bytes(pool, "total", figure));
}

/* By band, then by headroom; NULL: there are not several. */
static struct json_object *node_worst(struct json_object *status)
{
    struct json_object *nodes = field_get(field_get(status, "host"), "nodes"), *worst = NULL;
    size_t count =
        json_object_is_type(nodes, json_type_array) ? json_object_array_length(nodes) : 0;
    int worst_band = -1;
    int64_t least = 0;

    for (size_t i = 0; count > 1 && i < count; i++) {
        struct json_object *node = json_object_array_get_idx(nodes, i);
        struct json_object *headroom = field_get(node, "headroom");
        int band = -1;
        if (!json_object_is_type(headroom, json_type_int))
            continue;
        for (int other = BAND_CALM; other < BAND_COUNT; other++)
            if (field_is(node, "band", band_name((enum band)other)))
                band = other;
        if (!worst || band > worst_band ||
            (band == worst_band && json_object_get_int64(headroom) < least)) {
            worst = node;
            worst_band = band;
            least = json_object_get_int64(headroom);
        }
    }
    return worst;
}

void draw_pools(const struct canvas *canvas, const struct model *model)
{
    struct json_object *status = model_status(model), *node = node_worst(status);
    struct json_object *budget = field_get(status, "budget");
    char name[32];

    pool_put(canvas, "host", field_get(status, "host"));
    if (budget)
        pool_put(canvas, "budget", budget);
    if (!node)
        return;
    (void)snprintf(name, sizeof(name), "node %" PRIu64, field_u64(node, "id"));
    pool_put(canvas, name, node);
}

/* ---- the graph ---- */

static const char *const band_colours[BAND_COUNT] = {
    [BAND_CALM] = "green",
    [BAND_TIGHT] = "yellow",
    [BAND_SCARCE] = "magenta",
    [BAND_CRITICAL] = "red",
};

/* For who sees no colours. */
static const char *const band_letters[BAND_COUNT] = {
    [BAND_CALM] = ".",
    [BAND_TIGHT] = "t",
    [BAND_SCARCE] = "s",
    [BAND_CRITICAL] = "C",
};

/* One moment in one row of the graph, of which ROW is the lowest with 0. */
static const char *moment_glyph(
    const struct frame *frame, const struct band_moment *moment, unsigned row, unsigned rows)
{
    static const char *const blocks[] = {" ", "\xe2\x96\x81", "\xe2\x96\x82", "\xe2\x96\x83",
        "\xe2\x96\x84", "\xe2\x96\x85", "\xe2\x96\x86", "\xe2\x96\x87", "\xe2\x96\x88"};
    static const char *const letters[] = {" ", ".", ".", ":", ":", "+", "+", "#", "#"};

    if (moment->what == BAND_NOBODY_KNOWS)
        return " ";
    if (moment->what == BAND_TOLD)
        return row > 0 ? " " : band_letters[moment->band];
    unsigned steps = moment->share * rows * BLOCK_STEPS / BAND_TRAIL_WHOLE;
    if (steps == 0)
        steps = 1; /* there is a figure, be it none left */
    unsigned above = steps > row * BLOCK_STEPS ? steps - row * BLOCK_STEPS : 0;
    if (above > BLOCK_STEPS)
        above = BLOCK_STEPS;
    return frame->utf8 ? blocks[above] : letters[above];
}

static void trail_label(
    const struct canvas *canvas, const struct model *model, unsigned line, unsigned width)
{
    char text[TEXT_NUMBER_MAX] = "", span[FIELD_MAX] = "";

    if (line == 0)
        (void)snprintf(span, sizeof(span), "headroom");
    else if (line == 1)
        (void)snprintf(span, sizeof(span), "%.24s",
            text_format_time(width * model->interval, text, sizeof(text)));
    frame_cell(canvas->frame, dim, span, GRAPH_LABEL, false);
}

void draw_trail(const struct canvas *canvas, const struct model *model)
{
    struct frame *frame = canvas->frame;
    unsigned rows = canvas->screen && canvas->rows >= TALL_SCREEN ? GRAPH_ROWS_TALL : GRAPH_ROWS;
    unsigned width = canvas->columns - GRAPH_LABEL;
    bool letters = frame->plain || !frame->colours;

    for (unsigned line = 0; line < rows + letters; line++) {
        frame_row(frame, 0);
        trail_label(canvas, model, line, width);
        for (unsigned column = 0; column < width; column++) {
            struct band_moment moment = band_trail_at(&model->trail, width - 1 - column);
            const char *colour =
                moment.what == BAND_NOBODY_KNOWS ? NULL : band_colours[moment.band];
            const char *glyph = " ";
            if (line < rows)
                glyph = letters && moment.what == BAND_TOLD
                            ? " "
                            : moment_glyph(frame, &moment, rows - 1 - line, rows);
            else if (moment.what != BAND_NOBODY_KNOWS)
                glyph = band_letters[moment.band];
            frame_put(frame, (struct look){.colour = colour}, glyph);
        }
    }
}
