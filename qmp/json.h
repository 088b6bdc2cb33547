/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Members of a JSON object by type. -ENOENT: not there; -EPROTO: there with another type (null is
 * another type). OBJECT may be NULL or no object: then no member is there.
 */
#ifndef PLIMSOLL_QMP_JSON_H
#define PLIMSOLL_QMP_JSON_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>

/* No machine has more memory: x86-64 and arm64 address 52 bits of it. */
#define QMP_SIZE_MAX (UINT64_C(1) << 52)
/* Counters run on; QEMU's integers have 63 bits. */
#define QMP_COUNTER_MAX ((uint64_t)INT64_MAX)

int qmp_json_object(struct json_object *object, const char *key, struct json_object **ret_value);
int qmp_json_boolean(struct json_object *object, const char *key, bool *ret_value);
/* Valid as long as OBJECT. A string with a NUL in it is of another type: QEMU's are C strings. */
int qmp_json_string(struct json_object *object, const char *key, const char **ret_text);
/* QMP_UNKNOWN where the number is negative or above MAX. */
int qmp_json_number(struct json_object *object, const char *key, uint64_t max, uint64_t *ret_value);

/* What a required member's absence is. */
static inline int qmp_json_required(int r)
{
    return r == -ENOENT ? -EPROTO : r;
}

/* What an optional member's absence is: RET_… was left as it was. */
static inline int qmp_json_optional(int r)
{
    return r == -ENOENT ? 0 : r;
}

#endif
