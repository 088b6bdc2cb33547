/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `plimsoll version`: this command's, and the running guard's where there is one: after an upgrade
 * they differ until the guard is restarted. A guard that cannot be reached is no failure here.
 */
#include "client.h"
#include "command.h"

#include <plimsoll/control.h>
#include <stdio.h>

/* The command must be quick when nobody answers. */
#define VERSION_TIMEOUT (CLIENT_TIMEOUT / 5)

int command_version(const struct command_context *context, int argc, char **argv)
{
    struct json_object *info = NULL, *version = NULL;
    const char *guard = NULL;

    (void)argv;
    if (argc != 1)
        return command_usage_error("version takes no arguments");
    if (client_call(context->socket, VARLINK_METHOD_INFO, NULL, VERSION_TIMEOUT, &info, NULL) ==
            0 &&
        json_object_object_get_ex(info, "version", &version) &&
        json_object_is_type(version, json_type_string))
        guard = json_object_get_string(version);

    if (context->json) {
        struct json_object *answer = json_object_new_object();

        json_object_object_add(answer, "command", json_object_new_string(PLIMSOLL_VERSION));
        json_object_object_add(answer, "guard", guard ? json_object_new_string(guard) : NULL);
        puts(json_object_to_json_string_ext(
            answer, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
        json_object_put(answer);
    } else {
        puts("plimsoll " PLIMSOLL_VERSION);
        if (guard)
            printf("plimsolld %s\n", guard);
    }
    json_object_put(info);
    return COMMAND_OK;
}
