/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Balloon targets by QMP. `balloon` is answered when QEMU has noted the wish, not when the guest
 * has followed; and no query tells the target in force, so that it is ours to remember. The measure
 * ends when the guest was asked to be what it was before us.
 */
#include "act.h"

#include <errno.h>
#include <string.h>

#include <plimsoll/qmp.h>

static void measure_end(struct vm *vm)
{
    struct vm_measures *measures = &vm->figures.measures;

    measures->in_force &= ~(uint32_t)VM_MEASURE_BALLOON;
    measures->balloon_target = UNKNOWN;
    measures->balloon_before = UNKNOWN;
    measures->balloon_since = UNKNOWN;
    vm_write_ledger(vm);
}

static void on_answer(struct qmp_session *session, const struct qmp_reply *reply, void *userdata)
{
    struct monitor *monitor = userdata;
    struct vm *vm = monitor_vm(monitor);

    (void)session;
    if (!vm)
        return;
    monitor_answered(monitor, reply->result);
    vm->balloons_pending -= vm->balloons_pending > 0;
    if (reply->result == -EREMOTEIO) {
        log_message(LOG_WARNING, "%s: QEMU refused the balloon target: %s", vm->figures.name,
            reply->error_text);
        /* DeviceNotActive: there is no balloon. Nothing of ours is in force then. */
        if (reply->error_class == QMP_ERROR_DEVICE_NOT_ACTIVE) {
            vm->figures.balloon.device = TRISTATE_NO;
            measure_end(vm);
        }
    } else if (reply->result == 0 && vm->balloons_pending == 0 && vm_has(vm, VM_MEASURE_BALLOON) &&
               vm->figures.measures.balloon_target >= vm->figures.measures.balloon_before) {
        measure_end(vm);
    }
    monitor_refresh(monitor);
}

int act_balloon(struct vm *vm, uint64_t target, enum mode mode, uint64_t now)
{
    struct vm_measures *measures = &vm->figures.measures;
    struct vm_measures kept = *measures;
    int result;

    if (!vm->monitor || vm->figures.monitor != VM_MONITOR_READY)
        return -ENOTCONN;
    /* QEMU takes a target of one byte; a guest whose size nobody knows is not asked at all. */
    if (target == 0 || !known(target) || !known(vm->figures.balloon.actual))
        return -EINVAL;
    if (mode == MODE_DRY_RUN)
        return 0;
    if (!vm_has(vm, VM_MEASURE_BALLOON)) {
        if (target >= vm->figures.balloon.actual)
            return -EALREADY; /* nothing of ours to give back */
        measures->balloon_before = vm->figures.balloon.actual;
    }
    measures->in_force |= VM_MEASURE_BALLOON;
    measures->balloon_target = target;
    measures->balloon_since = now;
    vm_write_ledger(vm);
    result = qmp_execute_balloon(
        monitor_session(vm->monitor), target, now, MONITOR_TIMEOUT, on_answer, vm->monitor);
    if (result < 0) {
        *measures = kept;
        vm_write_ledger(vm);
    } else {
        vm->balloons_pending++;
    }
    monitor_watch(vm->monitor);
    return result;
}
