/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the last lines in a ring of fixed slots: the oldest gives way.
 */
#include "history.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <plimsoll/units.h>

#include "json_writer.h"
#include "log.h"

struct line {
    uint64_t time;
    int level;
    char text[LOG_LINE_MAX];
};

struct history {
    uint64_t instance;
    uint64_t count; /* ever added */
    uint64_t lost;  /* the time of the last that gave way; 0: none did */
    struct line lines[HISTORY_LINES];
};

int history_new(struct history **ret_history)
{
    struct history *history = calloc(1, sizeof(*history));
    struct timespec now = {0};
    if (!history)
        return -ENOMEM;
    /* The one clock that nobody can set: no two guards of a boot begin in the same nanosecond. */
    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    history->instance = (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
    /* Each page is touched, for the first words may be said when there is no memory left. */
    for (size_t i = 0; i < HISTORY_LINES; i++)
        history->lines[i].level = LOG_DEBUG;
    *ret_history = history;
    return 0;
}

struct history *history_free(struct history *history)
{
    free(history);
    return NULL;
}

/* The line that was added as the NUMBER-th, from 0. */
static const struct line *line_of(const struct history *history, uint64_t number)
{
    return &history->lines[number % HISTORY_LINES];
}

void history_add(struct history *history, uint64_t realtime, int level, const char *text)
{
    uint64_t least = history->count > 0 ? line_of(history, history->count - 1)->time + 1 : 0;
    struct line *line = &history->lines[history->count++ % HISTORY_LINES];
    if (history->count > HISTORY_LINES)
        history->lost = line->time;
    line->time = max_u64(realtime, least);
    line->level = level;
    (void)snprintf(line->text, sizeof(line->text), "%s", text);
}

static struct json_object *line_json(const struct line *line, uint64_t number)
{
    struct json_writer writer;
    json_writer_begin(&writer);
    json_writer_u64(&writer, "number", number);
    json_writer_u64(&writer, "realtime", line->time);
    json_writer_i64(&writer, "level", line->level);
    json_writer_child(&writer, "text", json_object_new_string(line->text));
    return json_writer_end(&writer);
}

struct json_object *history_json(const struct history *history, uint64_t after)
{
    struct json_object *lines = json_object_new_array();
    uint64_t oldest = sub_or_zero(history->count, HISTORY_LINES), next = history->count;
    while (next > oldest && line_of(history, next - 1)->time > after)
        next--;
    for (uint64_t i = next; i < history->count; i++) {
        if (!json_array_append(lines, line_json(line_of(history, i), i + 1))) {
            json_object_put(lines);
            return NULL;
        }
    }
    struct json_writer writer;
    json_writer_begin(&writer);
    json_writer_child(&writer, "lines", lines);
    json_writer_bool(&writer, "gap", history->lost > after);
    json_writer_u64(&writer, "instance", history->instance);
    return json_writer_end(&writer);
}
