/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The part of a guest's status that concerns people alone; status.c's. */
#ifndef PLIMSOLL_DAEMON_STATUS_ASIDE_H
#define PLIMSOLL_DAEMON_STATUS_ASIDE_H

#include "json_writer.h"
#include "status.h"

/* Adds its fields of the guest at POSITION; ASIDE may be NULL. */
void status_aside_write(struct json_writer *writer, const struct snapshot *snapshot,
    uint32_t position, const struct rules *rules, const struct status_aside *aside);

#endif
