/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `plimsoll plan`: asks the guard what it would do now if so much memory were needed, or what it is
 * about to do anyway, and prints the answer. The exit status is the answer's gist, so what keeps it
 * from one is told apart from a need that would not be met.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>

#include <plimsoll/cleanup.h>
#include <plimsoll/control.h>
#include <plimsoll/units.h>

#include "client.h"
#include "command.h"
#include "plan_view.h"
#include "terminal.h"
#include "text.h"

#include <json-c/json.h>

DEFINE_CLEANUP(struct json_object *, json_object_put);

struct wish {
    uint64_t need, node; /* UNKNOWN: not given */
};

static int options_parse(int argc, char **argv, struct wish *wish)
{
    static const struct option options[] = {
        {"need", required_argument, NULL, 'n'},
        {"node", required_argument, NULL, 'N'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'n':
            if (text_parse_size(optarg, &wish->need) == 0)
                break;
            return command_usage_error("--need takes a size, such as 512M or 4G, not “%s”", optarg);
        case 'N':
            if (text_parse_number(optarg, 0, UINT32_MAX, &wish->node) == 0)
                break;
            return command_usage_error("--node takes a node's number, not “%s”", optarg);
        default:
            return command_usage_error("see `plimsoll help plan`");
        }
    }
    return optind == argc ? COMMAND_OK : command_usage_error("plan takes no arguments");
}

static struct json_object *parameters_of(const struct wish *wish)
{
    struct json_object *parameters = json_object_new_object();

    if (known(wish->need))
        (void)json_object_object_add(parameters, "need", json_object_new_uint64(wish->need));
    if (known(wish->node))
        (void)json_object_object_add(parameters, "node", json_object_new_uint64(wish->node));
    return parameters;
}

int command_plan(const struct command_context *context, int argc, char **argv)
{
    CLEANUP(json_object_put_at) struct json_object *parameters = NULL;
    CLEANUP(json_object_put_at) struct json_object *plan = NULL;
    struct wish wish = {.need = UNKNOWN, .node = UNKNOWN};
    struct error error = {0};

    if (options_parse(argc, argv, &wish) != COMMAND_OK)
        return COMMAND_USAGE;
    parameters = parameters_of(&wish);
    int result = client_call(
        context->socket, CONTROL_METHOD_PLAN, parameters, CLIENT_TIMEOUT, &plan, &error);
    if (result < 0) {
        fprintf(stderr, "plimsoll: %s\n", error.text);
        return result == -EREMOTEIO || result == -ENOMEM ? COMMAND_USAGE : COMMAND_UNREACHABLE;
    }
    if (context->json) {
        puts(json_object_to_json_string_ext(
            plan, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    } else {
        const struct style style = terminal_style();
        plan_view_print(plan, &style, stdout);
    }
    struct json_object *met = json_object_object_get(plan, "met");
    return json_object_get_boolean(met) ? COMMAND_OK : COMMAND_FAILED;
}
