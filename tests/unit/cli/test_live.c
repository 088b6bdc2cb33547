/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Commands against a whole guard that answers through its socket: it runs in the test, on a fake
 * host; each command is a child.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <plimsoll/cleanup.h>
#include <plimsoll/control.h>

#include "client.h"
#include "command.h"
#include "fake_host.h"
#include "log.h"
#include "suite.h"

/* One that is quoted in a line, and looks like another field of it. */
#define NAME "new\x1b[2J vm=gold"
#define NAME_SHOWN "new?[2J vm=gold"
#define ANSWER_MAX 65536

typedef int command_run(const struct command_context *context, int argc, char **argv);

static struct fake_host host;
static char answer[ANSWER_MAX]; /* what it printed, on both */
static bool looks;              /* the guard looks at its host while a command runs */

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
        if (looks) {
            fake_host_tick(&host, 10 * NSEC_PER_MSEC);
            guard_undo_advance(host.guard, loop_now());
        }
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

START_TEST(a_hold_and_its_end)
{
    (void)fake_host_guest(&host, NAME, 4 * GIB);
    fake_host_start_guard(&host);
    ck_assert_int_eq(run(command_release, false, NULL), COMMAND_OK);
    ck_assert_str_eq(answer, "There was no hold. The guard acts.\n");
    ck_assert_int_eq(run(command_hold, false, "2h 30min"), COMMAND_OK);
    has("Held until 2");
    has("(2h 29min): the guard watches and takes nothing new");
    has("plimsoll release\n");
    ck_assert_int_eq(run(command_hold, false, NULL), COMMAND_OK);
    has("A hold that lasts longer is in force already: until 2");
    fake_host_tick(&host, NSEC_PER_SEC);
    ck_assert_int_eq(run(command_status, false, NULL), COMMAND_OK);
    has("HELD until 2");
    has("mode held.");
    ck_assert_int_eq(run(command_status, true, NULL), COMMAND_OK);
    has("\"hold\":{\"until\":");
    ck_assert_int_eq(run(command_log, false, NULL), COMMAND_OK);
    has("hold reason=asked until=2");
    log_alert(LOG_ERR, "event=action vm=web band=critical action=kill reason=kill-floor bytes=1 "
                       "pool=host deficit=4 mode=held text=\"it has to go\"");
    ck_assert_int_eq(run(command_log, false, NULL), COMMAND_OK);
    has("kill (held): it has to go");
    ck_assert_int_eq(run(command_why, false, NULL), COMMAND_OK);
    has("web would have been killed");
    has("A hold kept the guard from acting: nothing was done to it.");
    ck_assert_int_eq(run(command_hold, true, "3h"), COMMAND_OK);
    has("\"stands\":false,\"mode\":\"held\"}\n");
    ck_assert_int_eq(run(command_release, true, NULL), COMMAND_OK);
    ck_assert_str_eq(answer, "{\"held\":true,\"guests\":0,\"mode\":\"enforce\"}\n");
}
END_TEST

START_TEST(what_is_in_force_is_taken_back)
{
    pid_t pid = fake_host_guest(&host, NAME, 4 * GIB);

    fake_host_start_guard(&host);
    ck_assert_int_eq(run(command_undo, false, NULL), COMMAND_OK);
    ck_assert_str_eq(answer, "Nothing is in force.\n");
    fake_host_set_available(&host, 8 * GIB);
    for (unsigned i = 0; i < 20; i++)
        fake_host_tick(&host, 100 * NSEC_PER_MSEC);
    storm(pid);
    fake_host_await(pid, WSTOPPED);
    /* Or somebody else would seem to have resumed it. */
    fake_tree_process(host.tree, &(struct fake_process){.pid = pid,
                                     .start_time = FAKE_HOST_START_TIME,
                                     .state = 'T',
                                     .rss_kib = 8 * GIB / KIB});
    looks = true;
    ck_assert_int_eq(run(command_undo, false, NULL), COMMAND_FAILED);
    has(NAME_SHOWN ": guest: not undone: the host is critical and has room for ");
    ck_assert_int_eq(fake_host_real_state(pid), 'T');
    ck_assert_int_eq(run(command_undo, false, "nobody"), COMMAND_FAILED);
    has("nobody: guest: not undone: ");
    ck_assert_int_eq(run(command_undo, false, "--force"), COMMAND_OK);
    has(NAME_SHOWN ": freeze: taken back\n");
    has(NAME_SHOWN ": hold: left alone until 2");
    has(" (9min ");
    ck_assert_int_eq(fake_host_real_state(pid), 'S');
    ck_assert_int_eq(run(command_status, false, NULL), COMMAND_OK);
    has("held");
    ck_assert_int_eq(run(command_log, false, NULL), COMMAND_OK);
    has(" measures=frozen-signal,oom-score band=critical forced=yes until=2");
    looks = false;
    ck_assert_int_eq(run(command_release, false, NULL), COMMAND_OK);
    ck_assert_str_eq(
        answer, "Released. With it 1 guest that had been left alone. The guard acts.\n");
}
END_TEST

START_TEST(a_time_that_is_none)
{
    fake_host_start_guard(&host);
    ck_assert_int_eq(run(command_hold, false, "30"), COMMAND_USAGE);
    ck_assert_int_eq(run(command_hold, false, "0s"), COMMAND_USAGE);
    ck_assert_int_eq(run(command_hold, false, "\x1b[2Jweb"), COMMAND_USAGE);
    ck_assert_ptr_null(strchr(answer, '\x1b'));
    ck_assert_int_eq(run(command_hold, false, "25h"), COMMAND_USAGE);
    has("a day at most");
    ck_assert_int_eq(run(command_release, false, "--web"), COMMAND_USAGE);
    ck_assert_int_eq(run(command_release, false, "web"), COMMAND_FAILED);
    ck_assert_int_eq(run(command_undo, false, "--for=25h"), COMMAND_USAGE);
    has("a day at most");
    ck_assert_int_eq(run(command_undo, false, "--for=soon"), COMMAND_USAGE);
    ck_assert_int_eq(run(command_undo, false, "--runtime-dir=/x"), COMMAND_USAGE);
    ck_assert_uint_eq(host.guard->hold.until, 0);
}
END_TEST

/* Whoever may read may not change anything. */
START_TEST(a_hold_is_for_root)
{
    static const struct {
        const char *method, *parameters;
    } methods[] = {{CONTROL_METHOD_HOLD, "{\"time\":60000000000}"}, {CONTROL_METHOD_RELEASE, "{}"},
        {CONTROL_METHOD_UNDO, "{\"name\":\"web\",\"time\":1}"}};

    fake_host_start_guard(&host);
    for (size_t i = 0; i < ELEMENTSOF(methods); i++) {
        char path[256];
        int status;

        (void)snprintf(path, sizeof(path), "%s/%s", host.tree->folder, CONTROL_SOCKET_NAME);
        ck_assert_int_eq(chmod(host.tree->folder, 0755), 0);
        ck_assert_int_eq(chmod(path, 0666), 0);
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
            struct json_object *parameters = json_tokener_parse(methods[i].parameters);
            struct json_object *reply = NULL;
            struct error error = {0};
            if (setuid(65534) < 0)
                _exit(2);
            int result =
                client_call(path, methods[i].method, parameters, CLIENT_TIMEOUT, &reply, &error);
            _exit(result == -EREMOTEIO && strstr(error.text, "needs root") ? 0 : 1);
        }
        while (waitpid(child, &status, WNOHANG) == 0) {
            ck_assert_int_ge(loop_wait(host.guard->loop, loop_now() + 10 * NSEC_PER_MSEC), 0);
            control_server_expire(host.guard->control, loop_now());
        }
        ck_assert(WIFEXITED(status));
        ck_assert_int_eq(WEXITSTATUS(status), 0);
    }
    ck_assert_uint_eq(host.guard->hold.until, 0);
}
END_TEST

START_TEST(without_a_guard)
{
    fake_host_start_guard(&host);
    host.guard->control = control_server_free(host.guard->control);
    ck_assert_int_eq(run(command_top, false, "-bn1"), COMMAND_UNREACHABLE);
    ck_assert_int_eq(run(command_log, false, NULL), COMMAND_UNREACHABLE);
    ck_assert_int_eq(run(command_why, false, NULL), COMMAND_UNREACHABLE);
    ck_assert_int_eq(run(command_hold, false, NULL), COMMAND_UNREACHABLE);
    ck_assert_int_eq(run(command_release, false, NULL), COMMAND_UNREACHABLE);
    ck_assert_int_eq(run(command_undo, false, "web"), COMMAND_UNREACHABLE);
    has("plimsoll undo --offline\n");
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
    tcase_add_test(tests, a_hold_and_its_end);
    tcase_add_test(tests, what_is_in_force_is_taken_back);
    tcase_add_test(tests, a_time_that_is_none);
    if (geteuid() == 0)
        tcase_add_test(tests, a_hold_is_for_root);
    tcase_add_test(tests, without_a_guard);
    tcase_add_test(tests, a_command_line_that_is_none);
    Suite *suite = suite_create("live");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
