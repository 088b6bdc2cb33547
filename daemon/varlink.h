/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Varlink's messages (https://varlink.org/Interface-Definition, /Method-Call): one JSON object
 * each, ended by a NUL byte. Parsing and building only; bytes come and go elsewhere.
 */
#ifndef PLIMSOLL_DAEMON_VARLINK_H
#define PLIMSOLL_DAEMON_VARLINK_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

/* Deepest nesting taken in a call: ours are flat, this leaves room for more. */
#define VARLINK_CALL_DEPTH_MAX 16

struct varlink_call {
    struct json_object *message; /* owns the others */
    const char *method;
    struct json_object *parameters; /* NULL: none, or not an object: see the flag */
    bool parameters_bad;
    bool oneway;
    bool upgrade;
};

/* A tokener fit for varlink_call_parse(), reusable; NULL without memory. */
struct json_tokener *varlink_tokener_new(void);

/* Parses one message without its NUL. -EBADMSG: no JSON object, or one that is no call: the peer
 * does not speak varlink. -ENOMEM. */
int varlink_call_parse(
    struct json_tokener *tokener, const char *text, size_t length, struct varlink_call *ret_call);
void varlink_call_clear(struct varlink_call *call);

/* Takes PARAMETERS over, also on failure. NULL without memory. */
struct json_object *varlink_reply_new(struct json_object *parameters);
/* KEY and VALUE: the error's one parameter; KEY NULL: it has none. NULL without memory. */
struct json_object *varlink_error_new(const char *error, const char *key, const char *value);

/* The interface of METHOD: its length up to the last dot; 0: none. */
size_t varlink_interface_length(const char *method);

#endif
