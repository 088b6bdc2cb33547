/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `plimsoll top`: looking at the guard for as long as somebody wants to. */
#ifndef PLIMSOLL_CLI_TOP_H
#define PLIMSOLL_CLI_TOP_H

#include <stdbool.h>
#include <stdint.h>

#include "model.h"

/* ns. A guard that is being restarted answers again by then. */
#define TOP_START_WAIT UINT64_C(3000000000)

struct top_wish {
    const char *socket;
    uint64_t interval; /* ns */
    bool json;         /* of batch alone */
    uint64_t count;    /* frames of batch; UINT64_MAX: without end */
};

/* All return an enum command_exit, with what is wrong said on standard error. */
int top_live(const struct top_wish *wish);
int top_batch(const struct top_wish *wish);
/* Asks for the first time, until TOP_START_WAIT is over. */
int top_await(struct model *model);

#endif
