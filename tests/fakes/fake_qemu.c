/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the fake's sockets. Requests are taken apart by looking for substrings: the client's own
 * form is known, and a second JSON parser would only share the first one's mistakes. Replies are in
 * the words of QEMU 7.2.
 */
#include "fake_qemu.h"

#include <plimsoll/cleanup.h>

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define UNSET "18446744073709551615"

static struct fake_qemu fake_initial(void)
{
    return (struct fake_qemu){
        .listener = -1,
        .fd = -1,
        .ram = UINT64_C(268435456),
        .balloon = UINT64_C(268435456),
        .running = true,
    };
}

int fake_qemu_pair(struct fake_qemu *fake, int *ret_client)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return -errno;
    *fake = fake_initial();
    fake->fd = ends[0];
    *ret_client = ends[1];
    return 0;
}

int fake_qemu_listen(struct fake_qemu *fake, const char *path)
{
    union {
        struct sockaddr any;
        struct sockaddr_un local;
    } address = {.local = {.sun_family = AF_UNIX}};
    if (strlen(path) >= sizeof(fake->path))
        return -ENAMETOOLONG;
    static_assert(sizeof(fake->path) == sizeof(address.local.sun_path), "one length for both");
    memcpy(address.local.sun_path, path, strlen(path) + 1);

    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (bind(fd, &address.any, sizeof(address.local)) < 0 || listen(fd, 1) < 0) {
        int r = -errno;
        close(fd);
        return r;
    }
    *fake = fake_initial();
    fake->listener = fd;
    memcpy(fake->path, path, strlen(path) + 1);
    return 0;
}

static int fd_wait(int fd, short events)
{
    struct pollfd wanted = {.fd = fd, .events = events};
    int r = poll(&wanted, 1, FAKE_QEMU_PATIENCE_MS);
    return r < 0 ? -errno : r == 0 ? -ETIMEDOUT : 0;
}

int fake_qemu_accept(struct fake_qemu *fake)
{
    int r = fd_wait(fake->listener, POLLIN);
    if (r < 0)
        return r;
    int fd = accept4(fake->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return -errno;
    fake_qemu_hang_up(fake);
    fake->fd = fd;
    return 0;
}

void fake_qemu_hang_up(struct fake_qemu *fake)
{
    if (fake->fd >= 0)
        close(fake->fd);
    fake->fd = -1;
    fake->input_length = 0;
}

void fake_qemu_close(struct fake_qemu *fake)
{
    if (!fake)
        return;
    fake_qemu_hang_up(fake);
    if (fake->listener >= 0) {
        close(fake->listener);
        unlink(fake->path);
    }
    fake->listener = -1;
}

int fake_qemu_say_bytes(struct fake_qemu *fake, const void *bytes, size_t length)
{
    const char *at = bytes;
    while (length > 0) {
        ssize_t sent = send(fake->fd, at, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            int r = fd_wait(fake->fd, POLLOUT);
            if (r < 0)
                return r;
            continue;
        }
        if (sent < 0)
            return -errno;
        at += sent;
        length -= (size_t)sent;
    }
    return 0;
}

int fake_qemu_say(struct fake_qemu *fake, const char *format, ...)
{
    char *line;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&line, format, arguments);
    va_end(arguments);
    if (length < 0)
        return -ENOMEM;
    int r = fake_qemu_say_bytes(fake, line, (size_t)length);
    free(line);
    return r < 0 ? r : fake_qemu_say_bytes(fake, "\r\n", 2);
}

int fake_qemu_greet(struct fake_qemu *fake)
{
    return fake_qemu_say(fake,
        "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, "
        "\"package\": \"Debian 1:7.2+dfsg-7\"}, \"capabilities\": [\"oob\"]}}");
}

int fake_qemu_reply(struct fake_qemu *fake, uint64_t id, const char *body)
{
    return fake_qemu_say(fake, "{\"return\": %s, \"id\": %" PRIu64 "}", body, id);
}

int fake_qemu_fail(struct fake_qemu *fake, uint64_t id, const char *class, const char *text)
{
    return fake_qemu_say(fake,
        "{\"id\": %" PRIu64 ", \"error\": {\"class\": \"%s\", \"desc\": \"%s\"}}", id, class, text);
}

static bool line_take(struct fake_qemu *fake)
{
    char *end = memchr(fake->input, '\n', fake->input_length);
    if (!end)
        return false;
    size_t length = (size_t)(end - fake->input);
    memcpy(fake->line, fake->input, length);
    fake->line[length] = '\0';
    fake->input_length -= length + 1;
    memmove(fake->input, end + 1, fake->input_length);

    const char *id = strstr(fake->line, "\"id\":");
    fake->id = id ? strtoull(id + strlen("\"id\":"), NULL, 10) : 0;
    return true;
}

/* 1: read something; 0: nothing there; negative errno. */
static int input_fill(struct fake_qemu *fake)
{
    size_t room = sizeof(fake->input) - fake->input_length;
    if (room == 0)
        return -EMSGSIZE;
    ssize_t received = recv(fake->fd, fake->input + fake->input_length, room, 0);
    if (received < 0)
        return errno == EAGAIN ? 0 : -errno;
    if (received == 0)
        return -ENODATA;
    fake->input_length += (size_t)received;
    return 1;
}

int fake_qemu_hear(struct fake_qemu *fake)
{
    while (!line_take(fake)) {
        int r = fd_wait(fake->fd, POLLIN);
        if (r < 0)
            return r;
        r = input_fill(fake);
        if (r < 0)
            return r;
    }
    return 0;
}

bool fake_qemu_has_heard(struct fake_qemu *fake)
{
    if (!memchr(fake->input, '\n', fake->input_length))
        (void)input_fill(fake);
    return memchr(fake->input, '\n', fake->input_length) != NULL;
}

/* The commands whose reply does not depend on the fake's state, by what stands in the line. */
static const struct {
    const char *needle, *body;
} constant_replies[] = {
    {"\"qmp_capabilities\"", "{}"},
    {"\"query-name\"", "{\"name\": \"fake\"}"},
    {"\"query-uuid\"", "{\"UUID\": \"12345678-9abc-def0-1234-56789abcdef0\"}"},
    {"\"query-memdev\"",
        "[{\"share\": false, \"reserve\": true, \"prealloc\": false, \"host-nodes\": [], "
        "\"size\": 268435456, \"merge\": true, \"dump\": true, \"policy\": \"default\", "
        "\"id\": \"pc.ram\"}]"},
    {"\"query-migrate\"", "{}"},
    {"\"query-sev\"", "{\"enabled\": false, \"api-minor\": 0, \"handle\": 0, \"state\": "
                      "\"uninit\", \"api-major\": 0, \"build-id\": 0, \"policy\": 0}"},
    {"\"query-cpus-fast\"",
        "[{\"thread-id\": 7897, \"props\": {\"core-id\": 0, \"thread-id\": 0, \"socket-id\": 0}, "
        "\"qom-path\": \"/machine/unattached/device[0]\", \"cpu-index\": 0, \"target\": "
        "\"x86_64\"}]"},
    {"\"path\":\"/machine/peripheral\"}",
        "[{\"name\": \"type\", \"type\": \"string\"}, {\"name\": \"balloon0\", \"type\": "
        "\"child<virtio-balloon-pci>\"}]"},
    {"\"path\":\"/machine/peripheral-anon\"}", "[{\"name\": \"type\", \"type\": \"string\"}]"},
    {"\"guest-stats\"",
        "{\"stats\": {\"stat-htlb-pgalloc\": 0, \"stat-swap-out\": 0, \"stat-available-memory\": "
        "134217728, \"stat-htlb-pgfail\": 0, \"stat-free-memory\": 67108864, "
        "\"stat-minor-faults\": 1000, \"stat-major-faults\": 10, \"stat-total-memory\": "
        "251658240, \"stat-swap-in\": 0, \"stat-disk-caches\": " UNSET
        "}, \"last-update\": 1700000000}"},
    {"\"qom-get\"", "false"},
    {"\"qom-set\"", "{}"},
    {"\"system_powerdown\"", "{}"},
    {"\"quit\"", "{}"},
};

static int answer_balloon(struct fake_qemu *fake)
{
    uint64_t value = strtoull(strstr(fake->line, "\"value\":") + strlen("\"value\":"), NULL, 10);
    fake->balloon = value < fake->ram ? value : fake->ram;
    int r = fake_qemu_reply(fake, fake->id, "{}");
    if (r < 0)
        return r;
    return fake_qemu_say(fake,
        "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": \"BALLOON_CHANGE\", "
        "\"data\": {\"actual\": %" PRIu64 "}}",
        fake->balloon);
}

static int answer_run(struct fake_qemu *fake, bool running)
{
    int r = 0;
    if (fake->running != running)
        r = fake_qemu_say(fake,
            "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": \"%s\"}",
            running ? "RESUME" : "STOP");
    fake->running = running;
    return r < 0 ? r : fake_qemu_reply(fake, fake->id, "{}");
}

static int answer_memory_devices(struct fake_qemu *fake)
{
    char body[256];
    if (fake->virtio_mem == 0)
        return fake_qemu_reply(fake, fake->id, "[]");
    (void)snprintf(body, sizeof(body),
        "[{\"type\": \"virtio-mem\", \"data\": {\"memdev\": \"/objects/m0\", \"requested-size\": "
        "%" PRIu64 ", \"size\": %" PRIu64 ", \"max-size\": %" PRIu64 ", \"block-size\": 2097152, "
        "\"id\": \"vm0\", \"memaddr\": 5368709120, \"node\": 0}}]",
        fake->requested, fake->plugged, fake->virtio_mem);
    return fake_qemu_reply(fake, fake->id, body);
}

static int answer_requested_size(struct fake_qemu *fake)
{
    uint64_t value = strtoull(strstr(fake->line, "\"value\":") + strlen("\"value\":"), NULL, 10);
    if (!strstr(fake->line, "\"/machine/peripheral/vm0\"") || value > fake->virtio_mem)
        return fake_qemu_fail(fake, fake->id, "GenericError", "no such size");
    fake->requested = fake->plugged = value;
    return fake_qemu_reply(fake, fake->id, "{}");
}

int fake_qemu_answer(struct fake_qemu *fake)
{
    char body[128];
    if (strstr(fake->line, "\"query-memory-devices\""))
        return answer_memory_devices(fake);
    if (strstr(fake->line, "\"requested-size\""))
        return answer_requested_size(fake);
    if (strstr(fake->line, "\"execute\":\"balloon\""))
        return answer_balloon(fake);
    if (strstr(fake->line, "\"execute\":\"stop\""))
        return answer_run(fake, false);
    if (strstr(fake->line, "\"execute\":\"cont\""))
        return answer_run(fake, true);
    if (strstr(fake->line, "\"query-status\"")) {
        (void)snprintf(body, sizeof(body),
            "{\"status\": \"%s\", \"singlestep\": false, \"running\": %s}",
            fake->running ? "running" : "paused", fake->running ? "true" : "false");
        return fake_qemu_reply(fake, fake->id, body);
    }
    if (strstr(fake->line, "\"query-balloon\"")) {
        (void)snprintf(body, sizeof(body), "{\"actual\": %" PRIu64 "}", fake->balloon);
        return fake_qemu_reply(fake, fake->id, body);
    }
    if (strstr(fake->line, "\"query-memory-size-summary\"")) {
        (void)snprintf(
            body, sizeof(body), "{\"base-memory\": %" PRIu64 ", \"plugged-memory\": 0}", fake->ram);
        return fake_qemu_reply(fake, fake->id, body);
    }
    for (size_t i = 0; i < ELEMENTSOF(constant_replies); i++)
        if (strstr(fake->line, constant_replies[i].needle))
            return fake_qemu_reply(fake, fake->id, constant_replies[i].body);
    return fake_qemu_fail(fake, fake->id, "CommandNotFound", "The command has not been found");
}

int fake_qemu_serve(struct fake_qemu *fake)
{
    int r = fake_qemu_greet(fake);
    while (r == 0) {
        struct pollfd wanted = {.fd = fake->fd, .events = POLLIN};
        /* Between requests a client may be silent for as long as it likes. */
        if (!fake_qemu_has_heard(fake) && poll(&wanted, 1, -1) < 0 && errno != EINTR)
            return -errno;
        r = fake_qemu_hear(fake);
        if (r == 0)
            r = fake_qemu_answer(fake);
    }
    /* It may hang up before it has heard all: EPIPE. */
    return r == -ENODATA || r == -ECONNRESET || r == -EPIPE ? 0 : r;
}
