/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns what a domain of libvirt is in a story, and libvirt's part in it. */
#include "story.h"

#define STEP NSEC_PER_SEC

void story_make_domain(struct vm_snapshot *vm)
{
    vm->sources = VM_SOURCE_PROC | VM_SOURCE_LIBVIRT;
    vm->uid = 64055;
    vm->locked = STORY_DOMAIN_MEMORY;
    vm->pinned = 0;
    vm->memlock_soft = vm->memlock_hard = MEMLOCK_UNLIMITED;
    vm->wiring.vfio_groups = 1;
    vm->definition = (struct vm_definition){
        .memory = STORY_DOMAIN_MEMORY,
        .hard_limit = MEMLOCK_UNLIMITED,
        .locked = TRISTATE_NO,
        .viommu = TRISTATE_NO,
        .vfio_devices = 1,
        .version = 11003000,
    };
    vm_classify(vm, &vm->kind, &vm->kind_reason);
}

struct story *story_of_domain(void)
{
    struct story *story = story_new(64 * GIB, GIB);
    story->rules->host.memlock = MEMLOCK_ENFORCE;
    story_make_domain(
        story_vm(story, story_guest(story, STORY_DOMAIN_MEMORY, STORY_DOMAIN_MEMORY)));
    return story;
}

void story_cap(struct story_guest *guest, struct vm_snapshot *vm, const struct action *action)
{
    struct vm_measures *measures = &vm->measures;
    if (known(action->target) && !guest->refuses_cap) {
        guest->memlock_before = vm->memlock_hard;
        measures->in_force |= VM_MEASURE_MEMLOCK;
        measures->memlock_set = vm->memlock_soft = vm->memlock_hard = action->target;
    } else if (!known(action->target)) {
        measures->in_force &= ~(uint32_t)VM_MEASURE_MEMLOCK;
        if (vm->memlock_hard == measures->memlock_set)
            vm->memlock_soft = vm->memlock_hard = guest->memlock_before;
    }
}

void story_run_libvirt(struct story *story, uint64_t time)
{
    for (uint64_t passed = 0; passed < time; passed += STEP) {
        for (uint32_t i = 0; i < story->snapshot->vm_count; i++)
            story->snapshot->vms[i].definition.confirmed = story->snapshot->time;
        story_run(story, STEP, STEP);
    }
}
