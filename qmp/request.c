/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the table of requests of a session.
 *
 * A request leaves the table when it is answered or times out, whichever is first; nothing stays
 * behind but the numbers in struct qmp_requests. A reply to an id that was given away and is not in
 * the table is therefore late (or said twice) and is dropped; so a peer that never answers keeps no
 * slot, however long it is silent. Slots are few: each search walks them all.
 */
#include "request.h"

#include <string.h>

struct qmp_request *qmp_requests_free_slot(struct qmp_requests *requests)
{
    for (size_t i = 0; i < QMP_REQUESTS_MAX; i++)
        if (requests->slots[i].id == 0)
            return &requests->slots[i];
    return NULL;
}

static bool slot_take(struct qmp_request *slot, struct qmp_request *ret_request)
{
    if (!slot)
        return false;
    *ret_request = *slot;
    slot->id = 0;
    return true;
}

bool qmp_requests_take(struct qmp_requests *requests, uint64_t id, struct qmp_request *ret_request)
{
    for (size_t i = 0; i < QMP_REQUESTS_MAX; i++)
        if (requests->slots[i].id == id)
            return slot_take(&requests->slots[i], ret_request);
    return false;
}

bool qmp_requests_take_oldest(struct qmp_requests *requests, struct qmp_request *ret_request)
{
    return qmp_requests_take_expired(requests, QMP_NEVER, ret_request);
}

bool qmp_requests_take_expired(
    struct qmp_requests *requests, uint64_t now, struct qmp_request *ret_request)
{
    struct qmp_request *oldest = NULL;
    for (size_t i = 0; i < QMP_REQUESTS_MAX; i++) {
        struct qmp_request *slot = &requests->slots[i];
        if (slot->id != 0 && slot->deadline <= now && (!oldest || slot->id < oldest->id))
            oldest = slot;
    }
    return slot_take(oldest, ret_request);
}

void qmp_requests_withdrawn(struct qmp_requests *requests, const struct qmp_extent *extent)
{
    for (size_t i = 0; i < QMP_REQUESTS_MAX; i++) {
        struct qmp_request *slot = &requests->slots[i];
        if (slot->id != 0 && slot->extent.start > extent->start)
            slot->extent.start -= extent->length;
    }
}

unsigned qmp_requests_count(const struct qmp_requests *requests)
{
    unsigned count = 0;
    for (size_t i = 0; i < QMP_REQUESTS_MAX; i++)
        count += requests->slots[i].id != 0;
    return count;
}

uint64_t qmp_requests_deadline(const struct qmp_requests *requests)
{
    uint64_t deadline = QMP_NEVER;
    for (size_t i = 0; i < QMP_REQUESTS_MAX; i++)
        if (requests->slots[i].id != 0 && requests->slots[i].deadline < deadline)
            deadline = requests->slots[i].deadline;
    return deadline;
}
