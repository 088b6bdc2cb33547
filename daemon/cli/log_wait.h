/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is heeded while the next lines are waited for: the program that is run for some, and the
 * signals that end us, for which it has to be ended first. */
#ifndef PLIMSOLL_CLI_LOG_WAIT_H
#define PLIMSOLL_CLI_LOG_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "client.h"

struct runner;

struct log_wait {
    struct runner *runner; /* its user's */
    struct client_aside aside;
    int signals;
    bool ended; /* by one of them */
};

/* From now on the signals that end a program only end the waiting, those apart that somebody had
 * us ignore, and a closed pipe is an error of its writing. 0 or a negative errno; it is there until
 * the process ends. */
int log_wait_begin(struct log_wait *wait, struct runner *runner);
/* Waits for INTERVAL, ns; false: a signal came. */
bool log_wait_for(struct log_wait *wait, uint64_t interval);

#endif
