/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the running hook, what feeds it, the guard's thread and the folder of all their files. What
 * the hook reads comes from a process of its own, by a pipe, as from libvirt.
 */
#include "hook_scene.h"

#include "scratch.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <plimsoll/control.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define QUESTIONS_MAX 512
#define PATIENCE_SEC 60
#define SAID_MAX 4096
#define PATH_SIZE (SCRATCH_FOLDER_MAX + 16)
#define ARGUMENTS_MAX 16

const char INPUT_FLOOD[] = "/dev/zero";

static struct {
    char folder[SCRATCH_FOLDER_MAX];
    char config[PATH_SIZE], socket[PATH_SIZE], out[PATH_SIZE], err[PATH_SIZE];
    char program[4096];
    pid_t hook, feeder;
    int input; /* our end of it, where nobody feeds it; else -1 */
    unsigned asked;
} scene;

static struct {
    pthread_t thread;
    int listener;
    const char *const *answers;
    char *questions[QUESTIONS_MAX];
    unsigned asked;
    sem_t heard;
} guard;

void hook_scene_setup(void)
{
    scratch_make("hook", scene.folder);
    (void)snprintf(scene.config, sizeof(scene.config), "%s/config", scene.folder);
    (void)snprintf(scene.socket, sizeof(scene.socket), "%s/socket", scene.folder);
    (void)snprintf(scene.out, sizeof(scene.out), "%s/out", scene.folder);
    (void)snprintf(scene.err, sizeof(scene.err), "%s/err", scene.folder);
}

void hook_scene_teardown(void)
{
    for (unsigned i = 0; i < guard.asked; i++)
        free(guard.questions[i]);
    scratch_remove(scene.folder);
}

void hook_program(const char *path)
{
    (void)snprintf(scene.program, sizeof(scene.program), "%s", path);
}

void hook_configure(const char *lines)
{
    char text[1024];

    (void)unlink(scene.config);
    if (!lines)
        return;
    (void)snprintf(text, sizeof(text), "%s%s",
        lines[0] == '[' ? "" : "[guard]\nmode=enforce\n[admission]\nmode=enforce\n", lines);
    scratch_write(scene.config, text);
}

/* ---- the guard ---- */

/* Up to its NUL; what does not come whole is empty. */
static char *question_hear(int fd)
{
    char text[CONTROL_REQUEST_MAX] = "";
    size_t used = 0;
    ssize_t count;

    do {
        count = recv(fd, text + used, sizeof(text) - used, 0);
        used += count > 0 ? (size_t)count : 0;
    } while (count > 0 && text[used - 1] != '\0' && used < sizeof(text));
    return strdup(used > 0 && text[used - 1] == '\0' ? text : "");
}

static void *guard_run(void *argument)
{
    const char *const *answer = guard.answers;
    int fd;

    (void)argument;
    while ((fd = accept(guard.listener, NULL, NULL)) >= 0 && guard.asked < QUESTIONS_MAX) {
        char rest;
        guard.questions[guard.asked++] = question_hear(fd);
        (void)sem_post(&guard.heard);
        if (strcmp(*answer, GUARD_CLOSES) != 0 && strcmp(*answer, GUARD_HANGS) != 0)
            (void)send(fd, *answer, strlen(*answer) + 1, MSG_NOSIGNAL);
        if (strcmp(*answer, GUARD_CLOSES) != 0)
            (void)recv(fd, &rest, 1, 0); /* until the asker goes */
        (void)close(fd);
        if (answer[1])
            answer++;
    }
    return NULL;
}

void guard_begin(const char *const answers[])
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    guard.answers = answers;
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", scene.socket);
    ck_assert_int_eq(sem_init(&guard.heard, 0, 0), 0);
    guard.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(guard.listener, 0);
    ck_assert_int_eq(bind(guard.listener, (void *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(guard.listener, 8), 0);
    ck_assert_int_eq(pthread_create(&guard.thread, NULL, guard_run, NULL), 0);
}

void guard_await(void)
{
    struct timespec limit;

    (void)clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += PATIENCE_SEC;
    while (sem_timedwait(&guard.heard, &limit) < 0)
        ck_assert_int_eq(errno, EINTR);
}

unsigned guard_end(void)
{
    ck_assert_int_eq(shutdown(guard.listener, SHUT_RDWR), 0);
    ck_assert_int_eq(pthread_join(guard.thread, NULL), 0);
    (void)close(guard.listener);
    ck_assert_int_eq(unlink(scene.socket), 0);
    return guard.asked;
}

struct json_object *guard_heard(unsigned question)
{
    struct json_object *message, *method = NULL, *parameters = NULL;

    ck_assert_uint_lt(question, guard.asked);
    message = json_tokener_parse(guard.questions[question]);
    ck_assert_ptr_nonnull(message);
    ck_assert(json_object_object_get_ex(message, "method", &method));
    ck_assert_str_eq(json_object_get_string(method), CONTROL_METHOD_ADMIT);
    ck_assert(json_object_object_get_ex(message, "parameters", &parameters));
    parameters = json_object_get(parameters);
    json_object_put(message);
    return parameters;
}

/* ---- the hook ---- */

/* Writes TEXT to the pipe; exits with 0 if all of it was taken. */
static pid_t feeder_start(int to, int from, const char *text)
{
    pid_t feeder = fork();

    ck_assert_int_ge(feeder, 0);
    if (feeder > 0)
        return feeder;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)close(from);
    for (size_t length = strlen(text); length > 0;) {
        ssize_t count = write(to, text, length);
        if (count < 0)
            _exit(EXIT_FAILURE);
        text += count;
        length -= (size_t)count;
    }
    _exit(EXIT_SUCCESS);
}

/* The descriptor that the hook is to read from. */
static int input_open(const char *input)
{
    int pair[2];

    scene.input = -1;
    scene.feeder = 0;
    if (input == INPUT_FLOOD)
        return open(INPUT_FLOOD, O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(pipe2(pair, O_CLOEXEC), 0);
    if (input == INPUT_OPEN) {
        scene.input = pair[1];
        return pair[0];
    }
    scene.feeder = feeder_start(pair[1], pair[0], input);
    (void)close(pair[1]);
    return pair[0];
}

static int output_open(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

pid_t hook_start_with(const char *const arguments[], const char *input)
{
    const char *all[ARGUMENTS_MAX] = {
        scene.program, "--config", scene.config, "--socket", scene.socket, "--"};
    unsigned count = 6;
    int in = input_open(input);

    while (*arguments && count < ARGUMENTS_MAX - 1)
        all[count++] = *arguments++;
    scene.hook = fork();
    ck_assert_int_ge(scene.hook, 0);
    if (scene.hook == 0) {
        if (dup2(in, STDIN_FILENO) == STDIN_FILENO &&
            dup2(output_open(scene.out), STDOUT_FILENO) == STDOUT_FILENO &&
            dup2(output_open(scene.err), STDERR_FILENO) == STDERR_FILENO)
            /* It knows no const. NOLINTNEXTLINE(performance-no-int-to-ptr) */
            (void)execv(scene.program, (char *const *)(uintptr_t)all);
        _exit(127);
    }
    (void)close(in);
    return scene.hook;
}

pid_t hook_start(const char *operation, const char *suboperation, const char *input)
{
    const char *const arguments[] = {"web", operation, suboperation, "-", NULL};

    return hook_start_with(arguments, input);
}

static const char *file_read(const char *path)
{
    static char text[SAID_MAX];
    FILE *file = fopen(path, "re");

    ck_assert_ptr_nonnull(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    (void)fclose(file);
    return text;
}

const char *hook_end(int status)
{
    int ended = 0, fed = 0;

    ck_assert_int_eq(waitpid(scene.hook, &ended, 0), scene.hook);
    if (scene.feeder > 0)
        ck_assert_int_eq(waitpid(scene.feeder, &fed, 0), scene.feeder);
    if (scene.input >= 0)
        (void)close(scene.input);
    ck_assert_str_eq(file_read(scene.out), "");
    const char *said = file_read(scene.err);
    ck_assert_msg(WIFEXITED(ended) && WEXITSTATUS(ended) == status, "%x: %s", ended, said);
    ck_assert_int_eq(fed, 0);
    return said;
}

const char *hook_ask(const char *lines, const char *const answers[], const char *input, int status)
{
    hook_configure(lines);
    for (unsigned i = 0; i < guard.asked; i++)
        free(guard.questions[i]);
    guard.asked = 0;
    if (answers)
        guard_begin(answers);
    (void)hook_start("prepare", "begin", input);
    const char *said = hook_end(status);
    scene.asked = answers ? guard_end() : 0;
    return said;
}

unsigned hook_asked(void)
{
    return scene.asked;
}
