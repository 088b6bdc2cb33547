/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All that is known of one guest, for a person. */
#ifndef PLIMSOLL_CLI_VM_VIEW_H
#define PLIMSOLL_CLI_VM_VIEW_H

#include <json-c/json.h>
#include <stdio.h>

#include "terminal.h"

/* Prints REPLY, an object as of io.plimsoll.GetVm; what is missing in it or of another type is left
 * out, or shows as unknown. */
void vm_view_print(struct json_object *reply, const struct style *style, FILE *out);

#endif
