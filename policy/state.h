/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What libpolicy remembers between two snapshots (struct policy_state), what it needs while it
 * decides one (struct policy_scratch), and the context that its parts hand to each other (struct
 * decision). All of it plain data without pointers into itself: a memcpy is a copy.
 *
 * Times are the snapshot's; UNKNOWN stands for "never happened".
 */
#ifndef PLIMSOLL_POLICY_STATE_H
#define PLIMSOLL_POLICY_STATE_H

#include <assert.h>

#include <plimsoll/policy.h>

#include "rate.h"
#include "tuning.h"

struct vm_state {
    struct vm_identity identity; /* pid 0: slot not in use */
    struct rate growth;          /* of what the guest holds */
    uint64_t held;               /* last known; UNKNOWN before any */
    uint64_t grew_at;            /* last seen to grow; a break longer than GROWTH_STALE ends it */
    uint64_t grown_from;         /* what it held when that growth began, or has fallen to since */
    int64_t growth_peak;         /* its fastest of late (vm_growth_lately()) */
    uint64_t growth_peak_at;

    /* Balloon. */
    uint64_t asked, asked_time; /* last target we decided */
    uint64_t asked_actual;      /* `actual` then */
    uint64_t other_since; /* its balloon stands lower than ours was seen to since; UNKNOWN: no */
    uint64_t before;      /* `actual` before our first target, in dry run */
    uint64_t round_since; /* a round of inflation is under verification since */
    uint64_t round_rss, round_resident; /* figures and growth when it began */
    int64_t round_growth;
    uint64_t round_idle; /* resident and idle by its word then; 0: none, or it did not say */
    uint64_t idle_floor, idle_floor_at; /* last target that took only idle memory */
    uint64_t stuck_until;
    uint64_t stuck_cooldown;
    uint64_t drift_next, drift_backoff;     /* not asked again before; grows each time */
    uint64_t granted, grant_held, grant_at; /* bytes granted that it may not have touched yet */
    uint64_t fed_at;                        /* last given to because it starved */
    uint64_t fed_hold;                      /* … which stands for so long (FED_HOLD) */

    /* virtio-mem. */
    uint64_t resize_asked, resize_time; /* last size we decided */
    uint64_t resize_size, resize_moved; /* the least it had plugged in since, and when it fell */
    uint64_t resize_returned;           /* it was last given some back */
    bool resize_dry;                    /* decided in dry run: nobody carried it out */
    bool resize_stuck;                  /* it has stopped above what is requested of it */
    bool resize_yielded;                /* somebody else has requested another size over ours */

    /* Pause. */
    uint64_t pause_asked;
    int64_t growth_before; /* growth when paused; negative: not known */
    int64_t settling;      /* what rates still show of a pause just decided */
    uint64_t resume_after, resume_backoff, resumed_at;
    uint64_t bridge_at; /* a freeze was thawed so that a `stop` can take its place */

    /* Brake. */
    uint64_t brake_asked, release_asked;
    uint64_t brake_again; /* not braked again before */
    int64_t brake_growth; /* growth when it was braked */

    /* Reclaim. */
    uint64_t reclaim_rss;   /* before a piece; then after it, while it is watched; UNKNOWN */
    uint64_t reclaim_since; /* of the piece, or of the watch; UNKNOWN: neither ever was */
    uint64_t reclaim_next, reclaim_backoff; /* left alone until then */
    uint64_t reclaim_piece;                 /* so much is tried next while it runs */

    uint64_t save_after, shutdown_after; /* one has failed: not tried again before */
    int32_t oom_asked;                   /* the score a dry run would have set */

    /* Locked and pinned memory. */
    uint64_t memlock_limit, memlock_since; /* hard limit last seen, and since when it is that */
    uint64_t memlock_asked;                /* cap that was decided; it is decided once */
    uint64_t memlock_told_limit, memlock_told_formula, memlock_told_at;
    uint64_t memlock_use;          /* the most that was ever seen: a reboot unpins for a moment */
    uint64_t memlock_undefined_at; /* when that was told */
    uint64_t pinned_base, pinned_since, pinned_told_at;
    enum reason memlock_told; /* REASON_NONE: nothing was wrong at the last look */
    bool memlock_dry;         /* `memlock_asked` was decided in dry run */
    bool memlock_yielded;     /* somebody else has set another limit over ours */
    bool memlock_undefined;   /* told of, and still nobody says what it may come to lock */

    /* Limits of its cgroup, VM_LIMIT_BIT()s. */
    uint64_t contain_told_at;
    uint8_t contain_told;    /* refused, and told of */
    uint8_t contain_dry;     /* decided in dry run */
    uint8_t contain_yielded; /* somebody else has set another over ours */
    bool contain_shortage;   /* memory.high in force is for a shortage, not by class */

    uint16_t marks; /* enum vm_mark */
};
/* P9 of the limits: 4 KiB a VM for everything, of which this is the policy's lasting part. */
static_assert(sizeof(struct vm_state) <= 592, "state of one VM has outgrown its budget");

enum vm_mark {
    MARK_ASKED_DRY = 1 << 0,    /* `asked` was decided in dry run: nobody carried it out */
    MARK_SETTLED = 1 << 1,      /* `actual` has been at the target since it was asked */
    MARK_PAUSED_DRY = 1 << 2,   /* would have been paused: counts as pending, see pause.c */
    MARK_KILLED_DRY = 1 << 3,   /* would have been ended: counts as pending, see kill.c */
    MARK_OOM_ASKED = 1 << 4,    /* `oom_asked` is valid */
    MARK_RESUMED_DRY = 1 << 5,  /* a resume was reported in dry run */
    MARK_BRIDGE_STOP = 1 << 6,  /* the `stop` that ends a bridge was asked at bridge_at */
    MARK_FROZEN_OVER = 1 << 7,  /* a freeze over a hanging `stop` was asked at pause_asked */
    MARK_REFUSED = 1 << 8,      /* stuck while it had idle memory by its own word */
    MARK_BUSY = 1 << 9,         /* was busy when its balloon last rested */
    MARK_STOP_SENT = 1 << 11,   /* a `stop` of ours was on its way at the last look */
    MARK_STOP_FAILED = 1 << 12, /* … and was refused, or not even begun */
    MARK_ARRIVING = 1 << 14,    /* came in by a migration when scores were last looked at */
    MARK_BRAKED_DRY =
        1 << 13,            /* would be braked since brake_asked: counts as pending, see brake.c */
    MARK_PRESSED = 1 << 15, /* its balloon was inflated by shares since it was fed */
    MARK_REACHED = 1 << 10, /* `actual` has stood at the target since it was asked, not below */
};
#define MARKS_DRY \
    (MARK_ASKED_DRY | MARK_PAUSED_DRY | MARK_KILLED_DRY | MARK_OOM_ASKED | MARK_RESUMED_DRY)

struct pool_state {
    struct rate fill;
    uint64_t memory, swap_free; /* last figures the fill rate was measured from */
    uint64_t better_since;      /* the band's conditions have been off since */
    enum band band;
    uint32_t node;      /* kernel's number of the node these figures are of */
    bool pinned_over;   /* more of it is pinned than the rules allow, and that was told … */
    uint64_t pinned_at; /* … then */
};

/* Whoever is being killed, and whose freed bytes have not shown yet: nobody else is until then. */
struct kill_pending {
    uint32_t count; /* 0: nobody */
    struct vm_identity victims[KILLS_AT_ONCE];
    uint64_t asked, predicted;  /* of the slowest */
    uint64_t relief, available; /* bytes predicted of all; available of the pool when decided */
    uint32_t pool;              /* index into pools[] */
    bool gone;                  /* all had vanished in the snapshot before this one */
};

/* A save or shutdown under way; there is one at a time, and no kill beside it while it can be
 * waited for. */
struct end_pending {
    struct vm_identity identity; /* pid 0: none */
    enum action_kind kind;
    uint64_t deadline;          /* time by which it has failed */
    uint64_t relief, available; /* as of a kill that is pending */
    uint32_t pool;
};

/* The piece on its way to swap; there is one at a time. */
struct reclaim_pending {
    struct vm_identity identity; /* pid 0: none */
    uint64_t asked, bytes;
};

/* So many destructive actions are remembered; max-destructive beyond it acts as if it were this. */
#define DESTRUCTION_MAX 64

/* A guest that was to be ended, by however many rungs: it is lost once. */
struct destruction {
    uint64_t time;               /* of the last of them */
    struct vm_identity identity; /* uuid all zero: it may come back, and be ended again */
};

/* What is used outside the guests, by kind, and how fast each grows. */
struct culprit_watch {
    uint64_t time;                      /* of the last look; UNKNOWN: none */
    uint64_t guests;                    /* stands for the set of guests that were subtracted then */
    uint64_t bytes[CULPRIT_KIND_COUNT]; /* UNKNOWN for a kind that could not be told */
    struct rate growth[CULPRIT_KIND_COUNT];
    uint64_t seen; /* when a leak was last seen, in scarce or critical; UNKNOWN: never */
    struct culprit last;
};

/* The least that lately was not the guests'. */
struct leak_low {
    uint64_t since;  /* UNKNOWN: not used */
    int64_t outside; /* bytes */
    uint64_t used;   /* of the host, bytes, when it was last about that */
};

/* Of the host (leak.c). */
struct leak_state {
    uint64_t at;            /* what fills was last seen not to be the guests; UNKNOWN: never */
    int64_t rate;           /* how fast, then */
    uint64_t since;         /* it has been seen without a break since; UNKNOWN: it is not */
    uint64_t killed_at;     /* somebody was killed for it; UNKNOWN: never */
    uint64_t incoming_at;   /* … who was coming in, and lost nothing */
    struct leak_low origin; /* where it rose from; void unless it is remembered */
    uint64_t seen_at;       /* when `seen` was used; UNKNOWN: no look yet */
    uint64_t seen;
    uint64_t seen_held; /* what the guests had been seen to hold then */
    int64_t outside;    /* what was not the guests', when all of them had been looked at again */
    uint64_t used;
    struct leak_low lows[2]; /* this half of the window, and the one before */
};

/* Of the time in which everything waits for memory (stall.c). */
struct stall_state {
    uint64_t since; /* UNKNOWN: nothing is known yet */
    uint64_t full;  /* its total then */
};

struct policy_state {
    uint32_t vm_capacity;
    uint32_t destruction_count;
    uint64_t time; /* of the last snapshot; UNKNOWN: none yet */
    uint64_t wake; /* when the last plan wanted to see the host again; UNKNOWN: there was none */
    uint64_t late; /* by how much later that was of late, ns */
    struct pool_state pools[POOLS_MAX];
    struct kill_pending kill;
    struct end_pending end;
    struct reclaim_pending reclaim;
    bool reclaim_dry; /* a dry run's piece counts as pending until nothing is lacking */
    struct destruction destructions[DESTRUCTION_MAX];
    uint64_t alerted[REASON_COUNT]; /* when each host-wide alert was last given */
    uint64_t resumed_at;            /* the last resume of any guest */
    uint64_t oom_scored_at;
    struct leak_state leak;
    struct culprit_watch culprit;
    struct stall_state stall;
    uint64_t memlock_at;   /* limits were last looked at */
    uint32_t memlock_next; /* position to begin the next look with */
    uint64_t contain_at;   /* limits of cgroups were last looked at */
    uint32_t contain_next; /* position to begin the next look with */
    bool contain_more;     /* there was more to do than one look may */
    bool oom_critical;     /* the last look was in critical */
    uint64_t inflated_at;  /* targets were last worked out */
    enum band inflated_band;
    struct vm_state vms[];
};

/* One VM while one snapshot is decided; by position in the snapshot, not by slot. */
struct vm_scratch {
    uint64_t held;       /* now, or last known; 0 when never known */
    uint64_t minimum;    /* UNKNOWN while its maximum is */
    uint64_t resident;   /* guest memory that is resident: the most a balloon can return */
    uint64_t current;    /* balloon target in force, else what it has */
    uint64_t goal;       /* target being worked out */
    uint64_t idle_floor; /* a target that takes only idle memory; UNKNOWN: cannot be told */
    uint32_t traits;     /* enum vm_trait */
    uint32_t order;      /* a permutation of positions for order_sort(), not of this VM */
    uint32_t pool;       /* what made `goal` fall: index into pools[] */
};
static_assert(sizeof(struct vm_scratch) <= 64, "scratch of one VM has outgrown its budget");

enum vm_trait {
    TRAIT_USABLE = 1 << 0,     /* its slot has rules and state */
    TRAIT_ENFORCED = 1 << 1,   /* host and class act for real */
    TRAIT_INFLATABLE = 1 << 2, /* a balloon may be asked, and returns memory */
    TRAIT_STUCK = 1 << 3,      /* asked lately, and returned nothing */
    TRAIT_PAUSABLE = 1 << 4,
    TRAIT_KILLABLE = 1 << 5,
    TRAIT_PAUSED = 1 << 6,     /* by a measure of ours */
    TRAIT_BY_SHARE = 1 << 7,   /* `goal` goes below what is idle */
    TRAIT_DEFLATABLE = 1 << 8, /* has a balloon of ours that can be given back now */
    TRAIT_CANDIDATE = 1 << 9,  /* scratch bit of whoever is choosing */
    TRAIT_IN_ACTION = 1 << 10, /* has been paused, thawed, resumed or killed in this plan */
    TRAIT_STOPPING = 1 << 11,  /* pausable, but a `stop` of ours is on its way already */
    TRAIT_STARVED = 1 << 13,   /* by its own fresh word it lacks what a balloon of ours holds */
    TRAIT_BUSY = 1 << 14,      /* what it does not call idle is in use, by RSS too */
    TRAIT_REFUSED = 1 << 15,   /* stuck, though it had something to give */
    TRAIT_BRAKABLE = 1 << 17,  /* its vCPUs can and may be throttled, and are not */
    TRAIT_FOR_START = 1 << 16, /* `goal` makes room for a guest that starts */
    TRAIT_UNGREETED = 1 << 12, /* whether it is in post-copy will be known in seconds */
};

struct policy_scratch {
    uint32_t vm_capacity;
    struct vm_scratch vms[]; /* a struct cover of the same capacity stands behind them */
};
struct cover; /* cover.h */

/* What the parts of one decision share. */
struct decision {
    const struct snapshot *snapshot;
    const struct rules *rules;
    struct policy_state *state;
    struct vm_scratch *vms; /* by position in the snapshot */
    struct cover *cover;    /* for all of them */
    uint32_t vm_count;
    struct plan *plan;
    uint64_t now;
    int64_t guests_fast, guests_slow; /* growth of all guests by both estimators */
    int64_t budget_fast, budget_slow; /* the same without what our balloons bring back */
    uint64_t budget_held;             /* of all guests, with last known values */
    uint64_t room;           /* memory that calm does not need and nobody has been given yet */
    uint64_t starved_room;   /* the same above scarce, for those that starve */
    uint64_t resume_room;    /* the same above critical, for a resume */
    uint64_t last_room;      /* the same above the floor, for who cannot take all of it */
    uint32_t all_nodes;      /* bit i: host.nodes[i], here and below */
    uint32_t bound_nodes;    /* some guest is bound to it (node.c) */
    uint32_t claimed_nodes;  /* … or lies there, and nobody knows whether it is */
    uint32_t growing_nodes;  /* some guest is bound to it and grows */
    uint32_t short_nodes;    /* at the edge: critical, if anybody is bound to it */
    uint32_t scarce_nodes;   /* in scarce, or worse */
    uint32_t confined_nodes; /* some guest grows that is bound to this and other short ones */
    int64_t node_growth[NODES_MAX];     /* of the guests bound to it */
    int64_t confined_growth[NODES_MAX]; /* … who have no other node left */
    bool ending;                        /* a save or shutdown is waited for: nobody is killed */
    bool paused;                        /* this plan brakes, pauses or freezes somebody for real */
    bool bridged;                       /* this plan thaws somebody for a `stop` */
};

static inline const struct vm_snapshot *decision_vm(const struct decision *d, uint32_t position)
{
    return &d->snapshot->vms[position];
}

static inline const struct vm_rules *decision_rules(const struct decision *d, uint32_t position)
{
    return &d->rules->vms[d->snapshot->vms[position].slot];
}

static inline struct vm_state *decision_state(const struct decision *d, uint32_t position)
{
    return &d->state->vms[d->snapshot->vms[position].slot];
}

/* Time since EVENT, NEVER if it has not happened. */
static inline uint64_t since(uint64_t now, uint64_t event)
{
    return known(event) ? sub_or_zero(now, event) : NEVER;
}

/* Behind the guests of the scratch. */
struct cover *scratch_cover(struct policy_scratch *scratch);

void pool_state_reset(struct pool_state *pool);
void vm_state_reset(struct vm_state *vm, const struct vm_identity *identity);

/* Remembers a destructive action for the circuit breaker, in the place of the oldest if need be;
 * the uuid of IDENTITY as above. */
void state_remember_destruction(
    struct policy_state *state, uint64_t time, const struct vm_identity *identity);

/* It was remembered of this very process. */
static inline bool destruction_is_of(
    const struct destruction *destruction, const struct vm_identity *identity)
{
    return destruction->identity.pid == identity->pid &&
           destruction->identity.start_time == identity->start_time;
}

#endif
