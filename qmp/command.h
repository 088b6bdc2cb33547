/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What each command looks like on the wire, both ways.
 */
#ifndef PLIMSOLL_QMP_COMMAND_H
#define PLIMSOLL_QMP_COMMAND_H

#include "text.h"

#include <plimsoll/qmp.h>

#include <stdint.h>

struct json_object;

struct qmp_arguments {
    const char *path; /* of a QOM object */
    const char *property;
    uint64_t value;
};

/* Writes the whole line for COMMAND with ID; WRITER tells whether it fitted. */
void qmp_command_write(struct qmp_writer *writer, enum qmp_command command,
    const struct qmp_arguments *arguments, uint64_t id);

/* Fills REPLY from the value of "return"; CONTAINER is the path of LIST_DEVICES. Returns 0 or
 * -EPROTO: a member is missing or of another type. */
int qmp_command_parse(enum qmp_command command, struct json_object *body, const char *container,
    struct qmp_reply *reply);

/* Whether COMMAND is one for qmp_execute(): no arguments, and not the session's own. */
bool qmp_command_is_plain(enum qmp_command command);

#endif
