/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The plan: what the policy decided for one snapshot, as plain data. Actions name VMs by slot and
 * identity; each carries its reason code and the figures that justify it, so that the log, `why`
 * and the replay print the same words. Nothing in a plan says whether it was carried out: that is
 * seen in the next snapshot.
 */
#ifndef PLIMSOLL_PLAN_H
#define PLIMSOLL_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <plimsoll/rules.h>
#include <plimsoll/snapshot.h>

enum action_kind {
    ACTION_BALLOON,   /* set the balloon target to `target` bytes of guest memory */
    ACTION_RESIZE,    /* request `target` bytes of virtio-mem */
    ACTION_RECLAIM,   /* have the kernel write `target` bytes of it to swap */
    ACTION_BRAKE,     /* throttle the vCPU cgroups to BRAKE_QUOTA */
    ACTION_RELEASE,   /* undo a brake */
    ACTION_PAUSE,     /* QMP `stop` */
    ACTION_FREEZE,    /* freeze the vCPU cgroups, else SIGSTOP; needs nobody's help */
    ACTION_THAW,      /* undo a freeze alone, so that a `stop` can take its place (see BRIDGE) */
    ACTION_RESUME,    /* undo every part of a pause of ours */
    ACTION_SAVE,      /* libvirt's managed save: its memory goes to a file, its process ends */
    ACTION_SHUTDOWN,  /* the guest is asked by ACPI to shut down */
    ACTION_KILL,      /* SIGKILL by pidfd */
    ACTION_OOM_SCORE, /* set oom_score_adj to `oom_score_adj` */
    ACTION_MEMLOCK,   /* lower RLIMIT_MEMLOCK to `target`; UNKNOWN: put back what it was */
    ACTION_CONTAIN,   /* set `limit` of its cgroup to `target`; UNKNOWN: put back what it was */
    ACTION_ALERT,     /* nothing is done; a person must know */
    ACTION_KIND_COUNT,
};

/* Why an action was decided. The words are reason_name() and reason_text(). */
enum reason {
    REASON_NONE,
    REASON_BALLOON_IDLE,       /* tight: takes memory the guest does not use */
    REASON_BALLOON_SHARE,      /* scarce: down towards the minimum, by shares */
    REASON_BALLOON_START,      /* down towards the minimum: room for a guest that starts */
    REASON_BALLOON_RETURN,     /* room again: given back */
    REASON_BALLOON_OTHER,      /* another program has set it lower: ours no more, and not touched */
    REASON_BALLOON_DRIFT,      /* `actual` left the target by itself: asked again */
    REASON_RESIZE_IDLE,        /* tight: takes virtio-mem of which the guest uses nothing */
    REASON_RESIZE_SHARE,       /* scarce: down towards the minimum, the least valuable first */
    REASON_RESIZE_RETURN,      /* room again: given back */
    REASON_RESIZE_OTHER,       /* somebody else has requested another size: ours no more */
    REASON_RECLAIM_PAUSED,     /* scarce, or somebody waits for room: it does not run */
    REASON_RECLAIM_IDLE,       /* the same: it runs, and has not grown for a while */
    REASON_BRAKE_GROWTH,       /* from scarce on: it outruns balloons of others under way */
    REASON_RELEASE_ROOM,       /* scarce is over */
    REASON_RELEASE_TIME,       /* its time is up, whatever has come of it */
    REASON_RELEASE_VOID,       /* the guest does not run any more, or may not be braked any more */
    REASON_PAUSE_GROWTH,       /* critical: its growth is what exhausts the memory */
    REASON_PAUSE_FOR_VALUABLE, /* scarce: what is left is for more valuable guests that grow */
    REASON_PAUSE_FOR_EQUAL,    /* from scarce on: what is left will not do for all that grow */
    REASON_FREEZE_SPRINT,      /* no time for `stop` */
    REASON_FREEZE_SILENT,      /* its monitor does not answer */
    REASON_FREEZE_NO_MONITOR,  /* it has none */
    REASON_BRIDGE_END,         /* a freeze is a bridge of seconds: make it a proper pause */
    REASON_RESUME_ROOM,        /* there is room for it again */
    REASON_SAVE_FLOOR,         /* nothing milder keeps the floor, and there is time for a save */
    REASON_SAVE_PAUSED,        /* the same, and it stands paused already */
    REASON_SHUTDOWN_FLOOR,     /* … and there is time for it to shut down */
    REASON_KILL_FLOOR,         /* nothing milder keeps the floor */
    REASON_KILL_INCOMING,      /* … and it comes by a migration: its source goes on */
    REASON_OOM_ORDER,          /* the kernel shall take the same victim first */
    REASON_LEAK_OUTSIDE,       /* alert: what fills the host is not the guests */
    REASON_STALLED,            /* alert: everything waits for memory that looks available */
    REASON_BREAKER,            /* alert: too many destructive actions in the window */
    REASON_NO_VICTIM,          /* alert: rules and facts leave nobody who could give */
    REASON_RESTARTED_VICTIM,   /* alert: something restarts a guest that was killed */
    REASON_STUCK,              /* alert: asked by balloon, the host sees nothing come back */
    REASON_RESIZE_STUCK,       /* alert: its virtio-mem stands above what is requested of it */
    REASON_FREEZE_STANDS,      /* alert: a freeze that no `stop` could take the place of */
    REASON_PAUSE_STANDS,       /* alert: a valuable guest is paused, and nothing can be done */
    REASON_MEMLOCK_CAP,        /* the limit is above all that the guest can need */
    REASON_MEMLOCK_LIFT,       /* a cap of ours is no longer wanted, or could do harm now */
    REASON_MEMLOCK_CHANGED,    /* somebody else has set another limit over ours, and it stays */
    REASON_MEMLOCK_UNLIMITED,  /* alert: it may lock as much as it likes */
    REASON_MEMLOCK_DRIFT,      /* alert: its limit is not the one libvirt would set */
    REASON_MEMLOCK_BY_USER,    /* alert: not capped, for others' pins count against its limit */
    REASON_MEMLOCK_REFUSED,    /* alert: it should be capped, and cannot be */
    REASON_MEMLOCK_UNDEFINED,  /* alert: not capped, for nobody says what it may come to need */
    REASON_PINNED_GROWTH,      /* alert: it has locked or pinned more since */
    REASON_PINNED_LIMIT,       /* alert: too much of a pool is locked or pinned by guests */
    REASON_CONTAIN_CLASS,      /* its class limits what its cgroup may take */
    REASON_CONTAIN_TAKEN_BACK, /* scarce: it takes back what it had given by balloon */
    REASON_CONTAIN_OUTGROWN,   /* scarce: QEMU has outgrown its guest's maximum and its own part */
    REASON_CONTAIN_LIFT,       /* a limit of ours is no longer wanted, or could do harm now */
    REASON_CONTAIN_CHANGED,    /* somebody else has set another limit over ours, and it stays */
    REASON_CONTAIN_REFUSED,    /* alert: a limit should be set, and must not or cannot be */
    REASON_COUNT,
};

/* What is short: the host, the budget of all guests, or one NUMA node. */
enum pool_kind {
    POOL_HOST,
    POOL_BUDGET,
    POOL_NODE,
    POOL_KIND_COUNT,
};

/* State of one pool of memory. */
struct pool_view {
    enum pool_kind kind;
    uint32_t node;  /* index into host.nodes with POOL_NODE */
    uint64_t total; /* UNKNOWN: this pool could not be measured, or is not set */
    uint64_t available, floor;
    uint64_t pinned;   /* by guests, so that no balloon returns it; of a node at least so much */
    uint64_t reserved; /* for guests that start, of what is available; counts in no band */
    int64_t headroom;  /* available - floor, net; negative below the floor */
    int64_t fill_rate; /* bytes/s by which headroom shrinks; negative: it grows */
    uint64_t time_to_exhaustion; /* ns; 0 at or below the floor; NEVER when not filling */
    enum band band;
    bool sprint; /* less time left than a `stop` may need */
};

/* POOL_HOST, POOL_BUDGET, then the nodes. */
#define POOLS_MAX (2 + NODES_MAX)

/* What, outside the guests, fills the host. */
enum culprit_kind {
    CULPRIT_NONE,    /* nothing that is told of */
    CULPRIT_UNKNOWN, /* something that meminfo does not show as any of the following */
    CULPRIT_PROCESS, /* anonymous memory, or shared memory of no mounted tmpfs */
    CULPRIT_TMPFS,
    CULPRIT_SLAB, /* the unreclaimable part */
    CULPRIT_PAGE_TABLES,
    CULPRIT_KIND_COUNT,
};

struct culprit {
    enum culprit_kind kind;
    bool mounted;   /* CULPRIT_TMPFS: host.largest_tmpfs is most of it */
    int32_t pid;    /* CULPRIT_PROCESS: that which was most of it when it was seen; 0: none was */
    uint64_t bytes; /* all of this kind outside the guests; UNKNOWN with CULPRIT_UNKNOWN */
    int64_t growth; /* bytes per second */
};

struct assessment {
    enum band band; /* worst of all pools */
    uint32_t worst; /* index into pools[] of the pool that made it so */
    bool sprint;    /* one of the pools is in a sprint */
    uint32_t pool_count;
    struct pool_view pools[POOLS_MAX];
    uint64_t guests_held;  /* bytes held by all guests whose RSS is known */
    int64_t guests_growth; /* bytes/s, all guests together */
    struct culprit culprit;
};

/* Why it is not the runner-up that is ended. */
enum rival_reason {
    RIVAL_NONE,      /* there is nobody else at all */
    RIVAL_UNSOUGHT,  /* there was no time to look for one */
    RIVAL_TOGETHER,  /* it goes as well: one alone would not be enough in time */
    RIVAL_NEXT,      /* it is to follow, if that is still needed then */
    RIVAL_DEARER,    /* the least loss without the one that is ended is higher: by so much */
    RIVAL_EQUAL,     /* … is the same, of more guests or more memory: so many bytes */
    RIVAL_SHORT,     /* without the one that is ended the others lack so many bytes */
    RIVAL_BREAKER,   /* … so many of them would have to go, more than max-destructive allows */
    RIVAL_LAST,      /* it is sacrificed last, and others give enough */
    RIVAL_SLOW,      /* more would fill while it dies than it frees */
    RIVAL_PROTECTED, /* its rules spare it, and nobody else is left */
    RIVAL_REASON_COUNT,
};

struct rival {
    uint32_t slot; /* ACTION_SLOT_HOST: there is none */
    enum rival_reason reason;
    uint64_t figure; /* as the reason says; else 0 */
};

/* What a decision rests on. Of the end of a guest: the set of guests with the least loss that
 * returns the deficit, and who is spared. Of a pause: who would be next. Of any: what is left. */
struct choice {
    uint32_t guests; /* of the set, each ended if it is still needed then; 0: no set gives enough */
    uint64_t loss;   /* of all of them, each as of a kill */
    uint64_t least;  /* no set loses less than this */
    uint64_t left;   /* ns until the floor is reached, by what fills now */
    struct rival rival;
};

struct action {
    enum action_kind kind;
    enum reason reason;
    uint32_t slot; /* UINT32_MAX: an alert about the host */
    struct vm_identity identity;
    enum pool_kind pool; /* what was short */
    uint32_t node;
    uint64_t target;       /* ACTION_BALLOON, _RESIZE: bytes the guest shall have, UNKNOWN: as it
                            * stands, and ours no more; _RECLAIM, _MEMLOCK, _CONTAIN */
    enum vm_limit limit;   /* ACTION_CONTAIN, and its alert */
    int32_t oom_score_adj; /* ACTION_OOM_SCORE */
    uint64_t deadline;     /* ACTION_SAVE, _SHUTDOWN: ns it is given, then the next rung may come */
    bool orderly;          /* ACTION_KILL: there is time to let QEMU end by itself first */
    enum mode mode;        /* MODE_DRY_RUN: log it, do all but the last system call */
    uint64_t relief;       /* bytes expected to return, or to be kept from being taken */
    uint64_t predicted;    /* ns until that relief should be seen */
    uint64_t loss;         /* priority × VM-minutes × 1000 */
    uint64_t deficit;      /* bytes short; of a pause for others, of what they may take */
    struct choice choice;  /* ACTION_SAVE, _SHUTDOWN, _KILL; `rival` of _PAUSE, _FREEZE; `left` */
};
#define ACTION_SLOT_HOST UINT32_MAX
/* What each vCPU of a braked guest is left: so many µs of a processor in each period of so many. */
#define BRAKE_QUOTA 5000
#define BRAKE_PERIOD 100000
/* What QEMU is given to end by itself in an orderly kill; part of its `predicted`. */
#define KILL_ORDERLY_TIME NSEC_PER_SEC

struct plan {
    uint64_t time; /* of the snapshot it was made for */
    struct assessment assessment;
    uint64_t next_wake; /* ns from `time` after which the policy wants to see the host again */
    uint32_t action_capacity;
    uint32_t action_count;
    uint32_t actions_dropped; /* did not fit; decided again next tick */
    bool hurry;               /* an orderly kill under way is waited for no longer */
    struct action actions[];
};

/* A tick may give every VM one balloon target and one score, and some of the rest: alerts of all
 * pools at once, and what memlock.c bounds by itself. */
static inline uint32_t plan_action_capacity(uint32_t vm_capacity)
{
    return 2 * vm_capacity + 128;
}

static inline size_t plan_size(uint32_t vm_capacity)
{
    return sizeof(struct plan) + (size_t)plan_action_capacity(vm_capacity) * sizeof(struct action);
}

/* Whether it takes back, or eases, what is in force of MEASURES, or brings a freeze to its proper
 * end, as those never are dry. Not a return to less than the guest has: in dry run its way up
 * begins at what was never asked for. */
bool action_gives_back(const struct action *action, const struct vm_measures *measures);

/* Stable names: what logs, JSON and configuration say. Never NULL. */
const char *band_name(enum band band);
const char *mode_name(enum mode mode);
const char *memlock_mode_name(enum memlock_mode mode);
const char *admission_mode_name(enum admission_mode mode);
const char *commitment_name(enum commitment commitment);
const char *rung_name(enum rung rung);
const char *sacrifice_name(enum sacrifice sacrifice);
const char *action_kind_name(enum action_kind kind);
const char *pool_kind_name(enum pool_kind kind);
const char *culprit_kind_name(enum culprit_kind kind);
const char *rival_reason_name(enum rival_reason reason);
const char *reason_name(enum reason reason);
/* As its key in the configuration. */
const char *vm_limit_name(enum vm_limit limit);
/* One sentence for a person, without a full stop. */
const char *reason_text(enum reason reason);
const char *vm_kind_name(enum vm_kind kind);
const char *vm_kind_reason_name(enum vm_kind_reason reason);
const char *vm_run_state_name(enum vm_run_state state);
const char *vm_monitor_name(enum vm_monitor monitor);

#endif
