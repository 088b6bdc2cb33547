/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns what becomes of a freeze. It is a bridge of seconds, for it may hold a lock that others wait
 * for: once the sprint is over the guest is thawed, and then stopped by its monitor, never both at
 * once, since a `stop` sent to a frozen guest hangs (facts 10). A `stop` that hung before the
 * freeze goes on when the guest is thawed. Without a monitor the freeze stays.
 *
 * Until the `stop` takes hold the guest grows as it did. So one is thawed a decision, and only
 * while headroom stays above critical with what all who are on this bridge may take meanwhile, and
 * what more valuable guests that grow still need. Who
 * cannot cross, for want of room or of an answer, stays frozen, and after half a minute a person is
 * told.
 *
 * In dry run nothing is begun, but a freeze that an enforcing guard has left there is a step half
 * done: it is carried to its end as ever, thaw and `stop` being one measure that changes its means.
 * The `stop` is asked once, and not late: where it comes to nothing the guest runs again, and to
 * stop it then would be new.
 */
#include "bridge.h"

#include "node.h"
#include "plan_add.h"
#include "pool.h"
#include "relief.h"
#include "reserve.h"

/* What the guest may take until a `stop` has taken hold. */
static uint64_t gap_of(const struct decision *d, uint32_t position)
{
    return min_u64(
        rate_bytes(relief_growth_before(d, position), STOP_TIME), relief_room_in(d, position));
}

/* Thawed, or being stopped: what it takes is on its way already. */
static bool is_crossing(const struct decision *d, uint32_t position)
{
    uint32_t in_force = decision_vm(d, position)->measures.in_force;
    if (in_force & (VM_MEASURE_FROZEN | VM_MEASURE_STOPPED | VM_MEASURE_KILLED))
        return false;
    return (in_force & VM_MEASURE_STOP_SENT) || known(decision_state(d, position)->bridge_at);
}

static bool is_bridge(const struct vm_snapshot *vm)
{
    const uint32_t over = VM_MEASURE_STOPPED | VM_MEASURE_RESUMING | VM_MEASURE_KILLED;
    return (vm->measures.in_force & VM_MEASURE_FROZEN) && !(vm->measures.in_force & over);
}

/* GAPS is what those already crossing may take. */
static bool may_thaw(const struct decision *d, uint32_t position, uint64_t gaps)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    const uint32_t in_force = vm->measures.in_force;
    if (!is_bridge(vm) || d->plan->assessment.sprint || vm->migration == VM_MIGRATION_POSTCOPY)
        return false;
    /* With a `stop` on its way it may be our own freeze that keeps the monitor silent; and one that
     * an earlier guard stopped by a signal can greet nobody. */
    bool mute = (in_force & VM_MEASURE_STOP_SENT) ||
                ((in_force & VM_MEASURE_FROZEN_SIGNAL) && vm->monitor == VM_MONITOR_CONNECTING);
    if (vm->monitor != VM_MONITOR_READY && !mute)
        return false;
    uint64_t bridge = in_force & VM_MEASURE_FROZEN_SIGNAL ? BRIDGE_SIGNAL : BRIDGE_CGROUP;
    if (since(d->now, vm->measures.paused_since) < bridge ||
        since(d->now, decision_state(d, position)->pause_asked) < bridge ||
        since(d->now, decision_state(d, position)->bridge_at) < PAUSE_RETRY)
        return false;
    gaps = add_held(gaps, gap_of(d, position));
    if (node_bridge_room(d, position) <= gaps)
        return false;
    const struct pool_view *host = &d->plan->assessment.pools[POOL_INDEX_HOST];
    gaps = add_held(gaps, reserve_soon(d, host, position));
    for (uint32_t i = POOL_INDEX_HOST; i <= POOL_INDEX_BUDGET; i++) {
        const struct pool_view *pool = &d->plan->assessment.pools[i];
        uint64_t least = add_held(gaps, pool_enter(d, pool, BAND_CRITICAL));
        if (known(pool->total) && (pool->headroom <= 0 || (uint64_t)pool->headroom <= least))
            return false;
    }
    return true;
}

/* In dry run its bridge has ended in nothing. */
static bool is_lost(const struct decision *d, uint32_t position)
{
    const struct vm_state *state = decision_state(d, position);
    const uint32_t any = VM_MEASURE_PAUSE | VM_MEASURE_RESUMING | VM_MEASURE_KILLED;
    uint64_t waited = since(d->now, state->bridge_at);
    return known(state->bridge_at) && !(d->vms[position].traits & TRAIT_ENFORCED) &&
           !(decision_vm(d, position)->measures.in_force & any) &&
           waited >= (state->marks & MARK_BRIDGE_STOP ? PAUSE_RETRY : BRIDGE_OVERDUE);
}

static bool must_stop(const struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    const struct vm_state *state = decision_state(d, position);
    const uint32_t any = VM_MEASURE_PAUSE | VM_MEASURE_RESUMING | VM_MEASURE_KILLED;
    return known(state->bridge_at) && !(vm->measures.in_force & any) &&
           (d->vms[position].traits & TRAIT_PAUSABLE) && vm->monitor == VM_MONITOR_READY &&
           (!(state->marks & MARK_BRIDGE_STOP) || since(d->now, state->bridge_at) >= PAUSE_RETRY);
}

static void tell_of_overdue(struct decision *d, uint32_t position, uint32_t pool)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    uint64_t *alerted = &d->state->alerted[REASON_FREEZE_STANDS];
    if (is_bridge(vm) && vm->monitor != VM_MONITOR_NONE &&
        since(d->now, vm->measures.paused_since) >= BRIDGE_OVERDUE &&
        since(d->now, *alerted) >= ALERT_INTERVAL &&
        plan_alert_vm(d, REASON_FREEZE_STANDS, position, pool))
        *alerted = d->now;
}

void bridge_freezes(struct decision *d)
{
    uint64_t gaps = 0;
    for (uint32_t i = 0; i < d->vm_count; i++) {
        if (!(d->vms[i].traits & TRAIT_USABLE))
            continue;
        if ((decision_vm(d, i)->measures.in_force & VM_MEASURE_STOPPED) || is_lost(d, i))
            decision_state(d, i)->bridge_at = UNKNOWN; /* arrived, or never will */
        if (is_crossing(d, i))
            gaps = add_held(gaps, gap_of(d, i));
    }
    for (uint32_t i = 0; i < d->vm_count; i++) {
        if (!(d->vms[i].traits & TRAIT_USABLE) || (d->vms[i].traits & TRAIT_IN_ACTION))
            continue;
        struct vm_state *state = decision_state(d, i);
        uint32_t pool = node_worst_pool(d, i);
        if (!d->bridged && may_thaw(d, i, gaps)) {
            if (plan_add(d, ACTION_THAW, REASON_BRIDGE_END, i, pool)) {
                state->bridge_at = d->now;
                state->marks &= (uint16_t)~MARK_BRIDGE_STOP;
                d->bridged = true;
            }
        } else if (must_stop(d, i)) {
            /* Not `settling`: the fill has been without this guest since the freeze. */
            if (plan_add(d, ACTION_PAUSE, REASON_BRIDGE_END, i, pool)) {
                state->bridge_at = d->now;
                state->marks |= MARK_BRIDGE_STOP;
            }
        } else {
            tell_of_overdue(d, i, pool);
        }
    }
}
