/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The client against guards that are absent, silent, rude and honest. The other side is a thread of
 * a script: accept, read the request, write the given bytes, close or stay.
 */
#include "client.h"
#include "scratch.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/control.h>
#include <plimsoll/units.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define METHOD "io.plimsoll.GetStatus"

static char folder[SCRATCH_FOLDER_MAX];
static char path[SCRATCH_FOLDER_MAX + 16];
static int listener;

struct script {
    const char *answer; /* NULL: endless garbage */
    size_t length;
    bool stays;
    char request[CONTROL_REQUEST_MAX];
};

static void setup(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    scratch_make("client", folder);
    snprintf(path, sizeof(path), "%s/socket", folder);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listener, (void *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(listener, 4), 0);
}

static void teardown(void)
{
    if (listener >= 0)
        close(listener);
    unlink(path);
    rmdir(folder);
}

static void *script_run(void *argument)
{
    struct script *script = argument;
    char garbage[4096];
    int fd = accept(listener, NULL, NULL);
    ssize_t count = recv(fd, script->request, sizeof(script->request), 0);

    memset(garbage, 'x', sizeof(garbage));
    if (count <= 0)
        script->request[0] = '\0';
    if (script->answer)
        (void)send(fd, script->answer, script->length, MSG_NOSIGNAL);
    else
        while (send(fd, garbage, sizeof(garbage), MSG_NOSIGNAL) > 0)
            continue;
    if (script->stays) /* until the client goes */
        (void)recv(fd, garbage, sizeof(garbage), 0);
    close(fd);
    return NULL;
}

static int call(struct script *script, uint64_t timeout, struct json_object **ret_parameters,
    struct error *ret_error)
{
    pthread_t thread;
    int result;

    ck_assert_int_eq(pthread_create(&thread, NULL, script_run, script), 0);
    result = client_call(path, METHOD, NULL, timeout, ret_parameters, ret_error);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    return result;
}

START_TEST(test_honest)
{
    static const char answer[] = "{\"parameters\":{\"a\":1}}";
    struct script script = {.answer = answer, .length = sizeof(answer), .stays = true};
    struct json_object *parameters = NULL;
    struct error error = {0};

    ck_assert_msg(call(&script, CLIENT_TIMEOUT, &parameters, &error) == 0, "%s", error.text);
    ck_assert_str_eq(script.request, "{\"method\":\"" METHOD "\"}");
    ck_assert_str_eq(
        json_object_to_json_string_ext(parameters, JSON_C_TO_STRING_PLAIN), "{\"a\":1}");
    json_object_put(parameters);
}
END_TEST

START_TEST(test_parameters)
{
    static const char answer[] = "{\"parameters\":{}}";
    struct script script = {.answer = answer, .length = sizeof(answer), .stays = true};
    struct json_object *given = json_tokener_parse("{\"name\":\"a\\\"b\",\"nodes\":[0,3]}");
    struct json_object *parameters = NULL;
    struct error error = {0};
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, script_run, &script), 0);
    ck_assert_int_eq(client_call(path, METHOD, given, CLIENT_TIMEOUT, &parameters, &error), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_str_eq(script.request,
        "{\"method\":\"" METHOD "\",\"parameters\":{\"name\":\"a\\\"b\",\"nodes\":[0,3]}}");
    json_object_put(parameters);
    ck_assert_int_eq(json_object_put(given), 1); /* nobody else holds them */
}
END_TEST

/* No request is sent that the guard would not take. */
START_TEST(test_parameters_too_long)
{
    char text[CONTROL_REQUEST_MAX];
    struct json_object *given = json_object_new_object(), *parameters = NULL;
    struct error error = {0};

    memset(text, 'x', sizeof(text));
    json_object_object_add(given, "name", json_object_new_string_len(text, sizeof(text)));
    ck_assert_int_eq(client_call(path, METHOD, given, CLIENT_TIMEOUT, &parameters, &error), -E2BIG);
    ck_assert_ptr_nonnull(strstr(error.text, path));
    ck_assert_int_eq(json_object_put(given), 1);
}
END_TEST

START_TEST(test_absent)
{
    struct json_object *parameters = NULL;
    struct error error = {0};

    close(listener);
    listener = -1;
    ck_assert_int_eq(
        client_call(path, METHOD, NULL, CLIENT_TIMEOUT, &parameters, &error), -ECONNREFUSED);
    ck_assert_ptr_nonnull(strstr(error.text, path));
    ck_assert_ptr_nonnull(strstr(error.text, "systemctl status plimsolld"));
    unlink(path);
    ck_assert_int_eq(client_call(path, METHOD, NULL, CLIENT_TIMEOUT, &parameters, &error), -ENOENT);
    ck_assert_ptr_null(parameters);
}
END_TEST

START_TEST(test_silent)
{
    struct script script = {.answer = "{", .length = 1, .stays = true};
    struct json_object *parameters = NULL;
    struct error error = {0};

    ck_assert_int_eq(call(&script, 50 * NSEC_PER_MSEC, &parameters, &error), -ETIMEDOUT);
    ck_assert_ptr_nonnull(strstr(error.text, "does not answer"));
}
END_TEST

START_TEST(test_backlog_full)
{
    struct json_object *parameters = NULL;
    struct error error = {0};

    /* Nobody accepts, and there is no room left to wait in. */
    for (int i = 0; i < 64; i++) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        if (connect(fd, (void *)&address, sizeof(address)) < 0) {
            ck_assert_int_eq(errno, EAGAIN);
            break;
        }
        ck_assert_int_lt(i, 63);
    }
    ck_assert_int_eq(
        client_call(path, METHOD, NULL, 100 * NSEC_PER_MSEC, &parameters, &error), -ETIMEDOUT);
}
END_TEST

START_TEST(test_rude)
{
    static const struct {
        const char *answer;
        size_t length;
        int expected;
    } cases[] = {
        {"", 0, -ECONNRESET},
        {"{\"parameters\":", 14, -ECONNRESET},
        {"", 1, -EBADMSG},
        {"[]", 3, -EBADMSG},
        {"{}", 3, -EBADMSG},
        {"{\"parameters\":7}", 17, -EBADMSG},
        {"{\"parameters\":{}}x", 19, -EBADMSG},
        {"\xff\x01\x02", 4, -EBADMSG},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        struct script script = {.answer = cases[i].answer, .length = cases[i].length};
        struct json_object *parameters = NULL;
        struct error error = {0};

        ck_assert_int_eq(call(&script, CLIENT_TIMEOUT, &parameters, &error), cases[i].expected);
        ck_assert_ptr_null(parameters);
        ck_assert_uint_gt(strlen(error.text), 0);
    }
}
END_TEST

START_TEST(test_endless)
{
    struct script script = {.answer = NULL};
    struct json_object *parameters = NULL;
    struct error error = {0};

    ck_assert_int_eq(call(&script, 30 * NSEC_PER_SEC, &parameters, &error), -EMSGSIZE);
}
END_TEST

START_TEST(test_errors)
{
    static const struct {
        const char *answer, *expected;
    } cases[] = {
        {"{\"error\":\"io.plimsoll.Failed\",\"parameters\":{\"message\":\"no \\u001bluck\"}}",
            "no ?luck"},
        {"{\"error\":\"org.varlink.service.PermissionDenied\",\"parameters\":{}}", "root"},
        {"{\"error\":\"org.varlink.service.MethodNotFound\"}", "another version"},
        {"{\"error\":\"org.example.Odd\",\"parameters\":[]}", "org.example.Odd"},
        {"{\"error\":7}", "the guard answered"},
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        struct script script = {.answer = cases[i].answer, .length = strlen(cases[i].answer) + 1};
        struct json_object *parameters = NULL;
        struct error error = {0};

        ck_assert_int_eq(call(&script, CLIENT_TIMEOUT, &parameters, &error), -EREMOTEIO);
        ck_assert_msg(strstr(error.text, cases[i].expected) != NULL, "%s", error.text);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client");
    TCase *tcase = tcase_create("call");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_honest);
    tcase_add_test(tcase, test_parameters);
    tcase_add_test(tcase, test_parameters_too_long);
    tcase_add_test(tcase, test_absent);
    tcase_add_test(tcase, test_silent);
    tcase_add_test(tcase, test_backlog_full);
    tcase_add_test(tcase, test_rude);
    tcase_add_test(tcase, test_endless);
    tcase_add_test(tcase, test_errors);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
