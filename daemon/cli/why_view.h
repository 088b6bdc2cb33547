/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One decision of the guard in sentences. */
#ifndef PLIMSOLL_CLI_WHY_VIEW_H
#define PLIMSOLL_CLI_WHY_VIEW_H

#include <json-c/json.h>
#include <stdint.h>
#include <stdio.h>

#include "field.h"
#include "terminal.h"

/* LINE is an element of GetLog's lines, of which FIELDS are the parts; NOW in ns since 1970. Fits
 * one screen. */
void why_view_print(struct json_object *line, struct json_object *fields, uint64_t now,
    const struct style *style, FILE *out);

/* Room for any of the following, with its NUL. */
#define WHY_RIVAL_MAX (2 * FIELD_MAX + 128)
/* Who came next, NAME or an empty one, and why it is not he: a rival's reason with its figure,
 * UNKNOWN where there is none. Empty for another reason. */
void why_rival_format(
    const char *name, const char *reason, uint64_t figure, char words[static WHY_RIVAL_MAX]);
/* A loss, which is in thousandths. Returns BUFFER, of TEXT_NUMBER_MAX bytes. */
const char *why_loss_format(uint64_t loss, char *buffer);

#endif
