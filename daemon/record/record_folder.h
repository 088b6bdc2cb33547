/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A folder of traces, each of some minutes and complete in itself. What is kept are those in which
 * something was decided, each with the one before it, and the last two; of these the oldest go when
 * all together have grown to the limit, but of what still goes on not the beginning, as
 * long as the writer lives.
 */
#ifndef PLIMSOLL_RECORD_FOLDER_H
#define PLIMSOLL_RECORD_FOLDER_H

#include "record_frame.h"

#include <plimsoll/cleanup.h>

/* A trace ends after so long, and when it is an eighth of the limit. */
#define RECORD_TRACE_TIME (5 * NSEC_PER_MINUTE)
/* After a failure nothing is tried for so long. */
#define RECORD_RETRY NSEC_PER_MINUTE

struct record_folder;

/* DIRECTORY is made where it is missing, but not what it is in. -ENOMEM. */
int record_folder_new(
    const char *directory, uint64_t limit, uint32_t vm_capacity, struct record_folder **ret_folder);
/* Ends the trace that is being written. */
struct record_folder *record_folder_free(struct record_folder *folder);
DEFINE_CLEANUP(struct record_folder *, record_folder_free);

/* Writes FRAME, as long as a disk may take. *RET_STRETCH: the next frame should begin a stretch,
 * for a trace can begin with no other. A negative errno of a failure is returned once; until
 * RECORD_RETRY has passed the frames after it are passed over. -EFBIG: the limit is too low. */
int record_folder_write(
    struct record_folder *folder, const struct record_frame *frame, bool *ret_stretch);

/* Whether that is what a trace in such a folder is called. The order of their names is that of
 * their age. */
bool record_folder_names(const char *name);

#endif
