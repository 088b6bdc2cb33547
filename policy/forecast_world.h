/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The memory of a host some seconds ahead: a snapshot that goes on by itself, and does what a plan
 * says. Part of the forecast.
 */
#ifndef PLIMSOLL_POLICY_FORECAST_WORLD_H
#define PLIMSOLL_POLICY_FORECAST_WORLD_H

#include "state.h"

/* How often a guest is looked at, by band: as the guard does (daemon/guard.c). */
static const uint64_t forecast_look_interval[BAND_COUNT] = {
    NSEC_PER_SEC, 500 * NSEC_PER_MSEC, 200 * NSEC_PER_MSEC, 20 * NSEC_PER_MSEC};

/* As long as each was seen to take [measured, facts 9 and 10]. */
#define FORECAST_STOP (30 * NSEC_PER_MSEC)
#define FORECAST_FREEZE (10 * NSEC_PER_MSEC)
#define FORECAST_RESUME (30 * NSEC_PER_MSEC)

/* What the snapshot does not say of a guest; by slot. */
struct forecast_guest {
    struct vm_identity identity; /* pid 0: none */
    bool blind;                  /* its memory is not known: it is left as it is */
    bool stuck;                  /* its balloon has lately given nothing */
    int64_t growth;              /* bytes per second, not braked */
    uint64_t grown, given;       /* since it was last looked at */
    uint64_t piece;              /* on its way to swap */
    uint64_t next_look;          /* its figures are read then */
    /* When what is on its way takes hold; NEVER: nothing is. */
    uint64_t stop_done, freeze_done, resume_done, end_done, reclaim_done;
};

struct forecast_world {
    struct snapshot *snapshot; /* as the guard would see it */
    struct forecast_guest *guests;
    int64_t others;                          /* that fill the host, bytes per second */
    uint64_t waited, node_waited[NODES_MAX]; /* bytes asked for that are not there */
};

/* ---- forecast_act.c ---- */

/* Begins with what STATE knows, in BAND; `snapshot` and `guests`, of the same capacity, are set. */
void forecast_world_begin(
    struct forecast_world *world, const struct policy_state *state, enum band band);
/* Begins what ACTION, which is no dry run's, asks for. */
void forecast_world_act(struct forecast_world *world, const struct action *action);

/* ---- forecast_world.c ---- */

/* BYTES for somebody who is no guest, on one of NODES (bits). */
void forecast_world_need(struct forecast_world *world, uint64_t bytes, uint32_t nodes);
/* Lets ELAPSED pass, and shows what the guard would see then in BAND. */
void forecast_world_pass(struct forecast_world *world, uint64_t elapsed, enum band band);
/* The next time at which something takes hold; NEVER: none. */
uint64_t forecast_world_event(const struct forecast_world *world);
/* Something is on its way, a balloon too. */
bool forecast_world_moves(const struct forecast_world *world);

#endif
