/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Has a guard that runs take back what it has in force, and waits for that. */
#ifndef PLIMSOLL_CLI_UNDO_LIVE_H
#define PLIMSOLL_CLI_UNDO_LIVE_H

#include <plimsoll/error.h>
#include <stdbool.h>
#include <stdint.h>

#include "undo.h"

struct undo_live {
    const char *socket;
    uint64_t time; /* for which the guard leaves a guest alone then, ns */
    bool force;    /* also without room */
    undo_report report;
    void *userdata;
};

/* Of the guests that NAMES mean, or with COUNT 0 of all that something is in force on. Tells of
 * each measure what became of it. Returns how many were not taken back, a guest that was refused or
 * that nobody knows counting as one; negative: the guard was not reached. */
int undo_live(const struct undo_live *undo, const char *const *names, unsigned count,
    struct error *ret_error);

#endif
