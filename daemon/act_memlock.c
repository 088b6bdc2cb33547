/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * RLIMIT_MEMLOCK: a cap on what a guest may lock and pin. Lowered, it frees nothing and stops
 * nothing that is mapped; too low, it aborts QEMU when the guest maps anew. So right before it is
 * set, use is read once more and the limit must still be the one that was decided on: libvirt may
 * have raised it a moment ago, for a device that it is about to plug. Soft and hard are set alike,
 * since libvirt looks at the hard one alone and QEMU goes by the soft one (facts 5).
 */
#include "act.h"
#include "process.h"

#include <errno.h>

#include <plimsoll/policy.h>

static void limit_seen(struct vm *vm, const struct process_memlock *limit)
{
    vm->figures.memlock_soft = limit->soft;
    vm->figures.memlock_hard = limit->hard;
}

static void measure_end(struct vm *vm)
{
    vm->figures.measures.in_force &= ~(uint32_t)VM_MEASURE_MEMLOCK;
    vm->figures.measures.memlock_set = 0;
    vm_write_ledger(vm);
}

/* Fills what is in force, where CAP may take its place. */
static int cap_check(const struct vm *vm, uint64_t cap, struct process_memlock *ret_current)
{
    const pid_t pid = vm->figures.identity.pid;
    struct process_memlock current = {0};
    uint64_t use;

    int result = vm_sampler_memlock_use(&vm->sampler, &use);
    if (result == 0)
        result = process_memlock_read(pid, vm->pidfd, &current);
    if (result < 0)
        return result;
    if (cap < add_held(use, MEMLOCK_ROOM))
        return -ERANGE;
    if (current.soft != vm->figures.memlock_soft || current.hard != vm->figures.memlock_hard)
        return -ESTALE;
    if (current.hard <= cap)
        return -EALREADY;
    *ret_current = current;
    return 0;
}

int act_memlock(struct vm *vm, uint64_t cap, enum mode mode)
{
    const struct process_memlock wanted = {.soft = cap, .hard = cap};
    struct process_memlock current;
    int result;

    if (cap >= MEMLOCK_UNLIMITED)
        return -EINVAL;
    if (vm_has(vm, VM_MEASURE_MEMLOCK))
        return -EALREADY;
    if (!vm_alive(vm))
        return -ESRCH;
    result = cap_check(vm, cap, &current);
    if (result < 0 || mode == MODE_DRY_RUN)
        return result;
    vm->memlock_before = current;
    vm->figures.measures.in_force |= VM_MEASURE_MEMLOCK;
    vm->figures.measures.memlock_set = cap;
    vm_write_ledger(vm);
    result = process_memlock_exchange(vm->figures.identity.pid, vm->pidfd, &current, &wanted);
    if (result == 0)
        limit_seen(vm, &wanted);
    else
        measure_end(vm);
    return result;
}

int act_memlock_restore(struct vm *vm)
{
    const uint64_t cap = vm->figures.measures.memlock_set;
    const struct process_memlock ours = {.soft = cap, .hard = cap};
    int result;

    if (!vm_has(vm, VM_MEASURE_MEMLOCK))
        return -EALREADY;
    if (!vm_alive(vm))
        return -ESRCH;
    result =
        process_memlock_exchange(vm->figures.identity.pid, vm->pidfd, &ours, &vm->memlock_before);
    if (result == 0)
        limit_seen(vm, &vm->memlock_before);
    /* Somebody else's value stays; the measure is over either way. */
    if (result == -ESTALE)
        result = 0;
    if (result == 0)
        measure_end(vm);
    return result;
}
