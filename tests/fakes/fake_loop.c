/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * loop.h on poll(), for tests of what lives on a loop: a flat table of sources.
 */
#include "loop.h"

#include <errno.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/units.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>

#define SOURCES_MAX 64

struct loop {
    struct loop_source *sources[SOURCES_MAX];
};

int loop_new(struct loop **ret_loop)
{
    *ret_loop = calloc(1, sizeof(**ret_loop));
    return *ret_loop ? 0 : -ENOMEM;
}

struct loop *loop_free(struct loop *loop)
{
    free(loop);
    return NULL;
}

int loop_add(
    struct loop *loop, struct loop_source *source, int fd, uint32_t events, loop_handler handler)
{
    for (int i = 0; i < SOURCES_MAX; i++) {
        if (loop->sources[i])
            continue;
        *source = (struct loop_source){.fd = fd, .events = events, .handler = handler};
        loop->sources[i] = source;
        return 0;
    }
    return -ENOSPC;
}

int loop_change(struct loop *loop, struct loop_source *source, int fd, uint32_t events)
{
    (void)loop;
    source->fd = fd;
    source->events = events;
    return 0;
}

void loop_remove(struct loop *loop, struct loop_source *source)
{
    for (int i = 0; i < SOURCES_MAX; i++)
        if (loop->sources[i] == source)
            loop->sources[i] = NULL;
    source->fd = -1;
}

uint64_t loop_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

int loop_wait(struct loop *loop, uint64_t deadline)
{
    struct pollfd fds[SOURCES_MAX];
    uint64_t now = loop_now();
    int timeout = deadline <= now ? 0 : (int)min_u64((deadline - now) / NSEC_PER_MSEC + 1, 60000);

    for (int i = 0; i < SOURCES_MAX; i++)
        fds[i] = (struct pollfd){.fd = loop->sources[i] ? loop->sources[i]->fd : -1,
            .events = (short)(loop->sources[i] ? loop->sources[i]->events : 0)};
    if (poll(fds, SOURCES_MAX, timeout) < 0)
        return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < SOURCES_MAX; i++) {
        struct loop_source *source = loop->sources[i];

        if (fds[i].revents && source && source->fd == fds[i].fd)
            source->handler(source, (uint32_t)fds[i].revents);
    }
    return 0;
}
