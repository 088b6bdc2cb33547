/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns what a thread does: it takes the most urgent call that it may begin, carries it out, and
 * otherwise connects, so that no call has to wait for that. Under the lock it touches slots and its
 * own worker, and nothing else; in libvirt it holds no lock.
 */
#include "calls_private.h"

#include <string.h>
#include <unistd.h>

#include "loop.h"

/* With one more, looks would leave nobody to act on others. Those that hang do not count: two
 * guests that answer no question would keep all others from being looked at. Should so many more
 * hang that no thread is left, the guard replaces this process. */
#define LOOKS_MAX (VIRT_WORKERS - 1)
/* A thread that takes longer to connect counts as hung. */
#define PREPARE_LIMIT (10 * NSEC_PER_SEC)

/* What stops guests and lets them go is carried out first, then targets and limits, then looks. */
enum urgency {
    URGENCY_ACT,
    URGENCY_TARGET,
    URGENCY_LOOK,
    URGENCY_COUNT,
};

static enum urgency urgency_of(const struct virt_call *call)
{
    if (call_is_look(call))
        return URGENCY_LOOK;
    switch ((enum virt_operation)call->operation) {
    case VIRT_OPERATION_SET_MEMORY:
    case VIRT_OPERATION_SET_HARD_LIMIT:
    case VIRT_OPERATION_SET_SOFT_LIMIT:
    case VIRT_OPERATION_SET_QUOTA:
    case VIRT_OPERATION_RESIZE:
        return URGENCY_TARGET;
    case VIRT_OPERATION_SUSPEND:
    case VIRT_OPERATION_RESUME:
    case VIRT_OPERATION_SHUTDOWN:
    case VIRT_OPERATION_DESTROY:
    case VIRT_OPERATION_MANAGED_SAVE:
    case VIRT_OPERATION_STATS_PERIOD:
    case VIRT_OPERATION_MEMORY_STATS:
    case VIRT_OPERATION_COUNT:
        break;
    }
    return URGENCY_ACT;
}

static bool domain_is_busy(const struct calls *calls, const struct virt_call *call)
{
    for (unsigned i = 0; i < SLOTS; i++)
        if (calls->slots[i].state == SLOT_RUNNING &&
            memcmp(calls->slots[i].call.uuid, call->uuid, UUID_SIZE) == 0)
            return true;
    return false;
}

static unsigned looks_under_way(const struct calls *calls)
{
    unsigned count = 0;

    for (unsigned i = 0; i < SLOTS; i++)
        count += calls->slots[i].state == SLOT_RUNNING && !calls->slots[i].answered &&
                 call_is_look(&calls->slots[i].call);
    return count;
}

/* One that has waited for too long is not begun: by now the guard has done something else. */
static bool may_begin(const struct calls *calls, const struct worker *worker,
    const struct slot *slot, enum urgency urgency, uint64_t now)
{
    if (slot->state != SLOT_QUEUED || call_is_destroy(&slot->call) != worker->destroys ||
        slot->begin_by <= now)
        return false;
    if (worker->destroys)
        return true;
    return urgency_of(&slot->call) == urgency && !domain_is_busy(calls, &slot->call);
}

static struct slot *oldest(struct calls *calls, const struct worker *worker, enum urgency urgency)
{
    struct slot *found = NULL;
    uint64_t now = loop_now();

    for (unsigned i = 0; i < SLOTS; i++) {
        struct slot *slot = &calls->slots[i];

        if (may_begin(calls, worker, slot, urgency, now) && (!found || slot->order < found->order))
            found = slot;
    }
    return found;
}

static struct slot *next_for(struct calls *calls, const struct worker *worker)
{
    struct slot *slot = NULL;

    for (int urgency = URGENCY_ACT; urgency < URGENCY_COUNT && !slot; urgency++)
        if (urgency != URGENCY_LOOK || looks_under_way(calls) < LOOKS_MAX)
            slot = oldest(calls, worker, (enum urgency)urgency);
    return slot;
}

void calls_ring(const struct calls *calls)
{
    const uint64_t one = 1;

    (void)!write(calls->bell, &one, sizeof(one)); /* full, it rings already */
}

/* With the lock held, which is given up meanwhile. */
static void carry_out(struct worker *worker, struct slot *slot)
{
    struct calls *calls = worker->calls;
    struct virt_call call = slot->call;
    struct virt_result result = {0};

    slot->state = SLOT_RUNNING;
    worker->busy_until = call.deadline;
    if (call_is_save(&call))
        calls_ring(calls); /* it may have taken the last one: workers_lost() */
    (void)pthread_mutex_unlock(&calls->lock);
    calls->owner.run(&worker->connection, &call, &result);
    (void)pthread_mutex_lock(&calls->lock);
    result.number = call.number;
    slot->result = result;
    slot->state = SLOT_RETURNED;
    slot->order = ++calls->order;
    worker->busy_until = 0;
    (void)pthread_cond_broadcast(&calls->work); /* its domain is free for another */
    calls_ring(calls);
}

static void connect_now(struct worker *worker)
{
    struct calls *calls = worker->calls;

    worker->prepare = false;
    worker->busy_until = loop_now() + PREPARE_LIMIT;
    (void)pthread_mutex_unlock(&calls->lock);
    calls->owner.prepare(&worker->connection);
    (void)pthread_mutex_lock(&calls->lock);
    worker->busy_until = 0;
    calls_ring(calls);
}

void *worker_run(void *argument)
{
    struct worker *worker = argument;
    struct calls *calls = worker->calls;

    (void)pthread_mutex_lock(&calls->lock);
    while (!calls->stopping) {
        struct slot *slot = next_for(calls, worker);

        if (slot)
            carry_out(worker, slot);
        else if (worker->prepare)
            connect_now(worker);
        else
            (void)pthread_cond_wait(&calls->work, &calls->lock);
    }
    (void)pthread_mutex_unlock(&calls->lock);
    call_close(&worker->connection);
    return NULL;
}
