/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns nothing. What turns out to be empty is taken back, so that padding that differs is not seen:
 * equal structs give equal texts.
 */
#include "field_write.h"

#include <inttypes.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/plan.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void record_text_add(struct record_text *text, const char *format, ...)
{
    size_t room = text->size - text->length;
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(text->bytes + text->length, room, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= room)
        text->overflow = true;
    else
        text->length += (size_t)length;
}

static uint64_t unsigned_at(const char *at, uint32_t size)
{
    uint8_t byte;
    uint16_t half;
    uint32_t word;
    uint64_t number = 0;

    switch (size) {
    case sizeof(byte):
        memcpy(&byte, at, size);
        return byte;
    case sizeof(half):
        memcpy(&half, at, size);
        return half;
    case sizeof(word):
        memcpy(&word, at, size);
        return word;
    default:
        memcpy(&number, at, sizeof(number));
        return number;
    }
}

static int64_t signed_at(const char *at, uint32_t size)
{
    int32_t word;
    int64_t number = 0;

    if (size == sizeof(word)) {
        memcpy(&word, at, size);
        return word;
    }
    memcpy(&number, at, sizeof(number));
    return number;
}

static void text_write(struct record_text *text, const char *value, size_t size)
{
    record_text_add(text, "\"");
    for (size_t i = 0; i < size && value[i] != '\0'; i++) {
        unsigned char byte = (unsigned char)value[i];
        if (byte < ' ')
            record_text_add(text, "\\u%04x", byte);
        else if (byte == '"' || byte == '\\')
            record_text_add(text, "\\%c", byte);
        else
            record_text_add(text, "%c", byte);
    }
    record_text_add(text, "\"");
}

static void bytes_write(struct record_text *text, const char *value, size_t size)
{
    record_text_add(text, "\"");
    for (size_t i = 0; i < size; i++)
        record_text_add(text, "%02x", (unsigned)(unsigned char)value[i]);
    record_text_add(text, "\"");
}

/* One element; false: it turned out not to differ. */
static bool element_write(
    struct record_text *text, const struct field *field, const char *now, const char *before)
{
    uint64_t number;

    switch (field->kind) {
    case FIELD_UNSIGNED:
        number = unsigned_at(now, field->size);
        if (field->size == sizeof(number) && !known(number))
            record_text_add(text, "null");
        else
            record_text_add(text, "%" PRIu64, number);
        return true;
    case FIELD_SIGNED:
        record_text_add(text, "%" PRIi64, signed_at(now, field->size));
        return true;
    case FIELD_BOOL:
        record_text_add(text, "%s", unsigned_at(now, field->size) != 0 ? "true" : "false");
        return true;
    case FIELD_TEXT:
        if (strncmp(now, before, field->size) == 0)
            return false;
        text_write(text, now, field->size);
        return true;
    case FIELD_BYTES:
        bytes_write(text, now, field->size);
        return true;
    case FIELD_STRUCT:
        return fields_write(text, field->table, now, before);
    }
    return false;
}

static bool array_write(
    struct record_text *text, const struct field *field, const char *now, const char *before)
{
    bool any = false;

    for (uint32_t i = 0; i < field->count; i++) {
        size_t at = (size_t)i * field->size, length = text->length;
        if (memcmp(now + at, before + at, field->size) == 0)
            continue;
        record_text_add(text, "%s\"%" PRIu32 "\":", any ? "," : "{", i);
        if (element_write(text, field, now + at, before + at))
            any = true;
        else
            text->length = length;
    }
    if (any)
        record_text_add(text, "}");
    return any;
}

bool fields_write(
    struct record_text *text, const struct field_table *table, const void *now, const void *before)
{
    bool any = false;

    for (uint32_t i = 0; i < table->count; i++) {
        const struct field *field = &table->fields[i];
        const char *value = (const char *)now + field->offset;
        const char *old = (const char *)before + field->offset;
        size_t length = text->length;
        if (memcmp(value, old, (size_t)field->size * field->count) == 0)
            continue;
        record_text_add(text, "%s\"%s\":", any ? "," : "{", field->name);
        if (field->count == 1 ? element_write(text, field, value, old)
                              : array_write(text, field, value, old))
            any = true;
        else
            text->length = length;
    }
    if (any)
        record_text_add(text, "}");
    return any;
}

/* ---- the layout ---- */

/* FNV-1a, 64 bits: http://www.isthe.com/chongo/tech/comp/fnv */
#define HASH_BASIS UINT64_C(0xcbf29ce484222325)
#define HASH_PRIME UINT64_C(0x100000001b3)

static uint64_t hash_byte(uint64_t hash, uint8_t byte)
{
    return (hash ^ byte) * HASH_PRIME;
}

static uint64_t hash_figure(uint64_t hash, uint64_t figure)
{
    for (unsigned shift = 0; shift < 64; shift += 8)
        hash = hash_byte(hash, (uint8_t)(figure >> shift));
    return hash;
}

/* With its end, so that two names are not one. */
static uint64_t hash_name(uint64_t hash, const char *name)
{
    for (; *name; name++)
        hash = hash_byte(hash, (uint8_t)*name);
    return hash_byte(hash, 0);
}

static uint64_t hash_table(uint64_t hash, const struct field_table *table)
{
    for (uint32_t i = 0; i < table->count; i++) {
        const struct field *field = &table->fields[i];
        hash = hash_figure(hash_name(hash, field->name), field->kind);
        /* A struct is what is in it, however it is laid out. */
        hash = hash_figure(hash, field->table ? 0 : field->size);
        hash = hash_figure(hash, field->count);
        hash = hash_figure(hash, field->least);
        hash = hash_figure(hash, field->most);
        if (field->table)
            hash = hash_table(hash, field->table);
    }
    return hash;
}

uint64_t fields_layout(void)
{
    static const struct field_table *const tables[] = {&fields_snapshot, &fields_vm_snapshot,
        &fields_host_rules, &fields_vm_rules, &fields_plan, &fields_action, &fields_policy_state,
        &fields_vm_state};
    uint64_t hash = HASH_BASIS;

    for (size_t i = 0; i < ELEMENTSOF(tables); i++)
        hash = hash_table(hash, tables[i]);
    for (int kind = 0; kind < ACTION_KIND_COUNT; kind++)
        hash = hash_name(hash, action_kind_name((enum action_kind)kind));
    for (int reason = 0; reason < REASON_COUNT; reason++)
        hash = hash_name(hash, reason_name((enum reason)reason));
    return hash_name(hash, PLIMSOLL_VERSION);
}
