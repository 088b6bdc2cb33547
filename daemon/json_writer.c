/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the translation of our values to JSON. json-c takes a null pointer for JSON's null, so an
 * allocation that failed would pass for "nobody knows": every value is checked before it is added.
 */
#include "json_writer.h"

#include "text.h"

#include <limits.h>
#include <plimsoll/units.h>
#include <stdio.h>

/* Each key is added once and outlives the object: neither a look-up nor a copy of it is needed. */
#define KEY_FLAGS (JSON_C_OBJECT_ADD_KEY_IS_NEW | JSON_C_OBJECT_KEY_IS_CONSTANT)

void json_writer_begin(struct json_writer *writer)
{
    writer->object = json_object_new_object();
    writer->failed = !writer->object;
}

void json_writer_child(struct json_writer *writer, const char *key, struct json_object *value)
{
    if (!writer->failed && value &&
        json_object_object_add_ex(writer->object, key, value, KEY_FLAGS) == 0)
        return;
    json_object_put(value);
    writer->failed = true;
}

void json_writer_null(struct json_writer *writer, const char *key)
{
    if (!writer->failed && json_object_object_add_ex(writer->object, key, NULL, KEY_FLAGS) < 0)
        writer->failed = true;
}

void json_writer_u64(struct json_writer *writer, const char *key, uint64_t value)
{
    if (known(value))
        json_writer_child(writer, key, json_object_new_uint64(value));
    else
        json_writer_null(writer, key);
}

void json_writer_i64(struct json_writer *writer, const char *key, int64_t value)
{
    json_writer_child(writer, key, json_object_new_int64(value));
}

void json_writer_bool(struct json_writer *writer, const char *key, bool value)
{
    json_writer_child(writer, key, json_object_new_boolean(value));
}

void json_writer_tristate(struct json_writer *writer, const char *key, enum tristate value)
{
    if (value == TRISTATE_UNKNOWN)
        json_writer_null(writer, key);
    else
        json_writer_bool(writer, key, value == TRISTATE_YES);
}

void json_writer_text(struct json_writer *writer, const char *key, const char *value)
{
    char clean[VM_NAME_MAX];

    if (!value) {
        json_writer_null(writer, key);
        return;
    }
    text_finish(clean, sizeof(clean), snprintf(clean, sizeof(clean), "%s", value));
    json_writer_child(writer, key, json_object_new_string(clean));
}

void json_writer_path(struct json_writer *writer, const char *key, const char *value)
{
    char clean[PATH_MAX];

    if (!value) {
        json_writer_null(writer, key);
        return;
    }
    text_finish(clean, sizeof(clean), snprintf(clean, sizeof(clean), "%s", value));
    json_writer_child(writer, key, json_object_new_string(clean));
}

struct json_object *json_writer_end(struct json_writer *writer)
{
    struct json_object *object = writer->object;

    writer->object = NULL;
    if (!writer->failed)
        return object;
    json_object_put(object);
    return NULL;
}

bool json_array_append(struct json_object *array, struct json_object *value)
{
    if (array && value && json_object_array_add(array, value) == 0)
        return true;
    json_object_put(value);
    return false;
}
