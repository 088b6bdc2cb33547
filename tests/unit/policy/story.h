/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A small world to tell stories in: guests that grow, balloons that move at the speed balloons
 * move, a host whose memory is the sum. Each tick shows the world to policy_decide() and does to
 * the world what the plan says. story_run() looks at fixed steps and sees all; story_live() looks
 * when the plan asks for it and sees guests as seldom as the guard does.
 */
#ifndef PLIMSOLL_TESTS_STORY_H
#define PLIMSOLL_TESTS_STORY_H

#include <plimsoll/policy.h>

/* Every guest that can be in a story. */
#define STORY_GUESTS 16

struct story_guest {
    bool alive;
    bool pinned;                         /* `actual` follows, RSS does not */
    bool honest;                         /* its statistics tell what is so, whatever `free` says */
    bool refuses_stop;                   /* its `stop` comes to nothing */
    bool refuses_end;                    /* libvirt refuses to save or shut it down */
    bool deaf;                           /* it does not end, whatever it is asked */
    bool orderly;                        /* the kill that was seen in a plan */
    bool refuses_brake;                  /* its quota stays what it is */
    bool refuses_cap;                    /* its limit on locked memory stays what it is */
    uint64_t touched;                    /* guest memory that is resident */
    uint64_t overhead;                   /* what its QEMU holds beside it */
    uint64_t wants;                      /* memory it would touch if it were let */
    uint64_t goal;                       /* `wants` grows no further */
    int64_t growth;                      /* of `wants`, bytes per second */
    uint64_t grows_after;                /* time on the snapshot's clock at which it begins to */
    uint64_t balloon_speed;              /* bytes per second; 0: the guest refuses */
    uint64_t free;                       /* what its statistics claim; UNKNOWN: it reports none */
    uint64_t starved;                    /* time in which its balloon kept it from what it wants */
    uint64_t paused;                     /* time in which it was stopped */
    uint64_t paused_longest, paused_now; /* the same, at a stretch */
    uint64_t finished;                   /* when it had all it wanted; 0: not yet */
    uint64_t stop_done, freeze_done, resume_done, kill_done; /* acts on their way take hold */
    uint64_t next_look, last_statistics;
    uint32_t home, bound; /* node it fills first; bits of those it is bound to, 0: none */
    uint64_t on_node[NODES_MAX];
    uint64_t swapped; /* of touched and overhead together */
    uint64_t hot;     /* of touched, what it uses over and over while it runs */
    uint64_t memlock_before;
    unsigned caps, lifts;      /* seen in plans, in dry run too */
    bool refuses_limits;       /* none of its cgroup's can be set */
    unsigned limits, unlimits; /* of its cgroup, set and given back, in dry run too */
    unsigned balloons, grants, pauses, freezes, thaws, resumes, kills; /* seen in plans */
    unsigned saves, shutdowns;                                         /* that were acted on */
    uint64_t end_time;                                                 /* what either takes of it */
    uint64_t end_done;
    unsigned reclaims;                           /* likewise, in dry run too */
    unsigned brakes, releases;                   /* likewise */
    uint64_t braked, braked_longest, braked_now; /* time under a brake, in all and at a stretch */
    unsigned yields;                             /* of its balloon to another program */
    uint64_t block_kept; /* of its virtio-mem, what its kernel cannot unplug */
    unsigned resizes, resize_returns, resize_yields; /* seen in plans, in dry run too */
    unsigned turns;                                  /* changes of the balloon's direction */
    int direction;
};

/* What was so when an alert was given. */
struct story_alert {
    enum band band;
    struct culprit culprit;
};

/* What is being written to memory.reclaim; slot is valid while `left` is not 0. */
struct story_piece {
    uint32_t slot;
    uint64_t left;
};

struct story {
    struct snapshot *snapshot;
    struct rules *rules;
    struct policy_state *state;
    struct policy_scratch *scratch;
    struct plan *plan;
    uint64_t other;             /* used by everything but the guests */
    int64_t other_growth;       /* bytes per second */
    enum culprit_kind other_is; /* as what meminfo shows it; CULPRIT_UNKNOWN: as nothing */
    bool kills_take_hold;       /* false: victims stay, as in a storage stall */
    bool carries_on;            /* what is given back in dry run is done, as the guard does it */
    /* How long an act takes to take hold; 0: it does at once. */
    uint64_t stop_latency, freeze_latency, resume_latency, kill_latency;
    uint64_t swap_speed;                /* of the device, bytes per second */
    uint64_t swap_written, swap_second; /* of which the guard learns, second by second */
    uint64_t overrun;                   /* the most that found no place in memory nor swap */
    struct story_piece piece;
    uint64_t next_look;     /* story_live() */
    uint64_t lateness;      /* of each look */
    int64_t headroom_least; /* of host and budget, at any look */
    unsigned alerts[REASON_COUNT];
    uint32_t node_count; /* 0: where memory lies is not part of the story */
    uint64_t node_other[NODES_MAX], node_least[NODES_MAX]; /* not the guests'; least available */
    uint64_t node_overrun; /* bytes that bound guests took where nothing was left */
    struct story_alert first_alert[REASON_COUNT];
    struct story_guest guests[STORY_GUESTS];
};

/* A host of TOTAL bytes, everything enforced, with OTHER bytes in use. */
struct story *story_new(uint64_t total, uint64_t other);
struct story *story_free(struct story *story);

/* Adds an elastic guest that runs and uses WANTS of its MAXIMUM; returns its number. */
unsigned story_guest(struct story *story, uint64_t maximum, uint64_t wants);
struct vm_snapshot *story_vm(struct story *story, unsigned guest);
struct vm_rules *story_rules(struct story *story, unsigned guest);
/* Makes the guest a domain of libvirt's that can be saved and shut down in TIME. */
void story_endable(struct story *story, unsigned guest, uint64_t time);
/* The physics of ends, for story.c; true: it has been saved, or has shut down. */
void story_end(
    struct story_guest *guest, struct vm_snapshot *vm, const struct action *action, uint64_t now);
bool story_take_end(const struct story_guest *guest, struct vm_snapshot *vm, uint64_t now);

/* A cgroup of its own, and nothing limited. */
void story_show_no_limits(struct vm_snapshot *vm);
/* For story.c: a limit is written, or put back; and counted, in dry run too. */
void story_contain(struct story *story, struct vm_snapshot *vm, const struct action *action);
void story_count_limit(struct story_guest *guest, const struct action *action);

/* Gives the host SIZE bytes of swap on a device of SPEED bytes per second, of which SEEN has been
 * seen so far. */
void story_swap(struct story *story, uint64_t size, uint64_t speed, uint64_t seen);
/* The physics of it, for story.c: guests fault back what they use, the kernel writes what does not
 * fit, and then a piece that was asked for. */
void story_swap_pass(struct story *story, uint64_t elapsed);
uint64_t story_resident(const struct story_guest *guest);

/* Splits the host evenly into COUNT nodes, and `other` with it; before any guest is added. */
void story_nodes(struct story *story, uint32_t count);
/* Adds a guest at home on node HOME; BOUND are the bits of the nodes it is bound to, 0: none. */
unsigned story_guest_at(
    struct story *story, uint64_t maximum, uint64_t wants, uint32_t home, uint32_t bound);
/* Nobody's balloon may be used. */
void story_no_balloons(struct story *story);
/* The physics of it, for story.c: moves memory, and shows where VM's lies. */
void story_place(struct story *story);
void story_show_nodes(struct story *story, struct vm_snapshot *vm);

/* Lets TIME pass in steps of STEP, deciding and acting after each. */
void story_run(struct story *story, uint64_t time, uint64_t step);
/* Lets TIME pass a millisecond or two at a time, looking when the plan asked for it and sampling
 * guests by band as the guard does (daemon/guard.c). */
void story_live(struct story *story, uint64_t time);
/* Gives the guest SIZE of virtio-mem, all of it requested and plugged in, and a device to which
 * all of its memory is pinned; and makes it one that may be resized. */
void story_resizable(struct story *story, unsigned guest, uint64_t size);
/* The physics of it, for story.c: what it has plugged in follows, and is pinned; it is asked. */
void story_plug(struct story_guest *guest, struct vm_snapshot *vm, uint64_t elapsed);
void story_resize(struct story *story, struct vm_snapshot *vm, const struct action *action);

/* Acts take as long as they were seen to take: `stop` STOP_LATENCY, a freeze 10 ms, a resume 30 ms,
 * a kill 100 ms. */
void story_take_time(struct story *story, uint64_t stop_latency);
bool story_is_paused(struct story *story, unsigned guest);
/* An earlier guard has paused it. */
void story_pause(struct story *story, unsigned guest);
/* The kernel's points, in bytes (mm/oom_kill.c, oom_badness()). */
int64_t story_points(struct story *story, unsigned guest);
/* Like story_run() until the plan holds an action of KIND for GUEST; false: it never did within
 * LIMIT. */
bool story_until(
    struct story *story, enum action_kind kind, unsigned guest, uint64_t limit, uint64_t step);

/* Counts actions of KIND in the last plan. */
unsigned story_count(const struct story *story, enum action_kind kind);
const struct action *story_find(const struct story *story, enum action_kind kind, unsigned guest);

/* Makes the guest a domain of libvirt's with one VFIO device, to which all of its memory is mapped,
 * and without a limit on locked memory. */
#define STORY_DOMAIN_MEMORY (8 * GIB)
void story_make_domain(struct vm_snapshot *vm);
/* What becomes of its limit, for story.c. */
void story_act_memlock(
    struct story_guest *guest, struct vm_snapshot *vm, const struct action *action);
/* One such guest, and nobody else, on a calm host that enforces limits on locked memory. */
struct story *story_of_domain(void);
/* story_run() with libvirt there, which goes on confirming what it holds. */
void story_run_libvirt(struct story *story, uint64_t time);

/* Only shows the world, decides, and acts on nothing. */
void story_decide(struct story *story);

#endif
