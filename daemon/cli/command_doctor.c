/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `plimsoll doctor`: asks the guard for what it sees, has the checks read the host, prints what
 * they found. Without a guard the checks of the host run all the same, and its absence is a
 * finding.
 */
#include "client.h"
#include "command.h"
#include "doctor.h"
#include "finding_view.h"
#include "terminal.h"

#include <errno.h>
#include <getopt.h>
#include <plimsoll/control.h>
#include <stdio.h>
#include <string.h>

static void doctor_help(void)
{
    fputs("usage: plimsoll [--socket PATH] [--json] doctor [--all]\n"
          "\n"
          "Audits how this host is set up, and changes nothing. Each finding is what is\n"
          "so, why it matters, and what mends it: a line to paste, as root, or words.\n"
          "\n"
          "  --all   also what is fine\n"
          "\n"
          "Severities, and the exit code by the worst:\n"
          "  error    guests can be lost for it                        1\n"
          "  warning  a shortage will be worse, or its relief less     4\n"
          "  unknown  it could not be read, for the reason given       0\n"
          "  note     to be known, and often meant                     0\n"
          "  (nothing is found)                                        0\n"
          "  (the command line was not understood)                     2\n"
          "\n"
          "As JSON it is an array of objects, each with\n"
          "  check     the check's name\n"
          "  severity  error, warning, unknown, note; with --all also fine\n"
          "  subject   the guest it is about; null: the host\n"
          "  found     what is so\n"
          "  why       why it matters; null where it is fine or unknown\n"
          "  mend      a command or words; null: there is none\n"
          "\n"
          "Run it as root: others do not see everything, and what they do not see is\n"
          "unknown.\n",
        stdout);
}

/* 0: go on; else what to exit with, plus 1. */
static int options_parse(int argc, char **argv, bool *ret_all)
{
    static const struct option options[] = {
        {"all", no_argument, NULL, 'a'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "ah", options, NULL)) != -1) {
        switch (option) {
        case 'a':
            *ret_all = true;
            break;
        case 'h':
            doctor_help();
            return COMMAND_OK + 1;
        default:
            return command_usage_error("see `plimsoll doctor --help`") + 1;
        }
    }
    if (optind < argc)
        return command_usage_error("doctor takes no argument “%s”", argv[optind]) + 1;
    return 0;
}

static int exit_of(enum severity worst)
{
    switch (worst) {
    case SEVERITY_FINE:
    case SEVERITY_NOTE:
    case SEVERITY_UNKNOWN:
        return COMMAND_OK;
    case SEVERITY_WARNING:
        return COMMAND_WARNED;
    case SEVERITY_ERROR:
    case SEVERITY_COUNT:
        break;
    }
    return COMMAND_FAILED;
}

/* 0 or a negative errno. */
static int json_print(const struct findings *findings, bool all)
{
    struct json_object *array = findings_json(findings, all);

    if (!array)
        return -ENOMEM;
    puts(json_object_to_json_string_ext(
        array, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(array);
    return 0;
}

int doctor_audit(const struct doctor_input *input, bool json, bool all)
{
    CLEANUP(findings_clear) struct findings findings = {.count = 0};
    struct style style = terminal_style();
    int result;

    doctor_run(input, &findings);
    if (findings.failed)
        result = -ENOMEM;
    else if (json)
        result = json_print(&findings, all);
    else
        result = findings_print(&findings, &style, all, stdout);
    if (result < 0) {
        fprintf(stderr, "plimsoll: cannot print all findings: %s\n", strerror(-result));
        return COMMAND_FAILED;
    }
    return exit_of(findings_worst(&findings));
}

int command_doctor(const struct command_context *context, int argc, char **argv)
{
    struct doctor_input input = {.kernel = {.proc = "/proc", .sys = "/sys"}, .files = ""};
    struct error error = {0};
    bool all = false;
    int result = options_parse(argc, argv, &all);

    if (result != 0)
        return result - 1;
    input.result = client_call(
        context->socket, CONTROL_METHOD_STATUS, NULL, CLIENT_TIMEOUT, &input.status, &error);
    input.text = error.text;
    result = doctor_audit(&input, context->json, all);
    json_object_put(input.status);
    return result;
}
