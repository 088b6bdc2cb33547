/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writes to files of a cgroup which reclaim inside the writer (memory.reclaim, memory.high,
 * memory.max) and take as long as the swap device does: a helper process does it, one write at a
 * time, and the guard never waits.
 */
#ifndef PLIMSOLL_DAEMON_WRITER_H
#define PLIMSOLL_DAEMON_WRITER_H

#include "loop.h"

#include <plimsoll/plan.h>

/* A write is broken off by its helper after so long, and what was reclaimed by then is all. */
#define WRITER_TIME (5 * NSEC_PER_SEC)
/* A helper that has not answered by then hangs in the kernel: it is killed, another takes its place
 * (and the policy's patience, 15 s, is longer than that). */
#define WRITER_PATIENCE (10 * NSEC_PER_SEC)
/* Room for the 20 digits of a number, a newline and NUL. */
#define WRITER_TEXT_MAX 24

struct writer;

/* What became of a write. RESULT: 0, or a negative errno: of memory.reclaim, -EAGAIN less could be
 * reclaimed than was asked for, -EINTR its time was out; -ETIMEDOUT its helper hung or ended. */
typedef void (*writer_done)(uint64_t ticket, int result, void *userdata);

struct writer_options {
    const char *name; /* of its processes, at most 15 bytes */
    const char *what; /* it writes, for people */
    uint64_t time;    /* WRITER_TIME, or less in tests */
    writer_done done;
    void *userdata;
};

/* Forks the helpers. */
int writer_new(struct loop *loop, const struct writer_options *options, struct writer **ret_writer);
/* Ends the helpers; what one of them writes is broken off. */
struct writer *writer_free(struct writer *writer);

/* Has TEXT written to FD, an open file, which the caller keeps. TICKET comes back with the answer,
 * from the loop or from writer_advance(). -EBUSY: a write is under way; -ENOTCONN: there is no
 * helper left until memory is no longer scarce; -EINVAL: too long. Never blocks. */
int writer_ask(struct writer *writer, int fd, const char *text, uint64_t ticket, uint64_t now);

/* Kills a helper that hangs and, below scarce, forks what is missing. To be called once in a turn
 * of the loop. */
void writer_advance(struct writer *writer, enum band band, uint64_t now);
/* When that is due at the latest. */
uint64_t writer_deadline(const struct writer *writer);

/* The one that is asked next, or that is at work; 0: none. */
pid_t writer_helper(struct writer *writer);

#endif
