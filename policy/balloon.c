/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns inflation: who gives how much, and whether it came.
 *
 * Sharing out. A water level stands for memory above the minimum per share: at level L each guest
 * keeps its minimum and L × shares of the rest. The level sinks, found by bisection in exact
 * integers, until what is forced out covers the deficit: so who has most above its minimum per
 * share gives first, and nobody goes below its own floor. In tight that floor is what the guest
 * needs by its own statistics; from scarce, after the idle memory, it is the minimum. A guest that
 * has nothing idle, by its own word and by its RSS, is spared this while a lesser one can give or
 * wait in its place. Since pending targets are part of each guest's start, no deficit is asked for
 * twice.
 *
 * Dry run. Guests that are only watched must not hide a deficit from those that act: enforced
 * guests are filled first, as if alone; the others then show what they would add to it.
 *
 * Steps. The level says where targets shall go; a guest is moved at most 1 GiB below its `actual`
 * per second, so that a target can be turned around, and is never asked for crumbs.
 *
 * Verification. A round begins with the first target and is judged after ten seconds by RSS, not by
 * `actual`: a guest that returned too little is stuck, and counts for nothing until a cool-down
 * that doubles has passed. Only one that kept what it had itself called idle has refused: it is
 * reported, and comes before others when somebody has to go.
 */
#include "balloon.h"

#include "admission.h"
#include "arrival.h"
#include "node.h"
#include "plan_add.h"
#include "pool.h"
#include "relief.h"

/* Water levels are in 1/1024 byte per share, so that guests with 1000 shares are filled to the
 * byte. */
#define LEVEL_UNIT 1024

uint64_t balloon_step(const struct vm_snapshot *vm)
{
    return max_u64(BALLOON_STEP_MIN, known_or(vm->maximum, 0) / BALLOON_STEP_DIVISOR);
}

uint64_t balloon_level_bytes(const struct vm_rules *rules, uint64_t level)
{
    return scale_u64(level, rules->shares, LEVEL_UNIT);
}

uint64_t balloon_level_of(const struct vm_rules *rules, uint64_t bytes)
{
    return add_held(scale_u64(bytes, LEVEL_UNIT, rules->shares > 0 ? rules->shares : 1), 1);
}

static void begin_round(struct decision *d, uint32_t position)
{
    const struct vm_scratch *scratch = &d->vms[position];
    struct vm_state *state = decision_state(d, position);
    state->round_since = d->now;
    state->round_rss = decision_vm(d, position)->rss;
    state->round_resident = scratch->resident;
    state->round_growth = relief_growth(d, position);
    /* What it never touched is idle, too, but cannot come back. */
    state->round_idle =
        sub_or_zero(scratch->resident, add_held(scratch->idle_floor, QEMU_OVERHEAD));
}

bool balloon_ask(struct decision *d, uint32_t position, enum reason reason, uint32_t pool,
    uint64_t target, uint64_t deficit)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    struct vm_state *state = decision_state(d, position);
    struct vm_scratch *scratch = &d->vms[position];
    struct action *action = plan_add(d, ACTION_BALLOON, reason, position, pool);
    if (!action)
        return false;
    const struct pool_view *view = &d->plan->assessment.pools[pool];
    action->target = target;
    action->deficit = deficit;
    action->relief = sub_or_zero(relief_balloon(d, view, position, target),
        relief_balloon(d, view, position, scratch->current));
    action->predicted =
        scale_u64(sub_or_zero(vm->balloon.actual, target), NSEC_PER_SEC, BALLOON_STEP_MAX);

    state->asked = target;
    state->asked_time = d->now;
    state->asked_actual = vm->balloon.actual;
    state->other_since = UNKNOWN;
    state->marks &= (uint16_t) ~(MARK_SETTLED | MARK_REACHED | MARK_ASKED_DRY);
    if (!(scratch->traits & TRAIT_ENFORCED)) {
        state->marks |= MARK_ASKED_DRY;
        if (!known(state->before))
            state->before = vm->balloon.actual;
    } else if (!known(state->round_since) && target < scratch->resident) {
        begin_round(d, position);
    }
    return true;
}

/* ---- verification ---- */

static void judge_round(struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    struct vm_state *state = decision_state(d, position);
    struct vm_scratch *scratch = &d->vms[position];
    uint64_t elapsed = since(d->now, state->round_since);
    uint64_t asked = sub_or_zero(state->round_resident, scratch->current);
    uint64_t fell = sub_or_zero(state->round_rss, vm->rss);
    if (asked < balloon_step(vm)) {
        state->round_since = UNKNOWN; /* given back meanwhile */
        return;
    }
    if (elapsed < STUCK_AFTER)
        return;

    /* A guest that grew when it was asked may use up part of what it returns, but never all. */
    uint64_t grown = rate_bytes(state->round_growth, elapsed);
    uint64_t needed = asked / STUCK_DIVISOR -
                      min_u64(grown, asked / STUCK_DIVISOR - asked / STUCK_GROWING_DIVISOR);
    state->round_since = UNKNOWN;
    if (fell >= needed) {
        state->stuck_cooldown = STUCK_COOLDOWN;
        if (sub_or_zero(scratch->resident, scratch->current) >= balloon_step(vm)) {
            begin_round(d, position);
        }
        return;
    }
    /* It is no refusal that a guest keeps what it uses: only what it called idle it owed. */
    state->marks &= (uint16_t)~MARK_REFUSED;
    if (state->round_idle >= balloon_step(vm) && fell < state->round_idle / STUCK_DIVISOR) {
        plan_alert_vm(d, REASON_STUCK, position, node_worst_pool(d, position));
        state->marks |= MARK_REFUSED;
        scratch->traits |= TRAIT_REFUSED;
    }
    state->stuck_until = add_held(d->now, state->stuck_cooldown);
    state->stuck_cooldown = min_u64(2 * state->stuck_cooldown, STUCK_COOLDOWN_MAX);
    scratch->traits |= TRAIT_STUCK;
    scratch->traits &= ~(uint32_t)TRAIT_INFLATABLE;
}

static void correct_drift(struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    struct vm_state *state = decision_state(d, position);
    uint64_t target = max_u64(d->vms[position].current, d->vms[position].minimum);
    if (sub_or_zero(vm->balloon.actual, target) <= balloon_step(vm)) {
        state->marks |= MARK_SETTLED;
        return;
    }
    bool due = !known(state->drift_next) || d->now >= state->drift_next;
    uint32_t worst = node_worst_pool(d, position);
    if (!(state->marks & MARK_SETTLED) || !due ||
        d->plan->assessment.pools[worst].band == BAND_CALM)
        return;
    if (balloon_ask(d, position, REASON_BALLOON_DRIFT, worst, target, 0)) {
        state->drift_next = add_held(d->now, state->drift_backoff);
        state->drift_backoff = min_u64(2 * state->drift_backoff, DRIFT_BACKOFF_MAX);
    }
}

static bool rests_at_target(const struct vm_snapshot *vm)
{
    uint64_t target = vm->measures.balloon_target, actual = vm->balloon.actual;
    return known(actual) && sub_or_zero(target, actual) <= balloon_step(vm) &&
           sub_or_zero(actual, target) <= balloon_step(vm);
}

/* Of our own doing nothing lowers a balloon that rests at its target, nor does a guest that wants
 * memory: it is another program. It has its reasons, so the measure ends there; what a guard takes
 * later it gives back to that. The guest's own word is not enough, for `actual` is what it writes
 * there (QEMU's virtio_balloon_set_config()): the host must have the memory. */
static bool is_set_lower(const struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    const struct vm_state *state = decision_state(d, position);
    uint64_t target = vm->measures.balloon_target, actual = vm->balloon.actual;
    if (!known(actual) || sub_or_zero(target, actual) <= balloon_step(vm))
        return false;
    /* On its way up it has turned round. */
    bool fallen = known(state->asked_actual) && state->asked_actual <= target &&
                  sub_or_zero(state->asked_actual, actual) > balloon_step(vm);
    uint64_t given = add_held(
        actual, add_held(balloon_step(vm),
                    max_u64(QEMU_OVERHEAD, known_or(vm->maximum, 0) / QEMU_OVERHEAD_DIVISOR)));
    return (fallen || (state->marks & MARK_REACHED)) && known(vm->rss) && vm->rss <= given;
}

static bool yield_to_other(struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    struct vm_state *state = decision_state(d, position);
    if (rests_at_target(vm))
        state->marks |= MARK_REACHED;
    if (!is_set_lower(d, position)) {
        state->other_since = UNKNOWN;
        return false;
    }
    if (!known(state->other_since))
        state->other_since = d->now;
    if (since(d->now, state->other_since) < OTHER_AFTER)
        return false;
    struct action *action =
        plan_add(d, ACTION_BALLOON, REASON_BALLOON_OTHER, position, POOL_INDEX_HOST);
    if (!action)
        return false;
    action->target = UNKNOWN;
    action->relief = sub_or_zero(vm->measures.balloon_target, vm->balloon.actual);
    state->asked_time = d->now;
    state->other_since = UNKNOWN;
    state->round_since = state->drift_next = UNKNOWN;
    state->drift_backoff = DRIFT_BACKOFF;
    state->marks &= (uint16_t)~MARK_REACHED;
    return true;
}

void balloon_verify(struct decision *d)
{
    for (uint32_t i = 0; i < d->vm_count; i++) {
        uint32_t traits = d->vms[i].traits;
        if (!(traits & TRAIT_USABLE))
            continue;
        const struct vm_measures *measures = &decision_vm(d, i)->measures;
        bool in_force =
            (measures->in_force & VM_MEASURE_BALLOON) && known(measures->balloon_target);
        if (!(traits & TRAIT_ENFORCED) || !(traits & (TRAIT_INFLATABLE | TRAIT_STUCK))) {
            decision_state(d, i)->other_since = UNKNOWN; /* what it was last seen at is old */
            continue;
        }
        if ((in_force && yield_to_other(d, i)) || !(traits & TRAIT_INFLATABLE))
            continue;
        if (known(decision_state(d, i)->round_since))
            judge_round(d, i);
        if (in_force && (d->vms[i].traits & TRAIT_INFLATABLE))
            correct_drift(d, i);
    }
}

/* ---- sharing out ---- */

struct fill {
    const struct pool_view *pool;
    bool idle_only;  /* down to what is idle, else to the minimum */
    bool bound_only; /* who could be elsewhere, too, is not pressed for a node */
    bool enforced;   /* whose targets move: enforced guests, else those in dry run */
    bool for_start;  /* for a guest that starts */
    uint32_t spared; /* who is busy, and of more than this priority, keeps what it uses */
    uint64_t deficit;
};

static uint64_t fill_floor(const struct decision *d, const struct fill *fill, uint32_t position)
{
    const struct vm_scratch *vm = &d->vms[position];
    const struct vm_state *state = decision_state(d, position);
    /* From scarce on all that is idle is wanted. */
    bool held = fill->idle_only && !fill->for_start && fill->pool->band < BAND_SCARCE &&
                since(d->now, state->fed_at) < state->fed_hold;
    if (held)
        return vm->goal;
    bool spared = (vm->traits & TRAIT_BUSY) && decision_rules(d, position)->priority > fill->spared;
    uint64_t floor = fill->idle_only || spared ? vm->idle_floor : vm->minimum;
    return min_u64(floor, vm->goal); /* UNKNOWN: stays where it is */
}

/* Whether it uses what it has is known, or never will be. In calm guests are seldom asked, and are
 * first heard once a start needs room: nobody is pressed for it by old figures. */
static bool is_heard(const struct decision *d, uint32_t position)
{
    uint64_t updated = decision_vm(d, position)->statistics.updated;
    return !known(updated) || since(d->now, updated) <= STATISTICS_STALE;
}

static bool fill_moves(const struct decision *d, const struct fill *fill, uint32_t position)
{
    uint32_t traits = d->vms[position].traits;
    return (traits & TRAIT_INFLATABLE) && !!(traits & TRAIT_ENFORCED) == fill->enforced &&
           known(d->vms[position].minimum) &&
           (fill->pool->kind != POOL_NODE || node_held(d, position, fill->pool->node) > 0) &&
           (!fill->bound_only || node_confines(d, fill->pool, position)) &&
           (!fill->for_start || is_heard(d, position));
}

static uint64_t fill_target(
    const struct decision *d, const struct fill *fill, uint32_t position, uint64_t level)
{
    uint64_t kept =
        add_held(d->vms[position].minimum, balloon_level_bytes(decision_rules(d, position), level));
    return min_u64(d->vms[position].goal, max_u64(fill_floor(d, fill, position), kept));
}

/* What targets at LEVEL force out, with those that do not move as they are. */
static uint64_t fill_relief(const struct decision *d, const struct fill *fill, uint64_t level)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < d->vm_count; i++) {
        uint32_t traits = d->vms[i].traits;
        if (!(traits & TRAIT_INFLATABLE) || (fill->enforced && !(traits & TRAIT_ENFORCED)))
            continue;
        uint64_t target = fill_moves(d, fill, i) ? fill_target(d, fill, i, level) : d->vms[i].goal;
        sum = add_held(sum, relief_balloon(d, fill->pool, i, target));
    }
    return sum;
}

/* The highest level that covers the deficit; 0 when none does. */
static uint64_t fill_level(const struct decision *d, const struct fill *fill)
{
    uint64_t low = 0, high = 0;
    for (uint32_t i = 0; i < d->vm_count; i++) {
        if (!fill_moves(d, fill, i))
            continue;
        uint64_t above = sub_or_zero(d->vms[i].goal, d->vms[i].minimum);
        high = max_u64(high, balloon_level_of(decision_rules(d, i), above));
    }
    if (fill_relief(d, fill, 0) < fill->deficit)
        return 0;
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (fill_relief(d, fill, middle) >= fill->deficit)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* What a cut must free to be asked for. It would else be in the guest's way, once it grows, for
 * next to nothing: in the lab a valuable one was denied 400 MiB for four. For a start all counts.
 */
static uint64_t fill_worth(const struct fill *fill, uint64_t cut)
{
    return fill->for_start ? 0 : cut / BALLOON_WORTH_DIVISOR;
}

/* Moves goals to the level. Cuts too small to ask for are rounded up for as many guests as the
 * deficit still needs, so that a deficit spread over many guests is not lost between them. */
static void fill_apply(struct decision *d, const struct fill *fill, uint32_t pool)
{
    uint64_t covered = fill_relief(d, fill, NEVER);
    if (covered >= fill->deficit)
        return;
    uint64_t level = fill_level(d, fill);
    for (uint32_t round = 0; round < 2; round++) {
        bool crumbs = round == 1;
        for (uint32_t i = 0; i < d->vm_count; i++) {
            if (!fill_moves(d, fill, i))
                continue;
            struct vm_scratch *vm = &d->vms[i];
            uint64_t target = fill_target(d, fill, i, level);
            uint64_t step = balloon_step(decision_vm(d, i));
            if (target >= vm->goal || (vm->current - target < step) != crumbs)
                continue;
            if (crumbs) {
                if (covered >= fill->deficit ||
                    vm->current < add_held(fill_floor(d, fill, i), step))
                    continue;
                target = vm->current - step;
            }
            uint64_t before = relief_balloon(d, fill->pool, i, vm->goal);
            uint64_t gain = relief_balloon(d, fill->pool, i, target) - before;
            if (gain <= fill_worth(fill, vm->goal - target))
                continue; /* next to nothing is resident above the target */
            covered = add_held(covered, gain);
            vm->goal = target;
            vm->pool = pool;
            if (fill->for_start)
                vm->traits |= TRAIT_FOR_START;
            else if (!fill->idle_only)
                vm->traits |= TRAIT_BY_SHARE;
        }
    }
}

/* The least priority among those that can be made to give or wait, or that wait already: while
 * there are such, nobody more valuable is squeezed out of what it uses. */
static uint32_t least_priority(const struct decision *d, const struct fill *fill)
{
    uint32_t least = UINT32_MAX;
    for (uint32_t i = 0; i < d->vm_count; i++) {
        const struct vm_scratch *vm = &d->vms[i];
        if (!(vm->traits & TRAIT_ENFORCED) ||
            (fill->bound_only && !node_confines(d, fill->pool, i)))
            continue;
        bool gives = (vm->traits & TRAIT_INFLATABLE) && vm->goal > vm->minimum;
        uint32_t priority = decision_rules(d, i)->priority;
        if ((gives || (vm->traits & (TRAIT_PAUSABLE | TRAIT_PAUSED))) && priority < least)
            least = priority;
    }
    return least;
}

static void fill_pool(struct decision *d, uint32_t index, bool enforced)
{
    const struct pool_view *pool = &d->plan->assessment.pools[index];
    if (!known(pool->total) || pool->band < BAND_TIGHT || !node_is_claimed(d, pool))
        return;
    struct fill fill = {.pool = pool, .idle_only = true, .enforced = enforced};
    fill.deficit = pool_deficit(d, pool, BAND_TIGHT);
    if (fill.deficit > 0)
        fill_apply(d, &fill, index);

    /* A node alone is no reason to press guests to their minimum while what comes next can still be
     * placed elsewhere: only those for whom it cannot, while one of them grows. */
    const struct pool_view *host = &d->plan->assessment.pools[POOL_INDEX_HOST];
    fill.bound_only = pool->kind == POOL_NODE && host->band < BAND_TIGHT;
    if (pool->band < BAND_SCARCE || (fill.bound_only && !(d->confined_nodes >> pool->node & 1)))
        return;
    fill.idle_only = false;
    fill.spared = least_priority(d, &fill);
    fill.deficit = pool_deficit(d, pool, BAND_SCARCE);
    if (fill.deficit > 0)
        fill_apply(d, &fill, index);
}

/* Room for guests that start, in any band: what is idle first, then by shares. Nothing is kept for
 * anybody in dry run. */
static void fill_for_starts(struct decision *d, uint32_t index)
{
    const struct pool_view *pool = &d->plan->assessment.pools[index];
    struct fill fill = {.pool = pool, .idle_only = true, .enforced = true, .for_start = true};
    fill.deficit = admission_lacking(d, pool);
    if (fill.deficit == 0)
        return;
    fill_apply(d, &fill, index);
    fill.idle_only = false;
    fill.spared = least_priority(d, &fill);
    if (arrival_priority(d) < fill.spared)
        fill.spared = arrival_priority(d);
    fill_apply(d, &fill, index);
}

/* One step from where the guest is towards its goal; its target stays where it is if none is due.
 */
static void step_towards_goal(struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    struct vm_scratch *scratch = &d->vms[position];
    uint64_t from = min_u64(vm->balloon.actual, scratch->current);
    uint64_t target = max_u64(scratch->goal, sub_or_zero(from, BALLOON_STEP_MAX));
    target = max_u64(target, scratch->minimum);
    bool due = since(d->now, decision_state(d, position)->asked_time) >= BALLOON_INTERVAL;
    bool worth = sub_or_zero(scratch->current, target) >= balloon_step(vm);
    bool by_share = scratch->traits & TRAIT_BY_SHARE;
    enum reason reason = by_share ? REASON_BALLOON_SHARE : REASON_BALLOON_IDLE;
    const struct pool_view *pool = &d->plan->assessment.pools[scratch->pool];
    uint64_t deficit = pool_deficit(d, pool, by_share ? BAND_SCARCE : BAND_TIGHT);
    if (scratch->traits & TRAIT_FOR_START) {
        reason = REASON_BALLOON_START;
        deficit = admission_lacking(d, pool);
    }
    if (due && worth && balloon_ask(d, position, reason, scratch->pool, target, deficit)) {
        scratch->goal = target;
        if (by_share && (scratch->traits & TRAIT_ENFORCED))
            decision_state(d, position)->marks |= MARK_PRESSED;
    } else {
        scratch->goal = scratch->current;
    }
}

void balloon_inflate(struct decision *d)
{
    enum band band = d->plan->assessment.band;
    if (band <= d->state->inflated_band && since(d->now, d->state->inflated_at) < BALLOON_LOOK)
        return;
    d->state->inflated_at = d->now;
    d->state->inflated_band = band;
    for (uint32_t i = 0; i < d->plan->assessment.pool_count; i++)
        fill_pool(d, i, true);
    for (uint32_t i = 0; i < d->plan->assessment.pool_count; i++)
        fill_for_starts(d, i);
    for (uint32_t i = 0; i < d->plan->assessment.pool_count; i++)
        fill_pool(d, i, false);
    for (uint32_t i = 0; i < d->vm_count; i++)
        if ((d->vms[i].traits & TRAIT_INFLATABLE) && d->vms[i].goal < d->vms[i].current)
            step_towards_goal(d, i);
}
