/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The event loop owns an epoll instance, a timerfd and one batch of events. The timer is armed anew
 * for each wait: at the edge the next wake-up is a matter of microseconds, which epoll_wait's
 * milliseconds cannot express, and epoll_pwait2 is missing before Linux 5.11.
 *
 * A handler may remove any source, also one whose event waits in the same batch: removal strikes it
 * out of the batch, so that no handler runs for a source that is gone.
 */
#include "loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <plimsoll/units.h>

/* Events taken in one wait. A bound on how long handlers can keep the tick waiting, not on how many
 * sources there are: epoll gives the rest at the next call, in turn. */
#define LOOP_BATCH 64

struct loop {
    int epoll_fd;
    struct loop_source timer;
    int batch_count;
    struct epoll_event batch[LOOP_BATCH];
};

static void timer_expired(struct loop_source *source, uint32_t events)
{
    uint64_t expirations;

    (void)events;
    /* Only the wake-up matters; a failed read leaves it readable for the next wait. */
    if (read(source->fd, &expirations, sizeof expirations) < 0)
        return;
}

int loop_new(struct loop **ret_loop)
{
    struct loop *loop = calloc(1, sizeof *loop);
    int fd, result;

    if (!loop)
        return -ENOMEM;
    loop->timer = LOOP_SOURCE_NONE;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0) {
        result = -errno;
        goto fail;
    }
    fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (fd < 0) {
        result = -errno;
        goto fail;
    }
    result = loop_add(loop, &loop->timer, fd, EPOLLIN, timer_expired);
    if (result < 0) {
        close(fd);
        goto fail;
    }
    *ret_loop = loop;
    return 0;
fail:
    loop_free(loop);
    return result;
}

struct loop *loop_free(struct loop *loop)
{
    if (!loop)
        return NULL;
    if (loop->timer.fd >= 0)
        close(loop->timer.fd);
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    free(loop);
    return NULL;
}

int loop_add(
    struct loop *loop, struct loop_source *source, int fd, uint32_t events, loop_handler handler)
{
    struct epoll_event event = {.events = events, .data.ptr = source};

    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return -errno;
    *source = (struct loop_source){.fd = fd, .events = events, .handler = handler};
    return 0;
}

int loop_change(struct loop *loop, struct loop_source *source, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = source};

    if (events == source->events)
        return 0;
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &event) < 0)
        return -errno;
    source->events = events;
    return 0;
}

void loop_remove(struct loop *loop, struct loop_source *source)
{
    if (source->fd < 0)
        return;
    /* Fails only when the fd was closed already, which has removed it, too. */
    (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
    source->fd = -1;
    for (int i = 0; i < loop->batch_count; i++) {
        if (loop->batch[i].data.ptr == source)
            loop->batch[i].data.ptr = NULL;
    }
}

uint64_t loop_now(void)
{
    struct timespec now;

    /* Cannot fail: the clock exists on every Linux and the pointer is ours. */
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

static int timer_arm(struct loop *loop, uint64_t deadline)
{
    struct itimerspec when = {0};

    /* An all-zero time disarms, which is what "for ever" wants; a deadline of 0 is in the past. */
    if (deadline != UINT64_MAX) {
        when.it_value.tv_sec = (time_t)(deadline / NSEC_PER_SEC);
        when.it_value.tv_nsec = deadline ? (long)(deadline % NSEC_PER_SEC) : 1;
    }
    if (timerfd_settime(loop->timer.fd, TFD_TIMER_ABSTIME, &when, NULL) < 0)
        return -errno;
    return 0;
}

int loop_wait(struct loop *loop, uint64_t deadline)
{
    int result = timer_arm(loop, deadline);

    if (result < 0)
        return result;
    loop->batch_count = epoll_wait(loop->epoll_fd, loop->batch, LOOP_BATCH, -1);
    if (loop->batch_count < 0) {
        result = errno == EINTR ? 0 : -errno;
        loop->batch_count = 0;
        return result;
    }
    for (int i = 0; i < loop->batch_count; i++) {
        struct loop_source *source = loop->batch[i].data.ptr;

        if (source)
            source->handler(source, loop->batch[i].events);
    }
    loop->batch_count = 0;
    return 0;
}
