/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns pausing. A pause frees nothing; it keeps from being taken what the guest would have grown
 * by, and no guest grows beyond its maximum. So only growers are candidates, and only while the
 * pool fills, and only as far as balloons already under way do not bring headroom back above
 * critical within the horizon. More is asked: to leave room for what those may still take who grow
 * and are paused later, so that they get through (reserve.c). For that a guest is paused from
 * scarce on: in critical the room would be gone. For one that is worth more even in tight: scarce
 * begins when a minute is left to the floor, and a minute of that one's growth above critical is
 * not there any more. (In the lab a valuable guest that grew 9 MiB/s ended 100 MiB short of its
 * way.) Its balloon is no reason to wait: what it does not
 * use has been asked for since tight, and a guest that gives it back is no grower; what it uses
 * would be taken more slowly than the room vanishes.
 *
 * Order: those who may be sacrificed before those who are last, then the least valuable, then those
 * who refused, then the faster, then who has more left to take (reserve_yields_before()). One a
 * decision, then the estimators must show it: a pause just decided counts as growth that stops
 * (pause_remaining_fill()) until they do. In a sprint as many as it takes for what still fills to
 * leave the sprint's time, because the next look may be too late.
 *
 * How a guest is stopped: stop.c.
 *
 * Who is braked grows by little, and is stopped all the same before anybody who is worth more: to
 * be slow beside one that stands still is no smaller part (stop_braked()).
 *
 * For a NUMA node only guests bound to it are candidates, and only their growth counts as theirs
 * (node.c).
 *
 * Dry run: a guest that would have been paused counts as stopped for others in dry run, so that the
 * log does not march through all of them; for enforced guests it counts as what it is, running.
 */
#include "pause.h"

#include "brake.h"
#include "node.h"
#include "order.h"
#include "plan_add.h"
#include "pool.h"
#include "relief.h"
#include "reserve.h"
#include "stop.h"

/* What is on its way to be off the guest's growth. In a sprint nobody waits for a brake that does
 * not bite. */
static int64_t settling_of(const struct decision *d, uint32_t position)
{
    bool idle = d->plan->assessment.sprint && brake_fails(d, position);
    return idle ? 0 : decision_state(d, position)->settling;
}

int64_t pause_remaining_fill(
    const struct decision *d, const struct pool_view *pool, bool dry_run_too)
{
    int64_t fill = pool_filling(d, pool);
    for (uint32_t i = 0; i < d->vm_count; i++) {
        if (!(d->vms[i].traits & TRAIT_USABLE) || !node_confines(d, pool, i))
            continue;
        const struct vm_state *state = decision_state(d, i);
        if ((d->vms[i].traits & TRAIT_ENFORCED) && settling_of(d, i) > 0)
            fill = rate_sum(fill, -settling_of(d, i));
        else if (dry_run_too && (state->marks & (MARK_PAUSED_DRY | MARK_KILLED_DRY)))
            fill = rate_sum(fill, -relief_growth(d, i));
        else if (dry_run_too && (state->marks & MARK_BRAKED_DRY))
            fill = rate_sum(fill, -relief_brake(d, i));
    }
    return pool_matters(pool, fill);
}

/* It can be stopped now; whether it should is another question. */
static bool is_open(const struct decision *d, uint32_t position)
{
    const struct vm_state *state = decision_state(d, position);
    uint32_t traits = d->vms[position].traits;
    return (traits & TRAIT_PAUSABLE) && !(traits & (TRAIT_IN_ACTION | TRAIT_STOPPING)) &&
           !(state->marks & (MARK_PAUSED_DRY | MARK_KILLED_DRY)) &&
           (!(traits & TRAIT_UNGREETED) || d->plan->assessment.sprint) &&
           since(d->now, state->pause_asked) >= PAUSE_RETRY;
}

/* LEAST: growth that counts, bytes per second. */
static bool is_candidate(const struct decision *d, uint32_t position, int64_t least)
{
    return is_open(d, position) && relief_growth(d, position) >= least &&
           settling_of(d, position) == 0;
}

/* Its `stop` is on its way, and it grows on, or nobody can say. */
static bool may_freeze_over(const struct decision *d, uint32_t position, int64_t least)
{
    const struct vm_state *state = decision_state(d, position);
    const uint32_t wanted = TRAIT_STOPPING | TRAIT_ENFORCED;
    uint32_t traits = d->vms[position].traits;
    bool unknown = since(d->now, state->growth.time) > GROWTH_STALE;
    bool asked =
        (state->marks & MARK_FROZEN_OVER) && since(d->now, state->pause_asked) < PAUSE_RETRY;
    return (traits & wanted) == wanted && !(traits & TRAIT_IN_ACTION) && !asked &&
           (unknown || relief_growth(d, position) >= least) &&
           (d->plan->assessment.sprint ||
               since(d->now, decision_vm(d, position)->measures.paused_since) >= STOP_PATIENCE);
}

/* Of everybody who grows by LEAST, whether they act or are only watched. */
static int64_t pausable_growth(
    const struct decision *d, const struct pool_view *pool, int64_t least)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < d->vm_count; i++)
        if (((d->vms[i].traits & TRAIT_PAUSABLE) ||
                ((d->vms[i].traits & TRAIT_USABLE) && decision_state(d, i)->settling > 0)) &&
            node_confines(d, pool, i))
            sum = rate_sum(sum, relief_growth(d, i) >= least ? relief_growth(d, i) : 0);
    return sum;
}

/* The growth that a guest must have to be worth a pause. It is lowered only where the guests, those
 * of a node for a node, fill in sum: many idle ones that come and go by a little do not. */
static int64_t least_growth(const struct decision *d, const struct pool_view *pool)
{
    int64_t fill = pool_filling(d, pool), least = (int64_t)GROWTH_MEASURABLE;
    int64_t sum = d->guests_fast < d->guests_slow ? d->guests_fast : d->guests_slow;
    if (pool->kind == POOL_NODE)
        sum = d->confined_growth[pool->node];
    if (sum < fill / 2)
        return least;
    while (least > (int64_t)GROWTH_LEAST && pausable_growth(d, pool, least) < fill / 2)
        least /= GROWTH_STEP;
    return least;
}

int64_t pause_possible(const struct decision *d, const struct pool_view *pool)
{
    int64_t sum = 0, least = least_growth(d, pool);
    for (uint32_t i = 0; i < d->vm_count; i++) {
        if (!(d->vms[i].traits & TRAIT_ENFORCED) || !node_confines(d, pool, i))
            continue;
        /* What is settling is out of the fill already. */
        bool over = decision_state(d, i)->settling == 0 && may_freeze_over(d, i, least);
        if (over || is_candidate(d, i, least))
            sum = rate_sum(sum, relief_growth(d, i));
    }
    return sum;
}

bool pause_settling(const struct decision *d)
{
    for (uint32_t i = 0; i < d->vm_count; i++)
        if ((d->vms[i].traits & TRAIT_ENFORCED) && decision_state(d, i)->settling > 0)
            return true;
    return false;
}

/* Stopping all who can be stopped would make a difference, or stopping this one. Who grows by
 * little beside something else that fills is not paused for it. */
static bool makes_difference(const struct decision *d, uint32_t position, int64_t fill, int64_t all)
{
    int64_t growth = relief_growth(d, position);
    bool alone = growth >= fill / PAUSE_SHARE_DIVISOR && growth >= (int64_t)GROWTH_MEASURABLE;
    return all >= fill / 2 || alone;
}

/* What one pool needs, kept while guests are chosen so that each costs the same. Enforced guests
 * see `real`, those in dry run `all`, which counts what other dry runs would have done. */
struct need {
    const struct pool_view *pool;
    int64_t least;     /* growth that is worth a pause */
    uint64_t critical; /* threshold */
    int64_t real_fill, all_fill;
    uint64_t real_excess, all_excess; /* of the fill: what cannot be, because
                                       * guests end at their maximum */
    uint64_t real_pending, all_pending;
    uint64_t real_end, all_end; /* the most that everybody who grows can ever take */
};

static void need_bound(const struct decision *d, struct need *need)
{
    int64_t known_growth = 0;
    for (uint32_t i = 0; i < d->vm_count; i++) {
        const struct vm_state *state = decision_state(d, i);
        if (!(d->vms[i].traits & TRAIT_USABLE) || state->settling > 0 ||
            !node_confines(d, need->pool, i))
            continue;
        uint64_t excess = relief_growth_excess(d, i, STOP_TIME);
        uint64_t end = relief_growth_bytes(d, i, NEVER);
        known_growth = rate_sum(known_growth, end > 0 ? relief_growth(d, i) : 0);
        need->real_excess = add_held(need->real_excess, excess);
        need->real_end = add_held(need->real_end, end);
        if (state->marks & (MARK_PAUSED_DRY | MARK_KILLED_DRY))
            continue;
        need->all_excess = add_held(need->all_excess, excess);
        need->all_end = add_held(need->all_end, end);
    }
    uint64_t others = rate_bytes(rate_sum(need->real_fill, -known_growth), HORIZON);
    need->real_end = add_held(need->real_end, others);
    need->all_end = add_held(need->all_end, others);
}

static struct need need_of(const struct decision *d, const struct pool_view *pool)
{
    struct need need = {
        .pool = pool,
        .least = least_growth(d, pool),
        .critical = pool_enter(d, pool, BAND_CRITICAL),
        .real_fill = pause_remaining_fill(d, pool, false),
        .all_fill = pause_remaining_fill(d, pool, true),
    };
    need_bound(d, &need);
    /* In a sprint balloons are too slow to be counted. */
    if (!pool->sprint) {
        need.real_pending = relief_balloons_pending(d, pool, false);
        need.all_pending = relief_balloons_pending(d, pool, true);
    }
    return need;
}

static void need_less(const struct decision *d, struct need *need, uint32_t position)
{
    bool enforced = d->vms[position].traits & TRAIT_ENFORCED;
    int64_t growth = relief_growth(d, position);
    uint64_t excess = relief_growth_excess(d, position, STOP_TIME);
    need->all_excess = sub_or_zero(need->all_excess, excess);
    uint64_t end = relief_growth_bytes(d, position, NEVER);
    need->all_end = sub_or_zero(need->all_end, end);
    if (enforced) {
        need->real_excess = sub_or_zero(need->real_excess, excess);
        need->real_end = sub_or_zero(need->real_end, end);
    }
    need->all_fill = pool_matters(need->pool, rate_sum(need->all_fill, -growth));
    if (enforced)
        need->real_fill = pool_matters(need->pool, rate_sum(need->real_fill, -growth));
}

/* With minutes left nobody is frozen who cannot be stopped, nor stopped who is braked as soon as
 * memory is scarce; and a node in tight is nothing special. */
static bool may_be_early(const struct decision *d, const struct need *need, uint32_t position)
{
    bool enforced = d->vms[position].traits & TRAIT_ENFORCED;
    bool braked = (d->vms[position].traits & TRAIT_BRAKABLE) &&
                  (enforced ? need->real_pending : need->all_pending) >= BRAKE_PENDING_MIN;
    return need->pool->kind != POOL_NODE && !braked &&
           decision_vm(d, position)->monitor == VM_MONITOR_READY &&
           !(decision_state(d, position)->marks & MARK_STOP_FAILED);
}

/* Before a pause decided later could take hold, what fills takes more than headroom above critical
 * and pending balloons can give; or that would leave less than others may take. Once somebody is
 * being stopped in a sprint, what counts is to get out of the sprint; the next look sees to the
 * rest, and to others. */
static struct shortage shortage_of(
    const struct decision *d, const struct need *need, uint32_t position)
{
    const struct shortage none = {.reason = REASON_NONE};
    const struct pool_view *pool = need->pool;
    bool enforced = d->vms[position].traits & TRAIT_ENFORCED;
    int64_t fill = enforced ? need->real_fill : need->all_fill;
    uint64_t has = pool->headroom > 0 ? (uint64_t)pool->headroom : 0;
    if (fill == 0)
        return none;
    const struct shortage growth = {REASON_PAUSE_GROWTH, pool_deficit(d, pool, BAND_CRITICAL)};
    if (pool->sprint && d->paused)
        return has <= rate_bytes(fill, SPRINT_TIME) ? growth : none;
    if (has >= (enforced ? need->real_end : need->all_end))
        return none; /* all of them can come to their end without the floor being touched */
    has = add_held(has, enforced ? need->real_pending : need->all_pending);
    uint64_t excess = enforced ? need->real_excess : need->all_excess;
    uint64_t wanted = add_held(sub_or_zero(rate_bytes(fill, STOP_TIME), excess), need->critical);
    if (pool->band >= BAND_CRITICAL && has < wanted)
        return growth;
    if (pool->sprint)
        return none;

    bool early = pool->band < BAND_SCARCE;
    if (early && !may_be_early(d, need, position))
        return none;
    uint64_t valuable = reserve_for_valuable(d, pool, position);
    if (valuable > 0 && has < add_held(wanted, valuable))
        return (struct shortage){REASON_PAUSE_FOR_VALUABLE, add_held(wanted, valuable) - has};
    if (early)
        return none;
    uint64_t equals = reserve_for_equals(d, pool, position);
    wanted = add_held(need->critical, add_held(valuable, reserve_expected(d, position)));
    if (equals > 0 && has < add_held(wanted, equals))
        return (struct shortage){REASON_PAUSE_FOR_EQUAL, add_held(wanted, equals) - has};
    return none;
}

/* Headroom above critical, and LESS, lasts for a `stop`, with all whose own may yet hang. */
static bool has_for_stop(const struct decision *d, const struct need *need, uint64_t less)
{
    int64_t fill = need->real_fill;
    for (uint32_t i = 0; i < d->vm_count; i++)
        if ((d->vms[i].traits & TRAIT_STOPPING) && !(d->vms[i].traits & TRAIT_IN_ACTION) &&
            node_confines(d, need->pool, i))
            fill = rate_sum(fill, decision_state(d, i)->settling);
    uint64_t has = need->pool->headroom > 0 ? (uint64_t)need->pool->headroom : 0;
    return has >= add_held(less, add_held(rate_bytes(fill, STOP_TIME), need->critical));
}

/* Who would be stopped next, if that is still needed then. In a sprint nobody is looked for. */
static struct rival runner_up(
    const struct decision *d, const struct pool_view *pool, uint32_t position)
{
    struct rival rival = {
        .slot = ACTION_SLOT_HOST, .reason = pool->sprint ? RIVAL_UNSOUGHT : RIVAL_NONE};
    /* Who is frozen through its own `stop` comes out of the order. */
    bool over = d->vms[position].traits & TRAIT_STOPPING;
    uint32_t first = UINT32_MAX;
    for (uint32_t i = 0; i < d->vm_count && !pool->sprint; i++)
        if (i != position && is_candidate(d, i, (int64_t)GROWTH_LEAST) &&
            !((d->vms[i].traits ^ d->vms[position].traits) & TRAIT_ENFORCED) &&
            node_confines(d, pool, i) && (over || !reserve_yields_before(d, i, position)) &&
            (first == UINT32_MAX || reserve_yields_before(d, i, first)))
            first = i;
    if (first == UINT32_MAX)
        return rival;
    const struct vm_rules *rules = decision_rules(d, first), *own = decision_rules(d, position);
    rival.slot = decision_vm(d, first)->slot;
    rival.reason = RIVAL_NEXT;
    if (rules->sacrifice != own->sacrifice) {
        rival.reason = RIVAL_LAST;
    } else if (loss_pause(rules) > loss_pause(own)) {
        rival.reason = RIVAL_DEARER;
        rival.figure = loss_pause(rules) - loss_pause(own);
    }
    return rival;
}

static bool pause_one(
    struct decision *d, uint32_t position, uint32_t pool, const struct shortage *shortage)
{
    struct rival rival = runner_up(d, &d->plan->assessment.pools[pool], position);
    return stop_guest(d, position, pool, shortage, &rival);
}

/* Freezes whoever grows through its `stop`, where what is left will not last for the `stop` of
 * somebody else. Nobody new is harmed by it, so this comes first. */
static bool freeze_over(struct decision *d, uint32_t index, struct need *need)
{
    struct shortage shortage = {REASON_FREEZE_SILENT, pool_deficit(d, need->pool, BAND_CRITICAL)};
    for (uint32_t i = 0; i < d->vm_count; i++)
        if (may_freeze_over(d, i, need->least) && node_confines(d, need->pool, i) &&
            !has_for_stop(d, need, reserve_soon(d, need->pool, i)) &&
            !pause_one(d, i, index, &shortage))
            return false;
    return true;
}

/* The first to be stopped of those who are worth less than the guest at POSITION and are held back
 * by no more than a brake, or grow by LEAST or more; UINT32_MAX: nobody is. */
static uint32_t lesser_one(
    const struct decision *d, const struct pool_view *pool, uint32_t position, int64_t least)
{
    uint32_t first = UINT32_MAX;
    for (uint32_t i = 0; i < d->vm_count; i++)
        if (is_open(d, i) && !((d->vms[i].traits ^ d->vms[position].traits) & TRAIT_ENFORCED) &&
            (brake_holds_back(d, i) || (settling_of(d, i) == 0 && relief_growth(d, i) >= least)) &&
            node_confines(d, pool, i) && reserve_is_worth_less(d, i, position) &&
            (first == UINT32_MAX || reserve_yields_before(d, i, first)))
            first = i;
    return first;
}

/* Whoever is only braked is stopped in the place of a guest that is worth more; in a sprint, beside
 * it. PLACE is that guest's in the order, which begins with all who are worth less, and BELOW how
 * far those have been seen to. True: there was somebody. */
static bool stop_braked(struct decision *d, uint32_t index, struct need *need, uint32_t *below,
    uint32_t place, const struct shortage *shortage)
{
    uint32_t position = d->vms[place].order, i = *below;
    bool sprint = need->pool->sprint, any = false;
    for (; i < place && (!any || sprint); i++) {
        uint32_t braked = d->vms[i].order;
        if (!reserve_is_worth_less(d, braked, position))
            break;
        if (!is_open(d, braked) || !brake_holds_back(d, braked) ||
            ((d->vms[braked].traits ^ d->vms[position].traits) & TRAIT_ENFORCED) ||
            !node_confines(d, need->pool, braked) || !pause_one(d, braked, index, shortage))
            continue;
        need_less(d, need, braked);
        any = true;
    }
    if (sprint)
        *below = i;
    return any;
}

bool pause_for_brake(
    struct decision *d, uint32_t index, uint32_t position, enum reason reason, uint64_t deficit)
{
    const struct shortage shortage = {reason, deficit};
    const struct pool_view *pool = &d->plan->assessment.pools[index];
    int64_t shown = relief_growth(d, position), before = decision_state(d, position)->brake_growth;
    int64_t least = (shown > before ? shown : before) / PAUSE_SHARE_DIVISOR;
    if (least < (int64_t)GROWTH_MEASURABLE)
        least = (int64_t)GROWTH_MEASURABLE;
    if (!is_open(d, position))
        return false;
    uint32_t lesser = lesser_one(d, pool, position, least);
    return pause_one(d, lesser == UINT32_MAX ? position : lesser, index, &shortage);
}

static void pause_for(struct decision *d, uint32_t index)
{
    const struct pool_view *pool = &d->plan->assessment.pools[index];
    if (!known(pool->total) || pool->band < BAND_TIGHT)
        return;
    bool sprint = pool->sprint;
    struct need need = need_of(d, pool);
    if (pool->band >= BAND_SCARCE && !freeze_over(d, index, &need))
        return;
    /* Nobody need be stopped where nothing fills, and to sort them all is a fifth of a decision. */
    if (need.real_fill == 0 && need.all_fill == 0)
        return;
    int64_t fill = pool_filling(d, pool), all = pausable_growth(d, pool, need.least);
    bool real_done = d->paused && !sprint, dry_done = false;
    uint32_t count = order_sort(d, TRAIT_PAUSABLE, reserve_yields_before), below = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t position = d->vms[i].order;
        bool enforced = d->vms[position].traits & TRAIT_ENFORCED;
        if (!is_candidate(d, position, need.least) || !node_confines(d, pool, position) ||
            !makes_difference(d, position, fill, all) || (enforced ? real_done : dry_done))
            continue;
        struct shortage shortage = shortage_of(d, &need, position);
        if (shortage.reason == REASON_NONE) {
            real_done = real_done || enforced;
            dry_done = dry_done || !enforced;
            continue;
        }
        if (shortage.reason != REASON_PAUSE_GROWTH &&
            brake_instead(d, index, position, shortage.bytes)) {
            /* Nor need anybody who is worth more be paused meanwhile. */
            real_done = real_done || enforced;
            dry_done = dry_done || !enforced;
            continue;
        }
        if (!stop_braked(d, index, &need, &below, i, &shortage) || sprint) {
            if (!pause_one(d, position, index, &shortage))
                return;
            need_less(d, &need, position);
        }
        real_done = real_done || (enforced && !sprint);
        dry_done = dry_done || (!enforced && !sprint);
    }
}

void pause_growers(struct decision *d)
{
    for (uint32_t i = 0; i < d->plan->assessment.pool_count; i++)
        pause_for(d, i);
}
