/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How far something has come that takes longer than a second: one line on standard error, where
 * that is a terminal. Elsewhere nothing is said.
 */
#ifndef PLIMSOLL_CLI_PROGRESS_H
#define PLIMSOLL_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *what; /* clean UTF-8, the caller's */
    uint64_t next; /* when something is to be said; CLOCK_MONOTONIC; NEVER: this is no terminal */
    bool shown;
};

struct progress progress_begin(const char *what);
/* DONE of WHOLE, in any unit. Cheap enough for each step. */
void progress_update(struct progress *progress, uint64_t done, uint64_t whole);
/* Takes the line away, so that something can be printed; it comes back with the next update that is
 * due. To be called at the end, too. */
void progress_hide(struct progress *progress);

#endif
