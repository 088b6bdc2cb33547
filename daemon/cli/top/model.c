/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns what was asked and answered. Both questions are answered before anything is replaced, so
 * that what is drawn meanwhile is of one piece. A guard of another version that keeps no log is no
 * guard that is away.
 */
#include "model.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include <plimsoll/cleanup.h>
#include <plimsoll/control.h>
#include <plimsoll/units.h>

#include "alert.h"
#include "field.h"

DEFINE_CLEANUP(struct json_object *, json_object_put);

uint64_t model_clock(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

struct json_object *model_status(const struct model *model)
{
    return model->guests.status;
}

static void line_put(struct model_line *line)
{
    json_object_put(line->line);
    json_object_put(line->fields);
}

static void line_add(struct model *model, struct json_object *line)
{
    struct model_line added = {.line = json_object_get(line), .fields = alert_fields(line)};

    if (model->line_count == MODEL_LINES_MAX) {
        line_put(&model->lines[0]);
        memmove(model->lines, model->lines + 1, sizeof(model->lines) - sizeof(model->lines[0]));
        model->line_count--;
    }
    model->lines[model->line_count++] = added;
}

static void lines_take(struct model *model, struct json_object *lines)
{
    size_t count =
        json_object_is_type(lines, json_type_array) ? json_object_array_length(lines) : 0;
    size_t first = count > MODEL_LINES_MAX ? count - MODEL_LINES_MAX : 0;

    for (size_t i = first; i < count; i++) {
        struct json_object *line = json_object_array_get_idx(lines, i);
        if (!known(field_u64(line, "realtime")))
            continue;
        line_add(model, line);
        log_cursor_pass(&model->cursor, line);
    }
}

bool model_line_tells(const struct model_line *line)
{
    /* A host that starts has hundreds of them. */
    return !field_is(line->fields, "event", "vm-appeared");
}

/* Without the log the status is shown all the same, and *RET_LOG is empty. */
static int both_ask(struct model *model, const struct client_aside *aside,
    struct json_object **ret_status, struct log_batch *ret_log)
{
    CLEANUP(json_object_put_at) struct json_object *status = NULL;
    struct error ignored = {0};

    int result = client_call_aside(
        model->socket, CONTROL_METHOD_STATUS, NULL, CLIENT_TIMEOUT, aside, &status, &model->reason);
    if (result < 0)
        return result;
    result = log_cursor_read(&model->cursor, model->socket, aside, ret_log, &ignored);
    if (result == -ECANCELED)
        return result;
    *ret_status = STEAL(status);
    return 0;
}

/* Intervals that went by unseen, because an answer took longer or nobody asked, and this one. */
static uint64_t moments_passed(struct model *model)
{
    uint64_t now = model_clock(), passed = 1;

    if (model->looked > 0)
        passed = (now - model->looked + model->interval / 2) / model->interval;
    model->looked = now;
    return max_u64(passed, 1);
}

int model_ask(struct model *model, const struct client_aside *aside)
{
    CLEANUP(json_object_put_at) struct json_object *status = NULL;
    CLEANUP(log_batch_clear) struct log_batch log = {0};

    int result = both_ask(model, aside, &status, &log);
    if (result == 0)
        result = guests_take(&model->guests, status);
    if (result == -ENOMEM)
        (void)error_set(&model->reason, -ENOMEM, "no memory for the status");
    if (result < 0) {
        if (result != -ECANCELED) {
            model->away = true;
            band_trail_skip(&model->trail, moments_passed(model));
        }
        return result;
    }
    uint64_t passed = moments_passed(model);
    bool whole = log.lines && log.lost == 0 && !log.restarted;
    if (model->answered == 0)
        band_trail_tell(&model->trail, status, log.lines, model->interval, BAND_TRAIL_MAX, false);
    else
        band_trail_tell(&model->trail, status, log.lines, model->interval, passed - 1, whole);
    band_trail_add(&model->trail, status);
    lines_take(model, log.lines);
    model->away = false;
    model->answered = model_clock();
    return 0;
}

void model_clear(struct model *model)
{
    for (size_t i = 0; i < model->line_count; i++)
        line_put(&model->lines[i]);
    guests_clear(&model->guests);
    model->line_count = 0;
}
