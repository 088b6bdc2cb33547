/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns what `plimsoll log` looks like: when, whom, what, and in words why. What has no words of its
 * own is shown as the fields it has.
 */
#include "log_view.h"

#include <inttypes.h>
#include <string.h>

#include <plimsoll/units.h>

#include "alert.h"
#include "field.h"
#include "log.h"
#include "look.h"
#include "text.h"

/* The room a guest's name has before the words are pushed on. */
#define SUBJECT_WIDTH 12

/* Decisions: what, how far, whether it was done, and the reason in words. */
static void decision_format(struct json_object *fields, char *words, size_t size)
{
    char what[FIELD_MAX], text[FIELD_MAX], failed[FIELD_MAX], target[TEXT_NUMBER_MAX];
    uint64_t bytes = alert_number(fields, "target");
    bool dry = field_is(fields, "mode", "dry-run"), held = field_is(fields, "mode", "held");

    (void)field_text(fields, field_is(fields, "event", "alert") ? "reason" : "action", what);
    (void)field_text(fields, "text", text);
    (void)field_text(fields, "failed", failed);
    (void)text_format_bytes(bytes, target, sizeof(target));
    (void)snprintf(words, size, "%s%s%s%s%s%s: %s", what, known(bytes) ? " to " : "",
        known(bytes) ? target : "",
        dry    ? " (dry run)"
        : held ? " (held)"
               : "",
        strcmp(failed, FIELD_UNKNOWN) != 0 ? " failed, " : "",
        strcmp(failed, FIELD_UNKNOWN) != 0 ? failed : "", text);
}

static void band_format(struct json_object *fields, char *words, size_t size)
{
    char before[FIELD_MAX], band[FIELD_MAX], headroom[FIELD_MAX], left[FIELD_MAX];
    char bytes[TEXT_NUMBER_MAX], time[TEXT_NUMBER_MAX];
    uint64_t end = alert_time(fields, "time_to_exhaustion");
    uint64_t room = alert_number(fields, "headroom");

    (void)field_text(fields, "before", before);
    (void)field_text(fields, "band", band);
    (void)field_text(fields, "headroom", headroom);
    (void)field_text(fields, "time_to_exhaustion", left);
    (void)snprintf(words, size, "band %s, was %s: headroom %s, exhausted in %s", band, before,
        known(room) ? text_format_bytes(room, bytes, sizeof(bytes)) : headroom,
        known(end) ? text_format_time(end, time, sizeof(time)) : left);
}

/* All that stands in no column of its own. */
static void rest_format(struct json_object *fields, char *words, size_t size)
{
    size_t used = (size_t)snprintf(words, size, "%s", "");

    json_object_object_foreach(fields, key, value)
    {
        bool shown = strcmp(key, "event") == 0 || strcmp(key, "vm") == 0 ||
                     strcmp(key, "process") == 0 || strcmp(key, "uuid") == 0;
        bool spoken = strcmp(key, "text") == 0;
        if (shown || used >= size)
            continue;
        int length = snprintf(words + used, size - used, spoken ? ": %s" : " %s=%s",
            spoken ? json_object_get_string(value) : key, json_object_get_string(value));
        used += length > 0 ? (size_t)length : 0;
    }
}

const char *log_view_words(struct json_object *fields, char words[LOG_LINE_MAX])
{
    char event[FIELD_MAX];

    if (alert_is_decision(fields)) {
        decision_format(fields, words, LOG_LINE_MAX);
    } else if (field_is(fields, "event", "band")) {
        band_format(fields, words, LOG_LINE_MAX);
    } else {
        size_t length =
            (size_t)snprintf(words, LOG_LINE_MAX, "%s", field_text(fields, "event", event));
        rest_format(fields, words + length, LOG_LINE_MAX - length);
    }
    text_clean(words);
    return words;
}

const char *log_view_subject(struct json_object *fields, char subject[FIELD_MAX])
{
    (void)field_text(fields, "vm", subject);
    if (strcmp(subject, FIELD_UNKNOWN) == 0)
        (void)field_text(fields, "process", subject);
    if (strcmp(subject, FIELD_UNKNOWN) == 0)
        (void)snprintf(subject, FIELD_MAX, "host");
    return subject;
}

/* The column after it. */
static unsigned time_print(struct log_view *view, uint64_t realtime, FILE *out)
{
    char moment[TEXT_NUMBER_MAX];
    const char *colours[2] = {"", ""};

    (void)text_format_moment(realtime, moment, sizeof(moment));
    const char *clock = strchr(moment, ' ');
    if (view->style.width == 0 || !clock)
        return (unsigned)fprintf(out, "%s  ", moment);
    if (view->style.colours) {
        colours[0] = "\x1b[1m";
        colours[1] = "\x1b[0m";
    }
    int length = (int)(clock - moment);
    if (strncmp(moment, view->day, (size_t)length + 1) != 0)
        fprintf(out, "%s%.*s%s\n", colours[0], length, moment, colours[1]);
    memcpy(view->day, moment, sizeof(view->day));
    return (unsigned)fprintf(out, "%s  ", clock + 1);
}

void log_view_print(
    struct log_view *view, struct json_object *line, struct json_object *fields, FILE *out)
{
    const char *colour = view->style.colours ? look_level(field_u64(line, "level")) : NULL;
    char subject[FIELD_MAX], words[LOG_LINE_MAX];
    unsigned indent = time_print(view, field_u64(line, "realtime"), out);

    (void)log_view_subject(fields, subject);
    (void)log_view_words(fields, words);
    unsigned columns = terminal_columns(subject);
    unsigned padding = columns < SUBJECT_WIDTH ? SUBJECT_WIDTH - columns : 0;
    fprintf(out, "%s%*s  ", subject, (int)padding, "");
    if (colour)
        fprintf(out, "\x1b[%sm", look_code(colour));
    terminal_wrap(&view->style, words, indent + columns + padding + 2, indent + 2, out);
    if (colour)
        fputs("\x1b[0m", out);
}
