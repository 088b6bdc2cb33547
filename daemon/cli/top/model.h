/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All that is known of the guard: its last status, what it has said, and what became of it since
 * somebody looks. What is known stays when the guard is gone, as old.
 */
#ifndef PLIMSOLL_CLI_TOP_MODEL_H
#define PLIMSOLL_CLI_TOP_MODEL_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include <plimsoll/error.h>

#include "band_trail.h"
#include "client.h"
#include "guests.h"
#include "log_cursor.h"

/* As many lines as the guard itself keeps. */
#define MODEL_LINES_MAX 512

struct model_line {
    struct json_object *line, *fields;
};

/* Begins zeroed, but for `socket` and `interval`. */
struct model {
    const char *socket;
    uint64_t interval;
    struct guests guests;
    struct band_trail trail;
    struct model_line lines[MODEL_LINES_MAX]; /* the oldest first */
    size_t line_count;
    struct log_cursor cursor; /* what was said until there is known */
    uint64_t answered;        /* CLOCK_MONOTONIC of the last answer; 0: there was none */
    uint64_t looked;          /* of the last question; 0: there was none */
    bool away;                /* the last question had none */
    struct error reason;      /* then why */
};

/* Asks once. 0, -ECANCELED by ASIDE, or another negative errno with `away` and `reason` set. */
int model_ask(struct model *model, const struct client_aside *aside);
void model_clear(struct model *model);
/* NULL: none was ever answered. */
struct json_object *model_status(const struct model *model);
/* A line that somebody who looks at decisions wants to see. */
bool model_line_tells(const struct model_line *line);

/* ns of CLOCK_MONOTONIC. */
uint64_t model_clock(void);

#endif
