/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `plimsoll log --follow` beside a whole guard that ends and is started anew: the follower is a
 * child, and what it prints is awaited.
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

#include <plimsoll/control.h>

#include "command.h"
#include "fake_host.h"
#include "history.h"
#include "log.h"
#include "suite.h"

#define OUTPUT_MAX (256 * 1024)
/* Ten times what a follower may sleep. */
#define PATIENCE (10 * NSEC_PER_SEC)

static struct fake_host host;
static char output[OUTPUT_MAX]; /* what it printed so far, on both */
static size_t output_size;
static int output_fd;
static pid_t follower;

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

static void follow(void)
{
    static char path[256], name[] = "log", option[] = "--follow";
    const struct command_context context = {.socket = path};
    char *arguments[] = {name, option, NULL};
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
        _exit(command_log(&context, 2, arguments));
    }
    (void)close(pipes[1]);
    output_fd = pipes[0];
    ck_assert_int_eq(fcntl(output_fd, F_SETFL, O_NONBLOCK), 0);
}

/* Lets the guard serve until TEXT stands in what was printed. */
static void await(const char *text)
{
    uint64_t until = loop_now() + PATIENCE;

    while (!strstr(output, text)) {
        ck_assert_msg(loop_now() < until, "no “%s” in:\n%.2000s", text, output);
        if (host.guard) {
            ck_assert_int_ge(loop_wait(host.guard->loop, loop_now() + 10 * NSEC_PER_MSEC), 0);
            control_server_expire(host.guard->control, loop_now());
        } else {
            const struct timespec step = {.tv_nsec = 10 * NSEC_PER_MSEC};
            (void)nanosleep(&step, NULL);
        }
        ssize_t count = read(output_fd, output + output_size, OUTPUT_MAX - 1 - output_size);
        ck_assert(count > 0 || (count < 0 && errno == EAGAIN));
        output_size += count > 0 ? (size_t)count : 0;
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

int main(void)
{
    if (!suite_has_pidfd())
        return suite_skip(SUITE_NO_PIDFD);
    (void)setlocale(LC_ALL, "C.UTF-8");
    TCase *tests = tcase_create("follow");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_clock_that_is_set_back_silences_nobody);
    tcase_add_test(tests, a_guard_that_is_away_is_awaited);
    tcase_add_test(tests, what_is_lost_is_counted);
    Suite *suite = suite_create("follow");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
