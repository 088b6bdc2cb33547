/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the control socket's clients. Theory of operation:
 *
 * Each client has a fixed buffer for requests and at most one reply on its way. It is in one of
 * three states, which decide what is watched and for how long:
 *
 *   waiting   nothing complete in the buffer    EPOLLIN    idle, or request patience once begun
 *   ready     a complete request is buffered    nothing    answered when its turn comes
 *   replying  a reply is being sent             EPOLLOUT   reply patience
 *
 * One request of all clients in a turn of the loop, the ready ones in rotation: a reply can cost
 * milliseconds (the status of 1,024 VMs takes 5), and the guard's tick must not stand behind a
 * dozen of them. So handlers only receive and send; control_server_expire(), which the guard calls
 * between tick and wait, answers. While a client is replying nothing is read, so what a client can
 * make us hold is its buffer and one reply; the rest waits in its own socket. Patience counts from
 * the beginning of a request or reply, not from its last byte, so that dripping bytes gains
 * nothing.
 *
 * A request that is no varlink costs the client its connection: there is nothing to resynchronise
 * on. A peer that shut down its sending side still gets its answers.
 */
#include "control_server.h"

#include "control_call.h"
#include "control_socket.h"
#include "log.h"

#include <errno.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/control.h>
#include <plimsoll/units.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Out of descriptors, the listener stays readable: it is left alone for so long. */
#define CONTROL_ACCEPT_PAUSE NSEC_PER_SEC

struct control_client {
    struct loop_source source;
    struct control_server *server;
    bool privileged;
    bool ended; /* the peer sends no more */
    bool ready;
    uint64_t deadline;
    size_t received;
    struct json_object *reply; /* owns reply_text; NULL: none on its way */
    const char *reply_text;
    size_t reply_length, reply_sent; /* with its NUL */
    char request[CONTROL_REQUEST_MAX];
};

struct control_server {
    struct loop *loop;
    struct loop_source listener;
    uint64_t listener_resume; /* NEVER: it is watched */
    struct control_service service;
    struct json_tokener *tokener;
    struct log_limit limit;
    struct control_socket_place place;
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    unsigned turn; /* the client that is asked first whether it is ready */
    struct control_client clients[CONTROL_CLIENTS_MAX];
};

static void client_close(struct control_client *client)
{
    int fd = client->source.fd;

    if (fd < 0)
        return;
    loop_remove(client->server->loop, &client->source);
    (void)close(fd);
    json_object_put(client->reply);
    client->reply = NULL;
    client->received = 0;
    client->ready = false;
    client->source = LOOP_SOURCE_NONE;
}

/* Length of the complete request at the buffer's head, its NUL included; 0: none. */
static size_t client_request_length(const struct control_client *client)
{
    const char *end = memchr(client->request, '\0', client->received);

    return end ? (size_t)(end - client->request) + 1 : 0;
}

/* Sends what the socket takes. 0, or a negative errno after which the client is to be closed. */
static int client_send(struct control_client *client)
{
    while (client->reply_sent < client->reply_length) {
        ssize_t count = send(client->source.fd, client->reply_text + client->reply_sent,
            client->reply_length - client->reply_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        client->reply_sent += (size_t)count;
    }
    json_object_put(client->reply);
    client->reply = NULL;
    return 0;
}

/* Takes REPLY over. */
static int client_reply(struct control_client *client, struct json_object *reply, uint64_t now)
{
    size_t length = 0;
    const char *text = json_object_to_json_string_length(reply, JSON_C_TO_STRING_PLAIN, &length);

    if (text && length >= CONTROL_REPLY_MAX) {
        json_object_put(reply);
        reply = varlink_error_new(CONTROL_ERROR_FAILED, "message",
            "the reply is longer than the protocol's bound; ask for less");
        if (!reply)
            return -ENOMEM;
        text = json_object_to_json_string_length(reply, JSON_C_TO_STRING_PLAIN, &length);
    }
    if (!text) {
        json_object_put(reply);
        return -ENOMEM;
    }
    client->reply = reply;
    client->reply_text = text;
    client->reply_length = length + 1;
    client->reply_sent = 0;
    client->deadline = now + CONTROL_REPLY_TIMEOUT;
    return client_send(client);
}

static int client_answer(struct control_client *client, size_t length, uint64_t now)
{
    struct control_server *server = client->server;
    struct varlink_call call;
    struct json_object *reply;
    bool oneway;
    int result;

    result = varlink_call_parse(server->tokener, client->request, length - 1, &call);
    if (result < 0)
        return result;
    client->received -= length;
    memmove(client->request, client->request + length, client->received);

    reply = control_call_answer(&server->service, &call, client->privileged);
    oneway = call.oneway;
    varlink_call_clear(&call);
    if (!reply)
        return -ENOMEM;
    if (oneway) {
        json_object_put(reply);
        return 0;
    }
    return client_reply(client, reply, now);
}

static int client_receive(struct control_client *client, uint64_t now)
{
    size_t room = sizeof(client->request) - client->received;
    ssize_t count = recv(client->source.fd, client->request + client->received, room, MSG_DONTWAIT);

    if (count < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (count == 0) {
        client->ended = true;
        return 0;
    }
    if (client->received == 0)
        client->deadline = now + CONTROL_REQUEST_TIMEOUT;
    client->received += (size_t)count;
    return 0;
}

/* What the client's state asks for next; a negative errno: it is to be closed. */
static int client_watch(struct control_client *client, uint64_t now)
{
    uint32_t events = client->reply ? EPOLLOUT : 0;

    client->ready = !client->reply && client_request_length(client) > 0;
    if (!client->reply && !client->ready) {
        if (client->ended)
            return -ECONNRESET;
        if (client->received == sizeof(client->request))
            return -EMSGSIZE;
        if (client->received == 0)
            client->deadline = now + CONTROL_IDLE_TIMEOUT;
        events = EPOLLIN;
    }
    if (events == client->source.events)
        return 0;
    return loop_change(client->server->loop, &client->source, events);
}

static void client_settle(struct control_client *client, int result, uint64_t now)
{
    if (result == 0)
        result = client_watch(client, now);
    if (result < 0)
        client_close(client);
}

static void client_handle(struct loop_source *source, uint32_t events)
{
    struct control_client *client = container_of(source, struct control_client, source);
    uint64_t now = loop_now();
    int result = 0;

    if (client->ready)
        return; /* the peer is gone; what it asked before is still done */
    if (client->reply) {
        result = client_send(client);
        /* What waits in the buffer began when we became free to look at it. */
        if (!client->reply)
            client->deadline = now + CONTROL_REQUEST_TIMEOUT;
    } else if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        result = client_receive(client, now);
    }
    client_settle(client, result, now);
}

static void answer_next(struct control_server *server, uint64_t now)
{
    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        unsigned number = (server->turn + i) % CONTROL_CLIENTS_MAX;
        struct control_client *client = &server->clients[number];

        if (!client->ready)
            continue;
        server->turn = number + 1;
        client_settle(client, client_answer(client, client_request_length(client), now), now);
        return;
    }
}

/* The free place a peer with such rights may take; NULL: none. */
static struct control_client *client_place(struct control_server *server, bool privileged)
{
    struct control_client *place = NULL;
    unsigned readers = 0;

    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        struct control_client *client = &server->clients[i];

        if (client->source.fd < 0)
            place = place ? place : client;
        else if (!client->privileged)
            readers++;
    }
    return privileged || readers < CONTROL_CLIENTS_READERS_MAX ? place : NULL;
}

static void client_add(struct control_server *server, int fd)
{
    struct control_client *client;
    struct ucred peer;
    socklen_t size = sizeof(peer);
    uint64_t now = loop_now();
    bool privileged;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) {
        (void)close(fd);
        return;
    }
    privileged = peer.uid == 0 || peer.uid == geteuid();
    client = client_place(server, privileged);
    if (!client) {
        log_limited(&server->limit, now, LOG_WARNING,
            "control: too many clients, turned away uid %u, pid %d; is something polling %s?",
            (unsigned)peer.uid, (int)peer.pid, server->path);
        (void)close(fd);
        return;
    }
    client->privileged = privileged;
    client->ended = false;
    client->deadline = now + CONTROL_IDLE_TIMEOUT;
    if (loop_add(server->loop, &client->source, fd, EPOLLIN, client_handle) < 0) {
        client->source = LOOP_SOURCE_NONE;
        (void)close(fd);
    }
}

static void listener_handle(struct loop_source *source, uint32_t events)
{
    struct control_server *server = container_of(source, struct control_server, listener);
    int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)events;
    if (fd >= 0) {
        client_add(server, fd);
        return;
    }
    if (errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS)
        return; /* the peer went away again, or nothing is there */
    log_limited(&server->limit, loop_now(), LOG_WARNING, "control: cannot accept clients: %s",
        strerror(errno));
    if (loop_change(server->loop, source, 0) == 0)
        server->listener_resume = loop_now() + CONTROL_ACCEPT_PAUSE;
}

int control_server_new(struct loop *loop, const char *path, const struct control_method *methods,
    unsigned method_count, const char *description, void *userdata,
    struct control_server **ret_server, struct error *ret_error)
{
    struct control_server *server = calloc(1, sizeof(*server));
    int result, fd = -1;

    if (!server)
        return error_set(ret_error, -ENOMEM, "no memory for the control socket");
    server->loop = loop;
    server->listener = LOOP_SOURCE_NONE;
    server->listener_resume = NEVER;
    server->service = (struct control_service){.methods = methods,
        .method_count = method_count,
        .description = description,
        .userdata = userdata};
    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        server->clients[i].server = server;
        server->clients[i].source = LOOP_SOURCE_NONE;
    }
    server->tokener = varlink_tokener_new();
    if (!server->tokener) {
        (void)control_server_free(server);
        return error_set(ret_error, -ENOMEM, "no memory for the control socket");
    }
    result = control_socket_open(path, &fd, &server->place, ret_error);
    if (result < 0) {
        (void)control_server_free(server);
        return result;
    }
    memcpy(server->path, path, strlen(path) + 1); /* it fits: control_socket_open() has checked */
    result = loop_add(loop, &server->listener, fd, EPOLLIN, listener_handle);
    if (result < 0) {
        server->listener = LOOP_SOURCE_NONE;
        (void)close(fd);
        (void)control_server_free(server);
        return error_set(ret_error, result, "cannot watch %s: %s", path, strerror(-result));
    }
    *ret_server = server;
    return 0;
}

struct control_server *control_server_free(struct control_server *server)
{
    if (!server)
        return NULL;
    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
        client_close(&server->clients[i]);
    if (server->path[0])
        control_socket_unlink(server->path, &server->place);
    if (server->listener.fd >= 0) {
        int fd = server->listener.fd;

        loop_remove(server->loop, &server->listener);
        (void)close(fd);
    }
    if (server->tokener)
        json_tokener_free(server->tokener);
    free(server);
    return NULL;
}

uint64_t control_server_deadline(const struct control_server *server)
{
    uint64_t deadline = server->listener_resume;

    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        const struct control_client *client = &server->clients[i];

        if (client->ready)
            return 0;
        if (client->source.fd >= 0)
            deadline = min_u64(deadline, client->deadline);
    }
    return deadline;
}

void control_server_expire(struct control_server *server, uint64_t now)
{
    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        struct control_client *client = &server->clients[i];

        if (client->source.fd >= 0 && !client->ready && now >= client->deadline)
            client_close(client);
    }
    if (now >= server->listener_resume &&
        loop_change(server->loop, &server->listener, EPOLLIN) == 0)
        server->listener_resume = NEVER;
    answer_next(server, now);
}
