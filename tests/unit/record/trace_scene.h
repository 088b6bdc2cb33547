/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A recorded run: guests that outgrow a host of the simulator's, watched over by the policy, each
 * call of which is written to a trace as the guard does. Every function ends the test when it
 * fails.
 */
#ifndef PLIMSOLL_TESTS_TRACE_SCENE_H
#define PLIMSOLL_TESTS_TRACE_SCENE_H

#include "record_write.h"
#include "replay.h"

struct trace {
    char *text;
    size_t size;
    uint64_t frames;
};

/* A stretch begins with each STRIDE-th frame; 0: with the first alone. The caller frees its text.
 */
struct trace trace_record(uint64_t stride);
/* What replaying TEXT comes to; its error has its code. */
struct replay_score trace_replay(
    const char *text, size_t size, const struct config *config, struct error *ret_error);

#endif
