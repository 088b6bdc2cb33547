/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the asking for what was said since. A line is found again by its time, which is its own
 * within one guard's lines, and says nothing of another's: between the two the clock may have been
 * set, and who waited for it to catch up would hear nothing for as long. So the guard is known by
 * its instance, and of another one all is asked for.
 */
#include "log_cursor.h"

#include <errno.h>

#include <plimsoll/cleanup.h>
#include <plimsoll/control.h>
#include <plimsoll/units.h>

#include "field.h"

DEFINE_CLEANUP(struct json_object *, json_object_put);

void log_batch_clear(struct log_batch *batch)
{
    (void)json_object_put(batch->reply);
    *batch = (struct log_batch){0};
}

static int log_ask(const char *socket, const struct client_aside *aside, uint64_t after,
    struct json_object **ret_reply, struct error *ret_error)
{
    CLEANUP(json_object_put_at) struct json_object *parameters = json_object_new_object();

    (void)json_object_object_add(parameters, "after", json_object_new_uint64(after));
    return client_call_aside(
        socket, CONTROL_METHOD_LOG, parameters, CLIENT_TIMEOUT, aside, ret_reply, ret_error);
}

/* How many are missing between the cursor and the first of LINES. */
static uint64_t lines_lost(const struct log_cursor *cursor, struct json_object *lines)
{
    uint64_t first = json_object_array_length(lines) > 0
                         ? field_u64(json_object_array_get_idx(lines, 0), "number")
                         : UNKNOWN;

    if (!known(first) || !known(cursor->number))
        return UNKNOWN;
    return sub_or_zero(first, cursor->number + 1);
}

int log_cursor_read(struct log_cursor *cursor, const char *socket, const struct client_aside *aside,
    struct log_batch *ret_batch, struct error *ret_error)
{
    CLEANUP(json_object_put_at) struct json_object *reply = NULL;
    struct log_batch batch = {0};

    int result = log_ask(socket, aside, cursor->after, &reply, ret_error);
    if (result < 0)
        return result;
    bool fresh = cursor->instance == 0;
    if (!fresh && field_u64(reply, "instance") != cursor->instance) {
        (void)json_object_put(reply);
        reply = NULL;
        result = log_ask(socket, aside, 0, &reply, ret_error);
        if (result < 0)
            return result; /* and the next one is another, too */
        batch.restarted = true;
    }
    batch.lines = field_get(reply, "lines");
    if (!json_object_is_type(batch.lines, json_type_array))
        return error_set(ret_error, -EPROTO, "the guard's log is not a list of lines");
    if (batch.restarted)
        *cursor = (struct log_cursor){0};
    /* Who reads for the first time misses nothing: what is older is not of late. */
    if (!fresh && field_is_true(reply, "gap"))
        batch.lost = lines_lost(cursor, batch.lines);
    cursor->instance = field_u64(reply, "instance");
    batch.reply = STEAL(reply);
    *ret_batch = batch;
    return 0;
}

void log_cursor_pass(struct log_cursor *cursor, struct json_object *line)
{
    uint64_t realtime = field_u64(line, "realtime");

    cursor->number = field_u64(line, "number");
    cursor->after = known(realtime) ? max_u64(cursor->after, realtime) : cursor->after;
}
