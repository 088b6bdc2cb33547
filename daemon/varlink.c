/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the shape of varlink's messages. Parsing is strict (one object, no trailing bytes, valid
 * UTF-8, bounded depth); members this version does not know are ignored, as the protocol's growth
 * needs.
 */
#include "varlink.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

struct json_tokener *varlink_tokener_new(void)
{
    struct json_tokener *tokener = json_tokener_new_ex(VARLINK_CALL_DEPTH_MAX);

    if (tokener)
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    return tokener;
}

/* An absent flag is false; one of another type makes the call no call. */
static int flag_read(struct json_object *message, const char *name, bool *ret_flag)
{
    struct json_object *value = NULL;

    if (!json_object_object_get_ex(message, name, &value) || !value) {
        *ret_flag = false;
        return 0;
    }
    if (!json_object_is_type(value, json_type_boolean))
        return -EBADMSG;
    *ret_flag = json_object_get_boolean(value);
    return 0;
}

static int call_read(struct json_object *message, struct varlink_call *call)
{
    struct json_object *method = NULL, *parameters = NULL;
    bool more; /* each of our methods has one reply, which is a valid answer to it */

    if (!json_object_is_type(message, json_type_object) ||
        !json_object_object_get_ex(message, "method", &method) ||
        !json_object_is_type(method, json_type_string))
        return -EBADMSG;
    call->method = json_object_get_string(method);
    /* A NUL written as \u0000 would cut the name short for us and not for others. */
    if (strlen(call->method) != (size_t)json_object_get_string_len(method))
        return -EBADMSG;

    if (flag_read(message, "oneway", &call->oneway) < 0 || flag_read(message, "more", &more) < 0 ||
        flag_read(message, "upgrade", &call->upgrade) < 0)
        return -EBADMSG;

    (void)json_object_object_get_ex(message, "parameters", &parameters);
    call->parameters_bad = parameters && !json_object_is_type(parameters, json_type_object);
    call->parameters = call->parameters_bad ? NULL : parameters;
    return 0;
}

int varlink_call_parse(
    struct json_tokener *tokener, const char *text, size_t length, struct varlink_call *ret_call)
{
    struct varlink_call call = {0};
    enum json_tokener_error error;
    int result;

    json_tokener_reset(tokener);
    call.message = json_tokener_parse_ex(tokener, text, (int)length);
    error = json_tokener_get_error(tokener);
    if (error == json_tokener_error_size)
        return -ENOMEM;
    if (error != json_tokener_success || !call.message)
        return -EBADMSG;
    /* Strict mode refuses trailing bytes only where it sees them; be sure. */
    result =
        json_tokener_get_parse_end(tokener) == length ? call_read(call.message, &call) : -EBADMSG;
    if (result < 0) {
        varlink_call_clear(&call);
        return result;
    }
    *ret_call = call;
    return 0;
}

void varlink_call_clear(struct varlink_call *call)
{
    json_object_put(call->message);
    *call = (struct varlink_call){0};
}

struct json_object *varlink_reply_new(struct json_object *parameters)
{
    struct json_object *reply = json_object_new_object();

    if (!reply || json_object_object_add(reply, "parameters", parameters) < 0) {
        json_object_put(reply);
        json_object_put(parameters);
        return NULL;
    }
    return reply;
}

struct json_object *varlink_error_new(const char *error, const char *key, const char *value)
{
    struct json_object *parameters = json_object_new_object();
    struct json_object *reply, *text;

    if (!parameters)
        return NULL;
    if (key) {
        text = json_object_new_string(value);
        if (!text || json_object_object_add(parameters, key, text) < 0) {
            json_object_put(text);
            json_object_put(parameters);
            return NULL;
        }
    }
    reply = varlink_reply_new(parameters);
    text = json_object_new_string(error);
    if (!reply || !text || json_object_object_add(reply, "error", text) < 0) {
        json_object_put(text);
        json_object_put(reply);
        return NULL;
    }
    return reply;
}

size_t varlink_interface_length(const char *method)
{
    const char *dot = strrchr(method, '.');

    return dot ? (size_t)(dot - method) : 0;
}
