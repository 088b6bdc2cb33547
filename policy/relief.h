/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an action brings, and what it costs. */
#ifndef PLIMSOLL_POLICY_RELIEF_H
#define PLIMSOLL_POLICY_RELIEF_H

#include "state.h"

/* Bytes that return to POOL when the VM's balloon target is lowered to TARGET. */
uint64_t relief_balloon(
    const struct decision *d, const struct pool_view *pool, uint32_t position, uint64_t target);

/* The same for targets already asked for, summed over enforced guests, or over all of them. */
uint64_t relief_balloons_pending(
    const struct decision *d, const struct pool_view *pool, bool dry_run_too);

/* Bytes that return to POOL within the horizon when the VM is killed; 0: nothing, or unknown. */
uint64_t relief_kill(const struct decision *d, const struct pool_view *pool, uint32_t position);

/* Nanoseconds from SIGKILL until RELIEF bytes are free. */
uint64_t relief_kill_time(const struct vm_snapshot *vm, uint64_t relief);

/* Growth of the VM now, bytes per second; 0 when it was not measured lately. */
int64_t relief_growth(const struct decision *d, uint32_t position);
/* The same of one that is paused: what it grew by before, assumed where an earlier guard paused it.
 */
int64_t relief_growth_before(const struct decision *d, uint32_t position);

/* What the guest can still take at all: it ends at its maximum and QEMU's own part. NEVER when its
 * maximum is not known. */
uint64_t relief_room_in(const struct decision *d, uint32_t position);

/* What it takes within TIME if it grows on, and what it does not although its rate says so. */
uint64_t relief_growth_bytes(const struct decision *d, uint32_t position, uint64_t time);
uint64_t relief_growth_excess(const struct decision *d, uint32_t position, uint64_t time);

/* Of that growth, what a brake takes off. */
int64_t relief_brake(const struct decision *d, uint32_t position);

/* priority × VM-minutes × 1000 */
uint64_t loss_brake(const struct vm_rules *rules);
uint64_t loss_pause(const struct vm_rules *rules);
/* TIME: of the save; the restore takes as long. */
uint64_t loss_save(const struct vm_rules *rules, uint64_t time);
uint64_t loss_shutdown(const struct vm_rules *rules);
uint64_t loss_kill(const struct vm_snapshot *vm, const struct vm_rules *rules);

#endif
