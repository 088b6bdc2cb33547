/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The conversation with the guard about one start, however often it has to be asked. */
#ifndef PLIMSOLL_DAEMON_HOOK_ASKING_H
#define PLIMSOLL_DAEMON_HOOK_ASKING_H

#include <json-c/json.h>
#include <plimsoll/error.h>
#include <stdbool.h>
#include <stdint.h>

enum asking_end {
    ASKING_ADMITTED,    /* or the guard's refusal is not to be followed */
    ASKING_REFUSED,     /* for what the error says, in the guard's words */
    ASKING_UNREACHABLE, /* nobody knows whether it fits; the error says why */
};

/*
 * Puts QUESTION to the guard at SOCKET, again while it is told to wait, until DEADLINE (loop_now())
 * and ASKING_ANSWER_MIN at the latest. One that turns clients away is tried again as long; INSIST:
 * so is one that is not there.
 */
#define ASKING_ANSWER_MIN UINT64_C(100000000) /* ns: the last to be asked has as long to answer */
enum asking_end asking_run(const char *socket, struct json_object *question, uint64_t deadline,
    bool insist, struct error *ret_error);

#endif
