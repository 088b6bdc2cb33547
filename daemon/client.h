/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The client's side of the control socket: one call, one reply, a bound on time and size.
 */
#ifndef PLIMSOLL_DAEMON_CLIENT_H
#define PLIMSOLL_DAEMON_CLIENT_H

#include <json-c/json.h>
#include <plimsoll/error.h>
#include <stdbool.h>
#include <stdint.h>

/* ns from the call to the whole reply: a guard in a storm answers late, a hung one never. */
#define CLIENT_TIMEOUT UINT64_C(5000000000)

/*
 * Calls METHOD of the guard at PATH with PARAMETERS, an object that stays the caller's, or NULL. On
 * 0 the reply's parameters, an object, belong to the caller. -EREMOTEIO: the guard answered with an
 * error; -E2BIG: it takes no request as long as that; any other negative errno: it was not reached
 * or did not answer as it should. The error's text is for a person.
 */
int client_call(const char *path, const char *method, struct json_object *parameters,
    uint64_t timeout, struct json_object **ret_parameters, struct error *ret_error);

/* What is heeded while the guard is waited for: READY whenever FD can be read; false gives the call
 * up. */
struct client_aside {
    int fd;
    bool (*ready)(void *userdata);
    void *userdata;
};

/* client_call() with ASIDE, which may be NULL; -ECANCELED where that gave it up. */
int client_call_aside(const char *path, const char *method, struct json_object *parameters,
    uint64_t timeout, const struct client_aside *aside, struct json_object **ret_parameters,
    struct error *ret_error);

#endif
