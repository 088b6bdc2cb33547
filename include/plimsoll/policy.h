/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libpolicy: one pure function from what is seen to what shall be done. It opens nothing, allocates
 * nothing, reads no clock and logs nothing; a test on its symbols proves it. Time is a field of the
 * snapshot, history lives in a state that can be copied, so the live guard, dry run, replay and the
 * simulator run the same code and come to the same decision for the same input.
 */
#ifndef PLIMSOLL_POLICY_H
#define PLIMSOLL_POLICY_H

#include <plimsoll/plan.h>
#include <plimsoll/rules.h>
#include <plimsoll/snapshot.h>

/* History: growth estimators, bands, pending actions, the circuit breaker. Plain data; a memcpy of
 * policy_state_size() bytes is a valid copy. */
struct policy_state;
/* Working space of one call; its content means nothing between calls. */
struct policy_scratch;

size_t policy_state_size(uint32_t vm_capacity);
size_t policy_scratch_size(uint32_t vm_capacity);

/* Makes BUFFER (policy_state_size() bytes, aligned as malloc does) a state without history. */
struct policy_state *policy_state_init(void *buffer, uint32_t vm_capacity);
struct policy_scratch *policy_scratch_init(void *buffer, uint32_t vm_capacity);

/* Tells a fresh state of a destructive action from before a restart (out of the ledger), oldest
 * first: each guest of them counts once for the circuit breaker, and who comes back with the same
 * uuid is not killed again in a loop; with none, it may be. */
void policy_state_seed(
    struct policy_state *state, uint64_t time, const struct vm_identity *identity);

/*
 * Decides. SNAPSHOT's time must not run backwards between calls with one state; a snapshot not
 * younger than the last changes nothing but the plan. All capacities must be equal. RET_PLAN is
 * overwritten; its action_capacity must be set. Cannot fail: what it cannot know it leaves alone.
 *
 * Guarantees (each a property test): no balloon target below a VM's minimum or above its maximum;
 * the sum of grants in one plan never exceeds the memory seen free above what calm needs, or, as
 * far as guests starve for want of it, above where scarce is left; only
 * elastic guests, and self-deflating ones by free page reporting, are inflated; destructive actions
 * only in BAND_CRITICAL, one at a time, never on a post-copy migration or a SACRIFICE_NEVER guest;
 * nobody is braked before BAND_SCARCE or in a sprint, and who is braked is released in two minutes;
 * equal inputs give equal plans. RLIMIT_MEMLOCK is lowered only of guests that libvirt has started
 * and of whom all is known, once, and never below memlock_safe_cap(). A limit of a cgroup is
 * tighter than what was found there, leaves contain_least(), and no other is set in its plan. For a
 * NUMA node nobody is asked who has no memory there, and nobody is paused or killed who is not
 * bound to it; it goes to BAND_CRITICAL only while such a guest grows that has no other node left.
 */
void policy_decide(const struct snapshot *snapshot, const struct rules *rules,
    struct policy_state *state, struct policy_scratch *scratch, struct plan *ret_plan);

/*
 * The order in which guests are to go, as the kernel is armed with it: RET_ORDER, by position in
 * the snapshot, is 1 for the first, and 0 for whom the rules spare or who is going already. The
 * guard's own choice is the least loss as well, among those who give enough. Where scores were not
 * set, as in dry run, the kernel has an order of its own. All capacities must be equal; O(n log n).
 */
void policy_victim_order(const struct snapshot *snapshot, const struct rules *rules,
    struct policy_scratch *scratch, uint32_t *ret_order);

/* Classes a VM from the facts in its snapshot; fills kind and reason. The guard calls it when it
 * assembles the snapshot, so that everybody reads the same class. */
void vm_classify(
    const struct vm_snapshot *vm, enum vm_kind *ret_kind, enum vm_kind_reason *ret_reason);

/* The VM's minimum in bytes, at most its maximum; UNKNOWN while its maximum is. */
uint64_t vm_minimum(const struct vm_snapshot *vm, const struct vm_rules *rules);

/* The host's floor in bytes; its total must be known. */
uint64_t host_floor(const struct host_snapshot *host, const struct host_rules *rules);

/* ---- locked and pinned memory ---- */

/* What a limit leaves above the use: libvirt's own allowance, for what devices map beside RAM. */
#define MEMLOCK_ROOM GIB
/* How long libvirt's word on a definition is acted on. Whoever fills it asks anew in less. */
#define MEMLOCK_CONFIRMED_FOR (5 * NSEC_PER_MINUTE)

/* VmLck and VmPin together, as limits are checked against them; UNKNOWN where one is. */
uint64_t memlock_use(const struct vm_snapshot *vm);
/* RLIMIT_MEMLOCK as libvirt would set it: bytes, MEMLOCK_UNLIMITED, or 0 where it would leave what
 * QEMU inherits. UNKNOWN for a guest that libvirt has not started, where the definition leaves
 * anything open that the rule reads, and where QEMU's descriptors contradict it. */
uint64_t memlock_formula(const struct vm_snapshot *vm);
/* The lowest limit that QEMU is sure to live with: max(formula, use + MEMLOCK_ROOM). UNKNOWN where
 * either is. */
uint64_t memlock_safe_cap(const struct vm_snapshot *vm);
/* Memory that is locked or pinned for certain, no page counted twice; UNKNOWN while VmLck is. */
uint64_t vm_pinned(const struct vm_snapshot *vm);

/* ---- limits of cgroups ---- */

/* The least LIMIT that does no harm to a guest that uses USE, of memory or tasks: room above it for
 * a memory.max and a pids.max; UNKNOWN - 1 where USE is UNKNOWN; 0 for the others. */
uint64_t contain_least(enum vm_limit limit, uint64_t use);

/* The rules of a VM nobody wrote rules for. */
void vm_rules_default(struct vm_rules *ret_rules);
void host_rules_default(struct host_rules *ret_rules);

#endif
