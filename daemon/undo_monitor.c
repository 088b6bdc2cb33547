/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the blocking use of libqmp, for a command that has nothing else to do. The library gives an
 * fd, events and a deadline; poll() does the rest.
 */
#include "undo_monitor.h"

#include <errno.h>
#include <plimsoll/units.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct undo_monitor {
    struct qmp_session *session;
    uint64_t deadline;
    int cause; /* what made the session DEAD */
    bool answered;
    struct qmp_reply reply;
    struct error *error; /* of the request under way; may be NULL */
};

static uint64_t clock_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

static void state_handle(
    struct qmp_session *session, enum qmp_state state, int cause, void *userdata)
{
    struct undo_monitor *monitor = userdata;

    (void)session;
    if (state == QMP_STATE_DEAD)
        monitor->cause = cause < 0 ? cause : -ECONNRESET;
}

static void reply_handle(struct qmp_session *session, const struct qmp_reply *reply, void *userdata)
{
    struct undo_monitor *monitor = userdata;

    (void)session;
    monitor->answered = true;
    monitor->reply = *reply;
    monitor->reply.error_text = "";
    if (reply->result == -EREMOTEIO)
        (void)error_set(monitor->error, reply->result, "QEMU refuses %s: %s",
            qmp_command_name(reply->command), reply->error_text);
    else if (reply->result < 0)
        (void)error_set(monitor->error, reply->result, "no answer to %s: %s",
            qmp_command_name(reply->command), strerror(-reply->result));
}

/* One wait for the socket or for what is due; the session's failure or -ETIMEDOUT. */
static int monitor_turn(struct undo_monitor *monitor)
{
    struct pollfd source = {.fd = qmp_session_fd(monitor->session),
        .events = (short)qmp_session_events(monitor->session)};
    uint64_t now = clock_now();
    uint64_t until = min_u64(qmp_session_deadline(monitor->session), monitor->deadline);
    int result;

    if (now >= monitor->deadline)
        return -ETIMEDOUT;
    if (poll(&source, 1, until <= now ? 0 : (int)((until - now) / NSEC_PER_MSEC) + 1) < 0) {
        if (errno != EINTR)
            return -errno;
        source.revents = 0;
    }
    result = qmp_session_dispatch(monitor->session, (uint32_t)source.revents, clock_now());
    /* A dead session would try again; here the operator does. */
    return result < 0 ? result : monitor->cause;
}

static int open_failure(const char *path, enum qmp_state state, int result, struct error *ret_error)
{
    if (result == -ETIMEDOUT && state == QMP_STATE_GREETING)
        return error_set(ret_error, result,
            "its monitor at %s does not greet: it is busy, stuck, or another client has it", path);
    return error_set(
        ret_error, result, "cannot talk to its monitor at %s: %s", path, strerror(-result));
}

int undo_monitor_open(const char *path, pid_t pid, uint64_t timeout,
    struct undo_monitor **ret_monitor, struct error *ret_error)
{
    CLEANUP(undo_monitor_free_at) struct undo_monitor *monitor = calloc(1, sizeof(*monitor));
    struct qmp_options options = {
        .greeting_timeout = timeout, .on_state = state_handle, .userdata = monitor};
    enum qmp_state state = QMP_STATE_IDLE;
    pid_t peer;
    int result;

    if (!monitor)
        return error_set(ret_error, -ENOMEM, "no memory for its monitor");
    monitor->deadline = clock_now() + timeout;
    result = qmp_session_new(path, &options, &monitor->session);
    if (result == 0)
        result = qmp_session_connect(monitor->session, clock_now());
    if (result == 0)
        result = monitor->cause;
    while (result == 0 && qmp_session_state(monitor->session) != QMP_STATE_READY) {
        state = qmp_session_state(monitor->session);
        result = monitor_turn(monitor);
    }
    if (result < 0)
        return open_failure(path, state, result, ret_error);
    peer = qmp_session_peer(monitor->session);
    if (peer != pid)
        return error_set(
            ret_error, -EPERM, "%s belongs to process %d, not to this guest", path, (int)peer);
    *ret_monitor = STEAL(monitor);
    return 0;
}

struct undo_monitor *undo_monitor_free(struct undo_monitor *monitor)
{
    if (!monitor)
        return NULL;
    monitor->error = NULL;
    (void)qmp_session_free(monitor->session);
    free(monitor);
    return NULL;
}

/* Waits for the reply to what was just sent with RESULT. */
static int monitor_await(struct undo_monitor *monitor, int result, struct error *ret_error)
{
    while (result == 0 && !monitor->answered)
        result = monitor_turn(monitor);
    monitor->error = NULL;
    if (monitor->answered)
        return monitor->reply.result;
    return error_set(ret_error, result, "its monitor failed: %s", strerror(-result));
}

static uint64_t monitor_begin(struct undo_monitor *monitor, uint64_t now, struct error *ret_error)
{
    monitor->answered = false;
    monitor->error = ret_error;
    /* 0 may mean a default to the library: at least one nanosecond is left. */
    return max_u64(sub_or_zero(monitor->deadline, now), 1);
}

int undo_monitor_ask(struct undo_monitor *monitor, enum qmp_command command,
    struct qmp_reply *ret_reply, struct error *ret_error)
{
    uint64_t now = clock_now();
    uint64_t timeout = monitor_begin(monitor, now, ret_error);
    int result = qmp_execute(monitor->session, command, now, timeout, reply_handle, monitor);

    result = monitor_await(monitor, result, ret_error);
    if (result == 0)
        *ret_reply = monitor->reply;
    return result;
}

int undo_monitor_balloon(struct undo_monitor *monitor, uint64_t bytes, struct error *ret_error)
{
    uint64_t now = clock_now();
    uint64_t timeout = monitor_begin(monitor, now, ret_error);
    int result = qmp_execute_balloon(monitor->session, bytes, now, timeout, reply_handle, monitor);

    return monitor_await(monitor, result, ret_error);
}

int undo_monitor_resize(
    struct undo_monitor *monitor, const char *id, uint64_t bytes, struct error *ret_error)
{
    uint64_t now = clock_now();
    uint64_t timeout = monitor_begin(monitor, now, ret_error);
    int result = qmp_execute_set_requested_size(
        monitor->session, id, bytes, now, timeout, reply_handle, monitor);

    return monitor_await(monitor, result, ret_error);
}
