/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the reading of what announce.c writes: key=value with a space between, values quoted where
 * they hold anything but plain characters (log_quote()). A line that was cut in a value ends it.
 */
#include "alert.h"

#include <string.h>

#include <plimsoll/units.h>

#include "field.h"
#include "log.h"
#include "text.h"

#define KEY_MAX 32

/* Copies the value at TEXT without its quotes; returns where it ends. */
static const char *value_read(const char *text, char value[LOG_LINE_MAX])
{
    bool quoted = *text == '"';
    size_t used = 0;

    for (text += quoted; *text && *text != (quoted ? '"' : ' '); text++) {
        if (quoted && *text == '\\' && (text[1] == '"' || text[1] == '\\'))
            text++;
        if (used < LOG_LINE_MAX - 1)
            value[used++] = *text;
    }
    value[used] = '\0';
    return quoted && *text ? text + 1 : text;
}

static bool field_add(struct json_object *fields, const char *key, const char *value)
{
    struct json_object *text = json_object_new_string(value);

    if (text && json_object_object_add(fields, key, text) == 0)
        return true;
    json_object_put(text);
    return false;
}

struct json_object *alert_fields(struct json_object *line)
{
    struct json_object *fields = json_object_new_object(), *given = field_get(line, "text");
    const char *text =
        json_object_is_type(given, json_type_string) ? json_object_get_string(given) : "";
    bool whole = fields != NULL;

    while (whole && *text) {
        char key[KEY_MAX], value[LOG_LINE_MAX];
        size_t length = strcspn(text, "= \"");
        if (text[length] != '=' || length == 0 || length >= sizeof(key)) {
            text += length + (text[length] != '\0');
            continue;
        }
        memcpy(key, text, length);
        key[length] = '\0';
        text = value_read(text + length + 1, value);
        text_clean(value);
        whole = field_add(fields, key, value);
    }
    if (whole)
        return fields;
    json_object_put(fields);
    return NULL;
}

bool alert_is_decision(struct json_object *fields)
{
    return field_is(fields, "event", "action") || field_is(fields, "event", "alert");
}

uint64_t alert_number(struct json_object *fields, const char *key)
{
    struct json_object *given = field_get(fields, key);
    uint64_t number;

    if (!json_object_is_type(given, json_type_string) ||
        text_parse_number(json_object_get_string(given), 0, INT64_MAX, &number) < 0)
        return UNKNOWN;
    return number;
}

uint64_t alert_time(struct json_object *fields, const char *key)
{
    struct json_object *given = field_get(fields, key);
    uint64_t time;

    if (!json_object_is_type(given, json_type_string) ||
        text_parse_time(json_object_get_string(given), &time) < 0)
        return UNKNOWN;
    return time;
}
