/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The event loop: epoll over caller-owned sources and one timer. A source is embedded in
 * its owner; removing one inside a handler is safe for every source, its own included.
 */
#ifndef PLIMSOLL_DAEMON_LOOP_H
#define PLIMSOLL_DAEMON_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_source;

typedef void (*loop_handler)(struct loop_source *source, uint32_t events);

struct loop_source {
    int fd; /* -1 while not watched; owned by the embedding object, closed by it after removal */
    uint32_t events;
    loop_handler handler;
};
#define LOOP_SOURCE_NONE ((struct loop_source){.fd = -1})

int loop_new(struct loop **ret_loop);
struct loop *loop_free(struct loop *loop);

/* Watches FD for EVENTS (EPOLLIN …). The source must stay where it is until removed. */
int loop_add(
    struct loop *loop, struct loop_source *source, int fd, uint32_t events, loop_handler handler);
int loop_change(struct loop *loop, struct loop_source *source, uint32_t events);
/* Must come before the fd is closed or replaced. A source not watched is left as it is. */
void loop_remove(struct loop *loop, struct loop_source *source);

/* CLOCK_MONOTONIC now, ns. */
uint64_t loop_now(void);

/* Waits until DEADLINE (CLOCK_MONOTONIC, ns; UINT64_MAX: for ever) for events and calls the
 * handlers of those there are. Returns 0 or a negative errno; an interrupted wait is 0. */
int loop_wait(struct loop *loop, uint64_t deadline);

#endif
