/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One decision of the guard in sentences. */
#ifndef PLIMSOLL_CLI_WHY_VIEW_H
#define PLIMSOLL_CLI_WHY_VIEW_H

#include <json-c/json.h>
#include <stdint.h>
#include <stdio.h>

#include "terminal.h"

/* LINE is an element of GetLog's lines, of which FIELDS are the parts; NOW in ns since 1970. Fits
 * one screen. */
void why_view_print(struct json_object *line, struct json_object *fields, uint64_t now,
    const struct style *style, FILE *out);

#endif
