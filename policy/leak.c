/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the difference between what fills the host and what the guests take. A leak is told, from
 * scarce on, when by both rates and bytes most of the fill is not the guests', for long enough:
 *
 * By rates, the fill's fast estimator less the guests'. It is quick, but guests are looked at more
 * slowly than the host, and where all is slow, noise has any rate.
 *
 * By bytes, what is used less what the guests hold, in memory and swap, against the least that this
 * was in the last minutes. Used is of the look before, so that each guest has been looked at since;
 * of the least it is taken with what they held before. So no growth of theirs can pass for somebody
 * else's.
 *
 * The kernel's own lists of free pages, one of each processor and zone, count as used and come and
 * go (mm/page_alloc.c, zone_highsize(): in all up to the low watermarks; 30 to 72 MiB of 110 were
 * seen. Since Linux 6.7 they may grow to an eighth of the zone, which is not allowed for). What
 * does not exceed that is not told. But to wait for so much near the wall would kill a guest for a
 * leak: there less is enough for nobody to die.
 *
 * A leak that has reached the wall fills no more, so it is remembered for a while, as long as the
 * guests have not taken as much since it began. An alert names it, and what it is (culprit.c).
 */
#include "leak.h"

#include "culprit.h"
#include "pause.h"
#include "plan_add.h"
#include "pool.h"

static int64_t outside_fill(const struct decision *d)
{
    const struct rate *fill = &d->state->pools[POOL_INDEX_HOST].fill;
    int64_t outside = rate_sum(fill->fast, -(d->guests_fast > 0 ? d->guests_fast : 0));
    bool most = outside > fill->fast / 2;
    return most && outside >= (int64_t)FILL_IGNORED ? outside : 0; /* slow leaks get there, too */
}

/* By the slower of both estimators, as what it may be is measured. */
static int64_t outside_steady(const struct decision *d, int64_t fast)
{
    const struct rate *fill = &d->state->pools[POOL_INDEX_HOST].fill;
    int64_t slow = rate_sum(fill->slow, -(d->guests_slow > 0 ? d->guests_slow : 0));
    return fast < slow ? fast : slow;
}

/* What may come and go without being a leak, as far as there is time to see. */
static int64_t leak_noise(const struct pool_view *host)
{
    uint64_t part = host->headroom > 0 ? (uint64_t)host->headroom / LEAK_NOISE_DIVISOR : 0;
    part = max_u64(part, host->floor / LEAK_NOISE_LEAST_DIVISOR);
    return (int64_t)min_u64(part, min_u64(host->floor / LEAK_NOISE_DIVISOR, LEAK_NOISE_MOST));
}

/* Most of what is used more than at LOW is not the guests'. */
static bool is_most(const struct leak_state *leak, const struct leak_low *low)
{
    return leak->outside - low->outside > diff_i64(leak->used, low->used) / 2;
}

/* ABOVE: what was not the guests' then at most. */
static void low_follow(struct leak_low *low, const struct leak_state *leak, int64_t above,
    const struct pool_view *host)
{
    if (!known(low->since))
        return;
    if (above < low->outside)
        low->outside = above;
    if (leak->outside - low->outside <= (int64_t)(host->floor / LEAK_NOISE_LEAST_DIVISOR))
        low->used = leak->used;
}

/* The low from which a leak has risen, and most; NULL: from none. */
static const struct leak_low *risen_from(
    const struct leak_state *leak, const struct pool_view *host)
{
    const struct leak_low *from = NULL;
    for (int i = 0; i < 2; i++) {
        const struct leak_low *low = &leak->lows[i];
        if (known(low->since) && leak->outside - low->outside > leak_noise(host) &&
            is_most(leak, low) && (!from || low->outside < from->outside))
            from = low;
    }
    return from;
}

/* When the guest was looked at whose last look is oldest; those that are no longer looked at apart.
 */
static uint64_t oldest_look(const struct decision *d)
{
    uint64_t oldest = NEVER;
    for (uint32_t i = 0; i < d->vm_count; i++) {
        uint64_t time = decision_state(d, i)->growth.time;
        if ((d->vms[i].traits & TRAIT_USABLE) && since(d->now, time) <= GROWTH_STALE)
            oldest = min_u64(oldest, time);
    }
    return oldest;
}

/* Held to ±2^61, so that a difference of two fits 64 bits, whatever is claimed. */
static int64_t outside_of(uint64_t used, uint64_t held)
{
    const int64_t most = INT64_C(1) << 61;
    int64_t outside = diff_i64(used, held);
    if (outside > most)
        return most;
    return outside < -most ? -most : outside;
}

/* With what of them the kernel has written to swap, which it did to make room for others. */
static uint64_t guests_hold(const struct decision *d)
{
    uint64_t sum = d->plan->assessment.guests_held;
    for (uint32_t i = 0; i < d->vm_count; i++)
        if (d->vms[i].traits & TRAIT_USABLE)
            sum = add_held(sum, known_or(decision_vm(d, i)->swap, 0));
    return sum;
}

/* Sees, once every guest has been looked at again, what is used and not the guests': as they were
 * seen before it was used that is too much, and after it too little, where they grow. */
static void leak_weigh(struct decision *d, const struct pool_view *host)
{
    struct leak_state *leak = &d->state->leak;
    if (known(leak->seen_at) && oldest_look(d) <= leak->seen_at)
        return;
    uint64_t held = guests_hold(d);
    if (known(leak->seen_at)) {
        int64_t above = outside_of(leak->seen, leak->seen_held);
        leak->used = leak->seen;
        leak->outside = outside_of(leak->used, held);
        if (!known(leak->lows[0].since) || since(d->now, leak->lows[0].since) > LEAK_WINDOW / 2) {
            leak->lows[1] = leak->lows[0];
            leak->lows[0] = (struct leak_low){d->now, above, leak->used};
        }
        for (int i = 0; i < 2; i++)
            low_follow(&leak->lows[i], leak, above, host);
    }
    leak->seen = sub_or_zero(host->total, host->available);
    leak->seen_held = held;
    leak->seen_at = d->now;
}

bool leak_holds(const struct decision *d, const struct pool_view *pool)
{
    const struct leak_state *leak = &d->state->leak;
    return pool->kind == POOL_HOST && since(d->now, leak->at) < LEAK_MEMORY &&
           is_most(leak, &leak->origin);
}

void leak_watch(struct decision *d)
{
    const struct pool_view *host = &d->plan->assessment.pools[POOL_INDEX_HOST];
    struct leak_state *leak = &d->state->leak;
    culprit_observe(d);
    if (!known(host->total))
        return;
    leak_weigh(d, host);
    if (host->band < BAND_SCARCE) {
        leak->since = UNKNOWN;
        return;
    }
    bool critical = host->band == BAND_CRITICAL;
    if (critical && leak_holds(d, host) && pool_worth(host, host->fill_rate) == 0)
        leak->at = d->now; /* at the wall, and nothing has come back */
    /* Who was just stopped grows no more, but the fill still remembers what it took. */
    int64_t outside = pause_settling(d) ? 0 : outside_fill(d);
    if (outside == 0) {
        leak->since = UNKNOWN;
        return;
    }
    if (!known(leak->since))
        leak->since = d->now;
    uint64_t left = rate_exhaustion(host->headroom, outside);
    uint64_t watch = max_u64(left / LEAK_CONFIRM_DIVISOR, LEAK_CONFIRM);
    bool watched =
        left <= LEAK_CONFIRM || since(d->now, leak->since) >= min_u64(watch, LEAK_CONFIRM_MOST);
    const struct leak_low *from = risen_from(leak, host);
    if (!watched || !from)
        return;
    uint64_t lists = known_or(d->snapshot->host.watermark_low, host->floor / LEAK_NOISE_DIVISOR);
    if (leak->outside - from->outside > (int64_t)lists) {
        culprit_seen(d, outside_steady(d, outside));
        plan_alert_host(d, REASON_LEAK_OUTSIDE, POOL_INDEX_HOST, ALERT_INTERVAL,
            pool_deficit(d, host, host->band));
    }
    if (!critical)
        return;
    /* Near the wall it slows down without ending. */
    if (!leak_holds(d, host)) {
        leak->origin = *from;
        leak->rate = outside;
    } else if (outside > leak->rate) {
        leak->rate = outside;
    }
    leak->at = d->now;
}
