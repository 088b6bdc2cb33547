/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns saves and shutdowns in the little world: libvirt stops whom it saves, and no other. */
#include "story.h"

void story_endable(struct story *story, unsigned guest, uint64_t time)
{
    struct vm_snapshot *vm = story_vm(story, guest);
    vm->callable = true;
    vm->definition = VM_DEFINITION_UNKNOWN;
    vm->definition.savable = TRISTATE_YES;
    vm->definition.vfio_devices = 0;
    story->guests[guest].end_time = time;
}

void story_end(
    struct story_guest *guest, struct vm_snapshot *vm, const struct action *action, uint64_t now)
{
    guest->saves += action->kind == ACTION_SAVE;
    guest->shutdowns += action->kind == ACTION_SHUTDOWN;
    if (guest->refuses_end)
        return;
    vm->measures.in_force |=
        action->kind == ACTION_SAVE ? VM_MEASURE_SAVING : VM_MEASURE_SHUTTING_DOWN;
    vm->measures.ending_until = now + action->deadline;
    guest->end_done = now + guest->end_time;
}

bool story_take_end(const struct story_guest *guest, struct vm_snapshot *vm, uint64_t now)
{
    if (!(vm->measures.in_force & VM_MEASURE_ENDING))
        return false;
    if (!guest->deaf && now >= guest->end_done)
        return true;
    if (now >= vm->measures.ending_until)
        vm->measures.in_force &= ~(uint32_t)VM_MEASURE_ENDING;
    return false;
}
