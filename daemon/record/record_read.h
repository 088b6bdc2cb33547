/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A trace, frame by frame, as policy_decide() had it. What is read may be anybody's: each value is
 * checked against its field, each index against what there is, and no line is longer than
 * RECORD_LINE_MAX; the memory it takes is that of max_vms guests.
 */
#ifndef PLIMSOLL_RECORD_READ_H
#define PLIMSOLL_RECORD_READ_H

#include <plimsoll/cleanup.h>
#include <plimsoll/error.h>
#include <plimsoll/policy.h>
#include <stdio.h>

struct record_reader;

/* Reads the head from IN, which stays the caller's. -EINVAL: this is no trace, or one of another
 * version; -ENOMEM; or what reading failed with. RET_ERROR says the line. */
int record_reader_new(FILE *in, struct record_reader **ret_reader, struct error *ret_error);
struct record_reader *record_reader_free(struct record_reader *reader);
DEFINE_CLEANUP(struct record_reader *, record_reader_free);

uint32_t record_reader_capacity(const struct record_reader *reader);

/* Valid until the next is read. */
struct record_seen {
    const struct policy_state *state; /* as it was before, where a stretch begins; else NULL */
    const struct snapshot *snapshot;
    const struct rules *rules;
    const struct plan *plan; /* that was decided */
};

/* 1: the next frame; 0: there is none, and *RET_CUT says whether the trace ends within one, as of a
 * guard that was killed; or a negative errno as above. */
int record_read_frame(struct record_reader *reader, struct record_seen *ret_seen, bool *ret_cut,
    struct error *ret_error);

#endif
