/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns which descriptors a VM has of its vCPUs' cgroups: by the threads that its QEMU names, over
 * QMP or, without that, by their names. They are opened anew each time somebody names them, but
 * those by which a measure in force is taken back are kept until it is.
 */
#include "inventory_private.h"

/* The descriptors in hand are those that can thaw it. */
static void take_freezers(
    struct inventory *inventory, struct vm *vm, const pid_t *threads, unsigned count)
{
    int result = 0;

    if (vm_has(vm, VM_MEASURE_FROZEN_CGROUP) && vm->freeze_count > 0)
        return;
    vm_close_freeze(vm);
    if (count > 0)
        result = vcpu_cgroups_open(inventory->roots, inventory->mounts, vm->figures.identity.pid,
            threads, count, vm->freeze_fds);
    vm->freeze_count = result > 0 ? (unsigned)result : 0;
    vm->figures.vcpu_cgroups = result > 0 ? TRISTATE_YES : TRISTATE_NO;
}

/* Likewise, those that can release it. */
static void take_quotas(
    struct inventory *inventory, struct vm *vm, const pid_t *threads, unsigned count)
{
    int result = 0;

    if (vm_has(vm, VM_MEASURE_BRAKED) && vm->quota_count > 0)
        return;
    vm_close_quotas(vm);
    if (count > 0)
        result = vcpu_quotas_open(inventory->roots, inventory->mounts, vm->figures.identity.pid,
            threads, count, vm->quota_fds);
    vm->quota_count = result > 0 ? (unsigned)result : 0;
    vm->figures.vcpu_quotas = result > 0 ? TRISTATE_YES : TRISTATE_NO;
}

void inventory_take_vcpus(
    struct inventory *inventory, struct vm *vm, const pid_t *threads, unsigned count)
{
    count = count <= VM_FREEZE_FDS_MAX ? count : 0;
    take_freezers(inventory, vm, threads, count);
    take_quotas(inventory, vm, threads, count);
}

void inventory_find_vcpus(struct inventory *inventory, struct vm *vm)
{
    pid_t threads[VM_FREEZE_FDS_MAX];
    int count;

    if (vm->monitor || vm->figures.vcpu_cgroups == TRISTATE_YES)
        return;
    count =
        vcpu_threads_find(inventory->roots, vm->figures.identity.pid, threads, VM_FREEZE_FDS_MAX);
    inventory_take_vcpus(inventory, vm, threads, count > 0 ? (unsigned)count : 0);
}
