/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Commands against a whole guard that answers through its socket: it runs in the test, on a fake
 * host; each command is a child.
 */
#include <check.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <plimsoll/control.h>

#include "command.h"
#include "fake_host.h"
#include "suite.h"

/* One that is quoted in a line, and looks like another field of it. */
#define NAME "new\x1b[2J vm=gold"
#define NAME_SHOWN "new?[2J vm=gold"
#define ANSWER_MAX 65536

typedef int command_run(const struct command_context *context, int argc, char **argv);

static struct fake_host host;
static char answer[ANSWER_MAX]; /* what it printed, on both */

static void setup(void)
{
    fake_host_begin(&host, FAKE_CGROUPS_V2,
        "[guard]\nmode=enforce\nqmp-directory=/nonexistent\nmax-vms=8\n[class default]\n"
        "mode=enforce\n");
}

static void teardown(void)
{
    fake_host_end(&host);
}

static void answer_read(int fd)
{
    ssize_t count = lseek(fd, 0, SEEK_SET) == 0 ? read(fd, answer, sizeof(answer) - 1) : -1;

    ck_assert_int_ge(count, 0);
    answer[count] = '\0';
    (void)close(fd);
}

/* Runs it with one argument, or none, while the guard serves; returns its exit status. */
static int run(command_run *command, bool json, const char *argument)
{
    char path[256], name[] = "command", copy[64] = "";
    const struct command_context context = {.socket = path, .json = json};
    char *arguments[] = {name, argument ? copy : NULL, NULL};
    int status, fd;

    (void)snprintf(path, sizeof(path), "%s/%s", host.tree->folder, CONTROL_SOCKET_NAME);
    (void)snprintf(copy, sizeof(copy), "%s", argument ? argument : "");
    fd = open(host.tree->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        (void)dup2(fd, STDOUT_FILENO);
        (void)dup2(fd, STDERR_FILENO);
        status = command(&context, argument ? 2 : 1, arguments);
        (void)fflush(stdout);
        _exit(status);
    }
    while (waitpid(child, &status, WNOHANG) == 0) {
        ck_assert_int_ge(loop_wait(host.guard->loop, loop_now() + 10 * NSEC_PER_MSEC), 0);
        if (host.guard->control)
            control_server_expire(host.guard->control, loop_now());
    }
    ck_assert(WIFEXITED(status));
    answer_read(fd);
    return WEXITSTATUS(status);
}

static void has(const char *text)
{
    ck_assert_msg(strstr(answer, text) != NULL, "no “%s” in:\n%.2000s", text, answer);
}

static void has_not(const char *text)
{
    ck_assert_msg(strstr(answer, text) == NULL, "“%s” in:\n%.2000s", text, answer);
}

/* A guest outgrows the host until the guard freezes it. */
static void storm(pid_t pid)
{
    uint64_t rss = 4 * GIB;

    for (uint64_t available = 8 * GIB; available > 400 * MIB; available -= 400 * MIB) {
        rss += 400 * MIB;
        fake_host_set_rss(&host, pid, rss);
        fake_host_set_available(&host, available);
        fake_host_tick(&host, 100 * NSEC_PER_MSEC);
        for (uint32_t i = 0; i < host.guard->plan->action_count; i++)
            if (host.guard->plan->actions[i].kind == ACTION_FREEZE)
                return;
    }
    ck_abort_msg("the guard never acted");
}

START_TEST(before_anything_happened)
{
    fake_host_start_guard(&host);
    ck_assert_int_eq(run(command_log, false, NULL), COMMAND_OK);
    has("host          start version=");
    ck_assert_int_eq(run(command_why, false, NULL), COMMAND_FAILED);
    has("none is a decision; what is older");
}
END_TEST

START_TEST(a_decision_is_told_of)
{
    pid_t pid = fake_host_guest(&host, NAME, 4 * GIB);

    fake_host_start_guard(&host);
    fake_host_set_available(&host, 8 * GIB);
    for (unsigned i = 0; i < 20; i++)
        fake_host_tick(&host, 100 * NSEC_PER_MSEC);
    storm(pid);

    ck_assert_int_eq(run(command_why, false, NULL), COMMAND_OK);
    has(NAME_SHOWN " was frozen, ");
    has("  Because    the guest has to stop growing and it has no monitor to ask "
        "(freeze-no-monitor)\n");
    has("the band was critical, the floor reached in ");
    has("  Runner-up  nobody else could have given it\n");
    ck_assert_int_eq(run(command_why, false, "freeze"), COMMAND_OK);
    has("was frozen");
    ck_assert_int_eq(run(command_why, false, "gold"), COMMAND_FAILED);
    has("about gold;");
    ck_assert_int_eq(run(command_why, true, "freeze-no-monitor"), COMMAND_OK);
    has("\"fields\":{\"event\":\"action\",\"vm\":\"new?[2J vm=gold\"");

    ck_assert_int_eq(run(command_log, false, NULL), COMMAND_OK);
    has(NAME_SHOWN "  vm-appeared pid=");
    has(NAME_SHOWN "  freeze: the guest has to stop growing");
    ck_assert_ptr_null(strchr(answer, '\x1b'));
    ck_assert_int_eq(run(command_log, false, "--lines=1"), COMMAND_OK);
    has_not("vm-appeared");
    ck_assert_int_eq(run(command_log, false, "gold"), COMMAND_OK);
    ck_assert_str_eq(answer, "");
    ck_assert_int_eq(run(command_log, true, "--lines=1"), COMMAND_OK);
    ck_assert_ptr_eq(strchr(answer, '\n'), answer + strlen(answer) - 1);
}
END_TEST

/* Frame after frame, of a guest whose name is none for a terminal. */
START_TEST(it_is_watched)
{
    (void)fake_host_guest(&host, NAME, 4 * GIB);
    fake_host_start_guard(&host);
    fake_host_set_available(&host, 8 * GIB);
    fake_host_tick(&host, NSEC_PER_SEC);
    ck_assert_int_eq(run(command_top, false, "-bn2"), COMMAND_OK);
    has(" CALM   mode enforce  1 guest  ");
    has("host    calm     headroom 7");
    has("\n" NAME_SHOWN " ");
    has("host          start version=");
    ck_assert_ptr_null(strchr(answer, '\x1b'));
    ck_assert_ptr_nonnull(strstr(strstr(answer, " CALM ") + 1, " CALM "));
    ck_assert_int_eq(run(command_top, true, "-bn1"), COMMAND_OK);
    ck_assert_ptr_eq(strchr(answer, '\n'), answer + strlen(answer) - 1);
    has("\"vms\":[{\"name\":\"new");
}
END_TEST

START_TEST(without_a_guard)
{
    fake_host_start_guard(&host);
    host.guard->control = control_server_free(host.guard->control);
    ck_assert_int_eq(run(command_top, false, "-bn1"), COMMAND_UNREACHABLE);
    ck_assert_int_eq(run(command_log, false, NULL), COMMAND_UNREACHABLE);
    ck_assert_int_eq(run(command_why, false, NULL), COMMAND_UNREACHABLE);
}
END_TEST

START_TEST(a_command_line_that_is_none)
{
    fake_host_start_guard(&host);
    ck_assert_int_eq(run(command_log, false, "--lines=many"), COMMAND_USAGE);
    has("--lines takes a number");
    ck_assert_int_eq(run(command_log, false, "--nothing"), COMMAND_USAGE);
}
END_TEST

int main(void)
{
    if (!suite_has_pidfd())
        return suite_skip(SUITE_NO_PIDFD);
    (void)setlocale(LC_ALL, "C.UTF-8");
    TCase *tests = tcase_create("live");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, before_anything_happened);
    tcase_add_test(tests, a_decision_is_told_of);
    tcase_add_test(tests, it_is_watched);
    tcase_add_test(tests, without_a_guard);
    tcase_add_test(tests, a_command_line_that_is_none);
    Suite *suite = suite_create("live");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
