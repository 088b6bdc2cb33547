/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns how actions are put into a plan: who, why, for which pool, and in which mode; and which of
 * them give back. */
#include "plan_add.h"

static struct action *append(struct decision *d, uint32_t pool)
{
    struct plan *plan = d->plan;
    if (plan->action_count >= plan->action_capacity) {
        plan->actions_dropped++;
        return NULL;
    }
    struct action *action = &plan->actions[plan->action_count++];
    /* Equal inputs give equal plans, byte by byte. */
    __builtin_memset(action, 0, sizeof(*action));
    action->slot = ACTION_SLOT_HOST;
    action->pool = plan->assessment.pools[pool].kind;
    action->node = plan->assessment.pools[pool].node;
    action->mode = d->rules->host.mode;
    action->choice.left = plan->assessment.pools[pool].time_to_exhaustion;
    action->choice.rival.slot = ACTION_SLOT_HOST;
    return action;
}

struct action *plan_add(
    struct decision *d, enum action_kind kind, enum reason reason, uint32_t position, uint32_t pool)
{
    struct action *action = append(d, pool);
    if (!action)
        return NULL;
    action->kind = kind;
    action->reason = reason;
    action->slot = decision_vm(d, position)->slot;
    action->identity = decision_vm(d, position)->identity;
    action->mode = d->vms[position].traits & TRAIT_ENFORCED ? MODE_ENFORCE : MODE_DRY_RUN;
    return action;
}

bool plan_alert_vm(struct decision *d, enum reason reason, uint32_t position, uint32_t pool)
{
    return plan_add(d, ACTION_ALERT, reason, position, pool) != NULL;
}

bool plan_alert_host(
    struct decision *d, enum reason reason, uint32_t pool, uint64_t interval, uint64_t deficit)
{
    if (since(d->now, d->state->alerted[reason]) < interval)
        return false;
    struct action *action = append(d, pool);
    if (!action)
        return false;
    action->kind = ACTION_ALERT;
    action->reason = reason;
    action->deficit = deficit;
    d->state->alerted[reason] = d->now;
    return true;
}

bool action_gives_back(const struct action *action, const struct vm_measures *measures)
{
    switch (action->kind) {
    case ACTION_THAW:
    case ACTION_RESUME:
    case ACTION_RELEASE:
        return true;
    case ACTION_MEMLOCK:
    case ACTION_CONTAIN:
        return !known(action->target);
    case ACTION_BALLOON:
        return action->reason == REASON_BALLOON_RETURN &&
               (measures->in_force & VM_MEASURE_BALLOON) != 0 &&
               action->target > measures->balloon_target;
    case ACTION_RESIZE:
        return action->reason == REASON_RESIZE_RETURN &&
               (measures->in_force & VM_MEASURE_RESIZE) != 0 &&
               action->target > measures->resize.set;
    case ACTION_PAUSE:
        return action->reason == REASON_BRIDGE_END; /* in the place of a freeze */
    case ACTION_RECLAIM:
    case ACTION_BRAKE:
    case ACTION_FREEZE:
    case ACTION_SAVE:
    case ACTION_SHUTDOWN:
    case ACTION_KILL:
    case ACTION_OOM_SCORE:
    case ACTION_ALERT:
    case ACTION_KIND_COUNT:
        break;
    }
    return false;
}
