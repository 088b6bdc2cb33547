/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `plimsoll`: reads the options before the command, finds the command in the table and runs it.
 */
#include "command.h"

#include <getopt.h>
#include <locale.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/control.h>
#include <stdio.h>
#include <string.h>

static const struct command commands[] = {
    {"status", "", "what the guard sees and decided: host, budget, guests", command_status},
    {"top", "[--interval SECONDS] [--batch] [--count N]", "the same live, on a terminal",
        command_top},
    {"vm", "VM", "one guest: its figures and their source, its rules and who says so", command_vm},
    {"log", "[--follow [--exec PROGRAM] [--timeout TIME]] [--lines N] [--priority LEVEL] [VM…]",
        "what the guard has said of late", command_log},
    {"why", "[VM|ACTION|REASON]", "the last decision, in sentences", command_why},
    {"plan", "[--need SIZE] [--node N]", "what the guard would do if so much memory were needed",
        command_plan},
    {"metrics", "[--textfile FILE]", "the status for Prometheus, or for its node_exporter",
        command_metrics},
    {"report", "[--html FILE] [--svg FILE] [--list] [--event N] [TRACE|FOLDER]",
        "one shortage of memory as a page, from the guard's record", command_report},
    {"doctor", "[--all]", "audit this host's configuration; nothing is changed", command_doctor},
    {"hold", "[TIME]", "the guard watches and takes nothing new, for an hour or TIME",
        command_hold},
    {"release", "[VM]", "end holds before their time, or that of one guest", command_release},
    {"check-config", "[FILE]", "find every mistake in a configuration", command_check_config},
    {"undo", "[--force] [--for TIME] [VM…] | --offline [--runtime-dir DIR] [VM…]",
        "take measures back and leave those guests alone; also with the guard dead", command_undo},
    {"simulate", "[--config FILE] [--traces DIR] [--actions] SCENARIO",
        "play a scenario with the guard's policy, in virtual time, and score it", command_simulate},
    {"replay", "[--config FILE] TRACE",
        "decide again on what the guard has recorded, and show where otherwise", command_replay},
    {"version", "", "version of this command, and of the guard if it runs", command_version},
};

static void help_print(void)
{
    fputs("usage: plimsoll [--socket PATH] [--json] COMMAND [ARGUMENT…]\n"
          "\n"
          "Asks Plimsoll, the guard of this host's memory, and tells it what to do.\n"
          "\n"
          "Commands:\n",
        stdout);
    for (size_t i = 0; i < ELEMENTSOF(commands); i++)
        printf("  %-14s%s\n", commands[i].name, commands[i].help);
    fputs("  help          this text; `plimsoll help COMMAND` shows one command\n"
          "\n"
          "In need:\n"
          "  plimsoll status     how short memory is, and which guest would be killed first\n"
          "  plimsoll vm NAME    why that one, what is done to it, and how to protect it\n"
          "  plimsoll why        what the guard did last, why, and who was next\n"
          "  plimsoll undo NAME  take that back, and leave the guest alone for a while\n"
          "  plimsoll doctor     whether the host itself is sound\n"
          "\n"
          "Options:\n"
          "  --socket PATH  the guard's socket (" CONTROL_SOCKET_DEFAULT ")\n"
          "  --json         print JSON: bytes, nanoseconds, null where nobody knows\n"
          "  --help         this text\n"
          "  --version      as the command\n"
          "\n"
          "Exit codes:\n"
          "  0  done\n"
          "  1  a mistake was found, or something could not be done\n"
          "  2  the command line was not understood\n"
          "  3  the guard cannot be reached\n"
          "  4  doctor found a warning, and no error\n"
          "\n"
          "Reading needs root or membership in group " CONTROL_GROUP "; changing needs root.\n"
          "Colours are shown on a terminal, unless NO_COLOR is set.\n",
        stdout);
}

static const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < ELEMENTSOF(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int help_run(int argc, char **argv)
{
    const struct command *command;

    if (argc < 2) {
        help_print();
        return COMMAND_OK;
    }
    command = command_find(argv[1]);
    if (!command)
        return command_usage_error("there is no command “%s”", argv[1]);
    printf("usage: plimsoll %s%s%s\n%s\n", command->name, command->usage[0] ? " " : "",
        command->usage, command->help);
    return COMMAND_OK;
}

/* Options before the command; 0: go on, else what to exit with, plus 1. */
static int options_parse(int argc, char **argv, struct command_context *context, bool *ret_version)
{
    static const struct option options[] = {
        {"socket", required_argument, NULL, 's'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "+hj", options, NULL)) != -1) {
        switch (option) {
        case 's':
            context->socket = optarg;
            break;
        case 'j':
            context->json = true;
            break;
        case 'h':
            help_print();
            return COMMAND_OK + 1;
        case 'v':
            *ret_version = true;
            break;
        default:
            return command_usage_error("see the options in `plimsoll --help`") + 1;
        }
    }
    return 0;
}

static int command_run(const struct command_context *context, int argc, char **argv)
{
    const struct command *command;

    if (argc < 1)
        return command_usage_error("which command?");
    if (strcmp(argv[0], "help") == 0)
        return help_run(argc, argv);
    command = command_find(argv[0]);
    if (!command)
        return command_usage_error("there is no command “%s”", argv[0]);
    optind = 0; /* getopt begins anew with the command's own options */
    return command->run(context, argc, argv);
}

/* A full disk behind us is a failure, too. Of a table, part of which went out before, stdio only
 * keeps the mark. */
static int output_finish(int result)
{
    bool lost = ferror(stdout) != 0;

    if ((fflush(stdout) == 0 && !lost) || result != COMMAND_OK)
        return result;
    fputs("plimsoll: not all of it could be printed\n", stderr);
    return COMMAND_FAILED;
}

int main(int argc, char **argv)
{
    static char version[] = "version";
    struct command_context context = {.socket = CONTROL_SOCKET_DEFAULT};
    bool wants_version = false;
    int result;

    (void)setlocale(LC_ALL, "");
    result = options_parse(argc, argv, &context, &wants_version);
    if (result != 0)
        return result - 1;
    if (wants_version)
        result = command_version(&context, 1, (char *[]){version, NULL});
    else
        result = command_run(&context, argc - optind, argv + optind);
    return output_finish(result);
}
