/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `plimsoll check-config [FILE]`: reads the file, and the folder of the same name with ".d", as the
 * guard would, and reports every mistake, or that there is none. Without FILE it is the guard's
 * own: so the unit's ExecReload= asks, and a mistake fails `systemctl reload`.
 */
#include "command.h"
#include "config.h"
#include "text.h"

#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <plimsoll/control.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The longest that is said of a mistake in JSON: a path, its line, and what is wrong there. */
#define SAID_MAX (PATH_MAX + 1024)

/* A file's name may be any bytes, and JSON is UTF-8. */
static struct json_object *string_new(const char *text)
{
    char clean[SAID_MAX];

    text_finish(clean, sizeof(clean), snprintf(clean, sizeof(clean), "%s", text));
    return json_object_new_string(clean);
}

static void mistake_print(const char *line, void *userdata)
{
    (void)userdata;
    fprintf(stderr, "%s\n", line);
}

static void mistake_keep(const char *line, void *userdata)
{
    struct json_object *mistakes = userdata;

    json_object_array_add(mistakes, string_new(line));
}

static int check_json(const char *path)
{
    struct json_object *answer = json_object_new_object(), *mistakes = json_object_new_array();
    struct config *config = NULL;
    int result = config_load(path, mistake_keep, mistakes, &config);

    json_object_object_add(answer, "file", string_new(path));
    json_object_object_add(answer, "ok", json_object_new_boolean(result == 0));
    json_object_object_add(answer, "mistakes", mistakes);
    puts(json_object_to_json_string_ext(
        answer, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(answer);
    (void)config_free(config);
    return result < 0 ? COMMAND_FAILED : COMMAND_OK;
}

int command_check_config(const struct command_context *context, int argc, char **argv)
{
    const char *path = argc == 2 ? argv[1] : CONFIG_FILE_DEFAULT;
    struct config *config = NULL;

    if (argc > 2)
        return command_usage_error("check-config takes one FILE");
    /* To the guard the default file may be missing; to one who asks about a file it may not. */
    if (argc == 2 && access(path, F_OK) < 0) {
        fprintf(stderr, "plimsoll: %s: %s\n", path, strerror(errno));
        return COMMAND_FAILED;
    }
    if (context->json)
        return check_json(path);
    if (config_load(path, mistake_print, NULL, &config) < 0)
        return COMMAND_FAILED;
    printf("%s: ok\n", path);
    (void)config_free(config);
    return COMMAND_OK;
}
