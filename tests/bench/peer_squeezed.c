/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Xen's squeezed: what there is for guests beyond their minimums is shared out so that each has the
 * same part of the way from minimum to maximum. Balloons are inflated first; only when all have
 * arrived, or are seen not to move, is memory granted. A guest that has not moved for 5 s is
 * inactive and counts with what it has. On Xen all that a guest may have is its own, used or not,
 * so the sum of targets never exceeds what there is.
 */
#include "peers.h"

#include <stdlib.h>

#define INTERVAL NSEC_PER_SEC
#define INACTIVE_AFTER (5 * NSEC_PER_SEC)
/* Nearer than this a balloon has arrived. */
#define ACCURACY (4 * MIB)

struct squeezed_guest {
    uint64_t target, actual; /* as last seen */
    uint64_t moved;          /* when it last did, or was asked to */
};

static bool is_apart(uint64_t a, uint64_t b)
{
    return a > b + ACCURACY || b > a + ACCURACY;
}

static bool is_inactive(const struct squeezed_guest *guest, uint64_t now)
{
    return is_apart(guest->target, guest->actual) && now >= guest->moved + INACTIVE_AFTER;
}

static void guest_note(struct squeezed_guest *guest, const struct vm_snapshot *vm, uint64_t now)
{
    if (guest->target == 0)
        *guest = (struct squeezed_guest){vm->balloon.actual, vm->balloon.actual, now};
    if (vm->balloon.actual != guest->actual)
        guest->moved = now;
    guest->actual = vm->balloon.actual;
}

/* What guests may have in all: what they hold, and what is free above the floor. */
static uint64_t memory_of_all(const struct snapshot *snapshot, const struct rules *rules)
{
    const struct host_snapshot *host = &snapshot->host;
    uint64_t memory = sub_or_zero(host->available, host_floor(host, &rules->host));

    for (uint32_t i = 0; i < snapshot->vm_count; i++)
        memory += snapshot->vms[i].rss;
    return memory;
}

/* Fills targets; false: somebody is still inflating. */
static bool targets_share(
    struct squeezed_guest *guests, const struct snapshot *snapshot, const struct rules *rules)
{
    uint64_t surplus = memory_of_all(snapshot, rules), range = 0;
    bool arrived = true;

    for (uint32_t i = 0; i < snapshot->vm_count; i++) {
        const struct vm_snapshot *vm = &snapshot->vms[i];
        struct squeezed_guest *guest = &guests[vm->slot];
        guest_note(guest, vm, snapshot->time);
        bool fixed = !peer_has_balloon(vm) || is_inactive(guest, snapshot->time);
        surplus = sub_or_zero(surplus, fixed ? guest->actual : peer_minimum(vm, rules));
        range += fixed ? 0 : vm->maximum - peer_minimum(vm, rules);
    }
    surplus = min_u64(surplus, range);
    for (uint32_t i = 0; i < snapshot->vm_count; i++) {
        const struct vm_snapshot *vm = &snapshot->vms[i];
        struct squeezed_guest *guest = &guests[vm->slot];
        uint64_t minimum = peer_minimum(vm, rules), target;
        if (!peer_has_balloon(vm))
            continue;
        target = minimum + (range > 0 ? scale_u64(vm->maximum - minimum, surplus, range) : 0);
        if (is_inactive(guest, snapshot->time)) {
            guest->target = min_u64(target, vm->maximum);
            continue;
        }
        if (is_apart(target, guest->target)) {
            guest->target = target;
            guest->moved = snapshot->time;
        }
        arrived = arrived && guest->actual <= guest->target + ACCURACY;
    }
    return arrived;
}

static void squeezed_decide(
    const struct snapshot *snapshot, const struct rules *rules, void *own, struct plan *ret_plan)
{
    struct squeezed_guest *guests = own; /* by slot */

    peer_plan_begin(snapshot, INTERVAL, ret_plan);
    bool arrived = targets_share(guests, snapshot, rules);
    for (uint32_t i = 0; i < snapshot->vm_count; i++) {
        const struct vm_snapshot *vm = &snapshot->vms[i];
        uint64_t target = guests[vm->slot].target;
        bool frees = target < vm->balloon.actual;
        if (peer_has_balloon(vm) && (frees || arrived))
            peer_plan_balloon(ret_plan, vm, target);
    }
}

bool peer_squeezed(uint32_t guest_count, struct watcher *ret_watcher)
{
    struct squeezed_guest *guests = calloc(guest_count, sizeof(*guests));

    *ret_watcher = (struct watcher){
        .name = "squeezed", .decide = squeezed_decide, .own = guests, .fresh = true};
    return guests;
}
