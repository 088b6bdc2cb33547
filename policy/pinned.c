/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns what of host, budget and nodes is locked or pinned by guests: memory that no balloon, no
 * reclaim and no swap returns.
 *
 * VmLck counts pages once for each VFIO container, a vDPA device counts the same pages in VmPin
 * again, and mlock2(MLOCK_ONFAULT) counts what is not there yet. The larger of the two, held to
 * what is resident, is certain; and where a guest's pins lie is known by where its memory does, in
 * proportion. Of memory encryption's pins nobody tells (facts 2).
 */
#include "pinned.h"

#include "node.h"
#include "plan_add.h"
#include "pool.h"

uint64_t vm_pinned(const struct vm_snapshot *vm)
{
    if (!known(vm->locked))
        return UNKNOWN;
    return min_u64(max_u64(vm->locked, known_or(vm->pinned, 0)), vm_held(vm));
}

/* Adds PINNED bytes of the guest to the nodes they lie on, as far as that is known. */
static void pinned_place(struct decision *d, uint32_t position, uint64_t pinned)
{
    struct assessment *assessment = &d->plan->assessment;
    const struct vm_snapshot *vm = decision_vm(d, position);
    uint64_t placed = 0;
    for (uint32_t i = POOL_INDEX_NODES; i < assessment->pool_count; i++)
        placed = add_held(placed, node_held(d, position, assessment->pools[i].node));
    placed = max_u64(placed, known_or(vm_held(vm), 0));
    if (placed == 0)
        return;
    for (uint32_t i = POOL_INDEX_NODES; i < assessment->pool_count; i++) {
        struct pool_view *pool = &assessment->pools[i];
        uint64_t there = node_held(d, position, pool->node);
        pool->pinned = add_held(pool->pinned, scale_u64(there, pinned, placed));
    }
}

void pinned_assess(struct decision *d)
{
    struct assessment *assessment = &d->plan->assessment;
    for (uint32_t i = 0; i < d->vm_count; i++) {
        uint64_t pinned = vm_pinned(decision_vm(d, i));
        if (!(d->vms[i].traits & TRAIT_USABLE) || !known(pinned) || pinned == 0)
            continue;
        struct pool_view *host = &assessment->pools[POOL_INDEX_HOST];
        host->pinned = add_held(host->pinned, pinned);
        pinned_place(d, i, pinned);
    }
    assessment->pools[POOL_INDEX_BUDGET].pinned = assessment->pools[POOL_INDEX_HOST].pinned;
}

uint64_t pinned_limit(const struct decision *d, const struct pool_view *pool)
{
    uint64_t fallback = scale_u64(pool->total, PINNED_LIMIT_SHARE, AMOUNT_SHARE_WHOLE);
    return amount_bytes(d->rules->host.pinned_limit, pool->total, fallback);
}

void pinned_look_pools(struct decision *d)
{
    const struct assessment *assessment = &d->plan->assessment;
    for (uint32_t i = 0; i < assessment->pool_count; i++) {
        const struct pool_view *pool = &assessment->pools[i];
        struct pool_state *state = &d->state->pools[i];
        if (!known(pool->total) || pool->kind == POOL_BUDGET)
            continue;
        uint64_t limit = pinned_limit(d, pool);
        if (pool->pinned <= limit) {
            state->pinned_over =
                state->pinned_over && pool->pinned > limit - limit / PINNED_LEAVE_DIVISOR;
            continue;
        }
        if (state->pinned_over || since(d->now, state->pinned_at) < ALERT_INTERVAL)
            continue;
        if (!plan_alert_host(d, REASON_PINNED_LIMIT, i, 0, pool->pinned - limit))
            return;
        state->pinned_over = true;
        state->pinned_at = d->now;
    }
}

void pinned_look_vm(struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    struct vm_state *state = decision_state(d, position);
    uint64_t pinned = vm_pinned(vm);
    if (!known(pinned))
        return;
    if (!known(state->pinned_since))
        state->pinned_since = d->now;
    if (!known(state->pinned_base)) {
        if (since(d->now, state->pinned_since) >= PINNED_BEGIN)
            state->pinned_base = pinned;
        return;
    }
    uint64_t step = max_u64(PINNED_GROWTH_MIN, state->pinned_base / PINNED_GROWTH_DIVISOR);
    if (pinned < add_held(state->pinned_base, step) ||
        since(d->now, state->pinned_told_at) < ALERT_INTERVAL)
        return;
    struct action *alert = plan_add(d, ACTION_ALERT, REASON_PINNED_GROWTH, position, 0);
    if (!alert)
        return;
    alert->relief = pinned - state->pinned_base;
    /* A guest that gives back and takes again, as a reboot does, has not grown: the base only
     * rises. */
    state->pinned_base = pinned;
    state->pinned_told_at = d->now;
}
