/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Taking memory from guests by balloon, and seeing whether it came. */
#ifndef PLIMSOLL_POLICY_BALLOON_H
#define PLIMSOLL_POLICY_BALLOON_H

#include "state.h"

/* Judges the rounds of inflation in force by what the host sees; alerts about stuck guests, asks
 * drifted ones again. Before anything counts on pending balloons. */
void balloon_verify(struct decision *d);

/* Takes memory for every pool that is tight or worse. Afterwards each goal is the target that is in
 * force once the plan is carried out. */
void balloon_inflate(struct decision *d);

/* Smallest change of target worth asking this VM for. */
uint64_t balloon_step(const struct vm_snapshot *vm);

/* Bytes above MINIMUM that a guest of so many SHARES keeps at water level LEVEL. */
uint64_t balloon_level_bytes(const struct vm_rules *rules, uint64_t level);
/* A level at which this guest keeps BYTES, or a little more. */
uint64_t balloon_level_of(const struct vm_rules *rules, uint64_t bytes);

/* Puts a target for the VM at POSITION into the plan and remembers it; false: plan full. */
bool balloon_ask(struct decision *d, uint32_t position, enum reason reason, uint32_t pool,
    uint64_t target, uint64_t deficit);

#endif
