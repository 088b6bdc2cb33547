/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guard's calls between their coming and their answer: VIRT_WORKERS threads carry them out, and
 * one more those that destroy, so that a kill waits for nothing but other kills. It lives in
 * libvirt's event loop; all functions are for the thread that turns it.
 *
 * Of a domain one call at a time is under way, Destroy apart; what comes meanwhile waits for it, or
 * is refused with -EBUSY if that one has outlived its deadline. Acts go before balloon targets, and
 * those before looks, which never have all workers while they may yet return. What waits for too
 * long is refused with -EAGAIN.
 */
#ifndef PLIMSOLL_DAEMON_VIRT_CALLS_H
#define PLIMSOLL_DAEMON_VIRT_CALLS_H

#include "call.h"

struct calls;

struct calls_owner {
    /* False: there is no room for the record now; it is offered again by calls_flush(). */
    bool (*tell)(const struct virt_record *record, void *userdata);
    void *userdata;
    uint64_t begin_limit; /* that a call waits for a thread; 0: below the policy's STOP_PATIENCE */
    /* What a thread does; NULL: call_prepare() and call_run(). */
    void (*prepare)(struct call_connection *connection);
    void (*run)(struct call_connection *connection, const struct virt_call *call,
        struct virt_result *ret_result);
};

/* URI must outlive the calls. */
int calls_new(const char *uri, const struct calls_owner *owner, struct calls **ret_calls);
/* Waits for the calls under way, so it is for tests alone: a process that ends need not. */
struct calls *calls_free(struct calls *calls);

/* Has every thread connect, so that no call has to wait for that. */
void calls_prepare(struct calls *calls);
/* Each call taken is told one result of, and each number is expected to come once. */
void calls_take(struct calls *calls, const struct virt_call *call);
/* There is room again. */
void calls_flush(struct calls *calls);

#endif
