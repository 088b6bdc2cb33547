/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Typed replies. Each parser takes the value of "return" (NULL: JSON null) and fills its part of
 * the reply; -EPROTO where a member is missing or of another type than QEMU's schema has. A number
 * that is of the right type but cannot be (negative, beyond any machine) is QMP_UNKNOWN.
 */
#ifndef PLIMSOLL_QMP_ANSWER_H
#define PLIMSOLL_QMP_ANSWER_H

#include <plimsoll/qmp.h>

struct json_object;

/* CONTAINER: for devices only, the QOM path that was listed. */
typedef int (*qmp_answer_parser)(
    struct json_object *body, const char *container, struct qmp_reply *reply);

int qmp_answer_empty(struct json_object *body, const char *container, struct qmp_reply *reply);
int qmp_answer_status(struct json_object *body, const char *container, struct qmp_reply *reply);
int qmp_answer_name(struct json_object *body, const char *container, struct qmp_reply *reply);
int qmp_answer_uuid(struct json_object *body, const char *container, struct qmp_reply *reply);
int qmp_answer_migration(struct json_object *body, const char *container, struct qmp_reply *reply);
int qmp_answer_sev(struct json_object *body, const char *container, struct qmp_reply *reply);
int qmp_answer_cpus(struct json_object *body, const char *container, struct qmp_reply *reply);
int qmp_answer_devices(struct json_object *body, const char *container, struct qmp_reply *reply);
int qmp_answer_boolean(struct json_object *body, const char *container, struct qmp_reply *reply);
int qmp_answer_virtio(struct json_object *body, const char *container, struct qmp_reply *reply);

int qmp_answer_balloon(struct json_object *body, const char *container, struct qmp_reply *reply);
int qmp_answer_memory_size(
    struct json_object *body, const char *container, struct qmp_reply *reply);
int qmp_answer_memdev(struct json_object *body, const char *container, struct qmp_reply *reply);
int qmp_answer_memory_devices(
    struct json_object *body, const char *container, struct qmp_reply *reply);
int qmp_answer_statistics(struct json_object *body, const char *container, struct qmp_reply *reply);

/* The value of "error": fills error_class and TEXT (cleaned). Returns 0 or -EPROTO. */
int qmp_answer_error(
    struct json_object *body, char *text, size_t size, enum qmp_error_class *ret_class);

#endif
