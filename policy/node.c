/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns what binding means. Memory of a guest that may allocate anywhere spills over to another node
 * when one is full: the kernel goes down the zonelist at the low watermark, long before it
 * reclaims, and a full node is where it put things first. A guest that is bound (cpuset.mems,
 * MPOL_BIND) has nowhere to go: when all its nodes are at their end the kernel reclaims there, and
 * then kills (CONSTRAINT_CPUSET, CONSTRAINT_MEMORY_POLICY in mm/oom_kill.c), by size and not by
 * place, so that even a guest on another node can be its victim.
 *
 * So a node is a pool for those bound to it: where there are none nobody is asked to give for it,
 * or waits for it, and only for them can it be critical: while one of them grows and all nodes it
 * may use are at the edge. What of a node's fill is anything else is no reason to harm anybody; it
 * ends at the low watermark by itself.
 *
 * Many who grow by little fill a node as well. A guest that grows by less than is measured of one
 * counts with the others who are bound there, those who shrink included: their sum is what fills.
 *
 * A guest with several memory backends, bound to different nodes, counts as able to use all of
 * them.
 */
#include "node.h"

#include "pool.h"
#include "relief.h"

#define NODE_BIT(node) (UINT32_C(1) << (node))
static_assert(NODES_MAX <= 32, "a mask of nodes has 32 bits");

uint32_t nodes_of_host(const struct snapshot *snapshot)
{
    uint32_t count = snapshot->host.node_count < NODES_MAX ? snapshot->host.node_count : NODES_MAX;
    return (uint32_t)((UINT64_C(1) << count) - 1);
}

uint32_t node_binding(const struct decision *d, uint32_t position)
{
    uint32_t allowed = decision_vm(d, position)->nodes_allowed & d->all_nodes;
    return allowed == d->all_nodes ? 0 : allowed;
}

static void nodes_add(int64_t growths[NODES_MAX], uint32_t nodes, int64_t growth)
{
    for (uint32_t node = 0; node < NODES_MAX; node++)
        if (nodes & NODE_BIT(node))
            growths[node] = rate_sum(growths[node], growth);
}

/* Adds what the guest grows by, or shrinks, to SUMS of NODES, by both estimators. */
static void steady_add(
    const struct decision *d, uint32_t position, uint32_t nodes, struct rate sums[NODES_MAX])
{
    const struct rate *growth = &decision_state(d, position)->growth;
    if (since(d->now, growth->time) > GROWTH_STALE)
        return;
    for (uint32_t node = 0; node < NODES_MAX; node++) {
        if (!(nodes & NODE_BIT(node)))
            continue;
        sums[node].fast = rate_sum(sums[node].fast, growth->fast);
        sums[node].slow = rate_sum(sums[node].slow, growth->slow);
    }
}

/* The nodes it is bound to; of a guest of which nobody knows, those it lies on, or any. */
static uint32_t nodes_claimed(const struct decision *d, uint32_t position)
{
    uint32_t nodes = node_binding(d, position);
    if (decision_vm(d, position)->nodes_allowed & d->all_nodes)
        return nodes;
    for (uint32_t node = 0; node < NODES_MAX; node++)
        if (node_held(d, position, node) > 0)
            nodes |= NODE_BIT(node);
    return nodes != 0 ? nodes : d->all_nodes;
}

void nodes_observe(struct decision *d)
{
    struct rate sums[NODES_MAX] = {0};
    d->all_nodes = nodes_of_host(d->snapshot);
    for (uint32_t i = 0; i < d->vm_count; i++) {
        uint32_t binding = node_binding(d, i);
        if (!(d->vms[i].traits & TRAIT_USABLE))
            continue;
        d->claimed_nodes |= nodes_claimed(d, i);
        if (binding == 0)
            continue;
        d->bound_nodes |= binding;
        steady_add(d, i, binding, sums);
        int64_t growth = relief_growth(d, i);
        if (growth < (int64_t)GROWTH_MEASURABLE)
            continue;
        d->growing_nodes |= binding;
        nodes_add(d->node_growth, binding, growth);
    }
    for (uint32_t node = 0; node < NODES_MAX; node++) {
        int64_t sum = rate_steady(&sums[node]);
        if (sum < (int64_t)GROWTH_MEASURABLE || sum <= d->node_growth[node])
            continue;
        d->growing_nodes |= NODE_BIT(node);
        d->node_growth[node] = sum;
    }
}

void node_mark_short(struct decision *d, uint32_t node)
{
    d->short_nodes |= NODE_BIT(node);
}

void node_mark_scarce(struct decision *d, uint32_t node)
{
    d->scarce_nodes |= NODE_BIT(node);
}

void nodes_confine(struct decision *d)
{
    struct rate sums[NODES_MAX] = {0};
    for (uint32_t i = 0; i < d->vm_count; i++) {
        uint32_t binding = node_binding(d, i);
        if (!(d->vms[i].traits & TRAIT_USABLE) || (binding & ~d->short_nodes))
            continue;
        steady_add(d, i, binding, sums);
        int64_t growth = relief_growth(d, i);
        if (growth < (int64_t)GROWTH_MEASURABLE)
            continue;
        d->confined_nodes |= binding;
        nodes_add(d->confined_growth, binding, growth);
    }
    for (uint32_t node = 0; node < NODES_MAX; node++) {
        int64_t sum = rate_steady(&sums[node]);
        if (sum <= d->confined_growth[node] ||
            pool_matters(&d->plan->assessment.pools[POOL_INDEX_NODES + node], sum) == 0)
            continue;
        d->confined_nodes |= NODE_BIT(node);
        d->confined_growth[node] = sum;
    }
}

uint64_t node_held(const struct decision *d, uint32_t position, uint32_t node)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    uint64_t there = vm->node_bytes[node];
    if (known(there))
        return min_u64(there, known_or(vm->rss, there));
    return node_binding(d, position) == NODE_BIT(node) ? known_or(vm->rss, 0) : 0;
}

bool node_is_used(const struct decision *d, uint32_t position, uint32_t node)
{
    uint32_t binding = node_binding(d, position);
    return binding == 0 || (binding & NODE_BIT(node));
}

bool node_is_claimed(const struct decision *d, const struct pool_view *pool)
{
    return pool->kind != POOL_NODE || (d->claimed_nodes >> pool->node & 1);
}

bool node_confines(const struct decision *d, const struct pool_view *pool, uint32_t position)
{
    if (pool->kind != POOL_NODE)
        return true;
    uint32_t binding = node_binding(d, position);
    uint32_t full = pool->band == BAND_SCARCE ? d->scarce_nodes : d->short_nodes;
    return (binding & NODE_BIT(pool->node)) && (binding & ~full) == 0;
}

/* Sums ROOM over the nodes the guest is bound to, less what is kept there for guests that start. */
static uint64_t room_sum(const struct decision *d, uint32_t position,
    uint64_t (*room)(const struct decision *, const struct pool_view *))
{
    uint32_t binding = node_binding(d, position);
    bool measured = false;
    uint64_t sum = 0;
    for (uint32_t node = 0; node < NODES_MAX; node++) {
        const struct pool_view *pool = &d->plan->assessment.pools[POOL_INDEX_NODES + node];
        if (!(binding & NODE_BIT(node)) || !known(pool->total))
            continue;
        measured = true;
        sum = add_held(sum, sub_or_zero(room(d, pool), pool->reserved));
    }
    return measured ? sum : NEVER;
}

static uint64_t room_out_of_critical(const struct decision *d, const struct pool_view *pool)
{
    return pool_room(d, pool, BAND_CRITICAL);
}

static uint64_t room_above_floor(const struct decision *d, const struct pool_view *pool)
{
    (void)d;
    return pool->headroom > 0 ? (uint64_t)pool->headroom : 0;
}

static uint64_t room_for_bridge(const struct decision *d, const struct pool_view *pool)
{
    return sub_or_zero(pool->available, pool_enter(d, pool, BAND_CRITICAL));
}

uint64_t node_room(const struct decision *d, uint32_t position)
{
    return room_sum(d, position, room_out_of_critical);
}

uint64_t node_last_room(const struct decision *d, uint32_t position)
{
    return room_sum(d, position, room_above_floor);
}

uint64_t node_bridge_room(const struct decision *d, uint32_t position)
{
    return room_sum(d, position, room_for_bridge);
}

enum band node_band(const struct decision *d, uint32_t position)
{
    uint32_t binding = node_binding(d, position);
    enum band least = binding == 0 ? BAND_CALM : BAND_CRITICAL;
    for (uint32_t node = 0; node < NODES_MAX; node++)
        if ((binding & NODE_BIT(node)) &&
            d->plan->assessment.pools[POOL_INDEX_NODES + node].band < least)
            least = d->plan->assessment.pools[POOL_INDEX_NODES + node].band;
    return least;
}

uint32_t node_worst_pool(const struct decision *d, uint32_t position)
{
    const struct assessment *assessment = &d->plan->assessment;
    uint32_t worst = POOL_INDEX_HOST;
    for (uint32_t i = POOL_INDEX_BUDGET; i < assessment->pool_count; i++) {
        const struct pool_view *pool = &assessment->pools[i];
        bool concerned = pool->kind != POOL_NODE || node_held(d, position, pool->node) > 0 ||
                         (node_binding(d, position) & NODE_BIT(pool->node));
        if (concerned && pool->band > assessment->pools[worst].band)
            worst = i;
    }
    return worst;
}
