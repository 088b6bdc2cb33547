/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Proxmox VE's pvestatd: every ten seconds the goal is 80 % of memory less what is used; beyond 10
 * MiB either way it is shared out, so that what guests have above their minimums, and the goal, go
 * by their shares; each by 100 MiB at most. Room goes first to guests with less free than a quarter
 * of their minimum, and is taken first from the others.
 */
#include "peers.h"

#include <stdlib.h>

#define INTERVAL (10 * NSEC_PER_SEC)
#define GOAL_PERCENT 80
#define GOAL_IGNORED ((int64_t)(10 * MIB))
#define CHANGE_MOST ((int64_t)(100 * MIB))
#define FREE_DIVISOR 4

struct pve_guest {
    const struct vm_snapshot *vm;
    int64_t minimum, maximum, balloon, target;
    int64_t shares;
    bool has_free; /* more than a quarter of its minimum */
    bool settled;  /* in this round nothing more can be done with it */
};

struct pve {
    uint32_t count;
    struct pve_guest guests[];
};

static void guests_gather(
    struct pve *pve, const struct snapshot *snapshot, const struct rules *rules)
{
    pve->count = 0;
    for (uint32_t i = 0; i < snapshot->vm_count; i++) {
        const struct vm_snapshot *vm = &snapshot->vms[i];
        if (!peer_has_balloon(vm) || !known(vm->statistics.updated))
            continue;
        int64_t minimum = (int64_t)peer_minimum(vm, rules);
        int64_t balloon = (int64_t)vm->balloon.actual;
        pve->guests[pve->count++] = (struct pve_guest){
            .vm = vm,
            .minimum = minimum,
            .maximum = (int64_t)vm->maximum,
            .balloon = balloon,
            .target = balloon,
            .shares = rules->vms[vm->slot].shares,
            .has_free = (int64_t)vm->statistics.free > minimum / FREE_DIVISOR && balloon >= minimum,
        };
    }
}

static int64_t clamp(int64_t value, int64_t least, int64_t most)
{
    return value < least ? least : value > most ? most : value;
}

/* One pass over those with HAS_FREE; returns what is left of REST. RET_AGAIN: some hit an end, so
 * that the others can have more. */
static int64_t change_pass(struct pve *pve, bool has_free, int64_t rest, bool *ret_again)
{
    int64_t above = rest, shares = 0, left = rest;

    *ret_again = false;
    for (uint32_t i = 0; i < pve->count; i++) {
        const struct pve_guest *guest = &pve->guests[i];
        if (guest->has_free != has_free || guest->settled)
            continue;
        above += guest->target - guest->minimum;
        shares += guest->shares;
    }
    for (uint32_t i = 0; i < pve->count && shares > 0; i++) {
        struct pve_guest *guest = &pve->guests[i];
        if (guest->has_free != has_free || guest->settled)
            continue;
        /* By MiB: shares are up to a million. */
        int64_t desired =
            guest->minimum + above / (int64_t)MIB * guest->shares / shares * (int64_t)MIB;
        int64_t target = clamp(desired, guest->minimum, guest->maximum);
        target = clamp(target, guest->balloon - CHANGE_MOST, guest->balloon + CHANGE_MOST);
        /* Nobody goes against what is wanted as a whole. */
        if ((target > guest->target) != (rest > 0))
            target = guest->target;
        if (target != desired)
            guest->settled = *ret_again = true;
        left -= target - guest->target;
        guest->target = target;
    }
    return left;
}

static int64_t change(struct pve *pve, bool has_free, int64_t rest)
{
    bool again = true;

    while (again && (rest > GOAL_IGNORED || rest < -GOAL_IGNORED))
        rest = change_pass(pve, has_free, rest, &again);
    return rest;
}

static void pve_decide(
    const struct snapshot *snapshot, const struct rules *rules, void *own, struct plan *ret_plan)
{
    const struct host_snapshot *host = &snapshot->host;
    struct pve *pve = own;
    uint64_t used = sub_or_zero(host->total, host->available);
    int64_t goal = diff_i64(host->total / 100 * GOAL_PERCENT, used);

    peer_plan_begin(snapshot, INTERVAL, ret_plan);
    if (goal >= -GOAL_IGNORED && goal <= GOAL_IGNORED)
        return;
    guests_gather(pve, snapshot, rules);
    (void)change(pve, goal > 0, change(pve, goal < 0, goal));
    for (uint32_t i = 0; i < pve->count; i++)
        peer_plan_balloon(ret_plan, pve->guests[i].vm, (uint64_t)pve->guests[i].target);
}

bool peer_pve(uint32_t guest_count, struct watcher *ret_watcher)
{
    struct pve *pve = calloc(1, sizeof(*pve) + guest_count * sizeof(struct pve_guest));

    *ret_watcher = (struct watcher){.name = "pve", .decide = pve_decide, .own = pve, .fresh = true};
    return pve;
}
