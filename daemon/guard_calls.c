/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guests without a monitor of their own are looked at by libvirt, a few at a time. Each turn begins
 * with the one that found no room in the turn before, so that all have their turn however many
 * there are.
 */
#include "guard_private.h"

void guard_advance_calls(struct guard *guard, uint64_t now)
{
    bool may_touch = guard->rules->host.mode == MODE_ENFORCE || guard->rules->host.held;
    enum band band = guard_attention(guard);
    uint32_t first = guard->next_served;

    if (!guard->virt)
        return;
    for (uint32_t i = 0; i < guard->vm_capacity; i++) {
        uint32_t slot = (first + i) % guard->vm_capacity;
        struct vm *vm = inventory_vm(guard->inventory, slot);

        if (!vm || vm->gone)
            continue;
        if (!virt_guest_advance(vm, band, may_touch, now)) {
            guard->next_served = slot;
            return;
        }
    }
}
