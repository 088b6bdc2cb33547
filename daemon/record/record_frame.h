/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One call of policy_decide() in one piece of memory: what went in, and the plan that came out. It
 * is made of parts, each an array of one kind of struct; of the guests that are there only, by
 * their position in the snapshot.
 */
#ifndef PLIMSOLL_RECORD_FRAME_H
#define PLIMSOLL_RECORD_FRAME_H

#include <plimsoll/fields.h>
#include <plimsoll/policy.h>

/* In the order in which they lie in a frame, and are written: at the plan all else is known. */
enum record_part {
    RECORD_STATE, /* as it was before; a frame with it begins a stretch, else it goes on */
    RECORD_VM_STATE,
    RECORD_RULES,
    RECORD_VM_RULES,
    RECORD_SNAPSHOT,
    RECORD_VM,
    RECORD_ACTION,
    RECORD_PLAN,
    RECORD_PART_COUNT,
};

struct record_frame {
    uint32_t counts[RECORD_PART_COUNT];
    /* the parts follow */
};

const char *record_part_name(enum record_part part);
const struct field_table *record_part_table(enum record_part part);
/* There is one of it at most; else they are told apart by their place. */
bool record_part_is_single(enum record_part part);

/* Of a frame with VM_CAPACITY guests and all that comes with them. */
size_t record_frame_size_max(uint32_t vm_capacity);
size_t record_frame_size(const struct record_frame *frame);
/* The first of its elements. */
const void *record_frame_part(const struct record_frame *frame, enum record_part part);

/* Makes BUFFER (record_frame_size_max() bytes, aligned as malloc does) a frame of all but the plan
 * and its actions; STATE may be NULL. RULES and STATE are by slot. */
struct record_frame *record_frame_begin(void *buffer, const struct snapshot *snapshot,
    const struct rules *rules, const struct policy_state *state);
/* … and of these. */
void record_frame_end(struct record_frame *frame, const struct plan *plan);

/* One element as it is before anything is known of it, by which what is written is reckoned. Of
 * RET_ELEMENT as many bytes are set as the part's table says. */
void record_part_base(enum record_part part, void *ret_element);

#endif
