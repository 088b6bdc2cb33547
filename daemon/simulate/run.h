/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A run of a scenario: the memory for it, and Plimsoll's own policy as a watcher. */
#ifndef PLIMSOLL_SIMULATE_RUN_H
#define PLIMSOLL_SIMULATE_RUN_H

#include <plimsoll/cleanup.h>
#include <plimsoll/simulator.h>

/* policy_decide() with state and scratch of its own. */
struct policy_watcher;

/* NULL without memory. */
struct policy_watcher *policy_watcher_new(uint32_t guest_count);
struct policy_watcher *policy_watcher_free(struct policy_watcher *watcher);
DEFINE_CLEANUP(struct policy_watcher *, policy_watcher_free);
/* Valid as long as WATCHER. */
struct watcher policy_watcher_get(struct policy_watcher *watcher);

/* Runs SCENARIO to its end; WITNESS may be NULL. NULL without memory; the caller frees it with
 * free(). */
struct simulator *run_scenario(const struct scenario *scenario, const struct rules *rules,
    const struct watcher *watcher, simulator_witness witness, void *userdata);

#endif
