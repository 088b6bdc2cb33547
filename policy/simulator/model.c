/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the guests' part of the model: demand, balloon, and what each asks the host for. */
#include "model.h"

#include "demand.h"

/* What a guest's kernel keeps for itself: growth stalls before the last page is taken. */
#define GUEST_RESERVE (16 * MIB)
/* All a guest does under a brake, its balloon included (facts 10). */
#define BRAKED_SLOWDOWN 17
/* One that takes back does so when its balloon has stood for so long. */
#define TAKES_BACK_AFTER (5 * NSEC_PER_SEC)

bool guest_is_stopped(const struct model_guest *guest, uint64_t now)
{
    uint32_t in_force = guest->vm.measures.in_force;
    bool frozen = (in_force & VM_MEASURE_FROZEN) && now >= guest->freeze_done;
    return frozen || (in_force & (VM_MEASURE_STOPPED | VM_MEASURE_SAVING | VM_MEASURE_KILLED));
}

/* The time that passes for GUEST itself in a step. */
static uint64_t own_time(const struct model *model, const struct model_guest *guest)
{
    if (guest_is_stopped(guest, model->now))
        return 0;
    bool braked = guest->vm.measures.in_force & VM_MEASURE_BRAKED;
    return braked ? model->scenario->step / BRAKED_SLOWDOWN : model->scenario->step;
}

static void note_move(struct model_guest *guest, int direction, uint64_t bytes)
{
    if (bytes == 0)
        return;
    guest->score.moved += bytes;
    guest->score.turns += guest->balloon_direction == -direction;
    guest->balloon_direction = direction;
}

static void move_balloon(struct model_guest *guest, uint64_t elapsed)
{
    struct vm_snapshot *vm = &guest->vm;
    uint64_t *actual = &vm->balloon.actual, goal = guest->balloon_goal;
    uint64_t way = scale_u64(guest->scenario->balloon_rate, elapsed, NSEC_PER_SEC);
    if (*actual > goal) {
        way = min_u64(way, *actual - goal);
        *actual -= way;
        note_move(guest, -1, way);
    } else if (*actual < goal) {
        way = min_u64(way, goal - *actual);
        *actual += way;
        note_move(guest, 1, way);
    }
    guest->balloon_still = *actual == goal ? guest->balloon_still + elapsed : 0;
    if (guest->scenario->balloon == BALLOON_TAKES_BACK && guest->balloon_still >= TAKES_BACK_AFTER)
        guest->balloon_goal = vm->maximum;
    /* A balloon that is back where it was is no measure any more (daemon/act_balloon.c). */
    if ((vm->measures.in_force & VM_MEASURE_BALLOON) &&
        vm->measures.balloon_target >= vm->measures.balloon_before &&
        *actual == vm->measures.balloon_target)
        vm->measures.in_force &= ~(uint32_t)VM_MEASURE_BALLOON;
}

/* What it has touched beyond USE and BALLOON goes back, as far as it can. */
static void give_back(struct model_guest *guest, uint64_t elapsed)
{
    if (guest->scenario->pinned)
        return;
    guest->touched = min_u64(guest->touched, guest->vm.balloon.actual);
    if (guest->scenario->reporting)
        guest->touched -= min_u64(sub_or_zero(guest->touched, guest->used),
            scale_u64(guest->scenario->balloon_rate, elapsed, NSEC_PER_SEC));
}

/* Uses more or less, and asks for what of it has to be touched or read back first. QEMU's own part
 * comes before the guest's, and all that is pinned before its guest runs on it. */
static void use(struct model_guest *guest, uint64_t elapsed)
{
    const struct scenario_guest *scenario = guest->scenario;
    uint64_t way = scale_u64(scenario->touch_rate, elapsed, NSEC_PER_SEC);
    uint64_t let = sub_or_zero(guest->vm.balloon.actual, GUEST_RESERVE);
    uint64_t wanted = min_u64(guest->demand, let);
    guest->used = min_u64(guest->used, wanted);
    uint64_t more = min_u64(wanted - guest->used, way);
    /* What was freed within is taken first. */
    uint64_t at_hand = min_u64(more, guest->touched - guest->used);
    guest->used += at_hand;
    if (scenario->pinned)
        more = min_u64(scenario->maximum - guest->touched, way);
    else
        more -= at_hand;
    guest->growth = min_u64(scenario->overhead - guest->overhead, way) + more;
    guest->missing = sub_or_zero(guest->used + guest->overhead, guest_resident(guest));
    guest->missing = elapsed > 0 ? min_u64(guest->missing, guest->swapped) : 0;
}

void guest_grow(struct model_guest *guest, uint64_t bytes)
{
    uint64_t own = min_u64(bytes, guest->scenario->overhead - guest->overhead);
    guest->overhead += own;
    guest->touched += bytes - own;
    if (!guest->scenario->pinned)
        guest->used += bytes - own;
}

static void guest_begin(struct model *model, struct model_guest *guest)
{
    const struct scenario_guest *scenario = guest->scenario;
    guest->presence = PRESENCE_HERE;
    guest->balloon_goal = scenario->maximum;
    view_begin(guest, (uint32_t)(guest - model->guests), model->now);
}

static void guest_pass(struct model *model, struct model_guest *guest)
{
    uint32_t slot = (uint32_t)(guest - model->guests);
    if (guest->presence == PRESENCE_AWAITED && model->now - model->began >= guest->scenario->start)
        guest_begin(model, guest);
    guest->growth = guest->missing = 0;
    if (guest->presence == PRESENCE_AWAITED)
        return;
    if (guest->presence == PRESENCE_HERE && !act_take_hold(model, guest))
        guest->presence = PRESENCE_GONE;
    /* The demand for what one who is gone did goes on. */
    bool gone = guest->presence == PRESENCE_GONE;
    uint64_t elapsed = gone ? model->scenario->step : own_time(model, guest);
    guest->age += elapsed;
    guest->demand =
        min_u64(demand_at(&guest->scenario->demand, guest->age, model->scenario->seed + slot),
            guest->scenario->maximum);
    if (gone)
        return;
    move_balloon(guest, elapsed);
    use(guest, elapsed);
    give_back(guest, elapsed);
    guest->swapped = min_u64(guest->swapped, guest->touched + guest->overhead);
}

/* One that is there from the beginning has what it uses by then. */
static void guest_fill(struct model *model, struct model_guest *guest)
{
    const struct scenario_guest *scenario = guest->scenario;
    uint32_t slot = (uint32_t)(guest - model->guests);
    guest_begin(model, guest);
    guest->demand = demand_at(&scenario->demand, 0, model->scenario->seed + slot);
    guest->demand = min_u64(guest->demand, scenario->maximum);
    guest->used = min_u64(guest->demand, sub_or_zero(scenario->maximum, GUEST_RESERVE));
    guest->touched = scenario->pinned ? scenario->maximum : guest->used;
    guest->overhead = scenario->overhead;
}

void model_begin(struct model *model)
{
    for (uint32_t i = 0; i < model->guest_count; i++)
        if (model->guests[i].scenario->start == 0)
            guest_fill(model, &model->guests[i]);
    memory_begin(model);
}

void model_pass(struct model *model)
{
    const struct scenario_host *host = &model->scenario->host;
    model->now += model->scenario->step;
    for (uint32_t i = 0; i < model->guest_count; i++)
        guest_pass(model, &model->guests[i]);
    if (known(model->process_dies) && model->now >= model->process_dies)
        model->process = 0;
    bool grows = !known(model->process_dies) && model->now - model->began >= host->process_delay;
    model->process_wish =
        grows ? scale_u64(host->process_growth, model->scenario->step, NSEC_PER_SEC) : 0;
    memory_pass(model);
    score_pass(model);
}
