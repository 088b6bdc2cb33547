/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the helpers: their processes and our ends of their sockets.
 *
 * A request is one record with the descriptor beside it (SCM_RIGHTS), so that the helper looks
 * nothing up: no name is used that could have come to mean another cgroup. It writes the number
 * under an interval timer whose signal breaks the kernel's reclaim off (memory_reclaim(),
 * mm/memcontrol.c, ends with EINTR), and answers with one record.
 *
 * Only one helper works at a time; the other is its spare, forked at the start, as a fork at the
 * edge would copy each page that the guard writes. A helper that ended or was killed leaves its
 * place empty, and its process is awaited, however long it hangs in the kernel, before the place is
 * filled again: so there are never more than the places there are.
 */
#include "reclaimer.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
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

#define HELPER_NAME "plimsoll-swap" /* within TASK_COMM_LEN */
/* The one that works, and a spare. */
#define HELPERS 2
/* Without memory for a fork now, there may be in a second. */
#define FORK_RETRY NSEC_PER_SEC

struct request {
    uint64_t ticket, bytes, time; /* ns it may take */
};

struct answer {
    uint64_t ticket;
    int32_t result;
    int32_t reserved;
};

struct place {
    struct reclaimer *reclaimer;
    pid_t pid; /* 0: empty */
    struct loop_source source;
    int fd; /* -1: no longer asked */
};

struct reclaimer {
    struct loop *loop;
    reclaimer_done done;
    void *userdata;
    uint64_t piece_time;
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

static int32_t piece_write(int fd, uint64_t bytes, uint64_t time)
{
    char text[24]; /* 20 digits */
    int length = snprintf(text, sizeof(text), "%" PRIu64, bytes);

    timer_set(time);
    int32_t result = write(fd, text, (size_t)length) < 0 ? -errno : 0;
    timer_set(0);
    return result;
}

static void __attribute__((noreturn)) helper_run(pid_t guard)
{
    struct sigaction action = {.sa_handler = on_time_out}; /* no SA_RESTART */
    struct request request;
    int fd;

    (void)sigaction(SIGALRM, &action, NULL);
    /* In the middle of a piece it would not see the socket's end. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != guard)
        _exit(EXIT_SUCCESS);
    while (request_receive(&request, &fd)) {
        struct answer answer = {.ticket = request.ticket, .result = -EBADMSG};

        if (fd >= 0) {
            answer.result = piece_write(fd, request.bytes, request.time);
            (void)close(fd);
        }
        if (send(HELPER_FD, &answer, sizeof(answer), MSG_NOSIGNAL) < 0)
            break;
    }
    _exit(EXIT_SUCCESS);
}

/* ---- the guard's side ---- */

static void piece_end(struct reclaimer *reclaimer, int result)
{
    reclaimer->working = NULL;
    reclaimer->done(reclaimer->ticket, result, reclaimer->userdata);
}

/* It is not asked any more; its process is reaped when it has ended. */
static void place_leave(struct place *place)
{
    struct reclaimer *reclaimer = place->reclaimer;

    if (place->fd < 0)
        return;
    loop_remove(reclaimer->loop, &place->source);
    (void)close(place->fd);
    place->fd = -1;
    (void)kill(place->pid, SIGKILL); /* not reaped yet, so the number is still its own */
    if (reclaimer->working == place)
        piece_end(reclaimer, -ETIMEDOUT);
}

static void on_answer(struct loop_source *source, uint32_t events)
{
    struct place *place = container_of(source, struct place, source);
    struct reclaimer *reclaimer = place->reclaimer;
    struct answer answer;
    ssize_t length = recv(place->fd, &answer, sizeof(answer), MSG_DONTWAIT);

    (void)events;
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    bool expected = length == sizeof(answer) && reclaimer->working == place &&
                    answer.ticket == reclaimer->ticket && answer.result <= 0;
    if (expected) {
        piece_end(reclaimer, answer.result);
        return;
    }
    if (log_permit(&reclaimer->hung_said, loop_now()))
        log_message(LOG_WARNING, "the process that writes to memory.reclaim (pid %d) %s; replaced",
            (int)place->pid, length <= 0 ? "has ended" : "answers what it was not asked");
    place_leave(place);
}

static int place_fill(struct place *place)
{
    struct reclaimer *reclaimer = place->reclaimer;
    pid_t guard = getpid();
    int fd = -1;
    pid_t pid = helper_fork(HELPER_NAME, &fd);

    if (pid == 0)
        helper_run(guard);
    if (pid < 0)
        return pid;
    place->pid = pid;
    place->fd = fd;
    int result = loop_add(reclaimer->loop, &place->source, fd, EPOLLIN, on_answer);
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

static struct place *place_ready(struct reclaimer *reclaimer)
{
    if (reclaimer->working)
        return reclaimer->working;
    for (unsigned i = 0; i < HELPERS; i++)
        if (reclaimer->places[i].fd >= 0)
            return &reclaimer->places[i];
    return NULL;
}

int reclaimer_ask(
    struct reclaimer *reclaimer, int fd, uint64_t bytes, uint64_t ticket, uint64_t now)
{
    struct request request = {.ticket = ticket, .bytes = bytes, .time = reclaimer->piece_time};
    struct iovec part = {&request, sizeof(request)};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = {0}};
    struct msghdr message = {.msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof(control.bytes)};
    struct place *place = place_ready(reclaimer);

    if (reclaimer->working)
        return -EBUSY;
    if (!place)
        return -ENOTCONN;
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
    if (sendmsg(place->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        return -errno;
    reclaimer->working = place;
    reclaimer->ticket = ticket;
    reclaimer->since = now;
    return 0;
}

void reclaimer_advance(struct reclaimer *reclaimer, enum band band, uint64_t now)
{
    if (reclaimer->working && sub_or_zero(now, reclaimer->since) >= RECLAIMER_PATIENCE) {
        if (log_permit(&reclaimer->hung_said, now))
            log_message(LOG_WARNING,
                "the process that writes to memory.reclaim (pid %d) hangs; replaced. Is the swap "
                "device well?",
                (int)reclaimer->working->pid);
        place_leave(reclaimer->working);
    }
    for (unsigned i = 0; i < HELPERS; i++) {
        struct place *place = &reclaimer->places[i];

        place_reap(place);
        if (place->pid > 0 || band >= BAND_SCARCE || now < reclaimer->next_fork)
            continue;
        if (place_fill(place) < 0)
            reclaimer->next_fork = now + FORK_RETRY;
    }
}

uint64_t reclaimer_deadline(const struct reclaimer *reclaimer)
{
    return reclaimer->working ? add_held(reclaimer->since, RECLAIMER_PATIENCE) : NEVER;
}

pid_t reclaimer_helper(struct reclaimer *reclaimer)
{
    const struct place *place = place_ready(reclaimer);

    return place ? place->pid : 0;
}

int reclaimer_new(struct loop *loop, uint64_t piece_time, reclaimer_done done, void *userdata,
    struct reclaimer **ret_reclaimer)
{
    struct reclaimer *reclaimer = calloc(1, sizeof(*reclaimer));
    int result = 0;

    if (!reclaimer)
        return -ENOMEM;
    *reclaimer = (struct reclaimer){
        .loop = loop, .done = done, .userdata = userdata, .piece_time = piece_time};
    for (unsigned i = 0; i < HELPERS; i++)
        reclaimer->places[i] =
            (struct place){.reclaimer = reclaimer, .source = LOOP_SOURCE_NONE, .fd = -1};
    for (unsigned i = 0; i < HELPERS && result == 0; i++)
        result = place_fill(&reclaimer->places[i]);
    if (result < 0) {
        reclaimer_free(reclaimer);
        return result;
    }
    *ret_reclaimer = reclaimer;
    return 0;
}

struct reclaimer *reclaimer_free(struct reclaimer *reclaimer)
{
    if (!reclaimer)
        return NULL;
    reclaimer->working = NULL; /* nobody is told */
    for (unsigned i = 0; i < HELPERS; i++) {
        place_leave(&reclaimer->places[i]);
        place_reap(&reclaimer->places[i]); /* or init does */
    }
    free(reclaimer);
    return NULL;
}
