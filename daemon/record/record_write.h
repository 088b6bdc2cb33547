/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Frames as lines of JSON. A trace is a head and then, for each frame, a line for each element of a
 * part of which something has changed,
 *
 *     {"trace":1,"version":"…","layout":"…","max_vms":1024}
 *     {"state":{…}}                        begins a stretch: nothing of before holds any more
 *     {"vm_state":{…},"at":3}              of the guest at this position
 *     {"rules":{…}} {"vm_rules":{…},"at":3} {"snapshot":{…}} {"vm":{…},"at":3}
 *     {"action":{…},"at":0}                always, and whole
 *     {"plan":{…}}                         always: the frame ends
 *
 * each with what differs from the frame before, or, in a stretch's first frame, from the bases.
 */
#ifndef PLIMSOLL_RECORD_WRITE_H
#define PLIMSOLL_RECORD_WRITE_H

#include "record_frame.h"

#include <plimsoll/cleanup.h>
#include <stdio.h>

#define RECORD_TRACE_VERSION 1
/* The longest, the policy's state with all of its destructions and pools, has a quarter of it. */
#define RECORD_LINE_MAX (64 * KIB)

struct record_writer;

/* -ENOMEM. VM_CAPACITY is that of the frames to come. */
int record_writer_new(uint32_t vm_capacity, struct record_writer **ret_writer);
struct record_writer *record_writer_free(struct record_writer *writer);
DEFINE_CLEANUP(struct record_writer *, record_writer_free);

/* -EIO, or whatever a write to OUT fails with; what is there then ends in a frame that does not. */
int record_write_head(struct record_writer *writer, FILE *out);
/* The first frame of a trace must begin a stretch. */
int record_write_frame(struct record_writer *writer, const struct record_frame *frame, FILE *out);

#endif
