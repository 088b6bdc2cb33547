/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the order in which one guest gets back what was taken. First what costs nothing: score,
 * locked memory, limits, its processors' time. Then it goes on, and only one that runs can have its
 * balloon and its virtio-mem back, since it is the guest's own driver that takes them.
 */
#include "give_back.h"

#include "act.h"
#include "undo.h"

#include <errno.h>

static uint64_t balloon_gain(const struct vm *vm)
{
    return vm_has(vm, VM_MEASURE_BALLOON) ? sub_or_zero(vm->figures.measures.balloon_before,
                                                known_or(vm->figures.balloon.actual, 0))
                                          : 0;
}

/* Pinned memory is taken the moment it is plugged in. */
static uint64_t resize_gain(const struct vm *vm)
{
    const struct vm_contained *resize = &vm->figures.measures.resize;

    return vm_has(vm, VM_MEASURE_RESIZE) ? sub_or_zero(resize->before, resize->set) : 0;
}

/* A guest that goes on may touch all of its memory. */
static uint64_t pause_gain(const struct vm *vm)
{
    uint64_t held = vm_held(&vm->figures);

    if (!vm_has(vm, VM_MEASURE_PAUSE))
        return 0;
    return known(held) && known(vm->figures.maximum) ? sub_or_zero(vm->figures.maximum, held)
                                                     : UNKNOWN;
}

uint64_t give_back_most(const struct vm *vm)
{
    /* Of one that is paused all of its memory counts, and so does what its balloon has. */
    uint64_t gain = vm_has(vm, VM_MEASURE_PAUSE) ? pause_gain(vm) : balloon_gain(vm);

    return known(gain) ? add_held(gain, resize_gain(vm)) : UNKNOWN;
}

static void balloon_back(struct vm *vm, uint64_t *room, uint64_t now)
{
    const struct vm_measures *measures = &vm->figures.measures;
    uint64_t gain = balloon_gain(vm);
    struct undo_decision decision = undo_may_deflate(vm->figures.balloon.actual,
        measures->balloon_before, measures->balloon_target, QMP_MIGRATION_NONE);

    if (measures->balloon_target == measures->balloon_before || gain > *room ||
        decision.verdict != UNDO_DO || vm->figures.migration != VM_MIGRATION_NONE)
        return;
    if (act_balloon(vm, measures->balloon_before, MODE_ENFORCE, now) == 0)
        *room -= gain;
}

static void resize_back(struct vm *vm, uint64_t *room, uint64_t now)
{
    uint64_t gain = resize_gain(vm);

    if (gain > *room || vm->back_resized || vm->figures.migration != VM_MIGRATION_NONE)
        return;
    int result = act_resize(vm, vm->figures.measures.resize.before, MODE_ENFORCE, now);
    if (result == 0)
        *room -= gain;
    else if (result == -ESTALE)
        (void)act_resize_yield(vm);
    vm->back_resized = result != -EAGAIN;
}

static void pause_back(struct vm *vm, uint64_t *room, uint64_t now)
{
    uint64_t gain = pause_gain(vm);

    if (vm_has(vm, VM_MEASURE_RESUMING) || vm->back_resumed || gain > *room)
        return;
    vm->back_resumed = true; /* refused once is refused: it stays in the ledger */
    if (act_resume(vm, MODE_ENFORCE, now) == 0)
        *room -= gain;
}

void give_back_begin(struct vm *vm)
{
    vm->back_resumed = vm->back_resized = false;
}

void give_back_step(struct vm *vm, const struct roots *roots, uint64_t *room, uint64_t now)
{
    if (vm_has(vm, VM_MEASURE_OOM_SCORE))
        (void)act_oom_score_restore(vm, roots);
    if (vm_has(vm, VM_MEASURE_MEMLOCK))
        (void)act_memlock_restore(vm);
    if (vm_has(vm, VM_MEASURE_CONTAIN))
        (void)act_contain_restore_all(vm, now);
    if (vm_has(vm, VM_MEASURE_BRAKED))
        (void)act_release(vm, MODE_ENFORCE);
    if (vm_has(vm, VM_MEASURE_PAUSE))
        pause_back(vm, room, now);
    else if (vm_has(vm, VM_MEASURE_BALLOON))
        balloon_back(vm, room, now);
    if (vm_has(vm, VM_MEASURE_RESIZE) && !vm_has(vm, VM_MEASURE_PAUSE))
        resize_back(vm, room, now);
}
