/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the guard and plimsoll-virt, the only process that links libvirt, say to each other: one
 * record a datagram on a SOCK_SEQPACKET pair. Both sides are built from this header; it is no
 * public interface, and the version exists so that a half-finished upgrade is refused, not misread.
 *
 * From plimsoll-virt: HELLO first, as soon as it is ready, and never again. Then nothing, and
 * nothing is asked of libvirt, until the guard has said BEGIN: so one that is started in good times
 * can wait for as long as it takes, costs libvirt nothing, and needs neither a fork nor the disk
 * when it is to take over. From then on CONNECTION whenever that changes, and at least each
 * VIRT_HEARTBEAT. All domains between RESYNC_BEGIN and RESYNC_END, at each new connection and
 * whenever a change may have been missed: a domain not named in between is no more. RESYNC_BEGIN
 * within a resync starts it anew. DOMAIN and DOMAIN_GONE also come on their own as things change,
 * within a resync as well, and DOMAIN of each that runs within VIRT_ROUND though nothing has
 * changed.
 * A record that does not fit (EAGAIN) is not waited for: its domain stays due and is asked about
 * anew once there is room; too many of those, and all is resynced. So nothing stands in any queue
 * but the socket's own, and what is said is never older than the room to say it.
 * To plimsoll-virt: BEGIN once, then CALL, what it shall do; the end of the guard's side ends it,
 * whether it has begun or waits.
 *
 * Each CALL gets one RESULT, when it is done or when its deadline has passed, which need not be the
 * end of it: libvirt takes no call back. -EAGAIN from the socket is a refusal. Kinds are only
 * added, with a new version. The inventory's connection is read-only and stays the main thread's;
 * calls have threads that may hang in them and connections of their own. So a call that hangs
 * delays neither the inventory nor the heartbeat, by which the guard judges the process; how many
 * hang is said by WORKERS.
 */
#ifndef PLIMSOLL_VIRT_H
#define PLIMSOLL_VIRT_H

#include <stddef.h>

#include <plimsoll/rules.h>
#include <plimsoll/snapshot.h>

#define VIRT_VERSION 7
/* Where plimsoll-virt finds its end of the socket. */
#define VIRT_FD 3

/* Room for any record as a datagram; virt_encode() never needs more. */
#define VIRT_DATAGRAM_MAX 2048
/* With NUL. libvirt's names are file names of at most 255 bytes less a suffix. */
#define VIRT_TEXT_MAX 256
/* One connection is listed with at most so many domains (libvirt's own REMOTE_DOMAIN_LIST_MAX). */
#define VIRT_DOMAINS_MAX 16384
/* Devices of one kind in a domain: more elements do not stand in an XML of a mebibyte. */
#define VIRT_DEVICES_MAX 65536

#define VIRT_HEARTBEAT (5 * NSEC_PER_SEC)
/* Each running domain is asked about anew within so long, for not every change of a definition has
 * an event (a hard_limit set live has none). A thousand domains are eight a second, at a few
 * milliseconds each (facts 3). */
#define VIRT_ROUND (2 * NSEC_PER_MINUTE)
/* A plimsoll-virt whose call into libvirt takes longer ends itself. */
#define VIRT_CALL_LIMIT (30 * NSEC_PER_SEC)

/* Calls of the guard's without an answer, those waiting for a worker included. */
#define VIRT_CALLS_MAX 64
/* The furthest deadline of a call: the save of a large guest to a slow disk. */
#define VIRT_CALL_WAIT_MAX (60 * NSEC_PER_MINUTE)
/* What libvirt is given to do at a time: it takes 5 requests of a connection, keepalives included,
 * and has 20 workers for everybody. Destroy has one more, which is in nobody's way. */
#define VIRT_WORKERS 3

enum virt_record_kind {
    VIRT_RECORD_HELLO,
    VIRT_RECORD_CONNECTION,
    VIRT_RECORD_RESYNC_BEGIN,
    VIRT_RECORD_RESYNC_END,
    VIRT_RECORD_DOMAIN,
    VIRT_RECORD_DOMAIN_GONE, /* undefined, or transient and ended */
    VIRT_RECORD_DOMAIN_KEPT, /* it is there, but could not be asked: what was known of it holds */
    VIRT_RECORD_BALLOON,     /* `current` of a domain has moved; the rest is as it was */
    VIRT_RECORD_CALL,        /* to plimsoll-virt, after BEGIN */
    VIRT_RECORD_RESULT,
    VIRT_RECORD_WORKERS, /* whenever it changes */
    VIRT_RECORD_BEGIN,   /* to plimsoll-virt, first and once */
    VIRT_RECORD_KIND_COUNT,
};

struct virt_hello {
    uint32_t libvirt_version; /* of the client library: major * 1000000 + minor * 1000 + release */
};

struct virt_begin {
    char uri[VIRT_TEXT_MAX]; /* libvirt's; never empty */
};

enum virt_connection_state {
    VIRT_CONNECTION_CONNECTING,
    VIRT_CONNECTION_CONNECTED,
    VIRT_CONNECTION_LOST, /* tried again by itself */
    VIRT_CONNECTION_STATE_COUNT,
};

struct virt_connection {
    enum virt_connection_state state;
    /* Of the libvirt that was reached, as the client's; 0: unknown, or not connected. */
    uint32_t libvirt_version;
    char text[VIRT_TEXT_MAX]; /* why it is lost; else empty */
};

/* virDomainState, folded to what the guard tells apart. */
enum virt_domain_state {
    VIRT_DOMAIN_UNKNOWN,
    VIRT_DOMAIN_RUNNING, /* blocked included: Xen's word */
    VIRT_DOMAIN_PAUSED,
    VIRT_DOMAIN_SHUTDOWN,  /* being shut down */
    VIRT_DOMAIN_SHUTOFF,   /* defined, not there */
    VIRT_DOMAIN_CRASHED,   /* likewise, and not in order */
    VIRT_DOMAIN_SUSPENDED, /* by the guest's own power management */
    VIRT_DOMAIN_STATE_COUNT,
};

/* <memoryBacking>: where its memory comes from, and who else may map it. */
enum virt_memory_source {
    VIRT_MEMORY_UNSAID,
    VIRT_MEMORY_ANONYMOUS,
    VIRT_MEMORY_FILE,
    VIRT_MEMORY_MEMFD,
    VIRT_MEMORY_SOURCE_COUNT,
};

enum virt_memory_access {
    VIRT_ACCESS_UNSAID,
    VIRT_ACCESS_SHARED,
    VIRT_ACCESS_PRIVATE,
    VIRT_ACCESS_COUNT,
};

/* <numatune>, in order of how firmly it holds. */
enum virt_numa_mode {
    VIRT_NUMA_NONE,
    VIRT_NUMA_PREFERRED,
    VIRT_NUMA_INTERLEAVE,
    VIRT_NUMA_RESTRICTIVE, /* by cpuset only */
    VIRT_NUMA_STRICT,
    VIRT_NUMA_MODE_COUNT,
};

enum virt_balloon_model {
    VIRT_BALLOON_NONE,
    VIRT_BALLOON_VIRTIO,
    VIRT_BALLOON_OTHER,
    VIRT_BALLOON_MODEL_COUNT,
};

/* Which of a VM's rules the domain's own <metadata> gives (urn:plimsoll:domain:1). Bits. */
enum virt_rule {
    VIRT_RULE_CLASS = 1 << 0,
    VIRT_RULE_PRIORITY = 1 << 1,
    VIRT_RULE_SHARES = 1 << 2,
    VIRT_RULE_MINIMUM = 1 << 3,
    VIRT_RULE_RUNGS = 1 << 4,
    VIRT_RULE_SACRIFICE = 1 << 5,
};
#define VIRT_RULE_ALL ((VIRT_RULE_SACRIFICE << 1) - 1)
/* Of what was refused: an element that is no rule of a domain. */
#define VIRT_RULE_STRANGE (VIRT_RULE_SACRIFICE << 1)

struct virt_metadata {
    uint32_t set;          /* enum virt_rule, or-ed */
    uint32_t refused;      /* likewise, and VIRT_RULE_STRANGE: given, and not as it may be */
    struct vm_rules rules; /* what SET says; the rest is nothing */
};

struct virt_domain {
    /* CLOCK_MONOTONIC right before libvirt was asked: all here was so then, or became so since. */
    uint64_t asked;
    uint8_t uuid[UUID_SIZE]; /* never all zero */
    char name[VIRT_TEXT_MAX];
    int32_t id; /* libvirt's own number while it runs, else -1 */
    pid_t pid;  /* 0: nobody knows */
    enum virt_domain_state state;
    /* Bytes; of maximum every DIMM, and of virtio-mem the whole size, included. */
    uint64_t maximum, current;
    /* memtune, bytes; MEMLOCK_UNLIMITED: none is set; UNKNOWN: what is set cannot be told. */
    uint64_t hard_limit, soft_limit;

    bool hugepages, locked;
    bool allocated; /* all of it at the start */
    bool encrypted; /* by <launchSecurity>: what a balloon gives stays with the guest */
    enum virt_memory_source source;
    enum virt_memory_access access;
    uint32_t vfio; /* PCI and mediated devices */
    uint32_t vdpa;
    uint32_t nvme; /* disks with an NVMe device, driven by QEMU itself, anywhere in their chain */
    bool viommu;
    bool can_save; /* it is persistent and has no host device but USB: else libvirt refuses */
    enum virt_balloon_model balloon;
    bool deflates; /* the guest takes back from it by itself when it is short */
    bool reports;  /* what the guest frees goes back to the host by itself */
    /* virtio-mem, all devices together, bytes. */
    uint32_t resizable_count;
    uint64_t resizable_maximum, resizable_requested;
    uint64_t resizable_current; /* what the guest has plugged in of it; UNKNOWN: it does not run */
    uint64_t resizable_block;   /* what is requested is a multiple of; UNKNOWN with more than one */

    /* Of the loosest part, where cells differ: what is said here holds for all its memory. */
    enum virt_numa_mode numa_mode;
    /* Bit n: node n is among those that any part of it names. 0: none said (placement=auto says
     * none), or one beyond 63. */
    uint64_t numa_nodes;

    struct virt_metadata metadata;
};

struct virt_balloon_moved {
    uint8_t uuid[UUID_SIZE];
    uint64_t current; /* bytes */
};

/* What a call does. One that the other side does not know is answered by -EOPNOTSUPP. */
enum virt_operation {
    VIRT_OPERATION_SET_MEMORY,     /* balloon target; argument: bytes, whole KiB of them count */
    VIRT_OPERATION_SUSPEND,        /* -EALREADY: it was paused already, and not by this */
    VIRT_OPERATION_RESUME,         /* -EALREADY: it runs; -EPERM: see virt_result */
    VIRT_OPERATION_SHUTDOWN,       /* asks the guest, by ACPI */
    VIRT_OPERATION_DESTROY,        /* SIGTERM, and 10 s later SIGKILL */
    VIRT_OPERATION_MANAGED_SAVE,   /* returns when it is saved; argument: not 0, it shall run when
                                    * restored though it is paused now */
    VIRT_OPERATION_STATS_PERIOD,   /* of the balloon driver's reports; argument: seconds */
    VIRT_OPERATION_MEMORY_STATS,   /* answered by a look */
    VIRT_OPERATION_SET_HARD_LIMIT, /* memory.max of its cgroup; argument: bytes, UNKNOWN: none.
                                    * Never with VFIO: it replaces libvirt's rule for RLIMIT_MEMLOCK
                                    */
    VIRT_OPERATION_SET_SOFT_LIMIT, /* memory.high, likewise */
    VIRT_OPERATION_SET_QUOTA,      /* of cpu.max; argument: ns of each period, UNKNOWN: none */
    VIRT_OPERATION_RESIZE,         /* what is requested of its only virtio-mem device; argument:
                                    * bytes, in place of `expected` */
    VIRT_OPERATION_COUNT,
};

/* libvirt counts from 1. */
#define VIRT_ID_ANY 0
struct virt_call {
    uint64_t number; /* the guard's own, never used twice */
    uint8_t uuid[UUID_SIZE];
    int32_t id;        /* of the instance that is meant (virt_domain), or VIRT_ID_ANY */
    uint8_t operation; /* enum virt_operation, or what one side does not know yet */
    uint64_t argument;
    uint64_t expected; /* of RESIZE; of others 0 */
    uint64_t deadline; /* CLOCK_MONOTONIC: time on the way counts */
};

/* One domain as it is now. The guest's statistics are its own word (facts: virtio-balloon). */
struct virt_look {
    enum vm_run_state run_state; /* PAUSED: by a person or program, not by what goes on with it */
    enum vm_migration migration; /* a save or dump under way counts as OUTGOING */
    uint64_t actual;             /* QEMU's word: RAM less balloon */
    uint64_t total, free, available, disk_caches, swapped_in, swapped_out; /* bytes */
    uint64_t major_faults;
    uint64_t reported; /* when the guest did last, seconds of CLOCK_REALTIME; 0: never */
};

/*
 * 0, or a negative errno. Certainly not done: -EOPNOTSUPP; -ESRCH: no such domain; -ENOTCONN:
 * libvirt is not there; -EAGAIN: too many calls, or libvirt is doing something else with it;
 * -EBUSY: the domain's last one has not returned; -EALREADY; -ESTALE: what
 * was expected is not so; -ENODEV: there is no one device to do it to; -EPERM: it was not a person
 * or program that paused it, or it is being migrated; -EREMOTEIO: libvirt refused, TEXT says why.
 * Perhaps done, or done later: -ETIMEDOUT; -ECONNRESET: the connection was lost under it.
 */
struct virt_result {
    uint64_t number; /* of its call */
    int32_t result;
    bool looked; /* LOOK is there */
    struct virt_look look;
    char text[VIRT_TEXT_MAX]; /* for people; may be empty */
};
#define VIRT_ERRNO_MAX 4095

struct virt_workers {
    /* Of VIRT_WORKERS: their deadline has passed and they have not returned. All of them, too,
     * where the others save and none is left. */
    uint32_t hung;
};

struct virt_record {
    enum virt_record_kind kind;
    union {
        struct virt_hello hello;
        struct virt_connection connection;
        struct virt_domain domain;
        uint8_t uuid[UUID_SIZE]; /* DOMAIN_GONE, DOMAIN_KEPT */
        struct virt_balloon_moved balloon;
        struct virt_call call;
        struct virt_result result;
        struct virt_workers workers;
        struct virt_begin begin;
    };
};

/*
 * RECORD as one datagram. Returns its length, or -EINVAL: a value stands in it that
 * virt_decode() would refuse.
 */
int virt_encode(const struct virt_record *record, uint8_t ret_datagram[VIRT_DATAGRAM_MAX]);

/*
 * One datagram of LENGTH bytes as a record; what the kind does not have is zero. Nothing is
 * believed of it: -EPROTO: another version; -EBADMSG: no record, too short or too long, a number
 * out of its range, a text with a character that may not be shown. What is accepted encodes to the
 * same bytes.
 */
int virt_decode(const uint8_t *datagram, size_t length, struct virt_record *ret_record);

#endif
