/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the scores. Sums over time are kept as bytes over steps, all of the same length, and turned
 * to byte-seconds only when they are asked for, so that nothing is rounded on the way.
 */
#include "model.h"

#include "demand.h"
#include "tuning.h"

/* What is short within so much time was no reason not to end somebody now. */
#define SHORT_AHEAD NSEC_PER_MINUTE

static uint64_t seconds_of(const struct model *model, uint64_t sum)
{
    return scale_u64(sum, model->scenario->step, NSEC_PER_SEC);
}

/* Loss of PRIORITY over TIME, in thousandths of VM-minutes. */
static uint64_t loss_of(uint32_t priority, uint64_t time)
{
    return priority * scale_u64(time, 1000, NSEC_PER_MINUTE);
}

/* ---- each step ---- */

static void score_guest(const struct model *model, struct model_guest *guest)
{
    if (guest->presence == PRESENCE_AWAITED)
        return;
    guest->demanded = add_held(guest->demanded, guest->demand);
    /* Its end is reckoned already where it is being killed. */
    if (guest->presence == PRESENCE_GONE || (guest->vm.measures.in_force & VM_MEASURE_KILLED))
        return;
    if (guest_is_stopped(guest, model->now)) {
        guest->score.stopped += model->scenario->step;
        return;
    }
    /* What is used and swapped out is not there. */
    uint64_t there = min_u64(guest->used, guest_resident(guest));
    uint64_t received = min_u64(guest->demand, there);
    guest->received = add_held(guest->received, received);
    guest->denied = add_held(guest->denied, guest->demand - received);
    if (guest->demand > 0)
        guest->without += scale_u64(guest->demand - received, SCORE_PART, guest->demand);
}

/* What the policy counts as available, but for what the guard learns of swap's rate. */
static uint64_t available(const struct model *model)
{
    uint64_t swap = scale_u64(model->scenario->host.swap_rate, HORIZON, NSEC_PER_SEC);
    return memory_available(model) + min_u64(model->swap_free, swap);
}

void score_pass(struct model *model)
{
    for (uint32_t i = 0; i < model->guest_count; i++)
        score_guest(model, &model->guests[i]);
    if (!known(model->floor))
        return;
    int64_t headroom = diff_i64(available(model), model->floor);
    if (headroom < model->score.headroom_least)
        model->score.headroom_least = headroom;
    if (headroom < 0)
        model->below_sum = add_held(model->below_sum, (uint64_t)-headroom);
    model->score.crossings += headroom < 0 && !model->below;
    model->below = headroom < 0;
}

/* ---- ends ---- */

/* What those who stay are short of, or will be within a minute at most, by their demand. */
static uint64_t short_without(const struct model *model, const struct model_guest *gone)
{
    uint64_t wanted = known(model->floor) ? model->floor : 0;
    for (uint32_t i = 0; i < model->guest_count; i++) {
        const struct model_guest *guest = &model->guests[i];
        if (guest == gone || guest->presence != PRESENCE_HERE || guest->scenario->pinned)
            continue;
        uint64_t peak = demand_peak(&guest->scenario->demand, guest->age, SHORT_AHEAD);
        wanted += sub_or_zero(min_u64(peak, guest->scenario->maximum), guest->touched);
    }
    if (!known(model->process_dies))
        wanted += scale_u64(model->scenario->host.process_growth, SHORT_AHEAD, NSEC_PER_SEC);
    return sub_or_zero(wanted, available(model));
}

void score_end(struct model *model, struct model_guest *guest, enum guest_end end, uint64_t bytes)
{
    const struct vm_rules *rules = &model->rules->vms[guest->vm.slot];
    uint64_t cost = rules->restart_cost;
    model->score.overkill =
        add_held(model->score.overkill, sub_or_zero(bytes, short_without(model, guest)));
    if (end == GUEST_KILLED || end == GUEST_KILLED_BY_KERNEL)
        cost *= KILL_LOSS_FACTOR;
    guest->score.end = end;
    guest->score.ended = model->now - model->began;
    guest->score.loss = loss_of(rules->priority, cost);
}

/* ---- asked for ---- */

void score_guest_total(
    const struct model *model, const struct model_guest *guest, struct guest_score *ret_score)
{
    uint32_t priority = model->rules->vms[guest - model->guests].priority;
    *ret_score = guest->score;
    ret_score->demanded = seconds_of(model, guest->demanded);
    ret_score->received = seconds_of(model, guest->received);
    ret_score->denied = seconds_of(model, guest->denied);
    ret_score->without = scale_u64(guest->without, model->scenario->step, SCORE_PART);
    ret_score->loss += loss_of(priority, guest->score.stopped);
}

/* Jain's index, (sum x)^2 / (n * sum x^2), over x = received / demanded. */
static uint32_t fairness(const struct model *model)
{
    uint64_t count = 0, sum = 0, squares = 0;
    for (uint32_t i = 0; i < model->guest_count; i++) {
        const struct model_guest *guest = &model->guests[i];
        if (guest->demanded == 0)
            continue;
        uint64_t x =
            scale_u64(guest->received, (uint64_t)FAIRNESS_WHOLE * FAIRNESS_WHOLE, guest->demanded);
        count++;
        sum += x;
        squares += x * x;
    }
    if (squares == 0)
        return FAIRNESS_WHOLE;
    return (uint32_t)scale_u64(sum, scale_u64(sum, FAIRNESS_WHOLE, count), squares);
}

void score_total(const struct model *model, struct score *ret_score)
{
    *ret_score = model->score;
    for (uint32_t i = 0; i < model->guest_count; i++) {
        struct guest_score guest;
        score_guest_total(model, &model->guests[i], &guest);
        ret_score->kernel_kills += guest.end == GUEST_KILLED_BY_KERNEL;
        ret_score->kills += guest.end == GUEST_KILLED;
        ret_score->saves += guest.end == GUEST_SAVED;
        ret_score->shutdowns += guest.end == GUEST_SHUT_DOWN;
        ret_score->loss += guest.loss;
        ret_score->cost += guest.loss + loss_of(model->rules->vms[i].priority, guest.without);
        ret_score->denied += guest.denied;
        ret_score->moved += guest.moved;
        ret_score->turns += guest.turns;
    }
    ret_score->below = seconds_of(model, model->below_sum);
    ret_score->fairness = fairness(model);
}
