/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns oom_score_adj. The kernel kills whoever has most points = rss + swap + page tables
 * + adj × total / 1000 (mm/oom_kill.c, oom_badness()), so to give a guest a wanted score its adj
 * must make up for its size, and must follow it.
 *
 * Wanted scores, in thousandths of all memory: ordinary guests are above 0, the first victim on
 * top, at 500 at least; valuable ones (above the default priority, sacrificed last, or without
 * leave to be killed) are below 0, so that any process outside that leaks is a likelier victim than
 * they; protected guests get −999, short of the −1000 that would leave the kernel nobody. Between
 * two stands what the second may yet take, so that the order outlasts a guard that is gone; where
 * there is no room for all of that, its part.
 *
 * While a process outside the guests is known to leak, and is no trifle, the guests stay below it:
 * the kernel, which sees only sizes and adj, would take one after the other for it (the lab's
 * leak). Where scores can only be raised, those that are larger than it do not. What is no process,
 * a tmpfs say, frees nothing when others die for it, so the guests stand as ever.
 *
 * A value is written when it is off by a step, or by anything when the order of two neighbours is
 * wrong; at most every few seconds, once more when critical begins, for then it may soon be needed,
 * or when a guest has come in that was the first victim until then, and not in a sprint, where
 * there is better use of the time.
 */
#include "oom_score.h"

#include "arrival.h"
#include "observe.h"
#include "order.h"
#include "plan_add.h"
#include "relief.h"

static bool may_be_killed(const struct decision *d, uint32_t position)
{
    const struct vm_rules *rules = decision_rules(d, position);
    return rules->sacrifice != SACRIFICE_NEVER && (rules->rungs & RUNG_BIT(RUNG_KILL)) &&
           decision_vm(d, position)->migration != VM_MIGRATION_POSTCOPY;
}

/* Its source goes on. */
static bool is_incoming(const struct decision *d, uint32_t position)
{
    return vm_is_incoming(decision_vm(d, position)) && may_be_killed(d, position);
}

static bool is_valuable(const struct decision *d, uint32_t position)
{
    const struct vm_rules *rules = decision_rules(d, position);
    if (is_incoming(d, position))
        return false;
    return !may_be_killed(d, position) || rules->sacrifice != SACRIFICE_NORMAL ||
           rules->priority > PRIORITY_DEFAULT;
}

/* Resident, swap and page tables: the part of the kernel's points that is not adj. */
static uint64_t own_points(const struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    return add_held(
        known_or(vm->rss, 0), add_held(known_or(vm->swap, 0), known_or(vm->page_tables, 0)));
}

static bool dies_before(const struct decision *d, uint32_t a, uint32_t b)
{
    bool incoming_a = is_incoming(d, a), incoming_b = is_incoming(d, b);
    if (incoming_a != incoming_b)
        return incoming_a;
    bool valuable_a = is_valuable(d, a), valuable_b = is_valuable(d, b);
    if (valuable_a != valuable_b)
        return valuable_b;
    bool killable_a = may_be_killed(d, a), killable_b = may_be_killed(d, b);
    if (killable_a != killable_b)
        return killable_a;
    const struct vm_rules *rules_a = decision_rules(d, a), *rules_b = decision_rules(d, b);
    if (rules_a->sacrifice != rules_b->sacrifice)
        return rules_a->sacrifice < rules_b->sacrifice;
    uint64_t loss_a = loss_kill(decision_vm(d, a), rules_a);
    uint64_t loss_b = loss_kill(decision_vm(d, b), rules_b);
    return loss_a < loss_b;
}

/* It is gone soon, by our doing or its own. */
static bool is_leaving(const struct vm_snapshot *vm)
{
    return vm_is_going(vm) || (vm->measures.in_force & VM_MEASURE_ENDING);
}

void policy_victim_order(const struct snapshot *snapshot, const struct rules *rules,
    struct policy_scratch *scratch, uint32_t *ret_order)
{
    struct decision decision = {
        .snapshot = snapshot,
        .rules = rules,
        .vms = scratch->vms,
        .vm_count = (uint32_t)min_u64(snapshot->vm_count, scratch->vm_capacity),
    };
    struct decision *d = &decision;
    uint32_t place = 0;
    for (uint32_t i = 0; i < snapshot->vm_count; i++)
        ret_order[i] = 0;
    for (uint32_t i = 0; i < d->vm_count; i++)
        d->vms[i].traits = snapshot->vms[i].slot < rules->vm_capacity ? TRAIT_USABLE : 0;
    uint32_t count = order_sort(d, TRAIT_USABLE, dies_before);
    for (uint32_t rank = 0; rank < count; rank++) {
        uint32_t position = d->vms[rank].order;
        if (may_be_killed(d, position) && !is_leaving(decision_vm(d, position)))
            ret_order[position] = ++place;
    }
}

static int32_t score_set(const struct decision *d, uint32_t position)
{
    const struct vm_state *state = decision_state(d, position);
    return state->marks & MARK_OOM_ASKED ? state->oom_asked
                                         : decision_vm(d, position)->oom_score_adj;
}

/* adj that gives the VM the wanted score, in thousandths. */
static int32_t score_for(
    const struct decision *d, uint32_t position, int32_t wanted, uint64_t total)
{
    /* Refused by the kernel below 0 without the right; victims above 0 then still stand out. */
    const int32_t least = d->snapshot->host.scores_raise_only ? 0 : OOM_SCORE_NEVER;
    if (decision_rules(d, position)->sacrifice == SACRIFICE_NEVER)
        return least;
    uint64_t own = min_u64(scale_u64(own_points(d, position), 1000, total), 2000);
    int32_t adj = wanted - (int32_t)own;
    if (adj < least)
        return least;
    return adj > OOM_SCORE_MAX ? OOM_SCORE_MAX : adj;
}

/* The kernel's points as they stand, offset so that they are never negative. */
static uint64_t points(const struct decision *d, uint32_t position, uint64_t total)
{
    int32_t adj = score_set(d, position);
    uint64_t offset = (uint64_t)(adj < -1000 ? 0 : adj + 1000);
    return add_held(own_points(d, position), scale_u64(total, offset, 1000));
}

static void set_score(struct decision *d, uint32_t position, int32_t adj)
{
    struct action *action = plan_add(d, ACTION_OOM_SCORE, REASON_OOM_ORDER, position, 0);
    if (!action)
        return;
    action->oom_score_adj = adj;
    if (!(d->vms[position].traits & TRAIT_ENFORCED)) {
        struct vm_state *state = decision_state(d, position);
        state->oom_asked = adj;
        state->marks |= MARK_OOM_ASKED;
    }
}

/* Thousandths of TOTAL by which its points rise if it grows to its end, and one more. */
static uint64_t rise(const struct decision *d, uint32_t rank, uint64_t total)
{
    uint64_t room = min_u64(relief_room_in(d, d->vms[rank].order), total);
    return scale_u64(room, 1000, total) + 1;
}

static uint64_t rise_sum(const struct decision *d, uint32_t from, uint32_t to, uint64_t total)
{
    uint64_t sum = 0;
    for (uint32_t rank = from; rank < to; rank++)
        sum += rise(d, rank, total);
    return sum;
}

/* Points of the process that leaks, in thousandths of TOTAL; 0: none does. Its adj is taken for 0:
 * nobody protects what leaks. */
static uint64_t leaker_points(const struct decision *d, uint64_t total)
{
    const struct culprit_watch *watch = &d->state->culprit;
    const struct process_snapshot *process = &d->snapshot->host.largest_process;
    bool leaks = d->plan->assessment.band >= BAND_SCARCE && known(watch->seen) &&
                 since(d->now, watch->seen) < LEAK_HOLD && watch->last.kind == CULPRIT_PROCESS;
    if (!leaks || process->pid <= 0 || process->pid != watch->last.pid || !known(process->rss))
        return 0;
    return scale_u64(min_u64(process->rss, total), 1000, total);
}

/* The scores of those in order, one after the other. */
struct ladder {
    uint64_t total;
    uint64_t highest;                   /* of the first victim */
    uint32_t victims;                   /* of those in order; the rest is valuable */
    uint64_t sum_victims, sum_valuable; /* of what they may take, without the first victim's */
    int64_t score;                      /* of the one before */
};

static struct ladder ladder_of(
    const struct decision *d, uint32_t victims, uint32_t count, uint64_t total)
{
    uint64_t leaker = leaker_points(d, total);
    return (struct ladder){
        .total = total,
        .highest = leaker / 2 > OOM_SCORE_STEP ? leaker - OOM_SCORE_STEP : OOM_VICTIM_SPAN + 1,
        .victims = victims,
        .sum_victims = victims > 0 ? rise_sum(d, 1, victims, total) : 0,
        .sum_valuable = rise_sum(d, victims, count, total),
    };
}

static int32_t ladder_next(const struct decision *d, struct ladder *ladder, uint32_t rank)
{
    bool victim = rank < ladder->victims;
    uint64_t span = victim ? min_u64(OOM_VICTIM_SPAN, ladder->highest - 1) : OOM_VALUABLE_SPAN;
    uint64_t sum = victim ? ladder->sum_victims : ladder->sum_valuable;
    uint64_t gap = rise(d, rank, ladder->total);
    if (sum > span)
        gap = scale_u64(gap, span, sum);
    if (rank == 0 && victim)
        ladder->score =
            (int64_t)min_u64(max_u64(min_u64(sum, span) + 1, OOM_FIRST_LEAST), ladder->highest);
    else if (rank == ladder->victims)
        ladder->score = -(int64_t)max_u64(gap, 1);
    else
        ladder->score -= (int64_t)gap;
    return (int32_t)ladder->score;
}

/* True: somebody who was coming in has come, or may have, and runs nowhere else now. */
static bool note_arrivals(struct decision *d)
{
    bool any = false;
    for (uint32_t i = 0; i < d->vm_count; i++) {
        if (!(d->vms[i].traits & TRAIT_USABLE))
            continue;
        uint16_t *marks = &decision_state(d, i)->marks;
        bool arriving = is_incoming(d, i);
        any = any || (!arriving && (*marks & MARK_ARRIVING));
        *marks = (uint16_t)(arriving ? *marks | MARK_ARRIVING : *marks & ~MARK_ARRIVING);
    }
    return any;
}

void oom_score_order(struct decision *d)
{
    const struct host_snapshot *host = &d->snapshot->host;
    bool critical = d->plan->assessment.band == BAND_CRITICAL;
    if (!known(host->total) || host->total == 0 || d->plan->assessment.sprint)
        return;
    bool begins = critical && !d->state->oom_critical;
    d->state->oom_critical = critical;
    uint64_t waited = since(d->now, d->state->oom_scored_at);
    bool arrived = waited >= OOM_SCORE_SOON && note_arrivals(d);
    if (!begins && !arrived && waited < OOM_SCORE_INTERVAL)
        return;
    d->state->oom_scored_at = d->now;
    uint64_t total = add_held(host->total, known_or(host->swap_total, 0));

    uint32_t victims = 0, count = order_sort(d, TRAIT_USABLE, dies_before);
    while (victims < count && !is_valuable(d, d->vms[victims].order))
        victims++;
    struct ladder ladder = ladder_of(d, victims, count, total);
    bool wrong = false; /* the one before should have more points than this one, and has not */
    for (uint32_t rank = 0; rank < count; rank++) {
        uint32_t position = d->vms[rank].order;
        bool next_wrong = rank + 1 < count &&
                          points(d, position, total) < points(d, d->vms[rank + 1].order, total);
        int32_t adj = score_for(d, position, ladder_next(d, &ladder, rank), total);
        int32_t off = adj - score_set(d, position);
        const struct vm_snapshot *vm = decision_vm(d, position);
        bool readable =
            known(vm->sampled) && known(vm->rss) && !(vm->measures.in_force & VM_MEASURE_KILLED);
        bool far = off >= OOM_SCORE_STEP || off <= -OOM_SCORE_STEP;
        if (readable && (far || (off != 0 && (wrong || next_wrong))))
            set_score(d, position, adj);
        wrong = next_wrong;
    }
}
