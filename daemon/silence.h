/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * When the silence of a QEMU is told: its beginning and its end. One that is late again and again
 * is in one silence, which ends once it has answered in time for SILENCE_ENDS; so there are no more
 * than two lines in that time.
 */
#ifndef PLIMSOLL_DAEMON_SILENCE_H
#define PLIMSOLL_DAEMON_SILENCE_H

#include <stdbool.h>
#include <stdint.h>

#include <plimsoll/units.h>

/* Three rounds of a monitor's questions in calm: on a slow host one of each may be late. */
#define SILENCE_ENDS (30 * NSEC_PER_SEC)

struct silence {
    uint64_t since;    /* 0: there is none */
    uint64_t answered; /* when it first answered since it was last late; 0: it has not */
};

/* It was late by NOW, and has been silent for WAITED. True: tell it. */
bool silence_begin(struct silence *silence, uint64_t now, uint64_t waited);
/* It answered. How long a silence was that is over now, to be told; 0: there is nothing to tell. */
uint64_t silence_end(struct silence *silence, uint64_t now);

#endif
