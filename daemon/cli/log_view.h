/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guard's alerts as lines for a person. */
#ifndef PLIMSOLL_CLI_LOG_VIEW_H
#define PLIMSOLL_CLI_LOG_VIEW_H

#include <json-c/json.h>
#include <stdio.h>

#include "field.h"
#include "log.h"
#include "terminal.h"

/* What was printed before; begins zeroed. */
struct log_view {
    struct style style;
    char day[16]; /* the beginning of when the last line was said */
};

/* Of a line's parts: in words what was said, and whom it is about. Cleaned; return their buffer. */
const char *log_view_words(struct json_object *fields, char words[LOG_LINE_MAX]);
const char *log_view_subject(struct json_object *fields, char subject[FIELD_MAX]);

/* Prints LINE, an element of GetLog's lines, of which FIELDS are the parts. On a terminal a heading
 * goes before the first line of each day, elsewhere each line has its date. */
void log_view_print(
    struct log_view *view, struct json_object *line, struct json_object *fields, FILE *out);

#endif
