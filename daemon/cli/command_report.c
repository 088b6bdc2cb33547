/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `plimsoll report`: one shortage of memory as a page, from the guard's record. Needs no guard, and
 * no rights but to read the record.
 */
#include "command.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <plimsoll/cleanup.h>

#include "chart.h"
#include "page_html.h"
#include "page_json.h"
#include "page_text.h"
#include "text.h"
#include "textfile.h"

/* LogsDirectory= of the service. */
#define RECORD_DEFAULT "/var/log/plimsoll"

struct asked {
    const char *html, *svg; /* paths; "-": standard output */
    bool list;
    uint64_t number; /* of the event, counted from the last */
    const char *record;
};

static int options_parse(int argc, char **argv, struct asked *asked)
{
    static const struct option options[] = {
        {"event", required_argument, NULL, 'e'},
        {"html", required_argument, NULL, 'h'},
        {"list", no_argument, NULL, 'l'},
        {"svg", required_argument, NULL, 's'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'e' && text_parse_number(optarg, 1, EVENTS_MAX, &asked->number) < 0)
            return command_usage_error(
                "--event takes a number of 1 to %d, 1 is the last", EVENTS_MAX);
        if (option == 'h')
            asked->html = optarg;
        if (option == 's')
            asked->svg = optarg;
        if (option == 'l')
            asked->list = true;
        if (option == '?')
            return command_usage_error("see `plimsoll help report`");
    }
    if (argc - optind > 1)
        return command_usage_error("report takes one trace, or a folder of them");
    if (optind < argc)
        asked->record = argv[optind];
    return COMMAND_OK;
}

typedef int (*page_printer)(const struct report *report, FILE *out);

static int chart_print(const struct report *report, FILE *out)
{
    chart_host_print(report, out);
    return fflush(out) != 0 || ferror(out) ? -EIO : 0;
}

/* To standard output, or as a whole to the file PATH. */
static int page_write(
    const struct report *report, const char *path, page_printer printer, struct error *ret_error)
{
    char *text = NULL;
    size_t size = 0;

    if (strcmp(path, "-") == 0)
        return printer(report, stdout) < 0
                   ? error_set(ret_error, -EIO, "the report cannot be printed")
                   : 0;
    FILE *out = open_memstream(&text, &size);
    int result = out ? printer(report, out) : -ENOMEM;
    if (out && fclose(out) != 0 && result == 0)
        result = -ENOMEM;
    if (result < 0)
        result = error_set(ret_error, result, "no memory for the page");
    else
        result = textfile_replace(path, text, size, 0, ret_error);
    free(text);
    return result;
}

static int json_print(
    const struct events *events, const struct report *report, struct error *ret_error)
{
    struct json_object *answer = page_json(events, report);

    if (!answer)
        return error_set(ret_error, -ENOMEM, "no memory for the report");
    puts(json_object_to_json_string_ext(
        answer, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(answer);
    return 0;
}

static int pages_write(
    const struct asked *asked, const struct report *report, struct error *ret_error)
{
    int result = 0;

    if (!asked->html && !asked->svg)
        return page_write(report, "-", page_text_print, ret_error);
    if (asked->html)
        result = page_write(report, asked->html, page_html_print, ret_error);
    if (asked->svg && result == 0)
        result = page_write(report, asked->svg, chart_print, ret_error);
    return result;
}

static int report_make(
    const struct asked *asked, bool json, struct progress *progress, struct error *ret_error)
{
    CLEANUP(traces_close_at) struct traces *traces = NULL;
    CLEANUP(events_free_at) struct events *events = NULL;
    CLEANUP(report_free_at) struct report *report = NULL;
    int result = traces_open(asked->record, &traces, ret_error);

    if (result < 0)
        return result;
    if (events_new(&events) < 0)
        return error_set(ret_error, -ENOMEM, "no memory for the record's events");
    if (traces->count > 0)
        result = events_find(events, traces, progress, ret_error);
    if (result < 0)
        return result;
    if (!asked->list && asked->number > events->count && (asked->number > 1 || !json)) {
        return events->count == 0
                   ? error_set(ret_error, -ENOENT,
                         "%s: memory was never short in this record, so there is nothing to report",
                         asked->record)
                   : error_set(ret_error, -ENOENT,
                         "%s has %" PRIu32 " events; plimsoll report --list shows them",
                         asked->record, events->count);
    }
    if (!asked->list && events->count > 0)
        result = report_new(
            traces, events, events->count - (uint32_t)asked->number, progress, &report, ret_error);
    if (result < 0)
        return result;
    progress_hide(progress);
    if (json)
        return json_print(events, report, ret_error);
    if (asked->list)
        return page_text_list(events, stdout);
    return pages_write(asked, report, ret_error);
}

int command_report(const struct command_context *context, int argc, char **argv)
{
    struct progress progress = progress_begin("Reading the record");
    struct asked asked = {.number = 1, .record = RECORD_DEFAULT};
    struct error error = {0};
    int result = options_parse(argc, argv, &asked);

    if (result != COMMAND_OK)
        return result;
    if (context->json && (asked.html || asked.svg))
        return command_usage_error("--html and --svg are forms of their own, and --json another");
    result = report_make(&asked, context->json, &progress, &error);
    progress_hide(&progress);
    if (result < 0)
        fprintf(stderr, "plimsoll: %s\n", error.text);
    return result < 0 ? COMMAND_FAILED : COMMAND_OK;
}
