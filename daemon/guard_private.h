/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the guard's parts share: guard.c has the way through and the loop, guard_life.c builds it up
 * and reloads, guard_leave.c hands over. Nobody else includes this.
 */
#ifndef PLIMSOLL_DAEMON_GUARD_PRIVATE_H
#define PLIMSOLL_DAEMON_GUARD_PRIVATE_H

#include "config.h"
#include "control_server.h"
#include "guard.h"
#include "inventory.h"
#include "ledger.h"
#include "loop.h"
#include "notify.h"
#include "sample_host.h"
#include "sample_tmpfs.h"

#include <plimsoll/policy.h>

struct guard {
    struct guard_options options;
    struct roots roots;
    struct loop *loop;
    struct config *config;
    struct ledger *ledger;
    struct host_sampler *host_sampler;
    struct tmpfs_sampler *tmpfs_sampler;
    struct inventory *inventory;
    struct control_server *control;
    struct notify *notify;
    struct loop_source signals, psi;

    uint32_t vm_capacity;
    struct snapshot *snapshot;
    struct rules *rules;
    void *state_buffer, *scratch_buffer;
    struct policy_state *state;
    struct policy_scratch *scratch;
    struct plan *plan;

    uint64_t next_tick, next_host_full;
    uint64_t next_notify, notify_interval; /* watchdog and status */
    bool leaving;                          /* SIGTERM or SIGINT came */
    bool reload;                           /* SIGHUP came */
};

/* One way through: observes the host as of NOW, decides, acts. */
void guard_tick(struct guard *guard, uint64_t now);
/* Rules of one VM anew, from the configuration and its name. */
void guard_resolve_rules(struct guard *guard, const struct vm *vm);
/* Reads the configuration again; a bad one leaves everything as it is. */
int guard_reload(struct guard *guard, struct error *ret_error);
/* The first half of a tick: a new snapshot and a plan for it, not acted on. */
void guard_reckon(struct guard *guard, uint64_t now);
/* Before a clean exit: makes proper pauses of freezes and, with on-exit=restore, takes measures
 * back as far as there is room. What is left stays in the ledger, said in the log. */
void guard_leave(struct guard *guard);

#endif
