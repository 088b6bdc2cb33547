/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The control socket's server side: varlink over the guard's loop. Bounded in clients, request size
 * and unsent output; a client that misbehaves loses its own connection and nothing else. It knows
 * nothing of the guard: answers come from the caller's methods.
 */
#ifndef PLIMSOLL_DAEMON_CONTROL_SERVER_H
#define PLIMSOLL_DAEMON_CONTROL_SERVER_H

#include "loop.h"

#include <json-c/json.h>
#include <plimsoll/error.h>

struct control_server;

struct control_method {
    const char *name; /* fully qualified: io.plimsoll.GetStatus */
    bool privileged;  /* only for root and the guard's own user, by SO_PEERCRED */
    /* Returns 0 and the parameters of the reply (a new reference), or negative errno and a message.
     */
    int (*call)(struct json_object *parameters, struct json_object **ret_parameters,
        struct error *ret_error, void *userdata);
};

/* Listens at PATH: a stale socket there is replaced, mode 0660. DESCRIPTION is the varlink
 * interface definition that org.varlink.service answers with. METHODS stay the caller's. */
int control_server_new(struct loop *loop, const char *path, const struct control_method *methods,
    unsigned method_count, const char *description, void *userdata,
    struct control_server **ret_server, struct error *ret_error);
struct control_server *control_server_free(struct control_server *server);

#endif
