/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ledger: every measure in force with what is needed to take it back, written before the action
 * is taken. A preallocated file of fixed, checksummed slots, mapped and locked, so that writing is
 * a store to memory: no system call, no allocation, nothing that can fail at the edge. Each slot is
 * kept twice with a sequence number; a guard killed in the middle of a write leaves the older copy.
 *
 * The file belongs to one boot (boot id in its header): one from another boot is begun anew. The
 * lock (fcntl, whose holder can be asked for) is also the guard's own: whoever holds it is the
 * guard.
 */
#ifndef PLIMSOLL_DAEMON_LEDGER_H
#define PLIMSOLL_DAEMON_LEDGER_H

#include "vcpu_quota.h"

#include <plimsoll/error.h>
#include <plimsoll/plan.h>
#include <plimsoll/snapshot.h>

#define LEDGER_MONITOR_MAX 108 /* sizeof(sun_path), <sys/un.h> */
#define LEDGER_HISTORY \
    64 /* destructive actions remembered: the breaker's window never needs more */

struct ledger;

struct ledger_entry {
    struct vm_identity identity;
    char name[VM_NAME_MAX];
    char monitor[LEDGER_MONITOR_MAX]; /* path of its QMP socket; empty: none */
    struct vm_measures measures;
    uint64_t memlock_soft_before, memlock_hard_before; /* valid with VM_MEASURE_MEMLOCK */
    struct vcpu_quota quota_before;                    /* valid with VM_MEASURE_BRAKED */
    int32_t oom_score_before;                          /* valid with VM_MEASURE_OOM_SCORE */
    int32_t oom_score_previous; /* likewise: ours before the one in measures; a guard killed between
                                 * ledger and kernel leaves either in force */
    enum vm_limit limit_written; /* the last limit of its cgroup; valid with VM_MEASURE_CONTAIN … */
    uint64_t limit_previous; /* … and what it was before, while either may be in force; UNKNOWN */
    bool resize_by_libvirt;  /* it is libvirt's to put back; valid with VM_MEASURE_RESIZE */
    enum reason reason;      /* of the last action */
};

struct ledger_destruction {
    uint64_t time; /* CLOCK_MONOTONIC, which is one clock for one boot */
    struct vm_identity identity;
    char name[VM_NAME_MAX];
    enum action_kind kind;
    enum reason reason;
};

/* Opens or creates PATH with CAPACITY slots; a smaller file of the same boot is grown, a larger one
 * keeps its size while slots beyond CAPACITY are in use. -EBUSY: another process holds it; the
 * error names its pid. CAPACITY 0: as many as there are, for `plimsoll undo --offline`.
 *
 * What could not be kept is no failure: with 0 the error's text is empty, or says that slots whose
 * copies were both damaged were dropped, or that a damaged file was renamed to PATH.bad and begun
 * anew. BOOT_ID is the text of /proc/sys/kernel/random/boot_id.
 *
 * -ELOOP, -ENOTSUP, -EPERM: PATH is a link, no regular file, of this boot but another version, not
 * ours or open to others: refused untouched; the error says what to do. A process must not open
 * PATH by any other way while it holds the ledger: closing that descriptor would drop the lock
 * (fcntl(2), "advisory record locking"). */
int ledger_open(const char *path, const char *boot_id, uint32_t capacity,
    struct ledger **ret_ledger, struct error *ret_error);
struct ledger *ledger_free(struct ledger *ledger);

uint32_t ledger_capacity(const struct ledger *ledger);
/* The entry of SLOT, or NULL when it holds none. Valid until the next put or clear of that slot;
 * it may be what is put. */
const struct ledger_entry *ledger_get(const struct ledger *ledger, uint32_t slot);
/* An entry with no measure in force clears the slot. Beyond the capacity: nothing is done. */
void ledger_put(struct ledger *ledger, uint32_t slot, const struct ledger_entry *entry);
void ledger_clear(struct ledger *ledger, uint32_t slot);

/* Before a kill, save or shutdown: remembered beyond the VM's slot, for breaker and `why`. */
void ledger_record(struct ledger *ledger, const struct ledger_destruction *destruction);
/* INDEX from 0, oldest first; NULL beyond the last. */
const struct ledger_destruction *ledger_history(const struct ledger *ledger, uint32_t index);

#endif
