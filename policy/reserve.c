/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the reserve: what a guest leaves to others that grow, so that some get through instead of
 * all being stopped half-way, each with a part that would let another finish. Lesser guests leave
 * room for more valuable ones. Among those worth the same somebody has to go first as well, and the
 * one who would be paused last does: who refused yields to who gives, the faster to the slower, by
 * which it would be held up, and of those as fast the one with more left to take to the one that is
 * nearer its end.
 *
 * For a more valuable guest that is some minutes of its growth: to stop a lesser one in vain costs
 * little beside it. Between equals it costs as much as it saves, so of them no more is expected
 * than that they take as much again as they have taken since they began to grow: of growth that is
 * looked at at any moment of its life, half lasts that long (the delta-t argument; Gott 1993,
 * Nature 363:315). What goes up and down has gained nothing, and who has just begun, little: many
 * guests that boot on a host stop nobody.
 *
 * A guest that is paused and more valuable keeps its claim, and before those that wait to be
 * resumed so does for a while one that has only stopped growing. One worth the same does not: room
 * that one of them has reached is not taken back for another.
 */
#include "reserve.h"

#include "arrival.h"
#include "grant.h"
#include "node.h"
#include "observe.h"
#include "pool.h"
#include "relief.h"

/* Growth by powers of four: those whose pace is much the same are not told apart by its noise. */
static unsigned pace(const struct decision *d, uint32_t position)
{
    unsigned steps = 0;
    for (int64_t growth = relief_growth(d, position); growth > 0; growth /= 4)
        steps++;
    return steps;
}

bool reserve_is_worth_less(const struct decision *d, uint32_t a, uint32_t b)
{
    const struct vm_rules *rules_a = decision_rules(d, a), *rules_b = decision_rules(d, b);
    if (rules_a->sacrifice != rules_b->sacrifice)
        return rules_a->sacrifice < rules_b->sacrifice;
    return rules_a->priority < rules_b->priority;
}

bool reserve_yields_before(const struct decision *d, uint32_t a, uint32_t b)
{
    if (reserve_is_worth_less(d, a, b))
        return true;
    if (reserve_is_worth_less(d, b, a))
        return false;
    uint32_t refused_a = d->vms[a].traits & TRAIT_REFUSED,
             refused_b = d->vms[b].traits & TRAIT_REFUSED;
    if (refused_a != refused_b)
        return refused_a > refused_b;
    unsigned pace_a = pace(d, a), pace_b = pace(d, b);
    if (pace_a != pace_b)
        return pace_a > pace_b;
    return relief_room_in(d, a) > relief_room_in(d, b);
}

bool reserve_is_elsewhere(const struct decision *d, uint32_t a, uint32_t b)
{
    uint32_t nodes_a = node_binding(d, a), nodes_b = node_binding(d, b);
    return nodes_a && nodes_b && !(nodes_a & nodes_b);
}

/* Worth the same as the guest at POSITION, and goes on when that one is stopped. */
static bool goes_before(const struct decision *d, uint32_t other, uint32_t position)
{
    const struct vm_state *state = decision_state(d, other);
    const struct vm_rules *rules = decision_rules(d, other), *own = decision_rules(d, position);
    const uint32_t stopped = TRAIT_PAUSED | TRAIT_STOPPING | TRAIT_IN_ACTION;
    if (rules->priority != own->priority || (d->vms[other].traits & stopped) || state->settling > 0)
        return false;
    /* For others in dry run it counts as stopped; for enforced ones it runs. */
    bool dry = state->marks & (MARK_PAUSED_DRY | MARK_KILLED_DRY);
    if (dry && !(d->vms[position].traits & TRAIT_ENFORCED))
        return false;
    if (rules->sacrifice != own->sacrifice)
        return rules->sacrifice > own->sacrifice;
    if ((d->vms[position].traits & TRAIT_PAUSED) || reserve_yields_before(d, position, other))
        return true;
    /* As order_sort() breaks ties. */
    return !reserve_yields_before(d, other, position) && position < other;
}

/* Whether OTHER is one of those that this guest leaves anything to of POOL. One that comes in by a
 * migration is not: its source goes on, and nobody stands still for it (arrival.c). */
static bool may_claim(
    const struct decision *d, const struct pool_view *pool, uint32_t other, uint32_t position)
{
    return (d->vms[other].traits & TRAIT_USABLE) && other != position &&
           !vm_is_incoming(decision_vm(d, other)) && node_confines(d, pool, other) &&
           !reserve_is_elsewhere(d, other, position);
}

/* What it can still take at all: no more than there is on the nodes it is bound to. */
static uint64_t room_in(const struct decision *d, uint32_t position)
{
    return min_u64(relief_room_in(d, position), node_last_room(d, position));
}

/* What one of them may take, and how fast. LATELY: for one that waits to be resumed. Who stands
 * still for a moment, drawing breath or in the others' way on the host's processors, is taken to go
 * on, for as much again as it has taken: some seconds more for who waits are little beside a
 * valuable guest that does not get through. Who is owed memory is no grower then: that is kept for
 * it apart. */
static uint64_t claim(const struct decision *d, uint32_t other, bool lately, int64_t *ret_growth)
{
    const struct vm_state *state = decision_state(d, other);
    bool paused = d->vms[other].traits & TRAIT_PAUSED;
    int64_t growth = paused ? relief_growth_before(d, other) : relief_growth(d, other);
    int64_t before = lately && !paused ? vm_growth_lately(d, other) : 0;
    bool grows = growth >= (int64_t)GROWTH_MEASURABLE;
    *ret_growth = growth > before ? growth : before;
    if (*ret_growth < (int64_t)GROWTH_MEASURABLE || (lately && grant_is_owed(d, other)))
        return 0;
    uint64_t gained = sub_or_zero(d->vms[other].held, state->grown_from);
    return min_u64(room_in(d, other), grows ? NEVER : gained);
}

/* ALONE: how far ahead at their own pace. */
static uint64_t reserve_valuable(const struct decision *d, const struct pool_view *pool,
    uint32_t position, uint64_t alone, bool lately)
{
    uint32_t priority = decision_rules(d, position)->priority;
    uint64_t room = 0;
    int64_t rate = 0;
    for (uint32_t i = 0; i < d->vm_count; i++) {
        if (decision_rules(d, i)->priority <= priority || !may_claim(d, pool, i, position))
            continue;
        int64_t growth;
        uint64_t claimed = claim(d, i, lately, &growth);
        room = add_held(room, claimed);
        rate = rate_sum(rate, claimed > 0 ? growth : 0);
    }
    /* Those who are in each other's way grow as fast together as each would alone: without the
     * lesser, the valuable take over the fill, as far as it is not another kind of growth. What
     * this guest takes, or took until it was paused, is part of it: else it would be paused for a
     * room into which it is resumed. */
    int64_t fill = pool->fill_rate, before = decision_state(d, position)->growth_before;
    if ((d->vms[position].traits & TRAIT_PAUSED) && before > 0)
        fill = rate_sum(fill, before);
    uint64_t reserved = min_u64(
        rate_bytes(fill, RESERVED_AHEAD), rate_bytes(rate, RESERVED_AHEAD * RESERVED_SPEEDUP));
    return min_u64(room, max_u64(reserved, rate_bytes(rate, alone)));
}

uint64_t reserve_for_valuable(
    const struct decision *d, const struct pool_view *pool, uint32_t position)
{
    return reserve_valuable(d, pool, position, RESERVED_ALONE, false);
}

uint64_t reserve_soon(const struct decision *d, const struct pool_view *pool, uint32_t position)
{
    return reserve_valuable(d, pool, position, RESERVED_AHEAD, false);
}

uint64_t reserve_expected(const struct decision *d, uint32_t position)
{
    const struct vm_state *state = decision_state(d, position);
    int64_t growth = relief_growth(d, position);
    if (growth < (int64_t)GROWTH_MEASURABLE || !known(state->grown_from))
        return 0;
    uint64_t gained = sub_or_zero(d->vms[position].held, state->grown_from);
    return min_u64(room_in(d, position), min_u64(gained, rate_bytes(growth, RESERVED_AHEAD)));
}

uint64_t reserve_for_equals(
    const struct decision *d, const struct pool_view *pool, uint32_t position)
{
    uint64_t sum = 0;
    int64_t rate = 0;
    for (uint32_t i = 0; i < d->vm_count; i++) {
        if (!may_claim(d, pool, i, position) || !goes_before(d, i, position))
            continue;
        uint64_t expected = reserve_expected(d, i);
        sum = add_held(sum, expected);
        rate = rate_sum(rate, expected > 0 ? relief_growth(d, i) : 0);
    }
    /* What some take is no claim where others give it back, nor where it says nothing about time.
     */
    if (!(d->vms[position].traits & TRAIT_PAUSED))
        sum = min_u64(sum, rate_bytes(pool_worth(pool, pool_filling(d, pool)), RESERVED_AHEAD));
    return pool_worth(pool, rate) > 0 ? sum : 0;
}

uint64_t reserve_for_others(
    const struct decision *d, const struct pool_view *pool, uint32_t position)
{
    return add_held(reserve_soon(d, pool, position), reserve_for_equals(d, pool, position));
}

uint64_t reserve_before_waiting(
    const struct decision *d, const struct pool_view *pool, uint32_t position)
{
    return add_held(reserve_valuable(d, pool, position, RESERVED_ALONE, true),
        reserve_for_equals(d, pool, position));
}

uint64_t reserve_on_nodes(const struct decision *d, uint32_t position)
{
    uint32_t binding = node_binding(d, position);
    uint64_t sum = 0;
    for (uint32_t node = 0; node < NODES_MAX; node++)
        if (binding >> node & 1)
            sum = add_held(sum, reserve_before_waiting(d,
                                    &d->plan->assessment.pools[POOL_INDEX_NODES + node], position));
    return sum;
}
