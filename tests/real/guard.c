/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns a plimsolld process, its configuration and its folder. Its stderr is a pipe whose lines are
 * the stream of events; `plimsoll` is run anew for each status, as a script would.
 */
#include "guard.h"

#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <plimsoll/control.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORDS_MAX 8
#define COMMAND_LIMIT (20 * NSEC_PER_SEC)

void guard_prepare(struct guard *guard, const char *name)
{
    *guard = (struct guard){.daemon = CHILD_NONE, .lines = {.fd = -1}};
    (void)snprintf(guard->directory, sizeof(guard->directory), "%.100s/%s-%d", harness_directory(),
        name, getpid());
    (void)snprintf(
        guard->qmp_directory, sizeof(guard->qmp_directory), "%.200s/qmp", guard->directory);
    (void)snprintf(guard->config, sizeof(guard->config), "%.200s/plimsoll.conf", guard->directory);
    ck_assert_int_eq(mkdir(guard->directory, 0755), 0);
    ck_assert_int_eq(mkdir(guard->qmp_directory, 0755), 0);
}

void guard_configure(struct guard *guard, const char *format, ...)
{
    char text[GUARD_CONFIG_MAX];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    ck_assert_int_lt(length, (int)sizeof(text));
    FILE *stream = fopen(guard->config, "we");
    ck_assert_ptr_nonnull(stream);
    ck_assert_int_gt(fprintf(stream, "[guard]\nmode=enforce\nlibvirt=off\nqmp-directory=%s\n%s",
                         guard->qmp_directory, text),
        0);
    ck_assert_int_eq(fclose(stream), 0);
}

/* Starts plimsolld; RET_FD is the reading end of its stderr. */
static void daemon_start(const struct guard *guard, struct child *child, int *ret_fd)
{
    /* In the foreground its alerts come to stderr, too. */
    const char *const argv[] = {getenv("PLIMSOLL_DAEMON"), "--foreground", "--config",
        guard->config, "--runtime-dir", guard->directory, NULL};
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    child_start(child, argv, -1, ends[1], ends[1]);
    close(ends[1]);
    *ret_fd = ends[0];
}

void guard_start(struct guard *guard)
{
    int fd;
    lines_release(&guard->lines);
    daemon_start(guard, &guard->daemon, &fd);
    lines_init(&guard->lines, fd);
    uint64_t deadline = harness_now() + GUARD_START_LIMIT;
    struct json_object *status;
    while (!(status = guard_status(guard))) {
        if (child_alive(&guard->daemon) && harness_look_again(deadline))
            continue;
        guard_dump(guard);
        ck_abort_msg("plimsolld does not answer");
    }
    json_object_put(status);
}

void guard_kill(struct guard *guard)
{
    child_kill(&guard->daemon);
}

void guard_stop(struct guard *guard)
{
    child_signal(&guard->daemon, SIGTERM);
    int status = child_wait(&guard->daemon, GUARD_START_LIMIT);
    if (status != 0)
        guard_dump(guard);
    ck_assert_int_eq(status, 0);
}

int guard_run_second(struct guard *guard, char *output, size_t size)
{
    struct child child;
    int fd;
    daemon_start(guard, &child, &fd);
    int status = child_wait(&child, GUARD_START_LIMIT);
    ssize_t length = read(fd, output, size - 1);
    output[length > 0 ? length : 0] = '\0';
    close(fd);
    return status;
}

void guard_dump(struct guard *guard)
{
    lines_dump(&guard->lines, "plimsolld");
}

/* ---- events ---- */

size_t guard_mark(struct guard *guard)
{
    return lines_mark(&guard->lines);
}

static void words_take(const char *words[], va_list arguments)
{
    unsigned count = 0;
    do {
        ck_assert_uint_lt(count, WORDS_MAX);
        words[count] = va_arg(arguments, const char *);
    } while (words[count++]);
}

const char *guard_wait_event(struct guard *guard, size_t *cursor, uint64_t limit, ...)
{
    const char *words[WORDS_MAX] = {0};
    va_list arguments;
    va_start(arguments, limit);
    words_take(words, arguments);
    va_end(arguments);
    const char *line =
        lines_wait(&guard->lines, cursor, lines_match_words, words, harness_now() + limit);
    if (!line) {
        guard_dump(guard);
        guest_dump_all();
        ck_abort_msg("the guard has not said %s %s %s within %.1f s", words[0],
            words[1] ? words[1] : "", words[1] && words[2] ? words[2] : "",
            (double)limit / (double)NSEC_PER_SEC);
    }
    return line;
}

bool guard_saw(struct guard *guard, size_t since, ...)
{
    const char *words[WORDS_MAX] = {0};
    va_list arguments;
    va_start(arguments, since);
    words_take(words, arguments);
    va_end(arguments);
    return lines_wait(&guard->lines, &since, lines_match_words, words, 0) != NULL;
}

/* ---- the command ---- */

/* Runs it with its output to FD; its exit status. */
static int command_run(struct guard *guard, int fd, const char *const words[])
{
    char socket_path[HARNESS_PATH_MAX + sizeof(CONTROL_SOCKET_NAME)];
    const char *argv[8] = {getenv("PLIMSOLL_COMMAND"), "--socket", socket_path};
    unsigned count = 3;
    (void)snprintf(
        socket_path, sizeof(socket_path), "%s/%s", guard->directory, CONTROL_SOCKET_NAME);
    for (const char *const *word = words; *word && count < 7; word++)
        argv[count++] = *word;
    struct child child;
    child_start(&child, argv, -1, fd, fd);
    return child_wait(&child, COMMAND_LIMIT);
}

struct json_object *guard_status(struct guard *guard)
{
    static const char *const words[] = {"--json", "status", NULL};
    char path[HARNESS_PATH_MAX];
    (void)snprintf(path, sizeof(path), "%.200s/status.json", guard->directory);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    ck_assert_int_ge(fd, 0);
    struct json_object *status = NULL;
    if (command_run(guard, fd, words) == 0)
        status = json_object_from_file(path);
    close(fd);
    return status;
}

int guard_undo_offline(struct guard *guard)
{
    const char *const words[] = {"undo", "--offline", "--runtime-dir", guard->directory, NULL};
    return command_run(guard, STDERR_FILENO, words);
}

void guard_wait_status(struct guard *guard, guard_predicate predicate, const void *userdata,
    const char *what, uint64_t limit)
{
    uint64_t deadline = harness_now() + limit;
    for (;;) {
        struct json_object *status = guard_status(guard);
        bool holds = status && predicate(status, userdata);
        if (!holds && harness_now() >= deadline) {
            guard_dump(guard);
            guest_dump_all();
            ck_abort_msg("no status in which %s; the last: %s", what,
                status ? json_object_to_json_string(status) : "none");
        }
        json_object_put(status);
        if (holds)
            return;
        (void)harness_look_again(deadline);
    }
}

struct json_object *guard_status_vm(struct json_object *status, const char *name)
{
    struct json_object *vms;
    if (!json_object_object_get_ex(status, "vms", &vms))
        return NULL;
    for (size_t i = 0; i < json_object_array_length(vms); i++) {
        struct json_object *vm = json_object_array_get_idx(vms, i);
        if (!strcmp(guard_status_text(vm, "name"), name))
            return vm;
    }
    return NULL;
}

const char *guard_status_text(struct json_object *object, const char *key)
{
    struct json_object *value;
    if (!json_object_object_get_ex(object, key, &value) ||
        !json_object_is_type(value, json_type_string))
        return "";
    return json_object_get_string(value);
}

bool guard_expects(struct json_object *status, const void *expectation)
{
    const struct guard_expectation *expected = expectation;
    struct json_object *vm = guard_status_vm(status, expected->vm);
    return vm && !strcmp(guard_status_text(vm, expected->key), expected->value);
}

/* It has given its run state, which only a monitor can. */
static bool vm_is_running(struct json_object *status, const void *name)
{
    struct json_object *vm = guard_status_vm(status, name);
    return vm && !strcmp(guard_status_text(vm, "state"), "running");
}

void guard_wait_vm(struct guard *guard, const char *name)
{
    guard_wait_status(guard, vm_is_running, name, "the guest is known to run", GUARD_ACT_LIMIT);
}
