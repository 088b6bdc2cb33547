/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns admission. A start has to fit twice. Into what is promised: what all guests may come to hold
 * without the guard being able to take it back, the new one among them, must leave the pool above
 * critical. And into what is free: of what it takes at once, so much must be there, or be had by
 * balloon while the asker waits. The first keeps a promise for years, the second for a minute.
 *
 * A reservation keeps the room: nobody is given it back, and balloons take what is lacking. It is
 * no reason to pause or kill anybody, so it counts in no band. For a guest that the guard had saved
 * only the promise is kept, or nothing would have been won by saving it; back it takes at once what
 * it held.
 */
#include "admission.h"

#include "arrival.h"
#include "node.h"
#include "observe.h"
#include "pinned.h"
#include "place.h"
#include "pool.h"

/* ---- what is kept ---- */

uint64_t admission_reserved(const struct decision *d, const struct pool_view *pool)
{
    uint32_t node = pool->kind == POOL_NODE ? UINT32_C(1) << pool->node : 0;
    return arrival_kept(d, pool->kind, node, NULL);
}

uint64_t admission_lacking(const struct decision *d, const struct pool_view *pool)
{
    if (pool->reserved == 0 || !known(pool->total))
        return 0;
    uint64_t headroom = pool->headroom > 0 ? (uint64_t)pool->headroom : 0;
    return sub_or_zero(add_held(pool->reserved, pool_enter(d, pool, BAND_CRITICAL)), headroom);
}

/* ---- the verdict ---- */

static void lack(struct admission_answer *answer, enum admission_lack what, enum pool_kind pool,
    uint64_t needed, uint64_t left)
{
    answer->verdict = ADMISSION_REFUSE;
    answer->lack = what;
    answer->pool = pool;
    answer->needed = needed;
    answer->left = left;
}

static void judge_room(
    const struct asking *asking, const struct place *place, struct admission_answer *answer)
{
    bool critical = place_is_critical(asking, place);
    uint64_t taken = place_taken(asking, place);
    uint64_t room = critical ? 0 : place_room(asking, place);
    if (room >= taken)
        return;
    lack(answer, ADMISSION_LACK_ROOM, place->kind, taken, room);
    if (!critical && place_gain(asking, place) >= taken - room)
        answer->verdict = ADMISSION_WAIT;
}

static void judge_place(
    const struct asking *asking, const struct place *place, struct admission_answer *answer)
{
    const struct admission_request *request = asking->request;
    uint64_t needed = place_needed(asking, place);
    if (!place_is_measured(asking, place)) {
        lack(answer, ADMISSION_LACK_FIGURES, place->kind, needed, 0);
        return;
    }
    /* Huge pages are nobody else's memory, pinned or not. */
    if (request->pinned && !request->hugepages && place->kind != POOL_BUDGET) {
        uint64_t left = place_unpinned(asking, place);
        if (left < request->maximum) {
            lack(answer, ADMISSION_LACK_PINNED, place->kind, request->maximum, left);
            return;
        }
    }
    uint64_t left = place_unpromised(asking, place);
    if (place->kind == POOL_HOST && answer->verdict == ADMISSION_ALLOW)
        answer->left = left;
    if (left < needed)
        lack(answer, ADMISSION_LACK_PROMISE, place->kind, needed, left);
    else
        judge_room(asking, place, answer);
}

static void judge(const struct asking *asking, struct admission_answer *answer)
{
    uint64_t hugepages = asking->hugepages > 0 ? place_hugepages_left(asking) : UNKNOWN;
    if (hugepages < asking->hugepages) {
        lack(answer, ADMISSION_LACK_HUGEPAGES, asking->nodes == 0 ? POOL_HOST : POOL_NODE,
            asking->hugepages, hugepages);
        return;
    }
    struct place places[PLACES_MAX];
    uint32_t count = places_find(asking, places);
    for (uint32_t i = 0; i < count && answer->verdict != ADMISSION_REFUSE; i++)
        judge_place(asking, &places[i], answer);
}

static struct asking asking_of(
    const struct decision *d, const struct admission_request *request, const struct vm_rules *own)
{
    uint64_t maximum = memory_with_overhead(request->maximum);
    uint64_t share = scale_u64(request->maximum, MINIMUM_DEFAULT_SHARE, AMOUNT_SHARE_WHOLE);
    uint64_t minimum =
        min_u64(amount_bytes(own->minimum, request->maximum, share), request->maximum);
    bool returns = request->balloon && !request->pinned && rules_promise_minimum(d->rules, own);
    struct asking asking = {
        .d = d,
        .request = request,
        .own = own,
        .nodes = request->nodes == d->all_nodes ? 0 : request->nodes,
        .needed = returns ? memory_with_overhead(minimum) : maximum,
    };
    asking.taken = request->pinned || request->allocated ? maximum : asking.needed;
    if (request->hugepages) {
        asking.hugepages = request->maximum;
        asking.needed = asking.taken = maximum - request->maximum;
    }
    return asking;
}

void admission_saved(const struct snapshot *snapshot, const struct rules *rules, uint32_t position,
    uint64_t held, struct reservation *ret_reservation)
{
    const struct vm_snapshot *vm = &snapshot->vms[position];
    const struct decision d = {
        .snapshot = snapshot, .rules = rules, .all_nodes = nodes_of_host(snapshot)};
    const struct admission_request request = {
        .maximum = known_or(vm_memory_most(vm), known_or(held, 0)),
        .pinned = vm_is_wired(vm),
        .hugepages = known_or(vm->hugetlb, 0) > 0,
        .balloon = vm_is_inflatable(vm),
        .nodes = node_binding(&d, position),
    };
    const struct vm_rules *own = decision_rules(&d, position);
    struct asking asking = asking_of(&d, &request, own);
    __builtin_memset(ret_reservation, 0, sizeof(*ret_reservation));
    ret_reservation->promised = asking.needed;
    ret_reservation->promised_pinned = request.pinned && !request.hugepages ? request.maximum : 0;
    ret_reservation->nodes = asking.nodes;
    ret_reservation->priority = own->priority;
    ret_reservation->returning = known_or(held, request.maximum);
    __builtin_memcpy(ret_reservation->uuid, vm->identity.uuid, UUID_SIZE);
}

void admission_decide(const struct snapshot *snapshot, const struct rules *rules,
    struct policy_state *state, struct policy_scratch *scratch,
    const struct admission_request *request, const struct vm_rules *own,
    struct admission_answer *ret_answer)
{
    struct plan plan = {.time = snapshot->time}; /* for its view; it has no room for actions */
    struct decision d = {
        .snapshot = snapshot,
        .rules = rules,
        .state = state,
        .vms = scratch->vms,
        .vm_count =
            snapshot->vm_count < scratch->vm_capacity ? snapshot->vm_count : scratch->vm_capacity,
        .plan = &plan,
        .now = snapshot->time,
    };

    observe_vms(&d, false);
    nodes_observe(&d);
    pools_assess(&d, false);
    pinned_assess(&d);
    struct asking asking = asking_of(&d, request, own);
    const struct reservation *saved = reservation_of(&d, request->uuid);
    uint64_t returning = saved ? saved->returning : 0;
    if (!request->hugepages)
        asking.taken = max_u64(asking.taken, returning);
    /* Equal questions have equal answers, byte by byte. */
    __builtin_memset(ret_answer, 0, sizeof(*ret_answer));
    ret_answer->verdict = ADMISSION_ALLOW;
    ret_answer->needed = asking.needed;
    struct reservation *reservation = &ret_answer->reservation;
    reservation->bytes = asking.taken;
    reservation->hugepages = asking.hugepages;
    reservation->promised =
        request->hugepages ? asking.needed : memory_with_overhead(request->maximum);
    reservation->promised_pinned = request->pinned && !request->hugepages ? request->maximum : 0;
    reservation->nodes = asking.nodes;
    reservation->priority = own->priority;
    reservation->returning = returning;
    __builtin_memcpy(reservation->uuid, request->uuid, UUID_SIZE);
    judge(&asking, ret_answer);
}
