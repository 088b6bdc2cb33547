/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the frames for a pipe: as text without any sequence, or as the status in JSON. Each is
 * written as soon as it is there. What keeps the guard from an answer goes to standard error, once.
 */
#include <langinfo.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <plimsoll/cleanup.h>
#include <plimsoll/units.h>

#include "command.h"
#include "draw.h"
#include "top.h"

/* Of the graph; the rest is as wide as it has to be. */
#define BATCH_COLUMNS 80

static int frame_write(const struct frame *frame, bool first)
{
    if (frame->failed)
        return -1;
    if (!first)
        putchar('\n');
    for (unsigned i = 0; i < frame->row_count; i++) {
        const char *row = frame->text + frame->rows[i].begin;
        size_t length = frame->rows[i].length;
        while (length > 0 && row[length - 1] == ' ')
            length--;
        (void)fwrite(row, 1, length, stdout);
        putchar('\n');
    }
    return 0;
}

/* One frame of what is known; in JSON there is none without an answer. */
static int batch_frame(const struct top_wish *wish, const struct model *model, struct viewer *view,
    struct frame *frame, bool first)
{
    const struct canvas canvas = {.frame = frame, .columns = BATCH_COLUMNS};

    if (wish->json && model->away)
        return 0;
    if (wish->json) {
        puts(json_object_to_json_string_ext(
            model_status(model), JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
        return 0;
    }
    if (viewer_update(view, model) < 0)
        return -1;
    draw_page(&canvas, model, view);
    return frame_write(frame, first);
}

static void batch_wait(uint64_t until)
{
    const struct timespec time = {
        .tv_sec = (time_t)(until / NSEC_PER_SEC), .tv_nsec = (long)(until % NSEC_PER_SEC)};

    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
}

static int batch_run(
    const struct top_wish *wish, struct model *model, struct viewer *view, struct frame *frame)
{
    uint64_t next = model_clock();
    bool said = false;

    for (uint64_t i = 0; i < wish->count; i++) {
        if (i > 0) { /* the first answer is there */
            next = max_u64(next + wish->interval, model_clock());
            batch_wait(next);
            (void)model_ask(model, NULL);
        }
        if (model->away && !said)
            fprintf(stderr, "plimsoll: %s\n", model->reason.text);
        else if (!model->away && said)
            fputs("plimsoll: the guard answers again\n", stderr);
        said = model->away;
        if (batch_frame(wish, model, view, frame, i == 0) < 0) {
            fputs("plimsoll: no memory for a frame\n", stderr);
            return COMMAND_FAILED;
        }
        if (fflush(stdout) != 0)
            return COMMAND_FAILED;
    }
    return model->away ? COMMAND_UNREACHABLE : COMMAND_OK;
}

int top_batch(const struct top_wish *wish)
{
    struct model model = {.socket = wish->socket, .interval = wish->interval};
    struct frame frame = {.columns = FRAME_TEXT_MAX,
        .plain = true,
        .utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0};
    struct viewer view;
    int result = top_await(&model);

    viewer_begin(&view);
    if (result == COMMAND_OK)
        result = batch_run(wish, &model, &view, &frame);
    viewer_clear(&view);
    frame_clear(&frame);
    model_clear(&model);
    return result;
}
