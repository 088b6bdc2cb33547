/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * plimsoll-virt: options in, the wait for the guard's BEGIN, then libvirt's loop turned until the
 * guard's end of the socket closes.
 *
 * A call into libvirt may never return. The loop turns at least once a heartbeat, and each turn
 * winds up an alarm: when that rings, this process ends, and another takes over from it.
 */
#include <errno.h>
#include <getopt.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <libxml/parser.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "begin.h"
#include "log.h"
#include "rights.h"
#include "service.h"

#include <plimsoll/virt.h>

enum {
    EXIT_USAGE = 2, /* as the command's */
    EXIT_HUNG = 3,
};

#define CALL_LIMIT_SECONDS ((unsigned)(VIRT_CALL_LIMIT / NSEC_PER_SEC))
_Static_assert(VIRT_CALL_LIMIT > 2 * VIRT_HEARTBEAT, "a turn without a call is no hang");

#define PID_FOLDER_DEFAULT "/run/libvirt/qemu"

static void print_help(FILE *stream)
{
    (void)fprintf(stream,
        "Usage: plimsoll-virt [--pid-folder DIR]\n"
        "\n"
        "Tells plimsolld, which starts it, of libvirt's domains. Descriptor %d is their socket.\n"
        "\n"
        "  --pid-folder DIR  where libvirt writes NAME.pid (default %s)\n"
        "  --version         print the version\n"
        "  --help            print this\n"
        "\n"
        "Exit status: 0 when plimsolld has gone, 1 when it cannot start, 2 for a wrong option,\n"
        "%d when a call to libvirt did not return.\n",
        VIRT_FD, PID_FOLDER_DEFAULT, EXIT_HUNG);
}

/* Returns -1 to go on, else the exit status. */
static int parse_options(int argc, char *argv[], struct service_options *options)
{
    enum {
        OPTION_PID_FOLDER,
        OPTION_VERSION,
        OPTION_HELP
    };
    static const struct option table[] = {
        {"pid-folder", required_argument, NULL, OPTION_PID_FOLDER},
        {"version", no_argument, NULL, OPTION_VERSION},
        {"help", no_argument, NULL, OPTION_HELP},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
        switch (option) {
        case OPTION_PID_FOLDER:
            options->pid_folder = optarg;
            break;
        case OPTION_VERSION:
            (void)puts("plimsoll-virt " PLIMSOLL_VERSION);
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
    print_help(stderr);
    return EXIT_USAGE;
}

static bool socket_is_there(void)
{
    int type = 0;
    socklen_t size = sizeof(type);

    return getsockopt(VIRT_FD, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

static void on_alarm(int number)
{
    static const char text[] =
        "<3>libvirt: a call has not returned for too long; plimsoll-virt ends itself\n";

    (void)number;
    (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
    _exit(EXIT_HUNG);
}

/* The guard's mask is inherited. A hangup of the terminal is the guard's to hear. */
static void signals_reset(void)
{
    struct sigaction alarm_action = {.sa_handler = on_alarm};
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        (void)signal(number, SIG_DFL);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigaction(SIGALRM, &alarm_action, NULL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* libvirt writes its errors to stderr unless told otherwise; those that matter are told to the
 * guard. */
static void on_libvirt_error(void *userdata, virErrorPtr error)
{
    (void)userdata;
    (void)error;
}

static int serve(const struct service_options *options)
{
    struct service *service = NULL;
    int result = service_new(options, &service);

    if (result < 0) {
        log_message(LOG_ERR, "plimsoll-virt cannot begin: %s", strerror(-result));
        return EXIT_FAILURE;
    }
    while (!service_ended(service)) {
        (void)alarm(CALL_LIMIT_SECONDS);
        if (virEventRunDefaultImpl() < 0) {
            log_message(LOG_ERR, "libvirt's loop failed: %s", virGetLastErrorMessage());
            return EXIT_FAILURE;
        }
    }
    /* Nothing is taken apart: closing a connection is a call that may hang, and all ends here. */
    return EXIT_SUCCESS;
}

static int run(const struct service_options *given)
{
    struct service_options options = *given;
    struct virt_begin begin;

    xmlInitParser();
    virSetErrorFunc(NULL, on_libvirt_error);
    if (virInitialize() < 0 || virEventRegisterDefaultImpl() < 0) {
        log_message(LOG_ERR, "libvirt cannot be set up: %s", virGetLastErrorMessage());
        return EXIT_FAILURE;
    }
    int result = begin_await(options.fd, &begin);
    if (result == -EPIPE || result == -ECONNRESET)
        return EXIT_SUCCESS; /* the guard has gone, and never needed this one */
    if (result < 0) {
        log_message(LOG_ERR, "plimsoll-virt is not told to begin: %s", strerror(-result));
        return EXIT_FAILURE;
    }
    options.uri = begin.uri;
    return serve(&options);
}

int main(int argc, char *argv[])
{
    struct service_options options = {.pid_folder = PID_FOLDER_DEFAULT, .fd = VIRT_FD};
    int status = parse_options(argc, argv, &options);

    if (status >= 0)
        return status;
    if (!socket_is_there()) {
        (void)fprintf(
            stderr, "plimsoll-virt is started by plimsolld, with a socket as %d\n", VIRT_FD);
        return EXIT_USAGE;
    }
    signals_reset();
    pid_t guard = getppid();
    int result = rights_drop();
    if (result < 0)
        log_message(LOG_WARNING, "plimsoll-virt keeps the guard's rights: %s", strerror(-result));
    /* What is left to do is of no use to the guard that comes next, and in the middle of a call the
     * socket's end would not be seen. After the rights, whose change takes it back. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != guard)
        return EXIT_SUCCESS;
    return run(&options);
}
