/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guard's clean exit. Whatever is configured, a brake does not outlive its guard, nor does a
 * freeze where the guest has a monitor: it is a bridge of seconds, so it is thawed and stopped
 * properly. With on-exit=restore measures are then taken back, while the host is calm and no more
 * at a time than half of the headroom of a fresh look, for nobody will be there to take it again.
 */
#include <errno.h>

#include "act.h"
#include "give_back.h"
#include "guard_private.h"
#include "log.h"

/* A thaw and the answer of a `stop`. */
#define BRIDGE_TIMEOUT (5 * NSEC_PER_SEC)
/* How long handing back may take in all: systemd waits 90 s before it kills. */
#define RESTORE_TIMEOUT (20 * NSEC_PER_SEC)
/* Between two looks. A balloon shows within a second how much of what was given is taken. */
#define LEAVE_STEP (250 * NSEC_PER_MSEC)
#define ROOM_DIVISOR 2

static void wait_step(struct guard *guard, uint64_t until)
{
    while (loop_now() < until) {
        if (loop_wait(guard->loop, until) < 0)
            return;
        inventory_advance(guard->inventory, guard->plan->assessment.band, loop_now());
        guard_advance_virt(guard, loop_now());
        guard_advance_calls(guard, loop_now());
    }
}

/* Nobody looks after those any more who were to end by themselves. */
static void kills_close(struct guard *guard)
{
    for (uint32_t slot = 0; slot < guard->vm_capacity; slot++) {
        struct vm *vm = inventory_vm(guard->inventory, slot);

        if (vm && !vm->gone)
            act_kill_advance(vm, true, loop_now());
    }
}

/* ---- brakes ---- */

/* Whatever is configured: nobody would look at the clock any more. What fails is told of there, and
 * stays in the ledger. */
static void brakes_release(struct guard *guard)
{
    for (uint32_t slot = 0; slot < guard->vm_capacity; slot++) {
        struct vm *vm = inventory_vm(guard->inventory, slot);

        if (vm && !vm->gone && vm_has(vm, VM_MEASURE_BRAKED))
            (void)act_release(vm, MODE_ENFORCE);
    }
}

/* ---- freezes ---- */

static bool bridge_step(struct guard *guard, uint64_t now)
{
    bool left = false;

    for (uint32_t slot = 0; slot < guard->vm_capacity; slot++) {
        struct vm *vm = inventory_vm(guard->inventory, slot);

        if (!vm || vm->gone || vm_has(vm, VM_MEASURE_KILLED | VM_MEASURE_ENDING) ||
            !(vm->monitor || virt_guest_serves(vm)))
            continue;
        if (vm_has(vm, VM_MEASURE_FROZEN) && !vm->leave_thawed &&
            (vm->monitor || vm->figures.monitor == VM_MONITOR_READY) &&
            act_thaw(vm, MODE_ENFORCE) == 0) {
            vm->leave_thawed = true;
            vm->leave_stop = !vm_has(vm, VM_MEASURE_STOP_SENT | VM_MEASURE_STOPPED);
        }
        if (vm->leave_stop && act_pause(vm, MODE_ENFORCE, now) == 0)
            vm->leave_stop = false;
        /* Who cannot be stopped stays frozen. */
        bool refused = vm->leave_thawed && !vm->leave_stop && !vm_has(vm, VM_MEASURE_PAUSE);
        if (refused && vm->figures.run_state == VM_RUN_RUNNING)
            (void)act_freeze(vm, MODE_ENFORCE, now);
        left |= vm->leave_stop || vm_has(vm, VM_MEASURE_STOP_SENT) ||
                (vm_has(vm, VM_MEASURE_FROZEN) && !vm->leave_thawed);
    }
    return left;
}

static void bridges_close(struct guard *guard)
{
    uint64_t now = loop_now(), end = now + BRIDGE_TIMEOUT;

    while (bridge_step(guard, now) && now < end) {
        wait_step(guard, now + LEAVE_STEP);
        now = loop_now();
    }
}

/* ---- measures ---- */

static uint64_t room_now(const struct guard *guard)
{
    uint64_t room = UNKNOWN;

    for (uint32_t i = 0; i < guard->plan->assessment.pool_count; i++) {
        const struct pool_view *pool = &guard->plan->assessment.pools[i];

        if (known(pool->total) && pool->kind != POOL_NODE)
            room = min_u64(room, pool->headroom > 0 ? (uint64_t)pool->headroom : 0);
    }
    return known(room) ? room / ROOM_DIVISOR : 0;
}

/* Returns true while something is left that this may still change. */
static bool restore_step(struct guard *guard, uint64_t now)
{
    uint64_t room = room_now(guard);
    bool left = false;

    for (uint32_t slot = 0; slot < guard->vm_capacity; slot++) {
        struct vm *vm = inventory_vm(guard->inventory, slot);

        if (!vm || vm->gone || vm_has(vm, VM_MEASURE_KILLED | VM_MEASURE_ENDING))
            continue;
        give_back_step(vm, &guard->roots, &room, now);
        act_pause_advance(vm, now);
        act_balloon_advance(vm, now);
        act_resize_advance(vm, now);
        left |= vm->figures.measures.in_force != 0;
    }
    return left;
}

static void measures_restore(struct guard *guard)
{
    uint64_t now = loop_now(), end = now + RESTORE_TIMEOUT;
    bool left = true;

    for (uint32_t slot = 0; slot < guard->vm_capacity; slot++) {
        struct vm *vm = inventory_vm(guard->inventory, slot);

        if (vm)
            give_back_begin(vm); /* an undo may have had its own */
    }
    while (left && now < end) {
        guard_reckon(guard, now);
        if (guard->plan->assessment.band != BAND_CALM)
            break;
        left = restore_step(guard, now);
        if (left)
            wait_step(guard, now + LEAVE_STEP);
        now = loop_now();
    }
    if (left)
        log_message(LOG_WARNING,
            "not every measure could be taken back: the host is %s, and what does not fit or does "
            "not answer stays in the ledger for the next plimsolld, or: plimsoll undo --offline",
            band_name(guard->plan->assessment.band));
}

void guard_leave(struct guard *guard)
{
    kills_close(guard);
    brakes_release(guard);
    bridges_close(guard);
    if (guard->rules->host.on_exit == ON_EXIT_RESTORE)
        measures_restore(guard);
}
