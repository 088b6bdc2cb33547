/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the way from a line to a process. The line is in a file in memory, whole before the process
 * begins, so that nobody waits for its reading. Between fork and exec only system calls are made.
 */
#include "runner_child.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <plimsoll/cleanup.h>

#include "field.h"
#include "level.h"
#include "process.h"
#include "runner.h"

/* Where the child has the pipe until it is the program. */
#define REFUSAL_FD (STDERR_FILENO + 1)
/* As a shell says of a program that it cannot run. */
#define STATUS_NOT_RUN 127

static const char *const inherited[] = {RUNNER_INHERITED};

static const struct {
    const char *key, *variable;
} told[] = {
    {"event", "PLIMSOLL_EVENT"},
    {"vm", "PLIMSOLL_VM"},
    {"reason", "PLIMSOLL_REASON"},
    {"action", "PLIMSOLL_ACTION"},
    {"band", "PLIMSOLL_BAND"},
    {"mode", "PLIMSOLL_MODE"},
    {"text", "PLIMSOLL_TEXT"},
};

/* What is inherited, settings, what is told, the level, and the NULL behind them. */
#define VARIABLES_MAX (ELEMENTSOF(inherited) + RUNNER_SETTINGS_MAX + ELEMENTSOF(told) + 2)

struct environment {
    char *variables[VARIABLES_MAX];
    size_t count;
};

static void environment_clear(struct environment *environment)
{
    for (size_t i = 0; i < environment->count; i++)
        free(environment->variables[i]);
}

/* VALUE may be NULL: then it is not set. */
static int variable_add(struct environment *environment, const char *name, const char *value)
{
    char *variable;

    if (!value)
        return 0;
    if (asprintf(&variable, "%s=%s", name, value) < 0)
        return -ENOMEM;
    environment->variables[environment->count++] = variable;
    return 0;
}

static int settings_add(struct environment *environment)
{
    unsigned left = RUNNER_SETTINGS_MAX;
    int result = 0;

    for (char **entry = environ; *entry && left > 0 && result == 0; entry++) {
        if (strncmp(*entry, RUNNER_SETTING, strlen(RUNNER_SETTING)) != 0)
            continue;
        char *copy = strdup(*entry);
        if (copy)
            environment->variables[environment->count++] = copy;
        else
            result = -ENOMEM;
        left--;
    }
    return result;
}

static int environment_make(struct environment *environment, struct json_object *line)
{
    struct json_object *fields = field_get(line, "fields");
    int result = 0;

    for (size_t i = 0; i < ELEMENTSOF(inherited) && result == 0; i++)
        result = variable_add(environment, inherited[i], getenv(inherited[i]));
    if (result == 0)
        result = settings_add(environment);
    for (size_t i = 0; i < ELEMENTSOF(told) && result == 0; i++) {
        struct json_object *value = field_get(fields, told[i].key);
        bool given = json_object_is_type(value, json_type_string);
        result = variable_add(
            environment, told[i].variable, given ? json_object_get_string(value) : NULL);
    }
    if (result == 0)
        result = variable_add(environment, "PLIMSOLL_LEVEL", level_word(field_u64(line, "level")));
    return result;
}

/* A descriptor from which LINE can be read. */
static int line_file(struct json_object *line)
{
    const char *text = json_object_to_json_string_ext(
        line, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    int fd = text ? memfd_create("plimsoll-event", MFD_CLOEXEC) : -1;

    if (fd < 0)
        return text ? -errno : -ENOMEM;
    if (dprintf(fd, "%s\n", text) >= 0 && lseek(fd, 0, SEEK_SET) == 0)
        return fd;
    int result = -errno;
    (void)close(fd);
    return result < 0 ? result : -EIO;
}

/* All but the standard ones and REFUSAL_FD, which goes when the program begins. */
static void descriptors_close(void)
{
    if (syscall(SYS_close_range, REFUSAL_FD + 1, ~0U, 0) == 0)
        return;
    /* Linux before 5.9. */
    long limit = sysconf(_SC_OPEN_MAX);
    for (int fd = REFUSAL_FD + 1; fd < limit; fd++)
        (void)close(fd);
}

static void signals_reset(void)
{
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        (void)signal(number, SIG_DFL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void child_become(
    const char *program, char **environment, pid_t parent, int line, int refusal)
{
    (void)setpgid(0, 0);
    /* If we are killed, so is it; what it has started is for the service manager to end. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(STATUS_NOT_RUN);
    bool ready = dup2(line, STDIN_FILENO) >= 0 && dup2(STDERR_FILENO, STDOUT_FILENO) >= 0;
    if (refusal != REFUSAL_FD)
        ready = ready && dup3(refusal, REFUSAL_FD, O_CLOEXEC) >= 0;
    if (ready) {
        descriptors_close();
        signals_reset();
        (void)execle(program, program, (char *)NULL, environment);
    }
    int why = errno;
    ssize_t count = write(ready ? REFUSAL_FD : refusal, &why, sizeof(why));
    (void)count;
    _exit(STATUS_NOT_RUN);
}

/* LINE is the file. */
static int child_fork(
    const char *program, struct environment *environment, int line, struct runner_child *ret_child)
{
    struct runner_child child = RUNNER_CHILD_NONE;
    pid_t parent = getpid();
    int pipes[2];

    if (pipe2(pipes, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    child.pid = fork();
    int result = child.pid < 0 ? -errno : 0;
    if (child.pid == 0)
        child_become(program, environment->variables, parent, line, pipes[1]);
    (void)close(pipes[1]);
    child.refusal = pipes[0];
    if (result < 0) {
        (void)close(pipes[0]);
        return result;
    }
    /* By both, so that it is done whoever comes first; afterwards it fails. */
    (void)setpgid(child.pid, child.pid);
    child.fd = process_hold(child.pid);
    if (child.fd < 0) {
        result = child.fd;
        runner_child_kill(&child);
        return result;
    }
    *ret_child = child;
    return 0;
}

int runner_child_start(
    const char *program, struct json_object *line, struct runner_child *ret_child)
{
    CLEANUP(environment_clear) struct environment environment = {0};
    int result = environment_make(&environment, line);

    if (result < 0)
        return result;
    int fd = line_file(line);
    if (fd < 0)
        return fd;
    result = child_fork(program, &environment, fd, ret_child);
    (void)close(fd);
    return result;
}

void runner_child_signal(const struct runner_child *child, int number)
{
    if (child->pid > 0)
        (void)kill(-child->pid, number);
}

static void child_forget(struct runner_child *child)
{
    if (child->fd >= 0)
        (void)close(child->fd);
    if (child->refusal >= 0)
        (void)close(child->refusal);
    *child = RUNNER_CHILD_NONE;
}

bool runner_child_reap(struct runner_child *child, int *ret_refused, siginfo_t *ret_ended)
{
    siginfo_t ended = {0};
    int refused = 0;

    if (waitid(P_PID, (id_t)child->pid, &ended, WEXITED | WNOHANG | WNOWAIT) < 0 ||
        ended.si_pid == 0)
        return false;
    runner_child_signal(child, SIGKILL);
    (void)waitid(P_PID, (id_t)child->pid, &ended, WEXITED);
    if (read(child->refusal, &refused, sizeof(refused)) != sizeof(refused))
        refused = 0;
    child_forget(child);
    *ret_refused = refused;
    *ret_ended = ended;
    return true;
}

void runner_child_kill(struct runner_child *child)
{
    siginfo_t ended;

    if (child->pid <= 0)
        return;
    (void)kill(child->pid, SIGKILL); /* it may not have its group yet */
    runner_child_signal(child, SIGKILL);
    (void)waitid(P_PID, (id_t)child->pid, &ended, WEXITED);
    child_forget(child);
}
