/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the loop's side of the calls and the threads share: calls.c takes calls and tells what
 * became of them, worker.c is what a thread does. Nobody else includes this.
 */
#ifndef PLIMSOLL_DAEMON_VIRT_CALLS_PRIVATE_H
#define PLIMSOLL_DAEMON_VIRT_CALLS_PRIVATE_H

#include <pthread.h>

#include "calls.h"

/* The guard's, and those that it was answered and that have not returned. */
#define SLOTS (VIRT_CALLS_MAX + THREADS)
/* The last one destroys. */
#define THREADS (VIRT_WORKERS + 1)

enum slot_state {
    SLOT_FREE,
    SLOT_QUEUED,
    SLOT_RUNNING,
    SLOT_RETURNED,
};

struct slot {
    enum slot_state state;
    bool answered; /* RUNNING past its deadline, which was told */
    uint64_t begin_by;
    uint64_t order; /* of coming; with RETURNED of returning */
    struct virt_call call;
    struct virt_result result;
};

struct worker {
    struct calls *calls;
    pthread_t thread;
    struct call_connection connection;
    bool destroys;
    bool prepare;        /* it is to connect */
    uint64_t busy_until; /* 0: idle; past: it hangs */
};

struct calls {
    struct calls_owner owner;
    pthread_mutex_t lock;
    pthread_cond_t work;
    bool stopping;
    unsigned threads; /* started */
    struct worker workers[THREADS];
    struct slot slots[SLOTS];
    uint64_t order;
    int bell, watch, timer;
    uint32_t hung_told;
};

static inline bool call_is_look(const struct virt_call *call)
{
    return call->operation == VIRT_OPERATION_MEMORY_STATS ||
           call->operation == VIRT_OPERATION_STATS_PERIOD;
}

static inline bool call_is_destroy(const struct virt_call *call)
{
    return call->operation == VIRT_OPERATION_DESTROY;
}

static inline bool call_is_save(const struct virt_call *call)
{
    return call->operation == VIRT_OPERATION_MANAGED_SAVE;
}

/* Has the loop's thread look at what has changed. */
void calls_ring(const struct calls *calls);

/* A thread's main function; ARGUMENT is its worker. */
void *worker_run(void *argument);

#endif
