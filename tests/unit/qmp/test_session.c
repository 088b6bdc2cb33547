/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The life of a session: handshake, requests, deadlines, death, with a peer that behaves, is slow
 * or dies.
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
#include <unistd.h>

START_TEST(handshake_and_replies)
{
    struct harness h;
    harness_start_ready(&h, NULL);
    ck_assert_int_eq(qmp_session_peer(h.session), getpid());
    ck_assert_uint_eq(qmp_session_events(h.session), EPOLLIN);
    ck_assert_uint_eq(qmp_session_deadline(h.session), QMP_NEVER);
    ck_assert_str_eq(qmp_session_path(h.session), "");
    harness_ask(&h, QMP_COMMAND_QUERY_STATUS);
    ck_assert_uint_eq(qmp_session_pending(h.session), 1);
    ck_assert_uint_eq(qmp_session_deadline(h.session), h.now + 5 * SECOND);
    ck_assert_int_eq(fake_qemu_answer(&h.fake), 0);
    ck_assert_int_eq(harness_settle(&h), 0);
    ck_assert_uint_eq(h.replies, 1);
    ck_assert_int_eq(h.reply.result, 0);
    ck_assert_int_eq(h.reply.status.run_state, QMP_RUN_RUNNING);
    ck_assert_uint_eq(qmp_session_pending(h.session), 0);
    harness_stop(&h);
}
END_TEST

START_TEST(commands_are_well_formed)
{
    struct harness h;
    harness_start_ready(&h, NULL);
    ck_assert_int_eq(
        qmp_execute_get_boolean(h.session, "/a\"b\\c", "d\n", h.now, 1, NULL, NULL), 0);
    ck_assert_int_eq(fake_qemu_hear(&h.fake), 0);
    ck_assert_str_eq(h.fake.line, "{\"execute\":\"qom-get\",\"arguments\":{\"path\":\"/"
                                  "a\\\"b\\\\c\",\"property\":\"d\\u000a\"},"
                                  "\"id\":2}\r");
    ck_assert_int_eq(
        qmp_execute_set_statistics_interval(h.session, "/b", 7, h.now, 1, NULL, NULL), 0);
    ck_assert_int_eq(fake_qemu_hear(&h.fake), 0);
    ck_assert_str_eq(h.fake.line,
        "{\"execute\":\"qom-set\",\"arguments\":{\"path\":\"/b\",\"property\":"
        "\"guest-stats-polling-interval\",\"value\":7},\"id\":3}\r");
    ck_assert_int_eq(qmp_execute_set_requested_size(h.session, "v\"0", 0, h.now, 1, NULL, NULL), 0);
    ck_assert_int_eq(fake_qemu_hear(&h.fake), 0);
    ck_assert_str_eq(h.fake.line,
        "{\"execute\":\"qom-set\",\"arguments\":{\"path\":\"/machine/peripheral/v\\\"0\","
        "\"property\":\"requested-size\",\"value\":0},\"id\":4}\r");
    ck_assert_int_eq(qmp_execute(h.session, QMP_COMMAND_STOP, h.now, 1, NULL, NULL), 0);
    ck_assert_int_eq(fake_qemu_hear(&h.fake), 0);
    ck_assert_str_eq(h.fake.line, "{\"execute\":\"stop\",\"id\":5}\r");
    harness_stop(&h);
}
END_TEST

START_TEST(bad_requests_are_refused)
{
    static const enum qmp_command not_plain[] = {QMP_COMMAND_CAPABILITIES, QMP_COMMAND_BALLOON,
        QMP_COMMAND_LIST_DEVICES, QMP_COMMAND_GET_STATISTICS, QMP_COMMAND_GET_BOOLEAN,
        QMP_COMMAND_SET_STATISTICS_INTERVAL, QMP_COMMAND_SET_REQUESTED_SIZE, QMP_COMMAND_COUNT};
    char name[QMP_NAME_MAX + 1];
    struct harness h;
    harness_start_ready(&h, NULL);
    for (size_t i = 0; i < ELEMENTSOF(not_plain); i++)
        ck_assert_int_eq(qmp_execute(h.session, not_plain[i], h.now, 1, NULL, NULL), -EINVAL);
    ck_assert_int_eq(qmp_execute_balloon(h.session, 0, h.now, 1, NULL, NULL), -EINVAL);
    ck_assert_int_eq(qmp_execute_balloon(h.session, UINT64_MAX, h.now, 1, NULL, NULL), -EINVAL);
    ck_assert_int_eq(
        qmp_execute_set_requested_size(h.session, "", 0, h.now, 1, NULL, NULL), -EINVAL);
    ck_assert_int_eq(
        qmp_execute_set_requested_size(h.session, "v", UINT64_MAX, h.now, 1, NULL, NULL), -EINVAL);
    ck_assert_int_eq(qmp_execute_list_devices(h.session, "/", h.now, 1, NULL, NULL), -EINVAL);
    ck_assert_int_eq(qmp_execute_list_devices(h.session, NULL, h.now, 1, NULL, NULL), -EINVAL);
    ck_assert_int_eq(qmp_execute_get_statistics(h.session, "", h.now, 1, NULL, NULL), -EINVAL);
    ck_assert_int_eq(qmp_execute_get_statistics(h.session, "\xff", h.now, 1, NULL, NULL), -EINVAL);
    memset(name, 'x', sizeof(name));
    name[QMP_NAME_MAX] = '\0';
    ck_assert_int_eq(qmp_execute_get_statistics(h.session, name, h.now, 1, NULL, NULL), -EINVAL);
    /* The longest that is taken, each byte of it escaped. */
    memset(name, '\x01', sizeof(name));
    name[QMP_NAME_MAX - 1] = '\0';
    ck_assert_int_eq(qmp_execute_get_boolean(h.session, name, name, h.now, 1, NULL, NULL), 0);
    harness_stop(&h);
}
END_TEST

START_TEST(nothing_is_sent_before_ready)
{
    struct harness h;
    harness_start(&h, NULL);
    ck_assert_int_eq(
        qmp_execute(h.session, QMP_COMMAND_STOP, h.now, SECOND, NULL, NULL), -ENOTCONN);
    fake_qemu_greet(&h.fake);
    harness_settle(&h);
    ck_assert_int_eq(
        qmp_execute(h.session, QMP_COMMAND_STOP, h.now, SECOND, NULL, NULL), -ENOTCONN);
    harness_stop(&h);
}
END_TEST

START_TEST(silent_peer_runs_into_the_greeting_deadline)
{
    struct harness h;
    harness_start(&h, &(struct qmp_options){.greeting_timeout = 3 * SECOND});
    ck_assert_uint_eq(qmp_session_deadline(h.session), h.now + 3 * SECOND);
    h.now += 3 * SECOND - 1;
    ck_assert_int_eq(harness_settle(&h), 0);
    h.now += 1;
    ck_assert_int_eq(harness_settle(&h), -ETIMEDOUT);
    ck_assert_int_eq(h.state, QMP_STATE_DEAD);
    ck_assert_int_eq(h.cause, -ETIMEDOUT);
    ck_assert_uint_eq(qmp_session_deadline(h.session), QMP_NEVER); /* attached: never again */
    harness_stop(&h);
}
END_TEST

START_TEST(greeting_deadline_covers_the_negotiation)
{
    struct harness h;
    harness_start(&h, &(struct qmp_options){.greeting_timeout = 3 * SECOND});
    h.now += 2 * SECOND;
    fake_qemu_greet(&h.fake);
    ck_assert_int_eq(harness_settle(&h), 0);
    h.now += 1 * SECOND;
    ck_assert_int_eq(harness_settle(&h), -ETIMEDOUT);
    ck_assert_int_eq(h.cause, -ETIMEDOUT);
    harness_stop(&h);
}
END_TEST

START_TEST(refused_capabilities_are_fatal)
{
    struct harness h;
    harness_start(&h, NULL);
    fake_qemu_greet(&h.fake);
    harness_settle(&h);
    fake_qemu_hear(&h.fake);
    fake_qemu_fail(&h.fake, h.fake.id, "GenericError", "no");
    ck_assert_int_eq(harness_settle(&h), -EREMOTEIO);
    ck_assert_int_eq(h.state, QMP_STATE_DEAD);
    harness_stop(&h);
}
END_TEST

START_TEST(one_byte_at_a_time)
{
    static const char *const ends[] = {"\n", "\r\n"};
    struct harness h;
    harness_start_ready(&h, NULL);
    for (size_t i = 0; i < ELEMENTSOF(ends); i++) {
        char line[128];
        harness_ask(&h, QMP_COMMAND_QUERY_BALLOON);
        int length = snprintf(line, sizeof(line), "{\"return\": {\"actual\": 77}, \"id\": %u}%s",
            (unsigned)h.fake.id, ends[i]);
        for (int at = 0; at < length; at++) {
            ck_assert_uint_eq(h.replies, i);
            fake_qemu_say_bytes(&h.fake, line + at, 1);
            ck_assert_int_eq(harness_settle(&h), 0);
        }
        ck_assert_uint_eq(h.replies, i + 1);
        ck_assert_uint_eq(h.reply.balloon_actual, 77);
    }
    harness_stop(&h);
}
END_TEST

START_TEST(many_messages_in_one_read)
{
    struct harness h;
    harness_start_ready(&h, NULL);
    for (int i = 0; i < QMP_REQUESTS_MAX; i++)
        harness_ask(&h, QMP_COMMAND_STOP);
    ck_assert_int_eq(qmp_execute(h.session, QMP_COMMAND_STOP, h.now, SECOND, NULL, NULL), -EBUSY);
    char bytes[4096] = "";
    for (unsigned id = 2; id < 2 + QMP_REQUESTS_MAX; id++)
        (void)snprintf(bytes + strlen(bytes), sizeof(bytes) - strlen(bytes),
            "{\"event\": \"STOP\"}\n\r\n{\"return\": {}, \"id\": %u}\r\n{\"event\": \"NEW\"}\r\n",
            id);
    fake_qemu_say_bytes(&h.fake, bytes, strlen(bytes));
    ck_assert_int_eq(qmp_session_dispatch(h.session, EPOLLIN, h.now), 0);
    ck_assert_uint_eq(h.replies, QMP_REQUESTS_MAX);
    ck_assert_uint_eq(h.events, 2UL * QMP_REQUESTS_MAX);
    ck_assert_int_eq(h.event.event, QMP_EVENT_OTHER);
    harness_stop(&h);
}
END_TEST

START_TEST(events_are_told_before_ready_too)
{
    static const struct {
        const char *line;
        enum qmp_event event;
        uint64_t actual;
    } cases[] = {
        {"{\"event\": \"STOP\"}", QMP_EVENT_STOP, QMP_UNKNOWN},
        {"{\"event\": \"RESUME\", \"data\": {\"actual\": 5}}", QMP_EVENT_RESUME, QMP_UNKNOWN},
        {"{\"event\": \"SHUTDOWN\", \"data\": 5}", QMP_EVENT_SHUTDOWN, QMP_UNKNOWN},
        {"{\"event\": \"RESET\"}", QMP_EVENT_RESET, QMP_UNKNOWN},
        {"{\"event\": \"BALLOON_CHANGE\", \"data\": {\"actual\": 5}}", QMP_EVENT_BALLOON_CHANGE, 5},
        {"{\"event\": \"BALLOON_CHANGE\", \"data\": {\"actual\": \"5\"}}", QMP_EVENT_BALLOON_CHANGE,
            QMP_UNKNOWN},
        {"{\"event\": \"BALLOON_CHANGE\", \"data\": []}", QMP_EVENT_BALLOON_CHANGE, QMP_UNKNOWN},
        {"{\"event\": \"MEMORY_DEVICE_SIZE_CHANGE\"}", QMP_EVENT_MEMORY_DEVICE_SIZE_CHANGE,
            QMP_UNKNOWN},
        {"{\"event\": \"MIGRATION\"}", QMP_EVENT_MIGRATION, QMP_UNKNOWN},
        {"{\"event\": \"DEVICE_DELETED\"}", QMP_EVENT_DEVICE_DELETED, QMP_UNKNOWN},
        {"{\"event\": \"\"}", QMP_EVENT_OTHER, QMP_UNKNOWN},
    };
    struct harness h;
    if (_i == 0)
        harness_start(&h, NULL);
    else
        harness_start_ready(&h, NULL);
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        fake_qemu_say(&h.fake, "%s", cases[i].line);
        ck_assert_int_eq(harness_settle(&h), 0);
        ck_assert_uint_eq(h.events, i + 1);
        ck_assert_int_eq(h.event.event, cases[i].event);
        ck_assert_uint_eq(h.event.balloon_actual, cases[i].actual);
    }
    harness_stop(&h);
}
END_TEST

START_TEST(replies_out_of_order)
{
    struct harness h;
    harness_start_ready(&h, NULL);
    harness_ask(&h, QMP_COMMAND_QUERY_STATUS);
    harness_ask(&h, QMP_COMMAND_QUERY_BALLOON);
    fake_qemu_reply(&h.fake, 3, "{\"actual\": 5}");
    ck_assert_int_eq(harness_settle(&h), 0);
    ck_assert_int_eq(h.reply.command, QMP_COMMAND_QUERY_BALLOON);
    fake_qemu_reply(&h.fake, 2, "{\"status\": \"paused\", \"running\": false}");
    ck_assert_int_eq(harness_settle(&h), 0);
    ck_assert_int_eq(h.reply.command, QMP_COMMAND_QUERY_STATUS);
    ck_assert_uint_eq(h.replies, 2);
    /* Said twice: dropped. */
    fake_qemu_reply(&h.fake, 2, "{\"status\": \"paused\", \"running\": false}");
    ck_assert_int_eq(harness_settle(&h), 0);
    ck_assert_uint_eq(h.replies, 2);
    harness_stop(&h);
}
END_TEST

START_TEST(late_replies_are_dropped)
{
    struct harness h;
    harness_start_ready(&h, NULL);
    harness_ask(&h, QMP_COMMAND_QUERY_STATUS);
    ck_assert(!qmp_session_overdue(h.session));
    h.now += 5 * SECOND - 1;
    harness_settle(&h);
    ck_assert_uint_eq(h.replies, 0);
    h.now += 1;
    ck_assert_int_eq(harness_settle(&h), 0);
    ck_assert_uint_eq(h.replies, 1);
    ck_assert_int_eq(h.reply.result, -ETIMEDOUT);
    ck_assert_int_eq(h.state_at_reply, QMP_STATE_READY);
    ck_assert(qmp_session_overdue(h.session));
    fake_qemu_answer(&h.fake);
    ck_assert_int_eq(harness_settle(&h), 0);
    ck_assert_uint_eq(h.replies, 1);
    ck_assert(!qmp_session_overdue(h.session));
    harness_ask(&h, QMP_COMMAND_QUERY_STATUS);
    fake_qemu_answer(&h.fake);
    harness_settle(&h);
    ck_assert_uint_eq(h.replies, 2);
    ck_assert_int_eq(h.reply.result, 0);
    harness_stop(&h);
}
END_TEST

START_TEST(reply_in_the_socket_wins_over_a_deadline_we_missed)
{
    struct harness h;
    harness_start_ready(&h, NULL);
    harness_ask(&h, QMP_COMMAND_QUERY_STATUS);
    fake_qemu_answer(&h.fake);
    h.now += 60 * SECOND;
    ck_assert_int_eq(qmp_session_dispatch(h.session, 0, h.now), 0);
    ck_assert_uint_eq(h.replies, 1);
    ck_assert_int_eq(h.reply.result, 0);
    harness_stop(&h);
}
END_TEST

START_TEST(silence_leaks_no_slot)
{
    struct harness h;
    harness_start_ready(&h, NULL);
    for (unsigned round = 1; round <= 100; round++) {
        for (int i = 0; i < QMP_REQUESTS_MAX; i++)
            harness_ask(&h, QMP_COMMAND_QUERY_STATUS);
        h.now += 6 * SECOND;
        ck_assert_int_eq(harness_settle(&h), 0);
        ck_assert_uint_eq(h.replies, (unsigned long)round * QMP_REQUESTS_MAX);
        ck_assert_uint_eq(qmp_session_pending(h.session), 0);
    }
    harness_stop(&h);
}
END_TEST

START_TEST(death_in_mid_line_answers_all)
{
    struct harness h;
    harness_start_ready(&h, NULL);
    for (int i = 0; i < 3; i++)
        harness_ask(&h, QMP_COMMAND_QUERY_STATUS);
    fake_qemu_say_bytes(&h.fake, "{\"return\": {", 12);
    fake_qemu_hang_up(&h.fake);
    ck_assert_int_eq(harness_settle(&h), -ECONNRESET);
    ck_assert_uint_eq(h.replies, 3);
    ck_assert_uint_eq(h.replies_at_death, 3);
    ck_assert_int_ne(h.state_at_reply, QMP_STATE_DEAD);
    ck_assert_int_eq(h.reply.result, -ECONNRESET);
    harness_stop(&h);
}
END_TEST

START_TEST(last_words_are_heard)
{
    struct harness h;
    harness_start_ready(&h, NULL);
    harness_ask(&h, QMP_COMMAND_QUIT);
    fake_qemu_answer(&h.fake);
    fake_qemu_say(&h.fake, "{\"event\": \"SHUTDOWN\", \"data\": {}}");
    fake_qemu_hang_up(&h.fake);
    ck_assert_int_eq(harness_settle(&h), -ECONNRESET);
    ck_assert_int_eq(h.reply.result, 0);
    ck_assert_int_eq(h.event.event, QMP_EVENT_SHUTDOWN);
    harness_stop(&h);
}
END_TEST

/* Asks again from inside of the reply, until it fails. */
static void ask_again(struct qmp_session *session, const struct qmp_reply *reply, void *userdata)
{
    struct harness *h = userdata;
    harness_on_reply(session, reply, userdata);
    int r = qmp_execute(session, QMP_COMMAND_QUERY_STATUS, h->now, 5 * SECOND, ask_again, h);
    ck_assert_int_eq(r, reply->result == 0 || reply->result == -ETIMEDOUT ? 0 : -ENOTCONN);
}

START_TEST(handlers_may_ask_again)
{
    struct harness h;
    harness_start_ready(&h, NULL);
    for (int i = 0; i < QMP_REQUESTS_MAX; i++)
        ck_assert_int_eq(
            qmp_execute(h.session, QMP_COMMAND_QUERY_STATUS, h.now, 5 * SECOND, ask_again, &h), 0);
    for (int i = 0; i < 50; i++) {
        ck_assert_int_eq(fake_qemu_hear(&h.fake), 0);
        fake_qemu_answer(&h.fake);
        ck_assert_int_eq(harness_settle(&h), 0);
        ck_assert_uint_eq(qmp_session_pending(h.session), QMP_REQUESTS_MAX);
    }
    ck_assert_uint_eq(h.replies, 50);
    h.now += 5 * SECOND; /* all time out, and all are asked anew */
    ck_assert_int_eq(harness_settle(&h), 0);
    ck_assert_uint_eq(h.replies, 50 + QMP_REQUESTS_MAX);
    ck_assert_uint_eq(qmp_session_pending(h.session), QMP_REQUESTS_MAX);
    fake_qemu_hang_up(&h.fake);
    ck_assert_int_eq(harness_settle(&h), -ECONNRESET);
    ck_assert_uint_eq(h.replies, 50 + 2 * QMP_REQUESTS_MAX);
    harness_stop(&h);
}
END_TEST

START_TEST(idle_session_is_small)
{
    /* Over many, so that what malloc keeps in its caches after the first ones weighs nothing. */
    enum {
        WARM = 4,
        SESSIONS = 64
    };
    static struct harness h[SESSIONS];
    size_t before = mallinfo2().uordblks;
    void *probe = malloc(4096);
    ck_assert_ptr_nonnull(probe);
    bool counted = mallinfo2().uordblks > before;
    free(probe);
    if (!counted) {
        printf("SKIPPED: this allocator (of a sanitizer, of valgrind) does not count its bytes\n");
        return;
    }
    for (int i = 0; i < SESSIONS; i++) {
        if (i == WARM)
            before = mallinfo2().uordblks;
        harness_start_ready(&h[i], NULL);
        harness_ask(&h[i], QMP_COMMAND_QUERY_SEV);
        fake_qemu_answer(&h[i].fake);
        harness_settle(&h[i]);
    }
    size_t used = (mallinfo2().uordblks - before) / (SESSIONS - WARM);
    printf("an idle READY session owns %zu bytes of heap\n", used);
    ck_assert_uint_gt(used, QMP_REQUESTS_MAX); /* it was measured at all */
    ck_assert_uint_le(used, 5UL * 1024);
    for (int i = 0; i < SESSIONS; i++)
        harness_stop(&h[i]);
}
END_TEST

START_TEST(options_are_checked)
{
    static const struct {
        const char *path;
        struct qmp_options options;
        int result;
    } cases[] = {
        {"", {0}, -EINVAL},
        {"/a-path-that-is-longer-than-the-108-bytes-of-a-socket-address-012345678901234567890123456"
         "78901234567890123456789",
            {0}, -ENAMETOOLONG},
        {"/a", {.depth_max = 100000}, -EINVAL},
        {"/a", {.line_max = SIZE_MAX}, -EINVAL},
        {"/a", {.backoff_min = 2, .backoff_max = 1}, -EINVAL},
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        struct qmp_session *session = NULL;
        ck_assert_int_eq(
            qmp_session_new(cases[i].path, &cases[i].options, &session), cases[i].result);
        ck_assert_ptr_null(session);
    }
    struct qmp_session *session;
    ck_assert_int_eq(qmp_session_new(NULL, NULL, &session), 0);
    ck_assert_int_eq(qmp_session_connect(session, 0), -EINVAL);
    ck_assert_int_lt(qmp_session_attach(session, -1, 0), 0);
    ck_assert_int_eq(qmp_session_state(session), QMP_STATE_IDLE);
    ck_assert_int_eq(qmp_session_dispatch(session, 0, 5), 0);
    ck_assert_uint_eq(qmp_session_events(session), 0);
    ck_assert_ptr_null(qmp_session_free(session));
    ck_assert_ptr_null(qmp_session_free(NULL));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("qmp-session");
    TCase *session = tcase_create("session");
    tcase_set_timeout(session, 60); /* valgrind */
    tcase_add_test(session, handshake_and_replies);
    tcase_add_test(session, commands_are_well_formed);
    tcase_add_test(session, bad_requests_are_refused);
    tcase_add_test(session, nothing_is_sent_before_ready);
    tcase_add_test(session, silent_peer_runs_into_the_greeting_deadline);
    tcase_add_test(session, greeting_deadline_covers_the_negotiation);
    tcase_add_test(session, refused_capabilities_are_fatal);
    tcase_add_test(session, one_byte_at_a_time);
    tcase_add_test(session, many_messages_in_one_read);
    tcase_add_loop_test(session, events_are_told_before_ready_too, 0, 2);
    tcase_add_test(session, replies_out_of_order);
    tcase_add_test(session, late_replies_are_dropped);
    tcase_add_test(session, reply_in_the_socket_wins_over_a_deadline_we_missed);
    tcase_add_test(session, silence_leaks_no_slot);
    tcase_add_test(session, death_in_mid_line_answers_all);
    tcase_add_test(session, last_words_are_heard);
    tcase_add_test(session, handlers_may_ask_again);
    tcase_add_test(session, idle_session_is_small);
    tcase_add_test(session, options_are_checked);
    suite_add_tcase(suite, session);
    return suite_run(suite);
}
