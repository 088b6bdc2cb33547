/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guard's status as metrics. What nobody knows, or is not of the type that it should be, is no
 * sample: it is never 0.
 */
#ifndef PLIMSOLL_CLI_METRICS_H
#define PLIMSOLL_CLI_METRICS_H

#include <json-c/json.h>
#include <stdio.h>

#include "metric_writer.h"

/* STATUS: the reply of GetStatus; NULL: there is none, which is told, and no figure. 0, -ENOMEM,
 * -EIO. */
int metrics_write(struct json_object *status, enum metric_format format, FILE *out);

/* ---- metric_figure.c: from a field to a sample ---- */

enum figure_kind {
    FIGURE_BYTES, /* or any other number that is not negative */
    FIGURE_SIGNED,
    FIGURE_SECONDS, /* nanoseconds in the field */
    FIGURE_BOOLEAN,
    FIGURE_KIND_COUNT,
};

struct figure {
    struct metric metric;
    const char *in, *key; /* the field KEY of the member IN; IN NULL: of the object itself */
    enum figure_kind kind;
};

#define LABELS_MAX 12
/* Ends with the name NULL, as metric_writer.h wants it; zeroed it is empty. */
struct label_set {
    struct metric_label labels[LABELS_MAX + 1];
    size_t count;
};

/* VALUE must live as long as the set; NULL or "" leaves the label out, which to Prometheus is the
 * same as an empty one. */
void label_add(struct label_set *set, const char *name, const char *value);

/* A whole number that is not negative, else UNKNOWN. */
uint64_t figure_number(struct json_object *object, const char *key);
/* The field if it is a word as the guard's own are ([a-z0-9-], no more than 63), else NULL: so that
 * no two that differ become the same label. */
const char *figure_word(struct json_object *object, const char *key);
/* One sample of the family that was begun. */
void figure_sample(struct metric_writer *writer, const struct label_set *labels,
    struct json_object *object, const struct figure *figure);
/* A family of one sample. */
void figure_write(
    struct metric_writer *writer, struct json_object *object, const struct figure *figure);

/* One sample for each of COUNT words, 1 for the field's and 0 for all others; one that is none of
 * them, by a guard newer than we are, has a sample of its own. None where it is no word. */
void figure_states(struct metric_writer *writer, const struct label_set *labels,
    struct json_object *object, const char *key, const char *const *words, size_t count);

/* ---- metrics_vm.c ---- */

void metrics_vm_write(struct metric_writer *writer, struct json_object *status);
/* Every word that a guest's state can be. */
const char *const *metrics_vm_states(size_t *ret_count);

#endif
