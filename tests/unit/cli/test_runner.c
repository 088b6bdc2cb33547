/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A program that is run for events: how many at a time, for how long, with what, and what is said
 * of one that fails. The time is the test's; the program (alert_program.c) is real. Argument: its
 * path.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include <plimsoll/cleanup.h>

#include "alert.h"
#include "log.h"
#include "runner.h"
#include "scratch.h"
#include "suite.h"

/* For what happens at once. */
#define PATIENCE_MS 30000
#define STEP_MS 5
#define TEXT_MAX 65536
#define BEGIN NSEC_PER_SEC

static const char *program;
static char folder[SCRATCH_FOLDER_MAX], said_text[TEXT_MAX];
static int said_fd;
static struct runner *runner;

static void setup(void)
{
    scratch_make("runner", folder);
    /* So that it is seen here what becomes of a program's children. */
    ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    said_fd = memfd_create("said", MFD_CLOEXEC);
    ck_assert_int_eq(dup2(said_fd, STDERR_FILENO), STDERR_FILENO);
    ck_assert_int_eq(clearenv(), 0);
    ck_assert_int_eq(setenv("PLIMSOLL_ALERT_FOLDER", folder, 1), 0);
}

static void teardown(void)
{
    runner = runner_free(runner);
    scratch_remove(folder);
}

static void begin(const char *role)
{
    ck_assert_int_eq(setenv("PLIMSOLL_ALERT_ROLE", role, 1), 0);
    ck_assert_int_eq(runner_new(program, RUNNER_TIMEOUT, &runner), 0);
}

/* The line as it comes from the guard, with its fields. */
static struct json_object *line_make(const char *text, int level)
{
    struct json_object *line = json_object_new_object();

    (void)json_object_object_add(line, "number", json_object_new_int(1));
    (void)json_object_object_add(line, "level", json_object_new_int(level));
    (void)json_object_object_add(line, "text", json_object_new_string(text));
    (void)json_object_object_add(line, "fields", alert_fields(line));
    return line;
}

static void add(const char *text, int level)
{
    char whole[256];

    (void)snprintf(whole, sizeof(whole), "event=test vm=web text=%s", text);
    struct json_object *line = line_make(whole, level);
    runner_push(runner, line);
    (void)json_object_put(line);
}

static const char *path(const char *name)
{
    static char text[SCRATCH_FOLDER_MAX + 32];

    (void)snprintf(text, sizeof(text), "%s/%s", folder, name);
    return text;
}

/* All that is in FD, or in the folder's file NAME; "" where there is none. */
static const char *content(int fd, const char *name)
{
    static char text[TEXT_MAX];
    int opened = name ? open(path(name), O_RDONLY | O_CLOEXEC) : fd;

    ssize_t size = opened < 0 ? 0 : pread(opened, text, sizeof(text) - 1, 0);
    ck_assert_int_ge(size, 0);
    text[size] = '\0';
    if (name && opened >= 0)
        (void)close(opened);
    return text;
}

static const char *said(void)
{
    (void)snprintf(said_text, sizeof(said_text), "%s", content(said_fd, NULL));
    return said_text;
}

static unsigned times(const char *text, const char *what)
{
    unsigned found = 0;

    for (; (text = strstr(text, what)); text++)
        found++;
    return found;
}

static void step(void)
{
    const struct timespec time = {.tv_nsec = STEP_MS * 1000000L};
    (void)nanosleep(&time, NULL);
}

/* Until the file NAME holds WHAT. */
static void await(const char *name, const char *what)
{
    for (int waited = 0; !strstr(content(-1, name), what); waited += STEP_MS) {
        ck_assert_msg(waited < PATIENCE_MS, "no “%s” in %s: %s", what, name, content(-1, name));
        step();
    }
}

/* Until all that is queued is done, at NOW; that is no timer's time. */
static void settle(uint64_t now)
{
    runner_serve(runner, now);
    for (int waited = 0; !runner_is_idle(runner); waited += STEP_MS) {
        ck_assert_int_lt(waited, PATIENCE_MS);
        step();
        runner_serve(runner, now);
    }
}

/* The program and its child are gone, by that signal. */
static void pids_read(pid_t *ret_program, pid_t *ret_child)
{
    char *rest;

    await("pids", "\n");
    *ret_program = (pid_t)strtol(content(-1, "pids"), &rest, 10);
    *ret_child = (pid_t)strtol(rest, &rest, 10);
    ck_assert(*ret_program > 0 && *ret_child > 0 && *rest == '\n');
}

static void killed_check(pid_t child)
{
    int status;

    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status));
    ck_assert_int_eq(WTERMSIG(status), SIGKILL);
}

START_TEST(one_at_a_time_and_in_order)
{
    begin("turn");
    add("first", LOG_WARNING);
    add("second", LOG_CRIT);
    add("third", LOG_WARNING);
    runner_serve(runner, BEGIN);
    await("notes", "first\n");
    for (unsigned i = 0; i < 5; i++)
        runner_serve(runner, BEGIN + i);
    scratch_write(path("go"), "");
    settle(BEGIN);
    ck_assert_str_eq(content(-1, "notes"), "first\nsecond\nthird\n");
    ck_assert_str_eq(said(), "");
}
END_TEST

/* And its child, which it did not end itself, neither of which heeds SIGTERM. */
START_TEST(what_takes_too_long_is_ended_with_all_its_group)
{
    pid_t child, grandchild;

    begin("stubborn");
    add("late", LOG_WARNING);
    runner_serve(runner, BEGIN);
    pids_read(&child, &grandchild);
    runner_serve(runner, BEGIN + RUNNER_TIMEOUT - 1);
    runner_serve(runner, BEGIN + RUNNER_TIMEOUT);
    runner_serve(runner, BEGIN + RUNNER_TIMEOUT + RUNNER_GRACE - 1);
    ck_assert_int_eq(kill(child, 0), 0);
    runner_serve(runner, BEGIN + RUNNER_TIMEOUT + RUNNER_GRACE);
    settle(BEGIN + RUNNER_TIMEOUT + RUNNER_GRACE);
    ck_assert_ptr_nonnull(
        strstr(said(), "has not ended within 10s, and was ended: event=test vm=web\n"));
    add("next", LOG_WARNING);
    ck_assert_int_eq(setenv("PLIMSOLL_ALERT_ROLE", "note", 1), 0);
    settle(BEGIN + RUNNER_TIMEOUT + RUNNER_GRACE);
    killed_check(grandchild);
    ck_assert_int_eq(kill(child, 0), -1);
    ck_assert_str_eq(content(-1, "notes"), "next\n");
    ck_assert_uint_eq(times(said(), "\n"), 1);
}
END_TEST

START_TEST(what_a_program_leaves_behind_ends_with_it)
{
    pid_t child, grandchild;

    begin("leave");
    add("done", LOG_WARNING);
    settle(BEGIN);
    pids_read(&child, &grandchild);
    killed_check(grandchild);
    ck_assert_str_eq(said(), "");
}
END_TEST

START_TEST(the_end_orphans_nobody)
{
    pid_t child, grandchild;

    begin("stubborn");
    add("running", LOG_WARNING);
    add("queued", LOG_WARNING);
    runner_serve(runner, BEGIN);
    pids_read(&child, &grandchild);
    runner_end(runner);
    runner = runner_free(runner);
    killed_check(grandchild);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
    ck_assert_ptr_nonnull(
        strstr(said(), "plimsoll: 1 events are not handed to the program any more\n"));
}
END_TEST

/* Of those that matter least the oldest goes, and it is said how many, once a minute. */
START_TEST(the_queue_is_bounded)
{
    char text[32], wanted[4096] = "";

    begin("note");
    for (unsigned i = 0; i < RUNNER_QUEUE_MAX; i++) {
        (void)snprintf(text, sizeof(text), "w%u", i);
        add(text, i == 0 ? LOG_CRIT : LOG_WARNING);
    }
    add("more-urgent", LOG_CRIT); /* instead of w1 */
    add("less-urgent", LOG_INFO); /* not taken */
    add("alike", LOG_WARNING);    /* instead of w2 */
    runner_serve(runner, BEGIN);
    ck_assert_ptr_nonnull(strstr(said(), "plimsoll: 3 events came faster than "));
    add("room-for-one", LOG_WARNING); /* as the first has been begun */
    add("another", LOG_WARNING);      /* instead of w3 */
    settle(BEGIN + NSEC_PER_SEC);
    ck_assert_uint_eq(times(said(), " came faster "), 1);
    runner_serve(runner, BEGIN + 2 * NSEC_PER_MINUTE);
    ck_assert_ptr_nonnull(strstr(said(), "plimsoll: 1 events came faster than "));
    for (unsigned i = 0; i < RUNNER_QUEUE_MAX; i++)
        if (i == 0 || i > 3)
            (void)snprintf(wanted + strlen(wanted), sizeof(wanted) - strlen(wanted), "w%u\n", i);
    (void)snprintf(wanted + strlen(wanted), sizeof(wanted) - strlen(wanted),
        "more-urgent\nalike\nroom-for-one\nanother\n");
    ck_assert_str_eq(content(-1, "notes"), wanted);
}
END_TEST

START_TEST(failures_are_told_once_a_minute)
{
    begin("fail");
    for (unsigned i = 0; i < 3; i++)
        add("x", LOG_WARNING);
    settle(BEGIN);
    ck_assert_uint_eq(times(said(), "has failed with exit status 3: event=test vm=web\n"), 1);
    ck_assert_uint_eq(times(said(), "to its output\n"), 3);
    ck_assert_uint_eq(times(said(), "to its errors\n"), 3);
    ck_assert_int_eq(setenv("PLIMSOLL_ALERT_ROLE", "signal", 1), 0);
    add("x", LOG_WARNING);
    settle(BEGIN + 2 * NSEC_PER_MINUTE);
    ck_assert_ptr_nonnull(
        strstr(said(), "was ended by signal 9 (Killed): event=test vm=web; 2 more "
                       "failures since the last one told of\n"));
}
END_TEST

/* A shell would run the second. */
START_TEST(what_cannot_be_begun_is_told)
{
    static const struct {
        const char *text, *wanted;
    } cases[] = {
        {"#!/nonexistent/interpreter\n", "cannot be started: No such file or directory"},
        {"exit 0\n", "cannot be started: Exec format error"},
    };
    static char script[SCRATCH_FOLDER_MAX + 32];

    (void)snprintf(script, sizeof(script), "%s", path("script"));
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        scratch_write(script, cases[i].text);
        ck_assert_int_eq(chmod(script, 0700), 0);
        ck_assert_int_eq(runner_new(script, RUNNER_TIMEOUT, &runner), 0);
        add("x", LOG_WARNING);
        settle(BEGIN);
        ck_assert_msg(strstr(said(), cases[i].wanted), "%s", said_text);
        runner = runner_free(runner);
    }
}
END_TEST

START_TEST(what_is_no_program_is_refused)
{
    char file[SCRATCH_FOLDER_MAX + 32];
    struct error error = {0};

    (void)snprintf(file, sizeof(file), "%s", path("file"));
    scratch_write(file, "#!/bin/sh\n");
    const struct {
        const char *path;
        int error;
    } cases[] = {
        {"", -EINVAL},
        {"true", -EINVAL},
        {"/nonexistent/program", -ENOENT},
        {folder, -EINVAL},
        {"/dev/null", -EINVAL},
        {file, -EACCES},
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        ck_assert_int_eq(runner_check(cases[i].path, &error), cases[i].error);
        ck_assert_ptr_nonnull(strstr(error.text, cases[i].path));
    }
}
END_TEST

static int lines_compare(const void *first, const void *second)
{
    return strcmp(*(char *const *)first, *(char *const *)second);
}

/* The program's environment is these, and not one more. */
static void environment_check(const char *const *wanted, size_t count)
{
    char text[TEXT_MAX], *found[128];
    size_t lines = 0;

    (void)snprintf(text, sizeof(text), "%s", content(-1, "environment"));
    for (char *rest = text, *line; (line = strsep(&rest, "\n")) && *line;)
        found[lines++] = line;
    qsort(found, lines, sizeof(found[0]), lines_compare);
    for (size_t i = 0; i < lines && i < count; i++)
        ck_assert_str_eq(found[i], wanted[i]);
    ck_assert_uint_eq(lines, count);
}

START_TEST(it_gets_what_it_needs_and_nothing_of_ours)
{
    char folder_entry[SCRATCH_FOLDER_MAX + 32];

    (void)snprintf(folder_entry, sizeof(folder_entry), "PLIMSOLL_ALERT_FOLDER=%s", folder);
    const char *const wanted[] = {"HOME=/root", "LANG=C.UTF-8", "PATH=/usr/bin:/bin",
        "PLIMSOLL_ACTION=kill", folder_entry, "PLIMSOLL_ALERT_ROLE=show", "PLIMSOLL_BAND=critical",
        "PLIMSOLL_EVENT=action", "PLIMSOLL_LEVEL=crit", "PLIMSOLL_MODE=enforce",
        "PLIMSOLL_REASON=kill-floor", "PLIMSOLL_TEXT=nothing else, \"says\" it", "PLIMSOLL_VM=web"};
    static const char *const ours[][2] = {{"PATH", "/usr/bin:/bin"}, {"HOME", "/root"},
        {"LANG", "C.UTF-8"}, {"AWS_SECRET", "x"}, {"LD_PRELOAD", ""}, {"NOTIFY_SOCKET", "x"},
        {"PLIMSOLL_VM", "another"}, {"PLIMSOLL_NODE", "another"}};

    for (size_t i = 0; i < ELEMENTSOF(ours); i++)
        ck_assert_int_eq(setenv(ours[i][0], ours[i][1], 1), 0);
    begin("show");
    ck_assert_int_ge(dup(STDERR_FILENO), 0); /* one that is not closed by execve() */
    (void)signal(SIGPIPE, SIG_IGN);
    struct json_object *line = line_make("event=action vm=web uuid=0 band=critical action=kill "
                                         "reason=kill-floor mode=enforce text=\"nothing else, "
                                         "\\\"says\\\" it\"",
        LOG_CRIT);
    runner_push(runner, line);
    settle(BEGIN);
    ck_assert_str_eq(content(-1, "notes"), "shown\n");
    environment_check(wanted, ELEMENTSOF(wanted));
    ck_assert_str_eq(content(-1, "group"), "own\n");
    const char *descriptors = content(-1, "descriptors");
    ck_assert_uint_eq(strlen(descriptors), strlen("012\n"));
    ck_assert(strchr(descriptors, '0') && strchr(descriptors, '1') && strchr(descriptors, '2'));
    (void)json_object_put(line);
}
END_TEST

/* Neither makes a name a variable of its own, nor a line, nor does anybody run it. */
START_TEST(names_stay_names)
{
    static const char *const names[] = {"a b", "x\" action=kill vm=\"gold", "$(touch ran)",
        "`touch ran`; touch ran", "new\nPLIMSOLL_ACTION=kill", "\x1b[2J", "\xff\xfe", "--help",
        "a=b", ""};

    begin("show");
    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        char quoted[128], text[256], variable[256];
        (void)snprintf(text, sizeof(text), "event=vm-ended vm=%s pid=7",
            log_quote(names[i], quoted, sizeof(quoted)));
        struct json_object *line = line_make(text, LOG_WARNING);
        runner_push(runner, line);
        settle(BEGIN);
        const char *vm = json_object_get_string(
            json_object_object_get(json_object_object_get(line, "fields"), "vm"));
        (void)snprintf(variable, sizeof(variable), "\nPLIMSOLL_VM=%s\n", vm);
        ck_assert_ptr_nonnull(strstr(content(-1, "environment"), variable));
        ck_assert_uint_eq(times(content(-1, "environment"), "\n"), 5);
        ck_assert_uint_eq(times(content(-1, "input"), "\n"), 1);
        struct json_object *input = json_tokener_parse(content(-1, "input"));
        ck_assert(json_object_equal(input, line));
        (void)json_object_put(input);
        (void)json_object_put(line);
    }
    ck_assert_int_eq(access("ran", F_OK), -1);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: test_cli_runner PROGRAM\n", stderr);
        return EXIT_FAILURE;
    }
    if (!suite_has_pidfd())
        return suite_skip(SUITE_NO_PIDFD);
    program = argv[1];
    (void)setlocale(LC_ALL, "C.UTF-8");
    TCase *tests = tcase_create("runner");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, one_at_a_time_and_in_order);
    tcase_add_test(tests, what_takes_too_long_is_ended_with_all_its_group);
    tcase_add_test(tests, what_a_program_leaves_behind_ends_with_it);
    tcase_add_test(tests, the_end_orphans_nobody);
    tcase_add_test(tests, the_queue_is_bounded);
    tcase_add_test(tests, failures_are_told_once_a_minute);
    tcase_add_test(tests, what_cannot_be_begun_is_told);
    tcase_add_test(tests, what_is_no_program_is_refused);
    tcase_add_test(tests, it_gets_what_it_needs_and_nothing_of_ours);
    tcase_add_test(tests, names_stay_names);
    Suite *suite = suite_create("runner");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
