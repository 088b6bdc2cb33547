/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the calls outstanding and the list of sick domains. A call leaves its entry before its
 * handler is called, which may make the next one.
 *
 * Within one process plimsoll-virt itself lets nobody wait for a sick domain. A new process knows
 * of none, and would lose its threads in the same domains one by one, so those are remembered here.
 */
#include "virt_calls.h"

#include <errno.h>
#include <string.h>

#include <plimsoll/cleanup.h>

static bool is_look(const struct virt_call *call)
{
    return call->operation == VIRT_OPERATION_MEMORY_STATS ||
           call->operation == VIRT_OPERATION_STATS_PERIOD;
}

static bool is_target(const struct virt_call *call)
{
    return call->operation == VIRT_OPERATION_SET_MEMORY || call->operation == VIRT_OPERATION_RESIZE;
}

/* ---- sick domains ---- */

static struct virt_calls_sick *sick_find(struct virt_calls *calls, const uint8_t uuid[UUID_SIZE])
{
    for (unsigned i = 0; i < VIRT_SICK_MAX; i++)
        if (calls->sick[i].sick && memcmp(calls->sick[i].uuid, uuid, UUID_SIZE) == 0)
            return &calls->sick[i];
    return NULL;
}

/* The latest take the place of the first: some of those have recovered or ended unseen. */
static void sick_add(struct virt_calls *calls, const uint8_t uuid[UUID_SIZE])
{
    struct virt_calls_sick *sick = sick_find(calls, uuid);

    if (sick)
        return;
    sick = &calls->sick[calls->sick_next++ % VIRT_SICK_MAX];
    *sick = (struct virt_calls_sick){.sick = true};
    memcpy(sick->uuid, uuid, UUID_SIZE);
}

/* What an answer says of its domain. -EBUSY says that nothing has changed. No answer says something
 * of it only if others were answered meanwhile: else it is libvirt that hangs. */
static void sick_judge(struct virt_calls *calls, const struct virt_calls_entry *entry, int result)
{
    const struct virt_call *call = &entry->call;
    struct virt_calls_sick *sick = sick_find(calls, call->uuid);

    if (call->operation == VIRT_OPERATION_DESTROY)
        return; /* it waits for the process to die, and hangs in nothing */
    if (result == -ETIMEDOUT && calls->answered > entry->begun)
        sick_add(calls, call->uuid);
    else if (sick && result != -ETIMEDOUT && result != -EBUSY && result != -ECONNRESET &&
             result != -EAGAIN)
        sick->sick = false;
}

static bool sick_blocks(struct virt_calls *calls, const struct virt_call *call, uint64_t now)
{
    const struct virt_calls_sick *sick = sick_find(calls, call->uuid);

    return sick && now < sick->until && call->operation != VIRT_OPERATION_DESTROY;
}

/* ---- calls ---- */

int virt_calls_add(struct virt_calls *calls, struct virt_call *call, virt_call_handler handler,
    void *userdata, uint64_t now)
{
    struct virt_calls_entry *free = NULL;
    unsigned looks = 0, targets = 0;

    if (sick_blocks(calls, call, now))
        return -EBUSY;
    for (unsigned i = 0; i < VIRT_CALLS_MAX; i++) {
        struct virt_calls_entry *entry = &calls->entries[i];

        if (!entry->handler) {
            free = entry;
            continue;
        }
        looks += is_look(&entry->call);
        targets += is_target(&entry->call);
    }
    if (!free || (is_look(call) && looks >= VIRT_LOOKS_MAX) ||
        (is_target(call) && targets >= VIRT_TARGETS_MAX))
        return -EAGAIN;
    call->number = ++calls->number;
    *free = (struct virt_calls_entry){
        .call = *call, .begun = now, .handler = handler, .userdata = userdata};
    return 0;
}

static struct virt_calls_entry *entry_find(struct virt_calls *calls, uint64_t number)
{
    for (unsigned i = 0; i < VIRT_CALLS_MAX; i++)
        if (calls->entries[i].handler && calls->entries[i].call.number == number)
            return &calls->entries[i];
    return NULL;
}

void virt_calls_drop(struct virt_calls *calls, uint64_t number)
{
    struct virt_calls_entry *entry = entry_find(calls, number);

    if (entry)
        entry->handler = NULL;
}

static void entry_settle(
    struct virt_calls *calls, struct virt_calls_entry *entry, const struct virt_result *result)
{
    struct virt_calls_entry settled = *entry;

    entry->handler = NULL;
    sick_judge(calls, &settled, result->result);
    settled.handler(result, settled.userdata);
}

static void entry_fail(
    struct virt_calls *calls, struct virt_calls_entry *entry, int error, const char *text)
{
    struct virt_result result = {.number = entry->call.number, .result = error};

    (void)strncpy(result.text, text, sizeof(result.text) - 1);
    entry_settle(calls, entry, &result);
}

void virt_calls_take(struct virt_calls *calls, const struct virt_result *result, uint64_t now)
{
    struct virt_calls_entry *entry = entry_find(calls, result->number);

    if (!entry)
        return; /* too late, or never asked */
    if (result->result != -ETIMEDOUT && result->result != -EAGAIN && result->result != -EBUSY)
        calls->answered = now; /* the others are plimsoll-virt's own words */
    /* A look that is none would be taken for figures of zero. */
    if (result->result == 0 && entry->call.operation == VIRT_OPERATION_MEMORY_STATS &&
        !result->looked)
        entry_fail(calls, entry, -EPROTO, "the answer has no figures");
    else
        entry_settle(calls, entry, result);
}

static uint64_t given_up_at(const struct virt_calls_entry *entry)
{
    return add_held(entry->call.deadline, VIRT_ANSWER_LAG);
}

void virt_calls_expire(struct virt_calls *calls, uint64_t now)
{
    for (unsigned i = 0; i < VIRT_CALLS_MAX; i++)
        if (calls->entries[i].handler && given_up_at(&calls->entries[i]) <= now)
            entry_fail(calls, &calls->entries[i], -ETIMEDOUT, "no answer in time");
}

void virt_calls_fail(struct virt_calls *calls, uint64_t now)
{
    uint64_t last = calls->number; /* handlers may call anew */

    for (unsigned i = 0; i < VIRT_SICK_MAX; i++)
        if (calls->sick[i].sick)
            calls->sick[i].until = now + VIRT_SICK_TIME;
    for (unsigned i = 0; i < VIRT_CALLS_MAX; i++)
        if (calls->entries[i].handler && calls->entries[i].call.number <= last)
            entry_fail(calls, &calls->entries[i], -ECONNRESET, "plimsoll-virt has ended");
}

void virt_calls_forget(struct virt_calls *calls, const void *userdata)
{
    for (unsigned i = 0; i < VIRT_CALLS_MAX; i++)
        if (calls->entries[i].userdata == userdata)
            calls->entries[i].handler = NULL;
}

uint64_t virt_calls_deadline(const struct virt_calls *calls)
{
    uint64_t deadline = NEVER;

    for (unsigned i = 0; i < VIRT_CALLS_MAX; i++)
        if (calls->entries[i].handler)
            deadline = min_u64(deadline, given_up_at(&calls->entries[i]));
    return deadline;
}
