/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The rules: what the operator wants, as plain data the policy reads. Host-wide rules come from the
 * [guard] section; the effective rules of each VM (class, overrides, metadata, in this order) stand
 * at its slot. The guard resolves them when a VM appears and when the configuration changes; the
 * policy never matches a name.
 */
#ifndef PLIMSOLL_RULES_H
#define PLIMSOLL_RULES_H

#include <stddef.h>
#include <stdint.h>

#include <plimsoll/snapshot.h>
#include <plimsoll/units.h>

#define CLASS_NAME_MAX 32

enum mode {
    MODE_DRY_RUN, /* decide and report, touch nothing; how it is installed */
    MODE_ENFORCE,
    MODE_COUNT,
};

enum band {
    BAND_CALM,
    BAND_TIGHT,
    BAND_SCARCE,
    BAND_CRITICAL,
    BAND_COUNT,
};

/* In order of harm. */
enum rung {
    RUNG_BALLOON,
    RUNG_RESIZE,
    RUNG_RECLAIM,
    RUNG_BRAKE,
    RUNG_PAUSE,
    RUNG_SAVE,
    RUNG_SHUTDOWN,
    RUNG_KILL,
    RUNG_COUNT,
};
#define RUNG_BIT(rung) (UINT32_C(1) << (rung))
#define RUNG_ALL (RUNG_BIT(RUNG_COUNT) - 1)
/* What nobody asked for by name is not done: who is saved or shut down stays down until somebody
 * starts it; a vCPU that is throttled may hold a lock that QEMU or the host waits for; and a resize
 * takes whole blocks, of which the guest has to move what is in use. */
#define RUNGS_DEFAULT \
    (RUNG_BIT(RUNG_BALLOON) | RUNG_BIT(RUNG_RECLAIM) | RUNG_BIT(RUNG_PAUSE) | RUNG_BIT(RUNG_KILL))

enum sacrifice {
    SACRIFICE_NORMAL,
    SACRIFICE_LAST,  /* paused or killed only when nothing else covers the deficit */
    SACRIFICE_NEVER, /* not braked, paused, saved, shut down or killed at all */
    SACRIFICE_COUNT,
};

enum on_exit_mode {
    ON_EXIT_KEEP,
    ON_EXIT_RESTORE,
    ON_EXIT_COUNT,
};

/* What is done about RLIMIT_MEMLOCK. */
enum memlock_mode {
    MEMLOCK_OFF,
    MEMLOCK_REPORT,  /* alerts alone */
    MEMLOCK_ENFORCE, /* limits above the safe cap are lowered to it, where that can harm nobody */
    MEMLOCK_MODE_COUNT,
};

/* What becomes of a start whose memory does not fit with what is promised already. */
enum admission_mode {
    ADMISSION_OFF,     /* every start is admitted, and nothing is kept for it */
    ADMISSION_WARN,    /* it is told of */
    ADMISSION_ENFORCE, /* it is refused; acts only with the host's `mode` */
    ADMISSION_MODE_COUNT,
};

/* What a guest is promised whose memory the guard can take back; all others are promised all. */
enum commitment {
    COMMITMENT_AUTO, /* of a class: as [admission] says; there it is never this */
    COMMITMENT_MINIMUM,
    COMMITMENT_MAXIMUM,
    COMMITMENT_COUNT,
};

/* A size given as bytes, as a share, or left to the guard. */
enum amount_kind {
    AMOUNT_AUTO,
    AMOUNT_BYTES,
    AMOUNT_SHARE, /* value in 1/10000 of the whole it is a share of */
};
#define AMOUNT_SHARE_WHOLE UINT64_C(10000)

struct amount {
    enum amount_kind kind;
    uint64_t value; /* bytes or 1/10000; 0 with AMOUNT_AUTO */
};

/* AMOUNT as bytes of WHOLE; FALLBACK where it is AUTO. */
static inline uint64_t amount_bytes(struct amount amount, uint64_t whole, uint64_t fallback)
{
    switch (amount.kind) {
    case AMOUNT_AUTO:
        return fallback;
    case AMOUNT_BYTES:
        return amount.value;
    case AMOUNT_SHARE:
        return scale_u64(whole, amount.value, AMOUNT_SHARE_WHOLE);
    }
    return fallback;
}

/* Where a band begins: at this much headroom or less, or when the time to exhaustion is this or
 * less; whichever is worse holds. */
struct threshold {
    struct amount headroom; /* share: of total - floor, or of the budget; AUTO: policy's default */
    uint64_t time;          /* UNKNOWN: policy's default; 0: time does not count */
};

struct host_rules {
    enum mode mode;
    bool held;           /* it is dry run for the time of a hold alone */
    uint64_t held_until; /* by the snapshot's time there is a hold; 0: there is none */
    enum on_exit_mode on_exit;
    struct amount floor;  /* share: of the host's total */
    struct amount budget; /* AUTO: no budget but the host itself; share: of the host's total */
    struct threshold bands[BAND_COUNT]; /* [BAND_CALM] is not used */
    uint32_t max_destructive;           /* so many guests killed, shut down or saved … */
    uint64_t max_destructive_window;    /* … in this many ns; beyond it alerts only */
    uint64_t kills_from;       /* nobody is killed before the snapshot's time is this; 0: at once */
    enum memlock_mode memlock; /* acts only with `mode` and the class's, too */
    struct amount pinned_limit; /* of host and of each node: beyond it an alert; a share, or AUTO */
    enum admission_mode admission;
    enum commitment commitment;
};

/* What holds for one VM. */
struct vm_rules {
    char class_name[CLASS_NAME_MAX];
    enum mode mode;        /* of the class; acts only if the host's mode is enforce, too */
    uint32_t priority;     /* 1..1000, higher is more valuable */
    uint32_t shares;       /* of memory above the minimums; at least 1 */
    struct amount minimum; /* never ballooned below this; share and AUTO: of the VM's maximum */
    uint32_t rungs;        /* RUNG_BIT()s allowed */
    enum sacrifice sacrifice;
    uint64_t restart_cost; /* what a shutdown or kill costs, in ns of the VM's time */
    enum commitment commitment;
    struct amount memory_high, memory_max; /* of its cgroup; AUTO: none; share: of its maximum */
    uint32_t pids_max;                     /* likewise; 0: none */
    uint32_t cpu_max;                      /* likewise, in % of one processor; 0: none */
    bool oom_group;                        /* the kernel kills all of its cgroup, or nobody */
};

struct rules {
    struct host_rules host;
    uint32_t vm_capacity;  /* as the snapshot's */
    struct vm_rules vms[]; /* by slot */
};

static inline size_t rules_size(uint32_t vm_capacity)
{
    return sizeof(struct rules) + (size_t)vm_capacity * sizeof(struct vm_rules);
}

#define PRIORITY_MIN 1
#define PRIORITY_MAX 1000
#define PRIORITY_DEFAULT 100
#define SHARES_DEFAULT 1000
/* A share count beyond this says nothing that a smaller one does not, and products with bytes must
 * stay exact. */
#define SHARES_MAX 1000000
/* A minimum nobody set: half of the guest's maximum. Deeper, an ordinary guest begins to thrash in
 * itself (ESX's default reservation of 0 presumes swapping on the host, which KVM hosts often
 * lack). */
#define MINIMUM_DEFAULT_SHARE 5000
#define RESTART_COST_DEFAULT (60 * NSEC_PER_MINUTE)
#define MAX_DESTRUCTIVE_DEFAULT 3
#define MAX_DESTRUCTIVE_WINDOW_DEFAULT (10 * NSEC_PER_MINUTE)
#define MAX_VMS_DEFAULT 1024
/* 16 bits of slot leave room for the ledger's indices, and no host we know runs more. */
#define MAX_VMS_LIMIT 16384

#endif
