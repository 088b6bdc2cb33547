/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `plimsoll why`: the guard's last decision, about all, about one guest, or of one kind, in
 * sentences.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <plimsoll/cleanup.h>
#include <plimsoll/control.h>
#include <plimsoll/units.h>

#include "alert.h"
#include "client.h"
#include "command.h"
#include "field.h"
#include "text.h"
#include "why_view.h"

DEFINE_CLEANUP(struct json_object *, json_object_put);

static bool is_answer(struct json_object *fields, const char *subject)
{
    if (!alert_is_decision(fields))
        return false;
    if (!subject)
        return true;
    return field_is(fields, "vm", subject) || field_is(fields, "action", subject) ||
           field_is(fields, "reason", subject);
}

/* The latest of LINES that answers; *RET_FIELDS are then the caller's. NULL: none. */
static struct json_object *answer_find(
    struct json_object *lines, const char *subject, struct json_object **ret_fields)
{
    size_t count =
        json_object_is_type(lines, json_type_array) ? json_object_array_length(lines) : 0;

    for (size_t i = count; i > 0; i--) {
        struct json_object *line = json_object_array_get_idx(lines, i - 1);
        struct json_object *fields = alert_fields(line);
        if (is_answer(fields, subject)) {
            *ret_fields = fields;
            return line;
        }
        json_object_put(fields);
    }
    return NULL;
}

static int answer_print(
    const struct command_context *context, struct json_object *line, struct json_object *fields)
{
    struct style style = terminal_style();
    struct timespec now = {0};

    if (context->json) {
        (void)json_object_object_add(line, "fields", json_object_get(fields));
        puts(json_object_to_json_string_ext(
            line, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
        return COMMAND_OK;
    }
    (void)clock_gettime(CLOCK_REALTIME, &now);
    why_view_print(
        line, fields, (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec, &style, stdout);
    return COMMAND_OK;
}

int command_why(const struct command_context *context, int argc, char **argv)
{
    CLEANUP(json_object_put_at) struct json_object *reply = NULL;
    CLEANUP(json_object_put_at) struct json_object *fields = NULL;
    const char *subject = argc > 1 ? argv[1] : NULL;
    struct error error = {0};

    if (argc > 2)
        return command_usage_error("why takes one guest, action or reason");
    int result =
        client_call(context->socket, CONTROL_METHOD_LOG, NULL, CLIENT_TIMEOUT, &reply, &error);
    if (result < 0) {
        fprintf(stderr, "plimsoll: %s\n", error.text);
        return result == -EREMOTEIO ? COMMAND_FAILED : COMMAND_UNREACHABLE;
    }
    struct json_object *line = answer_find(field_get(reply, "lines"), subject, &fields);
    if (line)
        return answer_print(context, line, fields);
    char name[FIELD_MAX];
    text_finish(name, sizeof(name), snprintf(name, sizeof(name), "%s", subject ? subject : ""));
    fprintf(stderr,
        "plimsoll: of the last lines that the guard has said none is a decision%s%s; what is older "
        "stands in the system's log\n",
        subject ? " about " : "", name);
    return COMMAND_FAILED;
}
