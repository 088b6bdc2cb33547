/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `plimsoll hold` and `plimsoll release`: maintenance. The guard does both; here is only what is
 * asked, and what came of it.
 */
#include "client.h"
#include "command.h"
#include "field.h"
#include "hold.h"
#include "text.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/control.h>
#include <stdio.h>

DEFINE_CLEANUP(struct json_object *, json_object_put);

/* COMMAND_OK: *RET_REPLY is the caller's, and printed if JSON is wanted. */
static int ask(const struct command_context *context, const char *method,
    struct json_object *parameters, struct json_object **ret_reply)
{
    struct error error = {0};
    int result =
        client_call(context->socket, method, parameters, CLIENT_TIMEOUT, ret_reply, &error);

    if (result < 0) {
        fprintf(stderr, "plimsoll: %s\n", error.text);
        return result == -EREMOTEIO ? COMMAND_FAILED : COMMAND_UNREACHABLE;
    }
    if (context->json)
        puts(json_object_to_json_string_ext(
            *ret_reply, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    return COMMAND_OK;
}

static int time_parse(int argc, char **argv, uint64_t *ret_time)
{
    char shown[FIELD_MAX];

    *ret_time = HOLD_DEFAULT;
    if (argc > 2)
        return command_usage_error("hold takes one time, such as '1h 30min'");
    if (argc < 2)
        return COMMAND_OK;
    text_finish(shown, sizeof(shown), snprintf(shown, sizeof(shown), "%s", argv[1]));
    if (text_parse_time(argv[1], ret_time) < 0 || *ret_time == 0)
        return command_usage_error("“%s” is no time such as 30min or 2h", shown);
    if (*ret_time > HOLD_MOST)
        return command_usage_error("a hold is a day at most; for longer there is mode=dry-run in "
                                   "the configuration");
    return COMMAND_OK;
}

int command_hold(const struct command_context *context, int argc, char **argv)
{
    CLEANUP(json_object_put_at) struct json_object *parameters = json_object_new_object();
    CLEANUP(json_object_put_at) struct json_object *reply = NULL;
    char moment[TEXT_NUMBER_MAX], left[FIELD_MAX];
    uint64_t time;
    int result = time_parse(argc, argv, &time);

    if (result != COMMAND_OK)
        return result;
    (void)json_object_object_add(parameters, "time", json_object_new_int64((int64_t)time));
    result = ask(context, CONTROL_METHOD_HOLD, parameters, &reply);
    if (result != COMMAND_OK || context->json)
        return result;
    (void)text_format_moment(field_u64(reply, "until"), moment, sizeof(moment));
    (void)field_time(reply, "remaining", left);
    if (json_object_get_boolean(field_get(reply, "stands")))
        printf("A hold that lasts longer is in force already: until %s (%s).\n", moment, left);
    else
        printf("Held until %s (%s): the guard watches and takes nothing new, and gives back what "
               "there is room for.\n",
            moment, left);
    if (field_is(reply, "mode", "held"))
        puts("To end it before: plimsoll release");
    else
        puts("It is in dry run as it is.");
    return COMMAND_OK;
}

int command_release(const struct command_context *context, int argc, char **argv)
{
    CLEANUP(json_object_put_at) struct json_object *parameters = json_object_new_object();
    CLEANUP(json_object_put_at) struct json_object *reply = NULL;
    static const struct option options[] = {{NULL, 0, NULL, 0}};

    if (getopt_long(argc, argv, "", options, NULL) != -1)
        return command_usage_error("see `plimsoll help release`");
    if (argc - optind > 1)
        return command_usage_error("release takes one guest, or none");
    const char *name = optind < argc ? argv[optind] : NULL;
    if (name)
        (void)json_object_object_add(parameters, "name", json_object_new_string(name));
    int result = ask(context, CONTROL_METHOD_RELEASE, parameters, &reply);
    if (result != COMMAND_OK || context->json)
        return result;
    uint64_t guests = known_or(field_u64(reply, "guests"), 0);
    bool held = field_is_true(reply, "held");
    bool acts = field_is(reply, "mode", "enforce");
    if (name)
        fputs(held ? "Released." : "It had no hold of its own.", stdout);
    else
        fputs(held || guests > 0 ? "Released." : "There was no hold.", stdout);
    if (!name && guests > 0)
        printf(" With it %" PRIu64 " guest%s that had been left alone.", guests,
            guests > 1 ? "s" : "");
    if (field_is(reply, "mode", "held"))
        puts(" The host is held.");
    else
        puts(acts ? " The guard acts." : " The guard is in dry run.");
    return COMMAND_OK;
}
