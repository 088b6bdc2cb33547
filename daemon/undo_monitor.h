/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A QMP conversation that waits for its answers, bounded by one deadline for everything.
 */
#ifndef PLIMSOLL_DAEMON_UNDO_MONITOR_H
#define PLIMSOLL_DAEMON_UNDO_MONITOR_H

#include <plimsoll/cleanup.h>
#include <plimsoll/error.h>
#include <plimsoll/qmp.h>

struct undo_monitor;

/* Connects to PATH and waits until it is ready. The listener must be process PID: a socket in a
 * folder proves nothing about whose it is. TIMEOUT, ns, covers all that follows. Errors as qmp.h's,
 * and -EPERM: the socket belongs to another process. */
int undo_monitor_open(const char *path, pid_t pid, uint64_t timeout,
    struct undo_monitor **ret_monitor, struct error *ret_error);
struct undo_monitor *undo_monitor_free(struct undo_monitor *monitor);
DEFINE_CLEANUP(struct undo_monitor *, undo_monitor_free);

/* Sends COMMAND, which takes no arguments, and waits. RET_REPLY's error_text is not kept. */
int undo_monitor_ask(struct undo_monitor *monitor, enum qmp_command command,
    struct qmp_reply *ret_reply, struct error *ret_error);
int undo_monitor_balloon(struct undo_monitor *monitor, uint64_t bytes, struct error *ret_error);
/* Of the virtio-mem device with this ID. */
int undo_monitor_resize(
    struct undo_monitor *monitor, const char *id, uint64_t bytes, struct error *ret_error);

#endif
