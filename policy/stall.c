/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the second opinion on what is available. MemAvailable takes half of the page cache and of
 * the slab for granted; where that is read again and again, or does not come, a host stands still
 * with gigabytes "available" (earlyoom#320). That everything waits is in the kernel's own account
 * of it, the `full` line of /proc/pressure/memory, which is looked at in spans of STALL_WINDOW, one
 * behind the other.
 *
 * It is told of, and nobody is touched for it: how much is missing, and who holds it, no figure
 * says. From scarce on the guard acts by the figures themselves, and waiting is part of that.
 */
#include "stall.h"

#include "plan_add.h"
#include "pool.h"

void stall_watch(struct decision *d)
{
    struct stall_state *stall = &d->state->stall;
    uint64_t full = d->snapshot->host.memory_pressure.full;
    if (!known(full) || !known(stall->since) || full < stall->full) {
        stall->since = known(full) ? d->now : UNKNOWN;
        stall->full = full;
        return;
    }
    uint64_t elapsed = since(d->now, stall->since);
    if (elapsed < STALL_WINDOW)
        return;
    bool stalled = full - stall->full >= elapsed / STALL_DIVISOR;
    stall->since = d->now;
    stall->full = full;
    if (stalled && d->plan->assessment.pools[POOL_INDEX_HOST].band < BAND_SCARCE)
        plan_alert_host(d, REASON_STALLED, POOL_INDEX_HOST, STALL_AGAIN, 0);
}
