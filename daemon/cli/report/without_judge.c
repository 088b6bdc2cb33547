/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns whom the kernel would have taken: the points of all who could be, by the look at which the
 * host would have been out of memory. Who cannot be measured may be anybody, so with such a guest
 * nobody is named. The process outside the guests is the largest that the guard knew of; its
 * oom_score_adj is not recorded, and taken for 0.
 */
#include <stdio.h>

#include "text.h"
#include "without_private.h"

/* From so much of the victim's points on another may as well be it: sizes are as old as a second.
 */
#define CLOSE_PERCENT 95

#define SCORE_EXEMPT (-1000)
#define SCORE_MOST 1000

struct candidate {
    enum without_victim kind;
    uint32_t guest;
    uint64_t points;
};

static void candidate_take(struct candidate best[2], struct candidate candidate)
{
    if (best[0].kind == WITHOUT_NOBODY_KNOWN || candidate.points > best[0].points) {
        best[1] = best[0];
        best[0] = candidate;
    } else if (best[1].kind == WITHOUT_NOBODY_KNOWN || candidate.points > best[1].points) {
        best[1] = candidate;
    }
}

/* SIZE: resident, swapped and page tables. Negative points are none. */
static uint64_t points_of(uint64_t size, int32_t score, const struct host_snapshot *host)
{
    uint64_t all = add_held(known_or(host->total, 0), known_or(host->swap_total, 0));
    int32_t held = score > SCORE_MOST ? SCORE_MOST : score < SCORE_EXEMPT ? SCORE_EXEMPT : score;

    if (held < 0)
        return sub_or_zero(size, scale_u64(all, (uint64_t)-held, SCORE_MOST));
    return add_held(size, scale_u64(all, (uint64_t)held, SCORE_MOST));
}

/* SIZE: UNKNOWN where nobody knows it. */
static void guest_judge(struct candidate best[2], const struct roster *guests, uint32_t guest,
    uint64_t size, const struct host_snapshot *host, struct without *without)
{
    const struct guest *who = &guests->all[guest];
    int32_t score = who->score_known ? who->score_found : 0;

    without->scores_assumed |= !who->score_known;
    if (score > SCORE_EXEMPT)
        candidate_take(best,
            (struct candidate){
                .kind = WITHOUT_GUEST, .guest = guest, .points = points_of(size, score, host)});
}

/* Of a guest that is there: what the kernel counts of it, and what it would hold more. */
static uint64_t size_of(const struct without_tracker *tracker, const struct roster *guests,
    const struct vm_snapshot *vm, uint32_t guest, uint64_t time)
{
    uint64_t whole = 0, held = 0;

    if (!known(vm->rss))
        return UNKNOWN;
    uint64_t size =
        add_held(add_held(vm->rss, known_or(vm->swap, 0)), known_or(vm->page_tables, 0));
    if (guest != GUEST_NONE && tracker->tracks[guest])
        track_reckon(tracker, guests, guest, time, &whole, &held);
    return sub_or_zero(add_held(size, sub_or_zero(whole, held)), sub_or_zero(held, whole));
}

/* Those whom the guard had ended by then. */
static void ended_judge(const struct without_tracker *tracker, struct candidate best[2],
    const struct roster *guests, const struct host_snapshot *host, struct without *without)
{
    for (uint32_t i = 0; i < guests->count; i++) {
        const struct track *track = tracker->tracks[i];
        uint64_t whole, held;
        if (!track || !track->ended || without->time < track->gone_time)
            continue;
        track_reckon(tracker, guests, i, without->time, &whole, &held);
        uint64_t size = add_held(sub_or_zero(whole, track->hugetlb), track->page_tables);
        guest_judge(best, guests, i, size, host, without);
    }
}

void without_judge(const struct without_tracker *tracker, const struct record_seen *seen,
    const struct roster *guests, struct without *without)
{
    const struct snapshot *snapshot = seen->snapshot;
    const struct process_snapshot *process = &snapshot->host.largest_process;
    struct candidate best[2] = {0};
    bool all_known = true;

    for (uint32_t i = 0; i < snapshot->vm_count; i++) {
        uint32_t guest = roster_find(guests, &snapshot->vms[i].identity);
        uint64_t size = size_of(tracker, guests, &snapshot->vms[i], guest, without->time);
        if (guest == GUEST_NONE || !known(size))
            all_known = false;
        else
            guest_judge(best, guests, guest, size, &snapshot->host, without);
    }
    ended_judge(tracker, best, guests, &snapshot->host, without);
    if (process->pid > 0 && known(process->rss))
        candidate_take(
            best, (struct candidate){
                      .kind = WITHOUT_PROCESS, .guest = GUEST_NONE, .points = process->rss});
    if (!all_known || best[0].kind == WITHOUT_NOBODY_KNOWN)
        return;
    without->victim = best[0].kind;
    without->guest = best[0].guest;
    without->points = best[0].points;
    text_finish(without->process, sizeof(without->process),
        snprintf(without->process, sizeof(without->process), "%.*s", PROCESS_NAME_MAX - 1,
            process->name));
    without->close = best[1].kind != WITHOUT_NOBODY_KNOWN &&
                     best[1].points >= scale_u64(best[0].points, CLOSE_PERCENT, 100);
    without->rival = best[1].guest;
}
