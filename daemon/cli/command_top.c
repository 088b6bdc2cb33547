/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `plimsoll top`: what `plimsoll status` and `plimsoll log` show, live on a terminal, or frame
 * after frame into a pipe.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <plimsoll/units.h>

#include "command.h"
#include "text.h"
#include "top.h"

#define INTERVAL_DEFAULT NSEC_PER_SEC
/* A tenth of a second is as often as anybody sees; an hour is no live view any more. */
#define INTERVAL_MIN (NSEC_PER_SEC / 10)
#define INTERVAL_MAX (60 * NSEC_PER_MINUTE)

/* "0.5", of seconds, or a time with its unit. */
static int interval_parse(const char *text, uint64_t *ret_interval)
{
    char seconds[32];
    int result = text_parse_time(text, ret_interval);

    if (result < 0) {
        (void)snprintf(seconds, sizeof(seconds), "%.24ss", text);
        result = text_parse_time(seconds, ret_interval);
    }
    return result < 0 || *ret_interval < INTERVAL_MIN || *ret_interval > INTERVAL_MAX ? -1 : 0;
}

static int options_parse(int argc, char **argv, struct top_wish *wish, bool *ret_batch)
{
    static const struct option options[] = {
        {"batch", no_argument, NULL, 'b'},
        {"count", required_argument, NULL, 'n'},
        {"interval", required_argument, NULL, 'i'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "bn:i:", options, NULL)) != -1) {
        switch (option) {
        case 'b':
            *ret_batch = true;
            break;
        case 'n':
            if (text_parse_number(optarg, 1, UINT32_MAX, &wish->count) == 0)
                break;
            return command_usage_error("--count takes a number from 1, not “%s”", optarg);
        case 'i':
            if (interval_parse(optarg, &wish->interval) == 0)
                break;
            return command_usage_error("--interval takes seconds, 0.1 to 3600, not “%s”", optarg);
        default:
            return command_usage_error("see `plimsoll help top`");
        }
    }
    if (optind < argc)
        return command_usage_error("top takes no argument “%s”", argv[optind]);
    return COMMAND_OK;
}

/* What can move a cursor. */
static bool terminal_serves(void)
{
    const char *kind = getenv("TERM");

    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && kind && *kind &&
           strcmp(kind, "dumb") != 0;
}

int command_top(const struct command_context *context, int argc, char **argv)
{
    struct top_wish wish = {.socket = context->socket,
        .interval = INTERVAL_DEFAULT,
        .json = context->json,
        .count = UINT64_MAX};
    bool batch = false;

    if (options_parse(argc, argv, &wish, &batch) != COMMAND_OK)
        return COMMAND_USAGE;
    if (batch)
        return top_batch(&wish);
    if (wish.json)
        return command_usage_error("top prints JSON with --batch alone");
    if (wish.count != UINT64_MAX)
        return command_usage_error("--count goes with --batch");
    if (!terminal_serves())
        return command_usage_error("top needs a terminal; into a pipe it writes with --batch");
    return top_live(&wish);
}
