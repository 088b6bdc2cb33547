/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guard's side of one QMP connection: finds out once what the guest is, then keeps its balloon,
 * statistics and run state fresh by tier, and carries the commands of the acts. One request of its
 * own is in flight at a time; a peer that misses a deadline is SILENT until it answers again, and
 * costs nobody but itself.
 */
#ifndef PLIMSOLL_DAEMON_MONITOR_H
#define PLIMSOLL_DAEMON_MONITOR_H

#include "loop.h"

#include <plimsoll/qmp.h>
#include <plimsoll/rules.h>

/* A command to a healthy QEMU takes under 1 ms (facts: 0.15–0.5 ms, p99 4 ms); memory.high can
 * stall its main loop by 2 s at a time. Beyond this it is silent. */
#define MONITOR_TIMEOUT (3 * NSEC_PER_SEC)
/* `stop` drains block I/O first and may take as long as the storage; until it is answered the
 * policy judges by growth, not by the answer. */
#define MONITOR_STOP_TIMEOUT (10 * NSEC_PER_SEC)

struct monitor;
struct vm;

struct monitor_owner {
    struct loop *loop;
    /* The peer is known: find the VM of PID and set it by monitor_attach(). */
    void (*connected)(struct monitor *monitor, pid_t pid, void *userdata);
    /* Whether guests may be touched at all: in dry run not even their statistics are switched on.
     */
    bool (*may_touch)(void *userdata);
    /* Its vCPU threads are known (again). */
    void (*vcpus)(struct vm *vm, const struct qmp_cpus *cpus, void *userdata);
    /* QEMU gave it another name than it was known by. */
    void (*renamed)(struct vm *vm, void *userdata);
    /* A pause of ours may have moved on: look at it again. */
    void (*pause_moved)(struct vm *vm, void *userdata);
    void *userdata;
};

int monitor_new(const char *path, const struct monitor_owner *owner, struct monitor **ret_monitor);
struct monitor *monitor_free(struct monitor *monitor);

void monitor_attach(struct monitor *monitor, struct vm *vm);
struct vm *monitor_vm(const struct monitor *monitor);
const char *monitor_path(const struct monitor *monitor);
/* Its QEMU has said how much memory the guest has. */
bool monitor_told_memory(const struct monitor *monitor);
struct qmp_session *monitor_session(struct monitor *monitor);

/* Keeps deadlines, reconnects, and asks what is due in BAND. */
void monitor_advance(struct monitor *monitor, enum band band, uint64_t now);
/* May be asked something: connected, not frozen by us, and not owing an answer that is overdue. */
bool monitor_is_askable(const struct monitor *monitor);
/* When monitor_advance() must be called next. */
uint64_t monitor_deadline(const struct monitor *monitor);
/* Asks for run state and balloon at the next occasion, because something just changed them. */
void monitor_refresh(struct monitor *monitor);
/* Connects now if it is not connected, whatever its back-off: its socket was made anew. */
void monitor_retry(struct monitor *monitor);
/* To be called by every handler of a reply to a request on this session: any answer but silence
 * shows that the peer lives. */
void monitor_answered(struct monitor *monitor, int result);
/* Watches the session's fd for what it wants now; after each command sent by an act. */
void monitor_watch(struct monitor *monitor);

#endif
