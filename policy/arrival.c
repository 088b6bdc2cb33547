/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns guests on their way in. Until one runs its QEMU takes memory as fast as it is sent or read,
 * all that the guest had where it was: there is no balloon to ask, no vCPU to slow down, and a
 * `stop` would stop nothing. So what it may yet take is kept for it, up to its maximum, like that
 * of a start that was admitted, whether anybody asked before it came or not, and by any guard that
 * finds it so. Nothing is kept for one that has not grown for long: it may wait for a source that
 * never comes.
 *
 * One that comes by a migration is the cheapest of victims: its source goes on (relief.c), so its
 * end is no destruction, and it may come again. One that is read from a file, or from where nobody
 * says, runs nowhere else: it is as dear as any other.
 */
#include "arrival.h"

#include "node.h"
#include "observe.h"
#include "place.h"
#include "relief.h"

bool vm_is_incoming(const struct vm_snapshot *vm)
{
    return vm->migration == VM_MIGRATION_INCOMING;
}

bool vm_is_arriving(const struct vm_snapshot *vm)
{
    return vm_is_incoming(vm) || vm->migration == VM_MIGRATION_LOADING;
}

/* ---- what is kept ---- */

static bool has_moved(const struct decision *d, uint32_t position)
{
    return since(d->now, decision_vm(d, position)->first_seen) < ARRIVAL_PATIENCE ||
           since(d->now, decision_state(d, position)->grew_at) < ARRIVAL_PATIENCE;
}

/* False: nothing is kept for it because it arrives. Huge pages come out of a pool of their own, and
 * who was admitted with them keeps what was said then. */
static bool keeps(const struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    return vm_is_arriving(vm) && (d->vms[position].traits & TRAIT_USABLE) && !vm_is_going(vm) &&
           known(vm->maximum) && has_moved(d, position) && !vm_has_hugepages(d, vm);
}

/* Of what was kept for it when it was admitted the guest itself tells now. */
static bool is_told(const struct decision *d, const struct reservation *reservation)
{
    for (uint32_t i = 0; i < d->vm_count; i++)
        if (keeps(d, i) && uuid_equal(decision_vm(d, i)->identity.uuid, reservation->uuid))
            return true;
    return false;
}

uint64_t arrival_kept(
    const struct decision *d, enum pool_kind kind, uint32_t wanted, const uint8_t but[UUID_SIZE])
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < reservations(d); i++) {
        const struct reservation *reservation = &d->snapshot->reservations[i];
        if ((!but || !uuid_equal(reservation->uuid, but)) && !is_told(d, reservation))
            sum = add_held(sum, reservation_on(reservation, kind, wanted));
    }
    for (uint32_t i = 0; i < d->vm_count; i++) {
        const uint8_t *uuid = decision_vm(d, i)->identity.uuid;
        if (!keeps(d, i) || (but && uuid_equal(uuid, but)))
            continue;
        struct reservation own = {.bytes = relief_room_in(d, i), .nodes = node_binding(d, i)};
        sum = add_held(sum, reservation_on(&own, kind, wanted));
    }
    return sum;
}

uint32_t arrival_priority(const struct decision *d)
{
    uint32_t highest = 0;
    for (uint32_t i = 0; i < reservations(d); i++) {
        const struct reservation *reservation = &d->snapshot->reservations[i];
        bool kept = reservation->bytes > 0 || reservation->hugepages > 0;
        if (kept && reservation->priority > highest)
            highest = reservation->priority;
    }
    for (uint32_t i = 0; i < d->vm_count; i++)
        if (keeps(d, i) && decision_rules(d, i)->priority > highest)
            highest = decision_rules(d, i)->priority;
    return highest;
}
