/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guard's record: each call of policy_decide() is copied to memory that a helper process
 * shares, and is written down by that (record_folder.h), as long as a disk may take. Where the
 * helper is too far behind, or guests have come since scarce began, a call is left out, and the
 * next begins a stretch: what is recorded can be played again, whatever is missing between.
 */
#ifndef PLIMSOLL_RECORDER_H
#define PLIMSOLL_RECORDER_H

#include <plimsoll/policy.h>

struct recorder;

struct recorder_options {
    const char *directory; /* copied; NULL: nothing is recorded, for now */
    uint64_t limit;        /* bytes of all traces */
    uint32_t vm_capacity;
};

/* Forks the helper if it is needed. -ENOMEM. */
int recorder_new(const struct recorder_options *options, struct recorder **ret_recorder);
/* Goes on in DIRECTORY, NULL: nowhere, and up to LIMIT, with another helper from the next
 * recorder_advance() on that can have one. -ENOMEM: as it was. */
int recorder_set(struct recorder *recorder, const char *directory, uint64_t limit);
/* The helper ends when it has written what it has, and is not waited for. */
struct recorder *recorder_free(struct recorder *recorder);

/* Takes the memory that frames of so many guests will need, whatever the band: before the first
 * look. RECORDER may be NULL. */
void recorder_prepare(struct recorder *recorder, uint32_t vm_count);

/* Before policy_decide(), with what goes into it, and after it. RECORDER may be NULL: nothing is
 * recorded. Never blocks and never allocates. */
void recorder_begin(struct recorder *recorder, const struct snapshot *snapshot,
    const struct rules *rules, const struct policy_state *state);
void recorder_end(struct recorder *recorder, const struct plan *plan);

/* Below scarce: takes the memory that frames of as many guests as there are will need, and replaces
 * a helper that has ended or was left. To be called once in a turn of the loop; RECORDER may be
 * NULL. */
void recorder_advance(struct recorder *recorder, enum band band, uint64_t now);

/* 0: there is none. */
pid_t recorder_helper(const struct recorder *recorder);

#endif
