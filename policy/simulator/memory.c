/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the host's part of the model: who of those who ask is given memory, and where it comes from.
 * One swap device serves all in turn: what is in use comes back first, then the kernel writes what
 * must go, and what is left of the device's time goes to the piece that was asked for. A piece for
 * which there is nothing to take, or no room, ends with -EAGAIN, as in mm/memcontrol.c.
 */
#include "model.h"

#include <errno.h>

/* ---- watermarks ---- */

/* __setup_per_zone_wmarks() and calculate_min_free_kbytes() (mm/page_alloc.c), for a host of one
 * zone with watermark_scale_factor 10. */
#define MIN_FREE_LEAST (128 * KIB)
#define MIN_FREE_MOST (256 * MIB)
#define WATERMARK_SCALE_DIVISOR 1000

static uint64_t square_root(uint64_t value)
{
    uint64_t root = 0;
    for (uint64_t bit = UINT64_C(1) << 31; bit > 0; bit >>= 1)
        if ((root + bit) * (root + bit) <= value)
            root += bit;
    return root;
}

static void watermarks_begin(struct model *model)
{
    uint64_t total = model->scenario->host.total;
    uint64_t least = square_root(total / KIB * 16) * KIB;
    least = min_u64(max_u64(least, MIN_FREE_LEAST), MIN_FREE_MOST);
    uint64_t gap = max_u64(least / 4, total / WATERMARK_SCALE_DIVISOR);
    model->watermark_min = least;
    model->watermark_low = least + gap;
    model->watermark_high = least + 2 * gap;
}

/* ---- what is where ---- */

uint64_t memory_free(const struct model *model)
{
    const struct scenario_host *host = &model->scenario->host;
    uint64_t taken = host->kernel + model->cache + model->process;
    for (uint32_t i = 0; i < model->guest_count; i++)
        taken += guest_resident(&model->guests[i]);
    return sub_or_zero(host->total, taken);
}

uint64_t memory_available(const struct model *model)
{
    uint64_t kept = min_u64(model->cache / 2, model->watermark_low);
    return sub_or_zero(memory_free(model), model->watermark_high) + model->cache - kept;
}

void memory_begin(struct model *model)
{
    const struct scenario_host *host = &model->scenario->host;
    watermarks_begin(model);
    model->process = host->process;
    model->process_dies = UNKNOWN;
    model->swap_free = host->swap;
    model->swap_rate = UNKNOWN;
    model->swap_second = model->now;
    model->cache = min_u64(host->cache, sub_or_zero(memory_free(model), 2 * model->watermark_high));
}

/* ---- swapping ---- */

/* What the kernel takes first: not in use by a guest that runs. */
static uint64_t guest_cold(const struct model *model, const struct model_guest *guest)
{
    uint64_t resident = guest_resident(guest);
    if (guest->scenario->pinned)
        return 0;
    if (guest_is_stopped(guest, model->now))
        return resident;
    return sub_or_zero(resident, guest->used + guest->overhead);
}

/* … and after that. */
static uint64_t guest_warm(const struct model *model, const struct model_guest *guest)
{
    return guest->scenario->pinned ? 0 : guest_resident(guest) - guest_cold(model, guest);
}

static void swap_out(struct model *model, struct model_guest *guest, uint64_t bytes)
{
    guest->swapped += bytes;
    model->swap_written += bytes;
    model->swap_free -= bytes;
}

/* Writes up to BYTES of what PART is of each guest, from all alike; returns how much. */
static uint64_t swap_out_part(struct model *model, uint64_t bytes,
    uint64_t (*part)(const struct model *model, const struct model_guest *guest))
{
    uint64_t whole = 0, written = 0;
    for (uint32_t i = 0; i < model->guest_count; i++)
        whole += part(model, &model->guests[i]);
    bytes = min_u64(bytes, min_u64(whole, model->swap_free));
    for (uint32_t i = 0; i < model->guest_count && bytes > 0; i++) {
        uint64_t its = part(model, &model->guests[i]);
        its = min_u64(its, scale_u64(bytes, its, whole));
        swap_out(model, &model->guests[i], its);
        written += its;
    }
    return written;
}

/* ---- reclaim ---- */

/* Makes up to BYTES free; DEVICE is what can still be written in this step. */
static uint64_t reclaim(struct model *model, uint64_t bytes, uint64_t *device)
{
    uint64_t dropped = min_u64(bytes, model->cache);
    model->cache -= dropped;
    uint64_t wanted = min_u64(bytes - dropped, *device);
    uint64_t written = swap_out_part(model, wanted, guest_cold);
    written += swap_out_part(model, wanted - written, guest_warm);
    *device -= written;
    return dropped + written;
}

/* Nothing is left that reclaim could ever take, however long it had. */
static bool nothing_to_reclaim(const struct model *model)
{
    uint64_t swappable = 0;
    for (uint32_t i = 0; i < model->guest_count; i++)
        if (!model->guests[i].scenario->pinned)
            swappable += guest_resident(&model->guests[i]);
    bool writes = model->scenario->host.swap_rate > 0 && model->swap_free >= PAGE_SIZE_ASSUMED;
    return model->cache == 0 && (!writes || swappable == 0);
}

/* kswapd's work, and the page cache's own growth where there is room for it. */
static void settle(struct model *model, uint64_t *device)
{
    const struct scenario_host *host = &model->scenario->host;
    uint64_t free = memory_free(model);
    if (free < model->watermark_low) {
        (void)reclaim(model, model->watermark_high - free, device);
        return;
    }
    uint64_t room = sub_or_zero(free, 2 * model->watermark_high);
    uint64_t way = scale_u64(host->cache_rate, model->scenario->step, NSEC_PER_SEC);
    model->cache += min_u64(min_u64(way, room), sub_or_zero(host->cache, model->cache));
}

/* ---- giving ---- */

/* What guests use comes back from swap, of all that is missing the same part. */
static void read_back(struct model *model, uint64_t bytes, uint64_t missing)
{
    for (uint32_t i = 0; i < model->guest_count && missing > 0; i++) {
        struct model_guest *guest = &model->guests[i];
        uint64_t back = scale_u64(guest->missing, bytes, missing);
        guest->swapped -= back;
        model->swap_free += back;
    }
}

static void give(struct model *model, uint64_t bytes, uint64_t asked)
{
    if (asked == 0)
        return;
    for (uint32_t i = 0; i < model->guest_count; i++)
        guest_grow(&model->guests[i], scale_u64(model->guests[i].growth, bytes, asked));
    model->process += scale_u64(model->process_wish, bytes, asked);
}

/* A rate that is higher than the one known is believed (daemon/sample_host.c). */
static void learn_rate(struct model *model)
{
    uint64_t elapsed = model->now - model->swap_second;
    if (model->scenario->host.swap == 0 || elapsed < NSEC_PER_SEC)
        return;
    uint64_t rate = scale_u64(model->swap_written, NSEC_PER_SEC, elapsed);
    if (rate > 0 && (!known(model->swap_rate) || rate > model->swap_rate))
        model->swap_rate = rate;
    model->swap_second = model->now;
    model->swap_written = 0;
}

static void move_piece(struct model *model, uint64_t device)
{
    struct model_guest *guest = &model->guests[model->piece.slot];
    if (model->piece.left == 0)
        return;
    if (guest->presence != PRESENCE_HERE) {
        model->piece.left = 0;
        return;
    }
    uint64_t there = guest->scenario->pinned ? 0 : min_u64(guest_resident(guest), model->swap_free);
    uint64_t bytes = min_u64(min_u64(device, model->piece.left), there);
    swap_out(model, guest, bytes);
    model->piece.left -= bytes;
    if (model->piece.left > 0 && bytes < there)
        return;
    guest->vm.reclaim.answered = model->now;
    guest->vm.reclaim.result = model->piece.left > 0 ? -EAGAIN : 0;
    model->piece.left = 0;
}

void memory_pass(struct model *model)
{
    uint64_t device =
        scale_u64(model->scenario->host.swap_rate, model->scenario->step, NSEC_PER_SEC);
    uint64_t growth = model->process_wish, missing = 0;
    for (uint32_t i = 0; i < model->guest_count; i++) {
        growth += model->guests[i].growth;
        missing += model->guests[i].missing;
    }
    /* Half of the device at most reads: else nothing could be written to make room for it. */
    uint64_t back = min_u64(missing, device / 2);
    device -= back;
    uint64_t asked = growth + back;
    uint64_t room = sub_or_zero(memory_free(model), model->watermark_min);
    if (asked > room)
        room += reclaim(model, asked - room, &device);
    /* Reclaim may have written what was just used, and is then asked for in the next step. */
    uint64_t given = min_u64(asked, room);
    uint64_t read = asked > 0 ? scale_u64(back, given, asked) : 0;
    read_back(model, read, missing);
    give(model, given - read, growth);
    if (given < asked && nothing_to_reclaim(model))
        kernel_out_of_memory(model);
    settle(model, &device);
    move_piece(model, device);
    learn_rate(model);
}
