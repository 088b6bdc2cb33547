/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `plimsoll replay TRACE`: has the policy decide again on what a guard has recorded, and prints
 * where it decides otherwise. Needs no guard and no rights but to read the trace.
 */
#include "command.h"
#include "replay.h"
#include "replay_view.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

/* As those of cmp(1). */
enum replay_exit {
    REPLAY_SAME = 0,
    REPLAY_DIFFERS = 1,
    REPLAY_UNUSABLE = 2,
};

static void mistake_print(const char *line, void *userdata)
{
    (void)userdata;
    fprintf(stderr, "%s\n", line);
}

static int arguments_parse(int argc, char **argv, const char **ret_config)
{
    static const struct option known_options[] = {
        {"config", required_argument, NULL, 'c'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", known_options, NULL)) != -1) {
        if (option != 'c')
            return command_usage_error("see `plimsoll help replay`");
        *ret_config = optarg;
    }
    if (argc - optind != 1)
        return command_usage_error("replay needs one TRACE");
    return COMMAND_OK;
}

static int trace_replay(const char *path, const struct config *config, bool json)
{
    struct replay_view view = {.out = stdout, .json = json};
    struct replay_score score = {0};
    struct error error = {0};
    FILE *in = fopen(path, "re");

    if (!in) {
        fprintf(stderr, "plimsoll: %s: %s\n", path, strerror(errno));
        return REPLAY_UNUSABLE;
    }
    int result = replay_run(in, config, replay_view_difference, &view, &score, &error);
    (void)fclose(in);
    replay_view_end(&view, &score, result < 0 ? &error : NULL);
    if (result < 0) {
        fprintf(stderr, "plimsoll: %s: %s\n", path, error.text);
        return REPLAY_UNUSABLE;
    }
    return score.differences > 0 ? REPLAY_DIFFERS : REPLAY_SAME;
}

int command_replay(const struct command_context *context, int argc, char **argv)
{
    struct config *config = NULL;
    const char *config_path = NULL;
    int result = arguments_parse(argc, argv, &config_path);

    if (result != COMMAND_OK)
        return result;
    if (config_path && config_load(config_path, mistake_print, NULL, &config) < 0)
        return REPLAY_UNUSABLE;
    result = trace_replay(argv[optind], config, context->json);
    config_free(config);
    return result;
}
