/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What `plimsoll --json status` and io.plimsoll.GetStatus say: one snapshot, and what was decided
 * on it, as JSON. Its fields are described in control_interface.c; they are added to, never
 * renamed.
 */
#ifndef PLIMSOLL_DAEMON_STATUS_H
#define PLIMSOLL_DAEMON_STATUS_H

#include <json-c/json.h>
#include <plimsoll/plan.h>
#include <plimsoll/rules.h>
#include <plimsoll/snapshot.h>
#include <stdbool.h>

/* What people ask of guests beside what was decided on. */
struct status_aside {
    const bool *unmatched;        /* by slot: nobody has said anything of this guest */
    const uint64_t *hold_left;    /* by slot: how long its own hold keeps the guard from acting on
                                   * it, ns; 0: none does */
    const uint32_t *victim_order; /* by position in the snapshot, as policy_victim_order() */
};

/* A new object, or NULL without memory. PLAN is the one made for SNAPSHOT; one without pools (none
 * was made yet) leaves what the policy computes null, and so does an ASIDE of NULL its fields.
 * Bytes and nanoseconds; null for UNKNOWN. */
struct json_object *status_json(const struct snapshot *snapshot, const struct plan *plan,
    const struct rules *rules, const struct status_aside *aside);

/* Its element for the guest at POSITION of SNAPSHOT. */
struct json_object *status_vm_json(const struct snapshot *snapshot, uint32_t position,
    const struct rules *rules, const struct status_aside *aside);

/* Whether the guest's balloon driver reports its statistics; UNKNOWN: it cannot be asked, or does
 * not run, or has not had the time to. */
enum tristate status_vm_reports(const struct vm_snapshot *vm, uint64_t now);

/* "enforce", "dry-run" or "held", of the guard or, with OWN, of a VM with these rules, of whose own
 * hold they say nothing. */
const char *status_mode(const struct rules *rules, const struct vm_rules *own);
/* How long the hold lasts from SNAPSHOT on; there has to be one. */
uint64_t status_hold_left(const struct snapshot *snapshot, const struct rules *rules);
/* A hold that lasts so long from SNAPSHOT on. */
struct json_object *status_hold_json(const struct snapshot *snapshot, uint64_t left);

/* One word for how a VM stands, out of all that is known of it; never NULL. */
const char *status_vm_state(const struct vm_snapshot *vm);

/* The word for the measure of that bit (enum vm_measure); NULL: there is none, nor behind it. */
const char *status_measure_name(unsigned bit);

#endif
