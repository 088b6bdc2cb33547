/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which guest a person means: by name, else by uuid, else by pid.
 */
#ifndef PLIMSOLL_DAEMON_GUEST_FIND_H
#define PLIMSOLL_DAEMON_GUEST_FIND_H

#include <plimsoll/error.h>
#include <plimsoll/snapshot.h>

/* The guest's position in SNAPSHOT. -ENOENT: there is none, and the error names what is near; or
 * -ENOTUNIQ: several have that name, and it says by what to tell them apart. */
int guest_find(const struct snapshot *snapshot, const char *asked, uint32_t *ret_position,
    struct error *ret_error);

#endif
