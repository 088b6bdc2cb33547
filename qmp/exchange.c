/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns nothing of its own; the messages of a session, both ways.
 *
 * A request goes out as one line, written into the session's output buffer and from there to the
 * socket at once. Its reply is found by id. The peer may answer in any order, and late; it may not
 * answer what was never asked, or name no id: then the two sides disagree on what was said, and the
 * connection dies. What is wrong inside of one reply is the matter of that request alone.
 *
 * A request is out of the table before its handler runs, so that the handler may send the next.
 */
#include "session.h"

#include "answer.h"
#include "event.h"
#include "transport.h"

#include <plimsoll/cleanup.h>

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Bytes read per call: one peer that floods us costs the others a millisecond or so a round. Longer
 * replies take several calls. */
#define READ_MAX ((size_t)32 * 1024)
#define READ_CHUNK ((size_t)8 * 1024)

/* QEMU's words are sentences, seldom above 200 bytes. */
#define ERROR_TEXT_MAX 256

/* The longest request: two strings, every byte escaped to six, and about 100 bytes around them. */
static_assert(2 * 6 * QMP_NAME_MAX + 256 < QMP_OUTPUT_MAX, "an empty output takes any request");

static int request_submit(
    struct qmp_session *session, struct qmp_request request, const struct qmp_arguments *arguments)
{
    struct qmp_requests *requests = &session->requests;
    struct qmp_request *slot = qmp_requests_free_slot(requests);
    if (!slot)
        return -EBUSY;

    request.id = requests->last_id + 1;
    struct qmp_writer writer = qmp_output_writer(&session->output);
    qmp_command_write(&writer, request.command, arguments, request.id);
    int r = qmp_output_commit(&session->output, &writer, &request.extent);
    if (r < 0)
        return r;
    requests->last_id = request.id;
    *slot = request;

    /* A broken connection shows itself again in dispatch, which can handle it. */
    (void)qmp_output_flush(&session->output, session->fd);
    return 0;
}

static void request_answer(
    struct qmp_session *session, const struct qmp_request *request, const struct qmp_reply *reply)
{
    if (request->handler)
        request->handler(session, reply, request->userdata);
}

static void request_fail(struct qmp_session *session, const struct qmp_request *request, int result)
{
    struct qmp_reply reply;
    memset(&reply, 0, sizeof(reply));
    reply.command = request->command;
    reply.result = result;
    reply.error_text = "";
    request_answer(session, request, &reply);
}

void qmp_session_abandon(struct qmp_session *session, int cause)
{
    struct qmp_request request;
    while (qmp_requests_take_oldest(&session->requests, &request))
        request_fail(session, &request, cause);
}

void qmp_session_expire(struct qmp_session *session, uint64_t now)
{
    struct qmp_requests *requests = &session->requests;
    struct qmp_request request;
    /* A handler may send a request with no time at all: that one waits for the next call. */
    for (unsigned i = 0; i < QMP_REQUESTS_MAX; i++) {
        if (!qmp_requests_take_expired(requests, now, &request))
            return;
        if (qmp_output_withdraw(&session->output, &request.extent))
            qmp_requests_withdrawn(requests, &request.extent);
        else if (request.id > requests->overdue_id)
            requests->overdue_id = request.id;
        request_fail(session, &request, -ETIMEDOUT);
    }
}

static int greeting_handle(struct qmp_session *session)
{
    if (session->state != QMP_STATE_GREETING)
        return -EPROTO;
    qmp_session_enter(session, QMP_STATE_NEGOTIATING, 0);
    /* The handshake's own deadline bounds it. */
    struct qmp_request request = {
        .command = QMP_COMMAND_CAPABILITIES,
        .deadline = QMP_NEVER,
    };
    return request_submit(session, request, NULL);
}

/* The answer to qmp_capabilities, which no handler waits for. */
static int negotiation_handle(struct qmp_session *session, const struct qmp_reply *reply)
{
    if (reply->result < 0)
        return reply->result;
    session->deadline = QMP_NEVER;
    session->backoff = session->options.backoff_min;
    qmp_session_enter(session, QMP_STATE_READY, 0);
    return 0;
}

static int reply_handle(struct qmp_session *session, const struct qmp_message *message)
{
    struct qmp_requests *requests = &session->requests;
    if (message->id == 0 || message->id > requests->last_id)
        return -EPROTO;
    if (message->id > requests->replied_id)
        requests->replied_id = message->id;
    struct qmp_request request;
    if (!qmp_requests_take(requests, message->id, &request))
        return 0;

    char text[ERROR_TEXT_MAX] = "";
    struct qmp_reply reply;
    memset(&reply, 0, sizeof(reply));
    reply.command = request.command;
    reply.error_text = text;
    if (message->kind == QMP_MESSAGE_ERROR) {
        reply.result = qmp_answer_error(message->body, text, sizeof(text), &reply.error_class);
        if (reply.result == 0)
            reply.result = -EREMOTEIO;
    } else {
        reply.result = qmp_command_parse(request.command, message->body, request.container, &reply);
    }
    if (request.command == QMP_COMMAND_CAPABILITIES)
        return negotiation_handle(session, &reply);
    request_answer(session, &request, &reply);
    return 0;
}

static int line_handle(struct qmp_session *session, const char *line, size_t length)
{
    if (length == 0)
        return 0;
    struct qmp_message message;
    int r = qmp_message_parse(&session->parser, line, length, &message);
    if (r < 0)
        return r;

    struct qmp_event_record record;
    switch (message.kind) {
    case QMP_MESSAGE_GREETING:
        r = greeting_handle(session);
        break;
    case QMP_MESSAGE_RETURN:
    case QMP_MESSAGE_ERROR:
        r = reply_handle(session, &message);
        break;
    case QMP_MESSAGE_EVENT:
        record = qmp_event_parse(message.root);
        if (session->options.on_event)
            session->options.on_event(session, &record, session->options.userdata);
        break;
    }
    qmp_message_release(&message);
    return r;
}

int qmp_session_receive(struct qmp_session *session, bool *ret_drained)
{
    for (size_t taken = 0; taken < READ_MAX;) {
        char chunk[READ_CHUNK];
        ssize_t received = qmp_transport_receive(session->fd, chunk, sizeof(chunk));
        if (received == -EAGAIN) {
            *ret_drained = true;
            return 0;
        }
        if (received < 0)
            return (int)received;

        const char *bytes = chunk;
        size_t length = (size_t)received;
        const char *line;
        size_t line_length;
        int r;
        while ((r = qmp_frame_next(&session->frame, &bytes, &length, &line, &line_length)) > 0) {
            r = line_handle(session, line, line_length);
            if (r < 0)
                return r;
        }
        if (r < 0)
            return r;
        taken += (size_t)received;
    }
    *ret_drained = false;
    return 0;
}

static int session_execute(struct qmp_session *session, enum qmp_command command,
    const struct qmp_arguments *arguments, const char *container, uint64_t now, uint64_t timeout,
    qmp_reply_handler handler, void *userdata)
{
    if (session->state != QMP_STATE_READY || session->dying)
        return -ENOTCONN;
    struct qmp_request request = {
        .command = command,
        .deadline = timeout < QMP_NEVER - now ? now + timeout : QMP_NEVER,
        .container = container,
        .handler = handler,
        .userdata = userdata,
    };
    return request_submit(session, request, arguments);
}

/* Whether TEXT may be sent as a name: neither empty nor cut, and UTF-8 (QEMU answers anything else
 * with an error that has no id, which costs the connection). */
static bool name_is_good(const char *text)
{
    char quoted[6 * QMP_NAME_MAX + 2];
    struct qmp_writer writer = {.text = quoted, .size = sizeof(quoted)};
    if (!text || !*text || strnlen(text, QMP_NAME_MAX) == QMP_NAME_MAX)
        return false;
    qmp_writer_string(&writer, text);
    return !writer.bad;
}

int qmp_execute(struct qmp_session *session, enum qmp_command command, uint64_t now,
    uint64_t timeout, qmp_reply_handler handler, void *userdata)
{
    if (!qmp_command_is_plain(command))
        return -EINVAL;
    return session_execute(session, command, NULL, NULL, now, timeout, handler, userdata);
}

int qmp_execute_balloon(struct qmp_session *session, uint64_t bytes, uint64_t now, uint64_t timeout,
    qmp_reply_handler handler, void *userdata)
{
    /* QEMU takes an int64. */
    if (bytes == 0 || bytes > INT64_MAX)
        return -EINVAL;
    struct qmp_arguments arguments = {.value = bytes};
    return session_execute(
        session, QMP_COMMAND_BALLOON, &arguments, NULL, now, timeout, handler, userdata);
}

int qmp_execute_list_devices(struct qmp_session *session, const char *path, uint64_t now,
    uint64_t timeout, qmp_reply_handler handler, void *userdata)
{
    /* Where QEMU puts what -device made, with an id and without. */
    static const char *const containers[] = {"/machine/peripheral", "/machine/peripheral-anon"};
    for (size_t i = 0; path && i < ELEMENTSOF(containers); i++) {
        if (strcmp(path, containers[i]) != 0)
            continue;
        struct qmp_arguments arguments = {.path = containers[i]};
        return session_execute(session, QMP_COMMAND_LIST_DEVICES, &arguments, containers[i], now,
            timeout, handler, userdata);
    }
    return -EINVAL;
}

int qmp_execute_get_statistics(struct qmp_session *session, const char *device, uint64_t now,
    uint64_t timeout, qmp_reply_handler handler, void *userdata)
{
    if (!name_is_good(device))
        return -EINVAL;
    struct qmp_arguments arguments = {.path = device, .property = "guest-stats"};
    return session_execute(
        session, QMP_COMMAND_GET_STATISTICS, &arguments, NULL, now, timeout, handler, userdata);
}

int qmp_execute_get_boolean(struct qmp_session *session, const char *device, const char *property,
    uint64_t now, uint64_t timeout, qmp_reply_handler handler, void *userdata)
{
    if (!name_is_good(device) || !name_is_good(property))
        return -EINVAL;
    struct qmp_arguments arguments = {.path = device, .property = property};
    return session_execute(
        session, QMP_COMMAND_GET_BOOLEAN, &arguments, NULL, now, timeout, handler, userdata);
}

int qmp_execute_virtio_status(struct qmp_session *session, const char *device, uint64_t now,
    uint64_t timeout, qmp_reply_handler handler, void *userdata)
{
    /* The virtio device proper is a child of its transport (virtio_instance_init_common(),
     * hw/virtio/virtio.c). */
    static const char backend[] = "/virtio-backend";
    char path[QMP_NAME_MAX + sizeof(backend)];
    if (!name_is_good(device))
        return -EINVAL;
    (void)snprintf(path, sizeof(path), "%s%s", device, backend);
    struct qmp_arguments arguments = {.path = path};
    return session_execute(session, QMP_COMMAND_QUERY_VIRTIO_STATUS, &arguments, NULL, now, timeout,
        handler, userdata);
}

int qmp_execute_set_statistics_interval(struct qmp_session *session, const char *device,
    uint32_t seconds, uint64_t now, uint64_t timeout, qmp_reply_handler handler, void *userdata)
{
    if (!name_is_good(device))
        return -EINVAL;
    struct qmp_arguments arguments = {
        .path = device,
        .property = "guest-stats-polling-interval",
        .value = seconds,
    };
    return session_execute(session, QMP_COMMAND_SET_STATISTICS_INTERVAL, &arguments, NULL, now,
        timeout, handler, userdata);
}

int qmp_execute_set_requested_size(struct qmp_session *session, const char *id, uint64_t bytes,
    uint64_t now, uint64_t timeout, qmp_reply_handler handler, void *userdata)
{
    static const char container[] = "/machine/peripheral/";
    char path[sizeof(container) + QMP_NAME_MAX];
    if (!name_is_good(id) || bytes > INT64_MAX)
        return -EINVAL;
    (void)snprintf(path, sizeof(path), "%s%s", container, id);
    struct qmp_arguments arguments = {.path = path, .property = "requested-size", .value = bytes};
    return session_execute(
        session, QMP_COMMAND_SET_REQUESTED_SIZE, &arguments, NULL, now, timeout, handler, userdata);
}
