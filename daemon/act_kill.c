/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kill: SIGKILL through the pidfd, after the last look that it is still the guest. It is
 * remembered in the ledger's history before it is sent, so that a guard started anew counts it for
 * the circuit breaker and does not kill the same guest again in a loop. SIGKILL also reaches a
 * process that is stopped or whose v2 cgroups are frozen.
 */
#include "act.h"
#include "process.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

int act_kill(struct vm *vm, enum reason reason, enum mode mode, uint64_t now)
{
    struct vm_measures *measures = &vm->figures.measures;
    struct ledger_destruction destruction = {
        .time = now,
        .identity = vm->figures.identity,
        .kind = ACTION_KILL,
        .reason = reason,
    };
    int result;

    if (!vm_alive(vm))
        return -ESRCH;
    if (mode == MODE_DRY_RUN)
        return 0;
    memcpy(destruction.name, vm->figures.name, sizeof destruction.name);
    ledger_record(vm->ledger, &destruction);
    measures->in_force |= VM_MEASURE_KILLED;
    measures->killed_since = now;
    vm_write_ledger(vm);
    result = process_signal(vm->pidfd, SIGKILL);
    if (result == 0)
        return 0;
    measures->in_force &= ~(uint32_t)VM_MEASURE_KILLED;
    measures->killed_since = UNKNOWN;
    vm_write_ledger(vm);
    return result;
}
