/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns what a guest's status has beside what was decided on: whether it is acted on, who goes
 * before whom, whom nobody has said anything of, and whether it reports its statistics. Of the
 * last: silence says something only of who could have spoken: the guest runs, QEMU answers, and it
 * is there for longer than a driver takes to load and the guard takes to ask in calm.
 */
#include "status_aside.h"

#include <plimsoll/units.h>

/* In calm a guest is asked once a minute, and drivers report as seldom as once a minute where
 * people have set that; a grace of so long is what virt_guest.c gives, too. */
#define REPORTS_GRACE (3 * NSEC_PER_MINUTE)

static uint64_t age_of(uint64_t event, uint64_t now)
{
    return known(event) ? sub_or_zero(now, event) : NEVER;
}

enum tristate status_vm_reports(const struct vm_snapshot *vm, uint64_t now)
{
    const struct vm_balloon *balloon = &vm->balloon;

    if (age_of(vm->statistics.updated, now) <= REPORTS_GRACE)
        return TRISTATE_YES;
    if (vm->monitor != VM_MONITOR_READY)
        return TRISTATE_UNKNOWN;
    if (balloon->device == TRISTATE_NO || balloon->driver == TRISTATE_NO)
        return TRISTATE_NO;
    bool awaited = vm->run_state == VM_RUN_RUNNING && balloon->device == TRISTATE_YES &&
                   sub_or_zero(now, vm->first_seen) > REPORTS_GRACE;
    return awaited ? TRISTATE_NO : TRISTATE_UNKNOWN;
}

void status_aside_write(struct json_writer *writer, const struct snapshot *snapshot,
    uint32_t position, const struct rules *rules, const struct status_aside *aside)
{
    const struct vm_snapshot *vm = &snapshot->vms[position];
    uint32_t place = aside ? aside->victim_order[position] : 0;
    uint64_t hold_left = aside ? aside->hold_left[vm->slot] : 0;

    json_writer_text(
        writer, "mode", hold_left > 0 ? "held" : status_mode(rules, &rules->vms[vm->slot]));
    if (hold_left > 0)
        json_writer_child(writer, "hold", status_hold_json(snapshot, hold_left));
    else
        json_writer_null(writer, "hold");
    json_writer_tristate(writer, "statistics", status_vm_reports(vm, snapshot->time));
    json_writer_u64(writer, "victim_order", place > 0 ? place : UNKNOWN);
    if (aside)
        json_writer_bool(writer, "unmatched", aside->unmatched[vm->slot]);
    else
        json_writer_null(writer, "unmatched");
}
