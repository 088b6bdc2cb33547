/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the answer to "if not the guests, what?". meminfo tells by kind what is used: anonymous
 * memory, shared memory with tmpfs, unreclaimable slab, page tables. The guests' own part of each
 * is taken off, and what has grown most is the culprit, by the smaller of both estimators. What the
 * host loses beyond all that these kinds have grown is a candidate of its own, "unknown": a driver,
 * a huge page pool, the kernel itself. An alert had better say that it does not know than name
 * somebody innocent.
 *
 * Shared memory is a tmpfs's or a process's (memfd, SysV): the mounted tmpfs that holds or grows by
 * half of it is it; with none, a process that grows by half as fast is.
 *
 * Swap is not told by kind, so that a culprit that is swapped out as fast as it grows is "unknown"
 * or, seen before, remembered.
 */
#include "culprit.h"

/* How much of a guest is in each kind. The guard reads RSS far more often than its parts, so what
 * it has grown by since goes to the part that guest memory is in. */
static bool guest_subtract(const struct vm_snapshot *vm, uint64_t bytes[CULPRIT_KIND_COUNT])
{
    if (!known(vm->rss) || !known(vm->rss_anonymous) || !known(vm->rss_shmem))
        return false;
    uint64_t anonymous = vm->rss_anonymous, shmem = vm->rss_shmem;
    uint64_t rest = sub_or_zero(vm->rss, known_or(vm->rss_file, 0));
    if (shmem > anonymous)
        shmem = sub_or_zero(rest, anonymous);
    else
        anonymous = sub_or_zero(rest, shmem);
    bytes[CULPRIT_PROCESS] = sub_or_zero(bytes[CULPRIT_PROCESS], anonymous);
    bytes[CULPRIT_TMPFS] = sub_or_zero(bytes[CULPRIT_TMPFS], shmem);
    bytes[CULPRIT_PAGE_TABLES] =
        sub_or_zero(bytes[CULPRIT_PAGE_TABLES], known_or(vm->page_tables, 0));
    return true;
}

/* Fills BYTES; returns a number that stands for the set of guests taken off. */
static uint64_t bytes_outside(const struct decision *d, uint64_t bytes[CULPRIT_KIND_COUNT])
{
    const struct host_snapshot *host = &d->snapshot->host;
    uint64_t guests = 0;
    bool whole = true;
    bytes[CULPRIT_NONE] = bytes[CULPRIT_UNKNOWN] = UNKNOWN;
    bytes[CULPRIT_PROCESS] = known_or(host->anonymous, 0);
    bytes[CULPRIT_TMPFS] = known_or(host->shmem, 0);
    bytes[CULPRIT_SLAB] = host->slab_unreclaimable;
    bytes[CULPRIT_PAGE_TABLES] = known_or(host->page_tables, 0);
    for (uint32_t i = 0; i < d->vm_count; i++) {
        const struct vm_snapshot *vm = decision_vm(d, i);
        guests += (uint64_t)vm->identity.pid + (vm->identity.start_time << 32);
        whole = guest_subtract(vm, bytes) && whole;
    }
    if (!whole || !known(host->anonymous))
        bytes[CULPRIT_PROCESS] = UNKNOWN;
    if (!whole || !known(host->shmem))
        bytes[CULPRIT_TMPFS] = UNKNOWN;
    if (!known(host->page_tables))
        bytes[CULPRIT_PAGE_TABLES] = UNKNOWN;
    return guests;
}

static void look(struct decision *d)
{
    struct culprit_watch *watch = &d->state->culprit;
    uint64_t bytes[CULPRIT_KIND_COUNT];
    if (since(d->now, watch->time) < CULPRIT_INTERVAL)
        return;
    watch->time = d->now;
    uint64_t guests = bytes_outside(d, bytes);
    for (int kind = 0; kind < CULPRIT_KIND_COUNT; kind++) {
        struct rate *growth = &watch->growth[kind];
        /* A guest that is met or goes moves all it holds from one side to the other at once. */
        if (guests == watch->guests && known(bytes[kind]) && known(watch->bytes[kind]))
            rate_update(growth, d->now, diff_i64(bytes[kind], watch->bytes[kind]));
        else
            growth->time = d->now;
        watch->bytes[kind] = bytes[kind];
    }
    watch->guests = guests;
}

/* Whether the mounted tmpfs that is known is most of BYTES that grow by GROWTH. */
static bool is_mounted(const struct tmpfs_snapshot *tmpfs, uint64_t bytes, int64_t growth)
{
    if (tmpfs->path[0] == '\0')
        return false;
    bool grows = growth >= CULPRIT_GROWTH_MIN && tmpfs->growth >= growth / 2;
    return grows || (known(bytes) && tmpfs->used >= bytes / 2);
}

/* Whether the largest process is most of BYTES, or of what they grow by: a fork bomb is no fault of
 * the biggest. */
static bool is_process(const struct process_snapshot *process, uint64_t bytes, int64_t growth)
{
    if (process->pid <= 0)
        return false;
    bool grows = growth >= CULPRIT_GROWTH_MIN && process->growth >= growth / 2;
    return grows || (known(bytes) && known(process->rss) && process->rss >= bytes / 2);
}

static void name(struct decision *d, enum culprit_kind kind, int64_t growth)
{
    const struct host_snapshot *host = &d->snapshot->host;
    struct culprit *culprit = &d->state->culprit.last;
    culprit->bytes = d->state->culprit.bytes[kind];
    culprit->growth = growth;
    culprit->mounted =
        kind == CULPRIT_TMPFS && is_mounted(&host->largest_tmpfs, culprit->bytes, growth);
    bool mapped = kind == CULPRIT_TMPFS && !culprit->mounted && growth >= CULPRIT_GROWTH_MIN &&
                  host->largest_process.pid > 0 && host->largest_process.growth >= growth / 2;
    culprit->kind = mapped ? CULPRIT_PROCESS : kind;
    bool named = culprit->kind == CULPRIT_PROCESS &&
                 is_process(&host->largest_process, culprit->bytes, growth);
    culprit->pid = named ? (int32_t)host->largest_process.pid : 0;
}

/* What has grown most, UNKNOWN when that is less than what OUTSIDE leaves unexplained. */
static enum culprit_kind fastest(
    const struct culprit_watch *watch, int64_t outside, int64_t *ret_growth)
{
    enum culprit_kind best = CULPRIT_UNKNOWN;
    int64_t most = CULPRIT_GROWTH_MIN - 1, unexplained = outside;
    for (int kind = CULPRIT_PROCESS; kind < CULPRIT_KIND_COUNT; kind++) {
        int64_t growth = rate_steady(&watch->growth[kind]);
        if (!known(watch->bytes[kind]) || growth <= 0)
            continue;
        unexplained = rate_sum(unexplained, -growth);
        if (growth > most) {
            most = growth;
            best = (enum culprit_kind)kind;
        }
    }
    if (best == CULPRIT_UNKNOWN || unexplained > most) {
        *ret_growth = unexplained;
        return CULPRIT_UNKNOWN;
    }
    *ret_growth = most;
    return best;
}

static bool is_remembered(const struct decision *d)
{
    return since(d->now, d->state->culprit.seen) < LEAK_MEMORY;
}

void culprit_observe(struct decision *d)
{
    look(d);
    if (is_remembered(d))
        d->plan->assessment.culprit = d->state->culprit.last;
}

void culprit_seen(struct decision *d, int64_t outside)
{
    struct culprit_watch *watch = &d->state->culprit;
    int64_t growth;
    enum culprit_kind kind = fastest(watch, outside, &growth);
    if (kind != CULPRIT_UNKNOWN || !is_remembered(d))
        name(d, kind, growth);
    watch->seen = d->now;
    culprit_recall(d);
}

void culprit_recall(struct decision *d)
{
    struct culprit_watch *watch = &d->state->culprit;
    if (!is_remembered(d)) {
        enum culprit_kind most = CULPRIT_UNKNOWN;
        for (int kind = CULPRIT_PROCESS; kind < CULPRIT_KIND_COUNT; kind++)
            if (known(watch->bytes[kind]) &&
                (most == CULPRIT_UNKNOWN || watch->bytes[kind] > watch->bytes[most]))
                most = (enum culprit_kind)kind;
        name(d, most, rate_steady(&watch->growth[most]));
    }
    d->plan->assessment.culprit = watch->last;
}
