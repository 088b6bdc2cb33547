/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns what peers share, and the one that does nothing. */
#include "peers.h"

#include <string.h>

void peer_plan_begin(const struct snapshot *snapshot, uint64_t wake, struct plan *ret_plan)
{
    memset(&ret_plan->assessment, 0, sizeof(ret_plan->assessment));
    ret_plan->time = snapshot->time;
    ret_plan->next_wake = wake;
    ret_plan->action_count = 0;
    ret_plan->actions_dropped = 0;
}

struct action *peer_plan_add(struct plan *plan, enum action_kind kind, const struct vm_snapshot *vm)
{
    struct action *action = &plan->actions[plan->action_count++];

    *action = (struct action){
        .kind = kind, .slot = vm->slot, .identity = vm->identity, .mode = MODE_ENFORCE};
    return action;
}

void peer_plan_balloon(struct plan *plan, const struct vm_snapshot *vm, uint64_t target)
{
    if (target == vm->balloon.actual)
        return;
    struct action *action = peer_plan_add(plan, ACTION_BALLOON, vm);
    action->target = target;
    action->reason = target > vm->balloon.actual ? REASON_BALLOON_RETURN : REASON_BALLOON_SHARE;
}

bool peer_has_balloon(const struct vm_snapshot *vm)
{
    return vm->balloon.device == TRISTATE_YES;
}

uint64_t peer_minimum(const struct vm_snapshot *vm, const struct rules *rules)
{
    return vm_minimum(vm, &rules->vms[vm->slot]);
}

static void kernel_decide(
    const struct snapshot *snapshot, const struct rules *rules, void *own, struct plan *ret_plan)
{
    (void)rules;
    (void)own;
    peer_plan_begin(snapshot, NSEC_PER_SEC, ret_plan);
}

bool peer_kernel(uint32_t guest_count, struct watcher *ret_watcher)
{
    (void)guest_count;
    *ret_watcher = (struct watcher){.name = "kernel", .decide = kernel_decide, .fresh = true};
    return true;
}
