/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The snapshot: one consistent view of host and guests as plain data. It holds no pointer, no file
 * descriptor and nothing that changes under the reader; it can be copied with memcpy, written to a
 * trace and read back. Bytes and nanoseconds; UNKNOWN where nobody could measure.
 *
 * Owner: the guard, which fills one in place each tick. Everyone else reads it as const.
 */
#ifndef PLIMSOLL_SNAPSHOT_H
#define PLIMSOLL_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <plimsoll/units.h>

/* NUMA nodes watched one by one. Linux allows 1024; the largest x86 hosts in service show 32 (two
 * sockets, L3 as NUMA). Memory of nodes beyond it still counts in the host's own figures. */
#define NODES_MAX 32 /* and no more than nodes_allowed has bits */
/* Longest VM name kept, with its NUL; a longer one is cut. libvirt allows about 250 bytes, but no
 * decision depends on the name's tail: identity is never the name. */
#define VM_NAME_MAX 128
#define PROCESS_NAME_MAX 16 /* TASK_COMM_LEN, include/linux/sched.h */

/* ---- the host ---- */

struct node_snapshot {
    uint32_t id; /* kernel's node number */
    uint64_t total, free;
    uint64_t available; /* computed as si_mem_available() (mm/show_mem.c) does, for one node */
    uint64_t hugepages_total, hugepages_free; /* bytes, all sizes together */
};

/* Cumulative stall times of /proc/pressure/memory; UNKNOWN where PSI is off. */
struct psi_totals {
    uint64_t some, full;
};

/* The process outside the guests that an alert should name. pid 0: none known. */
struct process_snapshot {
    pid_t pid;
    char name[PROCESS_NAME_MAX];
    uint64_t rss;
    int64_t growth; /* bytes per second since the scan before */
};

/* Longest mount point kept, with its NUL; a longer one is cut: it is for people only. */
#define TMPFS_PATH_MAX 128

/* The mounted tmpfs that an alert should name. An empty path: none known. */
struct tmpfs_snapshot {
    char path[TMPFS_PATH_MAX]; /* as the init process sees it; any bytes */
    uint64_t used;             /* what of it is swapped included */
    int64_t growth;            /* bytes per second since the look before */
};

enum overcommit_mode {
    OVERCOMMIT_UNKNOWN,
    OVERCOMMIT_HEURISTIC, /* vm.overcommit_memory 0 */
    OVERCOMMIT_ALWAYS,    /* 1 */
    OVERCOMMIT_STRICT,    /* 2 */
};

struct host_snapshot {
    uint64_t total, free, available; /* MemTotal, MemFree, MemAvailable */
    uint64_t anonymous, cached, shmem, slab_unreclaimable, page_tables, locked;
    uint64_t commit_limit, committed; /* CommitLimit, Committed_AS */
    enum overcommit_mode overcommit;
    uint64_t swap_total, swap_free;
    uint64_t swap_rate; /* highest recent rate of writing to swap while somebody waited, bytes/s;
                         * UNKNOWN before any */
    uint64_t watermark_min, watermark_low, watermark_high; /* sums over all zones */
    uint64_t arc_size, arc_minimum;                        /* ZFS; UNKNOWN without it */
    uint64_t hugepages_total, hugepages_free;              /* bytes, all sizes together */
    uint64_t oom_kills;                                    /* vmstat oom_kill, cumulative */
    uint64_t allocation_stalls;                            /* vmstat allocstall_*, cumulative */
    uint64_t swapped_in, swapped_out;                      /* vmstat pswpin/pswpout, bytes */
    struct psi_totals memory_pressure;
    struct process_snapshot largest_process;
    struct tmpfs_snapshot largest_tmpfs;
    uint64_t fill_rate_most; /* the fastest that its memory can be filled, bytes per second, as
                              * measured; UNKNOWN: it was not */
    bool scores_raise_only;  /* no right to set an oom_score_adj below 0 (CAP_SYS_RESOURCE) */
    uint32_t node_count;     /* entries used in nodes[] */
    struct node_snapshot nodes[NODES_MAX];
};

/* ---- one VM ---- */

#define UUID_SIZE 16

/* What makes a QEMU process the same one: never its pid alone, never its name. */
struct vm_identity {
    pid_t pid;
    uint64_t start_time;     /* clock ticks since boot, /proc/PID/stat field 22 */
    uint8_t uuid[UUID_SIZE]; /* all zero: none given */
};

/* How a VM came to be known; bits, because the three ways are joined. */
enum vm_source {
    VM_SOURCE_PROC = 1 << 0,
    VM_SOURCE_QMP = 1 << 1,
    VM_SOURCE_LIBVIRT = 1 << 2,
};

/* QEMU's RunState (qapi/run-state.json), folded to what matters here. */
enum vm_run_state {
    VM_RUN_UNKNOWN,
    VM_RUN_RUNNING,
    VM_RUN_PAUSED,    /* stopped by `stop`, ours or another's */
    VM_RUN_PRELAUNCH, /* started with -S: not yet running */
    VM_RUN_MIGRATING, /* inmigrate, finish-migrate, postmigrate, save-vm, restore-vm, colo */
    VM_RUN_SUSPENDED, /* ACPI S3 */
    VM_RUN_SHUTDOWN,  /* shut down but kept by -no-shutdown */
    VM_RUN_FAILED,    /* internal-error, io-error, watchdog, guest-panicked */
    VM_RUN_STATE_COUNT,
};

/* State letter of /proc/PID/stat, folded. */
enum vm_process_state {
    VM_PROCESS_UNKNOWN,
    VM_PROCESS_ALIVE,   /* R, S, I */
    VM_PROCESS_BLOCKED, /* D: no signal but the pending kill reaches it */
    VM_PROCESS_STOPPED, /* T, t: SIGSTOP or a debugger */
    VM_PROCESS_DEAD,    /* Z, X */
    VM_PROCESS_STATE_COUNT,
};

/* The QMP connection of our own. */
enum vm_monitor {
    VM_MONITOR_NONE,       /* no socket known: signals only */
    VM_MONITOR_CONNECTING, /* not greeted yet, or reconnecting */
    VM_MONITOR_READY,
    VM_MONITOR_SILENT, /* connected, but it missed a deadline and has not answered since */
    VM_MONITOR_COUNT,
};

enum vm_migration {
    VM_MIGRATION_NONE,
    VM_MIGRATION_OUTGOING,
    VM_MIGRATION_INCOMING, /* before post-copy: its source goes on without it */
    VM_MIGRATION_POSTCOPY, /* either side: must never be paused or killed */
    VM_MIGRATION_LOADING,  /* it comes from a file, or nobody says from where: it runs nowhere */
    VM_MIGRATION_UNKNOWN,
    VM_MIGRATION_COUNT,
};

/* Yes, no, or nobody has said. */
enum tristate {
    TRISTATE_UNKNOWN,
    TRISTATE_NO,
    TRISTATE_YES,
};

struct vm_balloon {
    enum tristate device; /* a virtio-balloon device is there */
    enum tristate driver; /* a guest driver drives it: it has reported, or moved, at least once */
    enum tristate deflate_on_oom, free_page_reporting;
    uint64_t actual; /* guest RAM less balloon, QEMU's word (BalloonInfo.actual) */
};

/* Guest statistics (virtio-balloon): hints about who can give, never proof of what was given. */
struct vm_statistics {
    uint64_t updated; /* when QEMU last got them, on the snapshot's clock; UNKNOWN: never */
    uint64_t total, free, available, disk_caches;
    uint64_t swapped_in, swapped_out; /* cumulative bytes */
    uint64_t major_faults;            /* cumulative count */
};

struct vm_resizable { /* virtio-mem, all devices of the VM together */
    uint64_t size;    /* what the guest has plugged in */
    uint64_t requested, maximum;
    uint64_t block;    /* `requested` is a multiple of it; UNKNOWN: there is not just one device,
                        * or nobody has said */
    uint64_t updated;  /* when these were asked for; UNKNOWN: never */
    uint64_t asked;    /* when `requested` was last to be changed by us; UNKNOWN: never */
    uint64_t answered; /* when that came to its end; UNKNOWN: it is under way */
    int32_t result;    /* of it: 0 or a negative errno */
};
/* Nobody has said anything. */
#define VM_RESIZABLE_UNKNOWN  \
    ((struct vm_resizable){   \
        .size = UNKNOWN,      \
        .requested = UNKNOWN, \
        .maximum = UNKNOWN,   \
        .block = UNKNOWN,     \
        .updated = UNKNOWN,   \
        .asked = UNKNOWN,     \
        .answered = UNKNOWN,  \
    })

/* Whether memory comes back from a VM, and by what means (design: rigid, elastic, …). */
enum vm_kind {
    VM_KIND_UNKNOWN,
    VM_KIND_ELASTIC,
    VM_KIND_RIGID,
    VM_KIND_RESIZABLE,
    VM_KIND_SELF_DEFLATING,
    VM_KIND_COUNT,
};

enum vm_kind_reason {
    VM_KIND_REASON_NONE,
    VM_KIND_REASON_VFIO,
    VM_KIND_REASON_IOMMUFD,
    VM_KIND_REASON_VDPA,
    VM_KIND_REASON_LOCKED,
    VM_KIND_REASON_HUGETLB,
    VM_KIND_REASON_ENCRYPTED,  /* SEV, SEV-ES, SNP, TDX */
    VM_KIND_REASON_NO_DEVICE,  /* no balloon device */
    VM_KIND_REASON_NO_DRIVER,  /* device there, guest never drove it */
    VM_KIND_REASON_NO_MONITOR, /* no QMP: nothing can be asked of it */
    VM_KIND_REASON_MIGRATING,
    VM_KIND_REASON_VIRTIO_MEM,
    VM_KIND_REASON_DEFLATES_ON_OOM,
    VM_KIND_REASON_FREE_PAGE_REPORTING,
    VM_KIND_REASON_UNSEEN, /* not all facts gathered yet */
    VM_KIND_REASON_COUNT,
};

/* Memory that is wired to a device or by a lock; what classifies a VM as rigid. */
struct vm_wiring {
    uint32_t vfio_groups; /* open /dev/vfio/N and anon_inode:[vfio-device] */
    uint32_t iommufd;     /* open /dev/iommu and /dev/vfio/devices/vfioN */
    uint32_t vdpa;        /* open /dev/vhost-vdpa-N */
    enum tristate kvm;    /* anon_inode:kvm-vm is open; NO is software emulation */
    enum tristate encrypted;
    enum tristate shared; /* guest RAM is a shared mapping (memfd, file, hugetlbfs share=on) */
    /* Bit n: the kernel's node n is among those that its memory backends, all of them, are bound to
     * (host-nodes= with policy=bind). 0: not all are, or nobody knows. */
    uint64_t backend_nodes;
};

/* A limit that is none (RLIM_INFINITY), as a quantity of bytes. */
#define MEMLOCK_UNLIMITED (NEVER - 1)
#define COUNT_UNKNOWN UINT32_MAX

/* What libvirt holds of a domain that it has started: what its rule for RLIMIT_MEMLOCK reads
 * (memlock_formula()). Filled by libvirt's side alone, from the live domain. */
struct vm_definition {
    uint64_t confirmed;   /* when libvirt was last known to hold it so; UNKNOWN: nobody has said */
    uint64_t memory;      /* <memory>: every DIMM, and of virtio-mem the whole size, included */
    uint64_t hard_limit;  /* <memtune>; MEMLOCK_UNLIMITED: none is set */
    enum tristate locked; /* <memoryBacking><locked/> */
    enum tristate viommu; /* it has an <iommu> */
    /* PCI and mdev hostdevs; vDPA interfaces and disks; NVMe disks driven by QEMU itself. */
    uint32_t vfio_devices, vdpa_devices, nvme_disks; /* COUNT_UNKNOWN: nobody has said */
    enum tristate savable; /* libvirt would save it: persistent, no host device but USB */
    uint32_t version;      /* libvirt's, major * 1000000 + minor * 1000 + release; 0: unknown */
};
/* Nobody has said anything. */
#define VM_DEFINITION_UNKNOWN          \
    ((struct vm_definition){           \
        .confirmed = UNKNOWN,          \
        .memory = UNKNOWN,             \
        .hard_limit = UNKNOWN,         \
        .vfio_devices = COUNT_UNKNOWN, \
        .vdpa_devices = COUNT_UNKNOWN, \
        .nvme_disks = COUNT_UNKNOWN,   \
    })

/* What can be written to swap of it without its help, and what became of the last piece. */
struct vm_reclaim {
    enum tristate possible; /* its cgroup is its own and has a memory.reclaim */
    uint64_t asked;         /* when the last piece was handed over; UNKNOWN: none was */
    uint64_t answered;      /* when that one came to its end; UNKNOWN: it is under way */
    int32_t result;         /* of it: 0, -EAGAIN: less than was asked for, or another errno */
};

/* What a cgroup of the guest's own can be limited in. The lower the value, the tighter. */
enum vm_limit {
    VM_LIMIT_MEMORY_HIGH, /* bytes; above it the kernel reclaims, and slows who takes more */
    VM_LIMIT_MEMORY_MAX,  /* bytes; above it the kernel kills */
    VM_LIMIT_PIDS_MAX,    /* tasks, which is what threads are to it */
    VM_LIMIT_CPU_MAX,     /* ns of processor time in each period */
    VM_LIMIT_OOM_GROUP,   /* 1: when the kernel kills one process, it kills all of the group */
    VM_LIMIT_COUNT,
};
#define VM_LIMIT_BIT(limit) (UINT32_C(1) << (limit))
/* Nothing is limited. */
#define VM_LIMIT_NONE MEMLOCK_UNLIMITED

/* The limits of its own cgroup as they stand, and what became of the last one written: writing may
 * take its time. */
struct vm_limits {
    uint64_t values[VM_LIMIT_COUNT]; /* UNKNOWN: there is none of the kind that is its own alone */
    uint64_t cpu_period;             /* ns; UNKNOWN with VM_LIMIT_CPU_MAX */
    uint64_t tasks;                  /* what VM_LIMIT_PIDS_MAX counts; UNKNOWN with it */
    bool legacy;                     /* it is cgroup v1 that counts its memory */
    enum vm_limit written;           /* the last */
    uint64_t previous;               /* what that was, until it is sure to be set; UNKNOWN */
    uint64_t asked;                  /* when the last was handed over; UNKNOWN: none was */
    uint64_t answered;               /* when that was done; UNKNOWN: it is under way */
    int32_t result;                  /* of it: 0 or a negative errno */
};

/* Measures in force on one VM, from the ledger. Bits. */
enum vm_measure {
    VM_MEASURE_BALLOON = 1 << 0,
    VM_MEASURE_FROZEN_CGROUP = 1 << 1, /* vCPU cgroups frozen */
    VM_MEASURE_FROZEN_SIGNAL = 1 << 2, /* SIGSTOP sent */
    VM_MEASURE_STOP_SENT = 1 << 3,     /* `stop` is on its way, not answered yet */
    VM_MEASURE_STOPPED = 1 << 4,       /* `stop` was answered */
    VM_MEASURE_RESUMING = 1 << 5,      /* thaw or `cont` under way */
    VM_MEASURE_KILLED = 1 << 6,        /* SIGKILL sent, process not gone yet */
    VM_MEASURE_OOM_SCORE = 1 << 7,
    VM_MEASURE_MEMLOCK = 1 << 8,        /* RLIMIT_MEMLOCK lowered to a cap */
    VM_MEASURE_BRAKED = 1 << 9,         /* vCPU cgroups throttled */
    VM_MEASURE_CONTAIN = 1 << 10,       /* limits of its cgroup lowered */
    VM_MEASURE_SAVING = 1 << 11,        /* libvirt was asked to save it, process not gone yet */
    VM_MEASURE_SHUTTING_DOWN = 1 << 12, /* … to have it shut down, likewise */
    VM_MEASURE_RESIZE = 1 << 13,        /* its virtio-mem is to be smaller */
};
#define VM_MEASURE_FROZEN (VM_MEASURE_FROZEN_CGROUP | VM_MEASURE_FROZEN_SIGNAL)
/* Any state of a pause of ours, on its way or complete. */
#define VM_MEASURE_PAUSE (VM_MEASURE_FROZEN | VM_MEASURE_STOP_SENT | VM_MEASURE_STOPPED)
/* It is to be gone soon, and not by a signal: nothing else is done to it meanwhile but a kill. */
#define VM_MEASURE_ENDING (VM_MEASURE_SAVING | VM_MEASURE_SHUTTING_DOWN)

/* A value of ours, and what was there before our first. */
struct vm_contained {
    uint64_t set, before;
};

struct vm_measures {
    uint32_t in_force;       /* enum vm_measure, or-ed */
    uint32_t contained;      /* VM_LIMIT_BIT()s; none without VM_MEASURE_CONTAIN */
    uint64_t balloon_target; /* last target we asked for; UNKNOWN: none in force */
    uint64_t balloon_before; /* `actual` before our first */
    uint64_t balloon_since;  /* when balloon_target was asked for */
    uint64_t paused_since;   /* when the pause was begun */
    uint64_t killed_since;
    uint64_t braked_since;
    uint64_t ending_until; /* valid with VM_MEASURE_ENDING: then it has failed */
    uint64_t memlock_set;  /* soft and hard alike; valid with VM_MEASURE_MEMLOCK */
    int32_t oom_score_set; /* valid with VM_MEASURE_OOM_SCORE */
    struct vm_contained limits[VM_LIMIT_COUNT]; /* valid with its bit in `contained` */
    struct vm_contained resize;                 /* `requested`; valid with VM_MEASURE_RESIZE */
    uint64_t
        resize_previous; /* what that was before `set`, while either may be in force; UNKNOWN */
};

struct vm_snapshot {
    struct vm_identity identity;
    uint32_t slot; /* index into rules, policy state and ledger while the VM lives */
    uint32_t sources;
    char name[VM_NAME_MAX]; /* UTF-8, control characters replaced; for people only */
    uint64_t first_seen;
    uint64_t sampled; /* when the memory figures below were read; UNKNOWN: this VM is unknown now */

    enum vm_process_state process_state;
    enum vm_run_state run_state;
    enum vm_monitor monitor;
    enum vm_migration migration;
    bool callable;              /* libvirt is there and can be asked to end it */
    enum tristate vcpu_cgroups; /* each vCPU thread has a v2 cgroup of its own that can be frozen */
    enum tristate vcpu_quotas;  /* … and throttled */

    uint64_t rss; /* anonymous + file + shmem, without hugetlb */
    uint64_t rss_anonymous, rss_file, rss_shmem;
    uint64_t hugetlb, swap, page_tables;
    uint64_t locked, pinned;             /* VmLck, VmPin */
    uint64_t memlock_soft, memlock_hard; /* MEMLOCK_UNLIMITED: RLIM_INFINITY */
    uint64_t uid;                        /* real user: whom iommufd and io_uring charge */
    uint64_t cgroup_current;             /* memory charged to its cgroup */
    /* Of its anonymous and shared memory, by index into host.nodes (memory.numa_stat of its
     * cgroup); UNKNOWN where nobody says. */
    uint64_t node_bytes[NODES_MAX];
    /* Bit i: it may allocate on host.nodes[i], by its cpuset (Mems_allowed_list of
     * /proc/PID/status, where libvirt's numatune strict and restrictive show) and by the
     * host-nodes= of its memory backends, where all of them have policy=bind. 0: nobody knows. A
     * policy that only prefers nodes, and one set by numactl, are not in it. */
    uint32_t nodes_allowed;
    int32_t oom_score_adj;

    uint64_t maximum; /* guest RAM with pluggable part that is plugged; the balloon's upper end */
    struct vm_balloon balloon;
    struct vm_statistics statistics;
    struct vm_resizable resizable;
    struct vm_wiring wiring;
    struct vm_definition definition;
    enum vm_kind kind;
    enum vm_kind_reason kind_reason;

    struct vm_reclaim reclaim;
    struct vm_limits limits;

    struct vm_measures measures;
};

/* ---- guests to come ---- */

/* Starts admitted and not over at a time: libvirtd has 20 workers, each of which waits for one. */
#define RESERVATIONS_MAX 64

/* Room that is kept for a guest that starts. */
struct reservation {
    uint8_t uuid[UUID_SIZE];
    uint64_t bytes;     /* of it still to come: nobody else is given so much */
    uint64_t hugepages; /* likewise, of their pool */
    uint64_t promised;  /* what the guest is promised until it can be seen, huge pages apart */
    uint64_t promised_pinned; /* … of that, what will be locked or pinned */
    uint32_t nodes;           /* that it is bound to, by index into host.nodes; 0: to none */
    uint32_t priority;        /* of the guest: who is worth more keeps what it uses */
    /* What it held when the guard had it saved: restored it takes so much at once. 0: it was not.
     */
    uint64_t returning;
};

struct snapshot {
    uint64_t time;     /* CLOCK_MONOTONIC: the only clock the policy knows */
    uint64_t realtime; /* CLOCK_REALTIME, for people */
    uint64_t sequence; /* tick number */
    struct host_snapshot host;
    uint32_t reservation_count;
    struct reservation reservations[RESERVATIONS_MAX];
    uint32_t vm_capacity; /* fixed at start: max-vms */
    uint32_t vm_count;
    struct vm_snapshot vms[]; /* in slot order */
};

static inline size_t snapshot_size(uint32_t vm_capacity)
{
    return sizeof(struct snapshot) + (size_t)vm_capacity * sizeof(struct vm_snapshot);
}

/* Same process, for certain. */
static inline bool vm_identity_equal(const struct vm_identity *a, const struct vm_identity *b)
{
    return a->pid == b->pid && a->start_time == b->start_time;
}

/* Memory a VM holds of the host's and of the budget: resident and huge pages. UNKNOWN if its RSS
 * is; unknown huge pages count as none (kernels before 4.4 or without hugetlb do not list them). */
static inline uint64_t vm_held(const struct vm_snapshot *vm)
{
    return known(vm->rss) ? add_held(vm->rss, known_or(vm->hugetlb, 0)) : UNKNOWN;
}

/* What the guest can come to hold: its RAM, and all of its virtio-mem. UNKNOWN if its RAM is. */
static inline uint64_t vm_memory_most(const struct vm_snapshot *vm)
{
    return known(vm->maximum) ? add_held(vm->maximum, known_or(vm->resizable.maximum, 0)) : UNKNOWN;
}

#endif
