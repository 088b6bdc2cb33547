/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What was done in an event and what was lost by it. Decisions are counted as they were made; what
 * became of guests is taken from the looks that followed, for no plan says whether it was carried
 * out. Times are lower bounds: nothing is counted across a gap.
 */
#ifndef PLIMSOLL_REPORT_LOSS_H
#define PLIMSOLL_REPORT_LOSS_H

#include "roster.h"
#include "traces.h"

/* What the guard puts on a guest against pressure, and takes off it again. */
#define MEASURES_HELD                                                                  \
    (VM_MEASURE_BALLOON | VM_MEASURE_PAUSE | VM_MEASURE_RESUMING | VM_MEASURE_KILLED | \
        VM_MEASURE_BRAKED | VM_MEASURE_ENDING | VM_MEASURE_RESIZE)
/* The vCPUs stand still. */
#define MEASURES_STILL (VM_MEASURE_FROZEN | VM_MEASURE_STOPPED)

enum fate {
    FATE_STAYED,
    FATE_KILLED,
    FATE_SAVED,
    FATE_SHUT_DOWN,
    FATE_ENDED, /* by itself, by somebody else or in a gap: no decision of the guard is there */
    FATE_COUNT,
};

struct guest_loss {
    bool seen;
    enum fate fate;
    uint32_t enforced, dry;         /* bits: 1 << enum action_kind */
    uint64_t paused, braked;        /* ns */
    uint64_t taken, returned, held; /* bytes by balloon and virtio-mem; held: at its last look */
    uint32_t in_force;              /* at its last look */
    /* of its last look */
    uint64_t time, actual, size;
    enum action_kind intent; /* the last end of it that was decided; ACTION_ALERT: none */
    uint64_t intent_time;
};

struct loss {
    uint32_t counts[MODE_COUNT][ACTION_KIND_COUNT]; /* of deeds */
    uint32_t acted_on, acted_dry;                   /* guests */
    uint32_t fates[FATE_COUNT];                     /* guests */
    uint32_t kernel_kills;                          /* processes, whoever they were */
    uint64_t paused, braked;                        /* ns, summed over guests */
    uint32_t paused_guests, braked_guests;
    uint64_t taken, returned, held;    /* bytes by balloon and virtio-mem */
    uint64_t reclaimed;                /* bytes that the kernel was asked to write to swap */
    uint32_t still_paused, still_held; /* guests, at the last look */
};

struct loss_tracker;

/* -ENOMEM. */
int loss_tracker_new(struct loss_tracker **ret_tracker);
struct loss_tracker *loss_tracker_free(struct loss_tracker *tracker);
DEFINE_CLEANUP(struct loss_tracker *, loss_tracker_free);

void loss_tracker_clear(struct loss_tracker *tracker);
/* GUESTS have been shown the same look. */
void loss_tracker_look(
    struct loss_tracker *tracker, const struct look *look, const struct roster *guests);
const struct guest_loss *loss_of_guest(const struct loss_tracker *tracker, uint32_t guest);
void loss_total(
    const struct loss_tracker *tracker, const struct roster *guests, struct loss *ret_loss);

/* ACTION is something done to a guest against pressure: no alert, no order of the kernel's victims,
 * no limit that stands at all times. */
bool action_is_deed(const struct action *action);
/* "stayed", "killed", "saved", "shut-down", "ended". */
const char *fate_name(enum fate fate);

#endif
