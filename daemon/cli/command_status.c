/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `plimsoll status`: asks the guard and prints its answer, as it is or as tables.
 */
#include "client.h"
#include "command.h"
#include "status_view.h"
#include "terminal.h"

#include <errno.h>
#include <plimsoll/control.h>
#include <stdio.h>
#include <string.h>

int command_status(const struct command_context *context, int argc, char **argv)
{
    struct json_object *status = NULL;
    struct style style;
    struct error error = {0};
    int result;

    (void)argv;
    if (argc != 1)
        return command_usage_error("status takes no arguments");
    result =
        client_call(context->socket, CONTROL_METHOD_STATUS, NULL, CLIENT_TIMEOUT, &status, &error);
    if (result < 0) {
        fprintf(stderr, "plimsoll: %s\n", error.text);
        return result == -EREMOTEIO ? COMMAND_FAILED : COMMAND_UNREACHABLE;
    }
    if (context->json) {
        puts(json_object_to_json_string_ext(
            status, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    } else {
        style = terminal_style();
        result = status_view_print(status, &style, stdout);
        if (result < 0)
            fprintf(stderr, "plimsoll: cannot print the status: %s\n", strerror(-result));
    }
    json_object_put(status);
    return result < 0 ? COMMAND_FAILED : COMMAND_OK;
}
