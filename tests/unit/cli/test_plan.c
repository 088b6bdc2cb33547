/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `plimsoll plan` against a whole guard on a fake host, by the command's exit status and words; and
 * its words for answers of all kinds.
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
#include "plan_view.h"
#include "suite.h"

/* A name that would clear the terminal. */
#define NAME "new\x1b[2J"
#define ANSWER_MAX 65536
#define ARGUMENTS_MAX 6
/* The guard's clock stands still in between, its next tick must not be due. */
#define NEXT_TICK (60 * NSEC_PER_SEC)

static struct fake_host host;
static char answer[ANSWER_MAX]; /* what it printed, on both */

static void setup(void)
{
    fake_host_begin(&host, FAKE_CGROUPS_V2,
        "[guard]\nmode=enforce\nqmp-directory=/nonexistent\nmax-vms=8\nfloor=512M\n"
        "[class default]\nmode=enforce\n");
    fake_host_set_available(&host, 8 * GIB);
    (void)fake_host_guest(&host, NAME, 4 * GIB);
    fake_host_start_guard(&host);
    for (unsigned i = 0; i < 20; i++)
        fake_host_tick(&host, 100 * NSEC_PER_MSEC);
    host.guard->next_tick = loop_now() + NEXT_TICK;
}

static void teardown(void)
{
    fake_host_end(&host);
}

static void has(const char *text)
{
    ck_assert_msg(strstr(answer, text) != NULL, "no “%s” in:\n%.2000s", text, answer);
}

/* In the child: nothing of the guard's is left to it but the socket's path. */
_Noreturn static void command_run(bool json, int fd, const char *words)
{
    char path[256], copy[128], *arguments[ARGUMENTS_MAX + 2], *rest = copy, name[] = "plan";
    const struct command_context context = {.socket = path, .json = json};
    int count = 1;

    (void)snprintf(path, sizeof(path), "%s/%s", host.tree->folder, CONTROL_SOCKET_NAME);
    (void)snprintf(copy, sizeof(copy), "%s", words);
    arguments[0] = name;
    for (char *word; count <= ARGUMENTS_MAX && (word = strtok_r(rest, " ", &rest));)
        arguments[count++] = word;
    arguments[count] = NULL;
    (void)dup2(fd, STDOUT_FILENO);
    (void)dup2(fd, STDERR_FILENO);
    int status = command_plan(&context, count, arguments);
    (void)fflush(stdout);
    _exit(status);
}

/* Runs it with WORDS while the guard serves; returns its exit status. */
static int run(bool json, const char *words)
{
    int status, fd = open(host.tree->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    ck_assert_int_ge(fd, 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        command_run(json, fd, words);
    while (waitpid(child, &status, WNOHANG) == 0) {
        ck_assert_int_ge(loop_wait(host.guard->loop, loop_now() + 10 * NSEC_PER_MSEC), 0);
        if (host.guard->control)
            control_server_expire(host.guard->control, loop_now());
    }
    ck_assert(WIFEXITED(status));
    ssize_t count = lseek(fd, 0, SEEK_SET) == 0 ? read(fd, answer, sizeof(answer) - 1) : -1;
    ck_assert_int_ge(count, 0);
    answer[count] = '\0';
    (void)close(fd);
    return WEXITSTATUS(status);
}

START_TEST(the_status_says_whether_it_would_be_met)
{
    ck_assert_int_eq(run(false, "--need 1G"), COMMAND_OK);
    has("If 1G more were needed now, the guard would do this. Nothing is touched.\n");
    has("    nothing\n");
    has("The need would be met after ");
    has("6.5G are left above the floor, and the band is calm.\n");
    has("Nobody would be killed.\n");
    has("Taken for granted: ");
    ck_assert_int_eq(run(false, ""), COMMAND_OK);
    has("As things are now, the guard is about to do this.");
    ck_assert_int_eq(run(false, "--need 9G"), COMMAND_FAILED);
    has("The need would NOT be met: ");
    has("alert about the host: leak-outside: ");
    ck_assert_int_eq(run(true, "--need 9G --node 1"), COMMAND_FAILED);
    has("\"need\":9663676416,\"node\":1,");
    ck_assert_ptr_eq(strchr(answer, '\n'), answer + strlen(answer) - 1);
    ck_assert_int_eq(fake_host_real_state(host.guard->snapshot->vms[0].identity.pid), 'S');
}
END_TEST

START_TEST(what_has_no_answer)
{
    ck_assert_int_eq(run(false, "--need 1G --node 5"), COMMAND_USAGE);
    has("plimsoll: this host has no node 5; its nodes are: 0, 1\n");
    ck_assert_int_eq(run(false, "--need much"), COMMAND_USAGE);
    has("--need takes a size, such as 512M or 4G, not “much”");
    ck_assert_int_eq(run(false, "--need -1G"), COMMAND_USAGE);
    ck_assert_int_eq(run(false, "--need 99999999T"), COMMAND_USAGE);
    ck_assert_int_eq(run(false, "--need"), COMMAND_USAGE);
    ck_assert_int_eq(run(false, "--node x"), COMMAND_USAGE);
    ck_assert_int_eq(run(false, "4G"), COMMAND_USAGE);
    host.guard->control = control_server_free(host.guard->control);
    ck_assert_int_eq(run(false, "--need 1G"), COMMAND_UNREACHABLE);
    has("systemctl");
}
END_TEST

/* As it is shown on a terminal of so many columns. */
static char *shown(const char *json, unsigned width)
{
    const struct style style = {.width = width};
    struct json_object *plan = json_tokener_parse(json);
    char *output = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&output, &size);

    plan_view_print(plan, &style, out);
    ck_assert_int_eq(fclose(out), 0);
    json_object_put(plan);
    return output;
}

#define ANSWER                                                                                   \
    "{\"need\":4294967296,\"node\":1,\"met\":false,\"lacking\":1073741824,\"waited_most\":"      \
    "2147483648,"                                                                                \
    "\"waited\":1500000000,\"ending\":\"cut\",\"time\":9000000000,\"steps_dropped\":2,"          \
    "\"dry_run\":true,\"after\":{\"band\":\"critical\",\"headroom\":-5},\"killed\":[\"a\\u001b[" \
    "2J\"],"                                                                                     \
    "\"assumed\":\"much\",\"steps\":["                                                           \
    "{\"after\":1000000,\"last\":3001000000,\"times\":4,\"vm\":\"a\\u001b[2J\",\"action\":"      \
    "\"balloon\","                                                                               \
    "\"text\":\"it has to "                                                                      \
    "give\",\"mode\":\"enforce\",\"target\":1073741824,\"bytes\":536870912,\"loss\":0,"          \
    "\"rival\":null},"                                                                           \
    "{\"after\":20000000,\"last\":20000000,\"times\":1,\"vm\":\"a\\u001b[2J\",\"action\":"       \
    "\"kill\",\"text\":\"so\","                                                                  \
    "\"mode\":\"dry-run\",\"target\":null,\"bytes\":1073741824,\"loss\":12000500,"               \
    "\"rival\":{\"vm\":\"gold\",\"reason\":\"dearer\",\"figure\":54000000}}]}"

START_TEST(all_there_is_in_words)
{
    char *output = shown(ANSWER, 80);

    ck_assert_str_eq(output,
        "If 4G more were needed now on node 1, the guard would do this. Nothing is\n"
        "touched.\n"
        "\n"
        "      1ms  a?[2J: balloon to 1G, gives 512M: it has to give\n"
        "           In 4 parts until 3s.\n"
        "     20ms  a?[2J: kill, gives 1G (dry run): so\n"
        "           It costs 12000.500. Runner-up: gold: it would have lost more (by\n"
        "           54000).\n"
        "    and 2 things more\n"
        "\n"
        "The need would NOT be met: 1G are lacking in the end, and the band is critical.\n"
        "For 1.5s up to 2G would not be there: who asks for it waits, and the kernel's\n"
        "OOM killer may come first.\n"
        "Killed would be a?[2J.\n"
        "What is marked as dry run would be told of and not done, so it gives nothing\n"
        "here.\n"
        "The guard had no time to look further ahead, after 9s; what comes then is not\n"
        "said.\n"
        "\n"
        "Taken for granted: much.\n");
    free(output);
}
END_TEST

START_TEST(whatever_the_answer_is_no_reason_to_fall_over)
{
    static const char *const answers[] = {
        "{}",
        "[]",
        "null",
        "{\"steps\":7,\"killed\":{}}",
        "{\"steps\":[null,1,[],{}],\"killed\":[null,1,{}]}",
        "{\"need\":\"x\",\"met\":\"yes\",\"after\":[]}",
        "{\"steps\":[{\"rival\":[],\"loss\":-1,\"times\":-5}]}",
        "{\"steps\":[{\"rival\":{\"reason\":\"dearer\",\"vm\":7}}]}",
    };

    for (size_t i = 0; i < ELEMENTSOF(answers); i++)
        free(shown(answers[i], 40));
}
END_TEST

int main(void)
{
    if (!suite_has_pidfd())
        return suite_skip(SUITE_NO_PIDFD);
    (void)setlocale(LC_ALL, "C.UTF-8");
    TCase *live = tcase_create("live"), *words = tcase_create("words");
    tcase_set_timeout(live, 60);
    tcase_add_checked_fixture(live, setup, teardown);
    tcase_add_test(live, the_status_says_whether_it_would_be_met);
    tcase_add_test(live, what_has_no_answer);
    tcase_add_test(words, all_there_is_in_words);
    tcase_add_test(words, whatever_the_answer_is_no_reason_to_fall_over);
    Suite *suite = suite_create("plan");
    suite_add_tcase(suite, live);
    suite_add_tcase(suite, words);
    return suite_run(suite);
}
