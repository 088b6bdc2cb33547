/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `plimsoll undo --offline`: takes measures back out of the ledger of a guard that is dead. Holding
 * the ledger's lock is being the guard, so a live one is never worked against.
 */
#include "command.h"
#include "text.h"
#include "undo.h"

#include <errno.h>
#include <getopt.h>
#include <json-c/json.h>
#include <limits.h>
#include <plimsoll/control.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"

struct undo_arguments {
    bool offline;
    const char *runtime_directory;
};

static void line_print(
    const char *vm, const char *measure, bool done, const char *text, void *userdata)
{
    (void)userdata;
    fprintf(
        done ? stdout : stderr, "%s: %s: %s%s\n", vm, measure, done ? "" : "not undone: ", text);
}

static void line_keep(
    const char *vm, const char *measure, bool done, const char *text, void *userdata)
{
    struct json_object *lines = userdata, *line = json_object_new_object();
    char name[VM_NAME_MAX]; /* may be an argument, of any bytes */

    text_finish(name, sizeof(name), snprintf(name, sizeof(name), "%s", vm));
    json_object_object_add(line, "vm", json_object_new_string(name));
    json_object_object_add(line, "measure", json_object_new_string(measure));
    json_object_object_add(line, "done", json_object_new_boolean(done));
    json_object_object_add(line, "text", json_object_new_string(text));
    json_object_array_add(lines, line);
}

static int boot_id_read(char *buffer, size_t size)
{
    FILE *file = fopen(BOOT_ID_PATH, "re");
    char *line;

    if (!file)
        return -errno;
    line = fgets(buffer, (int)size, file);
    (void)fclose(file);
    if (!line)
        return -EIO;
    buffer[strcspn(buffer, "\n")] = '\0';
    return 0;
}

static int arguments_parse(int argc, char **argv, struct undo_arguments *arguments)
{
    static const struct option options[] = {
        {"offline", no_argument, NULL, 'o'},
        {"runtime-dir", required_argument, NULL, 'r'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'o':
            arguments->offline = true;
            break;
        case 'r':
            arguments->runtime_directory = optarg;
            break;
        default:
            return command_usage_error("see `plimsoll help undo`");
        }
    }
    if (!arguments->offline)
        return command_usage_error(
            "undo works with the guard stopped: systemctl stop plimsolld, then undo --offline");
    return COMMAND_OK;
}

/* 1: opened; 0: there is no ledger; negative: failed and said so. */
static int ledger_take(const char *directory, struct ledger **ret_ledger)
{
    char path[PATH_MAX], boot_id[64];
    struct error error = {0};
    int result;

    (void)snprintf(path, sizeof(path), "%s/%s", directory, LEDGER_NAME);
    if (access(path, F_OK) < 0 && errno == ENOENT)
        return 0;
    result = boot_id_read(boot_id, sizeof(boot_id));
    if (result < 0) {
        fprintf(stderr, "plimsoll: cannot read %s: %s\n", BOOT_ID_PATH, strerror(-result));
        return result;
    }
    result = ledger_open(path, boot_id, 0, ret_ledger, &error);
    if (result < 0 || error.text[0]) /* slots that were lost are told of with a result of 0 */
        fprintf(stderr, "plimsoll: %s\n", error.text);
    if (result == -EBUSY)
        fputs("The guard is running and undoes its own measures. To undo them without it: "
              "systemctl stop plimsolld\n",
            stderr);
    return result < 0 ? result : 1;
}

static int undo_run(struct ledger *ledger, bool json, const char *const *names, unsigned count)
{
    static const struct roots roots = {.proc = "/proc", .sys = "/sys"};
    struct undo_options options = {
        .roots = &roots, .monitor_timeout = UNDO_MONITOR_TIMEOUT, .report = line_print};
    struct json_object *lines = json ? json_object_new_array() : NULL;
    unsigned failures;

    if (json) {
        options.report = line_keep;
        options.userdata = lines;
    }
    failures = undo_all(ledger, &options, names, count);
    if (json)
        puts(json_object_to_json_string_ext(
            lines, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(lines);
    return failures > 0 ? COMMAND_FAILED : COMMAND_OK;
}

/* Without a ledger nothing is in force, and who was named is not in it. */
static int nothing_tell(const struct command_context *context, const char *directory,
    const char *const *names, int count)
{
    struct json_object *lines = context->json ? json_object_new_array() : NULL;

    for (int i = 0; i < count; i++)
        (context->json ? line_keep : line_print)(
            names[i], "guest", false, "there is no ledger", lines);
    if (context->json)
        puts(json_object_to_json_string_ext(
            lines, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    else
        printf("There is no ledger in %s: nothing to undo.\n", directory);
    json_object_put(lines);
    return count > 0 ? COMMAND_FAILED : COMMAND_OK;
}

int command_undo(const struct command_context *context, int argc, char **argv)
{
    struct undo_arguments arguments = {.runtime_directory = RUNTIME_DIRECTORY_DEFAULT};
    struct ledger *ledger = NULL;
    int result = arguments_parse(argc, argv, &arguments);

    if (result != COMMAND_OK)
        return result;
    result = ledger_take(arguments.runtime_directory, &ledger);
    if (result < 0)
        return COMMAND_FAILED;
    if (result == 0)
        return nothing_tell(context, arguments.runtime_directory,
            (const char *const *)(argv + optind), argc - optind);
    result = undo_run(
        ledger, context->json, (const char *const *)(argv + optind), (unsigned)(argc - optind));
    (void)ledger_free(ledger);
    return result;
}
