/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the rows, and what is seen of them. Whether an action was carried out is not recorded; its
 * effect is, by a later look: of a pause a measure in force, of a balloon where it stands, of an
 * end that the guest is gone. A row waits for that until another action on the same guest takes its
 * place, or the event is over.
 */
#include "deeds.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "loss.h"

/* A balloon moves by pages, and may stop a little short. */
#define BALLOON_NEAR MIB

int deeds_new(struct deeds **ret_deeds)
{
    CLEANUP(deeds_free_at) struct deeds *deeds = calloc(1, sizeof(*deeds));

    if (!deeds)
        return -ENOMEM;
    deeds->all = calloc(DEEDS_MAX, sizeof(*deeds->all));
    deeds->latest = calloc(GUESTS_MAX, sizeof(*deeds->latest));
    if (!deeds->all || !deeds->latest)
        return -ENOMEM;
    for (uint32_t i = 0; i < GUESTS_MAX; i++)
        deeds->latest[i] = DEEDS_MAX;
    *ret_deeds = STEAL(deeds);
    return 0;
}

struct deeds *deeds_free(struct deeds *deeds)
{
    if (!deeds)
        return NULL;
    free(deeds->latest);
    free(deeds->all);
    free(deeds);
    return NULL;
}

bool deed_harms(enum action_kind kind)
{
    switch (kind) {
    case ACTION_BRAKE:
    case ACTION_PAUSE:
    case ACTION_FREEZE:
    case ACTION_SAVE:
    case ACTION_SHUTDOWN:
    case ACTION_KILL:
    case ACTION_ALERT:
        return true;
    case ACTION_BALLOON:
    case ACTION_RESIZE:
    case ACTION_RECLAIM:
    case ACTION_RELEASE:
    case ACTION_THAW:
    case ACTION_RESUME:
    case ACTION_OOM_SCORE:
    case ACTION_MEMLOCK:
    case ACTION_CONTAIN:
    case ACTION_KIND_COUNT:
        break;
    }
    return false;
}

/* ---- what is seen ---- */

static bool target_is_reached(const struct deed *deed, uint64_t value)
{
    if (!known(deed->target) || !known(value))
        return false;
    bool up = deed->reason == REASON_BALLOON_RETURN || deed->reason == REASON_RESIZE_RETURN;
    return up ? add_held(value, BALLOON_NEAR) >= deed->target
              : value <= add_held(deed->target, BALLOON_NEAR);
}

/* VM: the guest; NULL: it is gone. */
static bool deed_shows(const struct deed *deed, const struct vm_snapshot *vm)
{
    uint32_t in_force = vm ? vm->measures.in_force : 0;

    switch (deed->kind) {
    case ACTION_BALLOON:
        return vm && target_is_reached(deed, vm->balloon.actual);
    case ACTION_RESIZE:
        return vm && target_is_reached(deed, vm->resizable.size);
    case ACTION_BRAKE:
        return in_force & VM_MEASURE_BRAKED;
    case ACTION_RELEASE:
        return vm && !(in_force & VM_MEASURE_BRAKED);
    case ACTION_PAUSE:
        return in_force & VM_MEASURE_STOPPED;
    case ACTION_FREEZE:
        return in_force & VM_MEASURE_FROZEN;
    case ACTION_THAW:
        return vm && !(in_force & VM_MEASURE_FROZEN);
    case ACTION_RESUME:
        return vm && !(in_force & VM_MEASURE_PAUSE);
    case ACTION_SAVE:
    case ACTION_SHUTDOWN:
    case ACTION_KILL:
        return !vm;
    case ACTION_RECLAIM:
    case ACTION_OOM_SCORE:
    case ACTION_MEMLOCK:
    case ACTION_CONTAIN:
    case ACTION_ALERT:
    case ACTION_KIND_COUNT:
        break;
    }
    return false;
}

static void guest_see(
    struct deeds *deeds, uint32_t guest, const struct vm_snapshot *vm, uint64_t now)
{
    if (deeds->latest[guest] == DEEDS_MAX)
        return;
    struct deed *deed = &deeds->all[deeds->latest[guest]];
    if (deed->seen != DEED_NOT_SEEN || !deed_shows(deed, vm))
        return;
    deed->seen = DEED_SEEN;
    deed->seen_after = sub_or_zero(now, deed->last);
}

/* ---- rows ---- */

static bool kind_goes_on(enum action_kind kind)
{
    return kind == ACTION_BALLOON || kind == ACTION_RESIZE || kind == ACTION_RECLAIM;
}

/* The row that ACTION goes on with; NULL: it needs one of its own. */
static struct deed *deed_going_on(
    const struct deeds *deeds, const struct action *action, uint32_t guest)
{
    if (guest == GUEST_NONE || deeds->latest[guest] == DEEDS_MAX || !kind_goes_on(action->kind))
        return NULL;
    struct deed *deed = &deeds->all[deeds->latest[guest]];
    bool same =
        deed->kind == action->kind && deed->reason == action->reason && deed->mode == action->mode;
    return same ? deed : NULL;
}

static bool leaves_sign(enum action_kind kind)
{
    return kind != ACTION_ALERT && kind != ACTION_RECLAIM && kind != ACTION_MEMLOCK &&
           kind != ACTION_CONTAIN;
}

static enum deed_seen seen_at_first(const struct action *action)
{
    if (action->kind != ACTION_ALERT && action->mode == MODE_DRY_RUN)
        return DEED_NOT_DONE;
    if ((action->kind == ACTION_BALLOON || action->kind == ACTION_RESIZE) && !known(action->target))
        return DEED_NO_SIGN;
    return leaves_sign(action->kind) ? DEED_NOT_SEEN : DEED_NO_SIGN;
}

static void deed_add(
    struct deeds *deeds, const struct action *action, uint32_t guest, const struct look *look)
{
    uint64_t now = look->seen->snapshot->time;
    struct deed *deed = deed_going_on(deeds, action, guest);

    if (!deed) {
        if (deeds->count >= (deed_harms(action->kind) ? DEEDS_MAX : DEEDS_MILD)) {
            deeds->left_out++;
            return;
        }
        deed = &deeds->all[deeds->count];
        *deed = (struct deed){.first = now,
            .guest = guest,
            .kind = action->kind,
            .reason = action->reason,
            .mode = action->mode,
            .band = look->seen->plan->assessment.band,
            .limit = action->limit};
        if (guest != GUEST_NONE && (kind_goes_on(action->kind) || leaves_sign(action->kind)))
            deeds->latest[guest] = deeds->count;
        deeds->count++;
    }
    deed->last = now;
    deed->times++;
    deed->target = action->target;
    deed->bytes = add_held(deed->bytes, known_or(action->relief, 0));
    deed->seen = seen_at_first(action);
}

void deeds_look(struct deeds *deeds, const struct look *look, const struct roster *guests)
{
    const struct snapshot *snapshot = look->seen->snapshot;
    const struct plan *plan = look->seen->plan;

    for (uint32_t i = 0; i < guests->gone_count; i++)
        guest_see(deeds, guests->gone[i], NULL, snapshot->time);
    for (uint32_t i = 0; i < snapshot->vm_count; i++)
        if (guests->at[i] != GUEST_NONE)
            guest_see(deeds, guests->at[i], &snapshot->vms[i], snapshot->time);
    for (uint32_t i = 0; i < plan->action_count; i++) {
        const struct action *action = &plan->actions[i];
        if (action->kind == ACTION_OOM_SCORE || action->kind == ACTION_KIND_COUNT)
            continue;
        uint32_t guest =
            action->slot == ACTION_SLOT_HOST ? GUEST_NONE : roster_find(guests, &action->identity);
        deed_add(deeds, action, guest, look);
    }
}

static const char *const seen_names[] = {
    [DEED_NOT_SEEN] = "not-seen",
    [DEED_SEEN] = "seen",
    [DEED_NOT_DONE] = "not-done",
    [DEED_NO_SIGN] = "no-sign",
};
static_assert(ELEMENTSOF(seen_names) == DEED_SEEN_COUNT, "what is seen has no name");

const char *deed_seen_name(enum deed_seen seen)
{
    return seen_names[seen];
}
