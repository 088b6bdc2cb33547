/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Building JSON objects in the project's terms: UNKNOWN is null, text of strangers is cleaned. A
 * failed allocation is remembered, so that a whole object is written without a check on each line.
 */
#ifndef PLIMSOLL_DAEMON_JSON_WRITER_H
#define PLIMSOLL_DAEMON_JSON_WRITER_H

#include <json-c/json.h>
#include <plimsoll/snapshot.h>
#include <stdbool.h>
#include <stdint.h>

struct json_writer {
    struct json_object *object; /* owned until json_writer_end() */
    bool failed;
};

/* Keys must be string literals: they are not copied, and each is given once. */
void json_writer_begin(struct json_writer *writer);
void json_writer_u64(struct json_writer *writer, const char *key, uint64_t value);
void json_writer_i64(struct json_writer *writer, const char *key, int64_t value);
void json_writer_bool(struct json_writer *writer, const char *key, bool value);
void json_writer_tristate(struct json_writer *writer, const char *key, enum tristate value);
/* NULL is null. At most VM_NAME_MAX bytes are kept. */
void json_writer_text(struct json_writer *writer, const char *key, const char *value);
/* The same of a path, of which PATH_MAX bytes are. */
void json_writer_path(struct json_writer *writer, const char *key, const char *value);
void json_writer_null(struct json_writer *writer, const char *key);
/* Takes VALUE over; NULL counts as a failed allocation. */
void json_writer_child(struct json_writer *writer, const char *key, struct json_object *value);
/* The object, now the caller's, or NULL if anything failed. */
struct json_object *json_writer_end(struct json_writer *writer);

/* Adds VALUE, which is taken over, to ARRAY; false without memory. */
bool json_array_append(struct json_object *array, struct json_object *value);

#endif
