/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * plimsolld: options in, exit status out. Everything between is the guard's.
 */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guard.h"
#include "log.h"

#include <plimsoll/control.h>

enum {
    EXIT_USAGE = 2, /* as the command's */
};

static void print_help(FILE *stream)
{
    (void)fprintf(stream,
        "Usage: plimsolld [--config FILE] [--runtime-dir DIR] [--dry-run] [--foreground]\n"
        "\n"
        "Guards the memory of this KVM host: watches its guests, takes idle memory by their\n"
        "balloons, and when the host runs short gives up the least valuable memory first.\n"
        "\n"
        "  --config FILE      configuration (default %s)\n"
        "  --runtime-dir DIR  ledger and control socket (default %s)\n"
        "  --dry-run          decide and report, but touch no guest\n"
        "  --foreground       alerts to stderr, too (the default on a terminal)\n"
        "  --version          print the version\n"
        "  --help             print this\n"
        "\n"
        "SIGHUP reads the configuration again. Exit status: 0 after SIGTERM or SIGINT, 1 when\n"
        "it cannot start or run, 2 for a wrong option.\n",
        CONFIG_FILE_DEFAULT, RUNTIME_DIRECTORY_DEFAULT);
}

/* Returns -1 to go on, else the exit status. */
static int parse_options(int argc, char *argv[], struct guard_options *options)
{
    enum {
        OPTION_CONFIG,
        OPTION_RUNTIME,
        OPTION_DRY_RUN,
        OPTION_FOREGROUND,
        OPTION_VERSION,
        OPTION_HELP
    };
    static const struct option table[] = {
        {"config", required_argument, NULL, OPTION_CONFIG},
        {"runtime-dir", required_argument, NULL, OPTION_RUNTIME},
        {"dry-run", no_argument, NULL, OPTION_DRY_RUN},
        {"foreground", no_argument, NULL, OPTION_FOREGROUND},
        {"version", no_argument, NULL, OPTION_VERSION},
        {"help", no_argument, NULL, OPTION_HELP},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
        switch (option) {
        case OPTION_CONFIG:
            options->config_path = optarg;
            break;
        case OPTION_RUNTIME:
            options->runtime_directory = optarg;
            break;
        case OPTION_DRY_RUN:
            options->dry_run = true;
            break;
        case OPTION_FOREGROUND:
            options->foreground = true;
            break;
        case OPTION_VERSION:
            (void)puts("plimsolld " PLIMSOLL_VERSION);
            return EXIT_SUCCESS;
        case OPTION_HELP:
            print_help(stdout);
            return EXIT_SUCCESS;
        default:
            print_help(stderr);
            return EXIT_USAGE;
        }
    }
    if (optind == argc)
        return -1;
    (void)fprintf(stderr, "plimsolld takes no argument, but got '%s'\n", argv[optind]);
    return EXIT_USAGE;
}

/* The first folder of the unit's LogsDirectory=, which systemd hands over as a list
 * (systemd.exec(5)).
 */
static const char *record_folder(char path[static PATH_MAX])
{
    const char *folders = getenv("LOGS_DIRECTORY");

    if (!folders || strcspn(folders, ":") >= PATH_MAX)
        return NULL;
    (void)snprintf(path, PATH_MAX, "%.*s", (int)strcspn(folders, ":"), folders);
    return path;
}

int main(int argc, char *argv[])
{
    char folder[PATH_MAX];
    struct guard_options options = {
        .config_path = CONFIG_FILE_DEFAULT,
        .runtime_directory = RUNTIME_DIRECTORY_DEFAULT,
        .virt_program = PLIMSOLL_VIRT,
        .record_folder = record_folder(folder),
        .foreground = isatty(STDERR_FILENO) == 1,
    };
    struct guard *guard = NULL;
    struct error error = {0};
    int status = parse_options(argc, argv, &options);

    if (status >= 0)
        return status;
    if (guard_new(&options, &guard, &error) < 0) {
        (void)fprintf(stderr, "plimsolld: %s\n", error.text);
        return EXIT_FAILURE;
    }
    status = guard_run(guard) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
    log_alert(LOG_NOTICE, "event=stop");
    guard_free(guard);
    return status;
}
