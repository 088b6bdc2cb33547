/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From one varlink call to its reply: which method, with what rights and parameters.
 */
#ifndef PLIMSOLL_DAEMON_CONTROL_CALL_H
#define PLIMSOLL_DAEMON_CONTROL_CALL_H

#include "control_server.h"
#include "varlink.h"

/* What a server answers with; strings and methods are its caller's. */
struct control_service {
    const struct control_method *methods;
    unsigned method_count;
    const char *description;
    void *userdata;
};

/* The reply to CALL, an error reply included; NULL without memory. A oneway call is carried out
 * too, its reply is for the caller to drop. PRIVILEGED: the peer may change things. */
struct json_object *control_call_answer(
    const struct control_service *service, const struct varlink_call *call, bool privileged);

#endif
