/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Saving and shutting down, both by libvirt. As of a kill, the ledger and its history come first,
 * so that a guard started anew counts it, and waits for what the one before it began: the deadline
 * stands in the ledger, too.
 *
 * A save is one call that returns when the guest's memory is in its file and QEMU has ended; that
 * it was done is seen by the end of the process. libvirt stops the guest before it saves, and has
 * it go on if it fails. A shutdown returns as soon as the guest has been asked, and a guest need
 * not listen. An answer that says nothing of whether it was done leaves either to its deadline.
 * One that says that nobody had time for it is no refusal: it is asked again for some seconds, for
 * the next rung may be a kill. After its deadline the measure is void, and what libvirt may still
 * be doing is not called back: the guest is again what it was, and a kill can take it.
 *
 * Who is being saved is not looked at: libvirt would have the look wait for its save, and it would
 * count as a guest that does not answer.
 */
#include "act.h"
#include "announce.h"

#include <errno.h>
#include <string.h>

/* Behind a target or a limit of the same domain there is a thread within so long; a look or two of
 * libvirt's own at it take no longer. */
#define AGAIN_AFTER (500 * NSEC_PER_MSEC)
#define AGAIN_MAX 12

static void end_void(struct vm *vm)
{
    struct vm_measures *measures = &vm->figures.measures;

    vm->end_again = 0;
    measures->in_force &= ~(uint32_t)VM_MEASURE_ENDING;
    measures->ending_until = UNKNOWN;
    vm_write_ledger(vm);
    virt_guest_refresh(vm);
}

static void end_failed(struct vm *vm, const char *why)
{
    bool saved = vm_has(vm, VM_MEASURE_SAVING);

    log_message(LOG_WARNING, saved ? "%s was not saved: %s" : "%s has not shut down: %s",
        vm->figures.name, why);
    announce_end_failed(vm, saved, why);
    end_void(vm);
}

/* Of the one that is in force: a late answer says nothing of the other, begun since. */
static void take_result(struct vm *vm, enum vm_measure measure, const struct virt_result *result)
{
    bool busy = result->result == -EAGAIN || result->result == -EBUSY;

    if (!vm_has(vm, measure) || result->result >= 0)
        return;
    if (busy && vm->end_asked < AGAIN_MAX)
        vm->end_again = loop_now() + AGAIN_AFTER;
    else if (!virt_result_is_open(result->result))
        end_failed(vm, result->text);
}

static void on_save_result(const struct virt_result *result, void *userdata)
{
    take_result(userdata, VM_MEASURE_SAVING, result);
}

static void on_shutdown_result(const struct virt_result *result, void *userdata)
{
    take_result(userdata, VM_MEASURE_SHUTTING_DOWN, result);
}

static int end_ask(struct vm *vm, uint64_t now)
{
    uint64_t time = vm->figures.measures.ending_until - now;

    vm->end_again = 0;
    vm->end_asked++;
    /* Who was stopped by us, and would be resumed, is to run when it is restored. */
    if (vm_has(vm, VM_MEASURE_SAVING))
        return virt_guest_end(vm, VIRT_OPERATION_MANAGED_SAVE, vm_has(vm, VM_MEASURE_STOPPED), now,
            time, on_save_result);
    return virt_guest_end(vm, VIRT_OPERATION_SHUTDOWN, 0, now, time, on_shutdown_result);
}

void act_end_advance(struct vm *vm, uint64_t now)
{
    if (!vm_has(vm, VM_MEASURE_ENDING))
        return;
    if (now < vm->figures.measures.ending_until) {
        bool again = vm->end_again != 0 && now >= vm->end_again;
        int result = again && !vm_has(vm, VM_MEASURE_KILLED) ? end_ask(vm, now) : 0;
        if (result < 0)
            end_failed(vm, strerror(-result));
    } else if (vm_has(vm, VM_MEASURE_KILLED)) {
        end_void(vm);
    } else {
        end_failed(vm, "its time is over");
    }
}

static int end_begin(struct vm *vm, enum action_kind kind, enum reason reason, uint64_t time,
    enum mode mode, uint64_t now)
{
    bool saves = kind == ACTION_SAVE;
    struct vm_measures *measures = &vm->figures.measures;
    struct ledger_destruction destruction = {
        .time = now, .identity = vm->figures.identity, .kind = kind, .reason = reason};
    int result;

    if (!vm_alive(vm))
        return -ESRCH;
    if (vm_has(vm, VM_MEASURE_ENDING | VM_MEASURE_KILLED))
        return -EALREADY;
    if (!virt_guest_is_callable(vm))
        return -ENOTCONN;
    if (vm_has(vm, VM_MEASURE_FROZEN | VM_MEASURE_STOP_SENT | VM_MEASURE_RESUMING))
        return -EBUSY;
    if (mode == MODE_DRY_RUN)
        return 0;
    memcpy(destruction.name, vm->figures.name, sizeof destruction.name);
    ledger_record(vm->ledger, &destruction);
    measures->in_force |= saves ? VM_MEASURE_SAVING : VM_MEASURE_SHUTTING_DOWN;
    measures->ending_until = now + time;
    vm_write_ledger(vm);
    vm->save_begun = now;
    vm->save_held = vm->figures.rss;
    vm->end_asked = 0;
    result = end_ask(vm, now);
    if (result < 0)
        end_void(vm);
    return result;
}

int act_save(struct vm *vm, enum reason reason, uint64_t time, enum mode mode, uint64_t now)
{
    return end_begin(vm, ACTION_SAVE, reason, time, mode, now);
}

int act_shutdown(struct vm *vm, enum reason reason, uint64_t time, enum mode mode, uint64_t now)
{
    return end_begin(vm, ACTION_SHUTDOWN, reason, time, mode, now);
}
