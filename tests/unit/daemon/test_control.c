/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the control server answers: to honest clients, and to bytes that are partial, huge, binary,
 * deep or no varlink at all.
 */
#include "control_scene.h"
#include "suite.h"

#include <check.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/control.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

START_TEST(test_answers)
{
    control_assert_serves();
    control_assert_answer("{\"method\":\"io.plimsoll.Echo\"}", "{\"parameters\":{}}");
    control_assert_answer("{\"method\":\"io.plimsoll.Echo\",\"parameters\":null,\"more\":true}",
        "{\"parameters\":{}}");
    control_assert_answer(
        "{\"method\":\"io.plimsoll.Root\",\"future\":[1]}", "{\"parameters\":{}}");
    control_assert_answer("{\"method\":\"io.plimsoll.Fail\"}",
        "{\"parameters\":{\"message\":\"the disk is gone\"},\"error\":\"io.plimsoll.Failed\"}");
}
END_TEST

START_TEST(test_service)
{
    char *reply;
    int fd = control_connect();

    control_assert_answer("{\"method\":\"org.varlink.service.GetInfo\"}",
        "{\"parameters\":{\"vendor\":\"Plimsoll\",\"product\":\"Plimsoll\",\"version\":"
        "\"" PLIMSOLL_VERSION "\",\"url\":\"urn:plimsoll\",\"interfaces\":["
        "\"org.varlink.service\",\"io.plimsoll\"]}}");
    control_say_text(fd,
        "{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":"
        "{\"interface\":\"io.plimsoll\"}}");
    reply = control_hear(fd);
    ck_assert_ptr_nonnull(strstr(reply, "interface io.plimsoll\\n"));
    free(reply);
    control_say_text(fd,
        "{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":"
        "{\"interface\":\"org.varlink.service\"}}");
    reply = control_hear(fd);
    ck_assert_ptr_nonnull(strstr(reply, "interface org.varlink.service\\n"));
    free(reply);
    close(fd);
}
END_TEST

START_TEST(test_errors)
{
    control_assert_answer("{\"method\":\"io.plimsoll.None\"}",
        "{\"parameters\":{\"method\":\"io.plimsoll.None\"},"
        "\"error\":\"org.varlink.service.MethodNotFound\"}");
    control_assert_answer("{\"method\":\"org.varlink.service.None\"}",
        "{\"parameters\":{\"method\":\"org.varlink.service.None\"},"
        "\"error\":\"org.varlink.service.MethodNotFound\"}");
    control_assert_answer("{\"method\":\"org.example.None\"}",
        "{\"parameters\":{\"interface\":\"org.example\"},"
        "\"error\":\"org.varlink.service.InterfaceNotFound\"}");
    control_assert_answer("{\"method\":\"\"}",
        "{\"parameters\":{\"interface\":\"\"},"
        "\"error\":\"org.varlink.service.InterfaceNotFound\"}");
    control_assert_answer(
        "{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":"
        "{\"interface\":\"org.example\"}}",
        "{\"parameters\":{\"interface\":\"org.example\"},"
        "\"error\":\"org.varlink.service.InterfaceNotFound\"}");
    control_assert_answer(
        "{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":"
        "{\"interface\":7}}",
        "{\"parameters\":{\"parameter\":\"interface\"},"
        "\"error\":\"org.varlink.service.InvalidParameter\"}");
    control_assert_answer("{\"method\":\"io.plimsoll.Echo\",\"parameters\":[1]}",
        "{\"parameters\":{\"parameter\":\"parameters\"},"
        "\"error\":\"org.varlink.service.InvalidParameter\"}");
    control_assert_answer("{\"method\":\"io.plimsoll.Fail\",\"parameters\":{\"text\":1}}",
        "{\"parameters\":{\"parameter\":\"text\"},"
        "\"error\":\"org.varlink.service.InvalidParameter\"}");
    control_assert_answer("{\"method\":\"io.plimsoll.Echo\",\"upgrade\":true}",
        "{\"parameters\":{\"parameter\":\"upgrade\"},"
        "\"error\":\"org.varlink.service.InvalidParameter\"}");
    ck_assert_uint_eq(scene.calls, 0);
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
        control_assert_refused(texts[i], strlen(texts[i]) + 1);
    for (size_t i = 0; i < sizeof(binary); i++)
        binary[i] = (char)(255 - i);
    control_assert_refused(binary, sizeof(binary));
    memset(deep + strlen(deep), '[', 1000);
    control_assert_refused(deep, strlen(deep) + 1);
}
END_TEST

START_TEST(test_huge)
{
    char request[CONTROL_REQUEST_MAX + 1];
    int fd = control_connect();
    char *reply;

    /* The longest that is taken … */
    memset(request, ' ', sizeof(request));
    memcpy(request, "{\"method\":\"io.plimsoll.Echo\"}", 29);
    request[CONTROL_REQUEST_MAX - 1] = '\0';
    control_say(fd, request, CONTROL_REQUEST_MAX);
    reply = control_hear(fd);
    ck_assert_str_eq(reply, "{\"parameters\":{}}");
    free(reply);
    close(fd);
    /* … and one byte more, whether or not its end is there. */
    request[CONTROL_REQUEST_MAX - 1] = ' ';
    control_assert_refused(request, CONTROL_REQUEST_MAX);
    request[CONTROL_REQUEST_MAX] = '\0';
    control_assert_refused(request, CONTROL_REQUEST_MAX + 1);
}
END_TEST

START_TEST(test_partial)
{
    const char *text = "{\"method\":\"io.plimsoll.Echo\",\"parameters\":{\"text\":\"\xc3\xa4\"}}";
    int fd = control_connect();
    char *reply;

    for (size_t i = 0; i <= strlen(text); i++) {
        ck_assert_uint_eq(scene.calls, 0);
        control_say(fd, text + i, 1);
        control_turn();
    }
    reply = control_hear(fd);
    ck_assert_str_eq(reply, "{\"parameters\":{\"text\":\"\xc3\xa4\"}}");
    free(reply);
    close(fd);
}
END_TEST

START_TEST(test_pipelined)
{
    char batch[CONTROL_REQUEST_MAX * 4];
    int fd = control_connect();
    size_t length = 0;
    unsigned sent = 0;

    while (length + 100 < sizeof(batch))
        length += (size_t)snprintf(batch + length, sizeof(batch) - length,
                      "{\"method\":\"io.plimsoll.Echo\",\"parameters\":{\"text\":%u}}", sent++) +
                  1;
    control_say(fd, batch, length);
    for (unsigned i = 0; i < sent; i++) {
        char expected[64];
        char *reply = control_hear(fd);

        snprintf(expected, sizeof(expected), "{\"parameters\":{\"text\":%u}}", i);
        ck_assert_ptr_nonnull(reply);
        ck_assert_str_eq(reply, expected);
        free(reply);
    }
    ck_assert_uint_eq(scene.calls, sent);
    close(fd);
}
END_TEST

START_TEST(test_oneway)
{
    int fd = control_connect();
    char *reply;

    control_say_text(fd, "{\"method\":\"io.plimsoll.Echo\",\"oneway\":true}");
    control_say_text(fd, "{\"method\":\"io.plimsoll.Nothing\",\"oneway\":true}");
    control_say_text(fd, "{\"method\":\"io.plimsoll.Root\"}");
    reply = control_hear(fd);
    ck_assert_str_eq(reply, "{\"parameters\":{}}");
    free(reply);
    ck_assert_uint_eq(scene.calls, 2);
    /* And one whose sender does not wait. */
    control_say_text(fd, "{\"method\":\"io.plimsoll.Echo\",\"oneway\":true}");
    close(fd);
    control_settle();
    ck_assert_uint_eq(scene.calls, 3);
}
END_TEST

START_TEST(test_half_closed)
{
    int fd = control_connect();
    char *reply;

    control_say_text(fd, "{\"method\":\"io.plimsoll.Echo\"}");
    control_say_text(fd, "{\"method\":\"io.plimsoll.Echo\"}");
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    for (int i = 0; i < 2; i++) {
        reply = control_hear(fd);
        ck_assert_str_eq(reply, "{\"parameters\":{}}");
        free(reply);
    }
    ck_assert(control_is_closed(fd));
    close(fd);
}
END_TEST

START_TEST(test_big_reply)
{
    int fd = control_connect();
    char *reply;

    scene.text_size = CONTROL_REPLY_MAX - 1024;
    control_say_text(fd, "{\"method\":\"io.plimsoll.Big\"}");
    reply = control_hear(fd);
    ck_assert_ptr_nonnull(reply);
    ck_assert_uint_gt(strlen(reply), scene.text_size);
    free(reply);
    scene.text_size = CONTROL_REPLY_MAX;
    control_say_text(fd, "{\"method\":\"io.plimsoll.Big\"}");
    reply = control_hear(fd);
    ck_assert_ptr_nonnull(strstr(reply, CONTROL_ERROR_FAILED));
    free(reply);
    close(fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("control");
    TCase *tcase = tcase_create("answers");

    tcase_add_checked_fixture(tcase, control_scene_setup, control_scene_teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_answers);
    tcase_add_test(tcase, test_service);
    tcase_add_test(tcase, test_errors);
    tcase_add_test(tcase, test_no_varlink);
    tcase_add_test(tcase, test_huge);
    tcase_add_test(tcase, test_partial);
    tcase_add_test(tcase, test_pipelined);
    tcase_add_test(tcase, test_oneway);
    tcase_add_test(tcase, test_half_closed);
    tcase_add_test(tcase, test_big_reply);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
