/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns relief and loss (design, "Words").
 *
 * Balloon: which pages a guest gives up is its own choice; those it never touched free nothing. But
 * once the balloon holds all above TARGET, no more than TARGET of guest memory can be resident, so
 * resident - TARGET returns for certain and nothing more is counted. Memory on a node: by the part
 * of the guest that lies there, as the host cannot choose the pages either.
 *
 * Kill: anonymous and shared memory of the process. Huge pages return to their own pool, so they
 * count for the budget alone; page cache was available before.
 *
 * Brake: growth × (1 - 1 / BRAKE_SLOWDOWN) × horizon. BRAKE_QUOTA of BRAKE_PERIOD leaves a
 * twentieth of a processor to each vCPU, and a seventeenth of the growth was seen to stay.
 */
#include "relief.h"

#include "arrival.h"
#include "node.h"
#include "observe.h"

uint64_t relief_balloon(
    const struct decision *d, const struct pool_view *pool, uint32_t position, uint64_t target)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    uint64_t relief = sub_or_zero(d->vms[position].resident, target);
    if (pool->kind != POOL_NODE)
        return relief;
    if (!known(vm->rss) || vm->rss == 0 || !node_is_used(d, position, pool->node))
        return 0;
    return scale_u64(relief, node_held(d, position, pool->node), vm->rss);
}

uint64_t relief_balloons_pending(
    const struct decision *d, const struct pool_view *pool, bool dry_run_too)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < d->vm_count; i++) {
        uint32_t traits = d->vms[i].traits;
        if ((traits & TRAIT_INFLATABLE) && (dry_run_too || (traits & TRAIT_ENFORCED)))
            sum = add_held(sum, relief_balloon(d, pool, i, d->vms[i].goal));
    }
    return sum;
}

static uint64_t kill_rate(const struct vm_snapshot *vm)
{
    return vm->wiring.shared == TRISTATE_NO ? KILL_RATE : KILL_RATE_SHARED;
}

uint64_t relief_kill(const struct decision *d, const struct pool_view *pool, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    if (!known(vm->sampled))
        return 0;
    uint64_t freed = add_held(known_or(vm->rss_anonymous, 0), known_or(vm->rss_shmem, 0));
    switch (pool->kind) {
    case POOL_HOST:
    case POOL_KIND_COUNT:
        break;
    case POOL_BUDGET:
        return d->vms[position].held;
    case POOL_NODE:
        freed = min_u64(freed, node_held(d, position, pool->node));
        break;
    }
    return min_u64(freed, scale_u64(kill_rate(vm), HORIZON, NSEC_PER_SEC));
}

uint64_t relief_kill_time(const struct vm_snapshot *vm, uint64_t relief)
{
    return add_held(KILL_LATENCY, scale_u64(relief, NSEC_PER_SEC, kill_rate(vm)));
}

int64_t relief_growth(const struct decision *d, uint32_t position)
{
    const struct rate *growth = &decision_state(d, position)->growth;
    return since(d->now, growth->time) <= GROWTH_STALE ? rate_confirmed(growth) : 0;
}

int64_t relief_growth_before(const struct decision *d, uint32_t position)
{
    int64_t before = decision_state(d, position)->growth_before;
    return before < 0 ? (int64_t)RESUME_GROWTH_ASSUMED : before;
}

uint64_t relief_room_in(const struct decision *d, uint32_t position)
{
    uint64_t maximum = vm_memory_most(decision_vm(d, position));
    if (!known(maximum))
        return NEVER;
    return sub_or_zero(memory_with_overhead(maximum), d->vms[position].held);
}

uint64_t relief_growth_bytes(const struct decision *d, uint32_t position, uint64_t time)
{
    return min_u64(rate_bytes(relief_growth(d, position), time), relief_room_in(d, position));
}

uint64_t relief_growth_excess(const struct decision *d, uint32_t position, uint64_t time)
{
    return sub_or_zero(rate_bytes(relief_growth(d, position), time), relief_room_in(d, position));
}

int64_t relief_brake(const struct decision *d, uint32_t position)
{
    int64_t growth = relief_growth(d, position);
    return growth > 0 ? growth - growth / BRAKE_SLOWDOWN : 0;
}

uint64_t loss_brake(const struct vm_rules *rules)
{
    return scale_u64(BRAKE_TIME, (uint64_t)rules->priority * 1000, NSEC_PER_MINUTE);
}

uint64_t loss_pause(const struct vm_rules *rules)
{
    return (uint64_t)rules->priority * PAUSE_EXPECTED_MINUTES * 1000;
}

uint64_t loss_save(const struct vm_rules *rules, uint64_t time)
{
    return scale_u64(2 * time, (uint64_t)rules->priority * 1000, NSEC_PER_MINUTE);
}

uint64_t loss_shutdown(const struct vm_rules *rules)
{
    return scale_u64(rules->restart_cost, (uint64_t)rules->priority * 1000, NSEC_PER_MINUTE);
}

uint64_t loss_kill(const struct vm_snapshot *vm, const struct vm_rules *rules)
{
    /* An incoming pre-copy still runs at its source: nothing is lost but the copying. */
    if (vm_is_incoming(vm))
        return 0;
    uint64_t weight = (uint64_t)rules->priority * KILL_LOSS_FACTOR * 1000;
    return scale_u64(rules->restart_cost, weight, NSEC_PER_MINUTE);
}
