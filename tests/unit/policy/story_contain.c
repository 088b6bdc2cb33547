/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the limits of a guest's cgroup in a story: a write takes hold at once, or is refused. */
#include "story.h"

#include <errno.h>

void story_show_no_limits(struct vm_snapshot *vm)
{
    vm->limits = (struct vm_limits){.cpu_period = 100 * NSEC_PER_MSEC,
        .tasks = 10,
        .previous = UNKNOWN,
        .asked = UNKNOWN,
        .answered = UNKNOWN};
    for (int limit = 0; limit < VM_LIMIT_COUNT; limit++)
        vm->limits.values[limit] = VM_LIMIT_NONE;
}

void story_count_limit(struct story_guest *guest, const struct action *action)
{
    guest->limits += known(action->target);
    guest->unlimits += !known(action->target);
}

void story_contain(struct story *story, struct vm_snapshot *vm, const struct action *action)
{
    const struct story_guest *guest = &story->guests[vm->slot];
    struct vm_contained *ours = &vm->measures.limits[action->limit];
    uint64_t *value = &vm->limits.values[action->limit];
    uint32_t bit = VM_LIMIT_BIT(action->limit);
    vm->limits.written = action->limit;
    vm->limits.asked = vm->limits.answered = story->snapshot->time;
    vm->limits.result = guest->refuses_limits ? -EACCES : 0;
    if (guest->refuses_limits)
        return;
    if (known(action->target)) {
        if (!(vm->measures.contained & bit))
            ours->before = *value;
        ours->set = *value = action->target;
        vm->measures.contained |= bit;
        vm->measures.in_force |= VM_MEASURE_CONTAIN;
        return;
    }
    if (*value == ours->set)
        *value = ours->before;
    vm->measures.contained &= ~bit;
    if (vm->measures.contained == 0)
        vm->measures.in_force &= ~(uint32_t)VM_MEASURE_CONTAIN;
}
