/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the rows of what the guard has said. The newest stands at the bottom, as in `plimsoll log`,
 * and has its words in full; the rows are filled upwards from it for as long as whole lines fit.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <plimsoll/cleanup.h>
#include <plimsoll/units.h>

#include "draw.h"
#include "field.h"
#include "log_view.h"
#include "look.h"
#include "terminal.h"
#include "text.h"

#define SUBJECT_WIDTH 12
/* "09:31:05  " */
#define CLOCK_WIDTH 10
/* A line longer than this is cut: there are others. */
#define LINE_ROWS_MAX 3
/* With fewer rows each line has one: what was done stands before why. */
#define WRAP_ROWS 6

static bool line_is_about(const struct model_line *line, const struct guest *guest)
{
    if (!guest)
        return true;
    /* Names may be given twice, and a uuid that nobody knows is all zeros. */
    if (strcmp(guest->key.uuid, FIELD_UNKNOWN) != 0)
        return field_is(line->fields, "uuid", guest->key.uuid);
    return field_is(line->fields, "vm", guest->name);
}

/* The words wrapped to WIDTH columns, with a newline behind each row; NULL: no memory. */
static char *words_wrap(const char *words, unsigned width)
{
    const struct style style = {.width = width};
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    terminal_wrap(&style, words, 0, 0, out);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static unsigned rows_of(const char *wrapped)
{
    unsigned rows = 0;

    for (; (wrapped = strchr(wrapped, '\n')); wrapped++)
        rows++;
    return rows < LINE_ROWS_MAX ? rows : LINE_ROWS_MAX;
}

static unsigned words_width(const struct canvas *canvas, bool wraps)
{
    if (!canvas->screen || !wraps)
        return 0;
    return canvas->columns > CLOCK_WIDTH + SUBJECT_WIDTH + 2
               ? canvas->columns - CLOCK_WIDTH - SUBJECT_WIDTH - 2
               : 1;
}

/* In the rows that it takes, but at most ROWS. */
static void line_put(
    const struct canvas *canvas, const struct model_line *line, char *wrapped, unsigned rows)
{
    struct frame *frame = canvas->frame;
    char moment[TEXT_NUMBER_MAX], subject[FIELD_MAX];
    const struct look look = {.colour = look_level(field_u64(line->line, "level"))};
    const char *clock;

    clock = text_format_moment(field_u64(line->line, "realtime"), moment, sizeof(moment));
    if (canvas->screen && strchr(clock, ' '))
        clock = strchr(clock, ' ') + 1;
    for (unsigned row = 0; row < rows; row++) {
        char *end = strchr(wrapped, '\n');
        if (end)
            *end = '\0';
        frame_row(frame, 0);
        if (row == 0) {
            frame_print(frame, (struct look){.attributes = LOOK_DIM}, "%s  ", clock);
            (void)log_view_subject(line->fields, subject);
            unsigned wanted = frame_width(frame, subject);
            frame_cell(frame, (struct look){0}, subject,
                canvas->screen || wanted < SUBJECT_WIDTH ? SUBJECT_WIDTH : wanted, false);
            frame_put(frame, (struct look){0}, "  ");
        } else {
            frame_pad(frame, CLOCK_WIDTH + SUBJECT_WIDTH + 2);
        }
        if (canvas->screen)
            frame_cell(frame, look, wrapped, frame_left(frame), false);
        else
            frame_put(frame, look, wrapped);
        if (!end)
            return;
        wrapped = end + 1;
    }
}

/* How many rows LINE takes; *RET_WRAPPED is the caller's. */
static unsigned line_wrap(
    const struct canvas *canvas, const struct model_line *line, bool wraps, char **ret_wrapped)
{
    char words[LOG_LINE_MAX];

    *ret_wrapped = words_wrap(log_view_words(line->fields, words), words_width(canvas, wraps));
    return *ret_wrapped ? rows_of(*ret_wrapped) : 0;
}

void draw_decisions(const struct canvas *canvas, const struct model *model,
    const struct guest *guest, unsigned rows)
{
    unsigned used = 0;
    size_t first = model->line_count;

    /* Upwards until the rows are full. */
    while (first > 0) {
        const struct model_line *line = &model->lines[first - 1];
        char *wrapped;
        if (model_line_tells(line) && line_is_about(line, guest)) {
            unsigned wanted = line_wrap(canvas, line, rows >= WRAP_ROWS, &wrapped);
            free(wrapped);
            if (used + wanted > rows)
                break;
            used += wanted;
        }
        first--;
    }
    unsigned shown = 0;
    for (size_t i = first; i < model->line_count; i++) {
        const struct model_line *line = &model->lines[i];
        char *wrapped;
        if (!model_line_tells(line) || !line_is_about(line, guest))
            continue;
        unsigned wanted = line_wrap(canvas, line, rows >= WRAP_ROWS, &wrapped);
        if (wrapped)
            line_put(canvas, line, wrapped, wanted);
        free(wrapped);
        shown++;
    }
    if (shown == 0 && rows > 0) {
        frame_row(canvas->frame, 0);
        frame_put(canvas->frame, (struct look){.attributes = LOOK_DIM},
            guest ? "none of late about this guest" : "none of late");
        used++;
    }
    for (; canvas->screen && used < rows; used++)
        frame_row(canvas->frame, 0);
}
