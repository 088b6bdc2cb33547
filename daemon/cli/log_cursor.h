/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a reader of the guard's alerts has come to, also when the guard is started anew. */
#ifndef PLIMSOLL_CLI_LOG_CURSOR_H
#define PLIMSOLL_CLI_LOG_CURSOR_H

#include <json-c/json.h>
#include <plimsoll/error.h>
#include <stdbool.h>
#include <stdint.h>

#include "client.h"

/* Zeroed: at the beginning of what the guard has. */
struct log_cursor {
    uint64_t instance; /* of the guard; UNKNOWN: it does not say */
    uint64_t after;    /* the last line's realtime and number; 0: none */
    uint64_t number;
};

struct log_batch {
    struct json_object *reply;
    struct json_object *lines; /* an array, of the reply's */
    uint64_t lost;  /* so many lines before them nobody can read any more; UNKNOWN: some */
    bool restarted; /* by another guard than the last */
};

/* One that was never filled is zeroed. */
void log_batch_clear(struct log_batch *batch);

/* Asks the guard at SOCKET for what is later than the cursor, which takes note of the guard and
 * does not move. What another guard than the last has said is all of it later. -EREMOTEIO: the
 * guard refuses; -EPROTO: what it answers is no log; else as client_call_aside(), with ASIDE or
 * NULL. *RET_BATCH is the caller's to clear. */
int log_cursor_read(struct log_cursor *cursor, const char *socket, const struct client_aside *aside,
    struct log_batch *ret_batch, struct error *ret_error);

/* Moves behind LINE, an element of the last batch's. */
void log_cursor_pass(struct log_cursor *cursor, struct json_object *line);

#endif
