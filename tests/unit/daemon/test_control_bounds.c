/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The control server's bounds: slow, deaf and many clients, many requests at once, clients without
 * rights, and the place in the file system that it takes.
 */
#include "control_scene.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <plimsoll/control.h>
#include <plimsoll/units.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

START_TEST(test_patience)
{
    int idle = control_connect(), partial = control_connect();
    uint64_t start;

    control_settle();
    control_say(partial, "{\"meth", 6);
    control_turn();
    start = loop_now();
    ck_assert_uint_le(control_server_deadline(scene.server), start + CONTROL_REQUEST_TIMEOUT);
    control_server_expire(scene.server, start + CONTROL_REQUEST_TIMEOUT / 2);
    ck_assert(!control_is_closed(partial));
    /* Dripping does not prolong it. */
    control_say(partial, "o", 1);
    control_turn();
    control_server_expire(scene.server, start + CONTROL_REQUEST_TIMEOUT);
    ck_assert(control_is_closed(partial));
    ck_assert(!control_is_closed(idle));
    control_server_expire(scene.server, loop_now() + CONTROL_IDLE_TIMEOUT);
    ck_assert(control_is_closed(idle));
    ck_assert_uint_eq(control_server_deadline(scene.server), NEVER);
    close(idle);
    close(partial);
    control_assert_serves();
}
END_TEST

START_TEST(test_never_reading)
{
    int fd = control_connect();
    unsigned sent = 0;

    scene.text_size = 1024 * 1024;
    while (send(fd, "{\"method\":\"io.plimsoll.Big\"}", 29, MSG_NOSIGNAL | MSG_DONTWAIT) == 29) {
        sent++;
        control_turn();
    }
    /* Its requests wait in its own socket: at most a bufferful was taken. */
    ck_assert_uint_gt(sent, CONTROL_REQUEST_MAX / 29);
    control_settle();
    control_assert_serves();
    control_server_expire(scene.server, loop_now() + CONTROL_REPLY_TIMEOUT);
    control_settle();
    ck_assert_int_eq(send(fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT), -1);
    ck_assert_int_eq(errno, EPIPE);
    close(fd);
    control_assert_serves();
}
END_TEST

/* A reply can cost milliseconds, and the guard's tick stands between two turns: however many ask at
 * once, a turn answers one, and each of them in its turn. */
START_TEST(test_one_a_turn)
{
    enum {
        CLIENTS = 12,
        REQUESTS = 3
    };
    int fds[CLIENTS];

    for (unsigned i = 0; i < CLIENTS; i++)
        fds[i] = control_connect();
    control_settle();
    for (unsigned i = 0; i < CLIENTS; i++)
        for (unsigned request = 0; request < REQUESTS; request++)
            control_say_text(fds[i], "{\"method\":\"io.plimsoll.Echo\"}");
    for (unsigned turns = 0; scene.calls < CLIENTS * REQUESTS; turns++) {
        unsigned before = scene.calls;

        ck_assert_uint_lt(turns, CONTROL_TURNS_MAX);
        control_turn();
        ck_assert_uint_le(scene.calls - before, 1);
        if (scene.calls == CLIENTS && before < scene.calls) {
            char byte;

            for (unsigned i = 0; i < CLIENTS; i++)
                ck_assert_int_eq(recv(fds[i], &byte, 1, MSG_PEEK | MSG_DONTWAIT), 1);
        }
        /* The next is due at once, but behind whatever else is. */
        if (scene.calls > before && scene.calls < CLIENTS * REQUESTS)
            ck_assert_uint_le(control_server_deadline(scene.server), loop_now());
    }
    control_settle();
    ck_assert_uint_gt(control_server_deadline(scene.server), loop_now());
    for (unsigned i = 0; i < CLIENTS; i++)
        close(fds[i]);
    control_settle();
    control_assert_serves();
}
END_TEST

START_TEST(test_many)
{
    int fds[CONTROL_CLIENTS_MAX + 1];

    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
        fds[i] = control_connect();
    control_settle();
    fds[CONTROL_CLIENTS_MAX] = control_connect();
    ck_assert(control_is_closed(fds[CONTROL_CLIENTS_MAX]));
    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
        ck_assert(!control_is_closed(fds[i]));
    close(fds[3]);
    control_settle();
    control_assert_serves();
    for (unsigned i = 0; i <= CONTROL_CLIENTS_MAX; i++)
        if (i != 3)
            close(fds[i]);
    control_settle();
    control_assert_serves();
}
END_TEST

/* What a client without rights does: takes all places it gets, and asks for what it may not. */
static void reader_run(int ready)
{
    char reply[256];
    int first = -1;

    if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
        _exit(10);
    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        int fd = control_connect();

        first = first < 0 ? fd : first;
    }
    if (write(ready, "r", 1) != 1)
        _exit(11);
    control_say_text(first, "{\"method\":\"io.plimsoll.Root\"}");
    if (poll(&(struct pollfd){.fd = first, .events = POLLIN}, 1, 10000) != 1)
        _exit(12);
    ssize_t count = recv(first, reply, sizeof(reply) - 1, 0);
    if (count <= 0)
        _exit(13);
    reply[count] = '\0';
    if (write(ready, "d", 1) != 1 || read(ready, reply + count, 1) < 0)
        _exit(14);
    _exit(strcmp(reply, "{\"parameters\":{},\"error\":\"org.varlink.service.PermissionDenied\"}")
              ? 15
              : 0);
}

START_TEST(test_rights)
{
    int pair[2], status;
    char byte;
    pid_t child;

    if (geteuid() != 0) {
        fprintf(stderr, "SKIP rights: only root can become somebody else\n");
        return;
    }
    ck_assert_int_eq(chmod(scene.folder, 0755), 0);
    ck_assert_int_eq(chmod(scene.path, 0666), 0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    child = fork();
    if (child == 0) {
        close(pair[0]);
        reader_run(pair[1]);
    }
    close(pair[1]);
    ck_assert_int_eq(read(pair[0], &byte, 1), 1);
    for (int i = 0; i < CONTROL_TURNS_MAX && recv(pair[0], &byte, 1, MSG_DONTWAIT) != 1; i++)
        control_turn();
    /* The readers have taken all they may; root still gets in. */
    control_assert_serves();
    close(pair[0]);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    ck_assert_uint_eq(scene.calls, 1);
}
END_TEST

START_TEST(test_place)
{
    struct control_server *first = scene.server;
    struct error error = {0};
    struct stat status;
    FILE *file;

    ck_assert_int_eq(stat(scene.path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777, 0660);
    ck_assert_int_eq(control_server_start(&error), -EADDRINUSE);
    ck_assert_ptr_eq(scene.server, first);

    /* A guard that was killed leaves its socket behind: a bound one nobody listens at. */
    scene.server = control_server_free(scene.server);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", scene.path);
    ck_assert_int_eq(bind(fd, (void *)&address, sizeof(address)), 0);
    close(fd);
    ck_assert_int_eq(control_server_start(&error), 0);
    control_assert_serves();

    /* One that is not ours any more is not removed. */
    ck_assert_int_eq(unlink(scene.path), 0);
    file = fopen(scene.path, "w");
    fclose(file);
    scene.server = control_server_free(scene.server);
    ck_assert_int_eq(access(scene.path, F_OK), 0);
    ck_assert_int_eq(control_server_start(&error), -EEXIST);
    ck_assert_ptr_nonnull(strstr(error.text, "no socket"));
    ck_assert_int_eq(unlink(scene.path), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("control");
    TCase *tcase = tcase_create("bounds");

    tcase_add_checked_fixture(tcase, control_scene_setup, control_scene_teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_patience);
    tcase_add_test(tcase, test_never_reading);
    tcase_add_test(tcase, test_one_a_turn);
    tcase_add_test(tcase, test_many);
    tcase_add_test(tcase, test_rights);
    tcase_add_test(tcase, test_place);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
