/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the check of every value against its field. What reads is as deep as the tables are. */
#include "field_read.h"

#include <errno.h>
#include <plimsoll/units.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const struct field *field_find(const struct field_table *table, const char *name)
{
    for (uint32_t i = 0; i < table->count; i++)
        if (strcmp(table->fields[i].name, name) == 0)
            return &table->fields[i];
    return NULL;
}

/* json-c holds a number beyond 64 bits at their end, which is no value: UNKNOWN is null. */
static bool unsigned_read(const struct field *field, struct json_object *value, char *at)
{
    bool wide = field->size == sizeof(uint64_t);
    uint64_t number = UNKNOWN;

    if (value) {
        if (!json_object_is_type(value, json_type_int) || json_object_get_int64(value) < 0)
            return false;
        number = json_object_get_uint64(value);
        if (!known(number) || number < field->least || number > field->most ||
            (!wide && number >> (8 * field->size) != 0))
            return false;
    } else if (!wide) {
        return false;
    }
    const uint8_t byte = (uint8_t)number;
    const uint16_t half = (uint16_t)number;
    const uint32_t word = (uint32_t)number;
    const void *source = wide                          ? (const void *)&number
                         : field->size == sizeof(word) ? (const void *)&word
                         : field->size == sizeof(half) ? (const void *)&half
                                                       : (const void *)&byte;
    memcpy(at, source, field->size);
    return true;
}

/* The least number of its type has no opposite, and the policy never makes it. */
static bool signed_read(const struct field *field, struct json_object *value, char *at)
{
    if (!json_object_is_type(value, json_type_int))
        return false;
    int64_t number = json_object_get_int64(value);
    const int32_t word = (int32_t)number;
    if (number == INT64_MIN || json_object_get_uint64(value) > (uint64_t)INT64_MAX)
        return false;
    if (field->size == sizeof(number)) {
        memcpy(at, &number, sizeof(number));
        return true;
    }
    if (number <= INT32_MIN || number > INT32_MAX)
        return false;
    memcpy(at, &word, sizeof(word));
    return true;
}

static bool text_read(const struct field *field, struct json_object *value, char *at)
{
    if (!json_object_is_type(value, json_type_string))
        return false;
    const char *text = json_object_get_string(value);
    size_t length = (size_t)json_object_get_string_len(value);
    if (length >= field->size || strlen(text) != length)
        return false;
    memset(at, 0, field->size);
    memcpy(at, text, length);
    return true;
}

static int digit_value(char digit)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = digit != '\0' ? strchr(digits, digit) : NULL;

    return found ? (int)(found - digits) : -1;
}

static bool bytes_read(const struct field *field, struct json_object *value, char *at)
{
    if (!json_object_is_type(value, json_type_string) ||
        json_object_get_string_len(value) != 2 * (int)field->size)
        return false;
    const char *text = json_object_get_string(value);
    for (size_t i = 0; i < field->size; i++) {
        int high = digit_value(text[2 * i]), low = digit_value(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        at[i] = (char)(high << 4 | low);
    }
    return true;
}

static int element_read(
    const struct field *field, struct json_object *value, char *at, struct error *ret_error)
{
    bool valid = false;

    switch (field->kind) {
    case FIELD_UNSIGNED:
        valid = unsigned_read(field, value, at);
        break;
    case FIELD_SIGNED:
        valid = signed_read(field, value, at);
        break;
    case FIELD_BOOL:
        valid = json_object_is_type(value, json_type_boolean);
        *(bool *)(void *)at = json_object_get_boolean(value);
        break;
    case FIELD_TEXT:
        valid = text_read(field, value, at);
        break;
    case FIELD_BYTES:
        valid = bytes_read(field, value, at);
        break;
    case FIELD_STRUCT:
        return fields_read(field->table, value, at, ret_error);
    }
    return valid ? 0 : error_set(ret_error, -EINVAL, "no valid value of %s", field->name);
}

static int array_read(
    const struct field *field, struct json_object *value, char *at, struct error *ret_error)
{
    if (!json_object_is_type(value, json_type_object))
        return error_set(ret_error, -EINVAL, "%s is no object of elements", field->name);
    json_object_object_foreach(value, name, element)
    {
        char *end = NULL;
        errno = 0;
        unsigned long index = strtoul(name, &end, 10);
        if (name[0] < '0' || name[0] > '9' || *end != '\0' || errno != 0 || index >= field->count)
            return error_set(ret_error, -EINVAL, "%s has no element %s", field->name, name);
        int result = element_read(field, element, at + index * field->size, ret_error);
        if (result < 0)
            return result;
    }
    return 0;
}

int fields_read(const struct field_table *table, struct json_object *object, void *target,
    struct error *ret_error)
{
    if (!json_object_is_type(object, json_type_object))
        return error_set(ret_error, -EINVAL, "an object of fields was expected");
    json_object_object_foreach(object, name, value)
    {
        const struct field *field = field_find(table, name);
        if (!field)
            return error_set(ret_error, -EINVAL, "there is no field %s", name);
        char *at = (char *)target + field->offset;
        int result = field->count == 1 ? element_read(field, value, at, ret_error)
                                       : array_read(field, value, at, ret_error);
        if (result < 0)
            return result;
    }
    return 0;
}
