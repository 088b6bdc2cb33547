/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The real session over a real socket pair, with the input as all that the peer ever says.
 *
 * The first byte chooses in how large pieces it comes. As soon as the session is READY it has each
 * command in flight in turn, so that an input with the right ids (1 is qmp_capabilities, 2 the
 * first command, …) reaches every parser of replies. Built with -fsanitize=fuzzer, or with
 * replay.c as a test that replays the corpus.
 */
#include <plimsoll/qmp.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define INPUT_MAX ((size_t)64 * 1024) /* fits the socket's buffer */
#define DISPATCHES_MAX 100

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
    unsigned sent, answered;
    enum qmp_command next;
    uint64_t now;
};

static void on_reply(struct qmp_session *session, const struct qmp_reply *reply, void *userdata);

static void ask_next(struct qmp_session *session, struct run *run)
{
    uint64_t now = run->now, time = 1000;
    int r = 0;
    run->next = run->next + 1 < QMP_COMMAND_COUNT ? run->next + 1 : QMP_COMMAND_QUERY_STATUS;
    if (run->next == QMP_COMMAND_BALLOON)
        r = qmp_execute_balloon(session, 1, now, time, on_reply, run);
    else if (run->next == QMP_COMMAND_LIST_DEVICES)
        r = qmp_execute_list_devices(session, "/machine/peripheral", now, time, on_reply, run);
    else if (run->next == QMP_COMMAND_GET_STATISTICS)
        r = qmp_execute_get_statistics(session, "/b", now, time, on_reply, run);
    else if (run->next == QMP_COMMAND_GET_BOOLEAN)
        r = qmp_execute_get_boolean(session, "/b", "p", now, time, on_reply, run);
    else if (run->next == QMP_COMMAND_QUERY_VIRTIO_STATUS)
        r = qmp_execute_virtio_status(session, "/b", now, time, on_reply, run);
    else if (run->next == QMP_COMMAND_SET_STATISTICS_INTERVAL)
        r = qmp_execute_set_statistics_interval(session, "/b", 1, now, time, on_reply, run);
    else if (run->next == QMP_COMMAND_SET_REQUESTED_SIZE)
        r = qmp_execute_set_requested_size(session, "v", 1, now, time, on_reply, run);
    else
        r = qmp_execute(session, run->next, now, time, on_reply, run);
    if (r == -EINVAL)
        abort(); /* a command this target does not know how to ask */
    run->sent += r == 0;
}

static void on_reply(struct qmp_session *session, const struct qmp_reply *reply, void *userdata)
{
    struct run *run = userdata;
    run->answered++;
    if (!reply->error_text || reply->result > 0)
        abort();
    ask_next(session, run);
}

static void on_state(struct qmp_session *session, enum qmp_state state, int cause, void *userdata)
{
    struct run *run = userdata;
    (void)cause;
    for (int i = 0; state == QMP_STATE_READY && i < QMP_REQUESTS_MAX; i++)
        ask_next(session, run);
    /* Every request is answered exactly once before the session is dead. */
    if (state == QMP_STATE_DEAD && run->sent != run->answered)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > INPUT_MAX)
        return 0;
    size_t piece = (size_t)data[0] * data[0] + 1;
    data++;
    size--;

    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        abort();
    struct run run = {.now = 1};
    struct qmp_options options = {
        .line_max = 16384,
        .greeting_timeout = 5000,
        .on_state = on_state,
        .userdata = &run,
    };
    struct qmp_session *session;
    if (qmp_session_new(NULL, &options, &session) < 0 ||
        qmp_session_attach(session, ends[0], run.now) < 0)
        abort();

    for (int i = 0; i < DISPATCHES_MAX && qmp_session_state(session) != QMP_STATE_DEAD; i++) {
        size_t length = piece < size && i + 1 < DISPATCHES_MAX ? piece : size;
        if (length > 0 && send(ends[1], data, length, MSG_NOSIGNAL) != (ssize_t)length)
            break;
        data += length;
        size -= length;
        run.now += 10;
        (void)qmp_session_dispatch(session, 0, run.now);
    }
    close(ends[1]);
    for (int i = 0; i < DISPATCHES_MAX && qmp_session_state(session) != QMP_STATE_DEAD; i++)
        (void)qmp_session_dispatch(session, 0, run.now);
    if (qmp_session_state(session) != QMP_STATE_DEAD || qmp_session_pending(session) != 0)
        abort();
    (void)qmp_session_free(session);
    return 0;
}
