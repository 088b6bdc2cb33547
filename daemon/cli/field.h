/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fields of the status document as text of one table cell: cleaned, human, "-" for unknown.
 */
#ifndef PLIMSOLL_CLI_FIELD_H
#define PLIMSOLL_CLI_FIELD_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

/* Longest cell, with its NUL: a VM's name is the longest there is. */
#define FIELD_MAX 160
#define FIELD_UNKNOWN "-"

/* The member, or NULL where there is none, it is null, or OBJECT is no object. */
struct json_object *field_get(struct json_object *object, const char *key);
/* All return BUFFER, of FIELD_MAX bytes. */
const char *field_text(struct json_object *object, const char *key, char *buffer);
const char *field_bytes(struct json_object *object, const char *key, char *buffer);
const char *field_signed_bytes(
    struct json_object *object, const char *key, const char *suffix, char *buffer);
const char *field_time(struct json_object *object, const char *key, char *buffer);
/* UNKNOWN where it is not known. */
uint64_t field_u64(struct json_object *object, const char *key);
/* False, too, where it is not known. */
bool field_is_true(struct json_object *object, const char *key);
bool field_is(struct json_object *object, const char *key, const char *text);

#endif
