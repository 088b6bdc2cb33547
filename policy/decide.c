/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the decision as a whole: the order in which the parts look at one snapshot. What it cannot
 * know it leaves alone.
 *
 * First everything is brought up to date: guests, pools, bands, the fate of earlier actions. Then
 * what is short is relieved, in order of harm; in a sprint, where a balloon cannot help in time,
 * growers are stopped first, and nobody is braked. What is left over is given back, to paused
 * guests before ballooned ones; what those who wait are still lacking is had from swap. Last come
 * the kernel's order, the limits of processes and cgroups, and the time of the next look.
 */
#include "admission.h"
#include "balloon.h"
#include "brake.h"
#include "bridge.h"
#include "contain.h"
#include "ends.h"
#include "grant.h"
#include "kill.h"
#include "leak.h"
#include "memlock.h"
#include "node.h"
#include "observe.h"
#include "oom_score.h"
#include "pause.h"
#include "pinned.h"
#include "plan_add.h"
#include "pool.h"
#include "reclaim.h"
#include "resize.h"
#include "resume.h"
#include "stall.h"

static void begin_plan(struct plan *plan, uint64_t time)
{
    uint32_t capacity = plan->action_capacity;
    __builtin_memset(plan, 0, sizeof(*plan));
    plan->action_capacity = capacity;
    plan->time = time;
    plan->next_wake = WAKE_MAX;
}

/* What a dry run counted as pending is void once nobody would be killed, or paused, any more: the
 * next time is a new story. */
static void forget_dry_run(struct decision *d)
{
    enum band band = d->plan->assessment.band;
    uint16_t marks = band < BAND_CRITICAL ? MARK_KILLED_DRY : 0;
    for (uint32_t i = 0; i < d->vm_count; i++) {
        if (!(d->vms[i].traits & TRAIT_USABLE))
            continue;
        /* For one more valuable it is paused in tight, too, which can last for days. */
        bool over = band < BAND_TIGHT ||
                    (band < BAND_SCARCE &&
                        since(d->now, decision_state(d, i)->pause_asked) >= RESUME_BACKOFF_MAX);
        uint16_t paused = over ? MARK_PAUSED_DRY : 0;
        decision_state(d, i)->marks &= (uint16_t) ~(marks | paused);
        if (band < BAND_SCARCE)
            brake_forget_dry(decision_state(d, i));
    }
}

/* On a host that is short of processors the guard is, too. */
static void note_lateness(struct decision *d)
{
    struct policy_state *state = d->state;
    uint64_t late = known(state->wake) ? min_u64(sub_or_zero(d->now, state->wake), LATE_MOST) : 0;
    state->late = max_u64(late, state->late / 2);
}

/* One, unless they cannot wait for one another, in order of harm; what would have been done in dry
 * run comes after what is done.
 */
static void end_somebody(struct decision *d)
{
    leak_watch(d);
    d->plan->hurry = kill_presses(d);
    bool done = end_victim(d, true) || kill_victim(d, true);
    if (!done && !end_victim(d, false))
        kill_victim(d, false);
}

static void relieve(struct decision *d)
{
    if (d->plan->assessment.sprint) {
        pause_growers(d);
        end_somebody(d);
        balloon_inflate(d);
        resize_shrink(d);
    } else {
        balloon_inflate(d);
        resize_shrink(d);
        brake_growers(d);
        pause_growers(d);
        end_somebody(d);
    }
}

static void give_back(struct decision *d)
{
    const struct pool_view *pools = d->plan->assessment.pools;
    grant_reckon_room(d);
    resume_guests(d);
    bridge_freezes(d);
    reclaim_guests(d);
    if (pools[POOL_INDEX_HOST].band < BAND_CRITICAL &&
        pools[POOL_INDEX_BUDGET].band < BAND_CRITICAL)
        grant_starved(d);
    if (pools[POOL_INDEX_HOST].band == BAND_CALM && pools[POOL_INDEX_BUDGET].band == BAND_CALM) {
        grant_balloons(d);
        resize_return(d);
    }
}

/* The least time to the next look. */
static uint64_t wake_least(const struct decision *d, const struct pool_view *pool)
{
    bool still = pool->headroom <= 0 && pool_worth(pool, pool->fill_rate) == 0 &&
                 d->plan->action_count == 0 && d->state->kill.count == 0 && !pause_settling(d);
    return still ? WAKE_STILL : WAKE_MIN;
}

/* A full node to which somebody is bound may stay so for ever: while nobody grows who has no other
 * left, it is looked at as where nothing moves. Nodes to which nobody is bound are no hurry. */
static bool is_watched(const struct decision *d, const struct pool_view *pool, uint64_t *ret_least)
{
    *ret_least = wake_least(d, pool);
    if (pool->kind != POOL_NODE)
        return true;
    if (!(d->confined_nodes >> pool->node & 1))
        *ret_least = WAKE_STILL;
    return d->bound_nodes >> pool->node & 1;
}

/* How long nobody has to look: until the fastest fill there can be would bring a pool to its next
 * hard threshold, less what looking and acting take (limits, inequality 4). */
static void plan_wake(struct decision *d)
{
    const struct assessment *assessment = &d->plan->assessment;
    uint64_t wake = WAKE_MAX;
    for (uint32_t i = 0; i < assessment->pool_count; i++) {
        const struct pool_view *pool = &assessment->pools[i];
        uint64_t least;
        if (admission_lacking(d, pool) > 0)
            wake = min_u64(wake, BALLOON_LOOK);
        if (!known(pool->total) || !is_watched(d, pool, &least))
            continue;
        uint64_t threshold = pool->band == BAND_CRITICAL ? 0 : pool_enter(d, pool, BAND_CRITICAL);
        uint64_t headroom = pool->headroom > 0 ? (uint64_t)pool->headroom : 0;
        uint64_t left = sub_or_zero(headroom, threshold);
        uint64_t time = scale_u64(left, NSEC_PER_SEC, pool_filled_most(d, NSEC_PER_SEC));
        wake = min_u64(wake, max_u64(sub_or_zero(time, WAKE_OVERHEAD), least));
    }
    if (d->bridged)
        wake = min_u64(wake, WAKE_BRIDGE);
    if (d->state->contain_more)
        wake = min_u64(wake, WAKE_STILL);
    d->plan->next_wake = wake;
}

void policy_decide(const struct snapshot *snapshot, const struct rules *rules,
    struct policy_state *state, struct policy_scratch *scratch, struct plan *ret_plan)
{
    struct decision decision = {
        .snapshot = snapshot,
        .rules = rules,
        .state = state,
        .vms = scratch->vms,
        .cover = scratch_cover(scratch),
        .vm_count =
            snapshot->vm_count < scratch->vm_capacity ? snapshot->vm_count : scratch->vm_capacity,
        .plan = ret_plan,
        .now = snapshot->time,
    };
    struct decision *d = &decision;
    bool advance = !known(state->time) || snapshot->time > state->time;

    begin_plan(ret_plan, snapshot->time);
    observe_vms(d, advance);
    nodes_observe(d);
    pools_assess(d, advance);
    pinned_assess(d);
    if (!advance) {
        /* Deciding again what was decided would do it twice. */
        plan_wake(d);
        return;
    }
    note_lateness(d);
    state->time = snapshot->time;

    forget_dry_run(d);
    ends_settle(d);
    kill_settle(d);
    balloon_verify(d);
    resize_settle(d);
    reclaim_settle(d);
    brake_release(d);
    stall_watch(d);
    relieve(d);
    give_back(d);
    oom_score_order(d);
    memlock_look(d);
    contain_look(d);
    plan_wake(d);
    state->wake = add_held(d->now, ret_plan->next_wake);
}
