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

/* Clients at a time: a handful of operators, exporters and hooks; one more is closed at once. Those
 * without rights to change anything leave four places to those who have them, so that a reader gone
 * wild never locks root out. */
#define CONTROL_CLIENTS_MAX 16
#define CONTROL_CLIENTS_READERS_MAX 12

/* Patience, ns. A request comes in one write and a reply is read by someone waiting for it: both
 * get what a loaded host may need. An idle connection is kept for pollers (`top`, exporters scrape
 * every 15 to 60 s). */
#define CONTROL_REQUEST_TIMEOUT UINT64_C(5000000000)
#define CONTROL_REPLY_TIMEOUT UINT64_C(10000000000)
#define CONTROL_IDLE_TIMEOUT UINT64_C(120000000000)

struct control_server;

struct control_method {
    const char *name; /* fully qualified: io.plimsoll.GetStatus */
    bool privileged;  /* only for root and the guard's own user, by SO_PEERCRED */
    /*
     * PARAMETERS is an object, never NULL. Returns 0 and the parameters of the reply, an object (a
     * new reference; NULL: none), or a negative errno and a message, which the client gets as
     * io.plimsoll.Failed; -EBADR: the message is the name of the wrong parameter
     * (InvalidParameter).
     */
    int (*call)(struct json_object *parameters, struct json_object **ret_parameters,
        struct error *ret_error, void *userdata);
    const char *const *parameters; /* names taken, the last NULL; NULL: none. Others are refused. */
};

/* Listens at PATH: a stale socket there is replaced, mode 0660, group CONTROL_GROUP if there is
 * one. DESCRIPTION is the varlink interface definition that org.varlink.service answers with; its
 * interface is the one the METHODS belong to. Strings and METHODS stay the caller's.
 * -EADDRINUSE: somebody answers there; -EEXIST: something else than a socket stands there. */
int control_server_new(struct loop *loop, const char *path, const struct control_method *methods,
    unsigned method_count, const char *description, void *userdata,
    struct control_server **ret_server, struct error *ret_error);
/* Closes all connections and removes the socket if it is still ours. */
struct control_server *control_server_free(struct control_server *server);

/* When control_server_expire() wants to be called next (CLOCK_MONOTONIC, ns); 0, which is at once,
 * while a request waits; NEVER: not at all. */
uint64_t control_server_deadline(const struct control_server *server);
/* Closes the connections whose patience is over, and answers one request if any waits: to be called
 * once in a turn of the loop, behind what must not wait for it. */
void control_server_expire(struct control_server *server, uint64_t now);

#endif
