/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns resuming. A guest is resumed when no pool is critical, and none would be with what the guest
 * is likely to take soon: whoever may run in scarce may be resumed in it, for scarce stops only
 * those who grow into what a more valuable guest is growing into. What it is likely to take is the
 * lesser of all it still can (maximum - held) and some seconds of its growth before the pause, by
 * when the guard has seen whether it grows again.
 *
 * That guess can be wrong, so it waits for a back-off that doubles with each pause soon after a
 * resume: 10 s to 10 min. It can also be too high, for a burst was taken for growth, so it halves
 * with each back-off that passes: nobody stays stopped beside free memory. Where there is room for
 * all the guest can take there is nothing to guess, and it runs at once.
 *
 * The most valuable of those that can be resumed at all goes first. While it waits, for room or for
 * its back-off, a lesser one runs only with room for all that it can take beside what the first
 * will, beside what guests that run and are worth as much or more are growing by, and beside what
 * balloons keep from those that starve; the next is not resumed before the last has had time to
 * show what it takes. Who cannot be resumed, because its monitor is silent or a `stop` is on its
 * way, reserves nothing. Among equals the one with the least left to take is first, and again until
 * it has come to its end: taking turns, they would divide the room, and none would.
 *
 * Who is bound to NUMA nodes needs that room there, too. While it waits for its nodes alone it
 * holds up only lesser guests that are bound to one of them.
 */
#include "resume.h"

#include "brake.h"
#include "grant.h"
#include "node.h"
#include "order.h"
#include "plan_add.h"
#include "pool.h"
#include "relief.h"
#include "reserve.h"

static bool may_resume(const struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    uint32_t in_force = vm->measures.in_force;
    if (!(in_force & VM_MEASURE_PAUSE) || vm->process_state == VM_PROCESS_DEAD ||
        (in_force & (VM_MEASURE_RESUMING | VM_MEASURE_KILLED | VM_MEASURE_ENDING)))
        return false;
    /* It is resumed in dry run, too, which may fail. */
    const struct vm_state *state = decision_state(d, position);
    if ((state->marks & MARK_RESUMED_DRY) && since(d->now, state->resumed_at) < RESUME_BACKOFF_MAX)
        return false;
    if (in_force & VM_MEASURE_STOPPED)
        /* `cont` on a migrated source corrupts disks (facts 10). */
        return vm->monitor == VM_MONITOR_READY && vm->run_state == VM_RUN_PAUSED &&
               vm->migration == VM_MIGRATION_NONE;
    /* A `stop` on its way is awaited; a freeze alone needs nobody's answer. */
    return !(in_force & VM_MEASURE_STOP_SENT);
}

/* All it can still take; UNKNOWN: nobody can say. */
static uint64_t take_all(const struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    if (!known(vm->maximum) || !known(decision_state(d, position)->held))
        return UNKNOWN;
    return sub_or_zero(vm_memory_most(vm), d->vms[position].held);
}

static uint64_t take_soon(const struct decision *d, uint32_t position)
{
    const struct vm_state *state = decision_state(d, position);
    uint64_t time = RESUME_ROOM_TIME;
    uint64_t waited = known(state->resume_after) ? sub_or_zero(d->now, state->resume_after) : 0;
    for (; waited >= state->resume_backoff && time > 0; waited -= state->resume_backoff)
        time /= 2;
    return min_u64(take_all(d, position), rate_bytes(relief_growth_before(d, position), time));
}

/* From its end. What went to swap it has taken already, and that it was taken from it is no reason
 * to go last. */
static uint64_t left_to_end(const struct decision *d, uint32_t position)
{
    return sub_or_zero(take_all(d, position), known_or(decision_vm(d, position)->swap, 0));
}

bool resume_before(const struct decision *d, uint32_t a, uint32_t b)
{
    const struct vm_rules *rules_a = decision_rules(d, a), *rules_b = decision_rules(d, b);
    if (rules_a->priority != rules_b->priority)
        return rules_a->priority > rules_b->priority;
    uint64_t left_a = left_to_end(d, a), left_b = left_to_end(d, b);
    if (left_a != left_b)
        return left_a < left_b;
    uint64_t since_a = decision_vm(d, a)->measures.paused_since;
    uint64_t since_b = decision_vm(d, b)->measures.paused_since;
    return since_a < since_b;
}

/* What balloons keep from starving guests that are more valuable than this one. */
static uint64_t starved_before(const struct decision *d, uint32_t position)
{
    uint32_t priority = decision_rules(d, position)->priority;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < d->vm_count; i++)
        if (grant_is_owed(d, i) && decision_rules(d, i)->priority > priority &&
            !reserve_is_elsewhere(d, i, position))
            sum = add_held(sum, grant_unmet(d, i));
    return sum;
}

/* Host or budget, or the nodes it is bound to, are. */
static bool is_critical_for(const struct decision *d, uint32_t position)
{
    const struct pool_view *pools = d->plan->assessment.pools;
    return pools[POOL_INDEX_HOST].band == BAND_CRITICAL ||
           pools[POOL_INDEX_BUDGET].band == BAND_CRITICAL ||
           node_band(d, position) == BAND_CRITICAL;
}

/* ROOM is what those who come first have left of it; OTHERS, what is left to those who run, and to
 * those who starve. */
static bool fits(
    const struct decision *d, uint32_t position, uint64_t room, uint64_t others, bool first)
{
    const struct vm_state *state = decision_state(d, position);
    uint64_t all = take_all(d, position);
    bool critical = is_critical_for(d, position);
    bool due = !known(state->resume_after) || d->now >= state->resume_after;
    /* Not at once even then in scarce, nor where others may want it: it may be a more valuable
     * guest's that has drawn breath.
     */
    bool adopted =
        state->growth_before < 0; /* paused before this guard began: nothing is known yet */
    bool at_once = due || (d->plan->assessment.band < BAND_SCARCE && others == 0 && !adopted);
    if (!critical && at_once && known(all) && all <= room && room > 0)
        return true;
    if (!first || !due)
        return false;
    /* With all that it can ever take the floor is still not touched. */
    uint64_t last = min_u64(d->last_room, node_last_room(d, position));
    return relief_room_in(d, position) <= sub_or_zero(last, others) ||
           (!critical && room > 0 && take_soon(d, position) <= room);
}

/* Critical is left late; where nothing fills, who cannot reach the floor need not wait for that. */
static bool is_still(const struct decision *d, const struct pool_view *pool)
{
    return !known(pool->total) ||
           (pool_worth(pool, pool->fill_rate) == 0 && pool->headroom > 0 &&
               (uint64_t)pool->headroom > pool_enter(d, pool, BAND_CRITICAL));
}

static bool bands_allow(const struct decision *d)
{
    const struct pool_view *pools = d->plan->assessment.pools;
    bool critical = pools[POOL_INDEX_HOST].band == BAND_CRITICAL ||
                    pools[POOL_INDEX_BUDGET].band == BAND_CRITICAL;
    return known(pools[POOL_INDEX_HOST].total) &&
           (!critical ||
               (is_still(d, &pools[POOL_INDEX_HOST]) && is_still(d, &pools[POOL_INDEX_BUDGET])));
}

bool resume_is_awaited(const struct decision *d, uint32_t position)
{
    return (d->vms[position].traits & TRAIT_PAUSED) &&
           !(d->vms[position].traits & TRAIT_IN_ACTION) && may_resume(d, position);
}

static bool resume_one(struct decision *d, uint32_t position)
{
    struct vm_state *state = decision_state(d, position);
    struct action *action =
        plan_add(d, ACTION_RESUME, REASON_RESUME_ROOM, position, POOL_INDEX_HOST);
    if (!action)
        return false;
    action->deficit = 0;
    d->vms[position].traits |= TRAIT_IN_ACTION;
    d->state->resumed_at = d->now;
    state->resumed_at = d->now;
    state->bridge_at = UNKNOWN;
    if (!(d->vms[position].traits & TRAIT_ENFORCED))
        state->marks |= MARK_RESUMED_DRY;
    grant_book(d, position, min_u64(take_soon(d, position), d->resume_room));
    return true;
}

/* A guest of more than ordinary value waits, though there is memory that nobody uses. */
static void tell_of_standing(struct decision *d, uint32_t position)
{
    const struct pool_view *host = &d->plan->assessment.pools[POOL_INDEX_HOST];
    uint64_t *alerted = &d->state->alerted[REASON_PAUSE_STANDS];
    if (decision_rules(d, position)->priority > PRIORITY_DEFAULT && host->headroom > 0 &&
        since(d->now, decision_vm(d, position)->measures.paused_since) >= PAUSE_OVERDUE &&
        since(d->now, *alerted) >= PAUSE_OVERDUE &&
        plan_alert_vm(d, REASON_PAUSE_STANDS, position, d->plan->assessment.worst))
        *alerted = d->now;
}

uint64_t resume_withheld(const struct decision *d, uint32_t priority)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < d->vm_count; i++)
        if (resume_is_awaited(d, i) && decision_rules(d, i)->priority >= priority)
            sum = add_held(sum, take_soon(d, i));
    return sum;
}

/* On the nodes it is bound to, for what it is likely to take soon, or for all it ever can. */
static bool nodes_have_room(const struct decision *d, uint32_t position)
{
    uint64_t room = node_room(d, position);
    if (room == NEVER)
        return true;
    uint64_t others = reserve_on_nodes(d, position);
    room = sub_or_zero(room, others);
    return (room > 0 && take_soon(d, position) <= room) ||
           relief_room_in(d, position) <= sub_or_zero(node_last_room(d, position), others);
}

static uint32_t first_waiting(const struct decision *d)
{
    uint32_t first = UINT32_MAX;
    for (uint32_t i = 0; i < d->vm_count; i++)
        if (resume_is_awaited(d, i) && (first == UINT32_MAX || resume_before(d, i, first)))
            first = i;
    return first;
}

uint64_t resume_lacking(const struct decision *d, uint32_t *ret_position, uint32_t *ret_pool)
{
    const struct pool_view *host = &d->plan->assessment.pools[POOL_INDEX_HOST];
    uint32_t position = first_waiting(d);
    *ret_position = position;
    *ret_pool = POOL_INDEX_HOST;
    if (position == UINT32_MAX || !known(host->total))
        return 0;
    uint64_t wanted = min_u64(
        take_all(d, position), rate_bytes(relief_growth_before(d, position), RESERVED_AHEAD));
    uint64_t there = node_room(d, position);
    if (there < wanted) {
        uint32_t node = 0;
        while (!(node_binding(d, position) >> node & 1))
            node++;
        *ret_pool = POOL_INDEX_NODES + node;
        return wanted - there;
    }
    wanted = add_held(wanted, starved_before(d, position));
    wanted = add_held(wanted, reserve_for_others(d, host, position));
    return sub_or_zero(wanted, pool_room(d, host, BAND_CRITICAL));
}

void resume_guests(struct decision *d)
{
    uint32_t count = order_sort(d, TRAIT_USABLE | TRAIT_PAUSED, resume_before);
    bool busy =
        d->paused || since(d->now, d->state->resumed_at) < RESUME_INTERVAL || !bands_allow(d);
    uint64_t room = d->resume_room;
    uint32_t braked = brake_priority(d);
    uint32_t awaited = 0; /* nodes that more valuable ones wait for */
    bool first = true, resumed = false;
    for (uint32_t i = 0; i < count && !busy && !resumed; i++) {
        uint32_t position = d->vms[i].order;
        if (!may_resume(d, position))
            continue;
        /* A guard that has just begun sees no fill, and would resume into it. */
        if (!known(decision_state(d, position)->resume_after))
            decision_state(d, position)->resume_after = add_held(d->now, RESUME_BACKOFF);
        if (decision_rules(d, position)->priority <= braked)
            continue; /* what comes is for who runs, if slowly */
        uint32_t binding = node_binding(d, position);
        if (!nodes_have_room(d, position))
            awaited |= binding;
        if (binding & awaited)
            continue;
        uint64_t others = add_held(starved_before(d, position),
            reserve_before_waiting(d, &d->plan->assessment.pools[POOL_INDEX_HOST], position));
        if (fits(d, position, sub_or_zero(room, others), others, first))
            resumed = resume_one(d, position);
        else
            room = sub_or_zero(room, take_soon(d, position));
        first = false;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t position = d->vms[i].order;
        if ((d->vms[position].traits & TRAIT_IN_ACTION) || !may_resume(d, position))
            continue;
        d->room = sub_or_zero(d->room, take_soon(d, position));
        tell_of_standing(d, position);
    }
}
