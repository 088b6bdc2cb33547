/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * MOM with the balloon rules that oVirt ships: every ten seconds, below 20 % of free memory every
 * guest is shrunk, else every guest grows. What a guest shall have is what it uses and a part of it
 * that falls with the host's free memory, and is negative from 5 % on; a step is 5 % at most, and
 * one of less than a quarter percent is none. A guest without statistics is passed over.
 */
#include "peers.h"

#define INTERVAL (10 * NSEC_PER_SEC)
/* All in 1/10000. */
#define WHOLE 10000
#define PRESSURE 2000
#define GUEST_FREE_LEAST 2000
#define CRITICAL 500
#define CHANGE_MOST 500
#define CHANGE_LEAST 25

static int64_t part_of(uint64_t bytes, int64_t part)
{
    return (int64_t)(bytes / WHOLE) * part;
}

/* The part of its memory that a guest is left free, at HOST_FREE. */
static int64_t guest_free(int64_t host_free)
{
    if (host_free <= CRITICAL)
        return host_free - CRITICAL;
    return GUEST_FREE_LEAST * host_free / PRESSURE;
}

static void shrink(
    const struct vm_snapshot *vm, uint64_t minimum, int64_t host_free, struct plan *plan)
{
    uint64_t current = vm->balloon.actual;
    int64_t used = diff_i64(current, vm->statistics.free);
    int64_t least = used + part_of(current, guest_free(host_free));
    int64_t target = part_of(current, WHOLE - CHANGE_MOST);

    target = target < least ? least : target;
    target = target < (int64_t)minimum ? (int64_t)minimum : target;
    if ((int64_t)current - target > part_of(current, CHANGE_LEAST))
        peer_plan_balloon(plan, vm, (uint64_t)target);
}

static void grow(const struct vm_snapshot *vm, struct plan *plan)
{
    uint64_t current = vm->balloon.actual;
    int64_t used = diff_i64(current, vm->statistics.free);
    int64_t least = used + part_of(current, GUEST_FREE_LEAST);
    int64_t target = part_of(current, WHOLE + CHANGE_MOST);

    target = target < least ? least : target;
    peer_plan_balloon(plan, vm, min_u64((uint64_t)target, vm->maximum));
}

static void mom_decide(
    const struct snapshot *snapshot, const struct rules *rules, void *own, struct plan *ret_plan)
{
    const struct host_snapshot *host = &snapshot->host;
    int64_t host_free = (int64_t)scale_u64(host->available, WHOLE, host->total);

    (void)own;
    peer_plan_begin(snapshot, INTERVAL, ret_plan);
    for (uint32_t i = 0; i < snapshot->vm_count; i++) {
        const struct vm_snapshot *vm = &snapshot->vms[i];
        if (!peer_has_balloon(vm) || !known(vm->statistics.updated))
            continue;
        if (host_free < PRESSURE)
            shrink(vm, peer_minimum(vm, rules), host_free, ret_plan);
        else if (vm->balloon.actual < vm->maximum)
            grow(vm, ret_plan);
    }
}

bool peer_mom(uint32_t guest_count, struct watcher *ret_watcher)
{
    (void)guest_count;
    *ret_watcher = (struct watcher){.name = "mom", .decide = mom_decide, .fresh = true};
    return true;
}
