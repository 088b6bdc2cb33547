/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The control server against clients of every kind: honest, partial, huge, binary, deep, many,
 * pipelining, deaf and slow. Server and clients share one thread: the test turns the loop by hand,
 * and time is handed to control_server_expire(), so that nothing is waited for by luck.
 */
#include "control_interface.h"
#include "control_server.h"

#include <check.h>
#include <errno.h>
#include <plimsoll/cleanup.h>
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

/* Turns of the loop that any exchange here ends within. */
#define TURNS_MAX 10000
#define TURN_TIME NSEC_PER_MSEC
#define NOBODY 65534

static char folder[] = "/tmp/plimsoll-control-XXXXXX";
static char path[64];
static struct loop *loop;
static struct control_server *server;
static unsigned calls, text_size;

static int call_echo(struct json_object *parameters, struct json_object **ret_parameters,
    struct error *ret_error, void *userdata)
{
    (void)ret_error;
    ck_assert_ptr_eq(userdata, &calls);
    calls++;
    *ret_parameters = json_object_get(parameters);
    return 0;
}

static int call_big(struct json_object *parameters, struct json_object **ret_parameters,
    struct error *ret_error, void *userdata)
{
    char *text = malloc(text_size);

    (void)parameters;
    (void)ret_error;
    (void)userdata;
    memset(text, 'x', text_size);
    *ret_parameters = json_object_new_object();
    json_object_object_add(
        *ret_parameters, "text", json_object_new_string_len(text, (int)text_size));
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
    calls++;
    return 0;
}

static const char *const echo_parameters[] = {"text", NULL};
static const struct control_method methods[] = {
    {.name = "io.plimsoll.Echo", .call = call_echo, .parameters = echo_parameters},
    {.name = "io.plimsoll.Big", .call = call_big},
    {.name = "io.plimsoll.Fail", .call = call_fail},
    {.name = "io.plimsoll.Root", .privileged = true, .call = call_root},
};

static int server_start(struct error *error)
{
    return control_server_new(loop, path, methods, ELEMENTSOF(methods),
        control_interface_description(), &calls, &server, error);
}

static void setup(void)
{
    struct error error = {0};

    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/%s", folder, CONTROL_SOCKET_NAME);
    ck_assert_int_eq(loop_new(&loop), 0);
    ck_assert_msg(server_start(&error) == 0, "%s", error.text);
    calls = 0;
}

static void teardown(void)
{
    server = control_server_free(server);
    loop = loop_free(loop);
    ck_assert_int_ne(access(path, F_OK), 0);
    ck_assert_int_eq(rmdir(folder), 0);
}

static int client_new(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    ck_assert_int_ge(fd, 0);
    strcpy(address.sun_path, path);
    ck_assert_int_eq(connect(fd, (void *)&address, sizeof(address)), 0);
    return fd;
}

/* As the guard turns it: what is due first, then the wait. */
static void turn_until(uint64_t deadline)
{
    control_server_expire(server, loop_now());
    ck_assert_int_eq(loop_wait(loop, min_u64(deadline, control_server_deadline(server))), 0);
}

static void turn(void)
{
    turn_until(loop_now() + TURN_TIME);
}

/* Lets the server do all it can do without hearing more: what is on a Unix socket is there at once,
 * so a turn never has to wait, and nothing here needs more turns than this. */
static void settle(void)
{
    for (int i = 0; i < 64; i++)
        turn_until(0);
}

static void say(int fd, const char *bytes, size_t length)
{
    ck_assert_int_eq(send(fd, bytes, length, MSG_NOSIGNAL), (ssize_t)length);
}

static void say_text(int fd, const char *text)
{
    say(fd, text, strlen(text) + 1);
}

/* One reply up to its NUL, or NULL when the server closed; the caller frees it. */
static char *hear(int fd)
{
    static char buffer[CONTROL_REPLY_MAX + 1];
    size_t used = 0;

    for (int i = 0; i < TURNS_MAX; i++) {
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
        turn();
    }
    ck_abort_msg("no reply");
    return NULL;
}

static bool is_closed(int fd)
{
    char byte;

    settle();
    return recv(fd, &byte, 1, MSG_DONTWAIT) == 0 || errno != EAGAIN;
}

/* The server still serves somebody new: no misbehaviour of another may change that. */
static void assert_serves(void)
{
    int fd = client_new();
    char *reply;

    say_text(fd, "{\"method\":\"io.plimsoll.Echo\",\"parameters\":{\"text\":\"hello\"}}");
    reply = hear(fd);
    ck_assert_ptr_nonnull(reply);
    ck_assert_str_eq(reply, "{\"parameters\":{\"text\":\"hello\"}}");
    free(reply);
    close(fd);
    settle();
}

static void assert_answer(const char *request, const char *expected)
{
    int fd = client_new();
    char *reply;

    say_text(fd, request);
    reply = hear(fd);
    ck_assert_msg(reply != NULL, "closed after %s", request);
    ck_assert_str_eq(reply, expected);
    free(reply);
    close(fd);
    settle();
}

static void assert_refused(const char *bytes, size_t length)
{
    int fd = client_new();

    say(fd, bytes, length);
    ck_assert_msg(is_closed(fd), "still open after %.40s", bytes);
    close(fd);
    assert_serves();
}

START_TEST(test_answers)
{
    assert_serves();
    assert_answer("{\"method\":\"io.plimsoll.Echo\"}", "{\"parameters\":{}}");
    assert_answer("{\"method\":\"io.plimsoll.Echo\",\"parameters\":null,\"more\":true}",
        "{\"parameters\":{}}");
    assert_answer("{\"method\":\"io.plimsoll.Root\",\"future\":[1]}", "{\"parameters\":{}}");
    assert_answer("{\"method\":\"io.plimsoll.Fail\"}",
        "{\"parameters\":{\"message\":\"the disk is gone\"},\"error\":\"io.plimsoll.Failed\"}");
}
END_TEST

START_TEST(test_service)
{
    char *reply;
    int fd = client_new();

    assert_answer("{\"method\":\"org.varlink.service.GetInfo\"}",
        "{\"parameters\":{\"vendor\":\"Plimsoll\",\"product\":\"Plimsoll\",\"version\":"
        "\"" PLIMSOLL_VERSION "\",\"url\":\"urn:plimsoll\",\"interfaces\":["
        "\"org.varlink.service\",\"io.plimsoll\"]}}");
    say_text(fd, "{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":"
                 "{\"interface\":\"io.plimsoll\"}}");
    reply = hear(fd);
    ck_assert_ptr_nonnull(strstr(reply, "interface io.plimsoll\\n"));
    free(reply);
    say_text(fd, "{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":"
                 "{\"interface\":\"org.varlink.service\"}}");
    reply = hear(fd);
    ck_assert_ptr_nonnull(strstr(reply, "interface org.varlink.service\\n"));
    free(reply);
    close(fd);
}
END_TEST

START_TEST(test_errors)
{
    assert_answer("{\"method\":\"io.plimsoll.None\"}",
        "{\"parameters\":{\"method\":\"io.plimsoll.None\"},"
        "\"error\":\"org.varlink.service.MethodNotFound\"}");
    assert_answer("{\"method\":\"org.varlink.service.None\"}",
        "{\"parameters\":{\"method\":\"org.varlink.service.None\"},"
        "\"error\":\"org.varlink.service.MethodNotFound\"}");
    assert_answer("{\"method\":\"org.example.None\"}",
        "{\"parameters\":{\"interface\":\"org.example\"},"
        "\"error\":\"org.varlink.service.InterfaceNotFound\"}");
    assert_answer("{\"method\":\"\"}", "{\"parameters\":{\"interface\":\"\"},"
                                       "\"error\":\"org.varlink.service.InterfaceNotFound\"}");
    assert_answer("{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":"
                  "{\"interface\":\"org.example\"}}",
        "{\"parameters\":{\"interface\":\"org.example\"},"
        "\"error\":\"org.varlink.service.InterfaceNotFound\"}");
    assert_answer("{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":"
                  "{\"interface\":7}}",
        "{\"parameters\":{\"parameter\":\"interface\"},"
        "\"error\":\"org.varlink.service.InvalidParameter\"}");
    assert_answer("{\"method\":\"io.plimsoll.Echo\",\"parameters\":[1]}",
        "{\"parameters\":{\"parameter\":\"parameters\"},"
        "\"error\":\"org.varlink.service.InvalidParameter\"}");
    assert_answer("{\"method\":\"io.plimsoll.Fail\",\"parameters\":{\"text\":1}}",
        "{\"parameters\":{\"parameter\":\"text\"},"
        "\"error\":\"org.varlink.service.InvalidParameter\"}");
    assert_answer("{\"method\":\"io.plimsoll.Echo\",\"upgrade\":true}",
        "{\"parameters\":{\"parameter\":\"upgrade\"},"
        "\"error\":\"org.varlink.service.InvalidParameter\"}");
    ck_assert_uint_eq(calls, 0);
}
END_TEST

START_TEST(test_no_varlink)
{
    static const char *const texts[] = {"", " ", "{", "null", "[]", "7", "\"text\"", "{}",
        "{\"method\":7}", "{\"method\":\"io.plimsoll.Echo\"}x",
        "{\"method\":\"io.plimsoll.Echo\"}{}", "{\"method\":\"io.plimsoll.Echo\\u0000\"}",
        "{\"method\":\"io.plimsoll.Echo\",\"oneway\":1}", "{'method':'io.plimsoll.Echo'}",
        "GET / HTTP/1.0\r\n\r\n", "{\"method\":\"\xff\xfe\"}"};
    char binary[256], deep[CONTROL_REQUEST_MAX] = "{\"method\":\"io.plimsoll.Echo\",\"a\":";

    for (size_t i = 0; i < ELEMENTSOF(texts); i++)
        assert_refused(texts[i], strlen(texts[i]) + 1);
    for (size_t i = 0; i < sizeof(binary); i++)
        binary[i] = (char)(255 - i);
    assert_refused(binary, sizeof(binary));
    for (size_t i = 0; i < 1000; i++)
        strcat(deep, "[");
    assert_refused(deep, strlen(deep) + 1);
}
END_TEST

START_TEST(test_huge)
{
    char request[CONTROL_REQUEST_MAX + 1];
    int fd = client_new();
    char *reply;

    /* The longest that is taken … */
    memset(request, ' ', sizeof(request));
    memcpy(request, "{\"method\":\"io.plimsoll.Echo\"}", 29);
    request[CONTROL_REQUEST_MAX - 1] = '\0';
    say(fd, request, CONTROL_REQUEST_MAX);
    reply = hear(fd);
    ck_assert_str_eq(reply, "{\"parameters\":{}}");
    free(reply);
    close(fd);
    /* … and one byte more, whether or not its end is there. */
    request[CONTROL_REQUEST_MAX - 1] = ' ';
    assert_refused(request, CONTROL_REQUEST_MAX);
    request[CONTROL_REQUEST_MAX] = '\0';
    assert_refused(request, CONTROL_REQUEST_MAX + 1);
}
END_TEST

START_TEST(test_partial)
{
    const char *text = "{\"method\":\"io.plimsoll.Echo\",\"parameters\":{\"text\":\"\xc3\xa4\"}}";
    int fd = client_new();
    char *reply;

    for (size_t i = 0; i <= strlen(text); i++) {
        ck_assert_uint_eq(calls, 0);
        say(fd, text + i, 1);
        turn();
    }
    reply = hear(fd);
    ck_assert_str_eq(reply, "{\"parameters\":{\"text\":\"\xc3\xa4\"}}");
    free(reply);
    close(fd);
}
END_TEST

START_TEST(test_patience)
{
    int idle = client_new(), partial = client_new();
    uint64_t start;

    settle();
    say(partial, "{\"meth", 6);
    turn();
    start = loop_now();
    ck_assert_uint_le(control_server_deadline(server), start + CONTROL_REQUEST_TIMEOUT);
    control_server_expire(server, start + CONTROL_REQUEST_TIMEOUT / 2);
    ck_assert(!is_closed(partial));
    /* Dripping does not prolong it. */
    say(partial, "o", 1);
    turn();
    control_server_expire(server, start + CONTROL_REQUEST_TIMEOUT);
    ck_assert(is_closed(partial));
    ck_assert(!is_closed(idle));
    control_server_expire(server, loop_now() + CONTROL_IDLE_TIMEOUT);
    ck_assert(is_closed(idle));
    ck_assert_uint_eq(control_server_deadline(server), NEVER);
    close(idle);
    close(partial);
    assert_serves();
}
END_TEST

START_TEST(test_pipelined)
{
    char batch[CONTROL_REQUEST_MAX * 4];
    int fd = client_new();
    size_t length = 0;
    unsigned sent = 0;

    while (length + 100 < sizeof(batch))
        length += (size_t)snprintf(batch + length, sizeof(batch) - length,
                      "{\"method\":\"io.plimsoll.Echo\",\"parameters\":{\"text\":%u}}", sent++) +
                  1;
    say(fd, batch, length);
    for (unsigned i = 0; i < sent; i++) {
        char expected[64];
        char *reply = hear(fd);

        snprintf(expected, sizeof(expected), "{\"parameters\":{\"text\":%u}}", i);
        ck_assert_ptr_nonnull(reply);
        ck_assert_str_eq(reply, expected);
        free(reply);
    }
    ck_assert_uint_eq(calls, sent);
    close(fd);
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
        fds[i] = client_new();
    settle();
    for (unsigned i = 0; i < CLIENTS; i++)
        for (unsigned request = 0; request < REQUESTS; request++)
            say_text(fds[i], "{\"method\":\"io.plimsoll.Echo\"}");
    for (unsigned turns = 0; calls < CLIENTS * REQUESTS; turns++) {
        unsigned before = calls;

        ck_assert_uint_lt(turns, TURNS_MAX);
        turn();
        ck_assert_uint_le(calls - before, 1);
        if (calls == CLIENTS && before < calls) {
            char byte;

            for (unsigned i = 0; i < CLIENTS; i++)
                ck_assert_int_eq(recv(fds[i], &byte, 1, MSG_PEEK | MSG_DONTWAIT), 1);
        }
        /* The next is due at once, but behind whatever else is. */
        if (calls > before && calls < CLIENTS * REQUESTS)
            ck_assert_uint_le(control_server_deadline(server), loop_now());
    }
    settle();
    ck_assert_uint_gt(control_server_deadline(server), loop_now());
    for (unsigned i = 0; i < CLIENTS; i++)
        close(fds[i]);
    settle();
    assert_serves();
}
END_TEST

START_TEST(test_oneway)
{
    int fd = client_new();
    char *reply;

    say_text(fd, "{\"method\":\"io.plimsoll.Echo\",\"oneway\":true}");
    say_text(fd, "{\"method\":\"io.plimsoll.Nothing\",\"oneway\":true}");
    say_text(fd, "{\"method\":\"io.plimsoll.Root\"}");
    reply = hear(fd);
    ck_assert_str_eq(reply, "{\"parameters\":{}}");
    free(reply);
    ck_assert_uint_eq(calls, 2);
    /* And one whose sender does not wait. */
    say_text(fd, "{\"method\":\"io.plimsoll.Echo\",\"oneway\":true}");
    close(fd);
    settle();
    ck_assert_uint_eq(calls, 3);
}
END_TEST

START_TEST(test_half_closed)
{
    int fd = client_new();
    char *reply;

    say_text(fd, "{\"method\":\"io.plimsoll.Echo\"}");
    say_text(fd, "{\"method\":\"io.plimsoll.Echo\"}");
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    for (int i = 0; i < 2; i++) {
        reply = hear(fd);
        ck_assert_str_eq(reply, "{\"parameters\":{}}");
        free(reply);
    }
    ck_assert(is_closed(fd));
    close(fd);
}
END_TEST

START_TEST(test_never_reading)
{
    int fd = client_new();
    unsigned sent = 0;

    text_size = 1024 * 1024;
    while (send(fd, "{\"method\":\"io.plimsoll.Big\"}", 29, MSG_NOSIGNAL | MSG_DONTWAIT) == 29) {
        sent++;
        turn();
    }
    /* Its requests wait in its own socket: at most a bufferful was taken. */
    ck_assert_uint_gt(sent, CONTROL_REQUEST_MAX / 29);
    settle();
    assert_serves();
    control_server_expire(server, loop_now() + CONTROL_REPLY_TIMEOUT);
    settle();
    ck_assert_int_eq(send(fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT), -1);
    ck_assert_int_eq(errno, EPIPE);
    close(fd);
    assert_serves();
}
END_TEST

START_TEST(test_big_reply)
{
    int fd = client_new();
    char *reply;

    text_size = CONTROL_REPLY_MAX - 1024;
    say_text(fd, "{\"method\":\"io.plimsoll.Big\"}");
    reply = hear(fd);
    ck_assert_ptr_nonnull(reply);
    ck_assert_uint_gt(strlen(reply), text_size);
    free(reply);
    text_size = CONTROL_REPLY_MAX;
    say_text(fd, "{\"method\":\"io.plimsoll.Big\"}");
    reply = hear(fd);
    ck_assert_ptr_nonnull(strstr(reply, CONTROL_ERROR_FAILED));
    free(reply);
    close(fd);
}
END_TEST

START_TEST(test_many)
{
    int fds[CONTROL_CLIENTS_MAX + 1];

    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
        fds[i] = client_new();
    settle();
    fds[CONTROL_CLIENTS_MAX] = client_new();
    ck_assert(is_closed(fds[CONTROL_CLIENTS_MAX]));
    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
        ck_assert(!is_closed(fds[i]));
    close(fds[3]);
    settle();
    assert_serves();
    for (unsigned i = 0; i <= CONTROL_CLIENTS_MAX; i++)
        if (i != 3)
            close(fds[i]);
    settle();
    assert_serves();
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
        int fd = client_new();

        first = first < 0 ? fd : first;
    }
    if (write(ready, "r", 1) != 1)
        _exit(11);
    say_text(first, "{\"method\":\"io.plimsoll.Root\"}");
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
    ck_assert_int_eq(chmod(folder, 0755), 0);
    ck_assert_int_eq(chmod(path, 0666), 0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    child = fork();
    if (child == 0) {
        close(pair[0]);
        reader_run(pair[1]);
    }
    close(pair[1]);
    ck_assert_int_eq(read(pair[0], &byte, 1), 1);
    for (int i = 0; i < TURNS_MAX && recv(pair[0], &byte, 1, MSG_DONTWAIT) != 1; i++)
        turn();
    /* The readers have taken all they may; root still gets in. */
    assert_serves();
    close(pair[0]);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    ck_assert_uint_eq(calls, 1);
}
END_TEST

START_TEST(test_place)
{
    struct control_server *first = server;
    struct error error = {0};
    struct stat status;
    FILE *file;

    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777, 0660);
    ck_assert_int_eq(server_start(&error), -EADDRINUSE);
    ck_assert_ptr_eq(server, first);

    /* A guard that was killed leaves its socket behind: a bound one nobody listens at. */
    server = control_server_free(server);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path);
    ck_assert_int_eq(bind(fd, (void *)&address, sizeof(address)), 0);
    close(fd);
    ck_assert_int_eq(server_start(&error), 0);
    assert_serves();

    /* One that is not ours any more is not removed. */
    ck_assert_int_eq(unlink(path), 0);
    file = fopen(path, "w");
    fclose(file);
    server = control_server_free(server);
    ck_assert_int_eq(access(path, F_OK), 0);
    ck_assert_int_eq(server_start(&error), -EEXIST);
    ck_assert_ptr_nonnull(strstr(error.text, "no socket"));
    ck_assert_int_eq(unlink(path), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("control");
    TCase *tcase = tcase_create("server");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_answers);
    tcase_add_test(tcase, test_service);
    tcase_add_test(tcase, test_errors);
    tcase_add_test(tcase, test_no_varlink);
    tcase_add_test(tcase, test_huge);
    tcase_add_test(tcase, test_partial);
    tcase_add_test(tcase, test_patience);
    tcase_add_test(tcase, test_pipelined);
    tcase_add_test(tcase, test_one_a_turn);
    tcase_add_test(tcase, test_oneway);
    tcase_add_test(tcase, test_half_closed);
    tcase_add_test(tcase, test_never_reading);
    tcase_add_test(tcase, test_big_reply);
    tcase_add_test(tcase, test_many);
    tcase_add_test(tcase, test_rights);
    tcase_add_test(tcase, test_place);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
