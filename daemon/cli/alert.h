/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A line of the guard's alerts, taken apart again. */
#ifndef PLIMSOLL_CLI_ALERT_H
#define PLIMSOLL_CLI_ALERT_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

/* LINE is an element of GetLog's lines. An object with a string for each key of its text, without
 * the quotes that log_quote() puts around a value; what is no key=value is left out, and of two
 * with the same key the last counts. NULL: no memory. */
struct json_object *alert_fields(struct json_object *line);

/* A decision that changes a guest or warns of one: no change of band, no start of the guard. */
bool alert_is_decision(struct json_object *fields);

/* A field of decimal digits; UNKNOWN where it is anything else. */
uint64_t alert_number(struct json_object *fields, const char *key);
/* A field of milliseconds, "1500ms", in ns; UNKNOWN where it is anything else, "never" included. */
uint64_t alert_time(struct json_object *fields, const char *key);

#endif
