/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the table of starts. What is kept for one shrinks by what its guest has taken, so that the
 * same memory is never counted as used and as reserved. It ends when the guest can be judged by
 * itself: it has all it was to take, or its balloon has answered and what it is promised is known.
 * For one that comes by a migration, or out of a file, the policy keeps more for as long as that
 * takes (policy/arrival.c).
 */
#include "admission.h"

#include <stdio.h>
#include <string.h>

#include "announce.h"

struct admission_start *admission_find(struct admission *admission, const uint8_t uuid[UUID_SIZE])
{
    for (uint32_t i = 0; i < admission->count; i++)
        if (memcmp(admission->starts[i].reservation.uuid, uuid, UUID_SIZE) == 0)
            return &admission->starts[i];
    return NULL;
}

bool admission_keep(struct admission *admission, const struct admission_answer *answer,
    const char *name, uint64_t now)
{
    struct admission_start *start = admission_find(admission, answer->reservation.uuid);

    if (!start && admission->count == RESERVATIONS_MAX)
        return false;
    if (!start)
        start = &admission->starts[admission->count++];
    *start = (struct admission_start){
        .reservation = answer->reservation,
        .verdict = answer->verdict,
        .told = now,
    };
    (void)snprintf(start->name, sizeof start->name, "%s", name);
    return true;
}

static void start_remove(struct admission *admission, struct admission_start *start)
{
    *start = admission->starts[--admission->count];
}

void admission_drop(struct admission *admission, const uint8_t uuid[UUID_SIZE])
{
    struct admission_start *start = admission_find(admission, uuid);

    if (start)
        start_remove(admission, start);
}

static void saved_remove(struct admission *admission, uint32_t index)
{
    admission->saved_count--;
    memmove(&admission->saved[index], &admission->saved[index + 1],
        (admission->saved_count - index) * sizeof(admission->saved[0]));
}

void admission_drop_saved(struct admission *admission, const uint8_t uuid[UUID_SIZE])
{
    for (uint32_t i = 0; i < admission->saved_count; i++)
        if (memcmp(admission->saved[i].reservation.uuid, uuid, UUID_SIZE) == 0)
            saved_remove(admission, i--);
}

void admission_keep_saved(struct admission *admission, const struct reservation *reservation,
    const char *name, uint64_t now)
{
    admission_drop_saved(admission, reservation->uuid);
    if (admission->saved_count == ADMISSION_SAVED_MAX)
        saved_remove(admission, 0);
    struct admission_saved *saved = &admission->saved[admission->saved_count++];
    *saved = (struct admission_saved){.reservation = *reservation, .time = now};
    (void)snprintf(saved->name, sizeof saved->name, "%s", name);
}

/* One that was there before this was asked for is another: what it was until now and is just
 * ending, or, where a host migrates to itself, what it comes from. */
static const struct vm_snapshot *guest_find(
    const struct snapshot *snapshot, const uint8_t uuid[UUID_SIZE], uint64_t since)
{
    for (uint32_t i = 0; i < snapshot->vm_count; i++) {
        const struct vm_snapshot *vm = &snapshot->vms[i];

        if (vm->first_seen >= since && memcmp(vm->identity.uuid, uuid, UUID_SIZE) == 0)
            return vm;
    }
    return NULL;
}

/* Its balloon has answered. */
static bool is_judged(const struct vm_snapshot *vm)
{
    return vm->kind == VM_KIND_ELASTIC || vm->kind == VM_KIND_SELF_DEFLATING;
}

/* Nobody comes any more. */
static bool is_lost(const struct admission_start *start, uint64_t now)
{
    uint64_t limit = start->verdict == ADMISSION_WAIT ? ADMISSION_ASKS : ADMISSION_APPEAR;

    return start->seen != 0 || sub_or_zero(now, start->told) >= limit;
}

/* What is still to be kept of it; false: nothing, it is over. */
static bool start_advance(struct admission_start *start, const struct snapshot *snapshot,
    uint64_t now, struct reservation *ret_left)
{
    const struct vm_snapshot *vm = guest_find(snapshot, start->reservation.uuid, start->told);
    struct reservation left = start->reservation;

    if (!vm && is_lost(start, now)) {
        announce_admission_ended(start->name, start->reservation.uuid,
            start->verdict == ADMISSION_WAIT ? "it has given up waiting for room"
            : start->seen                    ? "its QEMU has ended while it started"
                                             : "no QEMU of it has appeared");
        return false;
    }
    if (vm && start->seen == 0)
        start->seen = now;
    if (vm) {
        left.bytes = sub_or_zero(left.bytes, known_or(vm->rss, 0));
        left.hugepages = sub_or_zero(left.hugepages, known_or(vm->hugetlb, 0));
        if (is_judged(vm) || (left.bytes == 0 && left.hugepages == 0) ||
            sub_or_zero(now, start->seen) >= ADMISSION_BOOT)
            return false;
    }
    *ret_left = left;
    return true;
}

/* While it starts, that says what is kept for it; and libvirt keeps what it had saved until it has
 * been read to the end. */
static void saved_show(struct admission *admission, struct snapshot *snapshot, uint64_t now)
{
    for (uint32_t i = 0; i < admission->saved_count; i++) {
        const struct admission_saved *saved = &admission->saved[i];
        const uint8_t *uuid = saved->reservation.uuid;

        if (admission_find(admission, uuid))
            continue;
        if (sub_or_zero(now, saved->time) >= ADMISSION_SAVED)
            announce_admission_ended(saved->name, uuid, "nobody has started it again for a week");
        else if (!guest_find(snapshot, uuid, saved->time)) {
            if (snapshot->reservation_count < RESERVATIONS_MAX)
                snapshot->reservations[snapshot->reservation_count++] = saved->reservation;
            continue;
        }
        saved_remove(admission, i--);
    }
}

void admission_show(struct admission *admission, struct snapshot *snapshot, uint64_t now)
{
    snapshot->reservation_count = 0;
    for (uint32_t i = 0; i < admission->count;) {
        struct reservation *left = &snapshot->reservations[snapshot->reservation_count];

        if (start_advance(&admission->starts[i], snapshot, now, left)) {
            snapshot->reservation_count++;
            i++;
        } else {
            start_remove(admission, &admission->starts[i]);
        }
    }
    saved_show(admission, snapshot, now);
}
