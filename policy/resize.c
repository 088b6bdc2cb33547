/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns virtio-mem: how much of it each guest is requested to keep, and whether what it was to give
 * came. Unplugged by the guest's own driver, block by block, it is the one way to have memory back
 * from a guest whose memory is pinned for a device (RamDiscardManager, QEMU's docs/devel). The
 * rung is done only where rungs= names it.
 *
 * Who and how much. What balloons do not bring, and nothing else. In tight only what the guest
 * does not use by its own fresh word; from scarce down to its minimum, the least valuable first, of
 * equals who has most above it. A guest that uses all it has is spared that while a lesser one can
 * give or wait in its place. RAM and what is requested together are the guest's memory, of which
 * its minimum is a part. A guest with more than one such device is left alone: nobody says which
 * of its own nodes can spare it.
 *
 * Counted on is nothing that has not come: the host's own figures show what has. Only balloons'
 * milder kin, this rung and reclaim, see what is on its way, so that it is asked for once. A guest
 * may stop half way, for what its kernel cannot move it does not unplug: it is told of, and is not
 * asked for more until it goes on.
 *
 * Giving back. In calm, the most valuable first, in steps: pinned memory is taken the moment it is
 * plugged in, and looks like a fill. A size that somebody else has requested meanwhile is theirs,
 * and that guest is left alone until calm.
 */
#include "resize.h"

#include "grant.h"
#include "node.h"
#include "observe.h"
#include "plan_add.h"
#include "pool.h"
#include "relief.h"

#define NOBODY UINT32_MAX

/* What is short, and who is asked for it. */
struct want {
    const struct pool_view *pool;
    uint32_t index;
    bool idle_only;  /* what guests do not use, else down to their minimum */
    bool enforced;   /* of whom: enforced guests, else those in dry run */
    uint32_t spared; /* who is busy, and of more than this priority, keeps what it uses */
    uint64_t deficit;
};

static bool in_force(const struct vm_snapshot *vm)
{
    return vm->measures.in_force & VM_MEASURE_RESIZE;
}

/* What is requested of it, once all is done that was decided: by us so lately that it need not show
 * yet, or in dry run. */
static uint64_t target_of(const struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    const struct vm_state *state = decision_state(d, position);
    bool pending = state->resize_dry || since(d->now, state->resize_time) < RESIZE_INTERVAL;
    if (known(state->resize_asked) && pending)
        return state->resize_asked;
    return in_force(vm) ? vm->measures.resize.set : vm->resizable.requested;
}

/* The least that may be requested of it. */
static uint64_t least_of(const struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    uint64_t before = in_force(vm) ? vm->measures.resize.before : vm->resizable.requested;
    uint64_t memory = add_held(vm->maximum, before);
    uint64_t half = scale_u64(memory, MINIMUM_DEFAULT_SHARE, AMOUNT_SHARE_WHOLE);
    uint64_t minimum = amount_bytes(decision_rules(d, position)->minimum, memory, half);
    uint64_t ram = min_u64(known_or(vm->balloon.actual, vm->maximum), vm->maximum);
    uint64_t rest = sub_or_zero(minimum, ram), part = rest % vm->resizable.block;
    return min_u64(part > 0 ? add_held(rest - part, vm->resizable.block) : rest, before);
}

/* How much of its virtio-mem is resident for certain: what is not may be any page of the guest. */
static uint64_t resident_of(const struct vm_snapshot *vm)
{
    uint64_t ram = min_u64(known_or(vm->balloon.actual, vm->maximum), vm->maximum);
    return min_u64(vm->resizable.size, sub_or_zero(vm_resident(vm), ram));
}

static uint64_t relief_of(
    const struct decision *d, const struct pool_view *pool, uint32_t position, uint64_t target)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    uint64_t relief = sub_or_zero(resident_of(vm), target);
    if (pool->kind != POOL_NODE)
        return relief;
    if (vm->rss == 0 || !node_is_used(d, position, pool->node))
        return 0;
    return scale_u64(relief, node_held(d, position, pool->node), vm->rss);
}

/* Figures and driver are there, and nobody else holds it: its size can be requested. */
static bool is_resizable(const struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    const struct vm_resizable *sizes = &vm->resizable;
    const uint32_t held = VM_MEASURE_PAUSE | VM_MEASURE_RESUMING | VM_MEASURE_BRAKED |
                          VM_MEASURE_ENDING | VM_MEASURE_KILLED;
    return (d->vms[position].traits & TRAIT_USABLE) &&
           !(d->vms[position].traits & TRAIT_IN_ACTION) && vm->kind == VM_KIND_RESIZABLE &&
           !vm_is_going(vm) && !(vm->measures.in_force & held) && vm->monitor == VM_MONITOR_READY &&
           vm->run_state == VM_RUN_RUNNING && vm->migration == VM_MIGRATION_NONE &&
           vm->process_state != VM_PROCESS_STOPPED && known(vm->sampled) && known(vm->rss) &&
           known(vm->maximum) && known(sizes->size) && known(sizes->requested) &&
           known(sizes->block) && sizes->block > 0;
}

/* The last request has come to its end, and was not refused lately. */
static bool is_due(const struct decision *d, uint32_t position)
{
    const struct vm_resizable *sizes = &decision_vm(d, position)->resizable;
    if (known(sizes->asked) &&
        (!known(sizes->answered) ||
            (sizes->result < 0 && since(d->now, sizes->answered) < RESIZE_RETRY)))
        return false;
    return since(d->now, decision_state(d, position)->resize_time) >= RESIZE_INTERVAL;
}

static bool ask(struct decision *d, uint32_t position, enum reason reason, uint32_t pool,
    uint64_t target, uint64_t deficit)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    struct vm_state *state = decision_state(d, position);
    const struct pool_view *view = &d->plan->assessment.pools[pool];
    uint64_t before = target_of(d, position);
    struct action *action = plan_add(d, ACTION_RESIZE, reason, position, pool);
    if (!action)
        return false;
    action->target = target;
    action->deficit = deficit;
    action->relief =
        sub_or_zero(relief_of(d, view, position, target), relief_of(d, view, position, before));
    action->predicted =
        scale_u64(sub_or_zero(vm->resizable.size, target), NSEC_PER_SEC, RESIZE_RATE);
    state->resize_asked = target;
    state->resize_time = state->resize_moved = d->now;
    state->resize_size = vm->resizable.size;
    state->resize_stuck = false;
    state->resize_dry = action->mode == MODE_DRY_RUN && target < before;
    return true;
}

/* ---- what became of it ---- */

/* True: it is somebody else's now. */
static bool yield_to_other(struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    const struct vm_resizable *sizes = &vm->resizable;
    bool seen =
        known(sizes->updated) && known(sizes->requested) &&
        (!known(sizes->asked) || (known(sizes->answered) && sizes->updated >= sizes->answered));
    if (!seen || sizes->requested == vm->measures.resize.set ||
        sizes->requested == vm->measures.resize_previous)
        return false;
    struct vm_state *state = decision_state(d, position);
    struct action *action =
        plan_add(d, ACTION_RESIZE, REASON_RESIZE_OTHER, position, POOL_INDEX_HOST);
    if (!action)
        return false;
    action->target = UNKNOWN;
    state->resize_asked = UNKNOWN;
    state->resize_stuck = false;
    state->resize_yielded = true;
    return true;
}

/* A guest that does not run unplugs nothing, and is not to blame. */
static void watch(struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    struct vm_state *state = decision_state(d, position);
    uint64_t size = vm->resizable.size;
    if (!known(size) || size <= vm->measures.resize.set) {
        state->resize_stuck = false;
        state->resize_moved = UNKNOWN;
        return;
    }
    bool moves = !known(state->resize_moved) || size < state->resize_size ||
                 vm->run_state != VM_RUN_RUNNING ||
                 (vm->measures.in_force & (VM_MEASURE_PAUSE | VM_MEASURE_BRAKED));
    if (moves) {
        state->resize_stuck = false;
        state->resize_size = size;
        state->resize_moved = d->now;
    } else if (!state->resize_stuck && since(d->now, state->resize_moved) >= RESIZE_STUCK_AFTER) {
        state->resize_stuck =
            plan_alert_vm(d, REASON_RESIZE_STUCK, position, node_worst_pool(d, position));
    }
}

void resize_settle(struct decision *d)
{
    bool calm = d->plan->assessment.band == BAND_CALM;
    for (uint32_t i = 0; i < d->vm_count; i++) {
        struct vm_state *state = decision_state(d, i);
        if (!(d->vms[i].traits & TRAIT_USABLE))
            continue;
        /* What a dry run would have taken is void in calm, and once it is for real. */
        if (state->resize_dry && (calm || (d->vms[i].traits & TRAIT_ENFORCED))) {
            state->resize_dry = false;
            state->resize_asked = UNKNOWN;
        }
        if (calm)
            state->resize_yielded = false;
        if (in_force(decision_vm(d, i)) && !yield_to_other(d, i))
            watch(d, i);
    }
}

uint64_t resize_pending(const struct decision *d, const struct pool_view *pool, bool dry_run_too)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < d->vm_count; i++)
        if (is_resizable(d, i) && !decision_state(d, i)->resize_stuck &&
            (dry_run_too || (d->vms[i].traits & TRAIT_ENFORCED)))
            sum = add_held(sum, relief_of(d, pool, i, target_of(d, i)));
    return sum;
}

/* ---- taking ---- */

/* The least priority among those that can be made to give or wait, or that wait already. */
static uint32_t least_priority(const struct decision *d)
{
    uint32_t least = UINT32_MAX;
    for (uint32_t i = 0; i < d->vm_count; i++) {
        const struct vm_scratch *vm = &d->vms[i];
        bool gives = (vm->traits & TRAIT_INFLATABLE) && vm->goal > vm->minimum;
        if ((vm->traits & TRAIT_ENFORCED) &&
            (gives || (vm->traits & (TRAIT_PAUSABLE | TRAIT_PAUSED))) &&
            decision_rules(d, i)->priority < least)
            least = decision_rules(d, i)->priority;
    }
    return least;
}

/* What it does not use; UNKNOWN: it has not said since it was asked, or is still giving. */
static uint64_t idle_of(const struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    uint64_t asked = decision_state(d, position)->resize_time;
    if (vm->resizable.size > target_of(d, position) ||
        (known(asked) && known(vm->statistics.updated) &&
            vm->statistics.updated < add_held(asked, RESIZE_INTERVAL)))
        return UNKNOWN;
    return vm_idle(d, position);
}

/* The least it may be asked to keep for WANT; a multiple of its block. */
static uint64_t floor_of(const struct decision *d, const struct want *want, uint32_t position)
{
    uint64_t least = least_of(d, position), target = target_of(d, position);
    uint64_t block = decision_vm(d, position)->resizable.block;
    uint64_t idle = idle_of(d, position);
    bool busy = known(idle) && idle < block;
    if (!want->idle_only && !(busy && decision_rules(d, position)->priority > want->spared))
        return least;
    idle = known_or(idle, 0);
    return max_u64(least, sub_or_zero(target, idle - idle % block));
}

static bool may_shrink(const struct decision *d, const struct want *want, uint32_t position)
{
    const struct vm_state *state = decision_state(d, position);
    return !!(d->vms[position].traits & TRAIT_ENFORCED) == want->enforced &&
           is_resizable(d, position) && is_due(d, position) && !state->resize_stuck &&
           !state->resize_yielded && (decision_rules(d, position)->rungs & RUNG_BIT(RUNG_RESIZE)) &&
           !(want->idle_only && since(d->now, state->resize_returned) < RESIZE_HOLD) &&
           (want->pool->kind != POOL_NODE || node_held(d, position, want->pool->node) > 0);
}

/* What the guest at POSITION is to keep so that NEEDED bytes come, or all it can give; UNKNOWN: it
 * can give nothing that is worth asking for. */
static uint64_t size_for(
    const struct decision *d, const struct want *want, uint32_t position, uint64_t needed)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    uint64_t target = target_of(d, position), floor = floor_of(d, want, position);
    /* What is not resident above it brings nothing. */
    uint64_t top = min_u64(resident_of(vm), target);
    uint64_t size = sub_or_zero(top, max_u64(needed, RESIZE_STEP_MIN));
    size = max_u64(size - size % vm->resizable.block, floor);
    if (sub_or_zero(top, size) < RESIZE_STEP_MIN || size >= target)
        return UNKNOWN;
    return size;
}

static uint32_t choose(const struct decision *d, const struct want *want)
{
    uint32_t best = NOBODY, best_priority = 0;
    uint64_t best_above = 0;
    for (uint32_t i = 0; i < d->vm_count; i++) {
        if (!may_shrink(d, want, i))
            continue;
        uint64_t size = size_for(d, want, i, NEVER);
        if (!known(size) ||
            relief_of(d, want->pool, i, size) <
                add_held(relief_of(d, want->pool, i, target_of(d, i)), RESIZE_STEP_MIN))
            continue;
        uint32_t priority = decision_rules(d, i)->priority;
        uint64_t above = sub_or_zero(target_of(d, i), least_of(d, i));
        if (best != NOBODY &&
            (priority > best_priority || (priority == best_priority && above <= best_above)))
            continue;
        best = i;
        best_priority = priority;
        best_above = above;
    }
    return best;
}

static void take(struct decision *d, const struct want *want)
{
    enum reason reason = want->idle_only ? REASON_RESIZE_IDLE : REASON_RESIZE_SHARE;
    for (unsigned asked = 0; asked < RESIZES_MAX; asked++) {
        uint64_t coming = add_held(relief_balloons_pending(d, want->pool, !want->enforced),
            resize_pending(d, want->pool, !want->enforced));
        if (coming >= want->deficit)
            return;
        uint32_t position = choose(d, want);
        if (position == NOBODY)
            return;
        uint64_t size = size_for(d, want, position, want->deficit - coming);
        if (!ask(d, position, reason, want->index, size, want->deficit))
            return;
    }
}

static void shrink_for(struct decision *d, uint32_t index, bool enforced)
{
    const struct pool_view *pool = &d->plan->assessment.pools[index];
    if (!known(pool->total) || pool->band < BAND_TIGHT || !node_is_claimed(d, pool))
        return;
    struct want want = {.pool = pool, .index = index, .idle_only = true, .enforced = enforced};
    want.deficit = pool_deficit(d, pool, BAND_TIGHT);
    take(d, &want);

    /* As of balloons: a node alone presses nobody to his minimum while what comes next can be
     * placed elsewhere. */
    bool elsewhere = pool->kind == POOL_NODE &&
                     d->plan->assessment.pools[POOL_INDEX_HOST].band < BAND_TIGHT &&
                     !(d->confined_nodes >> pool->node & 1);
    if (pool->band < BAND_SCARCE || elsewhere)
        return;
    want.idle_only = false;
    want.spared = least_priority(d);
    want.deficit = pool_deficit(d, pool, BAND_SCARCE);
    take(d, &want);
}

void resize_shrink(struct decision *d)
{
    if (d->plan->assessment.band < BAND_TIGHT)
        return;
    for (uint32_t i = 0; i < d->plan->assessment.pool_count; i++)
        shrink_for(d, i, true);
    for (uint32_t i = 0; i < d->plan->assessment.pool_count; i++)
        shrink_for(d, i, false);
}

/* ---- giving back ---- */

/* The next step towards what it had before us, and in *RET_COST what that takes of the room;
 * UNKNOWN: none that fits. */
static uint64_t step_back(const struct decision *d, uint32_t position, uint64_t *ret_cost)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    const struct pool_view *host = &d->plan->assessment.pools[POOL_INDEX_HOST];
    uint64_t block = vm->resizable.block, before = vm->measures.resize.before;
    uint64_t target = target_of(d, position);
    uint64_t headroom = host->headroom > 0 ? (uint64_t)host->headroom : 0;
    uint64_t most = min_u64(d->room / RESIZE_RETURN_ROOM_DIVISOR,
        max_u64(headroom / RESIZE_RETURN_HEADROOM_DIVISOR, max_u64(block, RESIZE_STEP_MIN)));
    /* What it has never given up costs nothing. */
    uint64_t has =
        max_u64(target, min_u64(vm->resizable.size - vm->resizable.size % block, before));
    uint64_t size = min_u64(add_held(has, most - most % block), before);
    if (size <= target || (size < before && size - target < RESIZE_STEP_MIN))
        return UNKNOWN;
    *ret_cost = sub_or_zero(size, has);
    return size;
}

/* In dry run, too: what was taken is given back. */
static bool may_return(const struct decision *d, uint32_t position)
{
    return is_resizable(d, position) && in_force(decision_vm(d, position)) && is_due(d, position) &&
           since(d->now, decision_state(d, position)->resize_returned) >= RESIZE_RETURN_INTERVAL &&
           target_of(d, position) < decision_vm(d, position)->measures.resize.before &&
           !grant_is_barred(d, position);
}

void resize_return(struct decision *d)
{
    uint32_t best = NOBODY;
    uint64_t cost = 0, size = UNKNOWN;
    for (uint32_t i = 0; i < d->vm_count; i++) {
        uint64_t step_cost = 0;
        if (!may_return(d, i) ||
            (best != NOBODY && decision_rules(d, i)->priority <= decision_rules(d, best)->priority))
            continue;
        uint64_t step = step_back(d, i, &step_cost);
        if (!known(step))
            continue;
        best = i;
        size = step;
        cost = step_cost;
    }
    if (best == NOBODY || !ask(d, best, REASON_RESIZE_RETURN, POOL_INDEX_HOST, size, 0))
        return;
    decision_state(d, best)->resize_returned = d->now;
    grant_book(d, best, cost);
}
