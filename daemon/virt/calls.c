/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the slots in which a call stands from its coming to its answer, and the life of the threads
 * (worker.c):
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
#include "calls_private.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "loop.h"

#include <plimsoll/cleanup.h>

/* Waiting for a thread; then the guard is told that it was not begun. Below STOP_PATIENCE, after
 * which a guest that is to be paused may be frozen: suspended then, its call would hang until it is
 * thawed. */
#define BEGIN_LIMIT (800 * NSEC_PER_MSEC)

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

        if (slot->state == SLOT_QUEUED && !call_is_destroy(&slot->call) &&
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
        if (runs && !call_is_destroy(&slot->call))
            waiting_refuse(calls, &slot->call);
    }
}

/* Those that hang; and where nobody is left beside them but who saves, which takes minutes, that
 * one as well. The save itself is none the worse for a successor: libvirt goes on with it. */
static uint32_t workers_lost(const struct calls *calls, uint64_t now)
{
    uint32_t hung = 0, saving = 0;

    for (unsigned i = 0; i < VIRT_WORKERS; i++)
        hung += calls->workers[i].busy_until != 0 && calls->workers[i].busy_until <= now;
    for (unsigned i = 0; i < SLOTS; i++)
        saving += calls->slots[i].state == SLOT_RUNNING && call_is_save(&calls->slots[i].call) &&
                  calls->slots[i].call.deadline > now;
    return hung > 0 && hung + saving >= VIRT_WORKERS ? VIRT_WORKERS : hung;
}

static void hung_tell(struct calls *calls, uint64_t now)
{
    struct virt_record record = {
        .kind = VIRT_RECORD_WORKERS, .workers.hung = workers_lost(calls, now)};

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

        if (slot->state == SLOT_RUNNING && slot->answered && !call_is_destroy(&slot->call) &&
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
        call_is_destroy(call) ? NEVER : add_held(now, calls->owner.begin_limit));
    if (!call_is_destroy(call) && domain_hangs(calls, call)) {
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
        result = -pthread_create(&calls->workers[i].thread, NULL, worker_run, &calls->workers[i]);
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
