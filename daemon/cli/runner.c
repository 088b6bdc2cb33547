/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the queue of lines and the one program that runs. Theory of operation:
 *
 * A child is idle (no pid), running, asked to end or killed; each but the first has a deadline at
 * which the next begins. That it has ended is heard by its pidfd, the deadline by a timer, and both
 * make one epoll descriptor readable, so that whoever waits for something else waits for these too.
 * The caller says what time it is, and a deadline is judged by that alone.
 *
 * A child that has ended stays a zombie until the rest of its group was killed: until then nobody
 * else's group can have its number.
 */
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <plimsoll/cleanup.h>

#include "field.h"
#include "log.h"
#include "loop.h"
#include "process.h"
#include "runner_child.h"
#include "text.h"

/* For a killed child to be gone: the kernel takes its memory first. One that hangs in the kernel is
 * not waited for. */
#define KILLED_WAIT NSEC_PER_SEC
#define WORDS_MAX 128

enum phase {
    PHASE_IDLE,
    PHASE_RUNNING,
    PHASE_ASKED,
    PHASE_KILLED
};

struct runner {
    const char *program;
    uint64_t timeout;
    int fd, timer;

    struct json_object *queue[RUNNER_QUEUE_MAX]; /* in their order */
    size_t count;
    uint64_t dropped; /* not told of yet */

    enum phase phase;
    uint64_t deadline; /* of the phase; UNKNOWN: none */
    bool late;         /* its time was over */
    struct runner_child child;
    struct json_object *line; /* that it runs for */

    struct log_limit failures, drops;
};

int runner_check(const char *program, struct error *ret_error)
{
    struct stat status;

    if (!strchr(program, '/'))
        return error_set(ret_error, -EINVAL,
            "“%s” is no path: the program is not searched for, write /…/%s or ./%s", program,
            program, program);
    if (stat(program, &status) < 0)
        return error_set(ret_error, -errno, "cannot run %s: %s", program, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return error_set(ret_error, -EINVAL, "cannot run %s: it is no file", program);
    if (access(program, X_OK) < 0)
        return error_set(ret_error, -errno, "may not run %s: %s; is it executable (chmod +x)?",
            program, strerror(errno));
    return 0;
}

/* The standard descriptors are there, so that none of ours is taken for one of them. */
static int standard_open(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR); /* the child's, too */
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd < 0)
        return -errno;
    (void)close(fd);
    return 0;
}

static int fd_watch(const struct runner *runner, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};

    return epoll_ctl(runner->fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int runner_open(struct runner *runner)
{
    int result = standard_open();
    int self = process_hold(getpid());

    if (result < 0 || self < 0) {
        if (self >= 0)
            (void)close(self);
        return result < 0 ? result : self;
    }
    (void)close(self);
    runner->fd = epoll_create1(EPOLL_CLOEXEC);
    runner->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (runner->fd < 0 || runner->timer < 0)
        return -errno;
    return fd_watch(runner, runner->timer);
}

int runner_new(const char *program, uint64_t timeout, struct runner **ret_runner)
{
    struct runner *runner = calloc(1, sizeof(*runner));

    if (!runner)
        return -ENOMEM;
    *runner = (struct runner){.program = program,
        .timeout = timeout,
        .fd = -1,
        .timer = -1,
        .deadline = UNKNOWN,
        .child = RUNNER_CHILD_NONE};
    int result = runner_open(runner);
    if (result < 0) {
        (void)runner_free(runner);
        return result;
    }
    *ret_runner = runner;
    return 0;
}

static struct json_object *queue_take(struct runner *runner, size_t place)
{
    struct json_object *line = runner->queue[place];

    runner->count--;
    for (size_t i = place; i < runner->count; i++)
        runner->queue[i] = runner->queue[i + 1];
    return line;
}

struct runner *runner_free(struct runner *runner)
{
    if (!runner)
        return NULL;
    runner_child_kill(&runner->child);
    (void)json_object_put(runner->line);
    while (runner->count > 0)
        (void)json_object_put(queue_take(runner, 0));
    if (runner->timer >= 0)
        (void)close(runner->timer);
    if (runner->fd >= 0)
        (void)close(runner->fd);
    free(runner);
    return NULL;
}

int runner_fd(const struct runner *runner)
{
    return runner->fd;
}

/* The oldest of the least urgent ones; levels grow as lines matter less, and none matters least. */
static size_t queue_least(const struct runner *runner)
{
    size_t least = 0;

    for (size_t i = 1; i < runner->count; i++)
        if (field_u64(runner->queue[i], "level") > field_u64(runner->queue[least], "level"))
            least = i;
    return least;
}

void runner_push(struct runner *runner, struct json_object *line)
{
    if (runner->count == RUNNER_QUEUE_MAX) {
        size_t least = queue_least(runner);

        runner->dropped++;
        if (field_u64(line, "level") > field_u64(runner->queue[least], "level"))
            return;
        (void)json_object_put(queue_take(runner, least));
    }
    runner->queue[runner->count++] = json_object_get(line);
}

/* That the program has failed, how, and for which line. */
static void failure_tell(struct runner *runner, const char *how, uint64_t now)
{
    struct json_object *fields = field_get(runner->line, "fields");
    char event[FIELD_MAX], vm[FIELD_MAX], held[WORDS_MAX] = "", program[FIELD_MAX];

    if (!log_permit(&runner->failures, now))
        return;
    text_finish(
        program, sizeof(program), snprintf(program, sizeof(program), "%s", runner->program));
    if (runner->failures.suppressed > 0)
        (void)snprintf(held, sizeof(held), "; %" PRIu32 " more failures since the last one told of",
            runner->failures.suppressed);
    fprintf(stderr, "plimsoll: %s %s: event=%s vm=%s%s\n", program, how,
        field_text(fields, "event", event), field_text(fields, "vm", vm), held);
}

static void drops_tell(struct runner *runner, uint64_t now)
{
    if (runner->dropped == 0 || !log_permit(&runner->drops, now))
        return;
    fprintf(stderr,
        "plimsoll: %" PRIu64
        " events came faster than the program ends, and are not handed to it\n",
        runner->dropped);
    runner->dropped = 0;
}

static void phase_enter(struct runner *runner, enum phase phase, uint64_t deadline)
{
    struct itimerspec timer = {0};

    runner->phase = phase;
    runner->deadline = deadline;
    if (known(deadline)) {
        timer.it_value.tv_sec = (time_t)(deadline / NSEC_PER_SEC);
        timer.it_value.tv_nsec = (long)(deadline % NSEC_PER_SEC);
    }
    (void)timerfd_settime(runner->timer, TFD_TIMER_ABSTIME, &timer, NULL);
}

/* The child has ended, or was never there. */
static void run_end(struct runner *runner)
{
    (void)json_object_put(runner->line);
    runner->line = NULL;
    runner->late = false;
    phase_enter(runner, PHASE_IDLE, UNKNOWN);
}

static void child_judge(
    struct runner *runner, int refused, const siginfo_t *ended, bool ending, uint64_t now)
{
    bool fine = ended->si_code == CLD_EXITED && ended->si_status == 0 && !runner->late;
    char how[WORDS_MAX], time[TEXT_NUMBER_MAX];

    if (refused == 0 && (fine || ending))
        return; /* ending: it was ended on our own way out */
    if (refused != 0)
        (void)snprintf(how, sizeof(how), "cannot be started: %s", strerror(refused));
    else if (runner->late)
        (void)snprintf(how, sizeof(how), "has not ended within %s, and was ended",
            text_format_time(runner->timeout, time, sizeof(time)));
    else if (ended->si_code != CLD_EXITED)
        (void)snprintf(how, sizeof(how), "was ended by signal %d (%s)", ended->si_status,
            strsignal(ended->si_status));
    else
        (void)snprintf(how, sizeof(how), "has failed with exit status %d", ended->si_status);
    failure_tell(runner, how, now);
}

/* What goes on with the child that there is. */
static void child_serve(struct runner *runner, bool ending, uint64_t now)
{
    siginfo_t ended;
    int refused;

    if (runner_child_reap(&runner->child, &refused, &ended)) {
        child_judge(runner, refused, &ended, ending, now);
        run_end(runner);
        return;
    }
    if (now < runner->deadline)
        return;
    switch (runner->phase) {
    case PHASE_IDLE:
    case PHASE_KILLED:
        break;
    case PHASE_RUNNING:
        runner->late = true;
        runner_child_signal(&runner->child, SIGTERM);
        phase_enter(runner, PHASE_ASKED, now + RUNNER_GRACE);
        break;
    case PHASE_ASKED:
        runner_child_signal(&runner->child, SIGKILL);
        phase_enter(runner, PHASE_KILLED, UNKNOWN);
        break;
    }
}

static void next_start(struct runner *runner, uint64_t now)
{
    char how[WORDS_MAX];

    runner->line = queue_take(runner, 0);
    int result = runner_child_start(runner->program, runner->line, &runner->child);
    if (result == 0)
        result = fd_watch(runner, runner->child.fd);
    if (result == 0) {
        phase_enter(runner, PHASE_RUNNING, add_held(now, runner->timeout));
        return;
    }
    runner_child_kill(&runner->child);
    (void)snprintf(how, sizeof(how), "cannot be started: %s", strerror(-result));
    failure_tell(runner, how, now);
    run_end(runner);
}

static void timer_drain(const struct runner *runner)
{
    uint64_t times;

    /* Where it has not run out there is nothing to read. */
    ssize_t count = read(runner->timer, &times, sizeof(times));
    (void)count;
}

void runner_serve(struct runner *runner, uint64_t now)
{
    timer_drain(runner);
    if (runner->phase != PHASE_IDLE)
        child_serve(runner, false, now);
    while (runner->phase == PHASE_IDLE && !runner_is_idle(runner))
        next_start(runner, now);
    drops_tell(runner, now);
}

bool runner_is_idle(const struct runner *runner)
{
    return runner->phase == PHASE_IDLE && runner->count == 0;
}

/* Lets the child go on until DEADLINE at most. */
static void end_await(struct runner *runner, uint64_t deadline)
{
    struct pollfd source = {.fd = runner->child.fd, .events = POLLIN};

    for (;;) {
        uint64_t now = loop_now();
        child_serve(runner, true, now);
        if (runner->phase == PHASE_IDLE || now >= deadline)
            return;
        uint64_t until = min_u64(deadline, runner->deadline);
        (void)poll(&source, 1, (int)(sub_or_zero(until, now) / NSEC_PER_MSEC) + 1);
    }
}

void runner_end(struct runner *runner)
{
    uint64_t now = loop_now(), left = runner->dropped + runner->count;

    if (left > 0)
        fprintf(
            stderr, "plimsoll: %" PRIu64 " events are not handed to the program any more\n", left);
    runner->dropped = 0;
    while (runner->count > 0)
        (void)json_object_put(queue_take(runner, 0));
    if (runner->phase == PHASE_RUNNING) {
        runner_child_signal(&runner->child, SIGTERM);
        phase_enter(runner, PHASE_ASKED, now + RUNNER_GRACE);
    }
    if (runner->phase != PHASE_IDLE)
        end_await(runner, now + RUNNER_GRACE + KILLED_WAIT);
}
