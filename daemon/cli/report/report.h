/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All that a report says of one event, whatever it is then written as. */
#ifndef PLIMSOLL_REPORT_REPORT_H
#define PLIMSOLL_REPORT_REPORT_H

#include <stdio.h>

#include "deeds.h"
#include "event.h"
#include "timeline.h"
#include "without.h"

/* What has filled the host from the first look to that with the least headroom of the host. */
struct filling {
    bool known;                     /* else there is no such stretch, or it was not measured */
    uint64_t from, to;              /* on the guard's clock */
    int64_t guests, others;         /* bytes; all that is used and not the guests' */
    enum culprit_kind culprit;      /* that the guard named by then */
    char process[PROCESS_NAME_MAX]; /* of CULPRIT_PROCESS, clean; or empty */
    char mount[TMPFS_PATH_MAX];     /* of CULPRIT_TMPFS, clean; or empty */
};

struct report {
    const struct traces *traces;
    const struct events *events;
    const struct event *event;
    uint32_t number; /* of the event, counted from the last, which is 1 */
    struct roster *guests;
    struct loss_tracker *losses;
    struct timeline *timeline;
    struct deeds *deeds;
    struct without_tracker *tracker;
    struct without without;
    struct filling filling;
    uint64_t looks;
    uint64_t hold_from, hold_to; /* first and last look at which a hold stood; UNKNOWN: none did */
};

/* Reads the record once more, where EVENT is. All but RET_REPORT stays the caller's and must
 * outlive it. A negative errno, and words. */
int report_new(struct traces *traces, const struct events *events, uint32_t event,
    struct progress *progress, struct report **ret_report, struct error *ret_error);
struct report *report_free(struct report *report);
DEFINE_CLEANUP(struct report *, report_free);

/* Which guests have a line of their own: those that were acted on, by harm, then those that moved
 * most. Fills ORDER with LIMIT at most; returns how many. */
uint32_t report_guests_rank(const struct report *report, uint32_t *order, uint32_t limit);
/* It was there when the event was, not only before. */
bool report_has_guest(const struct report *report, uint32_t guest);
/* All of these. */
uint32_t report_guest_count(const struct report *report);

/* "host", "KVM guests' budget", "NUMA node 1". */
const char *report_pool_words(const struct event *event, char *buffer, size_t size);
/* Whether anything of the event was in dry run, and whether all was. */
bool event_is_dry(const struct event *event);
bool event_is_all_dry(const struct event *event);

#endif
