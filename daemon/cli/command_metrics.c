/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `plimsoll metrics`: the guard's status for Prometheus, to standard output or to a file for
 * node_exporter. A guard that cannot be reached is a figure, too, and the only one: the old ones
 * would look like the present.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include <plimsoll/cleanup.h>
#include <plimsoll/control.h>

#include "client.h"
#include "command.h"
#include "metrics.h"
#include "textfile.h"

DEFINE_CLEANUP(struct json_object *, json_object_put);

static int file_write(struct json_object *status, const char *path)
{
    struct error error = {0};
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    int result = out ? metrics_write(status, METRIC_TEXT, out) : -ENOMEM;

    if (out && fclose(out) != 0 && result == 0)
        result = -ENOMEM;
    if (result < 0)
        result = error_set(&error, result, "no memory for the metrics");
    else
        result = textfile_replace(path, text, size, TEXTFILE_FOR_ALL, &error);
    free(text);
    if (result < 0)
        fprintf(stderr, "plimsoll: %s\n", error.text);
    return result;
}

static int metrics_print(struct json_object *status, enum metric_format format)
{
    int result = metrics_write(status, format, stdout);

    if (result < 0)
        fprintf(stderr, "plimsoll: cannot print the metrics: %s\n", strerror(-result));
    return result;
}

static int options_parse(int argc, char **argv, const char **ret_file)
{
    static const struct option options[] = {
        {"textfile", required_argument, NULL, 't'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option != 't')
            return command_usage_error("see `plimsoll help metrics`");
        *ret_file = optarg;
    }
    if (optind < argc)
        return command_usage_error("metrics takes no arguments but --textfile FILE");
    return COMMAND_OK;
}

int command_metrics(const struct command_context *context, int argc, char **argv)
{
    CLEANUP(json_object_put_at) struct json_object *status = NULL;
    struct error error = {0};
    const char *file = NULL;
    int result;

    if (options_parse(argc, argv, &file) != COMMAND_OK)
        return COMMAND_USAGE;
    if (file && context->json)
        return command_usage_error("--textfile is in Prometheus' format, and --json in another");
    int reached =
        client_call(context->socket, CONTROL_METHOD_STATUS, NULL, CLIENT_TIMEOUT, &status, &error);
    if (reached < 0)
        fprintf(stderr, "plimsoll: %s\n", error.text);
    if (file)
        result = file_write(status, file);
    else
        result = metrics_print(status, context->json ? METRIC_JSON : METRIC_OPENMETRICS);
    if (result < 0 || reached == -EREMOTEIO)
        return COMMAND_FAILED;
    return reached < 0 ? COMMAND_UNREACHABLE : COMMAND_OK;
}
