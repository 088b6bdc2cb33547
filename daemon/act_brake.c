/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The brake: cpu.max of each vCPU's cgroup, which needs nobody's help and works at once. One value
 * is remembered for all of them, which libvirt sets alike (virDomainSetSchedulerParameters,
 * vcpu_quota); a guest whose vCPUs differ, or have no more than a brake would leave them, is not
 * braked. Only cgroup v2: on v1 the freezer, by whose group a vCPU's own is found and proved to be
 * its own, is another hierarchy than cpu's.
 *
 * Released by compare-and-restore, vCPU by vCPU: what somebody else has set since stays. A vCPU
 * that was unplugged meanwhile has taken its group with it.
 */
#include "act.h"
#include "undo_process.h"

#include <errno.h>
#include <string.h>

static const struct vcpu_quota brake = {.quota = BRAKE_QUOTA, .period = BRAKE_PERIOD};

static void measure_end(struct vm *vm)
{
    vm->figures.measures.in_force &= ~(uint32_t)VM_MEASURE_BRAKED;
    vm->figures.measures.braked_since = UNKNOWN;
    vm_write_ledger(vm);
}

static bool is_above_brake(struct vcpu_quota quota)
{
    __extension__ typedef unsigned __int128 wide;

    return quota.quota == VCPU_QUOTA_NONE ||
           (wide)quota.quota * brake.period > (wide)brake.quota * quota.period;
}

/* What all its vCPUs have. */
static int quota_read(const struct vm *vm, struct vcpu_quota *ret_quota)
{
    struct vcpu_quota quota = {0}, other;
    int result = vm->quota_count > 0 ? 0 : -ENODEV;

    for (unsigned i = 0; result == 0 && i < vm->quota_count; i++) {
        result = vcpu_quota_read(vm->quota_fds[i], i == 0 ? &quota : &other);
        if (result == 0 && i > 0 && !vcpu_quota_equal(quota, other))
            result = -ENOTUNIQ;
    }
    if (result == 0 && !is_above_brake(quota))
        result = -ERANGE;
    if (result == 0)
        *ret_quota = quota;
    return result;
}

/* Tries all, also when one fails. */
static int quota_restore(const struct vm *vm)
{
    int result = 0;

    for (unsigned i = 0; i < vm->quota_count; i++) {
        int one = vcpu_quota_exchange(vm->quota_fds[i], brake, vm->quota_before);
        if (one < 0 && one != -ESTALE && one != -ENODEV)
            result = one;
    }
    return result;
}

int act_brake(struct vm *vm, enum mode mode, uint64_t now)
{
    struct vcpu_quota before;
    int result;

    if (vm_has(vm, VM_MEASURE_BRAKED))
        return -EALREADY;
    if (vm_has(vm, VM_MEASURE_PAUSE | VM_MEASURE_RESUMING | VM_MEASURE_KILLED))
        return -EBUSY;
    if (!vm_alive(vm))
        return -ESRCH;
    result = quota_read(vm, &before);
    if (result < 0 || mode == MODE_DRY_RUN)
        return result;
    vm->quota_before = before;
    vm->figures.measures.in_force |= VM_MEASURE_BRAKED;
    vm->figures.measures.braked_since = now;
    vm_write_ledger(vm);
    for (unsigned i = 0; result == 0 && i < vm->quota_count; i++)
        result = vcpu_quota_exchange(vm->quota_fds[i], before, brake);
    /* Half a brake is none; what cannot be taken back now stays in force, to be released. */
    if (result < 0 && quota_restore(vm) == 0)
        measure_end(vm);
    return result;
}

/* A guard before us braked it, and its vCPUs are not known to us yet, or stand elsewhere now. */
static int release_found(const struct vm *vm)
{
    struct undo_process process = UNDO_PROCESS_NONE;
    int result = undo_process_open(vm->roots->proc, &vm->figures.identity, &process);

    if (result == 0)
        result = undo_process_release(vm->roots, &process, brake, vm->quota_before);
    undo_process_close(&process);
    return result < 0 ? result : 0;
}

int act_release(struct vm *vm, enum mode mode)
{
    int result;

    if (!vm_has(vm, VM_MEASURE_BRAKED))
        return -EALREADY;
    if (!vm_alive(vm))
        return -ESRCH;
    if (mode == MODE_DRY_RUN)
        return 0;
    result = vm->quota_count > 0 && quota_restore(vm) == 0 ? 0 : release_found(vm);
    if (result < 0) {
        log_limited(&vm->refused_said, loop_now(), LOG_ERR,
            "%s could not be released from its brake: %s; trying again", vm->figures.name,
            strerror(-result));
        return result;
    }
    vm->brake_ended = loop_now();
    measure_end(vm);
    return 0;
}
