/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `plimsoll replay TRACE`: has the policy decide again on what a guard has recorded, and prints
 * where it decides otherwise. Needs no guard and no rights but to read the trace.
 */
#include "command.h"
#include "progress.h"
#include "replay.h"
#include "replay_view.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

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

struct playing {
    struct replay_view view;
    struct progress progress;
    FILE *in;
    uint64_t size; /* 0: it is no file, and nobody knows */
};

static void playing_difference(const struct replay_difference *difference, void *userdata)
{
    struct playing *playing = userdata;

    progress_hide(&playing->progress);
    replay_view_difference(difference, &playing->view);
}

static void playing_frame(void *userdata)
{
    struct playing *playing = userdata;
    long position = ftell(playing->in);

    if (position > 0)
        progress_update(&playing->progress, (uint64_t)position, playing->size);
}

static int trace_replay(const char *path, const struct config *config, bool json)
{
    struct playing playing = {
        .view = {.out = stdout, .json = json},
        .progress = progress_begin("Replaying"),
        .in = fopen(path, "re"),
    };
    const struct replay_witness witness = {playing_difference, playing_frame, &playing};
    struct replay_score score = {0};
    struct error error = {0};
    struct stat file;

    if (!playing.in) {
        fprintf(stderr, "plimsoll: %s: %s\n", path, strerror(errno));
        return REPLAY_UNUSABLE;
    }
    if (fstat(fileno(playing.in), &file) == 0 && S_ISREG(file.st_mode))
        playing.size = (uint64_t)file.st_size;
    int result = replay_run(playing.in, config, &witness, &score, &error);
    (void)fclose(playing.in);
    progress_hide(&playing.progress);
    replay_view_end(&playing.view, &score, result < 0 ? &error : NULL);
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
