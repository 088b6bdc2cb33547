/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the way from a JSON field to a cell. The document comes through a socket, so nothing is
 * taken for granted: a field of the wrong type is an unknown one.
 */
#include "field.h"

#include "text.h"

#include <plimsoll/units.h>
#include <stdio.h>
#include <string.h>

struct json_object *field_get(struct json_object *object, const char *key)
{
    struct json_object *value = NULL;

    if (!json_object_is_type(object, json_type_object))
        return NULL;
    (void)json_object_object_get_ex(object, key, &value);
    return value;
}

const char *field_text(struct json_object *object, const char *key, char *buffer)
{
    struct json_object *value = field_get(object, key);
    const char *text =
        json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";

    text_finish(buffer, FIELD_MAX, snprintf(buffer, FIELD_MAX, "%s", *text ? text : FIELD_UNKNOWN));
    return buffer;
}

uint64_t field_u64(struct json_object *object, const char *key)
{
    struct json_object *value = field_get(object, key);

    return json_object_is_type(value, json_type_int) ? json_object_get_uint64(value) : UNKNOWN;
}

const char *field_bytes(struct json_object *object, const char *key, char *buffer)
{
    return text_format_bytes(field_u64(object, key), buffer, FIELD_MAX);
}

const char *field_signed_bytes(
    struct json_object *object, const char *key, const char *suffix, char *buffer)
{
    struct json_object *value = field_get(object, key);
    char number[TEXT_NUMBER_MAX];
    int64_t bytes;

    if (!json_object_is_type(value, json_type_int)) {
        (void)snprintf(buffer, FIELD_MAX, FIELD_UNKNOWN);
        return buffer;
    }
    bytes = json_object_get_int64(value);
    (void)text_format_bytes(
        bytes < 0 ? (uint64_t) - (bytes + 1) + 1 : (uint64_t)bytes, number, sizeof(number));
    (void)snprintf(buffer, FIELD_MAX, "%s%s%s", bytes < 0 ? "-" : "", number, suffix);
    return buffer;
}

const char *field_time(struct json_object *object, const char *key, char *buffer)
{
    return text_format_time(field_u64(object, key), buffer, FIELD_MAX);
}

bool field_is_true(struct json_object *object, const char *key)
{
    struct json_object *value = field_get(object, key);

    return json_object_is_type(value, json_type_boolean) && json_object_get_boolean(value);
}

bool field_is(struct json_object *object, const char *key, const char *text)
{
    struct json_object *value = field_get(object, key);

    return json_object_is_type(value, json_type_string) &&
           strcmp(json_object_get_string(value), text) == 0;
}
