/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the server of the running test, the loop that drives it and the folder of its socket. */
#include "control_scene.h"
#include "control_interface.h"

#include <check.h>
#include <errno.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/control.h>
#include <plimsoll/units.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TURN_TIME NSEC_PER_MSEC

struct control_scene scene;

static int call_echo(struct json_object *parameters, struct json_object **ret_parameters,
    struct error *ret_error, void *userdata)
{
    (void)ret_error;
    ck_assert_ptr_eq(userdata, &scene.calls);
    scene.calls++;
    *ret_parameters = json_object_get(parameters);
    return 0;
}

static int call_big(struct json_object *parameters, struct json_object **ret_parameters,
    struct error *ret_error, void *userdata)
{
    char *text = malloc(scene.text_size);

    (void)parameters;
    (void)ret_error;
    (void)userdata;
    memset(text, 'x', scene.text_size);
    *ret_parameters = json_object_new_object();
    json_object_object_add(
        *ret_parameters, "text", json_object_new_string_len(text, (int)scene.text_size));
    free(text);
    return 0;
}

static int call_fail(struct json_object *parameters, struct json_object **ret_parameters,
    struct error *ret_error, void *userdata)
{
    (void)parameters;
    (void)ret_parameters;
    (void)userdata;
    return error_set(ret_error, -EIO, "the disk is gone");
}

static int call_root(struct json_object *parameters, struct json_object **ret_parameters,
    struct error *ret_error, void *userdata)
{
    (void)parameters;
    (void)ret_parameters;
    (void)ret_error;
    (void)userdata;
    scene.calls++;
    return 0;
}

static const char *const echo_parameters[] = {"text", NULL};
static const struct control_method methods[] = {
    {.name = "io.plimsoll.Echo", .call = call_echo, .parameters = echo_parameters},
    {.name = "io.plimsoll.Big", .call = call_big},
    {.name = "io.plimsoll.Fail", .call = call_fail},
    {.name = "io.plimsoll.Root", .privileged = true, .call = call_root},
};

int control_server_start(struct error *error)
{
    return control_server_new(scene.loop, scene.path, methods, ELEMENTSOF(methods),
        control_interface_description(), &scene.calls, &scene.server, error);
}

void control_scene_setup(void)
{
    struct error error = {0};

    scratch_make("control", scene.folder);
    snprintf(scene.path, sizeof(scene.path), "%s/%s", scene.folder, CONTROL_SOCKET_NAME);
    ck_assert_int_eq(loop_new(&scene.loop), 0);
    ck_assert_msg(control_server_start(&error) == 0, "%s", error.text);
    scene.calls = 0;
}

void control_scene_teardown(void)
{
    scene.server = control_server_free(scene.server);
    scene.loop = loop_free(scene.loop);
    ck_assert_int_ne(access(scene.path, F_OK), 0);
    ck_assert_int_eq(rmdir(scene.folder), 0);
}

int control_connect(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    ck_assert_int_ge(fd, 0);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", scene.path);
    ck_assert_int_eq(connect(fd, (void *)&address, sizeof(address)), 0);
    return fd;
}

/* As the guard turns it: what is due first, then the wait. */
static void turn_until(uint64_t deadline)
{
    control_server_expire(scene.server, loop_now());
    ck_assert_int_eq(
        loop_wait(scene.loop, min_u64(deadline, control_server_deadline(scene.server))), 0);
}

void control_turn(void)
{
    turn_until(loop_now() + TURN_TIME);
}

void control_settle(void)
{
    for (int i = 0; i < 64; i++)
        turn_until(0);
}

void control_say(int fd, const char *bytes, size_t length)
{
    ck_assert_int_eq(send(fd, bytes, length, MSG_NOSIGNAL), (ssize_t)length);
}

void control_say_text(int fd, const char *text)
{
    control_say(fd, text, strlen(text) + 1);
}

char *control_hear(int fd)
{
    static char buffer[CONTROL_REPLY_MAX + 1];
    size_t used = 0;

    for (int i = 0; i < CONTROL_TURNS_MAX; i++) {
        ssize_t count;

        /* Byte by byte would be slow for big replies, and a bigger bite would eat the next one. */
        count = recv(fd, buffer + used, sizeof(buffer) - used, MSG_PEEK | MSG_DONTWAIT);
        if (count == 0 || (count < 0 && errno != EAGAIN))
            return NULL;
        if (count > 0) {
            char *end = memchr(buffer + used, '\0', (size_t)count);
            size_t take = end ? (size_t)(end - (buffer + used)) + 1 : (size_t)count;

            ck_assert_int_eq(recv(fd, buffer + used, take, MSG_DONTWAIT), (ssize_t)take);
            used += take;
            if (end)
                return strdup(buffer);
        }
        /* What is on its way arrives, however slow this machine is: nobody's time is over. */
        if (used > 0)
            ck_assert_int_eq(loop_wait(scene.loop, loop_now() + TURN_TIME), 0);
        else
            control_turn();
    }
    ck_abort_msg("no reply");
    return NULL;
}

bool control_is_closed(int fd)
{
    char byte;

    control_settle();
    return recv(fd, &byte, 1, MSG_DONTWAIT) == 0 || errno != EAGAIN;
}

void control_assert_serves(void)
{
    int fd = control_connect();
    char *reply;

    control_say_text(fd, "{\"method\":\"io.plimsoll.Echo\",\"parameters\":{\"text\":\"hello\"}}");
    reply = control_hear(fd);
    ck_assert_ptr_nonnull(reply);
    ck_assert_str_eq(reply, "{\"parameters\":{\"text\":\"hello\"}}");
    free(reply);
    close(fd);
    control_settle();
}

void control_assert_answer(const char *request, const char *expected)
{
    int fd = control_connect();
    char *reply;

    control_say_text(fd, request);
    reply = control_hear(fd);
    ck_assert_msg(reply != NULL, "closed after %s", request);
    ck_assert_str_eq(reply, expected);
    free(reply);
    close(fd);
    control_settle();
}

void control_assert_refused(const char *bytes, size_t length)
{
    int fd = control_connect();

    control_say(fd, bytes, length);
    ck_assert_msg(control_is_closed(fd), "still open after %.40s", bytes);
    close(fd);
    control_assert_serves();
}
