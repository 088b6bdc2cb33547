/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the test's own QMP connection to a guest: one command at a time, synchronous. It is not
 * libqmp on purpose: a test of what libqmp did must not ask libqmp.
 */
#include "guest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define COMMAND_SIZE 512

static bool line_is_reply(const char *line, const void *unused)
{
    (void)unused;
    return !strncmp(line, "{\"return\":", 10) || !strncmp(line, "{\"error\":", 9);
}

static bool line_is_greeting(const char *line, const void *unused)
{
    (void)unused;
    return !strncmp(line, "{\"QMP\":", 7);
}

static const char *monitor_wait(struct guest *guest, lines_match match, const char *what)
{
    const char *line = lines_wait(
        &guest->monitor, &guest->monitor_cursor, match, NULL, harness_now() + GUEST_QMP_LIMIT);
    ck_assert_msg(line != NULL, "%s: no answer to %s", guest->name, what);
    return line;
}

static struct json_object *monitor_execute(
    struct guest *guest, const char *command, const char *arguments)
{
    char text[COMMAND_SIZE];
    int length = snprintf(text, sizeof(text), "{\"execute\":\"%s\"%s%s}\n", command,
        arguments ? ",\"arguments\":" : "", arguments ? arguments : "");
    ck_assert_int_lt(length, (int)sizeof(text));
    ck_assert_int_eq(send(guest->monitor.fd, text, (size_t)length, MSG_NOSIGNAL), length);
    struct json_object *reply = json_tokener_parse(monitor_wait(guest, line_is_reply, command));
    struct json_object *result = NULL;
    ck_assert_ptr_nonnull(reply);
    if (json_object_object_get_ex(reply, "return", &result))
        (void)json_object_get(result);
    json_object_put(reply);
    return result;
}

/* The socket appears a moment after QEMU's start. */
static void monitor_connect(struct guest *guest)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    uint64_t deadline = harness_now() + GUEST_QMP_LIMIT;
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%.107s", guest->monitor_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    while (connect(fd, &address, sizeof(address)) < 0)
        ck_assert_msg(harness_look_again(deadline), "%s: %s", address.sun_path, strerror(errno));
    lines_init(&guest->monitor, fd);
    guest->monitor_cursor = 0;
    (void)monitor_wait(guest, line_is_greeting, "connect");
    struct json_object *result = monitor_execute(guest, "qmp_capabilities", NULL);
    ck_assert_ptr_nonnull(result);
    json_object_put(result);
}

struct json_object *guest_query(struct guest *guest, const char *command, const char *arguments)
{
    if (guest->monitor.fd < 0)
        monitor_connect(guest);
    return monitor_execute(guest, command, arguments);
}

void guest_execute(struct guest *guest, const char *command, const char *arguments)
{
    struct json_object *result = guest_query(guest, command, arguments);
    ck_assert_msg(result != NULL, "%s: QEMU refused %s", guest->name, command);
    json_object_put(result);
}

void guest_set_balloon(struct guest *guest, uint64_t bytes)
{
    char arguments[64];
    (void)snprintf(arguments, sizeof(arguments), "{\"value\":%llu}", (unsigned long long)bytes);
    guest_execute(guest, "balloon", arguments);
}

uint64_t guest_balloon_actual(struct guest *guest)
{
    struct json_object *actual, *result = guest_query(guest, "query-balloon", NULL);
    ck_assert_ptr_nonnull(result);
    ck_assert(json_object_object_get_ex(result, "actual", &actual));
    uint64_t bytes = json_object_get_uint64(actual);
    json_object_put(result);
    return bytes;
}

bool guest_is(struct guest *guest, const char *state)
{
    struct json_object *status, *result = guest_query(guest, "query-status", NULL);
    ck_assert_ptr_nonnull(result);
    ck_assert(json_object_object_get_ex(result, "status", &status));
    bool is = !strcmp(json_object_get_string(status), state);
    json_object_put(result);
    return is;
}

void guest_wait_is(struct guest *guest, const char *state, uint64_t limit)
{
    uint64_t deadline = harness_now() + limit;
    while (!guest_is(guest, state))
        ck_assert_msg(harness_look_again(deadline), "%s is not %s", guest->name, state);
}
