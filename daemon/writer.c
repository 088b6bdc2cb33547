/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the helpers: their processes and our ends of their sockets.
 *
 * A request is one record with the descriptor beside it (SCM_RIGHTS), so that the helper looks
 * nothing up: no name is used that could have come to mean another cgroup. It writes the text under
 * an interval timer whose signal breaks the kernel's reclaim off (mm/memcontrol.c: memory_reclaim()
 * ends with EINTR; memory_high_write() and memory_max_write() have set the limit by then, and end
 * well), and answers with one record.
 *
 * Only one helper works at a time; the other is its spare, forked at the start, as a fork at the
 * edge would copy each page that the guard writes. A helper that ended or was killed leaves its
 * place empty, and its process is awaited, however long it hangs in the kernel, before the place is
 * filled again: so there are never more than the places there are.
 */
#include "writer.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helper.h"
#include "log.h"

#include <plimsoll/cleanup.h>

/* The one that works, and a spare. */
#define HELPERS 2
/* Without memory for a fork now, there may be in a second. */
#define FORK_RETRY NSEC_PER_SEC

struct request {
    uint64_t ticket, time; /* ns it may take */
    char text[WRITER_TEXT_MAX];
};

struct answer {
    uint64_t ticket;
    int32_t result;
    int32_t reserved;
};

struct place {
    struct writer *writer;
    pid_t pid; /* 0: empty */
    struct loop_source source;
    int fd; /* -1: no longer asked */
};

struct writer {
    struct loop *loop;
    struct writer_options options;
    struct place places[HELPERS];
    struct place *working; /* NULL: nobody */
    uint64_t ticket, since;
    uint64_t next_fork;
    struct log_limit hung_said;
};

/* ---- the helper ---- */

static void on_time_out(int number)
{
    (void)number; /* it is enough that it came */
}

/* Takes one request and its descriptor; false: the guard is gone. *RET_FD is -1 where either is not
 * as it should be. */
static bool request_receive(struct request *ret_request, int *ret_fd)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {ret_request, sizeof(*ret_request)};
    struct msghdr message = {.msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof(control.bytes)};
    ssize_t length;

    *ret_fd = -1;
    do
        length = recvmsg(HELPER_FD, &message, MSG_CMSG_CLOEXEC);
    while (length < 0 && errno == EINTR);
    if (length <= 0)
        return false;
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
        header->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(ret_fd, CMSG_DATA(header), sizeof(int));
    if (length != sizeof(*ret_request) && *ret_fd >= 0) {
        (void)close(*ret_fd);
        *ret_fd = -1;
    }
    return true;
}

/* Again each second, should the signal come before the write. */
static void timer_set(uint64_t time)
{
    struct itimerval timer = {
        .it_value = {(time_t)(time / NSEC_PER_SEC),
            (suseconds_t)(time % NSEC_PER_SEC / NSEC_PER_USEC)},
        .it_interval = {time > 0, 0},
    };

    (void)setitimer(ITIMER_REAL, &timer, NULL);
}

static int32_t text_write(int fd, const char *text, uint64_t time)
{
    timer_set(time);
    int32_t result = write(fd, text, strnlen(text, WRITER_TEXT_MAX)) < 0 ? -errno : 0;
    timer_set(0);
    return result;
}

static void __attribute__((noreturn)) helper_run(pid_t guard)
{
    struct sigaction action = {.sa_handler = on_time_out}; /* no SA_RESTART */
    struct request request;
    int fd;

    (void)sigaction(SIGALRM, &action, NULL);
    /* In the middle of a write it would not see the socket's end. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != guard)
        _exit(EXIT_SUCCESS);
    while (request_receive(&request, &fd)) {
        struct answer answer = {.ticket = request.ticket, .result = -EBADMSG};

        if (fd >= 0) {
            answer.result = text_write(fd, request.text, request.time);
            (void)close(fd);
        }
        if (send(HELPER_FD, &answer, sizeof(answer), MSG_NOSIGNAL) < 0)
            break;
    }
    _exit(EXIT_SUCCESS);
}

/* ---- the guard's side ---- */

static void work_end(struct writer *writer, int result)
{
    writer->working = NULL;
    writer->options.done(writer->ticket, result, writer->options.userdata);
}

/* It is not asked any more; its process is reaped when it has ended. */
static void place_leave(struct place *place)
{
    struct writer *writer = place->writer;

    if (place->fd < 0)
        return;
    loop_remove(writer->loop, &place->source);
    (void)close(place->fd);
    place->fd = -1;
    (void)kill(place->pid, SIGKILL); /* not reaped yet, so the number is still its own */
    if (writer->working == place)
        work_end(writer, -ETIMEDOUT);
}

static void on_answer(struct loop_source *source, uint32_t events)
{
    struct place *place = container_of(source, struct place, source);
    struct writer *writer = place->writer;
    struct answer answer;
    ssize_t length = recv(place->fd, &answer, sizeof(answer), MSG_DONTWAIT);

    (void)events;
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    bool expected = length == sizeof(answer) && writer->working == place &&
                    answer.ticket == writer->ticket && answer.result <= 0;
    if (expected) {
        work_end(writer, answer.result);
        return;
    }
    log_limited(&writer->hung_said, loop_now(), LOG_WARNING,
        "the process that writes %s (pid %d) %s; replaced", writer->options.what, (int)place->pid,
        length <= 0 ? "has ended" : "answers what it was not asked");
    place_leave(place);
}

static int place_fill(struct place *place)
{
    struct writer *writer = place->writer;
    pid_t guard = getpid();
    int fd = -1;
    pid_t pid = helper_fork(writer->options.name, &fd);

    if (pid == 0)
        helper_run(guard);
    if (pid < 0)
        return pid;
    place->pid = pid;
    place->fd = fd;
    int result = loop_add(writer->loop, &place->source, fd, EPOLLIN, on_answer);
    if (result < 0) {
        (void)close(fd);
        place->fd = -1;
        (void)kill(pid, SIGKILL);
    }
    return result;
}

static void place_reap(struct place *place)
{
    if (place->pid > 0 && place->fd < 0 && waitpid(place->pid, NULL, WNOHANG) != 0)
        place->pid = 0;
}

static struct place *place_ready(struct writer *writer)
{
    if (writer->working)
        return writer->working;
    for (unsigned i = 0; i < HELPERS; i++)
        if (writer->places[i].fd >= 0)
            return &writer->places[i];
    return NULL;
}

int writer_ask(struct writer *writer, int fd, const char *text, uint64_t ticket, uint64_t now)
{
    struct request request = {.ticket = ticket, .time = writer->options.time};
    struct iovec part = {&request, sizeof(request)};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = {0}};
    struct msghdr message = {.msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof(control.bytes)};
    struct place *place = place_ready(writer);

    if (strlen(text) >= sizeof(request.text))
        return -EINVAL;
    if (writer->working)
        return -EBUSY;
    if (!place)
        return -ENOTCONN;
    memcpy(request.text, text, strlen(text));
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
    if (sendmsg(place->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        return -errno;
    writer->working = place;
    writer->ticket = ticket;
    writer->since = now;
    return 0;
}

void writer_advance(struct writer *writer, enum band band, uint64_t now)
{
    if (writer->working && sub_or_zero(now, writer->since) >= WRITER_PATIENCE) {
        log_limited(&writer->hung_said, now, LOG_WARNING,
            "the process that writes %s (pid %d) hangs; replaced. Is the swap device well?",
            writer->options.what, (int)writer->working->pid);
        place_leave(writer->working);
    }
    for (unsigned i = 0; i < HELPERS; i++) {
        struct place *place = &writer->places[i];

        place_reap(place);
        if (place->pid > 0 || band >= BAND_SCARCE || now < writer->next_fork)
            continue;
        if (place_fill(place) < 0)
            writer->next_fork = now + FORK_RETRY;
    }
}

uint64_t writer_deadline(const struct writer *writer)
{
    return writer->working ? add_held(writer->since, WRITER_PATIENCE) : NEVER;
}

pid_t writer_helper(struct writer *writer)
{
    const struct place *place = place_ready(writer);

    return place ? place->pid : 0;
}

int writer_new(struct loop *loop, const struct writer_options *options, struct writer **ret_writer)
{
    struct writer *writer = calloc(1, sizeof(*writer));
    int result = 0;

    if (!writer)
        return -ENOMEM;
    *writer = (struct writer){.loop = loop, .options = *options};
    for (unsigned i = 0; i < HELPERS; i++)
        writer->places[i] = (struct place){.writer = writer, .source = LOOP_SOURCE_NONE, .fd = -1};
    for (unsigned i = 0; i < HELPERS && result == 0; i++)
        result = place_fill(&writer->places[i]);
    if (result < 0) {
        writer_free(writer);
        return result;
    }
    *ret_writer = writer;
    return 0;
}

struct writer *writer_free(struct writer *writer)
{
    if (!writer)
        return NULL;
    writer->working = NULL; /* nobody is told */
    for (unsigned i = 0; i < HELPERS; i++) {
        place_leave(&writer->places[i]);
        place_reap(&writer->places[i]); /* or init does */
    }
    free(writer);
    return NULL;
}
