/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A session against a peer that breaks the protocol, floods, says without end, or does not listen.
 */
#include "harness.h"
#include "suite.h"

#include <plimsoll/cleanup.h>

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

static const struct {
    const char *bytes;
    int cause;
    bool ready; /* said after READY, with one request in flight, whose id is 2 */
} fatal[] = {
    {"hello\n", -EPROTO, false},
    {"HTTP/1.1 400 Bad Request\r\n\r\n", -EPROTO, false},
    {"{\"return\": {}, \"id\": 1}\n", -EPROTO, false},
    {"{\"error\": {\"class\": \"GenericError\", \"desc\": \"x\"}}\n", -EPROTO, false},
    {"{\"QMP\": []}\n", -EPROTO, false},
    {"{\n  \"QMP\": {}\n}\n", -EPROTO, false}, /* qmp-pretty is not line by line */
    {"{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON parse error\"}}\r\n", -EPROTO,
        true},
    {"{\"return\": {}}\n", -EPROTO, true},
    {"{\"return\": {}, \"id\": 3}\n", -EPROTO, true},
    {"{\"return\": {}, \"id\": 0}\n", -EPROTO, true},
    {"{\"return\": {}, \"id\": 18446744073709551615}\n", -EPROTO, true},
    {"{\"return\": {}, \"id\": 99999999999999999999999}\n", -EPROTO, true},
    {"{\"return\": {}, \"id\": \"2\"}\n", -EPROTO, true},
    {"{\"return\": {}, \"id\": [2]}\n", -EPROTO, true},
    {"{\"QMP\": {}}\n", -EPROTO, true},
    {"{\"return\": \"\xff\xfe\", \"id\": 2}\n", -EPROTO, true},
    {"{\"return\": {}, \"id\": 2\n", -EPROTO, true},
    {"\x01\n", -EPROTO, true},
    {"}{\n", -EPROTO, true},
};

START_TEST(broken_protocol_is_fatal_once)
{
    struct harness h;
    if (fatal[_i].ready) {
        harness_start_ready(&h, NULL);
        harness_ask(&h, QMP_COMMAND_QUERY_STATUS);
        ck_assert_uint_eq(h.fake.id, 2);
    } else {
        harness_start(&h, NULL);
    }
    fake_qemu_say_bytes(&h.fake, fatal[_i].bytes, strlen(fatal[_i].bytes));
    ck_assert_int_eq(harness_settle(&h), fatal[_i].cause);
    ck_assert_int_eq(h.state, QMP_STATE_DEAD);
    ck_assert_int_eq(h.cause, fatal[_i].cause);
    ck_assert_uint_eq(h.replies, fatal[_i].ready ? 1 : 0);
    if (fatal[_i].ready)
        ck_assert_int_eq(h.reply.result, fatal[_i].cause);
    unsigned states = h.states;
    ck_assert_int_eq(qmp_session_dispatch(h.session, 0, h.now + 1000 * SECOND), fatal[_i].cause);
    ck_assert_uint_eq(h.states, states);
    harness_stop(&h);
}
END_TEST

START_TEST(nul_bytes_are_fatal)
{
    static const char bytes[] = "{\"return\": {}, \"id\": 2}\0\n";
    struct harness h;
    harness_start_ready(&h, NULL);
    harness_ask(&h, QMP_COMMAND_STOP);
    fake_qemu_say_bytes(&h.fake, bytes, sizeof(bytes) - 1);
    ck_assert_int_eq(harness_settle(&h), -EPROTO);
    ck_assert_int_eq(h.reply.result, -EPROTO);
    harness_stop(&h);
}
END_TEST

START_TEST(peer_that_never_reads_fills_only_the_output)
{
    struct harness h;
    harness_start_ready(&h, NULL);
    /* Fill the socket by requests that time out; then the session's own buffer. */
    int small = 4096, r = 0;
    ck_assert_int_eq(
        setsockopt(qmp_session_fd(h.session), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
    char name[QMP_NAME_MAX];
    memset(name, '\x01', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    unsigned sent = 0;
    for (int i = 0; i < 1000 && !(qmp_session_events(h.session) & EPOLLOUT); i++) {
        r = qmp_execute_get_boolean(h.session, name, name, h.now, SECOND, harness_on_reply, &h);
        ck_assert_int_eq(r, 0);
        sent++;
        if (qmp_session_events(h.session) & EPOLLOUT)
            break;
        h.now += SECOND;
        harness_settle(&h);
    }
    ck_assert_uint_ne(qmp_session_events(h.session) & EPOLLOUT, 0);
    r = qmp_execute_get_boolean(h.session, name, name, h.now, SECOND, harness_on_reply, &h);
    ck_assert_int_eq(r, -ENOBUFS);
    /* Those that fit, and then time out one by one before a byte of them left, are withdrawn. */
    ck_assert_int_eq(
        qmp_execute(h.session, QMP_COMMAND_STOP, h.now, SECOND / 4, harness_on_reply, &h), 0);
    ck_assert_int_eq(
        qmp_execute(h.session, QMP_COMMAND_QUIT, h.now, SECOND / 2, harness_on_reply, &h), 0);
    ck_assert_int_eq(
        qmp_execute(h.session, QMP_COMMAND_CONT, h.now, SECOND, harness_on_reply, &h), 0);
    static const enum qmp_command withdrawn[] = {QMP_COMMAND_STOP, QMP_COMMAND_QUIT};
    for (size_t i = 0; i < ELEMENTSOF(withdrawn); i++) {
        h.now += SECOND / 4;
        ck_assert_int_eq(harness_settle(&h), 0);
        ck_assert_int_eq(h.reply.command, withdrawn[i]);
        ck_assert_int_eq(h.reply.result, -ETIMEDOUT);
    }

    /* The peer wakes up: whole lines, none lost, and no stop or quit among them. */
    for (unsigned i = 0; i < sent; i++) {
        ck_assert_int_eq(fake_qemu_hear(&h.fake), 0);
        ck_assert_uint_eq(h.fake.id, i + 2);
        ck_assert_ptr_nonnull(strstr(h.fake.line, "qom-get"));
        qmp_session_dispatch(h.session, EPOLLOUT, h.now);
    }
    ck_assert_int_eq(fake_qemu_hear(&h.fake), 0);
    ck_assert_ptr_nonnull(strstr(h.fake.line, "\"cont\""));
    ck_assert(!fake_qemu_has_heard(&h.fake));
    ck_assert_uint_eq(qmp_session_events(h.session), EPOLLIN);
    harness_stop(&h);
}
END_TEST

START_TEST(peer_that_stops_reading_for_good_is_dead)
{
    struct harness h;
    harness_start_ready(&h, NULL);
    ck_assert_int_eq(shutdown(h.fake.fd, SHUT_RD), 0);
    fake_qemu_say(&h.fake, "{\"event\": \"STOP\"}");
    ck_assert_int_eq(
        qmp_execute(h.session, QMP_COMMAND_STOP, h.now, SECOND, harness_on_reply, &h), 0);
    ck_assert_uint_eq(h.replies, 0); /* never from inside of execute */
    ck_assert_int_eq(harness_settle(&h), -ECONNRESET);
    ck_assert_uint_eq(h.events, 1);
    ck_assert_int_eq(h.reply.result, -ECONNRESET);
    harness_stop(&h);
}
END_TEST

/* Says LENGTH bytes made of PIECE, as the session reads them. Returns its last result. */
static int say_much(struct harness *h, const char *piece, size_t length)
{
    size_t size = strlen(piece);
    int r = 0;
    for (size_t at = 0; at < length && r == 0; at += size) {
        ck_assert_int_eq(fake_qemu_say_bytes(&h->fake, piece, size), 0);
        r = harness_settle(h);
    }
    return r;
}

START_TEST(endless_line_is_bounded)
{
    char piece[65537];
    memset(piece, 'x', sizeof(piece) - 1);
    piece[sizeof(piece) - 1] = '\0';
    struct harness h;
    harness_start_ready(&h, NULL);
    harness_ask(&h, QMP_COMMAND_STOP);
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    ck_assert_int_eq(say_much(&h, piece, (size_t)100 * 1000 * 1000), -EMSGSIZE);
    ck_assert_int_eq(h.reply.result, -EMSGSIZE);
    ck_assert_uint_le(mallinfo2().uordblks + mallinfo2().hblkhd, before);
    harness_stop(&h);
}
END_TEST

START_TEST(line_as_long_as_allowed_is_taken)
{
    struct harness h;
    harness_start_ready(&h, NULL);
    char *text = malloc(1000001);
    ck_assert_ptr_nonnull(text);
    memset(text, 'y', 1000000);
    text[1000000] = '\0';
    fake_qemu_say_bytes(&h.fake, "{\"event\": \"STOP\", \"data\": \"", 27);
    for (size_t at = 0; at < 1000000; at += 50000) {
        fake_qemu_say_bytes(&h.fake, text + at, 50000);
        ck_assert_int_eq(harness_settle(&h), 0);
    }
    free(text);
    fake_qemu_say(&h.fake, "\"}");
    ck_assert_int_eq(harness_settle(&h), 0);
    ck_assert_uint_eq(h.events, 1);
    harness_stop(&h);
}
END_TEST

START_TEST(deep_nesting_is_fatal)
{
    char deep[10001];
    memset(deep, '[', 10000);
    deep[10000] = '\0';
    struct harness h;
    harness_start_ready(&h, NULL);
    fake_qemu_say(&h.fake, "{\"event\": \"X\", \"data\": %s", deep);
    ck_assert_int_eq(harness_settle(&h), -EMSGSIZE);
    harness_stop(&h);
}
END_TEST

START_TEST(flood_is_read_in_bounded_parts)
{
    struct harness h;
    harness_start_ready(&h, NULL);
    static const char line[] = "{\"event\": \"STOP\"}\r\n";
    unsigned said = 0;
    char bytes[sizeof(line) * 5000];
    for (; said < 5000; said++)
        memcpy(bytes + said * (sizeof(line) - 1), line, sizeof(line) - 1);
    ck_assert_int_eq(fake_qemu_say_bytes(&h.fake, bytes, said * (sizeof(line) - 1)), 0);
    ck_assert_int_eq(qmp_session_dispatch(h.session, EPOLLIN, h.now), 0);
    ck_assert_uint_gt(h.events, 0);
    ck_assert_uint_le(h.events, 40UL * 1024 / (sizeof(line) - 1));
    ck_assert_int_eq(harness_settle(&h), 0);
    ck_assert_uint_eq(h.events, said);
    harness_stop(&h);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("qmp-hostile");
    TCase *hostile = tcase_create("hostile");
    tcase_set_timeout(hostile, 60); /* valgrind */
    tcase_add_loop_test(hostile, broken_protocol_is_fatal_once, 0, (int)ELEMENTSOF(fatal));
    tcase_add_test(hostile, nul_bytes_are_fatal);
    tcase_add_test(hostile, peer_that_never_reads_fills_only_the_output);
    tcase_add_test(hostile, peer_that_stops_reading_for_good_is_dead);
    tcase_add_test(hostile, endless_line_is_bounded);
    tcase_add_test(hostile, line_as_long_as_allowed_is_taken);
    tcase_add_test(hostile, deep_nesting_is_fatal);
    tcase_add_test(hostile, flood_is_read_in_bounded_parts);
    suite_add_tcase(suite, hostile);
    return suite_run(suite);
}
