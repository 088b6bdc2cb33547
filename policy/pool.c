/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the arithmetic of pools: what is available, what is the floor, how fast it fills.
 *
 * host    MemAvailable, and swap as far as it can be filled within the horizon, and shrinkable ARC.
 *         The fill rate is measured on both figures under today's swap rate, so that a newly learnt
 *         swap rate does not look like a leak, nor swapping within ample swap like a fill.
 * budget  the operator's figure less what all guests hold; its fill rate is the guests' growth, so
 *         that a guest that appears, or goes, is a step and no rate, and so is what a balloon of
 *         ours brings back.
 * node    the node's own available memory, and swap likewise, which serves whatever node is short,
 *         with the host's floor by its share of the total. Below
 *         the floor its available memory may stand still while bound guests go on growing, so there
 *         it fills by what they grow.
 */
#include "pool.h"

#include "admission.h"
#include "band.h"
#include "node.h"

uint64_t pool_capacity(const struct pool_view *pool)
{
    return known(pool->total) ? sub_or_zero(pool->total, pool->floor) : 0;
}

static uint64_t fill_ignored(const struct pool_view *pool)
{
    /* Of a node only the fill by guests matters, and they are not noisy. */
    if (pool->kind == POOL_NODE)
        return FILL_IGNORED;
    return max_u64(FILL_IGNORED, pool_capacity(pool) / FILL_IGNORED_DIVISOR);
}

int64_t pool_worth(const struct pool_view *pool, int64_t rate)
{
    return rate > 0 && (uint64_t)rate > fill_ignored(pool) ? rate : 0;
}

int64_t pool_matters(const struct pool_view *pool, int64_t rate)
{
    uint64_t headroom = pool->headroom > 0 ? (uint64_t)pool->headroom : 0;
    uint64_t ends = headroom / (FILL_MATTERS_TIME / NSEC_PER_SEC);
    uint64_t ignored = max_u64(min_u64(fill_ignored(pool), ends), FILL_LEAST);
    return rate > 0 && (uint64_t)rate > ignored ? rate : 0;
}

uint64_t pool_filled_most(const struct decision *d, uint64_t time)
{
    uint64_t measured = known_or(d->snapshot->host.fill_rate_most, 0);
    return scale_u64(max_u64(measured, FILL_RATE_USUAL), time, NSEC_PER_SEC);
}

uint64_t pool_room(const struct decision *d, const struct pool_view *pool, enum band band)
{
    if (!known(pool->total) || pool->headroom <= 0)
        return 0;
    return sub_or_zero((uint64_t)pool->headroom, pool_leave(d, pool, band));
}

uint64_t pool_deficit(const struct decision *d, const struct pool_view *pool, enum band band)
{
    if (!known(pool->total))
        return 0;
    uint64_t wanted =
        add_held(pool_leave(d, pool, band), rate_bytes(pool_worth(pool, pool->fill_rate), HORIZON));
    if (pool->headroom < 0)
        return add_held(wanted, (uint64_t)-pool->headroom);
    return sub_or_zero(wanted, (uint64_t)pool->headroom);
}

uint64_t host_floor(const struct host_snapshot *host, const struct host_rules *rules)
{
    uint64_t base = scale_u64(min_u64(host->total, FLOOR_BASE_TOTAL), FLOOR_BASE, FLOOR_BASE_TOTAL);
    uint64_t rest = sub_or_zero(host->total, FLOOR_BASE_TOTAL) / FLOOR_REST_DIVISOR;
    uint64_t floor = amount_bytes(rules->floor, host->total, base + rest);
    if (known(host->watermark_high))
        floor = max_u64(floor, scale_u64(host->watermark_high, FLOOR_WATERMARKS, 1));
    return min_u64(floor, host->total);
}

/* Free swap as far as it can be filled within the horizon. */
static uint64_t usable_swap(const struct host_snapshot *host, uint64_t swap_free)
{
    uint64_t rate = known_or(host->swap_rate, SWAP_RATE_ASSUMED);
    return min_u64(known_or(swap_free, 0), scale_u64(rate, HORIZON, NSEC_PER_SEC));
}

uint64_t pool_swap_spare(const struct decision *d)
{
    const struct host_snapshot *host = &d->snapshot->host;
    if (!known(host->swap_total) || !known(host->swap_free))
        return 0;
    uint64_t kept = max_u64(
        usable_swap(host, host->swap_free), host->swap_total / RECLAIM_SWAP_RESERVE_DIVISOR);
    return sub_or_zero(host->swap_free, kept);
}

static uint64_t host_memory(const struct host_snapshot *host)
{
    uint64_t shrinkable = known(host->arc_size) && known(host->arc_minimum)
                              ? sub_or_zero(host->arc_size, host->arc_minimum)
                              : 0;
    return add_held(host->available, shrinkable);
}

/* Fills what is available with MEMORY and swap, and measures the rate. */
static void note_memory(const struct decision *d, struct pool_state *state, struct pool_view *pool,
    uint64_t memory, bool advance)
{
    const struct host_snapshot *host = &d->snapshot->host;
    pool->available = add_held(memory, usable_swap(host, host->swap_free));
    if (!advance)
        return;
    uint64_t before = known(state->memory)
                          ? add_held(state->memory, usable_swap(host, state->swap_free))
                          : pool->available;
    rate_update(&state->fill, d->now, diff_i64(before, pool->available));
    state->memory = memory;
    state->swap_free = host->swap_free;
}

static void assess_host(struct decision *d, struct pool_view *pool, bool advance)
{
    const struct host_snapshot *host = &d->snapshot->host;
    struct pool_state *state = &d->state->pools[POOL_INDEX_HOST];
    *pool = (struct pool_view){.kind = POOL_HOST, .total = UNKNOWN};
    if (!known(host->total) || !known(host->available) || host->total == 0)
        return;

    uint64_t memory = host_memory(host);
    pool->total = host->total;
    pool->floor = host_floor(host, &d->rules->host);
    note_memory(d, state, pool, memory, advance);
}

static void assess_budget(struct decision *d, struct pool_view *pool, bool advance)
{
    const struct host_snapshot *host = &d->snapshot->host;
    struct amount budget = d->rules->host.budget;
    struct pool_state *state = &d->state->pools[POOL_INDEX_BUDGET];
    *pool = (struct pool_view){.kind = POOL_BUDGET, .total = UNKNOWN};
    if (budget.kind == AMOUNT_SHARE && !known(host->total))
        return;
    uint64_t total = amount_bytes(budget, known_or(host->total, 0), UNKNOWN);
    if (!known(total) || total == 0)
        return;

    pool->total = total;
    pool->available = sub_or_zero(total, d->budget_held);
    if (advance) {
        bool grows = d->budget_fast > 0 && d->budget_slow > 0;
        uint32_t growing = grows ? state->fill.growing + 1 : 0;
        state->fill = (struct rate){
            .time = d->now,
            .fast = d->budget_fast,
            .slow = d->budget_slow,
            .growing = growing < RATE_CONFIRM_SAMPLES ? growing : RATE_CONFIRM_SAMPLES,
        };
    }
}

static void assess_node(struct decision *d, uint32_t index, struct pool_view *pool, bool advance)
{
    const struct node_snapshot *node = &d->snapshot->host.nodes[index];
    const struct pool_view *host = &d->plan->assessment.pools[POOL_INDEX_HOST];
    struct pool_state *state = &d->state->pools[POOL_INDEX_NODES + index];
    *pool = (struct pool_view){.kind = POOL_NODE, .node = index, .total = UNKNOWN};
    if (!known(node->total) || !known(node->available) || node->total == 0 || !known(host->total))
        return;

    if (advance && state->node != node->id) {
        /* Another node came or went, and this index is somebody else's now. */
        pool_state_reset(state);
        state->node = node->id;
    }
    pool->total = node->total;
    pool->floor = min_u64(scale_u64(host->floor, node->total, host->total), node->total);
    note_memory(d, state, pool, node->available, advance);
}

int64_t pool_filling(const struct decision *d, const struct pool_view *pool)
{
    int64_t fill = pool_matters(pool, pool->fill_rate);
    if (pool->kind != POOL_NODE || pool->headroom > 0 || d->confined_growth[pool->node] <= fill)
        return fill;
    return d->confined_growth[pool->node];
}

/* The parts of a view that follow from the others. */
static void derive(struct decision *d, uint32_t index)
{
    struct pool_view *pool = &d->plan->assessment.pools[index];
    struct pool_state *state = &d->state->pools[index];
    pool->reserved = admission_reserved(d, pool);
    if (!known(pool->total)) {
        /* Unmeasured is no emergency, and no room either: pool_room() is 0, so nothing is given
         * back. The remembered band waits for the next figure. */
        pool->time_to_exhaustion = NEVER;
        pool->band = BAND_CALM;
        return;
    }
    pool->headroom = diff_i64(pool->available, pool->floor);
    if (pool->kind == POOL_BUDGET)
        pool->headroom = diff_i64(pool->total, d->budget_held);
    pool->fill_rate = rate_confirmed(&state->fill);
    pool->time_to_exhaustion = rate_exhaustion(pool->headroom, pool_worth(pool, pool->fill_rate));
    if (pool->kind == POOL_NODE && band_is_edge(d, pool, state))
        node_mark_short(d, pool->node);
}

void pools_assess(struct decision *d, bool advance)
{
    struct assessment *assessment = &d->plan->assessment;
    uint32_t nodes = d->snapshot->host.node_count;
    nodes = nodes < NODES_MAX ? nodes : NODES_MAX;
    assessment->pool_count = POOL_INDEX_NODES + nodes;

    assess_host(d, &assessment->pools[POOL_INDEX_HOST], advance);
    assess_budget(d, &assessment->pools[POOL_INDEX_BUDGET], advance);
    for (uint32_t i = 0; i < nodes; i++)
        assess_node(d, i, &assessment->pools[POOL_INDEX_NODES + i], advance);

    for (uint32_t i = 0; i < assessment->pool_count; i++)
        derive(d, i);
    nodes_confine(d);
    assessment->worst = POOL_INDEX_HOST;
    for (uint32_t i = 0; i < assessment->pool_count; i++) {
        struct pool_view *pool = &assessment->pools[i];
        struct pool_state *state = &d->state->pools[i];
        if (!known(pool->total))
            continue;
        if (advance)
            band_advance(d, pool, state);
        pool->band = state->band;
        if (pool->kind == POOL_NODE && pool->band >= BAND_SCARCE)
            node_mark_scarce(d, pool->node);
        if (pool->band > assessment->pools[assessment->worst].band)
            assessment->worst = i;
        pool->sprint = band_sprint(d, pool, state);
        assessment->sprint = assessment->sprint || pool->sprint;
    }
    assessment->band = assessment->pools[assessment->worst].band;
}
