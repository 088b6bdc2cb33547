/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the tokener of a session, and the rules by which a line becomes a message.
 *
 * Before json-c sees a line, it is looked over once: a byte that no JSON text of QEMU's holds (NUL
 * and other control characters: QEMU escapes them) makes it broken whatever the version of json-c
 * thinks of it, and the memory that its tree would take is estimated and bounded. Without that, a
 * line of 1 MiB made of "{}," would become 270 MiB of objects.
 *
 * The tokener is kept from line to line: with 32 levels it takes 1.2 KiB, measured, most of it the
 * 32 bytes a level. Its scratch buffer grows to the longest string or number seen and is never
 * shrunk by json-c, so after a long line the tokener is made anew.
 */
#include "message.h"

#include <plimsoll/cleanup.h>

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include <json-c/json.h>

/* A tokener that has seen a longer line than this is not kept. The longest reply that is asked for
 * regularly, guest-stats, has 474 bytes. */
#define TOKENER_LINE_MAX 4096

/* Bytes of heap per element of json-c's tree, measured with 0.16 on 64 bits and rounded up: an
 * object 792 (its table starts with 16 entries) and its first member, an array 152, a further
 * member with an integer 162. */
#define OBJECT_COST 960
#define ARRAY_COST 160
#define VALUE_COST 168

void qmp_parser_release(struct qmp_parser *parser)
{
    if (parser->tokener)
        json_tokener_free(parser->tokener);
    parser->tokener = NULL;
}

void qmp_message_release(struct qmp_message *message)
{
    json_object_put(message->root);
    message->root = NULL;
    message->body = NULL;
}

/* 0, -EPROTO for a byte that cannot be, -EMSGSIZE for a tree too large. Inside of strings too the
 * signs are counted: that only makes the estimate larger, and the look simple. */
static int line_check(const char *line, size_t length, size_t tree_max)
{
    size_t cost = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)line[i];
        if (byte < 0x20 && byte != '\t')
            return -EPROTO;
        if (byte == '{')
            cost += OBJECT_COST;
        else if (byte == '[')
            cost += ARRAY_COST;
        else if (byte == ',')
            cost += VALUE_COST;
    }
    return cost > tree_max ? -EMSGSIZE : 0;
}

static int line_parse(
    struct qmp_parser *parser, const char *line, size_t length, struct json_object **ret_root)
{
    if (!parser->tokener) {
        parser->tokener = json_tokener_new_ex((int)parser->depth_max);
        if (!parser->tokener)
            return -ENOMEM;
        json_tokener_set_flags(parser->tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    }
    json_tokener_reset(parser->tokener);
    struct json_object *root = json_tokener_parse_ex(parser->tokener, line, (int)length);
    enum json_tokener_error error = json_tokener_get_error(parser->tokener);
    bool whole = json_tokener_get_parse_end(parser->tokener) == length;
    json_tokener_reset(parser->tokener);
    if (length > TOKENER_LINE_MAX)
        qmp_parser_release(parser);

    if (error == json_tokener_success && whole && json_object_is_type(root, json_type_object)) {
        *ret_root = root;
        return 0;
    }
    json_object_put(root);
    return error == json_tokener_error_depth ? -EMSGSIZE : -EPROTO;
}

/* Replies carry the id that we gave, always a number; QEMU leaves it out only when it could not
 * parse what we sent, and then nobody knows which request failed. */
static int message_take_id(struct qmp_message *message)
{
    struct json_object *id;
    if (!json_object_object_get_ex(message->root, "id", &id) ||
        !json_object_is_type(id, json_type_int) || json_object_get_int64(id) < 0)
        return -EPROTO;
    message->id = json_object_get_uint64(id);
    return 0;
}

static int message_classify(struct qmp_message *message)
{
    static const struct {
        const char *key;
        enum qmp_message_kind kind;
    } kinds[] = {
        {"return", QMP_MESSAGE_RETURN},
        {"error", QMP_MESSAGE_ERROR},
        {"event", QMP_MESSAGE_EVENT},
        {"QMP", QMP_MESSAGE_GREETING},
    };

    for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
        struct json_object *body;
        if (!json_object_object_get_ex(message->root, kinds[i].key, &body))
            continue;
        message->kind = kinds[i].kind;
        message->body = body;
        switch (message->kind) {
        case QMP_MESSAGE_RETURN:
        case QMP_MESSAGE_ERROR:
            return message_take_id(message);
        case QMP_MESSAGE_EVENT:
            message->body = message->root;
            return json_object_is_type(body, json_type_string) ? 0 : -EPROTO;
        case QMP_MESSAGE_GREETING:
            return json_object_is_type(body, json_type_object) ? 0 : -EPROTO;
        }
    }
    return -EPROTO;
}

int qmp_message_parse(
    struct qmp_parser *parser, const char *line, size_t length, struct qmp_message *ret_message)
{
    if (length > INT_MAX)
        return -EMSGSIZE;
    int r = line_check(line, length, parser->tree_max);
    if (r < 0)
        return r;

    struct qmp_message message = {0};
    r = line_parse(parser, line, length, &message.root);
    if (r < 0)
        return r;
    r = message_classify(&message);
    if (r < 0) {
        qmp_message_release(&message);
        return r;
    }
    *ret_message = message;
    return 0;
}
