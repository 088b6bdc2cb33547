/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libqmp: a client of QEMU's machine protocol (docs/interop/qmp-spec.txt) that never blocks, never
 * trusts its peer and belongs to no event loop.
 *
 * A session is one connection to one QMP socket and knows these states:
 *
 *   IDLE → CONNECTING → GREETING → NEGOTIATING → READY
 *            any of them → DEAD → (back-off) → CONNECTING …
 *
 * The caller polls qmp_session_fd() for qmp_session_events(), calls qmp_session_dispatch() when it
 * is ready or when qmp_session_deadline() has come, and hands in the time; the library reads no
 * clock. Handlers run inside dispatch; on_state inside connect and attach too. From a handler every
 * call but free, dispatch, connect and attach is allowed. All requests of a session that dies are
 * answered with their error before it is DEAD; those of a session that is freed are dropped.
 *
 * Errors: negative errno. -ENOTCONN: not READY; -EBUSY: QMP_REQUESTS_MAX in flight; -ENOBUFS: the
 * output buffer is full (the peer does not read); -ETIMEDOUT: a deadline passed; -EPROTO: the peer
 * broke the protocol; -EMSGSIZE: a line or nesting beyond the bounds; -EREMOTEIO: QEMU answered
 * with an error, see its class; -ECONNRESET: the peer closed.
 */
#ifndef PLIMSOLL_QMP_H
#define PLIMSOLL_QMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a shared libqmp lets others see; all else is built hidden. */
#pragma GCC visibility push(default)

/* A quantity the peer did not give, or gave as QEMU's "unset" 18446744073709551615. */
#define QMP_UNKNOWN UINT64_MAX
#define QMP_NEVER UINT64_MAX

/* One command runs at a time in QEMU without OOB; more in flight only queue up in its memory. */
#define QMP_REQUESTS_MAX 8
#define QMP_NAME_MAX 128   /* names and paths in replies, with NUL; longer ones are cut */
#define QMP_DEVICES_MAX 64 /* devices of one kind kept from one reply; more are counted only */

struct qmp_session;

enum qmp_state {
    QMP_STATE_IDLE, /* no connection was asked for */
    QMP_STATE_CONNECTING,
    QMP_STATE_GREETING,
    QMP_STATE_NEGOTIATING,
    QMP_STATE_READY,
    QMP_STATE_DEAD,
    QMP_STATE_COUNT,
};

enum qmp_command {
    QMP_COMMAND_CAPABILITIES, /* qmp_capabilities; sent by the session itself */
    QMP_COMMAND_QUERY_STATUS,
    QMP_COMMAND_QUERY_NAME,
    QMP_COMMAND_QUERY_UUID,
    QMP_COMMAND_QUERY_BALLOON,
    QMP_COMMAND_QUERY_MEMORY_SIZE_SUMMARY,
    QMP_COMMAND_QUERY_MEMDEV,
    QMP_COMMAND_QUERY_MEMORY_DEVICES,
    QMP_COMMAND_QUERY_MIGRATE,
    QMP_COMMAND_QUERY_SEV,
    QMP_COMMAND_QUERY_CPUS_FAST,
    QMP_COMMAND_BALLOON,
    QMP_COMMAND_STOP,
    QMP_COMMAND_CONT,
    QMP_COMMAND_SYSTEM_POWERDOWN,
    QMP_COMMAND_QUIT,
    QMP_COMMAND_LIST_DEVICES,   /* qom-list of a container, typed for balloon and vfio children */
    QMP_COMMAND_GET_STATISTICS, /* qom-get guest-stats */
    QMP_COMMAND_GET_BOOLEAN,    /* qom-get of a boolean property (deflate-on-oom, …) */
    QMP_COMMAND_QUERY_VIRTIO_STATUS,     /* x-query-virtio-status: unstable, from QEMU 7.2 on */
    QMP_COMMAND_SET_STATISTICS_INTERVAL, /* qom-set guest-stats-polling-interval */
    QMP_COMMAND_SET_REQUESTED_SIZE,      /* qom-set requested-size, of a virtio-mem device */
    QMP_COMMAND_COUNT,
};

/* QapiErrorClass (qapi/error.json). */
enum qmp_error_class {
    QMP_ERROR_NONE,
    QMP_ERROR_GENERIC,
    QMP_ERROR_COMMAND_NOT_FOUND,
    QMP_ERROR_DEVICE_NOT_ACTIVE,
    QMP_ERROR_DEVICE_NOT_FOUND,
    QMP_ERROR_KVM_MISSING_CAP,
    QMP_ERROR_OTHER,
};

/* RunState (qapi/run-state.json), in its order. */
enum qmp_run_state {
    QMP_RUN_DEBUG,
    QMP_RUN_INMIGRATE,
    QMP_RUN_INTERNAL_ERROR,
    QMP_RUN_IO_ERROR,
    QMP_RUN_PAUSED,
    QMP_RUN_POSTMIGRATE,
    QMP_RUN_PRELAUNCH,
    QMP_RUN_FINISH_MIGRATE,
    QMP_RUN_RESTORE_VM,
    QMP_RUN_RUNNING,
    QMP_RUN_SAVE_VM,
    QMP_RUN_SHUTDOWN,
    QMP_RUN_SUSPENDED,
    QMP_RUN_WATCHDOG,
    QMP_RUN_GUEST_PANICKED,
    QMP_RUN_COLO,
    QMP_RUN_OTHER, /* a state this library does not know */
    QMP_RUN_COUNT,
};

enum qmp_migration {
    QMP_MIGRATION_NONE, /* none, completed, failed or cancelled */
    QMP_MIGRATION_ACTIVE,
    QMP_MIGRATION_POSTCOPY,
    QMP_MIGRATION_INCOMING, /* not begun, or active, on the side that a peer connects to */
    QMP_MIGRATION_OTHER,    /* a status this library does not know: treat as active */
    QMP_MIGRATION_COUNT,
};

/* Guest statistics; each QMP_UNKNOWN when unset. Bytes, but for the counts. */
struct qmp_statistics {
    uint64_t
        last_update; /* QEMU's host clock in whole seconds (CLOCK_REALTIME); 0: never reported */
    uint64_t total, free, available, disk_caches;
    uint64_t swap_in, swap_out;
    uint64_t major_faults, minor_faults;            /* counts */
    uint64_t hugetlb_allocations, hugetlb_failures; /* counts */
};

struct qmp_status {
    enum qmp_run_state run_state;
    bool running;
};

struct qmp_memory_size { /* bytes; plugged is 0 where the target has no memory hotplug */
    uint64_t base, plugged;
};

struct qmp_memdev_summary { /* query-memdev, all backends together */
    uint32_t count;
    uint64_t size;
    bool any_shared, any_prealloc;
};

struct qmp_memory_devices { /* query-memory-devices, all devices together */
    uint64_t dimm_size;
    uint32_t virtio_mem_count;
    uint64_t virtio_mem_size, virtio_mem_requested, virtio_mem_maximum;
    /* Of the first virtio-mem device: its id, empty if it has none, and of which requested sizes
     * are multiples. */
    char virtio_mem_id[QMP_NAME_MAX];
    uint64_t virtio_mem_block;
};

struct qmp_device_list {        /* children of one QOM container */
    char balloon[QMP_NAME_MAX]; /* full path of the first virtio-balloon device; empty: none */
    uint32_t vfio_count;
};

struct qmp_cpus {
    uint32_t count;                 /* all vCPUs */
    pid_t threads[QMP_DEVICES_MAX]; /* the first QMP_DEVICES_MAX thread ids */
};

struct qmp_reply {
    enum qmp_command command;
    int result;                       /* 0, or a negative errno as above */
    enum qmp_error_class error_class; /* with -EREMOTEIO */
    const char *error_text; /* QEMU's words, cleaned; valid during the handler; never NULL */
    union {
        struct qmp_status status;
        char name[QMP_NAME_MAX]; /* empty: the guest has none */
        uint8_t uuid[16];        /* all zero: none given */
        uint64_t balloon_actual;
        struct qmp_memory_size memory_size;
        struct qmp_memdev_summary memdev;
        struct qmp_memory_devices memory_devices;
        enum qmp_migration migration;
        bool sev_enabled;
        bool boolean;
        bool virtio_driver; /* a guest driver has set DRIVER_OK (virtio 1.2, 2.1) */
        struct qmp_cpus cpus;
        struct qmp_device_list devices;
        struct qmp_statistics statistics;
    };
};

enum qmp_event {
    QMP_EVENT_STOP,
    QMP_EVENT_RESUME,
    QMP_EVENT_SHUTDOWN,
    QMP_EVENT_RESET,
    QMP_EVENT_BALLOON_CHANGE,
    QMP_EVENT_MEMORY_DEVICE_SIZE_CHANGE,
    QMP_EVENT_MIGRATION,
    QMP_EVENT_DEVICE_DELETED,
    QMP_EVENT_OTHER, /* known to QEMU, not to this library */
    QMP_EVENT_COUNT,
};

struct qmp_event_record {
    enum qmp_event event;
    uint64_t balloon_actual; /* BALLOON_CHANGE; else QMP_UNKNOWN */
};

typedef void (*qmp_reply_handler)(
    struct qmp_session *session, const struct qmp_reply *reply, void *userdata);

struct qmp_options {
    size_t line_max;                   /* longest line taken, bytes; 0: 1 MiB */
    unsigned depth_max;                /* deepest nesting; 0: 32 (json-c's own default) */
    uint64_t greeting_timeout;         /* ns from connect to READY; 0: 10 s */
    uint64_t backoff_min, backoff_max; /* ns between tries, doubling; 0: 1 s and 60 s */
    void (*on_state)(struct qmp_session *session, enum qmp_state state, int cause, void *userdata);
    void (*on_event)(
        struct qmp_session *session, const struct qmp_event_record *event, void *userdata);
    void *userdata; /* for on_state and on_event */
};

/* PATH is copied; NULL: only for attach. Allocates all that sending needs; receiving grows within
 * line_max, and one message's JSON tree within 16 times line_max. -EINVAL: options out of bounds
 * (line_max above 256 MiB, depth_max above 1024, backoff_max below backoff_min) or an empty path;
 * -ENAMETOOLONG: too long for a socket's address. */
int qmp_session_new(
    const char *path, const struct qmp_options *options, struct qmp_session **ret_session);
struct qmp_session *qmp_session_free(struct qmp_session *session);

/* Starts to connect, or does nothing unless IDLE or DEAD. A failure leaves it DEAD, to be tried
 * again by dispatch when its deadline comes; 0 is returned all the same. -EINVAL: it has no path.
 */
int qmp_session_connect(struct qmp_session *session, uint64_t now);
/* Takes over FD, a connected stream socket, instead of the path; such a session does not reconnect.
 * -EISCONN: it has a connection; another negative errno: FD is no such socket. FD is then still the
 * caller's. */
int qmp_session_attach(struct qmp_session *session, int fd, uint64_t now);

int qmp_session_fd(const struct qmp_session *session);            /* -1: nothing to poll */
uint32_t qmp_session_events(const struct qmp_session *session);   /* EPOLLIN | EPOLLOUT */
uint64_t qmp_session_deadline(const struct qmp_session *session); /* QMP_NEVER: none */
enum qmp_state qmp_session_state(const struct qmp_session *session);
const char *qmp_session_path(const struct qmp_session *session);
/* Who listens at the other end (SO_PEERCRED); 0 while not connected. */
pid_t qmp_session_peer(const struct qmp_session *session);
/* Requests sent and not answered. */
unsigned qmp_session_pending(const struct qmp_session *session);
/* Whether a request that was sent timed out, and the peer has replied neither to it nor to a later
 * one since: it is silent, and what is sent now may be carried out much later. */
bool qmp_session_overdue(const struct qmp_session *session);

/* Reads, writes, keeps deadlines and reconnects. REVENTS as epoll gave them, 0 for a deadline.
 * The fd may change; ask again. Reads at most a bounded amount a call. Returns the negative errno
 * of a session that is DEAD, else 0. */
int qmp_session_dispatch(struct qmp_session *session, uint32_t revents, uint64_t now);

/*
 * Sends COMMAND; HANDLER (may be NULL) gets the typed reply exactly once. No allocation: the line
 * is formatted into the session's own buffer, and written at once as far as the socket takes it. A
 * request whose TIMEOUT passes is answered with -ETIMEDOUT, and the session goes on: a late reply
 * is recognised by its id and dropped. Such a request was withdrawn if none of it had left, and may
 * still be carried out if it had. HANDLER is never called from here. Returns 0 or -ENOTCONN,
 * -EBUSY, -ENOBUFS, -EINVAL (a command that takes arguments or is the session's own; a name that is
 * empty, not UTF-8 or QMP_NAME_MAX and longer).
 */
int qmp_execute(struct qmp_session *session, enum qmp_command command, uint64_t now,
    uint64_t timeout, qmp_reply_handler handler, void *userdata);
/* BYTES of memory the guest shall have. 0 is refused (-EINVAL): QEMU takes even 1. */
int qmp_execute_balloon(struct qmp_session *session, uint64_t bytes, uint64_t now, uint64_t timeout,
    qmp_reply_handler handler, void *userdata);
/* Children of QOM container PATH, "/machine/peripheral" or "/machine/peripheral-anon". */
int qmp_execute_list_devices(struct qmp_session *session, const char *path, uint64_t now,
    uint64_t timeout, qmp_reply_handler handler, void *userdata);
int qmp_execute_get_statistics(struct qmp_session *session, const char *device, uint64_t now,
    uint64_t timeout, qmp_reply_handler handler, void *userdata);
int qmp_execute_get_boolean(struct qmp_session *session, const char *device, const char *property,
    uint64_t now, uint64_t timeout, qmp_reply_handler handler, void *userdata);
/* Whether a guest driver drives the virtio DEVICE (its QOM path, as LIST_DEVICES gives it). */
int qmp_execute_virtio_status(struct qmp_session *session, const char *device, uint64_t now,
    uint64_t timeout, qmp_reply_handler handler, void *userdata);
int qmp_execute_set_statistics_interval(struct qmp_session *session, const char *device,
    uint32_t seconds, uint64_t now, uint64_t timeout, qmp_reply_handler handler, void *userdata);
/* BYTES of memory that the virtio-mem device with this ID shall have; QEMU refuses what is no
 * multiple of its block size. */
int qmp_execute_set_requested_size(struct qmp_session *session, const char *id, uint64_t bytes,
    uint64_t now, uint64_t timeout, qmp_reply_handler handler, void *userdata);

const char *qmp_state_name(enum qmp_state state);
const char *qmp_command_name(enum qmp_command command); /* the wire name */
const char *qmp_run_state_name(enum qmp_run_state state);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
