/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Taking measures back. The decisions are pure, so that the guard's own way out and the command
 * that works with the guard dead decide alike; the rest does what they say for the second.
 *
 * Everything is compare-and-restore: a value is put back only where it is still the one we set.
 */
#ifndef PLIMSOLL_DAEMON_UNDO_H
#define PLIMSOLL_DAEMON_UNDO_H

#include "ledger.h"
#include "roots.h"

#include <plimsoll/qmp.h>
#include <plimsoll/snapshot.h>

enum undo_verdict {
    UNDO_DO,     /* it is as we left it: take it back */
    UNDO_FORGET, /* somebody else has changed or undone it: leave it, and forget it */
    UNDO_REFUSE, /* touching it would do harm: leave it, and keep it in the ledger */
};

struct undo_decision {
    enum undo_verdict verdict;
    const char *why; /* for a person, without a full stop; never NULL */
};

/* Whether `cont` may be sent to a VM with MEASURES (enum vm_measure) in force: only if it is
 * paused, by us, and no migration is under way. A guest in postmigrate lives elsewhere: `cont`
 * would run it twice on the same disks. */
struct undo_decision undo_may_resume(
    enum qmp_run_state run_state, enum qmp_migration migration, uint32_t measures);

/* Whether the balloon may be set back to BEFORE while ACTUAL is what the guest has and TARGET is
 * what we asked for. QEMU names no target in force, so ours is told by where the guest is: on its
 * way from BEFORE to TARGET, both included. UNKNOWN figures: UNDO_REFUSE. */
struct undo_decision undo_may_deflate(
    uint64_t actual, uint64_t before, uint64_t target, enum qmp_migration migration);

/* Whether BEFORE may be requested of virtio-mem again, of which REQUESTED is now: it has to be one
 * of what we have set and, while that may not have come to be, what was there until then
 * (PREVIOUS; else UNKNOWN). */
struct undo_decision undo_may_resize(uint64_t requested, const struct vm_contained *ours,
    uint64_t previous, enum qmp_migration migration);

struct undo_decision undo_may_restore_score(int32_t current, int32_t set);

/* Told of each measure: VM and what became of it. MEASURE is a word ("freeze", "brake", "pause",
 * "balloon", "resize", "oom-score", "memlock", "save", "shutdown", or that of a limit,
 * "memory-high" and so on) or "guest" for what concerns all of them. DONE: nothing of it is left to
 * undo. */
typedef void (*undo_report)(
    const char *vm, const char *measure, bool done, const char *text, void *userdata);

/* What one VM's monitor gets for everything, greeting included, ns. */
#define UNDO_MONITOR_TIMEOUT (10 * NSEC_PER_SEC)

struct undo_options {
    const struct roots *roots;
    uint64_t monitor_timeout;
    undo_report report;
    void *userdata;
};

/*
 * Undoes what stands in LEDGER for the VMs of the NAMES (COUNT 0: all): first everything that needs
 * nobody's help (thaw, brake, score, limits), for all, then what needs the monitors, one after
 * another. A measure leaves the ledger only after it is undone or was found to be no longer ours; a
 * VM that is gone leaves it with all of them. Blocks. Returns how many measures could not be
 * undone; a name that fits no entry counts as one.
 */
unsigned undo_all(struct ledger *ledger, const struct undo_options *options,
    const char *const *names, unsigned count);

#endif
