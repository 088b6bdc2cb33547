/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `plimsoll undo`: has the guard take measures back (undo_live.c), or with --offline takes them out
 * of the ledger of one that is dead. Holding the ledger's lock is being the guard, so a live one is
 * never worked against.
 */
#include "command.h"
#include "hold.h"
#include "text.h"
#include "undo.h"
#include "undo_live.h"

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
    bool offline, force;
    uint64_t time;
    const char *runtime_directory;
};

/* Where what became of each measure goes: as lines, or to LINES. */
struct telling {
    struct json_object *lines; /* NULL: they are printed */
    unsigned count;
};

/* NAME may be an argument, of any bytes. */
static void line_tell(
    const char *vm, const char *measure, bool done, const char *text, void *userdata)
{
    struct telling *telling = userdata;
    char name[VM_NAME_MAX];

    telling->count++;
    text_finish(name, sizeof(name), snprintf(name, sizeof(name), "%s", vm));
    if (!telling->lines) {
        fprintf(done ? stdout : stderr, "%s: %s: %s%s\n", name, measure,
            done ? "" : "not undone: ", text);
        return;
    }
    struct json_object *line = json_object_new_object();
    json_object_object_add(line, "vm", json_object_new_string(name));
    json_object_object_add(line, "measure", json_object_new_string(measure));
    json_object_object_add(line, "done", json_object_new_boolean(done));
    json_object_object_add(line, "text", json_object_new_string(text));
    json_object_array_add(telling->lines, line);
}

static void telling_end(struct telling *telling)
{
    if (telling->lines)
        puts(json_object_to_json_string_ext(
            telling->lines, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(telling->lines);
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

static int time_parse(const char *text, uint64_t *ret_time)
{
    if (text_parse_time(text, ret_time) < 0 || *ret_time == 0)
        return command_usage_error("--for takes a time, such as 30min or 2h");
    if (*ret_time > HOLD_MOST)
        return command_usage_error("the guard leaves a guest alone for a day at most; for longer "
                                   "there is mode=dry-run in the configuration");
    return COMMAND_OK;
}

static int arguments_parse(int argc, char **argv, struct undo_arguments *arguments)
{
    static const struct option options[] = {
        {"offline", no_argument, NULL, 'o'},
        {"runtime-dir", required_argument, NULL, 'r'},
        {"force", no_argument, NULL, 'f'},
        {"for", required_argument, NULL, 't'},
        {NULL, 0, NULL, 0},
    };
    bool live = false;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        live |= option == 'f' || option == 't';
        switch (option) {
        case 'o':
            arguments->offline = true;
            break;
        case 'r':
            arguments->runtime_directory = optarg;
            break;
        case 'f':
            arguments->force = true;
            break;
        case 't':
            if (time_parse(optarg, &arguments->time) != COMMAND_OK)
                return COMMAND_USAGE;
            break;
        default:
            return command_usage_error("see `plimsoll help undo`");
        }
    }
    if (arguments->offline && live)
        return command_usage_error("--force and --for are for a guard that runs");
    if (!arguments->offline && arguments->runtime_directory)
        return command_usage_error("--runtime-dir is for --offline");
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

static int undo_run(
    struct ledger *ledger, struct telling *telling, const char *const *names, unsigned count)
{
    static const struct roots roots = {.proc = "/proc", .sys = "/sys"};
    const struct undo_options options = {.roots = &roots,
        .monitor_timeout = UNDO_MONITOR_TIMEOUT,
        .report = line_tell,
        .userdata = telling};

    return undo_all(ledger, &options, names, count) > 0 ? COMMAND_FAILED : COMMAND_OK;
}

static int offline_run(
    const char *directory, struct telling *telling, const char *const *names, unsigned count)
{
    struct ledger *ledger = NULL;
    int result = ledger_take(directory, &ledger);

    if (result < 0)
        return COMMAND_FAILED;
    if (result > 0) {
        result = undo_run(ledger, telling, names, count);
        (void)ledger_free(ledger);
        return result;
    }
    /* Without a ledger nothing is in force, and who was named is not in it. */
    for (unsigned i = 0; i < count; i++)
        line_tell(names[i], "guest", false, "there is no ledger", telling);
    if (!telling->lines && count == 0)
        printf("There is no ledger in %s: nothing to undo.\n", directory);
    return count > 0 ? COMMAND_FAILED : COMMAND_OK;
}

static int live_run(const char *socket, const struct undo_arguments *arguments,
    struct telling *telling, const char *const *names, unsigned count)
{
    const struct undo_live undo = {.socket = socket,
        .time = arguments->time,
        .force = arguments->force,
        .report = line_tell,
        .userdata = telling};
    struct error error = {0};
    int result = undo_live(&undo, names, count, &error);

    if (result < 0) {
        fprintf(stderr,
            "plimsoll: %s\nWith the guard stopped, its ledger tells what is in force: plimsoll "
            "undo "
            "--offline\n",
            error.text);
        return COMMAND_UNREACHABLE;
    }
    if (!telling->lines && telling->count == 0)
        puts("Nothing is in force.");
    return result > 0 ? COMMAND_FAILED : COMMAND_OK;
}

int command_undo(const struct command_context *context, int argc, char **argv)
{
    struct undo_arguments arguments = {.time = HOLD_GUEST_DEFAULT};
    int result = arguments_parse(argc, argv, &arguments);

    if (result != COMMAND_OK)
        return result;
    struct telling telling = {.lines = context->json ? json_object_new_array() : NULL};
    const char *const *names = (const char *const *)(argv + optind);
    unsigned count = (unsigned)(argc - optind);
    if (arguments.offline)
        result = offline_run(
            arguments.runtime_directory ? arguments.runtime_directory : RUNTIME_DIRECTORY_DEFAULT,
            &telling, names, count);
    else
        result = live_run(context->socket, &arguments, &telling, names, count);
    if (result == COMMAND_OK || telling.count > 0)
        telling_end(&telling);
    else
        json_object_put(telling.lines);
    return result;
}
