/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Giving back what is in force on one guest, by a guard that lives: on its way out, or because a
 * person wants it. The policy does not ask for this; it has its own time for giving back.
 */
#ifndef PLIMSOLL_DAEMON_GIVE_BACK_H
#define PLIMSOLL_DAEMON_GIVE_BACK_H

#include "roots.h"
#include "vm.h"

/* The most that the guest can come to hold beyond what it holds now, once nothing is in force on
 * it, in bytes; UNKNOWN: nobody knows. */
uint64_t give_back_most(const struct vm *vm);

/* Before the first step. */
void give_back_begin(struct vm *vm);
/* Takes back what may be, as far as *ROOM bytes go, which it lowers by what the guest may take
 * then. To be called again while something is in force: what waits for an answer or for another
 * comes later, and what is refused once is left. Not for a guest that is being ended. */
void give_back_step(struct vm *vm, const struct roots *roots, uint64_t *room, uint64_t now);

#endif
