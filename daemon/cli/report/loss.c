/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the sums of an event.
 *
 * A time passes for a guest between two looks by what was in force at the first of them. What a
 * balloon took is what `actual` fell by while a target of ours stood, and what it gave back is what
 * `actual` rose by: QEMU's word, not the guest's. Who is gone was killed, saved or shut down if
 * that was in force, or had been decided a moment before; else it ended, and the record does not
 * say by whom.
 */
#include "loss.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* An end takes its time to be seen as a measure: a decision so long before counts by itself. */
#define INTENT_FRESH (5 * NSEC_PER_SEC)

struct loss_tracker {
    struct guest_loss *guests;
    uint32_t counts[MODE_COUNT][ACTION_KIND_COUNT];
    uint64_t reclaimed;
    uint64_t kills_first, kills_last; /* of the host's counter; UNKNOWN */
};

int loss_tracker_new(struct loss_tracker **ret_tracker)
{
    CLEANUP(loss_tracker_free_at) struct loss_tracker *tracker = calloc(1, sizeof(*tracker));

    if (!tracker)
        return -ENOMEM;
    tracker->guests = calloc(GUESTS_MAX, sizeof(*tracker->guests));
    if (!tracker->guests)
        return -ENOMEM;
    loss_tracker_clear(tracker);
    *ret_tracker = STEAL(tracker);
    return 0;
}

struct loss_tracker *loss_tracker_free(struct loss_tracker *tracker)
{
    if (!tracker)
        return NULL;
    free(tracker->guests);
    free(tracker);
    return NULL;
}

void loss_tracker_clear(struct loss_tracker *tracker)
{
    struct guest_loss *guests = tracker->guests;

    memset(guests, 0, GUESTS_MAX * sizeof(*guests));
    *tracker =
        (struct loss_tracker){.guests = guests, .kills_first = UNKNOWN, .kills_last = UNKNOWN};
}

bool action_is_deed(const struct action *action)
{
    switch (action->kind) {
    case ACTION_OOM_SCORE:
    case ACTION_MEMLOCK:
    case ACTION_ALERT:
    case ACTION_KIND_COUNT:
        return false;
    case ACTION_CONTAIN:
        return action->reason != REASON_CONTAIN_CLASS;
    case ACTION_BALLOON:
    case ACTION_RESIZE:
    case ACTION_RECLAIM:
    case ACTION_BRAKE:
    case ACTION_RELEASE:
    case ACTION_PAUSE:
    case ACTION_FREEZE:
    case ACTION_THAW:
    case ACTION_RESUME:
    case ACTION_SAVE:
    case ACTION_SHUTDOWN:
    case ACTION_KILL:
        break;
    }
    return true;
}

/* ---- one look ---- */

/* What moved of a value that a measure holds down, between two looks. */
static void moved_add(struct guest_loss *guest, bool ours, uint64_t before, uint64_t now)
{
    if (!ours || !known(before) || !known(now))
        return;
    guest->taken = add_held(guest->taken, sub_or_zero(before, now));
    guest->returned = add_held(guest->returned, sub_or_zero(now, before));
}

static void times_add(struct guest_loss *guest, uint64_t passed)
{
    if (guest->in_force & MEASURES_STILL)
        guest->paused = add_held(guest->paused, passed);
    else if (guest->in_force & VM_MEASURE_BRAKED)
        guest->braked = add_held(guest->braked, passed);
}

static uint64_t held_by(const struct vm_snapshot *vm)
{
    const struct vm_measures *measures = &vm->measures;
    uint64_t held = 0;

    if ((measures->in_force & VM_MEASURE_BALLOON) && known(measures->balloon_before) &&
        known(vm->balloon.actual))
        held = sub_or_zero(measures->balloon_before, vm->balloon.actual);
    if ((measures->in_force & VM_MEASURE_RESIZE) && known(vm->resizable.size))
        held = add_held(held, sub_or_zero(measures->resize.before, vm->resizable.size));
    return held;
}

static void guest_look(struct guest_loss *guest, const struct vm_snapshot *vm, uint64_t now)
{
    uint32_t either = guest->in_force | vm->measures.in_force;
    uint64_t passed = sub_or_zero(now, guest->time);

    if (guest->seen && passed <= LOOK_APART_MOST)
        times_add(guest, passed);
    if (guest->seen) {
        moved_add(guest, either & VM_MEASURE_BALLOON, guest->actual, vm->balloon.actual);
        moved_add(guest, either & VM_MEASURE_RESIZE, guest->size, vm->resizable.size);
    } else {
        guest->actual = guest->size = UNKNOWN;
        guest->intent = ACTION_ALERT;
    }
    guest->seen = true;
    guest->fate = FATE_STAYED;
    guest->time = now;
    guest->actual = known_or(vm->balloon.actual, guest->actual);
    guest->size = known_or(vm->resizable.size, guest->size);
    guest->held = held_by(vm);
    guest->in_force = vm->measures.in_force;
}

/* The last look of it is one at which it was still there. */
static void guest_end(struct guest_loss *guest, uint64_t now)
{
    bool fresh = sub_or_zero(now, guest->intent_time) <= INTENT_FRESH;
    enum action_kind intent = fresh ? guest->intent : ACTION_ALERT;

    if ((guest->in_force & VM_MEASURE_KILLED) || intent == ACTION_KILL)
        guest->fate = FATE_KILLED;
    else if ((guest->in_force & VM_MEASURE_SAVING) || intent == ACTION_SAVE)
        guest->fate = FATE_SAVED;
    else if ((guest->in_force & VM_MEASURE_SHUTTING_DOWN) || intent == ACTION_SHUTDOWN)
        guest->fate = FATE_SHUT_DOWN;
    else
        guest->fate = FATE_ENDED;
}

static void action_take(
    struct loss_tracker *tracker, const struct action *action, struct guest_loss *guest)
{
    bool enforced = action->mode == MODE_ENFORCE;
    uint32_t bit = UINT32_C(1) << action->kind;

    if (!action_is_deed(action))
        return;
    tracker->counts[action->mode][action->kind]++;
    if (action->kind == ACTION_RECLAIM && enforced && known(action->target))
        tracker->reclaimed = add_held(tracker->reclaimed, action->target);
    if (!guest)
        return;
    if (enforced)
        guest->enforced |= bit;
    else
        guest->dry |= bit;
    if (enforced && (action->kind == ACTION_SAVE || action->kind == ACTION_SHUTDOWN ||
                        action->kind == ACTION_KILL)) {
        guest->intent = action->kind;
        guest->intent_time = guest->time;
    }
}

void loss_tracker_look(
    struct loss_tracker *tracker, const struct look *look, const struct roster *guests)
{
    const struct snapshot *snapshot = look->seen->snapshot;
    const struct plan *plan = look->seen->plan;

    if (!known(tracker->kills_first))
        tracker->kills_first = snapshot->host.oom_kills;
    tracker->kills_last = known_or(snapshot->host.oom_kills, tracker->kills_last);
    for (uint32_t i = 0; i < guests->gone_count; i++)
        if (tracker->guests[guests->gone[i]].seen)
            guest_end(&tracker->guests[guests->gone[i]], snapshot->time);
    for (uint32_t i = 0; i < snapshot->vm_count; i++)
        if (guests->at[i] != GUEST_NONE)
            guest_look(&tracker->guests[guests->at[i]], &snapshot->vms[i], snapshot->time);
    for (uint32_t i = 0; i < plan->action_count; i++) {
        const struct action *action = &plan->actions[i];
        uint32_t guest =
            action->slot == ACTION_SLOT_HOST ? GUEST_NONE : roster_find(guests, &action->identity);
        action_take(tracker, action, guest == GUEST_NONE ? NULL : &tracker->guests[guest]);
    }
}

/* ---- sums ---- */

const struct guest_loss *loss_of_guest(const struct loss_tracker *tracker, uint32_t guest)
{
    return &tracker->guests[guest];
}

static void guest_add(const struct guest_loss *guest, struct loss *loss)
{
    bool present = guest->fate == FATE_STAYED;

    loss->acted_on += guest->enforced != 0;
    loss->acted_dry += guest->dry != 0;
    loss->fates[guest->fate]++;
    loss->paused = add_held(loss->paused, guest->paused);
    loss->braked = add_held(loss->braked, guest->braked);
    loss->paused_guests += guest->paused > 0;
    loss->braked_guests += guest->braked > 0;
    loss->taken = add_held(loss->taken, guest->taken);
    loss->returned = add_held(loss->returned, guest->returned);
    loss->held = add_held(loss->held, present ? guest->held : 0);
    loss->still_paused += present && (guest->in_force & VM_MEASURE_PAUSE);
    loss->still_held += present && guest->held > 0;
}

void loss_total(
    const struct loss_tracker *tracker, const struct roster *guests, struct loss *ret_loss)
{
    *ret_loss = (struct loss){.reclaimed = tracker->reclaimed};
    memcpy(ret_loss->counts, tracker->counts, sizeof(ret_loss->counts));
    for (uint32_t i = 0; i < guests->count; i++)
        if (tracker->guests[i].seen)
            guest_add(&tracker->guests[i], ret_loss);
    if (known(tracker->kills_first) && known(tracker->kills_last))
        ret_loss->kernel_kills =
            (uint32_t)min_u64(sub_or_zero(tracker->kills_last, tracker->kills_first), UINT32_MAX);
}

static const char *const fate_names[] = {
    [FATE_STAYED] = "stayed",
    [FATE_KILLED] = "killed",
    [FATE_SAVED] = "saved",
    [FATE_SHUT_DOWN] = "shut-down",
    [FATE_ENDED] = "ended",
};
static_assert(ELEMENTSOF(fate_names) == FATE_COUNT, "a fate has no name");

const char *fate_name(enum fate fate)
{
    return fate_names[fate];
}
