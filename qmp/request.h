/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The requests in flight of one connection: a fixed table, and ids that only grow.
 */
#ifndef PLIMSOLL_QMP_REQUEST_H
#define PLIMSOLL_QMP_REQUEST_H

#include "output.h"

#include <plimsoll/qmp.h>

struct qmp_request {
    uint64_t id; /* 0: free */
    enum qmp_command command;
    uint64_t deadline;        /* QMP_NEVER: none */
    struct qmp_extent extent; /* where its line stands in the output */
    const char *container;    /* of LIST_DEVICES; static storage */
    qmp_reply_handler handler;
    void *userdata;
};

struct qmp_requests {
    struct qmp_request slots[QMP_REQUESTS_MAX];
    uint64_t last_id;    /* last one given away; 0: none yet */
    uint64_t overdue_id; /* last one that timed out after it was sent; 0: none */
    uint64_t replied_id; /* highest one the peer replied to, in time or late; 0: none */
};

/* A free slot, or NULL. It is taken by giving it the id last_id + 1. */
struct qmp_request *qmp_requests_free_slot(struct qmp_requests *requests);

/*
 * Take requests out of the table, so that their slots are free before any handler runs. Each
 * returns false when there is none left to take; the oldest goes first.
 */
bool qmp_requests_take(struct qmp_requests *requests, uint64_t id, struct qmp_request *ret_request);
bool qmp_requests_take_oldest(struct qmp_requests *requests, struct qmp_request *ret_request);
bool qmp_requests_take_expired(
    struct qmp_requests *requests, uint64_t now, struct qmp_request *ret_request);

/* The line at EXTENT was withdrawn from the output: those behind it moved up. */
void qmp_requests_withdrawn(struct qmp_requests *requests, const struct qmp_extent *extent);

unsigned qmp_requests_count(const struct qmp_requests *requests);
/* The earliest deadline; QMP_NEVER: none. */
uint64_t qmp_requests_deadline(const struct qmp_requests *requests);

#endif
