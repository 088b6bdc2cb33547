/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns giving back: free first, grant second. What may be given in one plan is the headroom above
 * the point where tight is left, less grants that guests have not touched yet: even if all of them
 * take everything at once, tight does not begin again, and so giving back cannot cause taking. What
 * guests will have grown by at the horizon stays theirs. Room for what paused guests may take comes
 * first, else they would die of being resumed.
 *
 * A guest that starves, by its own fresh word, waits for less: it is given to down to where scarce
 * is left, the most valuable first, and only paused guests at least as valuable as it come before.
 * While lesser guests stand still for such as it, it gets what they would be resumed with, too.
 * Its word can win it what it had before us, out of free memory, and nothing else.
 *
 * The water level rises: who has least above its minimum per share gets first, up to what it had
 * before us. Guests that refused come after all others: refusing never leaves a guest better
 * off.
 */
#include "grant.h"

#include "balloon.h"
#include "node.h"
#include "order.h"
#include "pool.h"
#include "relief.h"
#include "reserve.h"
#include "resume.h"

static uint64_t outstanding(const struct decision *d, uint32_t position)
{
    const struct vm_state *state = decision_state(d, position);
    if (since(d->now, state->grant_at) > GRANT_OUTSTANDING)
        return 0;
    return sub_or_zero(state->granted, sub_or_zero(d->vms[position].held, state->grant_held));
}

/* Balloons take for what fills until the horizon (pool_deficit()); it is left to the growers here,
 * too, or what was taken for them would be given back as soon as it came. By the guests' growth and
 * not the pool's, which is less while balloons bring memory back. */
static uint64_t growth_ahead(const struct decision *d)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < d->vm_count; i++)
        if ((d->vms[i].traits & TRAIT_USABLE) && relief_growth(d, i) >= (int64_t)GROWTH_MEASURABLE)
            sum = add_held(sum, relief_growth_bytes(d, i, HORIZON));
    return sum;
}

void grant_reckon_room(struct decision *d)
{
    const struct pool_view *host = &d->plan->assessment.pools[POOL_INDEX_HOST];
    const struct pool_view *budget = &d->plan->assessment.pools[POOL_INDEX_BUDGET];
    d->room = pool_room(d, host, BAND_TIGHT);
    d->starved_room = pool_room(d, host, BAND_SCARCE);
    d->resume_room = pool_room(d, host, BAND_CRITICAL);
    d->last_room = host->headroom > 0 && known(host->total) ? (uint64_t)host->headroom : 0;
    if (known(budget->total)) {
        uint64_t headroom = budget->headroom > 0 ? (uint64_t)budget->headroom : 0;
        d->last_room = min_u64(d->last_room, headroom);
        d->room = min_u64(d->room, pool_room(d, budget, BAND_TIGHT));
        d->starved_room = min_u64(d->starved_room, pool_room(d, budget, BAND_SCARCE));
        d->resume_room = min_u64(d->resume_room, pool_room(d, budget, BAND_CRITICAL));
    }
    d->room = sub_or_zero(d->room, growth_ahead(d));
    d->room = sub_or_zero(d->room, host->reserved);
    d->starved_room = sub_or_zero(d->starved_room, host->reserved);
    d->resume_room = sub_or_zero(d->resume_room, host->reserved);
    d->last_room = sub_or_zero(d->last_room, host->reserved);
    for (uint32_t i = 0; i < d->vm_count; i++) {
        if (!(d->vms[i].traits & TRAIT_ENFORCED))
            continue;
        d->room = sub_or_zero(d->room, outstanding(d, i));
        d->starved_room = sub_or_zero(d->starved_room, outstanding(d, i));
        d->resume_room = sub_or_zero(d->resume_room, outstanding(d, i));
        d->last_room = sub_or_zero(d->last_room, outstanding(d, i));
    }
}

void grant_book(struct decision *d, uint32_t position, uint64_t bytes)
{
    struct vm_state *state = decision_state(d, position);
    state->granted = add_held(outstanding(d, position), bytes);
    state->grant_held = d->vms[position].held;
    state->grant_at = d->now;
    d->room = sub_or_zero(d->room, bytes);
    d->starved_room = sub_or_zero(d->starved_room, bytes);
    d->resume_room = sub_or_zero(d->resume_room, bytes);
    d->last_room = sub_or_zero(d->last_room, bytes);
}

/* What it had before us, at least its minimum and at most its maximum; 0: no balloon of ours. */
static uint64_t upper_end(const struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    const struct vm_state *state = decision_state(d, position);
    uint64_t before;
    if (vm->measures.in_force & VM_MEASURE_BALLOON)
        before = vm->measures.balloon_before;
    else if ((state->marks & MARK_ASKED_DRY) && known(state->asked))
        before = state->before;
    else
        return 0;
    return min_u64(max_u64(before, d->vms[position].minimum), vm->maximum);
}

bool grant_is_barred(const struct decision *d, uint32_t position)
{
    for (uint32_t i = POOL_INDEX_NODES; i < d->plan->assessment.pool_count; i++) {
        const struct pool_view *pool = &d->plan->assessment.pools[i];
        bool kept = pool->reserved > 0 && pool_room(d, pool, BAND_TIGHT) <= pool->reserved;
        bool is_short = pool->band > BAND_CALM && node_is_claimed(d, pool);
        if ((is_short || kept) && node_held(d, position, pool->node) > 0)
            return true;
    }
    return false;
}

static uint64_t level_target(const struct decision *d, uint32_t position, uint64_t level)
{
    const struct vm_scratch *vm = &d->vms[position];
    uint64_t kept = add_held(vm->minimum, balloon_level_bytes(decision_rules(d, position), level));
    return max_u64(vm->current, min_u64(kept, upper_end(d, position)));
}

static uint64_t level_sum(const struct decision *d, uint64_t level)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < d->vm_count; i++)
        if (d->vms[i].traits & TRAIT_CANDIDATE)
            sum = add_held(sum, level_target(d, i, level) - d->vms[i].current);
    return sum;
}

/* The highest level whose sum of grants fits into ROOM. */
static uint64_t level_for(const struct decision *d, uint64_t room)
{
    uint64_t low = 0, high = 0;
    for (uint32_t i = 0; i < d->vm_count; i++) {
        if (!(d->vms[i].traits & TRAIT_CANDIDATE))
            continue;
        uint64_t above = sub_or_zero(upper_end(d, i), d->vms[i].minimum);
        high = max_u64(high, add_held(balloon_level_of(decision_rules(d, i), above), 1));
    }
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (level_sum(d, middle) <= room)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* One step towards TARGET, if ROOM has it; false: there was none. */
static bool grant_step(struct decision *d, uint32_t position, uint64_t target, uint64_t room)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    uint64_t current = d->vms[position].current;
    target = min_u64(target, add_held(current, BALLOON_STEP_MAX));
    /* A minimum that was raised is owed at once: no target is ever below it. */
    target = max_u64(target, d->vms[position].minimum);
    /* Who has not taken what it was given is on its way, or another program has set it lower, which
     * shows in a moment (balloon.c) and is not to be overruled meanwhile. */
    bool taken = sub_or_zero(current, vm->balloon.actual) <= balloon_step(vm);
    bool due = taken && since(d->now, decision_state(d, position)->asked_time) >= BALLOON_INTERVAL;
    bool complete = target == upper_end(d, position) && target > current;
    uint64_t gain = target - current;
    if (!due || gain > room || (gain < balloon_step(vm) && !complete))
        return false;
    if (!balloon_ask(d, position, REASON_BALLOON_RETURN, POOL_INDEX_HOST, target, 0))
        return false;
    grant_book(d, position, gain);
    struct vm_state *state = decision_state(d, position);
    /* What it said of less memory does not make what it gets idle: that it says with it. */
    state->idle_floor = UNKNOWN;
    if (!complete)
        return true;
    /* The measure is over: nothing is left to drift from. */
    state->drift_next = UNKNOWN;
    state->drift_backoff = DRIFT_BACKOFF;
    if (state->marks & MARK_ASKED_DRY) {
        state->marks &= (uint16_t)~MARK_ASKED_DRY;
        state->asked = state->before = UNKNOWN;
    }
    return true;
}

static void grant_among(struct decision *d, uint32_t wanted, uint32_t unwanted)
{
    bool any = false;
    for (uint32_t i = 0; i < d->vm_count; i++) {
        uint32_t traits = d->vms[i].traits & ~(uint32_t)TRAIT_CANDIDATE;
        d->vms[i].traits = traits;
        if ((traits & wanted) != wanted || (traits & unwanted) || !known(d->vms[i].minimum))
            continue;
        if (upper_end(d, i) <= d->vms[i].current || grant_is_barred(d, i))
            continue;
        d->vms[i].traits |= TRAIT_CANDIDATE;
        any = true;
    }
    if (!any || d->room == 0)
        return;
    uint64_t level = level_for(d, d->room);
    for (uint32_t i = 0; i < d->vm_count; i++)
        if (d->vms[i].traits & TRAIT_CANDIDATE)
            (void)grant_step(d, i, level_target(d, i, level), d->room);
}

uint64_t grant_unmet(const struct decision *d, uint32_t position)
{
    return sub_or_zero(upper_end(d, position), d->vms[position].current);
}

uint64_t grant_lacking(const struct decision *d)
{
    const struct pool_view *host = &d->plan->assessment.pools[POOL_INDEX_HOST];
    uint64_t sum = 0;
    if (!known(host->total))
        return 0;
    for (uint32_t i = 0; i < d->vm_count; i++)
        if (d->vms[i].traits & TRAIT_STARVED)
            sum = add_held(sum, grant_unmet(d, i));
    return sub_or_zero(sum, pool_room(d, host, BAND_SCARCE));
}

static bool more_valuable(const struct decision *d, uint32_t a, uint32_t b)
{
    return decision_rules(d, a)->priority > decision_rules(d, b)->priority;
}

bool grant_is_owed(const struct decision *d, uint32_t position)
{
    const uint32_t wanted = TRAIT_STARVED | TRAIT_BUSY;
    uint32_t traits = d->vms[position].traits;
    return (traits & wanted) == wanted && !(traits & TRAIT_REFUSED) &&
           !grant_is_barred(d, position);
}

/* For room that this one could use. */
static bool lesser_wait(const struct decision *d, uint32_t position)
{
    for (uint32_t i = 0; i < d->vm_count; i++)
        if ((d->vms[i].traits & TRAIT_ENFORCED) && resume_is_awaited(d, i) &&
            more_valuable(d, position, i) && !reserve_is_elsewhere(d, position, i))
            return true;
    return false;
}

/* A balloon of ours that a guest starves under stops it as a pause would, beside memory that nobody
 * else may take: where lesser ones wait it gets what they would be resumed with. The host's figures
 * must agree that it uses all it has, and what others grow by is not its. */
static uint64_t room_of_lesser(const struct decision *d, uint32_t position, uint64_t withheld)
{
    if (!grant_is_owed(d, position) || d->state->resumed_at == d->now || !lesser_wait(d, position))
        return 0;
    const struct pool_view *host = &d->plan->assessment.pools[POOL_INDEX_HOST];
    uint64_t before = add_held(withheld, reserve_before_waiting(d, host, position));
    uint64_t own = relief_growth(d, position) >= (int64_t)GROWTH_MEASURABLE
                       ? relief_growth_bytes(d, position, HORIZON)
                       : 0;
    before = add_held(before, sub_or_zero(growth_ahead(d), own));
    uint64_t nodes = sub_or_zero(node_room(d, position), reserve_on_nodes(d, position));
    return min_u64(sub_or_zero(d->resume_room, before), nodes);
}

/* It was fed a moment ago, and had to be pressed by shares for that. Where there is room for all it
 * had there is nothing to guess. */
static bool was_fed_in_vain(const struct decision *d, uint32_t position, uint64_t room)
{
    const struct vm_state *state = decision_state(d, position);
    return (state->marks & MARK_PRESSED) && since(d->now, state->fed_at) < state->fed_hold &&
           room < grant_unmet(d, position);
}

static uint64_t room_for_starved(const struct decision *d, uint32_t position)
{
    const struct pool_view *pools = d->plan->assessment.pools;
    bool scarce =
        pools[POOL_INDEX_HOST].band > BAND_TIGHT || pools[POOL_INDEX_BUDGET].band > BAND_TIGHT;
    uint64_t withheld = resume_withheld(d, decision_rules(d, position)->priority);
    uint64_t room = scarce ? 0 : sub_or_zero(d->starved_room, withheld);
    if (was_fed_in_vain(d, position, room))
        room = 0;
    return max_u64(room, room_of_lesser(d, position, withheld));
}

/* What it was fed stands for longer each time that it did not do. */
static void fed_note(struct decision *d, uint32_t position)
{
    struct vm_state *state = decision_state(d, position);
    uint64_t passed = since(d->now, state->fed_at);
    if (passed >= 2 * state->fed_hold)
        state->fed_hold = FED_HOLD;
    else if (passed >= state->fed_hold)
        state->fed_hold = min_u64(2 * state->fed_hold, FED_HOLD_MAX);
    state->marks &= (uint16_t)~MARK_PRESSED;
    state->fed_at = d->now;
}

void grant_starved(struct decision *d)
{
    uint32_t count = order_sort(d, TRAIT_STARVED, more_valuable);
    for (uint32_t i = 0; i < count && i < STARVED_GRANTS; i++) {
        uint32_t position = d->vms[i].order;
        struct vm_scratch *vm = &d->vms[position];
        if (vm->goal < vm->current || grant_is_barred(d, position))
            continue;
        uint64_t room = room_for_starved(d, position);
        uint64_t before = vm->current;
        uint64_t target = min_u64(upper_end(d, position), add_held(before, room));
        if (target > before && known(vm->minimum) && grant_step(d, position, target, room))
            fed_note(d, position);
        else if (room == 0) /* what it waits for is not a lesser one's */
            d->starved_room = sub_or_zero(d->starved_room, grant_unmet(d, position));
    }
}

void grant_balloons(struct decision *d)
{
    grant_among(d, TRAIT_DEFLATABLE | TRAIT_ENFORCED, TRAIT_REFUSED);
    grant_among(d, TRAIT_DEFLATABLE | TRAIT_ENFORCED, 0);
    /* In dry run, out of what the enforced ones left; nothing of it is real. */
    grant_among(d, TRAIT_DEFLATABLE, TRAIT_ENFORCED);
}
