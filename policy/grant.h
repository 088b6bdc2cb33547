/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Giving memory back. */
#ifndef PLIMSOLL_POLICY_GRANT_H
#define PLIMSOLL_POLICY_GRANT_H

#include "state.h"

/* Works out decision.room: what host and budget can give without leaving calm, less what was given
 * to guests that have not touched it yet. */
void grant_reckon_room(struct decision *d);

/* Takes up to BYTES out of the room for the VM at POSITION and remembers them as unspent. */
void grant_book(struct decision *d, uint32_t position, uint64_t bytes);

/* The VM at POSITION has memory on a node that is short, or has no more than is kept there for
 * guests that start: it is given nothing. */
bool grant_is_barred(const struct decision *d, uint32_t position);

/* It starves under a balloon of ours, by the host's figures as well as by its own, and is to be
 * given what that keeps from it as soon as there is room. */
bool grant_is_owed(const struct decision *d, uint32_t position);

/* What a balloon of ours still keeps from the VM at POSITION. */
uint64_t grant_unmet(const struct decision *d, uint32_t position);

/* Bytes the host is short of for all that starve to get theirs; 0: none. */
uint64_t grant_lacking(const struct decision *d);

/* Gives to guests that starve, down to where scarce begins; below it where lesser ones wait. */
void grant_starved(struct decision *d);

/* Gives balloons back out of the room that is left. */
void grant_balloons(struct decision *d);

#endif
