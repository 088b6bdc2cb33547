/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Largest first, as earlyoom does: when MemAvailable and free swap are both at 10 % or less of
 * their total, the process with the most points is asked to end, at 5 % it is killed; a guest's
 * QEMU ends by either. It looks again after as long as memory would last at 6000 MiB/s, from 100 ms
 * to 1 s, and not before its victim is gone.
 */
#include "peers.h"

#define TERM_PERCENT 10
#define FILL_RATE (6000 * MIB)
#define SLEEP_LEAST (100 * NSEC_PER_MSEC)
#define SLEEP_MOST NSEC_PER_SEC

static bool is_low(uint64_t available, uint64_t total)
{
    return available <= total / 100 * TERM_PERCENT;
}

static const struct vm_snapshot *largest_find(const struct snapshot *snapshot)
{
    const struct vm_snapshot *largest = NULL;

    for (uint32_t i = 0; i < snapshot->vm_count; i++) {
        const struct vm_snapshot *vm = &snapshot->vms[i];
        if (vm->measures.in_force & VM_MEASURE_KILLED)
            return NULL;
        if (!largest || vm->rss + vm->swap > largest->rss + largest->swap)
            largest = vm;
    }
    return largest;
}

static void largest_decide(
    const struct snapshot *snapshot, const struct rules *rules, void *own, struct plan *ret_plan)
{
    const struct host_snapshot *host = &snapshot->host;
    uint64_t spare = sub_or_zero(host->available, host->total / 100 * TERM_PERCENT) +
                     sub_or_zero(host->swap_free, host->swap_total / 100 * TERM_PERCENT);
    uint64_t sleep = scale_u64(spare, NSEC_PER_SEC, FILL_RATE);

    (void)rules;
    (void)own;
    peer_plan_begin(snapshot, min_u64(max_u64(sleep, SLEEP_LEAST), SLEEP_MOST), ret_plan);
    if (!is_low(host->available, host->total) || !is_low(host->swap_free, host->swap_total))
        return;
    const struct vm_snapshot *victim = largest_find(snapshot);
    /* A process outside that is larger is its victim as much; the model has no hand for that, and
     * its guests are spared meanwhile. */
    if (victim && host->largest_process.rss <= victim->rss + victim->swap)
        (void)peer_plan_add(ret_plan, ACTION_KILL, victim);
}

bool peer_largest(uint32_t guest_count, struct watcher *ret_watcher)
{
    (void)guest_count;
    *ret_watcher =
        (struct watcher){.name = "largest-first", .decide = largest_decide, .fresh = true};
    return true;
}
