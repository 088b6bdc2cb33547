/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The reverse of field_write.h. */
#ifndef PLIMSOLL_RECORD_FIELD_READ_H
#define PLIMSOLL_RECORD_FIELD_READ_H

#include <json-c/json.h>
#include <plimsoll/error.h>
#include <plimsoll/fields.h>

/* Sets in TARGET what OBJECT has. -EINVAL: something in it is no field of TABLE, or no value of its
 * field, as RET_ERROR says; TARGET is then of no use. */
int fields_read(const struct field_table *table, struct json_object *object, void *target,
    struct error *ret_error);

#endif
