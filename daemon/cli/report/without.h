/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What would have happened without the guard, as far as its record tells: reckoned, not simulated,
 * for nobody recorded what a guest would have used that was stopped.
 *
 *   supply    MemAvailable, what ZFS can give back, and all free swap, as recorded: at 0 the host
 * is out of memory. a guest   holds what is resident of it, and its swap: what goes there was not
 * given up. that was stopped, braked or ended, it goes on as the record shows that it did once it
 * ran again, only without the wait; where it never did, at the rate at which it grew before
 *             (WITHOUT_RATE_TIME), for WITHOUT_GROWTH_TIME at most and up to its own maximum.
 *   balloons  and virtio-mem: what they took stays with the guests, as far as they had held it.
 *   the rest  is as recorded.
 *
 * The host is out of memory at the first look at which the supply less what the guests would hold
 * more than they did is 0. Whom the kernel then takes has most points = RSS + swap + page tables +
 * oom_score_adj × (RAM + swap) / 1000 (mm/oom_kill.c, oom_badness()), by the scores that the guests
 * had while none of the guard's was in force.
 */
#ifndef PLIMSOLL_REPORT_WITHOUT_H
#define PLIMSOLL_REPORT_WITHOUT_H

#include "loss.h"

/* A guest's growth is taken over so much of the time that it ran. */
#define WITHOUT_RATE_TIME (10 * NSEC_PER_SEC)
/* Nobody knows how long it would have grown on: beyond this nothing is claimed. */
#define WITHOUT_GROWTH_TIME NSEC_PER_MINUTE

enum without_outcome {
    WITHOUT_SAME,    /* nothing was held back: the record is what happens without */
    WITHOUT_LASTS,   /* memory would have lasted for as long as the event */
    WITHOUT_OUT,     /* it would have been out */
    WITHOUT_UNKNOWN, /* it cannot be told, as `why` says */
    WITHOUT_OUTCOME_COUNT,
};

enum without_why {
    WITHOUT_WHY_NONE,
    WITHOUT_WHY_UNMEASURED, /* the host's memory was not measured */
    WITHOUT_WHY_GAP,        /* the record has a gap */
    WITHOUT_WHY_BEFORE,     /* guests were held back already before the event */
    WITHOUT_WHY_MEMORY,     /* there was no memory for reckoning */
    WITHOUT_WHY_COUNT,
};

enum without_victim {
    WITHOUT_NOBODY_KNOWN,
    WITHOUT_GUEST,
    WITHOUT_PROCESS, /* the largest process outside the guests */
    WITHOUT_VICTIM_COUNT,
};

struct without {
    enum without_outcome outcome;
    enum without_why why;
    uint64_t since;  /* of the first look at which anything was held back, on the guard's clock */
    uint64_t time;   /* WITHOUT_OUT: when; WITHOUT_LASTS: of the least */
    uint64_t least;  /* WITHOUT_LASTS: what would have been left of the supply */
    uint64_t more;   /* bytes that guests would have held more by `time` */
    uint32_t guests; /* that were held back, ever */
    enum without_victim victim;
    uint32_t guest;                 /* WITHOUT_GUEST: index */
    char process[PROCESS_NAME_MAX]; /* clean */
    uint64_t points;                /* its, in bytes */
    bool close;                     /* another has nearly as many: it may as well have been that */
    uint32_t rival;                 /* GUEST_NONE: the process */
    bool scores_assumed;            /* of some guest the score without the guard is not known: 0 */
};

struct without_tracker;

/* -ENOMEM. */
int without_tracker_new(struct without_tracker **ret_tracker);
struct without_tracker *without_tracker_free(struct without_tracker *tracker);
DEFINE_CLEANUP(struct without_tracker *, without_tracker_free);

/* GUESTS and LOSS have been shown the same look. */
void without_look(struct without_tracker *tracker, const struct look *look,
    const struct roster *guests, const struct loss_tracker *loss);
/* After the last look: all but the victim. */
void without_reckon(const struct without_tracker *tracker, const struct roster *guests,
    struct without *ret_without);
/* Whom the kernel would have taken: SEEN is the look at ret_without->time. */
void without_judge(const struct without_tracker *tracker, const struct record_seen *seen,
    const struct roster *guests, struct without *without);

#endif
