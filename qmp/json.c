/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns nothing. json-c converts between types as it sees fit (a string "12" reads as 12, -1 as the
 * uint64_t 0, 2^64-1 as the int64_t maximum): here a type is asked for before a value is taken.
 */
#include "json.h"

#include <plimsoll/qmp.h>

#include <string.h>

static int json_member(struct json_object *object, const char *key, enum json_type type,
    struct json_object **ret_value)
{
    struct json_object *value;
    if (!json_object_is_type(object, json_type_object) ||
        !json_object_object_get_ex(object, key, &value))
        return -ENOENT;
    if (!json_object_is_type(value, type))
        return -EPROTO;
    *ret_value = value;
    return 0;
}

int qmp_json_object(struct json_object *object, const char *key, struct json_object **ret_value)
{
    return json_member(object, key, json_type_object, ret_value);
}

int qmp_json_boolean(struct json_object *object, const char *key, bool *ret_value)
{
    struct json_object *value;
    int r = json_member(object, key, json_type_boolean, &value);
    if (r < 0)
        return r;
    *ret_value = json_object_get_boolean(value);
    return 0;
}

int qmp_json_string(struct json_object *object, const char *key, const char **ret_text)
{
    struct json_object *value;
    int r = json_member(object, key, json_type_string, &value);
    if (r < 0)
        return r;
    const char *text = json_object_get_string(value);
    if (strlen(text) != (size_t)json_object_get_string_len(value))
        return -EPROTO;
    *ret_text = text;
    return 0;
}

int qmp_json_number(struct json_object *object, const char *key, uint64_t max, uint64_t *ret_value)
{
    struct json_object *value;
    int r = json_member(object, key, json_type_int, &value);
    if (r < 0)
        return r;
    uint64_t number = json_object_get_uint64(value);
    bool negative = json_object_get_int64(value) < 0;
    *ret_value = negative || number > max ? QMP_UNKNOWN : number;
    return 0;
}
