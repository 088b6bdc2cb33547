/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * plimsoll-hook: what libvirt's hook runs. It has a say where a guest is about to start and nowhere
 * else: at other times libvirt takes any failure for a veto, at `reconnect` by killing a guest that
 * runs (facts 4). So there it reads what it is given and is content, come what may.
 *
 * libvirt waits for it without a limit of its own. Each wait here has one, and an alarm ends the
 * process should anything else hang: a disk with the configuration, a syslogd that takes no more.
 * What the alarm answers is what would have been answered without a guard.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "announce.h"
#include "asking.h"
#include "config.h"
#include "domain_xml.h"
#include "input.h"
#include "log.h"
#include "loop.h"
#include "question.h"

#include <plimsoll/cleanup.h>
#include <plimsoll/control.h>

/* libvirt writes what it has at once. */
#define DRAIN_LIMIT NSEC_PER_SEC
/* To read the configuration, which says how long libvirt may be kept: a disk can be slow. */
#define CONFIG_LIMIT (10 * NSEC_PER_SEC)
/* After the time that it says. */
#define ALARM_GRACE NSEC_PER_SEC

#define NAME_SIZE (2 * VIRT_TEXT_MAX)
/* With the name and the rest no more than LOG_LINE_MAX. */
#define REASON_SIZE 384
_Static_assert(NAME_SIZE + REASON_SIZE < LOG_LINE_MAX - 120, "the line ends in a quote");

DEFINE_CLEANUP(struct config *, config_free);

struct start {
    const char *config, *socket; /* paths */
    const char *name;
    uint8_t uuid[UUID_SIZE]; /* zero until its XML was read */
    struct admission_config admission;
    struct error mistake; /* in the configuration; empty: there is none */
    uint64_t deadline;
};

/* ---- the last resort ---- */

static void on_alarm_allow(int number)
{
    (void)number;
    _exit(EXIT_SUCCESS);
}

static void on_alarm_deny(int number)
{
    static const char text[] =
        "plimsoll: the start is refused, for it took too long to ask the guard whether it fits. Is "
        "plimsolld running? systemctl status plimsolld. unreachable=allow in [admission] lets "
        "starts pass\n";

    (void)number;
    (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
    _exit(EXIT_FAILURE);
}

/* Ends the process in so many ns, in the place of what was set before. */
static void alarm_set(bool deny, uint64_t after)
{
    struct sigaction action = {.sa_handler = deny ? on_alarm_deny : on_alarm_allow};
    struct itimerval timer = {.it_value = {.tv_sec = (time_t)(after / NSEC_PER_SEC),
                                  .tv_usec = (suseconds_t)(after % NSEC_PER_SEC / NSEC_PER_USEC)}};
    sigset_t alarms;

    (void)sigaction(SIGALRM, &action, NULL);
    (void)sigemptyset(&alarms);
    (void)sigaddset(&alarms, SIGALRM);
    (void)sigprocmask(SIG_UNBLOCK, &alarms, NULL);
    (void)setitimer(ITIMER_REAL, &timer, NULL);
}

/* ---- one start ---- */

/* Nobody could judge it. Syslog comes first: if that hangs, the alarm says the rest. */
static int start_pass_over(const struct start *start, const struct error *error)
{
    char name[NAME_SIZE], uuid[UUID_TEXT_SIZE], reason[REASON_SIZE];
    bool deny = start->admission.deny_unreachable;

    log_alert(LOG_WARNING, "event=admission vm=%s uuid=%s result=unreachable verdict=%s text=%s",
        log_quote(start->name, name, sizeof(name)), uuid_text(start->uuid, uuid),
        deny ? "deny" : "allow", log_quote(error->text, reason, sizeof(reason)));
    if (!deny)
        return EXIT_SUCCESS;
    (void)fprintf(stderr,
        "plimsoll: the start is refused, for nobody can tell whether it fits: %s. A guard is "
        "started by: systemctl start plimsolld; unreachable=allow in [admission] of %s lets starts "
        "pass without one\n",
        error->text, start->config);
    return EXIT_FAILURE;
}

/* The first thing that is wrong says more than those that follow from it. */
static void first_keep(const char *line, void *userdata)
{
    struct error *error = userdata;

    if (error->text[0] == '\0')
        (void)error_set(error, -EINVAL, "%s", line);
}

static int domain_read(
    const struct start *start, struct virt_domain *ret_domain, struct error *ret_error)
{
    struct virt_domain domain;
    char *xml = NULL;
    int result = input_read(STDIN_FILENO, DOMAIN_XML_MAX, start->deadline, &xml);

    if (result == -E2BIG)
        return error_set(
            ret_error, result, "the domain's XML is longer than %zu bytes", DOMAIN_XML_MAX);
    if (result == -ETIMEDOUT)
        return error_set(ret_error, result, "the domain's XML has not come to its end in time");
    if (result < 0)
        return error_set(
            ret_error, result, "the domain's XML cannot be read: %s", strerror(-result));
    result = domain_xml_read(xml, first_keep, ret_error, &domain);
    free(xml);
    if (result < 0)
        return result;
    if (!known(domain.maximum))
        return error_set(
            ret_error, -EINVAL, "the domain's XML says nothing sensible of its memory");
    *ret_domain = domain;
    return 0;
}

static int start_ask(struct start *start, const struct virt_domain *domain)
{
    struct json_object *question = question_new(domain);
    enum asking_end end = ASKING_UNREACHABLE;
    struct error error = {0};

    if (question)
        end = asking_run(
            start->socket, question, start->deadline, start->admission.deny_unreachable, &error);
    else
        (void)error_set(&error, -ENOMEM, "there is no memory to ask the guard with");
    json_object_put(question);
    switch (end) {
    case ASKING_ADMITTED:
        return EXIT_SUCCESS;
    case ASKING_REFUSED:
        (void)fprintf(stderr, "plimsoll: %s\n", error.text);
        return EXIT_FAILURE;
    case ASKING_UNREACHABLE:
        break;
    }
    return start_pass_over(start, start->mistake.text[0] != '\0' ? &start->mistake : &error);
}

/* False: nobody is asked. A guard goes on by the configuration it read last, so one with a mistake
 * is no reason not to ask it; but without an answer nothing says that the start is to be refused.
 * Nor is it where the guard would refuse nothing. */
static bool start_configure(struct start *start)
{
    struct config *config CLEANUP(config_free_at) = NULL;

    start->admission = (struct admission_config){.timeout = ADMISSION_TIMEOUT_DEFAULT};
    if (config_load(start->config, first_keep, &start->mistake, &config) < 0)
        return true;
    const struct host_rules *rules = config_host_rules(config);
    start->admission = *config_admission(config);
    if (rules->mode != MODE_ENFORCE || rules->admission != ADMISSION_ENFORCE)
        start->admission.deny_unreachable = false;
    return rules->admission != ADMISSION_OFF;
}

static int start_judge(struct start *start)
{
    struct virt_domain domain;
    struct error error = {0};

    if (!start_configure(start)) {
        input_drain(STDIN_FILENO, loop_now() + DRAIN_LIMIT);
        return EXIT_SUCCESS;
    }
    alarm_set(start->admission.deny_unreachable, start->admission.timeout + ALARM_GRACE);
    start->deadline = loop_now() + start->admission.timeout;
    if (domain_read(start, &domain, &error) < 0)
        return start_pass_over(start, &error);
    memcpy(start->uuid, domain.uuid, UUID_SIZE);
    return start_ask(start, &domain);
}

/* ---- the command line ---- */

static void print_help(FILE *stream)
{
    (void)fprintf(stream,
        "Usage: plimsoll-hook [--config FILE] [--socket PATH] [--] NAME OPERATION SUBOPERATION "
        "EXTRA\n"
        "\n"
        "Asks plimsolld whether a guest that is about to start fits. Run by libvirt's hook\n"
        "qemu.d/plimsoll with the hook's arguments, and the domain's XML on standard input.\n"
        "\n"
        "  --config FILE  the guard's configuration (default %s)\n"
        "  --socket PATH  the guard's socket (default %s)\n"
        "  --version      print the version\n"
        "  --help         print this\n"
        "\n"
        "Exit status: 1 when the operation is `prepare begin` and the start is refused, which\n"
        "standard error gives the reason of; 0 in every other case, be it a failure.\n",
        CONFIG_FILE_DEFAULT, CONTROL_SOCKET_DEFAULT);
}

/* True: go on. A mistake here is no veto, either. */
static bool parse_options(int argc, char *argv[], struct start *start)
{
    enum {
        OPTION_CONFIG,
        OPTION_SOCKET,
        OPTION_VERSION,
        OPTION_HELP
    };
    static const struct option table[] = {
        {"config", required_argument, NULL, OPTION_CONFIG},
        {"socket", required_argument, NULL, OPTION_SOCKET},
        {"version", no_argument, NULL, OPTION_VERSION},
        {"help", no_argument, NULL, OPTION_HELP},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "+", table, NULL)) != -1) {
        switch (option) {
        case OPTION_CONFIG:
            start->config = optarg;
            break;
        case OPTION_SOCKET:
            start->socket = optarg;
            break;
        case OPTION_VERSION:
            (void)puts("plimsoll-hook " PLIMSOLL_VERSION);
            return false;
        case OPTION_HELP:
            print_help(stdout);
            return false;
        default:
            print_help(stderr);
            return false;
        }
    }
    if (argc - optind >= 3)
        return true;
    print_help(stderr);
    return false;
}

int main(int argc, char *argv[])
{
    struct start start = {.config = CONFIG_FILE_DEFAULT, .socket = CONTROL_SOCKET_DEFAULT};

    (void)signal(SIGPIPE, SIG_IGN);
    alarm_set(false, CONFIG_LIMIT);
    if (!parse_options(argc, argv, &start))
        return EXIT_SUCCESS;
    start.name = argv[optind];
    if (strcmp(argv[optind + 1], "prepare") == 0 && strcmp(argv[optind + 2], "begin") == 0)
        return start_judge(&start);
    input_drain(STDIN_FILENO, loop_now() + DRAIN_LIMIT);
    return EXIT_SUCCESS;
}
