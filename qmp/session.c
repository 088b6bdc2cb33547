/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns struct qmp_session: the socket, the state, the deadlines and the tries to reconnect.
 *
 * A session is driven by dispatch alone. Each call reads first, then writes, then looks at the
 * clock: a reply that lies in the socket wins over a deadline that passed because we ourselves were
 * late. One deadline covers the way from connect to READY, so that neither a monitor that is busy
 * with another client (it accepts, and stays silent) nor one that never answers qmp_capabilities
 * can hold a session; then each request has its own.
 *
 * Death, from whatever cause, has one order: close the socket, give back what receiving needed,
 * answer all requests, then be DEAD and say so. A session that knows its path tries again after a
 * back-off that doubles from try to try, and starts anew once a session was READY. There is no
 * jitter: each peer is a process of its own on this host, so there is no herd to break up.
 */
#include "session.h"

#include "transport.h"

#include <plimsoll/cleanup.h>
#include <plimsoll/units.h>

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define LINE_MAX_DEFAULT ((size_t)1024 * 1024) /* query-cpus-fast with 4096 vCPUs: 740 KiB */
#define LINE_MAX_LIMIT ((size_t)256 * 1024 * 1024)
/* json-c's own default. What we ask for nests 5 deep at most (query-memory-devices); events and
 * errors no deeper. 32 levels cost 1.2 KiB a session, so there is nothing to gain below. */
#define DEPTH_MAX_DEFAULT 32
#define DEPTH_MAX_LIMIT 1024 /* json-c frees a tree by recursion */
/* A tree may take 16 times the longest line: what the objects of query-cpus-fast take, measured. */
#define TREE_PER_LINE 16
#define GREETING_TIMEOUT_DEFAULT (10 * NSEC_PER_SEC)
#define BACKOFF_MIN_DEFAULT (1 * NSEC_PER_SEC)
#define BACKOFF_MAX_DEFAULT (60 * NSEC_PER_SEC)
/* Dispatches that may leave something unread before deadlines count all the same: enough to read
 * the longest line there is by default, and one more. */
#define UNDRAINED_MAX 33

static const char *const state_names[] = {
    [QMP_STATE_IDLE] = "idle",
    [QMP_STATE_CONNECTING] = "connecting",
    [QMP_STATE_GREETING] = "greeting",
    [QMP_STATE_NEGOTIATING] = "negotiating",
    [QMP_STATE_READY] = "ready",
    [QMP_STATE_DEAD] = "dead",
};
static_assert(ELEMENTSOF(state_names) == QMP_STATE_COUNT, "one name for each state");

static struct qmp_options options_complete(const struct qmp_options *options)
{
    struct qmp_options all = options ? *options : (struct qmp_options){0};
    if (all.line_max == 0)
        all.line_max = LINE_MAX_DEFAULT;
    if (all.depth_max == 0)
        all.depth_max = DEPTH_MAX_DEFAULT;
    if (all.greeting_timeout == 0)
        all.greeting_timeout = GREETING_TIMEOUT_DEFAULT;
    if (all.backoff_min == 0)
        all.backoff_min = BACKOFF_MIN_DEFAULT;
    if (all.backoff_max == 0)
        all.backoff_max = max_u64(BACKOFF_MAX_DEFAULT, all.backoff_min);
    return all;
}

int qmp_session_new(
    const char *path, const struct qmp_options *options, struct qmp_session **ret_session)
{
    struct qmp_options all = options_complete(options);
    if (all.line_max > LINE_MAX_LIMIT || all.depth_max > DEPTH_MAX_LIMIT ||
        all.backoff_max < all.backoff_min)
        return -EINVAL;
    if (path && !qmp_transport_path_fits(path))
        return *path ? -ENAMETOOLONG : -EINVAL;

    size_t path_size = path ? strlen(path) + 1 : 1;
    struct qmp_session *session = calloc(1, sizeof(*session) + path_size);
    if (!session)
        return -ENOMEM;
    session->options = all;
    session->state = QMP_STATE_IDLE;
    session->fd = -1;
    session->deadline = QMP_NEVER;
    session->backoff = all.backoff_min;
    session->frame.line_max = all.line_max;
    session->parser.depth_max = all.depth_max;
    session->parser.tree_max = all.line_max * TREE_PER_LINE;
    if (path)
        memcpy(session->path, path, path_size);
    *ret_session = session;
    return 0;
}

/* The connection's own parts, back to what they were before it. */
static void connection_release(struct qmp_session *session)
{
    if (session->fd >= 0)
        close(session->fd);
    session->fd = -1;
    session->peer = 0;
    session->output.begin = 0;
    session->output.end = 0;
    session->output.position = 0;
    qmp_frame_release(&session->frame);
    qmp_parser_release(&session->parser);
}

struct qmp_session *qmp_session_free(struct qmp_session *session)
{
    if (!session)
        return NULL;
    connection_release(session);
    free(session);
    return NULL;
}

void qmp_session_enter(struct qmp_session *session, enum qmp_state state, int cause)
{
    session->state = state;
    session->cause = cause;
    if (session->options.on_state)
        session->options.on_state(session, state, cause, session->options.userdata);
}

static void session_die(struct qmp_session *session, int cause, uint64_t now)
{
    session->dying = true;
    connection_release(session);
    qmp_session_abandon(session, cause);
    session->dying = false;

    session->deadline = QMP_NEVER;
    if (session->reconnects) {
        session->deadline = add_held(now, session->backoff);
        session->backoff =
            min_u64(add_held(session->backoff, session->backoff), session->options.backoff_max);
    }
    qmp_session_enter(session, QMP_STATE_DEAD, cause);
}

static void session_begin(struct qmp_session *session, int fd, bool connected, uint64_t now)
{
    session->fd = fd;
    session->deadline = add_held(now, session->options.greeting_timeout);
    session->requests.overdue_id = 0;
    session->requests.replied_id = 0;
    session->peer = connected ? qmp_transport_peer(fd) : 0;
    qmp_session_enter(session, connected ? QMP_STATE_GREETING : QMP_STATE_CONNECTING, 0);
}

static void session_start(struct qmp_session *session, uint64_t now)
{
    int fd;
    int r = qmp_transport_connect(session->path, &fd);
    if (r < 0)
        session_die(session, r, now);
    else
        session_begin(session, fd, r == 0, now);
}

static bool session_is_connected(const struct qmp_session *session)
{
    return session->fd >= 0;
}

int qmp_session_connect(struct qmp_session *session, uint64_t now)
{
    if (session_is_connected(session))
        return 0;
    if (!session->path[0])
        return -EINVAL;
    session->reconnects = true;
    session_start(session, now);
    return 0;
}

int qmp_session_attach(struct qmp_session *session, int fd, uint64_t now)
{
    if (session_is_connected(session))
        return -EISCONN;
    int r = qmp_transport_adopt(fd);
    if (r < 0)
        return r;
    session->reconnects = false;
    session_begin(session, fd, true, now);
    return 0;
}

static int connecting_finish(struct qmp_session *session)
{
    int r = qmp_transport_finish(session->fd);
    if (r == -EINPROGRESS)
        return 0;
    if (r < 0)
        return r;
    session->peer = qmp_transport_peer(session->fd);
    qmp_session_enter(session, QMP_STATE_GREETING, 0);
    return 0;
}

static int session_exchange(struct qmp_session *session, bool *ret_drained)
{
    bool drained;
    int r = qmp_session_receive(session, &drained);
    if (r < 0)
        return r;
    r = qmp_output_flush(&session->output, session->fd);
    /* A peer that takes nothing more may have said something before: that is read to its end. */
    if (r == -EPIPE || r == -ECONNRESET)
        r = drained ? -ECONNRESET : 0;
    *ret_drained = drained;
    return r;
}

/* Reads, writes, and looks at the clock. */
static int session_step(struct qmp_session *session, uint64_t now)
{
    bool drained = true;
    int r = 0;
    if (session->state == QMP_STATE_CONNECTING)
        r = connecting_finish(session);
    if (r == 0 && session->state != QMP_STATE_CONNECTING)
        r = session_exchange(session, &drained);
    if (r < 0)
        return r;
    /* The reply may lie behind what was read; a peer that floods does not put deadlines off for
     * ever, though. */
    session->undrained = drained ? 0 : session->undrained + 1;
    if (!drained && session->undrained < UNDRAINED_MAX)
        return 0;
    if (session->deadline <= now)
        return -ETIMEDOUT;
    qmp_session_expire(session, now);
    return 0;
}

int qmp_session_dispatch(struct qmp_session *session, uint32_t revents, uint64_t now)
{
    /* The socket itself tells, and is asked each time: it costs one recv(), and a reply that came
     * after the poll is still in time. */
    (void)revents;
    if (session->state == QMP_STATE_DEAD && session->deadline <= now) {
        session_start(session, now);
    } else if (session_is_connected(session)) {
        int r = session_step(session, now);
        if (r < 0)
            session_die(session, r, now);
    }
    return session->state == QMP_STATE_DEAD ? session->cause : 0;
}

int qmp_session_fd(const struct qmp_session *session)
{
    return session->fd;
}

uint32_t qmp_session_events(const struct qmp_session *session)
{
    if (!session_is_connected(session))
        return 0;
    if (session->state == QMP_STATE_CONNECTING)
        return EPOLLOUT;
    return EPOLLIN | (qmp_output_empty(&session->output) ? 0u : (uint32_t)EPOLLOUT);
}

uint64_t qmp_session_deadline(const struct qmp_session *session)
{
    return min_u64(session->deadline, qmp_requests_deadline(&session->requests));
}

enum qmp_state qmp_session_state(const struct qmp_session *session)
{
    return session->state;
}

const char *qmp_session_path(const struct qmp_session *session)
{
    return session->path;
}

pid_t qmp_session_peer(const struct qmp_session *session)
{
    return session->peer;
}

unsigned qmp_session_pending(const struct qmp_session *session)
{
    return qmp_requests_count(&session->requests);
}

bool qmp_session_overdue(const struct qmp_session *session)
{
    return session->requests.overdue_id > session->requests.replied_id;
}

const char *qmp_state_name(enum qmp_state state)
{
    return state_names[state];
}
