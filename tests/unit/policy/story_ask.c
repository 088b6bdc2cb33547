/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns what can be asked of a story as it stands, or waited for. */
#include "story.h"

int64_t story_points(struct story *story, unsigned guest)
{
    const struct vm_snapshot *vm = story_vm(story, guest);
    if (!vm)
        return INT64_MIN; /* it has ended */
    const struct host_snapshot *host = &story->snapshot->host;
    int64_t total = (int64_t)add_held(host->total, known(host->swap_total) ? host->swap_total : 0);
    return (int64_t)vm->rss + vm->oom_score_adj * (total / 1000);
}

bool story_is_paused(struct story *story, unsigned guest)
{
    const struct vm_snapshot *vm = story_vm(story, guest);
    return vm && (vm->measures.in_force & VM_MEASURE_PAUSE);
}

const struct action *story_find(const struct story *story, enum action_kind kind, unsigned guest)
{
    for (uint32_t i = 0; i < story->plan->action_count; i++)
        if (story->plan->actions[i].kind == kind && story->plan->actions[i].slot == guest)
            return &story->plan->actions[i];
    return NULL;
}

unsigned story_count(const struct story *story, enum action_kind kind)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < story->plan->action_count; i++)
        count += story->plan->actions[i].kind == kind;
    return count;
}

bool story_until(
    struct story *story, enum action_kind kind, unsigned guest, uint64_t limit, uint64_t step)
{
    for (uint64_t passed = 0; passed < limit; passed += step) {
        story_run(story, step, step);
        if (story_find(story, kind, guest))
            return true;
    }
    return false;
}
