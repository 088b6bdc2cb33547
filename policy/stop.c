/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns how a guest is stopped: by `stop` when there is time and a monitor, else by a freeze, which
 * needs nobody's help (what becomes of it: bridge.c). A `stop` can hang while its guest grows on:
 * when the memory left is what the guest takes in the time a `stop` may need, or at once in a
 * sprint, the freeze comes on top of it. Who is stopped, and when, is pause.c's.
 */
#include "stop.h"

#include "plan_add.h"
#include "relief.h"

static void choose_means(const struct decision *d, uint32_t position, uint32_t pool,
    enum action_kind *ret_kind, enum reason *ret_reason)
{
    *ret_kind = ACTION_FREEZE;
    if ((d->vms[position].traits & TRAIT_STOPPING) ||
        (decision_state(d, position)->marks & MARK_STOP_FAILED)) {
        *ret_reason = REASON_FREEZE_SILENT;
        return;
    }
    switch (decision_vm(d, position)->monitor) {
    case VM_MONITOR_NONE:
        *ret_reason = REASON_FREEZE_NO_MONITOR;
        return;
    case VM_MONITOR_CONNECTING:
    case VM_MONITOR_SILENT:
    case VM_MONITOR_COUNT:
        *ret_reason = REASON_FREEZE_SILENT;
        return;
    case VM_MONITOR_READY:
        break;
    }
    if (d->plan->assessment.pools[pool].sprint)
        *ret_reason = REASON_FREEZE_SPRINT;
    else
        *ret_kind = ACTION_PAUSE;
}

bool stop_guest(struct decision *d, uint32_t position, uint32_t pool,
    const struct shortage *shortage, const struct rival *rival)
{
    struct vm_state *state = decision_state(d, position);
    enum action_kind kind;
    enum reason reason = shortage->reason;
    choose_means(d, position, pool, &kind, &reason);
    struct action *action = plan_add(d, kind, reason, position, pool);
    if (!action)
        return false;
    int64_t growth = relief_growth(d, position);
    action->relief = relief_growth_bytes(d, position, HORIZON);
    action->predicted = HORIZON;
    action->loss = loss_pause(decision_rules(d, position));
    action->deficit = shortage->bytes;
    action->choice.rival = *rival;

    d->vms[position].traits |= TRAIT_IN_ACTION;
    if (d->vms[position].traits & TRAIT_STOPPING) {
        /* The pause is the same as before; only its means is another. */
        state->pause_asked = d->now;
        state->settling = growth > 0 ? growth : 0;
        state->marks |= MARK_FROZEN_OVER;
        d->paused = true;
        return true;
    }
    /* A guest that grows again soon after its resume waits twice as long the next time. */
    if (since(d->now, state->resumed_at) < RESUME_BACKOFF_MAX)
        state->resume_backoff = min_u64(2 * state->resume_backoff, RESUME_BACKOFF_MAX);
    else
        state->resume_backoff = RESUME_BACKOFF;
    state->pause_asked = d->now;
    /* Under a brake it shows a part of what it grows by, of which a guard that has just begun
     * knows nothing. */
    bool braked = decision_vm(d, position)->measures.in_force & VM_MEASURE_BRAKED;
    state->growth_before = braked && state->brake_growth > growth ? state->brake_growth : growth;
    if (braked && state->brake_growth <= 0)
        state->growth_before = -1;
    state->resume_after = add_held(d->now, state->resume_backoff);
    if (d->vms[position].traits & TRAIT_ENFORCED) {
        state->bridge_at = UNKNOWN; /* else that bridge goes on: it is for real */
        state->settling = growth;
        d->paused = true;
    } else {
        state->marks |= MARK_PAUSED_DRY;
    }
    return true;
}
