/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `plimsoll hold` and `plimsoll release`: for maintenance the guard touches nobody for a while.
 */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include <plimsoll/control.h>
#include <plimsoll/units.h>

#include "client.h"
#include "command.h"
#include "text.h"

/* Most work at a host is done by then; who forgets it is without a guard no longer than that. */
#define TIME_DEFAULT (60 * NSEC_PER_MINUTE)

static int method_call(
    const struct command_context *context, const char *method, struct json_object *parameters)
{
    struct json_object *reply = NULL;
    struct error error = {0};
    int result = client_call(context->socket, method, parameters, CLIENT_TIMEOUT, &reply, &error);

    json_object_put(reply);
    if (result == 0)
        return COMMAND_OK;
    fprintf(stderr, "plimsoll: %s\n", error.text);
    return result == -EREMOTEIO ? COMMAND_FAILED : COMMAND_UNREACHABLE;
}

/* For a person; with --json the reply is an empty object. */
static void said(const struct command_context *context, const char *words)
{
    puts(context->json ? "{}" : words);
}

int command_hold(const struct command_context *context, int argc, char **argv)
{
    uint64_t time = TIME_DEFAULT;
    struct timespec now = {0};
    char moment[TEXT_NUMBER_MAX], words[256];

    if (argc > 2)
        return command_usage_error("hold takes one time");
    if (argc == 2 && (text_parse_time(argv[1], &time) < 0 || time == 0 || time > CONTROL_HOLD_MAX))
        return command_usage_error("hold takes a time up to 7d, such as 30min, not “%s”", argv[1]);
    struct json_object *parameters = json_object_new_object();
    (void)json_object_object_add(parameters, "time", json_object_new_uint64(time));
    int result = method_call(context, CONTROL_METHOD_HOLD, parameters);
    json_object_put(parameters);
    if (result != COMMAND_OK)
        return result;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    uint64_t until = (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec + time;
    (void)snprintf(words, sizeof(words),
        "Until %s the guard watches and tells what it would do, and touches nobody,\n"
        "but to give back what it has taken. `plimsoll release` ends this.",
        text_format_moment(until, moment, sizeof(moment)));
    said(context, words);
    return COMMAND_OK;
}

int command_release(const struct command_context *context, int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return command_usage_error("release takes no arguments");
    int result = method_call(context, CONTROL_METHOD_RELEASE, NULL);
    if (result == COMMAND_OK)
        said(context, "The guard acts again, as far as its configuration says.");
    return result;
}
