/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libsimulator: a host and its guests as a model, and a policy that watches over them, in a closed
 * loop. What the policy is shown is a snapshot as the guard would take it, what it answers is a
 * plan as the guard would carry it out, so policy_decide() plays here unchanged, and so does
 * anything else that makes plans of snapshots. Time is virtual: hours pass in seconds.
 *
 * As pure as libpolicy: no file, clock, allocator or logger, and integers only in all that decides,
 * so that the same scenario comes to the same end on every machine.
 *
 * What it knows of physics is in policy/simulator/model.h. Not in it: NUMA, huge pages, limits of
 * cgroups, and what a guest does to itself when it is short (it is only counted as denied).
 */
#ifndef PLIMSOLL_SIMULATOR_H
#define PLIMSOLL_SIMULATOR_H

#include <plimsoll/policy.h>

/* ---- the scenario ---- */

struct demand_point {
    uint64_t time, bytes;
};

/* What a guest would use over the time that it runs, were it let. */
struct demand {
    const struct demand_point *points; /* in order of time, at least one */
    uint32_t count;
    bool stepwise;   /* a value lasts until the next; else they are joined by lines */
    uint64_t repeat; /* it begins anew each time so much has passed; 0: the last value lasts */
    uint64_t delay;  /* the first value lasts so long before it begins */
    uint64_t noise;  /* so much more or less at most, another amount each second */
};

/* What a guest's balloon driver does. */
enum balloon_manner {
    BALLOON_OBEYS,
    BALLOON_REFUSES,    /* it stays where it is */
    BALLOON_TAKES_BACK, /* it obeys, and takes all back a little later */
    BALLOON_ABSENT,     /* there is no such device */
    BALLOON_MANNER_COUNT,
};

/* What a guest's statistics say. */
enum report_manner {
    REPORT_HONEST,
    REPORT_NONE,  /* they never come */
    REPORT_STALE, /* they came once */
    REPORT_FULL,  /* that nothing of its memory is free */
    REPORT_IDLE,  /* that all of it is */
    REPORT_MANNER_COUNT,
};

struct scenario_guest {
    char name[VM_NAME_MAX];
    uint64_t start;                    /* it appears so long after the beginning */
    uint64_t maximum;                  /* guest RAM */
    uint64_t overhead;                 /* what its QEMU holds beside it */
    uint64_t touch_rate, balloon_rate; /* bytes per second */
    bool pinned;    /* by VFIO: all of it is resident, whatever its balloon does */
    bool reporting; /* free page reporting: what it frees goes back by itself */
    bool endable;   /* libvirt can save it and shut it down */
    enum balloon_manner balloon;
    enum report_manner report;
    struct demand demand;
};

struct scenario_host {
    uint64_t total;
    uint64_t kernel;                        /* never given back */
    uint64_t cache, cache_rate;             /* page cache: given back, and grown again, bytes/s */
    uint64_t swap, swap_rate;               /* size; bytes/s read or written */
    uint64_t process;                       /* memory of a process outside the guests */
    uint64_t process_growth, process_delay; /* bytes/s, from so long after the beginning on */
};

struct scenario {
    uint64_t duration, step; /* of virtual time; the model moves by `step` */
    uint64_t seed;
    struct scenario_host host;
    const struct scenario_guest *guests; /* a guest's slot is its index */
    uint32_t guest_count;
};

/* ---- the scores ---- */

enum guest_end {
    GUEST_NOT_ENDED,
    GUEST_KILLED,           /* by the policy */
    GUEST_KILLED_BY_KERNEL, /* out of memory */
    GUEST_SAVED,
    GUEST_SHUT_DOWN,
    GUEST_END_COUNT,
};

struct guest_score {
    uint64_t demanded, received; /* byte-seconds; it receives nothing while it does not run */
    uint64_t denied;             /* byte-seconds demanded and not received while it ran */
    uint64_t without; /* ns for which it ran, each by the part of its demand that it was denied */
    uint64_t stopped; /* ns for which it was paused or frozen */
    uint64_t moved;   /* bytes by its balloon, either way */
    uint32_t turns;   /* changes of its balloon's direction */
    enum guest_end end;
    uint64_t ended; /* since the beginning; valid with an end */
    uint64_t loss;  /* priority × VM-minutes × 1000, by the terms of struct action */
};

struct score {
    uint32_t kernel_kills;                    /* of guests, by the kernel */
    uint32_t process_kills;                   /* of the process outside, by the kernel */
    uint32_t kills, saves, shutdowns, pauses; /* by the policy; a freeze is a pause */
    uint32_t crossings;                       /* of the floor, downwards */
    uint64_t below;                           /* byte-seconds below it */
    int64_t headroom_least;                   /* bytes; negative: below the floor */
    uint64_t loss;                            /* all guests' */
    uint64_t cost;     /* loss, and priority × minutes without, likewise × 1000 */
    uint64_t denied;   /* all guests' */
    uint64_t overkill; /* bytes that ends freed beyond what was short or about to be */
    uint64_t moved;    /* all guests' */
    uint32_t turns;    /* all guests' */
    uint32_t fairness; /* Jain's index over received / demanded, in 1/1000 */
    uint64_t looks;    /* how often the policy was asked */
};
#define FAIRNESS_WHOLE 1000

/* ---- the loop ---- */

/* One who watches. */
struct watcher {
    const char *name;
    /* As policy_decide(): overwrites RET_PLAN, whose next_wake says when to be asked again. */
    void (*decide)(const struct snapshot *snapshot, const struct rules *rules, void *own,
        struct plan *ret_plan);
    void *own;
    /* It is shown every guest's figures as they are now, at each look. Else they are as old as the
     * guard lets them become in the band that the last plan says. */
    bool fresh;
};

/* Told of each plan with actions before it is carried out; may be NULL. */
typedef void (*simulator_witness)(const struct plan *plan, uint64_t since_start, void *userdata);

struct simulator;

size_t simulator_size(uint32_t guest_count);

/* Makes BUFFER (simulator_size() bytes, aligned as malloc does) the beginning of SCENARIO, which
 * stays the caller's as RULES do. RULES' capacity is guest_count; what is in dry run there stays
 * undone. */
struct simulator *simulator_init(
    void *buffer, const struct scenario *scenario, const struct rules *rules);

/* Lets one step pass; false, and nothing passes, when the scenario is over. */
bool simulator_step(struct simulator *simulator, const struct watcher *watcher,
    simulator_witness witness, void *userdata);

/* The scores so far. */
void simulator_score(const struct simulator *simulator, struct score *ret_score);
void simulator_guest_score(
    const struct simulator *simulator, uint32_t guest, struct guest_score *ret_score);

const char *guest_end_name(enum guest_end end);
const char *balloon_manner_name(enum balloon_manner manner);
const char *report_manner_name(enum report_manner manner);

#endif
