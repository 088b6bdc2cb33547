/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `plimsoll log`: what the guard has said of late, and with --follow what it says from now on. The
 * guard keeps some hundred lines; what is older stands in the system's log.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <plimsoll/cleanup.h>
#include <plimsoll/units.h>

#include "alert.h"
#include "command.h"
#include "field.h"
#include "log_cursor.h"
#include "log_view.h"
#include "text.h"

/* A guard that is started anew is there again by then. */
#define FOLLOW_INTERVAL NSEC_PER_SEC

DEFINE_CLEANUP(struct json_object *, json_object_put);

struct wish {
    const char *socket;
    char **vms; /* ends with NULL; none: all */
    uint64_t lines;
    bool json, follow;
    struct log_view view;
};

static bool is_wanted(const struct wish *wish, struct json_object *fields)
{
    bool wanted = !wish->vms[0];

    for (char **vm = wish->vms; *vm && !wanted; vm++)
        wanted = field_is(fields, "vm", *vm);
    return wanted;
}

/* One object a line, so that a reader need not wait for an end that --follow has not. */
static void json_print(struct json_object *line, struct json_object *fields)
{
    (void)json_object_object_add(line, "fields", json_object_get(fields));
    puts(json_object_to_json_string_ext(
        line, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
}

/* How many of LINES, from the end, are the last that are wanted; where they begin. */
static size_t first_wanted(const struct wish *wish, struct json_object *lines)
{
    size_t first = json_object_array_length(lines);

    for (uint64_t found = 0; first > 0 && found < wish->lines; first--) {
        struct json_object *fields = alert_fields(json_object_array_get_idx(lines, first - 1));
        found += fields && is_wanted(wish, fields);
        json_object_put(fields);
    }
    return first;
}

static void lost_tell(uint64_t lost)
{
    if (known(lost))
        fprintf(stderr, "plimsoll: %" PRIu64 " lines came too fast and are lost here\n", lost);
    else
        fputs("plimsoll: some lines came too fast and are lost here\n", stderr);
}

/* Prints what is later than the cursor, which moves on. */
static int log_print(struct wish *wish, struct log_cursor *cursor, struct error *ret_error)
{
    CLEANUP(log_batch_clear) struct log_batch batch = {0};

    int result = log_cursor_read(cursor, wish->socket, &batch, ret_error);
    if (result < 0)
        return result;
    if (batch.lost > 0)
        lost_tell(batch.lost);
    size_t first = first_wanted(wish, batch.lines), count = json_object_array_length(batch.lines);
    for (size_t i = 0; i < count; i++) {
        struct json_object *line = json_object_array_get_idx(batch.lines, i);
        if (!json_object_is_type(line, json_type_object))
            continue;
        log_cursor_pass(cursor, line);
        CLEANUP(json_object_put_at) struct json_object *fields = alert_fields(line);
        if (!fields)
            return error_set(ret_error, -ENOMEM, "no memory for the log");
        if (i < first || !is_wanted(wish, fields))
            continue;
        if (wish->json)
            json_print(line, fields);
        else
            log_view_print(&wish->view, line, fields, stdout);
    }
    return 0;
}

/* Until standard output is closed or somebody ends us. A guard that is away may come back. */
static int log_follow(struct wish *wish, struct log_cursor *cursor)
{
    const struct timespec interval = {.tv_sec = (time_t)(FOLLOW_INTERVAL / NSEC_PER_SEC)};
    bool away = false;

    wish->lines = UINT64_MAX;
    while (fflush(stdout) == 0) {
        struct error error = {0};
        (void)nanosleep(&interval, NULL);
        int result = log_print(wish, cursor, &error);
        if (result == -EREMOTEIO || (result < 0 && !away))
            fprintf(stderr, "plimsoll: %s\n", error.text);
        if (result == -EREMOTEIO)
            return COMMAND_FAILED;
        if (away && result == 0)
            fputs("plimsoll: the guard answers again\n", stderr);
        away = result < 0;
    }
    return COMMAND_FAILED;
}

static int options_parse(int argc, char **argv, struct wish *wish)
{
    static const struct option options[] = {
        {"follow", no_argument, NULL, 'f'},
        {"lines", required_argument, NULL, 'n'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "fn:", options, NULL)) != -1) {
        switch (option) {
        case 'f':
            wish->follow = true;
            break;
        case 'n':
            if (text_parse_number(optarg, 0, UINT32_MAX, &wish->lines) == 0)
                break;
            return command_usage_error("--lines takes a number, not “%s”", optarg);
        default:
            return command_usage_error("see `plimsoll help log`");
        }
    }
    wish->vms = argv + optind;
    return COMMAND_OK;
}

int command_log(const struct command_context *context, int argc, char **argv)
{
    struct wish wish = {.socket = context->socket,
        .vms = argv + argc, /* argv ends with NULL */
        .json = context->json,
        .lines = UINT64_MAX,
        .view = {.style = terminal_style()}};
    struct error error = {0};
    struct log_cursor cursor = {0};

    if (options_parse(argc, argv, &wish) != COMMAND_OK)
        return COMMAND_USAGE;
    int result = log_print(&wish, &cursor, &error);
    if (result < 0) {
        fprintf(stderr, "plimsoll: %s\n", error.text);
        return result == -EREMOTEIO || result == -ENOMEM ? COMMAND_FAILED : COMMAND_UNREACHABLE;
    }
    return wish.follow ? log_follow(&wish, &cursor) : COMMAND_OK;
}
