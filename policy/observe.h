/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What one snapshot says about each VM. */
#ifndef PLIMSOLL_POLICY_OBSERVE_H
#define PLIMSOLL_POLICY_OBSERVE_H

#include "state.h"

/* Brings state and scratch of every VM up to the snapshot: identity, growth, what each may be asked
 * for. ADVANCE false: the state is only read. */
void observe_vms(struct decision *d, bool advance);

/* MEMORY of a guest's, and QEMU's own part beside it. */
uint64_t memory_with_overhead(uint64_t memory);
/* What of its RSS, which has to be known, can be its guest's memory. */
uint64_t vm_resident(const struct vm_snapshot *vm);
/* What the guest at POSITION does not use, by its own fresh word, and may be asked for: less a
 * reserve, and what it is about to grow by. UNKNOWN: it has not said. */
uint64_t vm_idle(const struct decision *d, uint32_t position);
/* Its kind of balloon returns memory that can be counted on. */
bool vm_is_inflatable(const struct vm_snapshot *vm);
/* A device, a lock, encryption or huge pages keep its memory: nobody can reclaim it. */
bool vm_is_wired(const struct vm_snapshot *vm);
/* The fastest it has grown of late, bytes per second, worth less with each second since and nothing
 * after RESERVED_BREATH. */
int64_t vm_growth_lately(const struct decision *d, uint32_t position);
/* It has ended, or has been killed and is about to. */
bool vm_is_going(const struct vm_snapshot *vm);

#endif
