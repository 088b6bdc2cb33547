/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The status document as tables for a person.
 */
#ifndef PLIMSOLL_CLI_STATUS_VIEW_H
#define PLIMSOLL_CLI_STATUS_VIEW_H

#include <json-c/json.h>
#include <stdio.h>

#include "terminal.h"

/* Prints STATUS, an object as of io.plimsoll.GetStatus; what is missing in it or of another type
 * shows as unknown. 0, -ENOMEM, or another negative errno of writing. */
int status_view_print(struct json_object *status, const struct style *style, FILE *out);

#endif
