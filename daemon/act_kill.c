/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kill: SIGKILL through the pidfd, after the last look that it is still the guest. It is
 * remembered in the ledger's history before it is sent, so that a guard started anew counts it for
 * the circuit breaker and does not kill the same guest again in a loop. SIGKILL also reaches a
 * process that is stopped or whose v2 cgroups are frozen.
 *
 * Where there is time libvirt destroys the domain instead: it sends SIGTERM, at which QEMU closes
 * its images before it ends (qemuProcessKill(), QEMU's qemu_system_killed()), and tells everybody
 * who follows the domain that it was destroyed and has not crashed. libvirt itself would wait for
 * ten seconds before SIGKILL; we do not. Where libvirt does not take it on after all nobody is
 * killed the sooner for that: who is killed in order is chosen before there is any hurry.
 */
#include "act.h"
#include "log.h"
#include "process.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

/* For an answer of libvirt, until which the thread that destroys waits for the process's end. */
#define DESTROY_TIMEOUT (30 * NSEC_PER_SEC)

static int kill_now(struct vm *vm)
{
    struct vm_measures *measures = &vm->figures.measures;
    int result = process_signal(vm->pidfd, SIGKILL);

    vm->kill_by = 0;
    vm->destroying = false;
    if (result < 0) {
        measures->in_force &= ~(uint32_t)VM_MEASURE_KILLED;
        measures->killed_since = UNKNOWN;
        vm_write_ledger(vm);
    }
    return result;
}

/* Whatever it is: that it has ended is seen by its process, and else its time is. */
static void on_destroy_result(const struct virt_result *result, void *userdata)
{
    (void)result;
    (void)userdata;
}

/* Frozen, it could not end by itself. */
static bool destroy(struct vm *vm, uint64_t now)
{
    return !vm_has(vm, VM_MEASURE_FROZEN) && virt_guest_end(vm, VIRT_OPERATION_DESTROY, 0, now,
                                                 DESTROY_TIMEOUT, on_destroy_result) == 0;
}

void act_kill_advance(struct vm *vm, bool hurry, uint64_t now)
{
    if (vm->kill_by != 0 && (hurry || now >= vm->kill_by) && kill_now(vm) < 0)
        log_message(LOG_ERR, "%s was not killed: it may not be signalled", vm->figures.name);
}

int act_kill(struct vm *vm, enum reason reason, bool orderly, enum mode mode, uint64_t now)
{
    struct vm_measures *measures = &vm->figures.measures;
    struct ledger_destruction destruction = {
        .time = now,
        .identity = vm->figures.identity,
        .kind = ACTION_KILL,
        .reason = reason,
    };

    if (!vm_alive(vm))
        return -ESRCH;
    if (mode == MODE_DRY_RUN)
        return 0;
    /* Its threads have to run to end, and the last of them frees its memory. */
    if (vm->quota_count > 0)
        (void)act_release(vm, MODE_ENFORCE);
    memcpy(destruction.name, vm->figures.name, sizeof destruction.name);
    ledger_record(vm->ledger, &destruction);
    measures->in_force |= VM_MEASURE_KILLED;
    measures->killed_since = now;
    vm_write_ledger(vm);
    if (!orderly)
        return kill_now(vm);
    vm->kill_by = now + KILL_ORDERLY_TIME;
    vm->destroying = destroy(vm, now);
    return 0;
}
