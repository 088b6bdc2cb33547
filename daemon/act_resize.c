/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is requested of virtio-mem. A domain of libvirt's is resized by libvirt, whether it has a
 * monitor of its own or not, so that both agree; where libvirt is not there, nobody does it behind
 * its back. Any other guest is asked by QMP: what is requested first, and only if that is what was
 * expected, the new size. Either way the change is a comparison, and what somebody else has
 * requested meanwhile stays.
 *
 * That it was requested is all that an answer says. What the guest makes of it is seen in its size.
 */
#include "act.h"

#include <errno.h>
#include <string.h>

#include <plimsoll/qmp.h>

/* Behind others' calls in libvirt and its own in QEMU. */
#define CALL_TIMEOUT (5 * NSEC_PER_SEC)
/* Two questions to a monitor, or a call and what it may lag behind: then nobody answers any more,
 * for the monitor or libvirt's side of it has gone. */
#define PATIENCE (2 * MONITOR_TIMEOUT + CALL_TIMEOUT)

static bool is_asking(const struct vm_resizable *sizes)
{
    return known(sizes->asked) && !known(sizes->answered);
}

static void measure_end(struct vm *vm)
{
    struct vm_measures *measures = &vm->figures.measures;

    measures->in_force &= ~(uint32_t)VM_MEASURE_RESIZE;
    measures->resize = (struct vm_contained){0};
    measures->resize_previous = UNKNOWN;
    vm_write_ledger(vm);
}

/* OPEN: the RESULT says nothing of whether it was done, or will be, so both sizes stay in the
 * ledger. */
static void request_answered(struct vm *vm, int result, bool open, const char *text)
{
    struct vm_resizable *sizes = &vm->figures.resizable;
    struct vm_measures *measures = &vm->figures.measures;
    struct vm_contained *ours = &measures->resize;

    sizes->answered = loop_now();
    sizes->result = result;
    if (result < 0)
        log_message(LOG_WARNING, "%s: the size of its virtio-mem was not requested: %s",
            vm->figures.name, text[0] != '\0' ? text : strerror(-result));
    if (!vm_has(vm, VM_MEASURE_RESIZE) || open)
        return;
    if (result == 0) {
        sizes->requested = ours->set;
        sizes->updated = sizes->answered;
    } else {
        ours->set = known_or(measures->resize_previous, ours->set);
    }
    measures->resize_previous = UNKNOWN;
    if (ours->set >= ours->before)
        measure_end(vm);
    else
        vm_write_ledger(vm);
}

/* ---- by libvirt ---- */

static void on_result(const struct virt_result *result, void *userdata)
{
    struct vm *vm = userdata;

    virt_guest_answered(vm, result->result);
    request_answered(vm, result->result, virt_result_is_open(result->result), result->text);
}

/* ---- by QMP ---- */

static void on_requested(struct qmp_session *session, const struct qmp_reply *reply, void *userdata)
{
    struct monitor *monitor = userdata;
    struct vm *vm = monitor_vm(monitor);

    (void)session;
    if (!vm)
        return;
    monitor_answered(monitor, reply->result);
    request_answered(
        vm, reply->result, reply->result < 0 && reply->result != -EREMOTEIO, reply->error_text);
}

static void on_sizes(struct qmp_session *session, const struct qmp_reply *reply, void *userdata)
{
    struct monitor *monitor = userdata;
    struct vm *vm = monitor_vm(monitor);
    const struct qmp_memory_devices *devices = &reply->memory_devices;
    int result = reply->result;

    if (!vm)
        return;
    monitor_answered(monitor, result);
    const struct vm_measures *measures = &vm->figures.measures;
    const char *text = reply->error_text;
    if (result == 0 && devices->virtio_mem_count != 1)
        result = -ENODEV;
    if (result == 0 && devices->virtio_mem_requested != measures->resize_previous) {
        result = -ESTALE;
        text = "somebody else has requested another size";
    }
    if (result == 0)
        result = qmp_execute_set_requested_size(session, devices->virtio_mem_id,
            measures->resize.set, loop_now(), MONITOR_TIMEOUT, on_requested, monitor);
    if (result < 0)
        request_answered(vm, result, false, text);
    monitor_watch(monitor);
}

/* ---- either ---- */

static int request_send(struct vm *vm, uint64_t now)
{
    const struct vm_measures *measures = &vm->figures.measures;

    if (vm->virt.link)
        return virt_guest_resize(
            vm, measures->resize_previous, measures->resize.set, now, CALL_TIMEOUT, on_result);
    int result = qmp_execute(monitor_session(vm->monitor), QMP_COMMAND_QUERY_MEMORY_DEVICES, now,
        MONITOR_TIMEOUT, on_sizes, vm->monitor);
    monitor_watch(vm->monitor);
    return result;
}

static int target_check(const struct vm *vm, uint64_t target)
{
    const struct vm_resizable *sizes = &vm->figures.resizable;
    const struct vm_measures *measures = &vm->figures.measures;
    bool held = vm_has(vm, VM_MEASURE_RESIZE);

    if (vm->figures.monitor != VM_MONITOR_READY ||
        !(vm->virt.link ? virt_guest_is_callable(vm) : vm->monitor != NULL))
        return -ENOTCONN;
    if (is_asking(sizes))
        return -EAGAIN;
    if (!known(sizes->requested) || !known(sizes->block) || sizes->block == 0 || !known(target) ||
        target % sizes->block != 0)
        return -EINVAL;
    if (held && sizes->requested != measures->resize.set &&
        sizes->requested != measures->resize_previous)
        return -ESTALE;
    if (held && target > measures->resize.before)
        return -ERANGE;
    if (target == sizes->requested || (!held && target > sizes->requested))
        return -EALREADY;
    return 0;
}

int act_resize(struct vm *vm, uint64_t target, enum mode mode, uint64_t now)
{
    struct vm_measures *measures = &vm->figures.measures;
    const struct vm_measures kept = *measures;
    struct vm_resizable *sizes = &vm->figures.resizable;

    int result = target_check(vm, target);
    if (result == -EAGAIN || mode == MODE_DRY_RUN)
        return result;
    if (result < 0) {
        /* It would be no other in a moment. */
        sizes->asked = sizes->answered = now;
        sizes->result = result;
        return result;
    }
    if (!vm_has(vm, VM_MEASURE_RESIZE))
        measures->resize.before = sizes->requested;
    measures->in_force |= VM_MEASURE_RESIZE;
    measures->resize.set = target;
    measures->resize_previous = sizes->requested;
    vm_write_ledger(vm);
    sizes->asked = now;
    sizes->answered = UNKNOWN;
    sizes->result = 0;
    result = request_send(vm, now);
    if (result < 0) {
        *measures = kept;
        sizes->answered = now;
        sizes->result = result;
        vm_write_ledger(vm);
    }
    return result;
}

void act_resize_advance(struct vm *vm, uint64_t now)
{
    struct vm_resizable *sizes = &vm->figures.resizable;

    if (is_asking(sizes) && sub_or_zero(now, sizes->asked) > PATIENCE)
        request_answered(vm, -ETIMEDOUT, true, "");
}

int act_resize_yield(struct vm *vm)
{
    if (!vm_has(vm, VM_MEASURE_RESIZE))
        return -EALREADY;
    measure_end(vm);
    return 0;
}
