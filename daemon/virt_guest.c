/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns when a guest is looked at, and what a look means for its figures. A look is one call, of
 * which libvirt makes about four milliseconds, so it is asked for less often than of a monitor, and
 * so many at a time as virt_calls.h allows.
 *
 * A guest that was stopped by a signal of ours, or is being saved for us, is not looked at:
 * libvirt's call would hang until it goes on. Whether a driver is in the guest libvirt does not
 * say; it has reported or moved, or not.
 */
#include "virt_guest.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "log.h"
#include "vm.h"

#include <plimsoll/cleanup.h>

#define LOOK_CALM (60 * NSEC_PER_SEC)
#define LOOK_TIGHT (2 * NSEC_PER_SEC)
/* While nobody knows whether a driver is there, or nobody answers. */
#define LOOK_SEARCH (5 * NSEC_PER_SEC)
#define LOOK_TIMEOUT (5 * NSEC_PER_SEC)
/* So long a guest that was seen to come in by a migration counts as that, unless it is seen again.
 */
#define ARRIVAL_SEEN (5 * NSEC_PER_SEC / 2)

/* Of the driver's reports. One that is two of them old proves nothing (STATISTICS_STALE), so the
 * driver is asked. */
#define PERIOD_SECONDS 5
#define PERIOD_LATE (PERIOD_SECONDS * (2 * NSEC_PER_SEC))
/* Asked again, should the reports have ended: a guest that booted anew goes on by itself. */
#define PERIOD_AGAIN (5 * NSEC_PER_MINUTE)
#define PERIOD_TIMEOUT (10 * NSEC_PER_SEC)
/* Without a report for so long it has no driver (monitor_reply.c has the same grace). Longer than
 * three of the periods that people configure. */
#define DRIVER_GRACE (3 * NSEC_PER_MINUTE)

bool virt_guest_serves(const struct vm *vm)
{
    return vm->virt.link && !vm->monitor;
}

bool virt_guest_is_askable(const struct vm *vm)
{
    return virt_guest_serves(vm) && vm->figures.monitor == VM_MONITOR_READY &&
           !vm_has(vm, VM_MEASURE_FROZEN_SIGNAL | VM_MEASURE_SAVING);
}

void virt_guest_refresh(struct vm *vm)
{
    vm->virt.due = true;
}

bool virt_result_is_open(int result)
{
    return result == -ETIMEDOUT || result == -ECONNRESET;
}

/* ---- libvirt's reach ---- */

static void reach_lost(struct vm *vm, enum vm_monitor monitor)
{
    struct vm_snapshot *figures = &vm->figures;

    if (monitor == VM_MONITOR_SILENT && figures->monitor == VM_MONITOR_READY &&
        silence_begin(&vm->silence, loop_now(), LOOK_TIMEOUT))
        log_message(LOG_WARNING,
            "%s: libvirt gets no answer of its QEMU; it is watched on and can be reached by "
            "signals until it answers again",
            figures->name);
    figures->monitor = monitor;
    figures->run_state = VM_RUN_UNKNOWN;
    vm_forget_arrival(vm);
    vm->virt.running_since = UNKNOWN;
}

void virt_guest_answered(struct vm *vm, int result)
{
    if (!virt_guest_serves(vm))
        return;
    switch (result) {
    case -ETIMEDOUT:
    case -EBUSY:
        if (!vm_may_be_silent(vm))
            reach_lost(vm, VM_MONITOR_SILENT);
        break;
    case -ENOTCONN:
    case -ECONNRESET:
        reach_lost(vm, VM_MONITOR_CONNECTING);
        break;
    default: /* done, or refused: an answer in any case */
        break;
    }
}

int virt_guest_call(struct vm *vm, enum virt_operation operation, uint64_t argument, uint64_t now,
    uint64_t timeout, virt_call_handler handler)
{
    struct virt_call call = {.id = vm->virt.id,
        .operation = (uint8_t)operation,
        .argument = argument,
        .deadline = now + timeout};
    int result = -ENOTCONN;

    if (virt_guest_serves(vm)) {
        memcpy(call.uuid, vm->figures.identity.uuid, UUID_SIZE);
        result = virt_link_call(vm->virt.link, &call, handler, vm);
        if (result < 0)
            virt_guest_answered(vm, result);
    }
    return result;
}

bool virt_guest_is_callable(const struct vm *vm)
{
    return vm->virt.link && vm->virt.id != VIRT_ID_ANY && virt_link_connected(vm->virt.link);
}

/* For this instance of its domain alone, whether it has a monitor of its own or not. */
static int call_send(struct vm *vm, struct virt_call *call, virt_call_handler handler)
{
    if (!vm->virt.link || vm->virt.id == VIRT_ID_ANY)
        return -ENOTCONN;
    call->id = vm->virt.id;
    memcpy(call->uuid, vm->figures.identity.uuid, UUID_SIZE);
    return virt_link_call(vm->virt.link, call, handler, vm);
}

int virt_guest_end(struct vm *vm, enum virt_operation operation, uint64_t argument, uint64_t now,
    uint64_t timeout, virt_call_handler handler)
{
    struct virt_call call = {
        .operation = (uint8_t)operation, .argument = argument, .deadline = now + timeout};

    return call_send(vm, &call, handler);
}

int virt_guest_limit(struct vm *vm, enum virt_operation operation, uint64_t argument, uint64_t now,
    uint64_t timeout, virt_call_handler handler)
{
    int result = virt_guest_end(vm, operation, argument, now, timeout, handler);

    vm->virt.limiting = result == 0;
    return result;
}

int virt_guest_resize(struct vm *vm, uint64_t expected, uint64_t target, uint64_t now,
    uint64_t timeout, virt_call_handler handler)
{
    struct virt_call call = {.operation = VIRT_OPERATION_RESIZE,
        .argument = target,
        .expected = expected,
        .deadline = now + timeout};

    return call_send(vm, &call, handler);
}

/* ---- looks ---- */

/* How old the guest's last report is; UNKNOWN: there was none. */
static uint64_t report_age(const struct virt_look *look)
{
    struct timespec wall;

    if (look->reported == 0 || look->reported > UINT32_MAX)
        return UNKNOWN;
    (void)clock_gettime(CLOCK_REALTIME, &wall);
    return sub_or_zero((uint64_t)wall.tv_sec, look->reported) * NSEC_PER_SEC;
}

static void take_statistics(struct vm *vm, const struct virt_look *look, uint64_t now)
{
    uint64_t age = report_age(look);

    if (!known(age))
        return;
    vm->figures.statistics = (struct vm_statistics){
        .updated = sub_or_zero(now, age),
        .total = look->total,
        .free = look->free,
        .available = look->available,
        .disk_caches = look->disk_caches,
        .swapped_in = look->swapped_in,
        .swapped_out = look->swapped_out,
        .major_faults = look->major_faults,
    };
}

static void judge_driver(struct vm *vm, const struct virt_look *look, uint64_t now)
{
    struct vm_balloon *balloon = &vm->figures.balloon;
    const struct virt_guest *virt = &vm->virt;
    uint64_t age = report_age(look);
    bool moved = known(balloon->actual) && known(look->actual) && balloon->actual != look->actual;

    if (known(age) && age <= DRIVER_GRACE) {
        balloon->driver = TRISTATE_YES;
        return;
    }
    if (moved && balloon->driver == TRISTATE_UNKNOWN)
        balloon->driver = TRISTATE_YES;
    /* Its silence says something only if it was asked for reports, and ran. */
    if (virt->asked != 0 && sub_or_zero(now, virt->asked) > DRIVER_GRACE &&
        known(virt->running_since) && sub_or_zero(now, virt->running_since) > DRIVER_GRACE &&
        !moved)
        balloon->driver = TRISTATE_NO;
}

static void take_look(struct vm *vm, const struct virt_look *look, uint64_t now)
{
    struct vm_snapshot *figures = &vm->figures;

    figures->monitor = VM_MONITOR_READY;
    vm_answered(vm, now);
    figures->run_state = look->run_state;
    /* While libvirt starts it, what it was started for is all that is known (look_at()). */
    if (look->run_state != VM_RUN_PRELAUNCH || figures->migration != VM_MIGRATION_LOADING)
        figures->migration = look->migration;
    if (look->run_state != VM_RUN_RUNNING)
        vm->virt.running_since = UNKNOWN;
    else if (!known(vm->virt.running_since))
        vm->virt.running_since = now;
    judge_driver(vm, look, now);
    figures->balloon.actual = look->actual;
    take_statistics(vm, look, now);
}

static void on_period(const struct virt_result *result, void *userdata)
{
    struct vm *vm = userdata;

    virt_guest_answered(vm, result->result);
    if (result->result == 0 && vm->virt.asked == 0)
        vm->virt.asked = loop_now();
    virt_guest_refresh(vm);
}

/* Its driver reports only while it is asked to. */
static void period_advance(struct vm *vm, uint64_t now)
{
    const struct vm_snapshot *figures = &vm->figures;
    bool fresh = known(figures->statistics.updated) &&
                 sub_or_zero(now, figures->statistics.updated) <= PERIOD_LATE;

    if (fresh || figures->balloon.device != TRISTATE_YES || now < vm->virt.next_period ||
        figures->run_state != VM_RUN_RUNNING || !virt_guest_is_askable(vm) || vm->virt.due)
        return;
    if (virt_guest_call(
            vm, VIRT_OPERATION_STATS_PERIOD, PERIOD_SECONDS, now, PERIOD_TIMEOUT, on_period) == 0)
        vm->virt.next_period = now + PERIOD_AGAIN;
}

/* Whoever cannot be looked at is not acted on through libvirt either: what it does is not known.
 * What is not here virt_guest_answered() has judged. */
static bool look_failed(int result)
{
    return result != -EAGAIN && result != -EBUSY && result != -ENOTCONN &&
           !virt_result_is_open(result);
}

static void on_look(const struct virt_result *result, void *userdata)
{
    struct vm *vm = userdata;

    vm->virt.looking = false;
    virt_guest_answered(vm, result->result);
    if (!virt_guest_serves(vm))
        return; /* a monitor of its own has come meanwhile */
    if (result->result == 0)
        take_look(vm, &result->look, loop_now());
    else if (look_failed(result->result))
        reach_lost(vm, VM_MONITOR_SILENT);
    else if (result->result == -EAGAIN)
        virt_guest_refresh(vm); /* behind others' it was not begun */
}

/* Whether there is a driver shows in what it reports, which only the guard's asking may begin. */
static bool is_searched(const struct vm *vm, bool may_touch)
{
    return may_touch && vm->figures.balloon.device == TRISTATE_YES &&
           vm->figures.balloon.driver == TRISTATE_UNKNOWN;
}

/* It is about to run, which changes all that may be done to it. */
static bool is_arriving(const struct vm *vm)
{
    return vm->figures.run_state == VM_RUN_PRELAUNCH ||
           vm->figures.migration == VM_MIGRATION_INCOMING;
}

static uint64_t look_interval(const struct vm *vm, enum band band, bool may_touch)
{
    if (vm->figures.monitor != VM_MONITOR_READY)
        return LOOK_SEARCH;
    if (band > BAND_CALM || is_arriving(vm) ||
        vm->figures.measures.in_force & (VM_MEASURE_PAUSE | VM_MEASURE_BALLOON))
        return LOOK_TIGHT;
    return is_searched(vm, may_touch) ? LOOK_SEARCH : LOOK_CALM;
}

bool virt_guest_advance(struct vm *vm, enum band band, bool may_touch, uint64_t now)
{
    struct virt_guest *virt = &vm->virt;

    /* What was coming in may run by now, and then it runs nowhere else. */
    if (virt->looking && sub_or_zero(now, virt->looked) > ARRIVAL_SEEN)
        vm_forget_arrival(vm);
    if (!virt_guest_serves(vm) || virt->looking ||
        vm_has(vm, VM_MEASURE_FROZEN_SIGNAL | VM_MEASURE_SAVING))
        return true;
    if (vm->figures.monitor == VM_MONITOR_NONE) /* its own has gone */
        vm->figures.monitor = VM_MONITOR_CONNECTING;
    if (!virt_link_connected(virt->link)) {
        if (vm->figures.monitor == VM_MONITOR_READY)
            reach_lost(vm, VM_MONITOR_CONNECTING);
        virt->due = true; /* as soon as it is */
        return true;
    }
    if (may_touch)
        period_advance(vm, now);
    if (!virt->due && sub_or_zero(now, virt->looked) < look_interval(vm, band, may_touch))
        return true;
    int result = virt_guest_call(vm, VIRT_OPERATION_MEMORY_STATS, 0, now, LOOK_TIMEOUT, on_look);
    if (result == -EAGAIN)
        return false;
    virt->looked = now;
    virt->due = false;
    virt->looking = result == 0;
    return true;
}

/* ---- joined ---- */

static void leave(struct vm *vm)
{
    struct virt_guest *virt = &vm->virt;

    if (!virt->link)
        return;
    virt_link_forget(virt->link, vm);
    bool acting = virt->acting;
    if (virt->limiting) {
        vm->figures.limits.answered = loop_now();
        vm->figures.limits.result = -ETIMEDOUT;
    }
    *virt = (struct virt_guest){0};
    /* Nobody answers them any more; a pause on its way may yet take hold, and is ours. */
    if (acting || !vm->monitor) {
        vm->stop_seen = vm->stop_seen || vm->stop_pending;
        vm->stop_pending = vm->resume_pending = false;
    }
    if (vm->monitor)
        return;
    if (vm->balloons_pending > 0)
        vm->balloon_again = loop_now();
    vm->balloons_pending = 0;
    vm->figures.monitor = VM_MONITOR_NONE;
    vm->figures.run_state = VM_RUN_UNKNOWN;
    vm_forget_arrival(vm);
}

/* What we have requested since it was asked is newer. */
static void take_resizable(struct vm_resizable *sizes, const struct virt_domain *domain)
{
    bool older = known(sizes->updated) && (!known(domain->asked) || domain->asked < sizes->updated);

    if (domain->resizable_count == 0 || older)
        return;
    sizes->size = domain->resizable_current;
    sizes->requested = domain->resizable_requested;
    sizes->maximum = domain->resizable_maximum;
    sizes->block = domain->resizable_count == 1 ? domain->resizable_block : UNKNOWN;
    sizes->updated = domain->asked;
}

void virt_guest_join(struct vm *vm, struct virt_link *link, const struct virt_domain *domain)
{
    struct vm_snapshot *figures = &vm->figures;

    if (!domain) {
        leave(vm);
        return;
    }
    if (!vm->virt.link)
        vm->virt = (struct virt_guest){.link = link, .running_since = UNKNOWN};
    vm->virt.id = domain->id > 0 ? domain->id : VIRT_ID_ANY;
    virt_guest_refresh(vm);
    if (vm->monitor)
        return;
    vm_forget_arrival(vm); /* it may be said because it runs now: until it is looked at */
    if (figures->monitor == VM_MONITOR_NONE)
        figures->monitor = VM_MONITOR_CONNECTING;
    /* The balloon reaches all but virtio-mem, and so does SetMemory (qemuDomainSetMemoryFlags). */
    figures->maximum = sub_or_zero(domain->maximum, domain->resizable_maximum);
    take_resizable(&figures->resizable, domain);
    figures->balloon.device = domain->balloon == VIRT_BALLOON_VIRTIO ? TRISTATE_YES : TRISTATE_NO;
    figures->balloon.deflate_on_oom = domain->deflates ? TRISTATE_YES : TRISTATE_NO;
    figures->balloon.free_page_reporting = domain->reports ? TRISTATE_YES : TRISTATE_NO;
    if (domain->encrypted) /* what the command line says stands, too */
        figures->wiring.encrypted = TRISTATE_YES;
}
