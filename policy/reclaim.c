/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns reclaim: memory of guests that do not need it now goes to swap. The kernel swaps for who
 * allocates; where all who would are paused nobody does, and swap stays free while nobody can be
 * resumed. A pause and reclaim together are what swap makes of a storm: the paused give to the one
 * that runs, and when it is done it gives to the next.
 *
 * When: from scarce on, for what it takes to leave it and balloons and virtio-mem do not bring;
 * while somebody waits paused, for the room it needs to run for a while, beside what more valuable
 * guests that run are growing into; and for those who starve in a balloon of ours. All of it ends
 * by itself as the room is there, with the hysteresis of the bands, of resume.c and of grant.c.
 * Free swap that counts as available (pool.c) is the kernel's, and so is a reserve: writing there
 * would move memory from one figure to the other. Without more than that, the ladder is what it is
 * without swap. The budget is no reason: it would burden a disk for a wish.
 *
 * Who: the paused, for what does not run needs nothing; the lesser first, of equals the one that is
 * resumed last. Then guests that run and have not grown for a while, down to what they use by their
 * own word. Then the same guests, lesser before valuable again, down to their minimum: what they
 * hold and never touch is as good as idle, and whether they do shows only in what comes back. That
 * is tried with little first, and with twice as much each time nothing came back; of who starves
 * after the others. Last the one that waits first, as it is to run next. Nobody who grows, nobody
 * whose memory is wired, by a device, a lock, encryption or huge pages, and nobody who is
 * being migrated, which would read it all back.
 *
 * How: one piece of one guest at a time, then what it brought is seen. A piece that brought next to
 * nothing, and one of a running guest that came back within seconds, leave that guest alone for a
 * while that doubles.
 *
 * Dry run: one piece is told of; it counts as pending until nothing is lacking.
 */
#include "reclaim.h"

#include <errno.h>

#include "grant.h"
#include "node.h"
#include "observe.h"
#include "plan_add.h"
#include "pool.h"
#include "relief.h"
#include "resize.h"
#include "resume.h"

#define NOBODY UINT32_MAX

/* What is short, by how much, and for whose sake. */
struct want {
    uint32_t pool;
    uint64_t bytes;
    uint32_t waiting; /* position of the first that waits for room; NOBODY */
};

/* In this order. */
enum rank {
    RANK_PAUSED,
    RANK_IDLE,    /* by its own word */
    RANK_TRIED,   /* perhaps idle */
    RANK_STARVED, /* likewise, though a balloon of ours keeps something from it */
    RANK_NEXT,    /* the first that waits */
};

struct offer {
    uint32_t position;
    enum rank rank;
    uint64_t bytes;
};

/* ---- what became of earlier pieces ---- */

static void back_off(struct decision *d, struct vm_state *state)
{
    state->reclaim_next = add_held(d->now, state->reclaim_backoff);
    state->reclaim_backoff = min_u64(2 * state->reclaim_backoff, RECLAIM_BACKOFF_MAX);
    state->reclaim_piece = RECLAIM_PIECE_MIN;
    state->reclaim_rss = UNKNOWN;
}

static bool is_stopped(const struct vm_snapshot *vm)
{
    if (vm->measures.in_force & VM_MEASURE_PAUSE)
        return (vm->measures.in_force & (VM_MEASURE_FROZEN | VM_MEASURE_STOPPED)) &&
               !(vm->measures.in_force & VM_MEASURE_RESUMING);
    return vm->run_state == VM_RUN_PAUSED;
}

static bool is_pending(const struct decision *d, uint32_t position)
{
    return d->state->reclaim.identity.pid != 0 &&
           vm_identity_equal(&decision_vm(d, position)->identity, &d->state->reclaim.identity);
}

/* The piece has come to its end, or will not: what shows of it is all there is. */
static void judge(struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    const struct reclaim_pending *pending = &d->state->reclaim;
    struct vm_state *state = decision_state(d, position);
    bool answered = known(vm->reclaim.asked) && vm->reclaim.asked >= pending->asked &&
                    known(vm->reclaim.answered);
    bool seen = answered && known(vm->sampled) && vm->sampled >= vm->reclaim.answered;
    if (!seen && since(d->now, pending->asked) < RECLAIM_PATIENCE)
        return;

    uint64_t fell = known(vm->rss) ? sub_or_zero(known_or(state->reclaim_rss, 0), vm->rss) : 0;
    /* A slow device, too, is told by -EAGAIN: what it did counts. */
    uint64_t needed = pending->bytes / (vm->reclaim.result == -EAGAIN ? 2 : RECLAIM_SHOWN_DIVISOR);
    if (!seen || fell < needed) {
        back_off(d, state);
    } else if (is_stopped(vm)) {
        state->reclaim_backoff = RECLAIM_BACKOFF;
        state->reclaim_rss = UNKNOWN;
    } else {
        state->reclaim_since = d->now;
        state->reclaim_rss = add_held(vm->rss, fell / RECLAIM_BACK_DIVISOR);
    }
    d->state->reclaim = (struct reclaim_pending){0};
}

/* Of a running guest, after a piece. */
static void watch(struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    struct vm_state *state = decision_state(d, position);
    if (!known(state->reclaim_rss) || !known(vm->rss))
        return;
    if (vm->rss > state->reclaim_rss) {
        back_off(d, state);
    } else if (since(d->now, state->reclaim_since) >= RECLAIM_WATCH) {
        state->reclaim_backoff = RECLAIM_BACKOFF;
        state->reclaim_piece = min_u64(2 * state->reclaim_piece, RECLAIM_PIECE);
        state->reclaim_rss = UNKNOWN;
    }
}

void reclaim_settle(struct decision *d)
{
    bool found = false;
    for (uint32_t i = 0; i < d->vm_count; i++) {
        if (!(d->vms[i].traits & TRAIT_USABLE))
            continue;
        if (is_pending(d, i)) {
            found = true;
            judge(d, i);
        } else {
            watch(d, i);
        }
    }
    if (!found)
        d->state->reclaim = (struct reclaim_pending){0};
}

/* ---- who ---- */

/* What it takes whatever the guest does. */
static bool is_reclaimable(const struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    const struct vm_state *state = decision_state(d, position);
    bool migrates = vm->migration != VM_MIGRATION_NONE &&
                    !(vm->migration == VM_MIGRATION_UNKNOWN && vm->monitor == VM_MONITOR_NONE);
    return (d->vms[position].traits & TRAIT_USABLE) &&
           !(d->vms[position].traits & TRAIT_IN_ACTION) &&
           (decision_rules(d, position)->rungs & RUNG_BIT(RUNG_RECLAIM)) &&
           vm->reclaim.possible == TRISTATE_YES && known(vm->sampled) && known(vm->rss) &&
           vm->process_state != VM_PROCESS_DEAD &&
           !(vm->measures.in_force &
               (VM_MEASURE_KILLED | VM_MEASURE_RESUMING | VM_MEASURE_ENDING)) &&
           !migrates && !vm_is_wired(vm) && !known(state->reclaim_rss) &&
           (!known(state->reclaim_next) || d->now >= state->reclaim_next);
}

static bool is_at_rest(const struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    const struct vm_state *state = decision_state(d, position);
    bool runs = vm->run_state == VM_RUN_RUNNING ||
                (vm->run_state == VM_RUN_UNKNOWN && vm->monitor == VM_MONITOR_NONE);
    /* Nor does what a brake keeps from growing tell what it uses. */
    return runs && !(vm->measures.in_force & (VM_MEASURE_PAUSE | VM_MEASURE_BRAKED)) &&
           vm->process_state != VM_PROCESS_STOPPED &&
           since(d->now, state->growth.time) <= GROWTH_STALE &&
           state->growth.slow < (int64_t)GROWTH_MEASURABLE &&
           since(d->now, state->grew_at) >= RECLAIM_SETTLE &&
           since(d->now, state->resumed_at) >= RECLAIM_SETTLE &&
           since(d->now, vm->first_seen) >= RECLAIM_SETTLE;
}

/* What the guest at POSITION may give; false: nothing, or too little to ask for. */
static bool offer_of(
    const struct decision *d, uint32_t waiting, uint32_t position, struct offer *ret_offer)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    const struct vm_scratch *scratch = &d->vms[position];
    uint64_t kept = add_held(RECLAIM_LEFT, known_or(vm_pinned(vm), 0));
    uint64_t most = RECLAIM_PIECE;
    enum rank rank = position == waiting ? RANK_NEXT : RANK_PAUSED;
    if (!is_reclaimable(d, position))
        return false;
    if (!is_stopped(vm)) {
        if (!is_at_rest(d, position) || !known(scratch->minimum))
            return false;
        uint64_t used = known(scratch->idle_floor) ? scratch->idle_floor : vm->rss;
        bool says = sub_or_zero(vm->rss, add_held(kept, used)) >= RECLAIM_PIECE_MIN;
        rank = scratch->traits & TRAIT_STARVED ? RANK_STARVED : says ? RANK_IDLE : RANK_TRIED;
        most = says ? most : decision_state(d, position)->reclaim_piece;
        kept = add_held(kept, says ? used : scratch->minimum);
    }
    *ret_offer = (struct offer){position, rank, min_u64(sub_or_zero(vm->rss, kept), most)};
    return ret_offer->bytes >= RECLAIM_PIECE_MIN;
}

/* Who gives before whom; of equals, the one that is resumed last, else the first. */
static bool gives_before(const struct decision *d, const struct offer *a, const struct offer *b)
{
    const struct vm_rules *rules_a = decision_rules(d, a->position);
    const struct vm_rules *rules_b = decision_rules(d, b->position);
    if (a->rank != b->rank)
        return a->rank < b->rank;
    if (rules_a->priority != rules_b->priority)
        return rules_a->priority < rules_b->priority;
    return a->rank == RANK_PAUSED && resume_before(d, b->position, a->position);
}

/* The last piece of somebody less valuable is being watched: it may give more in a moment. */
static bool is_lesser_watched(const struct decision *d, uint32_t position)
{
    for (uint32_t i = 0; i < d->vm_count; i++)
        if ((d->vms[i].traits & TRAIT_USABLE) && known(decision_state(d, i)->reclaim_rss) &&
            decision_rules(d, i)->priority < decision_rules(d, position)->priority)
            return true;
    return false;
}

static bool choose(
    const struct decision *d, const struct want *want, bool enforced, struct offer *ret_best)
{
    const struct pool_view *pool = &d->plan->assessment.pools[want->pool];
    struct offer offer, best = {.position = NOBODY};
    for (uint32_t i = 0; i < d->vm_count; i++) {
        if (!!(d->vms[i].traits & TRAIT_ENFORCED) != enforced ||
            !offer_of(d, want->waiting, i, &offer) ||
            (pool->kind == POOL_NODE && node_held(d, i, pool->node) == 0))
            continue;
        if (best.position == NOBODY || gives_before(d, &offer, &best))
            best = offer;
    }
    if (best.position == NOBODY || (best.rank >= RANK_TRIED && is_lesser_watched(d, best.position)))
        return false;
    *ret_best = best;
    return true;
}

/* ---- how much ---- */

/* For leaving scarce. A node alone is pressed for only while nobody can go elsewhere. */
static uint64_t wanted_by_pool(const struct decision *d, uint32_t index)
{
    const struct pool_view *pool = &d->plan->assessment.pools[index];
    const struct pool_view *host = &d->plan->assessment.pools[POOL_INDEX_HOST];
    if (!known(pool->total) || pool->band < BAND_SCARCE || !node_is_claimed(d, pool))
        return 0;
    if (pool->kind == POOL_NODE && host->band < BAND_TIGHT &&
        !(d->confined_nodes >> pool->node & 1))
        return 0;
    uint64_t coming =
        add_held(relief_balloons_pending(d, pool, false), resize_pending(d, pool, false));
    return sub_or_zero(pool_deficit(d, pool, BAND_SCARCE), coming);
}

static struct want find_want(const struct decision *d)
{
    struct want want = {.waiting = NOBODY};
    want.bytes = resume_lacking(d, &want.waiting, &want.pool);
    if (want.pool == POOL_INDEX_HOST)
        want.bytes = max_u64(want.bytes, grant_lacking(d));
    for (uint32_t i = 0; i < d->plan->assessment.pool_count; i++) {
        uint64_t bytes = i == POOL_INDEX_BUDGET ? 0 : wanted_by_pool(d, i);
        if (bytes <= want.bytes)
            continue;
        want.bytes = bytes;
        want.pool = i;
    }
    return want;
}

static uint64_t swap_rate(const struct decision *d)
{
    return known_or(d->snapshot->host.swap_rate, SWAP_RATE_ASSUMED);
}

uint64_t reclaim_coming(const struct decision *d, const struct pool_view *pool)
{
    uint64_t sum = 0;
    if (pool->kind != POOL_HOST)
        return 0;
    for (uint32_t i = 0; i < d->vm_count; i++) {
        const struct vm_snapshot *vm = decision_vm(d, i);
        struct offer offer;
        if (!(d->vms[i].traits & TRAIT_ENFORCED))
            continue;
        if (is_pending(d, i))
            sum = add_held(sum, d->state->reclaim.bytes);
        else if (is_stopped(vm) && offer_of(d, NOBODY, i, &offer))
            sum = add_held(sum, sub_or_zero(vm->rss, RECLAIM_LEFT));
    }
    return min_u64(
        min_u64(sum, pool_swap_spare(d)), scale_u64(swap_rate(d), HORIZON, NSEC_PER_SEC));
}

/* ---- one piece ---- */

static void ask(
    struct decision *d, const struct want *want, const struct offer *offer, uint64_t bytes)
{
    const struct vm_snapshot *vm = decision_vm(d, offer->position);
    struct vm_state *state = decision_state(d, offer->position);
    enum reason reason = is_stopped(vm) ? REASON_RECLAIM_PAUSED : REASON_RECLAIM_IDLE;
    struct action *action = plan_add(d, ACTION_RECLAIM, reason, offer->position, want->pool);
    if (!action)
        return;
    action->target = action->relief = bytes;
    if (action->pool == POOL_NODE)
        action->relief = scale_u64(bytes, node_held(d, offer->position, action->node), vm->rss);
    action->predicted = scale_u64(bytes, NSEC_PER_SEC, max_u64(swap_rate(d), 1));
    action->deficit = want->bytes;
    if (action->mode == MODE_DRY_RUN) {
        d->state->reclaim_dry = true;
        return;
    }
    state->reclaim_rss = vm->rss;
    state->reclaim_since = d->now;
    d->state->reclaim =
        (struct reclaim_pending){.identity = vm->identity, .asked = d->now, .bytes = bytes};
}

static void reclaim_among(struct decision *d, const struct want *want, bool enforced)
{
    struct offer offer;
    if (!choose(d, want, enforced, &offer))
        return;
    uint64_t bytes = min_u64(offer.bytes, max_u64(want->bytes, RECLAIM_PIECE_MIN));
    bytes = min_u64(bytes, pool_swap_spare(d));
    if (bytes >= RECLAIM_PIECE_MIN)
        ask(d, want, &offer, bytes);
}

void reclaim_guests(struct decision *d)
{
    struct want want = find_want(d);
    if (want.bytes == 0) {
        d->state->reclaim_dry = false;
        return;
    }
    if (d->state->reclaim.identity.pid == 0)
        reclaim_among(d, &want, true);
    if (!d->state->reclaim_dry)
        reclaim_among(d, &want, false);
}
