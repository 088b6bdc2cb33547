/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * with_guard [--plain] [--storm | --gone] PROGRAM [ARGUMENT…]: runs a program beside a whole guard
 * on a fake host, for tests that are scripts. The guests' names are as bad as can be, or with
 * --plain such as people give. Until the program ends, whose status is then this one's, the guard
 * looks at its host and serves its socket.
 *
 *   --storm  a guest has outgrown the host, and the guard has frozen it
 *   --gone   that guard has ended since, and left its ledger and its record
 *
 * The program finds in its environment
 *   PLIMSOLL_SOCKET  where the guard listens, or has listened
 *   PLIMSOLL_FOLDER  the guard's runtime folder, with the ledger, plimsoll.conf, and in traces/ the
 * record
 */
#include <check.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <plimsoll/control.h>

#include "fake_host.h"
#include "recorder.h"
#include "suite.h"

#define TICK (100 * NSEC_PER_MSEC)
/* The guard knows its guests by then, and how fast memory goes. */
#define TICKS_FIRST 20
/* How long the guard's events are waited for before the program is looked at again. */
#define WAIT (10 * NSEC_PER_MSEC)
/* As a shell says of a program that it cannot run, and of one that a signal ended. */
#define STATUS_NOT_RUN 127
#define STATUS_SIGNAL 128

/* The first one outgrows the host. */
static const char *const names[] = {
    "new\x1b[2J vm=gold",
    "\",\"name\":\"fake\"}",
    "back\\slash 'quote' $(id) %s%n",
    "--offline",
    "K\xc3\xbc"
    "che \xff\xfe\xc3",
    "two\nlines\x7f\r",
    /* Longer than any name the guard keeps, with a character of two bytes wherever it is cut. */
    "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3"
    "\xbc\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6"
    "\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3"
    "\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4"
    "\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\xc3",
};

static const char *const plain_names[] = {"db", "web", "batch"};

static struct fake_host host;
static char traces[SCRATCH_FOLDER_MAX + 16];
static bool storm, gone, plain;
static char **program;
static int program_status = STATUS_NOT_RUN;

static void setup(void)
{
    fake_host_begin(&host, FAKE_CGROUPS_V2,
        "[guard]\nmode=enforce\nqmp-directory=/nonexistent\nlibvirt=off\nmax-vms=8\n"
        "[class default]\nmode=enforce\n");
    (void)snprintf(traces, sizeof(traces), "%s/traces", host.tree->folder);
    host.record_folder = traces;
}

/* The guest outgrows the host until the guard freezes it. */
static void storm_run(pid_t pid)
{
    uint64_t rss = GIB;

    for (uint64_t available = 8 * GIB; available > 400 * MIB; available -= 400 * MIB) {
        rss += 400 * MIB;
        fake_host_set_rss(&host, pid, rss);
        fake_host_set_available(&host, available);
        fake_host_tick(&host, TICK);
        for (uint32_t i = 0; i < host.guard->plan->action_count; i++)
            if (host.guard->plan->actions[i].kind == ACTION_FREEZE)
                return;
    }
    ck_abort_msg("the guard never acted");
}

static void program_exec(const char *socket)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (setenv("PLIMSOLL_SOCKET", socket, 1) == 0 &&
        setenv("PLIMSOLL_FOLDER", host.tree->folder, 1) == 0)
        (void)execvp(program[0], program);
    perror(program[0]);
    _exit(STATUS_NOT_RUN);
}

static void program_run(void)
{
    char socket[SCRATCH_FOLDER_MAX + 32];
    int status;

    (void)snprintf(socket, sizeof(socket), "%s/%s", host.tree->folder, CONTROL_SOCKET_NAME);
    (void)fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        program_exec(socket);
    while (waitpid(child, &status, host.guard ? WNOHANG : 0) == 0) {
        uint64_t now = loop_now();
        if (now >= host.now + TICK)
            fake_host_tick(&host, now - host.now);
        guard_undo_advance(host.guard, now);
        ck_assert_int_ge(loop_wait(host.guard->loop, now + WAIT), 0);
        control_server_expire(host.guard->control, loop_now());
    }
    program_status = WIFEXITED(status) ? WEXITSTATUS(status) : STATUS_SIGNAL + WTERMSIG(status);
}

/* And waits until its record is written. */
static void guard_end(void)
{
    pid_t helper = recorder_helper(host.guard->recorder);

    host.guard = guard_free(host.guard);
    (void)waitpid(helper, NULL, 0); /* or it has been reaped */
}

START_TEST(beside_a_guard)
{
    pid_t first = 0;

    setup();
    const char *const *called = plain ? plain_names : names;
    size_t count = plain ? ELEMENTSOF(plain_names) : ELEMENTSOF(names);
    for (size_t i = 0; i < count; i++) {
        pid_t pid = fake_host_guest(&host, called[i], GIB);
        first = i == 0 ? pid : first;
    }
    fake_host_start_guard(&host);
    fake_host_set_available(&host, 8 * GIB);
    if (storm) {
        for (unsigned i = 0; i < TICKS_FIRST; i++)
            fake_host_tick(&host, TICK);
        storm_run(first);
    }
    if (gone)
        guard_end();
    program_run();
    fake_host_end(&host);
}
END_TEST

static int usage(void)
{
    fputs("usage: with_guard [--plain] [--storm | --gone] PROGRAM [ARGUMENT…]\n", stderr);
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"storm", no_argument, NULL, 's'},
        {"gone", no_argument, NULL, 'g'},
        {"plain", no_argument, NULL, 'p'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        if (option == '?')
            return usage();
        plain = plain || option == 'p';
        storm = storm || option != 'p';
        gone = gone || option == 'g';
    }
    if (optind >= argc)
        return usage();
    if (!suite_has_pidfd())
        return suite_skip(SUITE_NO_PIDFD);
    program = argv + optind;

    /* In this process, for its children are the guests', and without check's own limit: it is the
     * caller's. */
    TCase *tests = tcase_create("with_guard");
    tcase_add_test(tests, beside_a_guard);
    Suite *suite = suite_create("with_guard");
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_SILENT);
    if (srunner_ntests_failed(runner) > 0)
        srunner_print(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0 ? EXIT_FAILURE : program_status;
}
