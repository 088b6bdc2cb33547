/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the little world's swap. One device serves all in turn: what running guests use comes back
 * first, then the kernel writes what does not fit into memory, of those who have most that is cold,
 * and what is left of the device's time goes to the piece that was asked for. A piece for which
 * there is nothing to take, or no room, ends with -EAGAIN, as in mm/memcontrol.c.
 */
#include "story.h"

#include <errno.h>

uint64_t story_resident(const struct story_guest *guest)
{
    return sub_or_zero(guest->touched + guest->overhead, guest->swapped);
}

void story_swap(struct story *story, uint64_t size, uint64_t speed, uint64_t seen)
{
    struct host_snapshot *host = &story->snapshot->host;
    host->swap_total = host->swap_free = size;
    host->swap_rate = seen;
    story->swap_speed = speed;
}

/* A rate that is higher than the one known is believed (daemon/sample_host.c). */
static void learn_rate(struct story *story)
{
    struct host_snapshot *host = &story->snapshot->host;
    uint64_t elapsed = story->snapshot->time - story->swap_second;
    if (elapsed < NSEC_PER_SEC)
        return;
    host->swap_rate =
        max_u64(host->swap_rate, scale_u64(story->swap_written, NSEC_PER_SEC, elapsed));
    story->swap_second = story->snapshot->time;
    story->swap_written = 0;
}

static bool is_stopped(const struct vm_snapshot *vm)
{
    return vm->run_state == VM_RUN_PAUSED || (vm->measures.in_force & VM_MEASURE_FROZEN);
}

/* What the kernel would take first: not in use by a guest that runs. */
static uint64_t cold(const struct story_guest *guest, const struct vm_snapshot *vm)
{
    return sub_or_zero(story_resident(guest), is_stopped(vm) ? 0 : guest->hot);
}

static void swap_out(struct story *story, struct story_guest *guest, uint64_t bytes)
{
    guest->swapped += bytes;
    story->swap_written += bytes;
    story->snapshot->host.swap_free -= bytes;
}

static void fault_back(
    struct story *story, struct story_guest *guest, const struct vm_snapshot *vm, uint64_t *left)
{
    uint64_t in_use = is_stopped(vm) ? 0 : guest->hot;
    uint64_t missing = sub_or_zero(in_use, story_resident(guest));
    uint64_t back = min_u64(missing, min_u64(*left, guest->swapped));
    guest->swapped -= back;
    story->snapshot->host.swap_free += back;
    *left -= back;
}

static void kernel_swaps(struct story *story, uint64_t *left)
{
    struct snapshot *snapshot = story->snapshot;
    uint64_t used = story->other;
    for (uint32_t i = 0; i < snapshot->vm_count; i++)
        used += story_resident(&story->guests[snapshot->vms[i].slot]);
    uint64_t excess = sub_or_zero(used, snapshot->host.total);
    while (excess > 0) {
        struct story_guest *coldest = NULL;
        uint64_t most = 0;
        for (uint32_t i = 0; i < snapshot->vm_count; i++) {
            struct story_guest *guest = &story->guests[snapshot->vms[i].slot];
            uint64_t its = guest->pinned ? 0 : cold(guest, &snapshot->vms[i]);
            coldest = its > most ? guest : coldest;
            most = max_u64(most, its);
        }
        uint64_t bytes = min_u64(min_u64(excess, most), snapshot->host.swap_free);
        if (!coldest || bytes == 0)
            break;
        swap_out(story, coldest, bytes);
        excess -= bytes;
        *left = sub_or_zero(*left, bytes);
    }
    story->overrun = max_u64(story->overrun, excess);
}

static void piece_moves(struct story *story, uint64_t left)
{
    struct vm_snapshot *vm = story_vm(story, story->piece.slot);
    struct story_guest *guest = &story->guests[story->piece.slot];
    if (story->piece.left == 0)
        return;
    if (!vm) {
        story->piece.left = 0;
        return;
    }
    /* Writeback takes the device's time; whether it is in use is seen when it comes back. */
    uint64_t there =
        guest->pinned ? 0 : min_u64(story_resident(guest), story->snapshot->host.swap_free);
    uint64_t bytes = min_u64(min_u64(left, story->piece.left), there);
    swap_out(story, guest, bytes);
    story->piece.left -= bytes;
    if (story->piece.left > 0 && bytes < there)
        return;
    vm->reclaim.answered = story->snapshot->time;
    vm->reclaim.result = story->piece.left > 0 ? -EAGAIN : 0;
    story->piece.left = 0;
}

void story_swap_pass(struct story *story, uint64_t elapsed)
{
    struct snapshot *snapshot = story->snapshot;
    uint64_t left = scale_u64(story->swap_speed, elapsed, NSEC_PER_SEC);
    for (uint32_t i = 0; i < snapshot->vm_count; i++) {
        struct story_guest *guest = &story->guests[snapshot->vms[i].slot];
        uint64_t freed = sub_or_zero(guest->swapped, guest->touched + guest->overhead);
        guest->swapped -= freed; /* ballooned away */
        snapshot->host.swap_free += freed;
        fault_back(story, guest, &snapshot->vms[i], &left);
    }
    kernel_swaps(story, &left);
    piece_moves(story, left);
    if (story->swap_speed > 0)
        learn_rate(story);
}
