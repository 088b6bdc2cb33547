/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the memory of runs. */
#include "run.h"

#include <stdlib.h>

struct policy_watcher {
    void *state, *scratch;
};

struct policy_watcher *policy_watcher_new(uint32_t guest_count)
{
    struct policy_watcher *watcher = calloc(1, sizeof(*watcher));

    if (!watcher)
        return NULL;
    watcher->state = malloc(policy_state_size(guest_count));
    watcher->scratch = malloc(policy_scratch_size(guest_count));
    if (!watcher->state || !watcher->scratch)
        return policy_watcher_free(watcher);
    (void)policy_state_init(watcher->state, guest_count);
    (void)policy_scratch_init(watcher->scratch, guest_count);
    return watcher;
}

struct policy_watcher *policy_watcher_free(struct policy_watcher *watcher)
{
    if (!watcher)
        return NULL;
    free(watcher->state);
    free(watcher->scratch);
    free(watcher);
    return NULL;
}

static void watcher_decide(
    const struct snapshot *snapshot, const struct rules *rules, void *own, struct plan *ret_plan)
{
    struct policy_watcher *watcher = own;

    policy_decide(snapshot, rules, watcher->state, watcher->scratch, ret_plan);
}

struct watcher policy_watcher_get(struct policy_watcher *watcher)
{
    return (struct watcher){.name = "plimsoll", .decide = watcher_decide, .own = watcher};
}

struct simulator *run_scenario(const struct scenario *scenario, const struct rules *rules,
    const struct watcher *watcher, simulator_witness witness, void *userdata)
{
    void *buffer = malloc(simulator_size(scenario->guest_count));

    if (!buffer)
        return NULL;
    struct simulator *simulator = simulator_init(buffer, scenario, rules);
    while (simulator_step(simulator, watcher, witness, userdata))
        ;
    return simulator;
}
