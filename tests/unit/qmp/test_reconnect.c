/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sessions by path: who listens, failing to connect, and the tries to connect again, by a clock
 * that the test turns.
 */
#include "harness.h"
#include "suite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[64];
static char path[96];

static void folder_make(void)
{
    (void)snprintf(folder, sizeof(folder), "/tmp/plimsoll-qmp-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/monitor", folder);
}

static void folder_remove(void)
{
    (void)unlink(path);
    (void)rmdir(folder);
}

static void session_make_ready(struct fake_qemu *fake, struct qmp_session *session, uint64_t now)
{
    ck_assert_int_eq(qmp_session_state(session), QMP_STATE_GREETING);
    ck_assert_int_eq(fake_qemu_accept(fake), 0);
    ck_assert_int_eq(fake_qemu_greet(fake), 0);
    ck_assert_int_eq(qmp_session_dispatch(session, EPOLLIN, now), 0);
    ck_assert_int_eq(fake_qemu_hear(fake), 0);
    ck_assert_int_eq(fake_qemu_answer(fake), 0);
    ck_assert_int_eq(qmp_session_dispatch(session, EPOLLIN, now), 0);
    ck_assert_int_eq(qmp_session_state(session), QMP_STATE_READY);
}

START_TEST(backoff_doubles_to_its_end_and_starts_anew)
{
    static const unsigned expected[] = {1, 2, 4, 8, 10, 10};
    struct qmp_session *session;
    struct fake_qemu fake;
    uint64_t now = 50 * SECOND;
    ck_assert_int_eq(
        qmp_session_new(path, &(struct qmp_options){.backoff_max = 10 * SECOND}, &session), 0);
    ck_assert_str_eq(qmp_session_path(session), path);
    ck_assert_int_eq(qmp_session_connect(session, now), 0);
    for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
        ck_assert_int_eq(qmp_session_state(session), QMP_STATE_DEAD);
        ck_assert_int_eq(qmp_session_fd(session), -1);
        ck_assert_uint_eq(qmp_session_deadline(session), now + expected[i] * SECOND);
        now += expected[i] * SECOND;
        /* Not a moment too early. */
        ck_assert_int_eq(qmp_session_dispatch(session, 0, now - 1), -ENOENT);
        ck_assert_uint_eq(qmp_session_deadline(session), now);
        ck_assert_int_eq(qmp_session_dispatch(session, 0, now), -ENOENT);
    }

    ck_assert_int_eq(fake_qemu_listen(&fake, path), 0);
    now = qmp_session_deadline(session);
    ck_assert_int_eq(qmp_session_dispatch(session, 0, now), 0);
    ck_assert_int_eq(qmp_session_peer(session), getpid());
    session_make_ready(&fake, session, now);
    ck_assert_int_eq(qmp_session_connect(session, now), 0); /* does nothing */
    ck_assert_int_eq(qmp_session_state(session), QMP_STATE_READY);

    fake_qemu_hang_up(&fake);
    ck_assert_int_eq(qmp_session_dispatch(session, EPOLLIN | EPOLLHUP, now), -ECONNRESET);
    ck_assert_int_eq(qmp_session_peer(session), 0);
    ck_assert_uint_eq(qmp_session_deadline(session), now + SECOND);
    now += SECOND;
    ck_assert_int_eq(qmp_session_dispatch(session, 0, now), 0);
    session_make_ready(&fake, session, now);
    ck_assert_uint_eq(
        fake.id, 2); /* ids go on: a reply from before can never be taken for another */
    qmp_session_free(session);
    fake_qemu_close(&fake);
}
END_TEST

START_TEST(silent_listener_times_out_and_is_tried_again)
{
    struct qmp_session *session;
    struct fake_qemu fake;
    uint64_t now = 50 * SECOND;
    ck_assert_int_eq(fake_qemu_listen(&fake, path), 0);
    ck_assert_int_eq(qmp_session_new(path, NULL, &session), 0);
    ck_assert_int_eq(qmp_session_connect(session, now), 0);
    ck_assert_int_eq(qmp_session_state(session), QMP_STATE_GREETING);
    ck_assert_uint_eq(qmp_session_deadline(session), now + 10 * SECOND);
    now += 10 * SECOND;
    ck_assert_int_eq(qmp_session_dispatch(session, 0, now), -ETIMEDOUT);
    now += SECOND;
    ck_assert_uint_eq(qmp_session_deadline(session), now);
    ck_assert_int_eq(qmp_session_dispatch(session, 0, now), 0);
    ck_assert_int_eq(fake_qemu_accept(&fake), 0); /* the first, which was given up */
    session_make_ready(&fake, session, now);
    qmp_session_free(session);
    fake_qemu_close(&fake);
}
END_TEST

START_TEST(full_backlog_is_backed_off_from)
{
    struct qmp_session *sessions[8];
    struct fake_qemu fake;
    uint64_t now = 50 * SECOND;
    ck_assert_int_eq(fake_qemu_listen(&fake, path), 0);
    unsigned made = 0;
    do {
        ck_assert_uint_lt(made, 8);
        ck_assert_int_eq(qmp_session_new(path, NULL, &sessions[made]), 0);
        ck_assert_int_eq(qmp_session_connect(sessions[made], now), 0);
        made++;
    } while (qmp_session_state(sessions[made - 1]) == QMP_STATE_GREETING);
    struct qmp_session *last = sessions[made - 1];
    ck_assert_uint_gt(made, 1);
    ck_assert_int_eq(qmp_session_dispatch(last, 0, now), -EAGAIN);
    ck_assert_uint_eq(qmp_session_deadline(last), now + SECOND);

    for (unsigned i = 0; i + 1 < made; i++) {
        qmp_session_free(sessions[i]);
        ck_assert_int_eq(fake_qemu_accept(&fake), 0);
    }
    ck_assert_int_eq(qmp_session_dispatch(last, 0, now + SECOND), 0);
    session_make_ready(&fake, last, now + SECOND);
    qmp_session_free(last);
    fake_qemu_close(&fake);
}
END_TEST

START_TEST(socket_that_nobody_listens_at)
{
    struct qmp_session *session;
    struct fake_qemu fake;
    ck_assert_int_eq(fake_qemu_listen(&fake, path), 0);
    close(fake.listener);
    ck_assert_int_eq(qmp_session_new(path, NULL, &session), 0);
    ck_assert_int_eq(qmp_session_connect(session, SECOND), 0);
    ck_assert_int_eq(qmp_session_dispatch(session, 0, SECOND), -ECONNREFUSED);
    qmp_session_free(session);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("qmp-reconnect");
    TCase *reconnect = tcase_create("reconnect");
    tcase_add_checked_fixture(reconnect, folder_make, folder_remove);
    tcase_add_test(reconnect, backoff_doubles_to_its_end_and_starts_anew);
    tcase_add_test(reconnect, silent_listener_times_out_and_is_tried_again);
    tcase_add_test(reconnect, full_backlog_is_backed_off_from);
    tcase_add_test(reconnect, socket_that_nobody_listens_at);
    suite_add_tcase(suite, reconnect);
    return suite_run(suite);
}
