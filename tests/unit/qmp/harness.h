/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A session with a fake QEMU at its other end, a clock that the test turns, and a record of all
 * that the session said. Both ends live in one thread: what one wrote the other can read at once.
 */
#ifndef PLIMSOLL_TESTS_QMP_HARNESS_H
#define PLIMSOLL_TESTS_QMP_HARNESS_H

#include "fake_qemu.h"

#include <plimsoll/qmp.h>
#include <plimsoll/units.h>

#include <check.h>

#define SECOND NSEC_PER_SEC

struct harness {
    struct fake_qemu fake;
    struct qmp_session *session;
    uint64_t now;

    unsigned replies;
    struct qmp_reply reply; /* the last one; error_text is only in text */
    char text[512];
    enum qmp_state state_at_reply;
    unsigned states;
    enum qmp_state state; /* the last one told */
    int cause;
    unsigned replies_at_death;
    unsigned events;
    struct qmp_event_record event; /* the last one */
};

/* A session attached to a fake that has said nothing yet. OPTIONS may be NULL; its handlers and
 * userdata are the harness's. */
void harness_start(struct harness *harness, const struct qmp_options *options);
/* The same, greeted and READY. */
void harness_start_ready(struct harness *harness, const struct qmp_options *options);
void harness_stop(struct harness *harness);

/* Dispatches until the socket has nothing more to read, or the session is DEAD. Returns what the
 * last dispatch did. */
int harness_settle(struct harness *harness);

/* A reply handler that records; its userdata is the harness. */
void harness_on_reply(struct qmp_session *session, const struct qmp_reply *reply, void *userdata);

/* Sends a plain command with 5 s of time, and has the fake hear it. */
void harness_ask(struct harness *harness, enum qmp_command command);

#endif
