/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the conversation with the guard. Theory of operation: a non-blocking socket driven by poll()
 * against one deadline for everything. The reply is believed as little as a stranger's: bounded,
 * strictly parsed, and the guard's words are cleaned before they are shown.
 */
#include "client.h"

#include <errno.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/control.h>
#include <plimsoll/units.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define REPLY_SIZE_FIRST 16384
/* Deeper than any reply of ours. */
#define REPLY_DEPTH_MAX 16
/* A Unix socket with a full backlog cannot be polled for; asked again so often. */
#define CONNECT_INTERVAL (20 * NSEC_PER_MSEC)

struct client {
    int fd;
    uint64_t deadline;
    const struct client_aside *aside; /* NULL: there is none */
    char *reply;                      /* what was received; complete once it holds a NUL */
    size_t size, used;
};

static uint64_t clock_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

static void client_clear(struct client *client)
{
    if (client->fd >= 0)
        (void)close(client->fd);
    free(client->reply);
}

/* Waits for EVENTS, with 0 for nothing but what goes on aside, at most until UNTIL; -ETIMEDOUT
 * then. */
static int client_wait_until(const struct client *client, short events, uint64_t until)
{
    struct pollfd sources[] = {
        {.fd = events ? client->fd : -1, .events = events},
        {.fd = client->aside ? client->aside->fd : -1, .events = POLLIN},
    };

    for (;;) {
        uint64_t now = clock_now();
        int count;

        if (now >= until)
            return -ETIMEDOUT;
        count = poll(sources, ELEMENTSOF(sources), (int)((until - now) / NSEC_PER_MSEC) + 1);
        if (count < 0 && errno != EINTR)
            return -errno;
        if (count > 0 && client->aside && sources[1].revents &&
            !client->aside->ready(client->aside->userdata))
            return -ECANCELED;
        if (count > 0 && sources[0].revents)
            return 0;
    }
}

/* Waits for EVENTS; -ETIMEDOUT at the deadline. */
static int client_wait(const struct client *client, short events)
{
    return client_wait_until(client, events, client->deadline);
}

static int client_connect(struct client *client, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path));
    client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (client->fd < 0)
        return -errno;
    while (connect(client->fd, (const void *)&address, sizeof(address)) < 0) {
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return -errno;
        uint64_t now = clock_now();
        if (now >= client->deadline)
            return -ETIMEDOUT;
        int result = client_wait_until(client, 0, now + CONNECT_INTERVAL);
        if (result != -ETIMEDOUT)
            return result;
    }
    return 0;
}

static int client_send(const struct client *client, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t count;
        int result = client_wait(client, POLLOUT);

        if (result < 0)
            return result;
        count = send(client->fd, text, length, MSG_NOSIGNAL);
        if (count < 0 && errno != EAGAIN && errno != EINTR)
            return -errno;
        if (count > 0) {
            text += count;
            length -= (size_t)count;
        }
    }
    return 0;
}

static int client_grow(struct client *client)
{
    size_t size = client->size ? 2 * client->size : REPLY_SIZE_FIRST;
    char *reply;

    if (client->size >= CONTROL_REPLY_MAX)
        return -EMSGSIZE;
    reply = realloc(client->reply, size);
    if (!reply)
        return -ENOMEM;
    client->reply = reply;
    client->size = size;
    return 0;
}

/* Receives until the reply's NUL. */
static int client_receive(struct client *client)
{
    for (;;) {
        ssize_t count;
        int result = 0;

        if (client->used == client->size)
            result = client_grow(client);
        if (result == 0)
            result = client_wait(client, POLLIN);
        if (result < 0)
            return result;
        count = recv(client->fd, client->reply + client->used, client->size - client->used, 0);
        if (count == 0)
            return -ECONNRESET;
        if (count < 0) {
            if (errno == EAGAIN || errno == EINTR)
                continue;
            return -errno;
        }
        client->used += (size_t)count;
        if (memchr(client->reply + client->used - (size_t)count, '\0', (size_t)count))
            return 0;
    }
}

static int reach_failure(const char *path, int result, struct error *ret_error)
{
    switch (-result) {
    case EACCES:
    case EPERM:
        return error_set(ret_error, result,
            "may not use %s: become root or a member of group " CONTROL_GROUP, path);
    case ETIMEDOUT:
        return error_set(ret_error, result,
            "the guard at %s does not answer. Look at: systemctl status plimsolld", path);
    case ECONNRESET:
    case EPIPE:
        return error_set(ret_error, result,
            "the guard at %s closed the connection. It takes a bounded number of clients; try "
            "again, then look at: journalctl -u plimsolld",
            path);
    case E2BIG:
    case ENOMEM:
        return error_set(
            ret_error, result, "cannot ask the guard at %s: %s", path, strerror(-result));
    case EMSGSIZE:
    case EBADMSG:
        return error_set(
            ret_error, result, "what answers at %s does not speak as the guard does", path);
    default:
        return error_set(ret_error, result,
            "cannot reach the guard at %s: %s. Is plimsolld running? systemctl status plimsolld",
            path, strerror(-result));
    }
}

static const char *member_text(struct json_object *object, const char *key)
{
    struct json_object *value = NULL;

    if (!object || !json_object_is_type(object, json_type_object) ||
        !json_object_object_get_ex(object, key, &value) ||
        !json_object_is_type(value, json_type_string))
        return "";
    return json_object_get_string(value);
}

static int reply_failure(
    const char *method, const char *error, struct json_object *parameters, struct error *ret_error)
{
    if (strcmp(error, CONTROL_ERROR_FAILED) == 0)
        return error_set(ret_error, -EREMOTEIO, "%s", member_text(parameters, "message"));
    if (strcmp(error, VARLINK_ERROR_PERMISSION_DENIED) == 0)
        return error_set(ret_error, -EREMOTEIO, "this needs root: it changes what the guard does");
    if (strcmp(error, VARLINK_ERROR_METHOD_NOT_FOUND) == 0)
        return error_set(ret_error, -EREMOTEIO,
            "the guard does not know %s: it is of another version; restart it after an upgrade",
            method);
    return error_set(ret_error, -EREMOTEIO, "the guard answered %s to %s", error, method);
}

static int reply_read(const struct client *client, const char *method,
    struct json_object **ret_parameters, struct error *ret_error)
{
    struct json_tokener *tokener = json_tokener_new_ex(REPLY_DEPTH_MAX);
    struct json_object *reply, *parameters = NULL, *error = NULL;
    int result = -EBADMSG;

    if (!tokener)
        return -ENOMEM;
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    reply = json_tokener_parse_ex(tokener, client->reply, (int)strlen(client->reply));
    json_tokener_free(tokener);
    if (reply && json_object_is_type(reply, json_type_object)) {
        (void)json_object_object_get_ex(reply, "parameters", &parameters);
        if (json_object_object_get_ex(reply, "error", &error)) {
            result = reply_failure(method, member_text(reply, "error"), parameters, ret_error);
        } else if (json_object_is_type(parameters, json_type_object)) {
            *ret_parameters = json_object_get(parameters);
            result = 0;
        }
    }
    json_object_put(reply);
    return result;
}

/* NULL: no memory. PARAMETERS stay the caller's, and are NULL where there are none. */
static struct json_object *request_new(const char *method, struct json_object *parameters)
{
    struct json_object *request = json_object_new_object();
    struct json_object *name = json_object_new_string(method);

    if (request && name && json_object_object_add(request, "method", name) == 0) {
        if (!parameters)
            return request;
        if (json_object_object_add(request, "parameters", json_object_get(parameters)) == 0)
            return request;
        json_object_put(parameters);
    } else {
        json_object_put(name);
    }
    json_object_put(request);
    return NULL;
}

static int client_converse(struct client *client, const char *path, struct json_object *request)
{
    size_t length;
    const char *text = json_object_to_json_string_length(request, JSON_C_TO_STRING_PLAIN, &length);
    int result;

    if (!text)
        return -ENOMEM;
    if (length >= CONTROL_REQUEST_MAX)
        return -E2BIG;
    result = client_connect(client, path);
    if (result == 0)
        result = client_send(client, text, length + 1);
    return result == 0 ? client_receive(client) : result;
}

int client_call_aside(const char *path, const char *method, struct json_object *parameters,
    uint64_t timeout, const struct client_aside *aside, struct json_object **ret_parameters,
    struct error *ret_error)
{
    CLEANUP(client_clear)
    struct client client = {.fd = -1, .deadline = clock_now() + timeout, .aside = aside};
    struct json_object *request = request_new(method, parameters);
    int result = request ? client_converse(&client, path, request) : -ENOMEM;

    json_object_put(request);
    if (result == 0)
        result = reply_read(&client, method, ret_parameters, ret_error);
    if (result < 0 && result != -EREMOTEIO)
        return reach_failure(path, result, ret_error);
    return result;
}

int client_call(const char *path, const char *method, struct json_object *parameters,
    uint64_t timeout, struct json_object **ret_parameters, struct error *ret_error)
{
    return client_call_aside(path, method, parameters, timeout, NULL, ret_parameters, ret_error);
}
