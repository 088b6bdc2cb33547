/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writes to memory.reclaim, which reclaims inside the writer and takes as long as the swap device
 * does: a helper process does it, one piece at a time, and the guard never waits.
 */
#ifndef PLIMSOLL_DAEMON_RECLAIMER_H
#define PLIMSOLL_DAEMON_RECLAIMER_H

#include "loop.h"

#include <plimsoll/plan.h>

/* A piece is broken off by its helper after so long, and what was reclaimed by then is all. */
#define RECLAIMER_PIECE_TIME (5 * NSEC_PER_SEC)
/* A helper that has not answered by then hangs in the kernel: it is killed, another takes its place
 * (and the policy's patience, 15 s, is longer than that). */
#define RECLAIMER_PATIENCE (10 * NSEC_PER_SEC)

struct reclaimer;

/* What became of a piece. RESULT: 0, or a negative errno: -EAGAIN less could be reclaimed than was
 * asked for, -EINTR its time was out, -ETIMEDOUT its helper hung or ended. */
typedef void (*reclaimer_done)(uint64_t ticket, int result, void *userdata);

/* Forks the helpers. PIECE_TIME: RECLAIMER_PIECE_TIME, or less in tests. */
int reclaimer_new(struct loop *loop, uint64_t piece_time, reclaimer_done done, void *userdata,
    struct reclaimer **ret_reclaimer);
/* Ends the helpers; what one of them writes is broken off. */
struct reclaimer *reclaimer_free(struct reclaimer *reclaimer);

/* Has BYTES written to FD, an open memory.reclaim, which the caller keeps. TICKET comes back with
 * the answer, from the loop or from reclaimer_advance(). -EBUSY: a piece is under way; -ENOTCONN:
 * there is no helper left until memory is no longer scarce. Never blocks. */
int reclaimer_ask(
    struct reclaimer *reclaimer, int fd, uint64_t bytes, uint64_t ticket, uint64_t now);

/* Kills a helper that hangs and, below scarce, forks what is missing. To be called once in a turn
 * of the loop. */
void reclaimer_advance(struct reclaimer *reclaimer, enum band band, uint64_t now);
/* When that is due at the latest. */
uint64_t reclaimer_deadline(const struct reclaimer *reclaimer);

/* The one that is asked next, or that is at work; 0: none. */
pid_t reclaimer_helper(struct reclaimer *reclaimer);

#endif
