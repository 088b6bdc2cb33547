/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio-mem of a guest with a passed-through device: what is plugged in is pinned at once, and
 * what is unplugged is free at once. What balloons say of the guest says nothing.
 */
#include "story.h"

/* As fast as blocks that are in use were seen to be moved. */
#define PLUG_RATE (512 * MIB)
#define BLOCK (2 * MIB)

void story_resizable(struct story *story, unsigned guest, uint64_t size)
{
    struct story_guest *told = &story->guests[guest];
    struct vm_snapshot *vm = story_vm(story, guest);
    vm->wiring.vfio_groups = 1;
    vm->resizable = (struct vm_resizable){
        .size = size,
        .requested = size,
        .maximum = size,
        .block = BLOCK,
        .updated = story->snapshot->time,
        .asked = UNKNOWN,
        .answered = UNKNOWN,
    };
    vm->measures.resize_previous = UNKNOWN;
    told->pinned = true;
    told->touched = vm->maximum;
    told->overhead = size; /* beside the RAM that balloons know of */
    story_rules(story, guest)->rungs |= RUNG_BIT(RUNG_RESIZE);
    vm_classify(vm, &vm->kind, &vm->kind_reason);
}

void story_plug(struct story_guest *guest, struct vm_snapshot *vm, uint64_t elapsed)
{
    struct vm_resizable *sizes = &vm->resizable;
    uint64_t way = scale_u64(PLUG_RATE, elapsed, NSEC_PER_SEC);
    if (!known(sizes->maximum) || sizes->maximum == 0)
        return;
    uint64_t before = sizes->size;
    if (sizes->size < sizes->requested)
        sizes->size += min_u64(way, sizes->requested - sizes->size);
    else
        sizes->size -= min_u64(
            way, sizes->size - max_u64(sizes->requested, min_u64(guest->block_kept, sizes->size)));
    guest->overhead = guest->overhead + sizes->size - before;
    if (known(guest->free)) /* it gives what it does not use */
        guest->free = sub_or_zero(guest->free + sizes->size, before);
}

void story_resize(struct story *story, struct vm_snapshot *vm, const struct action *action)
{
    struct vm_measures *measures = &vm->measures;
    struct vm_resizable *sizes = &vm->resizable;
    if (!known(action->target)) {
        measures->in_force &= ~(uint32_t)VM_MEASURE_RESIZE;
        return;
    }
    if (!(measures->in_force & VM_MEASURE_RESIZE))
        measures->resize.before = sizes->requested;
    measures->in_force |= VM_MEASURE_RESIZE;
    measures->resize.set = sizes->requested = action->target;
    sizes->asked = sizes->answered = sizes->updated = story->snapshot->time;
    sizes->result = 0;
    if (action->target >= measures->resize.before)
        measures->in_force &= ~(uint32_t)VM_MEASURE_RESIZE;
}
