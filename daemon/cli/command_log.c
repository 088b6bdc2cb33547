/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `plimsoll log`: what the guard has said of late, and with --follow what it says from now on. The
 * guard keeps some hundred lines; what is older stands in the system's log. With --exec nothing is
 * printed, and a program is run for each line that is said from now on.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include <plimsoll/cleanup.h>
#include <plimsoll/units.h>

#include "alert.h"
#include "command.h"
#include "field.h"
#include "level.h"
#include "log_cursor.h"
#include "log_view.h"
#include "log_wait.h"
#include "runner.h"
#include "text.h"

/* A guard that is started anew is there again by then. */
#define FOLLOW_INTERVAL NSEC_PER_SEC

DEFINE_CLEANUP(struct json_object *, json_object_put);
DEFINE_CLEANUP(struct runner *, runner_free);

struct wish {
    const char *socket;
    char **vms; /* ends with NULL; none: all */
    uint64_t lines;
    uint64_t priority; /* graver lines and those as grave; UNKNOWN: all */
    bool json, follow;
    struct log_view view;

    const char *program; /* NULL: none is run */
    uint64_t timeout;    /* UNKNOWN: it was not given */
    struct runner *runner;
    struct log_wait wait;
    uint64_t boottime; /* when we began */
    bool refused;      /* the guard did not answer when it was asked first */
};

static uint64_t clock_read(clockid_t clock)
{
    struct timespec now = {0};

    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

static bool is_wanted(const struct wish *wish, struct json_object *line, struct json_object *fields)
{
    bool wanted = !wish->vms[0];

    if (known(wish->priority) && field_u64(line, "level") > wish->priority)
        return false;
    for (char **vm = wish->vms; *vm && !wanted; vm++)
        wanted = field_is(fields, "vm", *vm);
    return wanted;
}

/* One object a line, so that a reader need not wait for an end that --follow has not. */
static void json_print(struct json_object *line)
{
    puts(json_object_to_json_string_ext(
        line, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
}

/* How many of LINES, from the end, are the last that are wanted; where they begin. */
static size_t first_wanted(const struct wish *wish, struct json_object *lines)
{
    size_t first = json_object_array_length(lines);

    for (uint64_t found = 0; first > 0 && found < wish->lines; first--) {
        struct json_object *line = json_object_array_get_idx(lines, first - 1);
        struct json_object *fields = alert_fields(line);
        found += fields && is_wanted(wish, line, fields);
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

/*
 * The realtime from which on a line of the first answer, by the guard INSTANCE, was said since we
 * began. A guard tells by its instance when it began (history.h): one that began after us has said
 * nothing before. One that was there and answered our first question had said all of it. Else it
 * was there and silent, and the clock decides, as it goes now.
 */
static uint64_t news_begin(const struct wish *wish, uint64_t instance)
{
    if (known(instance) && instance > wish->boottime)
        return 0;
    if (!wish->refused)
        return UNKNOWN;
    return sub_or_zero(
        clock_read(CLOCK_REALTIME), sub_or_zero(clock_read(CLOCK_BOOTTIME), wish->boottime));
}

/* Prints LINE, of which FIELDS are the parts. */
static void line_print(struct wish *wish, struct json_object *line, struct json_object *fields)
{
    if (wish->json)
        json_print(line);
    else
        log_view_print(&wish->view, line, fields, stdout);
}

/* What is later than the cursor, which moves on, is printed, and what is news goes to the runner.
 */
static int log_read(struct wish *wish, struct log_cursor *cursor, struct error *ret_error)
{
    CLEANUP(log_batch_clear) struct log_batch batch = {0};
    bool fresh = cursor->instance == 0;

    int result = log_cursor_read(
        cursor, wish->socket, wish->runner ? &wish->wait.aside : NULL, &batch, ret_error);
    if (result < 0)
        return result;
    if (batch.lost > 0)
        lost_tell(batch.lost);
    if (fresh && wish->runner)
        fputs("plimsoll: the program is run for what the guard says from now on\n", stderr);
    size_t first = first_wanted(wish, batch.lines), count = json_object_array_length(batch.lines);
    uint64_t news = fresh && wish->runner ? news_begin(wish, cursor->instance) : 0;
    for (size_t i = 0; i < count; i++) {
        struct json_object *line = json_object_array_get_idx(batch.lines, i);
        if (!json_object_is_type(line, json_type_object))
            continue;
        log_cursor_pass(cursor, line);
        CLEANUP(json_object_put_at) struct json_object *fields = alert_fields(line);
        if (!fields)
            return error_set(ret_error, -ENOMEM, "no memory for the log");
        if (!is_wanted(wish, line, fields))
            continue;
        (void)json_object_object_add(line, "fields", json_object_get(fields));
        if (!wish->runner && i >= first)
            line_print(wish, line, fields);
        if (wish->runner && known(news) && field_u64(line, "realtime") >= news)
            runner_push(wish->runner, line);
    }
    return 0;
}

/* Until the next question; false: a signal ends us. */
static bool follow_pause(struct wish *wish)
{
    const struct timespec interval = {.tv_sec = (time_t)(FOLLOW_INTERVAL / NSEC_PER_SEC)};

    if (wish->runner)
        return log_wait_for(&wish->wait, FOLLOW_INTERVAL);
    (void)nanosleep(&interval, NULL);
    return true;
}

/* Until standard output is closed or a signal ends us. A guard that is away may come back; AWAY: it
 * is, and that was said. */
static int log_follow(struct wish *wish, struct log_cursor *cursor, bool away)
{
    wish->lines = UINT64_MAX;
    while (fflush(stdout) == 0) {
        if (!follow_pause(wish))
            return COMMAND_OK;
        struct error error = {0};
        int result = log_read(wish, cursor, &error);
        if (result == -ECANCELED)
            return COMMAND_OK;
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

/* Whether the guard that was not reached for that reason may come, and somebody waits for it. */
static bool is_awaited(const struct wish *wish, int result)
{
    return wish->runner && result != -EREMOTEIO && result != -ENOMEM && result != -EACCES &&
           result != -EPERM && result != -ENAMETOOLONG;
}

static int log_begin(struct wish *wish)
{
    struct error error = {0};
    struct log_cursor cursor = {0};

    int result = log_read(wish, &cursor, &error);
    if (result == -ECANCELED)
        return COMMAND_OK;
    if (result < 0)
        fprintf(stderr, "plimsoll: %s\n", error.text);
    wish->refused = result < 0;
    if (result < 0 && !is_awaited(wish, result))
        return result == -EREMOTEIO || result == -ENOMEM ? COMMAND_FAILED : COMMAND_UNREACHABLE;
    return wish->follow ? log_follow(wish, &cursor, result < 0) : COMMAND_OK;
}

/* With a program beside it, which ends before us. */
static int log_run(struct wish *wish)
{
    CLEANUP(runner_free_at) struct runner *runner = NULL;

    wish->boottime = clock_read(CLOCK_BOOTTIME);
    int result = runner_new(wish->program, known_or(wish->timeout, RUNNER_TIMEOUT), &runner);
    if (result == 0)
        result = log_wait_begin(&wish->wait, runner);
    if (result < 0) {
        fprintf(stderr, "plimsoll: no program can be run: %s\n", strerror(-result));
        return COMMAND_FAILED;
    }
    wish->runner = runner;
    result = log_begin(wish);
    runner_end(runner);
    return result;
}

/* What belongs together. */
static int wish_check(struct wish *wish)
{
    struct error error = {0};

    if (!wish->program)
        return known(wish->timeout) ? command_usage_error("--timeout goes with --exec")
                                    : COMMAND_OK;
    if (!wish->follow)
        return command_usage_error("--exec goes with --follow: it is for what is said from now on");
    if (runner_check(wish->program, &error) < 0)
        return command_usage_error("--exec: %s", error.text);
    if (!known(wish->priority))
        wish->priority = LOG_WARNING;
    return COMMAND_OK;
}

static int timeout_parse(const char *text, uint64_t *ret_timeout)
{
    if (text_parse_time(text, ret_timeout) == 0 && *ret_timeout > 0 &&
        *ret_timeout <= RUNNER_TIMEOUT_MAX)
        return COMMAND_OK;
    return command_usage_error("--timeout takes a time as 10s, of an hour at most, not “%s”", text);
}

static int options_parse(int argc, char **argv, struct wish *wish)
{
    static const struct option options[] = {
        {"follow", no_argument, NULL, 'f'},
        {"lines", required_argument, NULL, 'n'},
        {"priority", required_argument, NULL, 'p'},
        {"exec", required_argument, NULL, 'x'},
        {"timeout", required_argument, NULL, 't'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "fn:p:", options, NULL)) != -1) {
        switch (option) {
        case 'f':
            wish->follow = true;
            break;
        case 'n':
            if (text_parse_number(optarg, 0, UINT32_MAX, &wish->lines) == 0)
                break;
            return command_usage_error("--lines takes a number, not “%s”", optarg);
        case 'p':
            if (level_parse(optarg, &wish->priority) == 0)
                break;
            return command_usage_error("--priority takes " LEVEL_WORDS ", not “%s”", optarg);
        case 'x':
            wish->program = optarg;
            break;
        case 't':
            if (timeout_parse(optarg, &wish->timeout) == COMMAND_OK)
                break;
            return COMMAND_USAGE;
        default:
            return command_usage_error("see `plimsoll help log`");
        }
    }
    wish->vms = argv + optind;
    return wish_check(wish);
}

int command_log(const struct command_context *context, int argc, char **argv)
{
    struct wish wish = {.socket = context->socket,
        .vms = argv + argc, /* argv ends with NULL */
        .json = context->json,
        .lines = UINT64_MAX,
        .priority = UNKNOWN,
        .timeout = UNKNOWN,
        .view = {.style = terminal_style()}};

    if (options_parse(argc, argv, &wish) != COMMAND_OK)
        return COMMAND_USAGE;
    return wish.program ? log_run(&wish) : log_begin(&wish);
}
