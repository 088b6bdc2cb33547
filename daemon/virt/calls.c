/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the threads, and the slots in which a call stands from its coming to its answer:
 *
 *   QUEUED    it waits for a thread
 *   RUNNING   a thread is in it; once its deadline has passed it is `answered`, and its thread
 *             counts as hung until it returns
 *   RETURNED  its result is to be told
 *
 * The threads touch slots and workers under the lock, and nothing else; what they finish they ring
 * for by an eventfd, and all that is said to the guard is said by the loop's own thread. A thread
 * that hangs in libvirt cannot be called back. It keeps its slot, its connection and its domain to
 * itself until it returns, and costs nobody else anything.
 */
#include "calls.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "loop.h"

#include <plimsoll/cleanup.h>

/* The guard's, and those that it was answered and that have not returned. */
#define SLOTS (VIRT_CALLS_MAX + THREADS)
/* The last one destroys. */
#define THREADS (VIRT_WORKERS + 1)
/* With one more, looks would leave nobody to act on others. Those that hang do not count: two
 * guests that answer no question would keep all others from being looked at. Should so many more
 * hang that no thread is left, the guard replaces this process. */
#define LOOKS_MAX (VIRT_WORKERS - 1)
/* Waiting for a thread; then the guard is told that it was not begun. Below STOP_PATIENCE, after
 * which a guest that is to be paused may be frozen: suspended then, its call would hang until it is
 * thawed. */
#define BEGIN_LIMIT (800 * NSEC_PER_MSEC)
/* A thread that takes longer to connect counts as hung. */
#define PREPARE_LIMIT (10 * NSEC_PER_SEC)

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

static bool is_look(const struct virt_call *call)
{
    return call->operation == VIRT_OPERATION_MEMORY_STATS ||
           call->operation == VIRT_OPERATION_STATS_PERIOD;
}

/* What stops guests and lets them go is carried out first, then targets and limits, then looks. */
enum urgency {
    URGENCY_ACT,
    URGENCY_TARGET,
    URGENCY_LOOK,
    URGENCY_COUNT,
};

static enum urgency urgency_of(const struct virt_call *call)
{
    if (is_look(call))
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

static bool is_destroy(const struct virt_call *call)
{
    return call->operation == VIRT_OPERATION_DESTROY;
}

/* ---- the threads ---- */

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
                 is_look(&calls->slots[i].call);
    return count;
}

/* One that has waited for too long is not begun: by now the guard has done something else. */
static bool may_begin(const struct calls *calls, const struct worker *worker,
    const struct slot *slot, enum urgency urgency, uint64_t now)
{
    if (slot->state != SLOT_QUEUED || is_destroy(&slot->call) != worker->destroys ||
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

static void ring(const struct calls *calls)
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
    (void)pthread_mutex_unlock(&calls->lock);
    calls->owner.run(&worker->connection, &call, &result);
    (void)pthread_mutex_lock(&calls->lock);
    result.number = call.number;
    slot->result = result;
    slot->state = SLOT_RETURNED;
    slot->order = ++calls->order;
    worker->busy_until = 0;
    (void)pthread_cond_broadcast(&calls->work); /* its domain is free for another */
    ring(calls);
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
    ring(calls);
}

static void *worker_main(void *argument)
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

/* ---- to the guard ---- */

static bool result_tell(struct calls *calls, const struct virt_result *result)
{
    struct virt_record record = {.kind = VIRT_RECORD_RESULT, .result = *result};

    return calls->owner.tell(&record, calls->owner.userdata);
}

static bool refusal_tell(
    struct calls *calls, const struct virt_call *call, int error, const char *text)
{
    struct virt_result result = {.number = call->number, .result = error};

    (void)strncpy(result.text, text, sizeof(result.text) - 1);
    return result_tell(calls, &result);
}

static struct slot *first_returned(struct calls *calls)
{
    struct slot *found = NULL;

    for (unsigned i = 0; i < SLOTS; i++) {
        struct slot *slot = &calls->slots[i];

        if (slot->state == SLOT_RETURNED && (!found || slot->order < found->order))
            found = slot;
    }
    return found;
}

/* In the order in which they returned: the guard takes the last word on a guest for the newest. */
static void returned_tell(struct calls *calls)
{
    struct slot *slot;

    while ((slot = first_returned(calls))) {
        if (!slot->answered && !result_tell(calls, &slot->result))
            return;
        slot->state = SLOT_FREE;
    }
}

/* What waits for a call that has outlived its deadline would wait with it. */
static void waiting_refuse(struct calls *calls, const struct virt_call *hung)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        struct slot *slot = &calls->slots[i];

        if (slot->state == SLOT_QUEUED && !is_destroy(&slot->call) &&
            memcmp(slot->call.uuid, hung->uuid, UUID_SIZE) == 0 &&
            refusal_tell(calls, &slot->call, -EBUSY, "the call before it has not returned"))
            slot->state = SLOT_FREE;
    }
}

static void overdue_tell(struct calls *calls, uint64_t now)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        struct slot *slot = &calls->slots[i];
        bool waits = slot->state == SLOT_QUEUED, runs = slot->state == SLOT_RUNNING;

        if ((!waits && !runs) || slot->answered ||
            (waits ? slot->begin_by : slot->call.deadline) > now)
            continue;
        /* Of a domain whose call was not begun that says nothing. */
        if (!(waits ? refusal_tell(calls, &slot->call, -EAGAIN, "no thread was free for it")
                    : refusal_tell(calls, &slot->call, -ETIMEDOUT, "libvirt has not answered yet")))
            return;
        if (waits)
            slot->state = SLOT_FREE;
        slot->answered = runs;
        if (runs && !is_destroy(&slot->call))
            waiting_refuse(calls, &slot->call);
    }
}

static void hung_tell(struct calls *calls, uint64_t now)
{
    struct virt_record record = {.kind = VIRT_RECORD_WORKERS};

    for (unsigned i = 0; i < VIRT_WORKERS; i++)
        record.workers.hung +=
            calls->workers[i].busy_until != 0 && calls->workers[i].busy_until <= now;
    if (record.workers.hung != calls->hung_told &&
        calls->owner.tell(&record, calls->owner.userdata))
        calls->hung_told = record.workers.hung;
}

/* Until the next moment at which something is overdue that is not yet. */
static void timer_arm(struct calls *calls, uint64_t now)
{
    uint64_t next = NEVER;

    for (unsigned i = 0; i < SLOTS; i++) {
        const struct slot *slot = &calls->slots[i];

        if (slot->state == SLOT_QUEUED)
            next = min_u64(next, slot->begin_by);
        else if (slot->state == SLOT_RUNNING && !slot->answered)
            next = min_u64(next, slot->call.deadline);
    }
    for (unsigned i = 0; i < VIRT_WORKERS; i++)
        if (calls->workers[i].busy_until > now)
            next = min_u64(next, calls->workers[i].busy_until);
    /* One more: a deadline within this millisecond has not passed when it begins. What was due and
     * found no room waits for calls_flush(). */
    virEventUpdateTimeout(
        calls->timer, next == NEVER || next <= now ? -1 : (int)((next - now) / NSEC_PER_MSEC) + 1);
}

void calls_flush(struct calls *calls)
{
    uint64_t now = loop_now();

    (void)pthread_mutex_lock(&calls->lock);
    returned_tell(calls);
    overdue_tell(calls, now);
    hung_tell(calls, now);
    timer_arm(calls, now);
    (void)pthread_mutex_unlock(&calls->lock);
}

static void on_bell(int watch, int fd, int events, void *userdata)
{
    uint64_t count;

    (void)watch;
    (void)events;
    (void)!read(fd, &count, sizeof(count));
    calls_flush(userdata);
}

static void on_timer(int timer, void *userdata)
{
    (void)timer;
    calls_flush(userdata);
}

/* ---- from the guard ---- */

void calls_prepare(struct calls *calls)
{
    (void)pthread_mutex_lock(&calls->lock);
    for (unsigned i = 0; i < THREADS; i++)
        calls->workers[i].prepare = true;
    (void)pthread_cond_broadcast(&calls->work);
    (void)pthread_mutex_unlock(&calls->lock);
}

static bool domain_hangs(const struct calls *calls, const struct virt_call *call)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        const struct slot *slot = &calls->slots[i];

        if (slot->state == SLOT_RUNNING && slot->answered && !is_destroy(&slot->call) &&
            memcmp(slot->call.uuid, call->uuid, UUID_SIZE) == 0)
            return true;
    }
    return false;
}

static void call_queue(struct calls *calls, const struct virt_call *call, uint64_t now)
{
    unsigned i = 0;

    while (i < SLOTS && calls->slots[i].state != SLOT_FREE)
        i++;
    if (i == SLOTS) {
        /* Not this guard's doing, which counts its own: if this finds no room either, the call's
         * deadline tells it. */
        (void)refusal_tell(calls, call, -EAGAIN, "too many calls");
        return;
    }
    calls->slots[i] = (struct slot){.state = SLOT_QUEUED, .order = ++calls->order, .call = *call};
    calls->slots[i].call.deadline = min_u64(call->deadline, now + VIRT_CALL_WAIT_MAX);
    calls->slots[i].begin_by = min_u64(calls->slots[i].call.deadline,
        is_destroy(call) ? NEVER : add_held(now, calls->owner.begin_limit));
    if (!is_destroy(call) && domain_hangs(calls, call)) {
        calls->slots[i].state = SLOT_RETURNED;
        calls->slots[i].result = (struct virt_result){.number = call->number,
            .result = -EBUSY,
            .text = "the call before it has not returned"};
    }
    (void)pthread_cond_broadcast(&calls->work);
}

void calls_take(struct calls *calls, const struct virt_call *call)
{
    (void)pthread_mutex_lock(&calls->lock);
    call_queue(calls, call, loop_now());
    (void)pthread_mutex_unlock(&calls->lock);
    calls_flush(calls);
}

/* ---- life ---- */

static int threads_start(struct calls *calls)
{
    sigset_t all, before;
    int result = 0;

    /* Signals are for the loop's thread; the alarm above all ends the process from there. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    for (unsigned i = 0; i < THREADS && result == 0; i++) {
        result = -pthread_create(&calls->workers[i].thread, NULL, worker_main, &calls->workers[i]);
        calls->threads += result == 0;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

int calls_new(const char *uri, const struct calls_owner *owner, struct calls **ret_calls)
{
    struct calls *calls = calloc(1, sizeof(*calls));
    int result = -ENOMEM;

    if (!calls)
        return -ENOMEM;
    calls->owner = *owner;
    if (!owner->run)
        calls->owner.run = call_run;
    if (!owner->begin_limit)
        calls->owner.begin_limit = BEGIN_LIMIT;
    if (!owner->prepare)
        calls->owner.prepare = call_prepare;
    (void)pthread_mutex_init(&calls->lock, NULL);
    (void)pthread_cond_init(&calls->work, NULL);
    for (unsigned i = 0; i < THREADS; i++)
        calls->workers[i] =
            (struct worker){.calls = calls, .connection.uri = uri, .destroys = i == THREADS - 1};
    calls->watch = calls->timer = -1;
    calls->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (calls->bell < 0)
        goto fail;
    calls->watch = virEventAddHandle(calls->bell, VIR_EVENT_HANDLE_READABLE, on_bell, calls, NULL);
    calls->timer = virEventAddTimeout(-1, on_timer, calls, NULL);
    if (calls->watch < 0 || calls->timer < 0)
        goto fail;
    result = threads_start(calls);
    if (result < 0)
        goto fail;
    *ret_calls = calls;
    return 0;
fail:
    calls_free(calls);
    return result;
}

struct calls *calls_free(struct calls *calls)
{
    if (!calls)
        return NULL;
    (void)pthread_mutex_lock(&calls->lock);
    calls->stopping = true;
    (void)pthread_cond_broadcast(&calls->work);
    (void)pthread_mutex_unlock(&calls->lock);
    for (unsigned i = 0; i < calls->threads; i++)
        (void)pthread_join(calls->workers[i].thread, NULL);
    if (calls->watch >= 0)
        (void)virEventRemoveHandle(calls->watch);
    if (calls->timer >= 0)
        (void)virEventRemoveTimeout(calls->timer);
    if (calls->bell >= 0)
        (void)close(calls->bell);
    (void)pthread_cond_destroy(&calls->work);
    (void)pthread_mutex_destroy(&calls->lock);
    free(calls);
    return NULL;
}
