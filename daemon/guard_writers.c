/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What may block inside the writer, pieces of memory.reclaim, is written by a process of its own.
 * What came of it is noted on the guest, and the next tick sees it.
 */
#include "guard_private.h"

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

int guard_open_writers(struct guard *guard)
{
    const struct writer_options reclaimer = {.name = "plimsoll-swap",
        .what = "memory.reclaim",
        .time = WRITER_TIME,
        .done = on_reclaimed,
        .userdata = guard};

    return writer_new(guard->loop, &reclaimer, &guard->reclaimer);
}

void guard_close_writers(struct guard *guard)
{
    guard->reclaimer = writer_free(guard->reclaimer);
}

void guard_advance_writers(struct guard *guard, uint64_t now)
{
    writer_advance(guard->reclaimer, guard->plan->assessment.band, now);
}

uint64_t guard_writers_deadline(const struct guard *guard)
{
    return writer_deadline(guard->reclaimer);
}
