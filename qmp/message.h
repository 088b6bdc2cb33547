/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One line of the peer as a classified JSON object (docs/interop/qmp-spec.txt, section 2).
 */
#ifndef PLIMSOLL_QMP_MESSAGE_H
#define PLIMSOLL_QMP_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

struct json_object;
struct json_tokener;

enum qmp_message_kind {
    QMP_MESSAGE_GREETING,
    QMP_MESSAGE_RETURN,
    QMP_MESSAGE_ERROR,
    QMP_MESSAGE_EVENT,
};

struct qmp_message {
    enum qmp_message_kind kind;
    struct json_object *root; /* owned */
    struct json_object *body; /* value of "return", "error" or "QMP"; the event itself; may be NULL
                                 for a JSON null */
    uint64_t id;              /* of RETURN and ERROR */
};

struct qmp_parser {
    struct json_tokener *tokener; /* made when needed; NULL: none */
    unsigned depth_max;
    size_t tree_max; /* most memory one message's tree may take, bytes, as estimated */
};

/*
 * Parses LINE. -EPROTO: not one JSON object in UTF-8, of no known kind, or a reply without an
 * unsigned integer as its id; -EMSGSIZE: nested deeper than depth_max or a tree beyond tree_max;
 * -ENOMEM.
 */
int qmp_message_parse(
    struct qmp_parser *parser, const char *line, size_t length, struct qmp_message *ret_message);
void qmp_message_release(struct qmp_message *message);

void qmp_parser_release(struct qmp_parser *parser);

#endif
