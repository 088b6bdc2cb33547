/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `plimsoll vm`: all that is known of one guest, and who says what holds for it.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include <plimsoll/cleanup.h>
#include <plimsoll/control.h>

#include "client.h"
#include "command.h"
#include "vm_view.h"

DEFINE_CLEANUP(struct json_object *, json_object_put);

int command_vm(const struct command_context *context, int argc, char **argv)
{
    static const struct option none[] = {{NULL, 0, NULL, 0}};
    CLEANUP(json_object_put_at) struct json_object *parameters = json_object_new_object();
    CLEANUP(json_object_put_at) struct json_object *reply = NULL;
    struct error error = {0};
    struct style style;

    if (getopt_long(argc, argv, "", none, NULL) != -1)
        return command_usage_error("vm has no options; before a name that looks like one: --");
    if (argc - optind != 1)
        return command_usage_error("vm takes one guest: its name, uuid or pid");
    if (json_object_object_add(parameters, "name", json_object_new_string(argv[optind])) < 0) {
        fputs("plimsoll: no memory\n", stderr);
        return COMMAND_FAILED;
    }
    int result =
        client_call(context->socket, CONTROL_METHOD_VM, parameters, CLIENT_TIMEOUT, &reply, &error);
    if (result < 0) {
        fprintf(stderr, "plimsoll: %s\n", error.text);
        return result == -EREMOTEIO || result == -E2BIG ? COMMAND_FAILED : COMMAND_UNREACHABLE;
    }
    if (context->json) {
        puts(json_object_to_json_string_ext(
            reply, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
        return COMMAND_OK;
    }
    style = terminal_style();
    vm_view_print(reply, &style, stdout);
    return COMMAND_OK;
}
