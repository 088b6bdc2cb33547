/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The session's insides, shared by session.c (its life) and exchange.c (its messages).
 */
#ifndef PLIMSOLL_QMP_SESSION_H
#define PLIMSOLL_QMP_SESSION_H

#include "command.h"
#include "frame.h"
#include "message.h"
#include "output.h"
#include "request.h"

#include <plimsoll/qmp.h>

struct qmp_session {
    struct qmp_options options; /* no zeros: the defaults are filled in */
    enum qmp_state state;
    int cause;       /* of DEAD */
    bool dying;      /* requests are being answered with the cause; nothing new is taken */
    bool reconnects; /* connected by path, not attached */
    int fd;
    pid_t peer;
    unsigned undrained; /* dispatches in a row that left something unread */
    uint64_t deadline;  /* of the handshake, or of the next try; QMP_NEVER: none */
    uint64_t backoff;   /* before the next try */
    struct qmp_frame frame;
    struct qmp_parser parser;
    struct qmp_requests requests;
    struct qmp_output output;
    char path[]; /* empty: only for attach */
};

/* Changes the state and tells the owner. CAUSE: 0, or why it is DEAD. */
void qmp_session_enter(struct qmp_session *session, enum qmp_state state, int cause);

/* Reads and handles what the peer sent, up to a bound. Returns 0 (*RET_DRAINED tells whether
 * nothing was left), or the negative errno the session is to die of. */
int qmp_session_receive(struct qmp_session *session, bool *ret_drained);

/* Answers the requests whose time has passed. */
void qmp_session_expire(struct qmp_session *session, uint64_t now);
/* Answers every request with CAUSE. */
void qmp_session_abandon(struct qmp_session *session, int cause);

#endif
