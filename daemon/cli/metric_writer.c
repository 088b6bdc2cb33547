/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the form of metrics. A value is made text once, so that no figure differs between the forms:
 * 64 bits and nanoseconds are written whole, whatever a reader's floating point keeps of them.
 */
#include "metric_writer.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <plimsoll/cleanup.h>
#include <plimsoll/units.h>

/* The longest is 20 digits, a point and 9 more. */
#define VALUE_SIZE 32

static const char *const type_names[] = {
    [METRIC_GAUGE] = "gauge",
    [METRIC_COUNTER] = "counter",
    [METRIC_INFO] = "info",
};
static_assert(ELEMENTSOF(type_names) == METRIC_TYPE_COUNT, "a type has no name");

static const char *const suffixes[] = {
    [METRIC_GAUGE] = "",
    [METRIC_COUNTER] = "_total",
    [METRIC_INFO] = "_info",
};
static_assert(ELEMENTSOF(suffixes) == METRIC_TYPE_COUNT, "a type has no suffix");

void metric_writer_begin(struct metric_writer *writer, enum metric_format format, FILE *out)
{
    *writer = (struct metric_writer){.format = format, .out = out};
    if (format == METRIC_JSON)
        writer->families = json_object_new_array();
    writer->failed = format == METRIC_JSON && !writer->families;
}

void metric_begin(struct metric_writer *writer, const struct metric *metric)
{
    writer->metric = metric;
    writer->begun = false;
    writer->samples = NULL;
}

/* ---- as text ---- */

/* By OpenMetrics and 0.0.4 alike. */
static void label_value_write(const char *value, FILE *out)
{
    for (; *value; value++) {
        if (*value == '\n') {
            (void)fputs("\\n", out);
            continue;
        }
        if (*value == '"' || *value == '\\')
            (void)fputc('\\', out);
        (void)fputc(*value, out);
    }
}

static void head_write(const struct metric_writer *writer)
{
    const struct metric *metric = writer->metric;
    const char *suffix = "", *type = type_names[metric->type];

    if (writer->format == METRIC_TEXT) {
        suffix = suffixes[metric->type];
        type = metric->type == METRIC_INFO ? type_names[METRIC_GAUGE] : type;
    }
    fprintf(writer->out, "# HELP %s%s %s\n", metric->name, suffix, metric->help);
    fprintf(writer->out, "# TYPE %s%s %s\n", metric->name, suffix, type);
    if (writer->format == METRIC_OPENMETRICS && metric->unit)
        fprintf(writer->out, "# UNIT %s %s\n", metric->name, metric->unit);
}

static void sample_print(
    struct metric_writer *writer, const struct metric_label *labels, const char *value)
{
    const struct metric *metric = writer->metric;
    char separator = '{';

    if (!writer->begun)
        head_write(writer);
    writer->begun = true;
    fprintf(writer->out, "%s%s", metric->name, suffixes[metric->type]);
    for (; labels && labels->name; labels++) {
        fprintf(writer->out, "%c%s=\"", separator, labels->name);
        label_value_write(labels->value, writer->out);
        (void)fputc('"', writer->out);
        separator = ',';
    }
    fprintf(writer->out, "%s %s\n", separator == ',' ? "}" : "", value);
}

/* ---- as JSON ---- */

/* Adds VALUE, which is taken over; NULL is a failure. */
static void member_add(struct metric_writer *writer, struct json_object *object, const char *key,
    struct json_object *value)
{
    if (object && value && json_object_object_add(object, key, value) == 0)
        return;
    json_object_put(value);
    writer->failed = true;
}

static bool element_add(
    struct metric_writer *writer, struct json_object *array, struct json_object *value)
{
    if (array && value && json_object_array_add(array, value) == 0)
        return true;
    json_object_put(value);
    writer->failed = true;
    return false;
}

static void family_add(struct metric_writer *writer)
{
    const struct metric *metric = writer->metric;
    struct json_object *family = json_object_new_object();

    writer->samples = NULL;
    if (!element_add(writer, writer->families, family))
        return;
    member_add(writer, family, "name", json_object_new_string(metric->name));
    member_add(writer, family, "type", json_object_new_string(type_names[metric->type]));
    if (metric->unit)
        member_add(writer, family, "unit", json_object_new_string(metric->unit));
    else if (json_object_object_add(family, "unit", NULL) < 0)
        writer->failed = true;
    member_add(writer, family, "help", json_object_new_string(metric->help));
    struct json_object *samples = json_object_new_array();
    member_add(writer, family, "samples", samples);
    if (!writer->failed)
        writer->samples = samples;
}

/* JSON's numbers are as ours: digits, and a point between them. */
static void sample_add(
    struct metric_writer *writer, const struct metric_label *labels, const char *value)
{
    const struct metric *metric = writer->metric;
    char name[128];

    if (!writer->begun)
        family_add(writer);
    writer->begun = true;
    struct json_object *sample = json_object_new_object();
    if (!element_add(writer, writer->samples, sample))
        return;
    (void)snprintf(name, sizeof(name), "%s%s", metric->name, suffixes[metric->type]);
    member_add(writer, sample, "name", json_object_new_string(name));
    struct json_object *named = json_object_new_object();
    member_add(writer, sample, "labels", named);
    for (; labels && labels->name && !writer->failed; labels++)
        member_add(writer, named, labels->name, json_object_new_string(labels->value));
    member_add(writer, sample, "value", json_object_new_double_s(strtod(value, NULL), value));
}

static void sample_write(
    struct metric_writer *writer, const struct metric_label *labels, const char *value)
{
    if (writer->failed)
        return;
    if (writer->format == METRIC_JSON)
        sample_add(writer, labels, value);
    else
        sample_print(writer, labels, value);
}

/* ---- values ---- */

void metric_u64(struct metric_writer *writer, const struct metric_label *labels, uint64_t value)
{
    char text[VALUE_SIZE];

    (void)snprintf(text, sizeof(text), "%" PRIu64, value);
    sample_write(writer, labels, text);
}

void metric_i64(struct metric_writer *writer, const struct metric_label *labels, int64_t value)
{
    char text[VALUE_SIZE];

    (void)snprintf(text, sizeof(text), "%" PRId64, value);
    sample_write(writer, labels, text);
}

void metric_seconds(struct metric_writer *writer, const struct metric_label *labels, uint64_t value)
{
    char text[VALUE_SIZE];
    uint64_t fraction = value % NSEC_PER_SEC;
    int length =
        snprintf(text, sizeof(text), "%" PRIu64 ".%09" PRIu64, value / NSEC_PER_SEC, fraction);

    /* No trailing zeros, nor a point without digits behind it. */
    while (text[length - 1] == '0' || text[length - 1] == '.') {
        bool point = text[--length] == '.';
        text[length] = '\0';
        if (point)
            break;
    }
    sample_write(writer, labels, text);
}

int metric_writer_end(struct metric_writer *writer)
{
    bool failed = writer->failed;

    if (writer->format == METRIC_OPENMETRICS)
        (void)fputs("# EOF\n", writer->out);
    if (writer->format == METRIC_JSON && !failed) {
        struct json_object *document = json_object_new_object();
        member_add(writer, document, "families", writer->families);
        const char *text = writer->failed
                               ? NULL
                               : json_object_to_json_string_ext(document,
                                     JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
        failed = !text;
        if (text)
            fprintf(writer->out, "%s\n", text);
        json_object_put(document);
    } else {
        json_object_put(writer->families);
    }
    writer->families = NULL;
    if (failed)
        return -ENOMEM;
    return ferror(writer->out) ? -EIO : 0;
}
