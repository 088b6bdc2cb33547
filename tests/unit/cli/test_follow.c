/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `plimsoll log --follow` beside a whole guard that ends and is started anew: the follower is a
 * child, and what it prints is awaited, or what its program notes (alert_program.c, of which the
 * path is the argument).
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <plimsoll/cleanup.h>
#include <plimsoll/control.h>

#include "command.h"
#include "fake_host.h"
#include "history.h"
#include "log.h"
#include "scratch.h"
#include "suite.h"

#define OUTPUT_MAX (256 * 1024)
/* Ten times what a follower may sleep. */
#define PATIENCE (10 * NSEC_PER_SEC)

static struct fake_host host;
static char output[OUTPUT_MAX]; /* what it printed so far, on both */
static size_t output_size;
static int output_fd;
static pid_t follower;
static char *program;

static void setup(void)
{
    fake_host_begin(
        &host, FAKE_CGROUPS_V2, "[guard]\nqmp-directory=/nonexistent\nlibvirt=off\nmax-vms=8\n");
    fake_host_start_guard(&host);
}

static void teardown(void)
{
    if (follower > 0) {
        (void)kill(follower, SIGKILL);
        (void)waitpid(follower, NULL, 0);
        (void)close(output_fd);
    }
    fake_host_end(&host);
}

static void follow_with(bool exec)
{
    static char path[256], name[] = "log", option[] = "--follow", program_option[] = "--exec";
    const struct command_context context = {.socket = path};
    char *arguments[] = {name, option, exec ? program_option : NULL, program, NULL};
    int pipes[2];

    (void)snprintf(path, sizeof(path), "%s/%s", host.tree->folder, CONTROL_SOCKET_NAME);
    ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
    (void)fflush(NULL);
    follower = fork();
    ck_assert_int_ge(follower, 0);
    if (follower == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)dup2(pipes[1], STDOUT_FILENO);
        (void)dup2(pipes[1], STDERR_FILENO);
        (void)signal(SIGCHLD, SIG_IGN);
        (void)setenv("PLIMSOLL_ALERT_ROLE", "note", 1);
        (void)setenv("PLIMSOLL_ALERT_FOLDER", host.tree->folder, 1);
        _exit(command_log(&context, exec ? 4 : 2, arguments));
    }
    (void)close(pipes[1]);
    output_fd = pipes[0];
    ck_assert_int_eq(fcntl(output_fd, F_SETFL, O_NONBLOCK), 0);
}

static void follow(void)
{
    follow_with(false);
}

static void serve(void)
{
    const struct timespec step = {.tv_nsec = 10 * NSEC_PER_MSEC};

    if (host.guard) {
        ck_assert_int_ge(loop_wait(host.guard->loop, loop_now() + 10 * NSEC_PER_MSEC), 0);
        control_server_expire(host.guard->control, loop_now());
    } else {
        (void)nanosleep(&step, NULL);
    }
}

/* Lets the guard serve until TEXT stands in what was printed. */
static void await(const char *text)
{
    uint64_t until = loop_now() + PATIENCE;

    while (!strstr(output, text)) {
        ck_assert_msg(loop_now() < until, "no “%s” in:\n%.2000s", text, output);
        serve();
        ssize_t count = read(output_fd, output + output_size, OUTPUT_MAX - 1 - output_size);
        ck_assert(count > 0 || (count < 0 && errno == EAGAIN));
        output_size += count > 0 ? (size_t)count : 0;
    }
}

static const char *notes(void)
{
    static char text[4096], path[256];

    (void)snprintf(path, sizeof(path), "%s/notes", host.tree->folder);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t count = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
    ck_assert_int_ge(count, 0);
    text[count] = '\0';
    if (fd >= 0)
        (void)close(fd);
    return text;
}

/* Until the program has noted TEXT, and nothing before that but what it has to. */
static void await_notes(const char *text)
{
    uint64_t until = loop_now() + PATIENCE;

    while (strcmp(notes(), text) != 0) {
        ck_assert_msg(loop_now() < until, "not “%s”, but “%s”", text, notes());
        serve();
    }
}

static unsigned times(const char *text)
{
    unsigned found = 0;

    for (const char *at = output; (at = strstr(at, text)); at++)
        found++;
    return found;
}

static void guard_again(void)
{
    host.guard = guard_free(host.guard);
    fake_host_start_guard(&host);
}

/* What the first guard says last was said an hour later than all that the second one says. */
START_TEST(a_clock_that_is_set_back_silences_nobody)
{
    follow();
    await("start version=");
    history_add(host.guard->history, guard_realtime() + 60 * NSEC_PER_MINUTE, LOG_INFO,
        "event=test text=\"from tomorrow\"");
    await("from tomorrow");
    guard_again();
    history_add(host.guard->history, guard_realtime(), LOG_INFO, "event=test text=\"set back\"");
    await("set back");
    ck_assert_uint_eq(times("start version="), 2);
    ck_assert_uint_eq(times("from tomorrow"), 1);
    ck_assert_uint_eq(times("lost here"), 0);
    log_alert(LOG_INFO, "event=test text=\"and on\"");
    await("and on");
    ck_assert_uint_eq(times("set back"), 1);
}
END_TEST

START_TEST(a_guard_that_is_away_is_awaited)
{
    follow();
    await("start version=");
    host.guard = guard_free(host.guard);
    await("plimsoll: ");
    fake_host_start_guard(&host);
    await("the guard answers again");
    ck_assert_uint_eq(times("start version="), 2);
    ck_assert_uint_eq(times("answers again"), 1);
}
END_TEST

/* By their number, in one guard and in the next. */
START_TEST(what_is_lost_is_counted)
{
    follow();
    await("start version=");
    for (unsigned i = 1; i <= HISTORY_LINES + 7; i++)
        log_alert(LOG_INFO, "event=test number=%u.", i);
    await("plimsoll: 7 lines came too fast and are lost here\n");
    await("number=519.");
    ck_assert_uint_eq(times("number=8."), 1);
    ck_assert_uint_eq(times("number=7."), 0);
    guard_again();
    for (unsigned i = 1; i <= HISTORY_LINES + 9; i++)
        log_alert(LOG_INFO, "event=again number=%u.", i);
    await("plimsoll: 10 lines came too fast"); /* its start is one of them */
}
END_TEST

/* What was said before is history, and what is less than a warning is for nobody's pager. */
START_TEST(a_program_is_run_for_what_is_said_from_now_on)
{
    int status;

    log_alert(LOG_CRIT, "event=test text=before");
    follow_with(true);
    await("the program is run for what the guard says from now on");
    log_alert(LOG_WARNING, "event=test text=first");
    log_alert(LOG_NOTICE, "event=test text=quiet");
    log_alert(LOG_CRIT, "event=test text=second");
    await_notes("first\nsecond\n");
    guard_again();
    log_alert(LOG_ERR, "event=test text=third");
    await_notes("first\nsecond\nthird\n");
    log_alert(LOG_ERR, "event=test text=fourth");
    await_notes("first\nsecond\nthird\nfourth\n");
    ck_assert_int_eq(kill(follower, SIGTERM), 0);
    while (waitpid(follower, &status, WNOHANG) == 0)
        serve();
    follower = 0;
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), COMMAND_OK);
    ck_assert_uint_eq(times("event=test"), 0);
}
END_TEST

/* It has said nothing before we began. */
START_TEST(a_guard_that_comes_later_is_heard_from_its_first_word)
{
    host.guard = guard_free(host.guard);
    follow_with(true);
    await("plimsoll: ");
    fake_host_start_guard(&host);
    log_alert(LOG_WARNING, "event=test text=early");
    await_notes("early\n");
}
END_TEST

START_TEST(what_does_not_go_together_is_refused)
{
    static const struct {
        const char *arguments[4];
        const char *text;
    } cases[] = {
        {{"--exec", "/bin/true"}, "--exec goes with --follow"},
        {{"--follow", "--exec", "true"}, "is no path"},
        {{"--follow", "--exec", "/nonexistent"}, "cannot run /nonexistent"},
        {{"--follow", "--timeout=5s"}, "--timeout goes with --exec"},
        {{"--follow", "--timeout=2h", "--exec", "/bin/true"}, "of an hour at most"},
        {{"--priority=loud"}, "--priority takes emerg, "},
    };
    char path[256], expected[512];

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        char copies[5][32] = {"log"}, *arguments[6] = {copies[0]};
        const struct command_context context = {.socket = "/nonexistent"};
        int count = 1, status;
        for (; count < 5 && cases[i].arguments[count - 1]; count++) {
            (void)snprintf(
                copies[count], sizeof(copies[count]), "%s", cases[i].arguments[count - 1]);
            arguments[count] = copies[count];
        }
        (void)snprintf(path, sizeof(path), "%s/said", host.tree->folder);
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
            if (!freopen(path, "we", stderr))
                _exit(99);
            status = command_log(&context, count, arguments);
            (void)fflush(stderr);
            _exit(status);
        }
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_int_eq(WEXITSTATUS(status), COMMAND_USAGE);
        (void)snprintf(expected, sizeof(expected), "%s", scratch_read(path));
        ck_assert_msg(strstr(expected, cases[i].text) != NULL, "%s", expected);
    }
}
END_TEST

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: test_cli_follow PROGRAM\n", stderr);
        return EXIT_FAILURE;
    }
    program = argv[1];
    if (!suite_has_pidfd())
        return suite_skip(SUITE_NO_PIDFD);
    (void)setlocale(LC_ALL, "C.UTF-8");
    TCase *tests = tcase_create("follow");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_clock_that_is_set_back_silences_nobody);
    tcase_add_test(tests, a_guard_that_is_away_is_awaited);
    tcase_add_test(tests, what_is_lost_is_counted);
    tcase_add_test(tests, a_program_is_run_for_what_is_said_from_now_on);
    tcase_add_test(tests, a_guard_that_comes_later_is_heard_from_its_first_word);
    tcase_add_test(tests, what_does_not_go_together_is_refused);
    Suite *suite = suite_create("follow");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
