/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Metrics as Prometheus takes them: families, each with its samples, in one of three forms.
 *
 * OpenMetrics 1.0 is what is scraped. node_exporter's textfile collector does not take it: it reads
 * the older text format 0.0.4, in which `# TYPE … info` spoils the whole file, the type of a
 * counter stands under its sample's name (…_total), and there is neither `# UNIT` nor `# EOF`.
 */
#ifndef PLIMSOLL_CLI_METRIC_WRITER_H
#define PLIMSOLL_CLI_METRIC_WRITER_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum metric_format {
    METRIC_OPENMETRICS,
    METRIC_TEXT, /* 0.0.4, for node_exporter */
    METRIC_JSON,
};

enum metric_type {
    METRIC_GAUGE,
    METRIC_COUNTER, /* its samples are NAME_total */
    METRIC_INFO,    /* its samples are NAME_info, and 1 */
    METRIC_TYPE_COUNT,
};

struct metric {
    const char *name; /* ends in the unit, where there is one */
    const char *unit; /* NULL: none */
    const char *help; /* no line break, quote or backslash */
    enum metric_type type;
};

/* A list of them ends with the name NULL. VALUE may be any text. */
struct metric_label {
    const char *name, *value;
};

struct metric_writer {
    enum metric_format format;
    FILE *out;
    const struct metric *metric; /* whose samples come */
    bool begun;                  /* its head is written */
    bool failed;
    struct json_object *families, *samples;
};

void metric_writer_begin(struct metric_writer *writer, enum metric_format format, FILE *out);
/* What follows are samples of METRIC, which must live as long as they come. A family without any
 * is left out. */
void metric_begin(struct metric_writer *writer, const struct metric *metric);
/* LABELS may be NULL. No two samples of a family have the same: that is for the caller to see to.
 */
void metric_u64(struct metric_writer *writer, const struct metric_label *labels, uint64_t value);
void metric_i64(struct metric_writer *writer, const struct metric_label *labels, int64_t value);
/* VALUE in nanoseconds, shown as seconds. */
void metric_seconds(
    struct metric_writer *writer, const struct metric_label *labels, uint64_t value);
/* 0; -ENOMEM; -EIO: OUT has failed. */
int metric_writer_end(struct metric_writer *writer);

#endif
