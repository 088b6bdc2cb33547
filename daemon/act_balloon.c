/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Balloon targets by QMP, or by libvirt where the guest has no monitor of its own. `balloon`, which
 * is what libvirt sends as well, is answered when QEMU has noted the wish, not when the guest
 * has followed; and no query tells the target in force, so that it is ours to remember. The measure
 * ends when the guest was asked to be what it was before us.
 */
#include "act.h"

#include <errno.h>
#include <string.h>

#include <plimsoll/qmp.h>

/* Behind others' calls in libvirt and its own in QEMU. */
#define CALL_TIMEOUT (5 * NSEC_PER_SEC)
#define CALLS_PENDING_MAX 2
/* What was not done is asked again: of one that was busy, and of one that refused. */
#define AGAIN_BUSY NSEC_PER_SEC
#define AGAIN_REFUSED (30 * NSEC_PER_SEC)

static void measure_end(struct vm *vm)
{
    struct vm_measures *measures = &vm->figures.measures;

    measures->in_force &= ~(uint32_t)VM_MEASURE_BALLOON;
    measures->balloon_target = UNKNOWN;
    measures->balloon_before = UNKNOWN;
    measures->balloon_since = UNKNOWN;
    vm->balloon_again = 0;
    vm_write_ledger(vm);
}

/* NO_BALLOON: it has none, so nothing of ours is in force. */
static void target_answered(struct vm *vm, int result, bool no_balloon, const char *text)
{
    const struct vm_measures *measures = &vm->figures.measures;

    vm->balloons_pending -= vm->balloons_pending > 0;
    if (result == -EREMOTEIO) {
        log_message(LOG_WARNING, "%s: QEMU refused the balloon target: %s", vm->figures.name, text);
        if (no_balloon) {
            vm->figures.balloon.device = TRISTATE_NO;
            measure_end(vm);
            return;
        }
    }
    if (result < 0 && vm->balloons_pending == 0 && vm_has(vm, VM_MEASURE_BALLOON)) {
        /* The measure says what is in force, so what it says has to come to be. */
        vm->balloon_again = loop_now() + (result == -EREMOTEIO ? AGAIN_REFUSED : AGAIN_BUSY);
    } else if (result == 0 && vm->balloons_pending == 0 && vm_has(vm, VM_MEASURE_BALLOON) &&
               measures->balloon_target >= measures->balloon_before) {
        measure_end(vm);
    }
}

static void on_result(const struct virt_result *result, void *userdata)
{
    struct vm *vm = userdata;

    virt_guest_answered(vm, result->result);
    target_answered(vm, result->result, false, result->text);
    virt_guest_refresh(vm);
}

static void on_answer(struct qmp_session *session, const struct qmp_reply *reply, void *userdata)
{
    struct monitor *monitor = userdata;
    struct vm *vm = monitor_vm(monitor);

    (void)session;
    if (!vm)
        return;
    monitor_answered(monitor, reply->result);
    target_answered(
        vm, reply->result, reply->error_class == QMP_ERROR_DEVICE_NOT_ACTIVE, reply->error_text);
    monitor_refresh(monitor);
}

static int target_send(struct vm *vm, uint64_t target, uint64_t now)
{
    if (!vm->monitor)
        return virt_guest_call(vm, VIRT_OPERATION_SET_MEMORY, target, now, CALL_TIMEOUT, on_result);
    int result = qmp_execute_balloon(
        monitor_session(vm->monitor), target, now, MONITOR_TIMEOUT, on_answer, vm->monitor);
    monitor_watch(vm->monitor);
    return result;
}

int act_balloon(struct vm *vm, uint64_t target, enum mode mode, uint64_t now)
{
    struct vm_measures *measures = &vm->figures.measures;
    struct vm_measures kept = *measures;
    int result;

    if (vm->figures.monitor != VM_MONITOR_READY || !(vm->monitor || virt_guest_serves(vm)))
        return -ENOTCONN;
    /* libvirt does one thing for a guest at a time: more than the next one only grow old. */
    if (!vm->monitor && vm->balloons_pending >= CALLS_PENDING_MAX)
        return -EAGAIN;
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
    vm->balloon_again = 0;
    vm_write_ledger(vm);
    result = target_send(vm, target, now);
    if (result < 0) {
        *measures = kept;
        vm_write_ledger(vm);
    } else {
        vm->balloons_pending++;
    }
    return result;
}

void act_balloon_advance(struct vm *vm, uint64_t now)
{
    if (vm->balloon_again == 0 || now < vm->balloon_again || vm->balloons_pending > 0 ||
        !vm_has(vm, VM_MEASURE_BALLOON) || vm_has(vm, VM_MEASURE_ENDING) ||
        vm->figures.monitor != VM_MONITOR_READY || vm->figures.migration != VM_MIGRATION_NONE ||
        !(vm->monitor || virt_guest_serves(vm)))
        return;
    vm->balloon_again = 0;
    if (target_send(vm, vm->figures.measures.balloon_target, now) == 0)
        vm->balloons_pending++;
    else
        vm->balloon_again = now + AGAIN_BUSY;
}

int act_balloon_yield(struct vm *vm)
{
    if (!vm_has(vm, VM_MEASURE_BALLOON))
        return -EALREADY;
    measure_end(vm);
    return 0;
}
