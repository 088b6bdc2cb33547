/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the way from a field of the status to a sample. The document comes through a socket, so
 * nothing is taken for granted: a field of the wrong type, or out of range, is an unknown one.
 */
#include <string.h>

#include <plimsoll/units.h>

#include "field.h"
#include "metrics.h"

#define WORD_MAX 63
static const char word_characters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";

void label_add(struct label_set *set, const char *name, const char *value)
{
    if (!value || !*value || set->count >= LABELS_MAX)
        return;
    set->labels[set->count++] = (struct metric_label){.name = name, .value = value};
}

uint64_t figure_number(struct json_object *object, const char *key)
{
    struct json_object *value = field_get(object, key);

    if (!json_object_is_type(value, json_type_int) || json_object_get_int64(value) < 0)
        return UNKNOWN;
    return json_object_get_uint64(value);
}

const char *figure_word(struct json_object *object, const char *key)
{
    struct json_object *value = field_get(object, key);
    const char *text =
        json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
    size_t length = strlen(text);

    if (length == 0 || length > WORD_MAX || strspn(text, word_characters) < length)
        return NULL;
    return text;
}

void figure_sample(struct metric_writer *writer, const struct label_set *labels,
    struct json_object *object, const struct figure *figure)
{
    struct json_object *from = figure->in ? field_get(object, figure->in) : object;
    struct json_object *value = field_get(from, figure->key);
    const struct metric_label *list = labels ? labels->labels : NULL;
    uint64_t number = figure_number(from, figure->key);

    switch (figure->kind) {
    case FIGURE_BYTES:
        if (known(number))
            metric_u64(writer, list, number);
        break;
    case FIGURE_SIGNED:
        if (json_object_is_type(value, json_type_int))
            metric_i64(writer, list, json_object_get_int64(value));
        break;
    case FIGURE_SECONDS:
        if (known(number))
            metric_seconds(writer, list, number);
        break;
    case FIGURE_BOOLEAN:
        if (json_object_is_type(value, json_type_boolean))
            metric_u64(writer, list, json_object_get_boolean(value) ? 1 : 0);
        break;
    case FIGURE_KIND_COUNT:
        break;
    }
}

void figure_write(
    struct metric_writer *writer, struct json_object *object, const struct figure *figure)
{
    metric_begin(writer, &figure->metric);
    figure_sample(writer, NULL, object, figure);
}

void figure_states(struct metric_writer *writer, const struct label_set *labels,
    struct json_object *object, const char *key, const char *const *words, size_t count)
{
    const char *present = figure_word(object, key);
    bool found = false;

    for (size_t i = 0; present && i < count; i++) {
        struct label_set set = *labels;
        bool is = strcmp(words[i], present) == 0;
        label_add(&set, key, words[i]);
        metric_u64(writer, set.labels, is ? 1 : 0);
        found = found || is;
    }
    if (present && !found) {
        struct label_set set = *labels;
        label_add(&set, key, present);
        metric_u64(writer, set.labels, 1);
    }
}
