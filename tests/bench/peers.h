/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Others' policies as watchers of the simulator, written from their published rules alone: what
 * each sees, how often, and what it does. They are shown every guest's figures of the moment, which
 * is more than they have in life, and what they ask for is carried out as Plimsoll's is.
 */
#ifndef PLIMSOLL_BENCH_PEERS_H
#define PLIMSOLL_BENCH_PEERS_H

#include <plimsoll/simulator.h>

/* GUEST_COUNT guests; their memory of the past is from calloc(), the caller's to free (`own`).
 * False without memory. */
bool peer_kernel(uint32_t guest_count, struct watcher *ret_watcher);
bool peer_largest(uint32_t guest_count, struct watcher *ret_watcher);
bool peer_mom(uint32_t guest_count, struct watcher *ret_watcher);
bool peer_pve(uint32_t guest_count, struct watcher *ret_watcher);
bool peer_squeezed(uint32_t guest_count, struct watcher *ret_watcher);

/* Empties PLAN, which is made for SNAPSHOT; to be asked again after WAKE. */
void peer_plan_begin(const struct snapshot *snapshot, uint64_t wake, struct plan *ret_plan);
/* An action that is carried out. */
struct action *peer_plan_add(
    struct plan *plan, enum action_kind kind, const struct vm_snapshot *vm);
void peer_plan_balloon(struct plan *plan, const struct vm_snapshot *vm, uint64_t target);

/* A balloon of it can be asked for. */
bool peer_has_balloon(const struct vm_snapshot *vm);
uint64_t peer_minimum(const struct vm_snapshot *vm, const struct rules *rules);

#endif
