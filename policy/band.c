/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the bands and their hysteresis. A band holds when headroom is at its threshold or below, or
 * when the pool fills and would be exhausted within the band's time; whichever is worse. It is
 * entered at once and left only when both conditions have been off by a margin for the dwell time,
 * straight to whatever band then still holds.
 *
 * Tight and scarce believe only the steady fill rate, because what they begin takes minutes;
 * critical believes the fast one as soon as two samples confirm it, because it has no minutes.
 *
 * A NUMA node goes by headroom alone and at most to scarce, but for what those take who are bound
 * to it (node.c): their growth counts by time as well, and makes the node critical when it, and
 * every other node they may use, is at the edge. Stopping or killing guests for anything else that
 * fills a node would be our fault alone.
 */
#include "band.h"

#include "node.h"
#include "pool.h"

static const struct {
    uint64_t share, time;
} band_defaults[BAND_COUNT] = {
    [BAND_TIGHT] = {TIGHT_SHARE, TIGHT_TIME},
    [BAND_SCARCE] = {SCARCE_SHARE, SCARCE_TIME},
    [BAND_CRITICAL] = {CRITICAL_SHARE, CRITICAL_TIME},
};

/* What of a pool the shares are of: a host does not fill the faster for being large. */
static uint64_t counted(uint64_t capacity)
{
    return min_u64(capacity, EVEN_CAPACITY) + sub_or_zero(capacity, EVEN_CAPACITY) / EVEN_DIVISOR;
}

/* A share of the capacity; critical leaves at least what is taken before somebody is stopped, which
 * on a small host is more, as far as scarce still comes before it. A budget, or a node, is no such
 * edge. */
static uint64_t enter_default(
    const struct decision *d, const struct pool_view *pool, enum band band)
{
    uint64_t capacity = pool_capacity(pool);
    uint64_t bytes = scale_u64(counted(capacity), band_defaults[band].share, AMOUNT_SHARE_WHOLE);
    if (band != BAND_CRITICAL || pool->kind != POOL_HOST)
        return bytes;
    uint64_t scarce = amount_bytes(d->rules->host.bands[BAND_SCARCE].headroom, capacity,
        scale_u64(counted(capacity), SCARCE_SHARE, AMOUNT_SHARE_WHOLE));
    return max_u64(bytes, min_u64(pool_filled_most(d, RACE_TIME), scarce / 4 * 3));
}

uint64_t pool_enter(const struct decision *d, const struct pool_view *pool, enum band band)
{
    struct amount amount = d->rules->host.bands[band].headroom;
    uint64_t capacity = pool_capacity(pool);
    uint64_t fallback = amount.kind == AMOUNT_AUTO ? enter_default(d, pool, band) : 0;
    uint64_t bytes = amount_bytes(amount, capacity, fallback);
    if (pool->kind != POOL_NODE)
        return bytes;
    uint64_t host_total = d->plan->assessment.pools[POOL_INDEX_HOST].total;
    if (amount.kind == AMOUNT_BYTES)
        bytes = scale_u64(bytes, pool->total, host_total);
    return bytes / NODE_THRESHOLD_DIVISOR;
}

uint64_t pool_leave(const struct decision *d, const struct pool_view *pool, enum band band)
{
    uint64_t capacity = pool_capacity(pool);
    uint64_t enter = pool_enter(d, pool, band);
    uint64_t margin = max_u64(enter / LEAVE_DIVISOR, counted(capacity) / LEAVE_CAPACITY_DIVISOR);
    /* A threshold near the whole pool must still be possible to leave. */
    if (enter < capacity)
        margin = min_u64(margin, (capacity - enter) / 2);
    return add_held(enter, margin);
}

uint64_t pool_enter_time(const struct decision *d, const struct pool_view *pool, enum band band)
{
    if (pool->kind == POOL_NODE && !(d->growing_nodes >> pool->node & 1))
        return 0;
    return known_or(d->rules->host.bands[band].time, band_defaults[band].time);
}

static uint64_t exhaustion(const struct decision *d, const struct pool_view *pool,
    const struct pool_state *state, enum band band)
{
    int64_t rate = band == BAND_CRITICAL ? rate_confirmed(&state->fill) : rate_steady(&state->fill);
    /* What fills it goes elsewhere soon, but for a lesser part. */
    if (pool->kind == POOL_NODE && band != BAND_CRITICAL && d->node_growth[pool->node] < rate / 2)
        rate = 0;
    return rate_exhaustion(pool->headroom, pool_worth(pool, rate));
}

static bool at_or_below(int64_t headroom, uint64_t threshold)
{
    return headroom <= 0 || (uint64_t)headroom <= threshold;
}

static bool begins(const struct decision *d, const struct pool_view *pool,
    const struct pool_state *state, enum band band)
{
    return at_or_below(pool->headroom, pool_enter(d, pool, band)) ||
           exhaustion(d, pool, state, band) <= pool_enter_time(d, pool, band);
}

static bool still_holds(const struct decision *d, const struct pool_view *pool,
    const struct pool_state *state, enum band band)
{
    uint64_t time =
        scale_u64(pool_enter_time(d, pool, band), LEAVE_TIME_NUMERATOR, LEAVE_TIME_DENOMINATOR);
    return at_or_below(pool->headroom, pool_leave(d, pool, band)) ||
           exhaustion(d, pool, state, band) <= time;
}

bool band_is_edge(
    const struct decision *d, const struct pool_view *pool, const struct pool_state *state)
{
    return begins(d, pool, state, BAND_CRITICAL) ||
           (state->band == BAND_CRITICAL && still_holds(d, pool, state, BAND_CRITICAL));
}

void band_advance(struct decision *d, const struct pool_view *pool, struct pool_state *state)
{
    bool confined = pool->kind != POOL_NODE || (d->confined_nodes >> pool->node & 1);
    enum band worst = confined ? BAND_CRITICAL : BAND_SCARCE;
    enum band entered = BAND_CALM, held = BAND_CALM;
    for (enum band band = worst; band > BAND_CALM && entered == BAND_CALM; band--)
        if (begins(d, pool, state, band))
            entered = band;
    for (enum band band = state->band < worst ? state->band : worst;
         band > BAND_CALM && held == BAND_CALM; band--)
        if (still_holds(d, pool, state, band))
            held = band;

    if (entered >= state->band || held >= state->band) {
        state->band = entered > state->band ? entered : state->band;
        state->better_since = UNKNOWN;
        return;
    }
    if (!known(state->better_since))
        state->better_since = d->now;
    if (since(d->now, state->better_since) >= BAND_DWELL) {
        state->band = entered > held ? entered : held;
        state->better_since = UNKNOWN;
    }
}

/* Here alone the quickest estimate is believed: the others lag a ramp by half a second, and a
 * freeze where `stop` would have done costs little. */
bool band_sprint(
    const struct decision *d, const struct pool_view *pool, const struct pool_state *state)
{
    if (!known(pool->total) || pool->band != BAND_CRITICAL)
        return false;
    int64_t burst = state->fill.burst;
    int64_t rate = pool_worth(pool, burst > pool->fill_rate ? burst : pool->fill_rate);
    int64_t has = pool->headroom;
    if (pool->kind == POOL_NODE) {
        /* Below a node's floor, where others may have filled it, there is time like anywhere. */
        rate = pool_filling(d, pool) > rate ? pool_filling(d, pool) : rate;
        has = diff_i64(pool->available, 0);
    }
    if (rate == 0)
        return false;
    uint64_t left = rate_exhaustion(has, rate);
    if (left < SPRINT_TIME)
        return true;
    return at_or_below(pool->headroom, pool_enter(d, pool, BAND_CRITICAL) / 2) &&
           left <= CRITICAL_TIME;
}
