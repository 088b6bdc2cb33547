/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the record that the tests of the session look at.
 */
#include "harness.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

void harness_on_reply(struct qmp_session *session, const struct qmp_reply *reply, void *userdata)
{
    struct harness *harness = userdata;
    harness->replies++;
    harness->reply = *reply;
    harness->reply.error_text = NULL;
    ck_assert_ptr_nonnull(reply->error_text);
    (void)snprintf(harness->text, sizeof(harness->text), "%s", reply->error_text);
    harness->state_at_reply = qmp_session_state(session);
}

static void on_state(struct qmp_session *session, enum qmp_state state, int cause, void *userdata)
{
    struct harness *harness = userdata;
    ck_assert_int_eq(qmp_session_state(session), state);
    harness->states++;
    harness->state = state;
    harness->cause = cause;
    if (state == QMP_STATE_DEAD) {
        harness->replies_at_death = harness->replies;
        ck_assert_uint_eq(qmp_session_pending(session), 0);
        ck_assert_int_eq(qmp_session_fd(session), -1);
    }
}

static void on_event(
    struct qmp_session *session, const struct qmp_event_record *event, void *userdata)
{
    struct harness *harness = userdata;
    (void)session;
    harness->events++;
    harness->event = *event;
}

void harness_start(struct harness *harness, const struct qmp_options *options)
{
    memset(harness, 0, sizeof(*harness));
    harness->now = 1000 * SECOND;
    struct qmp_options own = options ? *options : (struct qmp_options){0};
    own.on_state = on_state;
    own.on_event = on_event;
    own.userdata = harness;

    int client;
    ck_assert_int_eq(fake_qemu_pair(&harness->fake, &client), 0);
    ck_assert_int_eq(qmp_session_new(NULL, &own, &harness->session), 0);
    ck_assert_int_eq(qmp_session_attach(harness->session, client, harness->now), 0);
    ck_assert_int_eq(harness->state, QMP_STATE_GREETING);
}

void harness_start_ready(struct harness *harness, const struct qmp_options *options)
{
    harness_start(harness, options);
    ck_assert_int_eq(fake_qemu_greet(&harness->fake), 0);
    ck_assert_int_eq(harness_settle(harness), 0);
    ck_assert_int_eq(harness->state, QMP_STATE_NEGOTIATING);
    ck_assert_int_eq(fake_qemu_hear(&harness->fake), 0);
    ck_assert_ptr_nonnull(strstr(harness->fake.line, "\"qmp_capabilities\""));
    ck_assert_int_eq(fake_qemu_answer(&harness->fake), 0);
    ck_assert_int_eq(harness_settle(harness), 0);
    ck_assert_int_eq(harness->state, QMP_STATE_READY);
}

void harness_stop(struct harness *harness)
{
    harness->session = qmp_session_free(harness->session);
    fake_qemu_close(&harness->fake);
}

int harness_settle(struct harness *harness)
{
    struct pollfd readable = {.events = POLLIN};
    int r;
    do {
        r = qmp_session_dispatch(harness->session, 0, harness->now);
        readable.fd = qmp_session_fd(harness->session);
    } while (readable.fd >= 0 && poll(&readable, 1, 0) > 0);
    return r;
}

void harness_ask(struct harness *harness, enum qmp_command command)
{
    ck_assert_int_eq(
        qmp_execute(harness->session, command, harness->now, 5 * SECOND, harness_on_reply, harness),
        0);
    ck_assert_int_eq(fake_qemu_hear(&harness->fake), 0);
    ck_assert_ptr_nonnull(strstr(harness->fake.line, qmp_command_name(command)));
}
