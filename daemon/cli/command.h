/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The operator's command: what its subcommands share. Each has a file of its own and a row in the
 * table of main.c.
 */
#ifndef PLIMSOLL_CLI_COMMAND_H
#define PLIMSOLL_CLI_COMMAND_H

#include <stdbool.h>

/* Exit codes; scripts rely on them. */
enum command_exit {
    COMMAND_OK = 0,
    COMMAND_FAILED = 1,      /* a mistake was found, or something could not be done */
    COMMAND_USAGE = 2,       /* the command line was not understood */
    COMMAND_UNREACHABLE = 3, /* the guard cannot be reached */
    COMMAND_WARNED = 4,      /* doctor found nothing worse than a warning */
};

struct command_context {
    const char *socket;
    bool json;
};

struct command {
    const char *name;
    const char *usage; /* its arguments, for `usage: plimsoll NAME …` */
    const char *help;  /* one line */
    /* ARGV[0] is the command's name. Returns an enum command_exit. */
    int (*run)(const struct command_context *context, int argc, char **argv);
};

int command_status(const struct command_context *context, int argc, char **argv);
int command_log(const struct command_context *context, int argc, char **argv);
int command_metrics(const struct command_context *context, int argc, char **argv);
int command_vm(const struct command_context *context, int argc, char **argv);
int command_top(const struct command_context *context, int argc, char **argv);
int command_why(const struct command_context *context, int argc, char **argv);
int command_plan(const struct command_context *context, int argc, char **argv);
int command_check_config(const struct command_context *context, int argc, char **argv);
int command_doctor(const struct command_context *context, int argc, char **argv);
int command_hold(const struct command_context *context, int argc, char **argv);
int command_release(const struct command_context *context, int argc, char **argv);
int command_report(const struct command_context *context, int argc, char **argv);
int command_undo(const struct command_context *context, int argc, char **argv);
int command_replay(const struct command_context *context, int argc, char **argv);
int command_simulate(const struct command_context *context, int argc, char **argv);
int command_version(const struct command_context *context, int argc, char **argv);

/* Prints what is wrong and where to read more; returns COMMAND_USAGE. */
int command_usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
