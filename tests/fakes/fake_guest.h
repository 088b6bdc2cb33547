/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest of a fake host with a monitor: a process of its own that listens on sockets and answers
 * there as fake_qemu does, so that SO_PEERCRED names it and a SIGSTOP silences it. What it was told
 * stands in memory that it shares with the test. Every function ends the test when it fails.
 */
#ifndef PLIMSOLL_TESTS_FAKE_GUEST_H
#define PLIMSOLL_TESTS_FAKE_GUEST_H

#include "fake_host.h"

#include <stdatomic.h>

/* Its RAM, all of which it has at first. */
#define FAKE_GUEST_RAM (8 * GIB)

struct fake_guest_record {
    atomic_uint stops, conts, balloons; /* commands heard */
    atomic_ullong balloon;              /* bytes the guest has */
    atomic_bool running;
    atomic_bool refuses_cont;
    atomic_ullong available_then; /* what the host has left once a balloon command came; 0: as is */
};

struct fake_guest {
    pid_t pid;
    struct fake_guest_record *record;
    int commands;
};

/* A fake host whose guard enforces, has room for 8 guests and looks for sockets in the tree's qmp
 * folder; ON_EXIT is the configuration's word. */
void fake_guest_host(struct fake_host *host, const char *on_exit);
/* The path of a socket there. */
void fake_guest_path(const struct fake_host *host, const char *name, char ret_path[static 108]);

/* Starts a guest that holds RSS bytes and listens on the socket of its name. */
void fake_guest_start(
    struct fake_guest *guest, struct fake_host *host, const char *name, uint64_t rss);
/* Listens at PATH, too; or hangs up there and removes it. Done on return. */
void fake_guest_listen(struct fake_guest *guest, const char *path);
void fake_guest_leave(struct fake_guest *guest, const char *path);
struct fake_guest *fake_guest_end(struct fake_guest *guest);

/* The guard's own object of PID; ends the test when it knows none. */
struct vm *fake_guest_vm(const struct fake_host *host, pid_t pid);
/* Waits until the guard's monitor of it is ready and has asked what it wants to know. */
void fake_guest_await_monitor(struct fake_host *host, const struct fake_guest *guest);
/* What the guard's loop does between two ticks, until something has happened or a moment passed. */
void fake_guest_turn(struct fake_host *host);

/* Turns until CONDITION holds, within FAKE_GUEST_PATIENCE. */
#define FAKE_GUEST_PATIENCE (20 * NSEC_PER_SEC)
#define fake_guest_await(host, condition)                                    \
    for (uint64_t limit = loop_now() + FAKE_GUEST_PATIENCE; !(condition);) { \
        ck_assert_msg(loop_now() < limit, "never came: %s", #condition);     \
        fake_guest_turn(host);                                               \
    }

/* Has the guard pause it, or give it TARGET, and waits until that is so. */
void fake_guest_pause(struct fake_host *host, const struct fake_guest *guest);
void fake_guest_inflate(struct fake_host *host, const struct fake_guest *guest, uint64_t target);

#endif
