/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What `plimsoll plan` says of the guard's answer. */
#ifndef PLIMSOLL_CLI_PLAN_VIEW_H
#define PLIMSOLL_CLI_PLAN_VIEW_H

#include <json-c/json.h>
#include <stdio.h>

#include "terminal.h"

void plan_view_print(struct json_object *plan, const struct style *style, FILE *out);

#endif
