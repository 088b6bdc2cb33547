/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What may block inside the writer is written by processes of its own: pieces of memory.reclaim by
 * one, limits by another, so that a limit does not wait for a slow swap device. What came of it is
 * noted on the guest, and the next tick sees it.
 */
#include <string.h>

#include "act.h"
#include "guard_private.h"
#include "log.h"

/* A piece of reclaim has come to its end. Whoever has the guest's place meanwhile has none. */
static void on_reclaimed(uint64_t ticket, int result, void *userdata)
{
    struct guard *guard = userdata;
    struct vm *vm = guard->inventory ? inventory_vm(guard->inventory, (uint32_t)ticket) : NULL;

    if (!vm || vm->gone || !known(vm->figures.reclaim.asked) || known(vm->figures.reclaim.answered))
        return;
    vm->figures.reclaim.answered = loop_now();
    vm->figures.reclaim.result = result;
    vm->next_edge = 0; /* what it brought is looked at, and the next may be due */
    guard->next_tick = 0;
}

/* Likewise, of a limit. */
static void on_contained(uint64_t ticket, int result, void *userdata)
{
    struct guard *guard = userdata;
    struct vm *vm = guard->inventory ? inventory_vm(guard->inventory, (uint32_t)ticket) : NULL;
    const struct vm_limits *limits = vm ? &vm->figures.limits : NULL;

    if (!limits || vm->gone || !known(limits->asked) || known(limits->answered) ||
        vm->virt.limiting) /* which libvirt is to answer */
        return;
    if (result < 0)
        log_message(LOG_WARNING, "%s: its %s could not be set: %s", vm->figures.name,
            vm_limit_name(limits->written), strerror(-result));
    act_contain_answered(vm, result, loop_now());
    guard->next_tick = 0; /* others may be waiting for their turn */
}

int guard_open_writers(struct guard *guard)
{
    const struct writer_options reclaimer = {.name = "plimsoll-swap",
        .what = "memory.reclaim",
        .time = WRITER_TIME,
        .done = on_reclaimed,
        .userdata = guard};
    const struct writer_options container = {.name = "plimsoll-limit",
        .what = "limits of cgroups",
        .time = WRITER_TIME,
        .done = on_contained,
        .userdata = guard};
    int result = writer_new(guard->loop, &reclaimer, &guard->reclaimer);

    return result < 0 ? result : writer_new(guard->loop, &container, &guard->container);
}

void guard_close_writers(struct guard *guard)
{
    guard->reclaimer = writer_free(guard->reclaimer);
    guard->container = writer_free(guard->container);
}

void guard_advance_writers(struct guard *guard, uint64_t now)
{
    enum band band = guard->plan->assessment.band;

    writer_advance(guard->reclaimer, band, now);
    writer_advance(guard->container, band, now);
}

uint64_t guard_writers_deadline(const struct guard *guard)
{
    return min_u64(writer_deadline(guard->reclaimer), writer_deadline(guard->container));
}
