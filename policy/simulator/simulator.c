/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the closed loop: a step of the model, and whenever the last plan asked for it a look, a
 * decision, and what follows from it. Everything lies in one buffer of the caller's.
 */
#include "model.h"

#include <assert.h>
#include <plimsoll/cleanup.h>
#include <string.h>

/* The guard's clock does not begin with 0 either: UNKNOWN times and 0 mean something. */
#define CLOCK_BEGIN (1000 * NSEC_PER_SEC)
/* All parts of the buffer begin aligned as malloc does. */
#define ALIGNMENT 16

struct simulator {
    struct model model;
    struct snapshot *snapshot;
    struct plan *plan;
    uint64_t next_look;
};

static size_t aligned(size_t size)
{
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

size_t simulator_size(uint32_t guest_count)
{
    return aligned(sizeof(struct simulator)) + aligned(snapshot_size(guest_count)) +
           aligned(plan_size(guest_count)) + guest_count * sizeof(struct model_guest);
}

struct simulator *simulator_init(
    void *buffer, const struct scenario *scenario, const struct rules *rules)
{
    uint32_t count = scenario->guest_count;
    struct simulator *simulator = buffer;
    char *at = buffer;
    memset(buffer, 0, simulator_size(count));
    at += aligned(sizeof(*simulator));
    simulator->snapshot = (struct snapshot *)(void *)at;
    at += aligned(snapshot_size(count));
    simulator->plan = (struct plan *)(void *)at;
    at += aligned(plan_size(count));
    simulator->snapshot->vm_capacity = count;
    simulator->plan->action_capacity = plan_action_capacity(count);

    struct model *model = &simulator->model;
    model->scenario = scenario;
    model->rules = rules;
    model->now = model->began = CLOCK_BEGIN;
    model->floor = UNKNOWN;
    model->score.headroom_least = INT64_MAX;
    model->guest_count = count;
    model->guests = (struct model_guest *)(void *)at;
    for (uint32_t i = 0; i < count; i++)
        model->guests[i].scenario = &scenario->guests[i];
    model_begin(model);
    simulator->next_look = model->now;
    return simulator;
}

static void look(struct simulator *simulator, const struct watcher *watcher,
    simulator_witness witness, void *userdata)
{
    struct model *model = &simulator->model;
    struct plan *plan = simulator->plan;
    view_show(model, simulator->snapshot, plan->assessment.band, watcher->fresh);
    model->floor = host_floor(&simulator->snapshot->host, &model->rules->host);
    model->score.looks++;
    watcher->decide(simulator->snapshot, model->rules, watcher->own, plan);
    if (witness && plan->action_count > 0)
        witness(plan, model->now - model->began, userdata);
    act_on_plan(model, plan);
    simulator->next_look = add_held(model->now, plan->next_wake);
}

bool simulator_step(struct simulator *simulator, const struct watcher *watcher,
    simulator_witness witness, void *userdata)
{
    struct model *model = &simulator->model;
    if (model->now - model->began >= model->scenario->duration)
        return false;
    if (model->now >= simulator->next_look)
        look(simulator, watcher, witness, userdata);
    model_pass(model);
    return true;
}

void simulator_score(const struct simulator *simulator, struct score *ret_score)
{
    score_total(&simulator->model, ret_score);
}

void simulator_guest_score(
    const struct simulator *simulator, uint32_t guest, struct guest_score *ret_score)
{
    score_guest_total(&simulator->model, &simulator->model.guests[guest], ret_score);
}

const char *guest_end_name(enum guest_end end)
{
    static const char *const names[] = {
        [GUEST_NOT_ENDED] = "runs",
        [GUEST_KILLED] = "killed",
        [GUEST_KILLED_BY_KERNEL] = "killed-by-kernel",
        [GUEST_SAVED] = "saved",
        [GUEST_SHUT_DOWN] = "shut-down",
    };
    static_assert(ELEMENTSOF(names) == GUEST_END_COUNT, "a name for each");
    return names[end];
}

const char *balloon_manner_name(enum balloon_manner manner)
{
    static const char *const names[] = {
        [BALLOON_OBEYS] = "obeys",
        [BALLOON_REFUSES] = "refuses",
        [BALLOON_TAKES_BACK] = "takes-back",
        [BALLOON_ABSENT] = "absent",
    };
    static_assert(ELEMENTSOF(names) == BALLOON_MANNER_COUNT, "a name for each");
    return names[manner];
}

const char *report_manner_name(enum report_manner manner)
{
    static const char *const names[] = {
        [REPORT_HONEST] = "honest",
        [REPORT_NONE] = "none",
        [REPORT_STALE] = "stale",
        [REPORT_FULL] = "full",
        [REPORT_IDLE] = "idle",
    };
    static_assert(ELEMENTSOF(names) == REPORT_MANNER_COUNT, "a name for each");
    return names[manner];
}
