/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the looks ahead: the copied world goes on to the next look, the policy decides, what is
 * enforced is done to the copy, and each thing decided is noted once. Looks come when the plan asks
 * for them, for there the guard and this have to come to the same; but the longer nothing is
 * decided, the further they are apart, up to what a calm guard waits: near the edge a plan asks for
 * a look each millisecond, a kill takes a hundred of them, and all but its end is the same. What
 * takes hold between two looks has one of its own.
 */
#include <assert.h>

#include <plimsoll/cleanup.h>
#include <plimsoll/forecast.h>

#include "forecast_world.h"
#include "pool.h"

/* A look comes no later than after this part of the time in which nothing has been decided. */
#define QUIET_DIVISOR 8
/* Nothing was decided for so long: longer than a balloon's round, and what waits for it, takes. */
#define QUIET_TIME (STUCK_AFTER + 2 * NSEC_PER_SEC)
/* All parts of the buffer begin aligned as malloc does. */
#define ALIGNMENT 16

struct forecast {
    struct forecast_world world;
    struct policy_state *state;
    struct plan *plan;
    uint32_t node; /* that is asked about, or FORECAST_ANY_NODE */
    uint64_t began, quiet_since;
    uint64_t wake; /* ns to the next look */
    struct forecast_result result;
    uint32_t step_count;
    struct forecast_step steps[FORECAST_STEPS_MAX];
};

static size_t aligned(size_t size)
{
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

size_t forecast_size(uint32_t vm_capacity)
{
    return aligned(sizeof(struct forecast)) + aligned(snapshot_size(vm_capacity)) +
           aligned(policy_state_size(vm_capacity)) + aligned(plan_size(vm_capacity)) +
           vm_capacity * sizeof(struct forecast_guest);
}

/* Gives out the buffer's parts, one after the other. */
static void *part_take(char **at, size_t size)
{
    void *part = *at;
    *at += aligned(size);
    return part;
}

/* ---- what is done ---- */

static const struct vm_snapshot *vm_of(const struct snapshot *snapshot, uint32_t slot)
{
    for (uint32_t i = 0; i < snapshot->vm_count; i++)
        if (snapshot->vms[i].slot == slot)
            return &snapshot->vms[i];
    return NULL;
}

/* ACTION as the guard takes it (daemon/guard.c): what gives back is done in dry run, too. */
static void action_take(struct forecast_world *world, struct action *action)
{
    const struct vm_snapshot *vm = vm_of(world->snapshot, action->slot);
    if (vm && action_gives_back(action, &vm->measures))
        action->mode = MODE_ENFORCE;
    if (vm && action->mode == MODE_ENFORCE)
        forecast_world_act(world, action);
}

struct forecast *forecast_begin(void *buffer, const struct snapshot *snapshot,
    const struct policy_state *state, const struct plan *plan, const struct forecast_need *need)
{
    uint32_t capacity = snapshot->vm_capacity;
    size_t used = sizeof(*snapshot) + (size_t)snapshot->vm_count * sizeof(snapshot->vms[0]);
    char *at = buffer;
    struct forecast *forecast = part_take(&at, sizeof(*forecast));
    __builtin_memset(forecast, 0, sizeof(*forecast));
    forecast->world.snapshot = part_take(&at, snapshot_size(capacity));
    forecast->state = part_take(&at, policy_state_size(capacity));
    forecast->plan = part_take(&at, plan_size(capacity));
    forecast->world.guests = part_take(&at, capacity * sizeof(struct forecast_guest));
    __builtin_memcpy(forecast->world.snapshot, snapshot, used);
    __builtin_memcpy(forecast->state, state, policy_state_size(capacity));
    __builtin_memcpy(forecast->plan, plan, sizeof(*plan));

    forecast->node = need->node;
    forecast->began = forecast->quiet_since = snapshot->time;
    forecast->wake = max_u64(plan->next_wake, 1);
    forecast->result.met_at = UNKNOWN;
    forecast_world_begin(&forecast->world, forecast->state, plan->assessment.band);
    /* The guard has done it since, and STATE takes it for done. */
    for (uint32_t i = 0; i < plan->action_count; i++) {
        struct action action = plan->actions[i];
        action_take(&forecast->world, &action);
    }
    uint32_t nodes = need->node < NODES_MAX ? UINT32_C(1) << need->node : UINT32_MAX;
    forecast_world_need(&forecast->world, need->bytes, nodes);
    return forecast;
}

/* ---- what was decided ---- */

static bool is_same(const struct action *a, const struct action *b)
{
    return a->slot == b->slot && a->kind == b->kind && a->reason == b->reason &&
           a->mode == b->mode && vm_identity_equal(&a->identity, &b->identity);
}

static void step_note(struct forecast *forecast, const struct action *action)
{
    uint64_t time = forecast->plan->time - forecast->began;
    struct forecast_step *step = NULL;
    for (uint32_t i = forecast->step_count; i > 0 && !step; i--)
        if (is_same(&forecast->steps[i - 1].action, action))
            step = &forecast->steps[i - 1];
    if (!step && forecast->step_count == FORECAST_STEPS_MAX) {
        forecast->result.steps_dropped++;
        return;
    }
    if (!step) {
        step = &forecast->steps[forecast->step_count++];
        *step = (struct forecast_step){.time = time, .band = forecast->plan->assessment.band};
    }
    uint64_t relief = add_held(step->action.relief, action->relief);
    step->action = *action;
    step->action.relief = relief;
    step->last = time;
    step->times++;
}

/* The kernel's order of victims changes all the time, and frees nothing: it is not noted. */
static void plan_carry_out(struct forecast *forecast)
{
    const struct plan *plan = forecast->plan;
    for (uint32_t i = 0; i < plan->action_count; i++) {
        struct action action = plan->actions[i];
        action_take(&forecast->world, &action);
        if (action.kind == ACTION_OOM_SCORE)
            continue;
        step_note(forecast, &action);
        forecast->quiet_since = plan->time;
        if (action.kind != ACTION_ALERT && action.mode == MODE_DRY_RUN)
            forecast->result.dry = true;
    }
}

/* ---- what became of it ---- */

static uint64_t below_floor(const struct pool_view *pool)
{
    return known(pool->total) && pool->headroom < 0 ? (uint64_t)-pool->headroom : 0;
}

static void result_note(struct forecast *forecast, uint64_t elapsed)
{
    const struct assessment *assessment = &forecast->plan->assessment;
    const struct forecast_world *world = &forecast->world;
    struct forecast_result *result = &forecast->result;
    uint64_t waited = world->waited;
    uint64_t below = below_floor(&assessment->pools[POOL_INDEX_HOST]);
    if (forecast->node < NODES_MAX) {
        waited = max_u64(waited, world->node_waited[forecast->node]);
        below = max_u64(below, below_floor(&assessment->pools[POOL_INDEX_NODES + forecast->node]));
    }
    result->lacking = add_held(waited, below);
    result->waited_most = max_u64(result->waited_most, waited);
    result->waited += waited > 0 ? elapsed : 0;
    result->time = forecast->plan->time - forecast->began;
    result->looks++;
    result->met = result->lacking == 0;
    if (!result->met)
        result->met_at = UNKNOWN;
    else if (!known(result->met_at))
        result->met_at = result->time;
}

static bool anything_fills(const struct assessment *assessment)
{
    for (uint32_t i = 0; i < assessment->pool_count; i++)
        if (assessment->pools[i].headroom > 0 && assessment->pools[i].time_to_exhaustion != NEVER)
            return true;
    return false;
}

static enum forecast_ending ending_of(const struct forecast *forecast)
{
    const struct plan *plan = forecast->plan;
    if (plan->time - forecast->began >= FORECAST_TIME)
        return FORECAST_TOO_FAR;
    if (plan->time - forecast->quiet_since >= QUIET_TIME &&
        !forecast_world_moves(&forecast->world) && !anything_fills(&plan->assessment))
        return FORECAST_SETTLED;
    return forecast->result.looks >= FORECAST_LOOKS_MAX ? FORECAST_CUT : FORECAST_OPEN;
}

static uint64_t wake_after(const struct forecast *forecast)
{
    uint64_t now = forecast->plan->time, wake = max_u64(forecast->plan->next_wake, 1);
    uint64_t quiet = now - forecast->quiet_since;
    wake = max_u64(wake, min_u64(quiet / QUIET_DIVISOR, WAKE_MAX));
    return min_u64(wake, max_u64(sub_or_zero(forecast_world_event(&forecast->world), now), 1));
}

bool forecast_look(
    struct forecast *forecast, const struct rules *rules, struct policy_scratch *scratch)
{
    struct snapshot *snapshot = forecast->world.snapshot;
    uint64_t elapsed = forecast->wake;
    if (forecast->result.ending != FORECAST_OPEN)
        return false;
    forecast_world_pass(&forecast->world, elapsed, forecast->plan->assessment.band);
    /* A look that was left out is not late. */
    forecast->state->wake = snapshot->time;
    policy_decide(snapshot, rules, forecast->state, scratch, forecast->plan);
    plan_carry_out(forecast);
    result_note(forecast, elapsed);
    forecast->wake = wake_after(forecast);
    forecast->result.ending = ending_of(forecast);
    return true;
}

void forecast_result(const struct forecast *forecast, struct forecast_result *ret_result)
{
    *ret_result = forecast->result;
    if (ret_result->ending == FORECAST_OPEN)
        ret_result->ending = FORECAST_CUT;
}

const struct plan *forecast_plan(const struct forecast *forecast)
{
    return forecast->plan;
}

const struct forecast_step *forecast_steps(const struct forecast *forecast, uint32_t *ret_count)
{
    *ret_count = forecast->step_count;
    return forecast->steps;
}

const char *forecast_ending_name(enum forecast_ending ending)
{
    static const char *const names[] = {
        [FORECAST_OPEN] = "open",
        [FORECAST_SETTLED] = "settled",
        [FORECAST_TOO_FAR] = "time",
        [FORECAST_CUT] = "cut",
    };
    static_assert(ELEMENTSOF(names) == FORECAST_ENDING_COUNT, "a name for each");
    return names[ending];
}
