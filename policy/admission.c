/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns admission. A start has to fit twice. Into what is promised: what all guests may come to hold
 * without the guard being able to take it back, the new one among them, must leave the pool above
 * critical. And into what is free: of what it takes at once, so much must be there, or be had by
 * balloon while the asker waits. The first keeps a promise for years, the second for a minute.
 *
 * A pool holds what it has left and what guests have of it already; so what is owed is compared
 * with both together, and what others than guests use needs no figure of its own.
 *
 * A reservation keeps the room: nobody is given it back, and balloons take what is lacking. It is
 * no reason to pause or kill anybody, so it counts in no band.
 */
#include "admission.h"

#include "node.h"
#include "observe.h"
#include "pinned.h"
#include "pool.h"
#include "relief.h"

/* Bytes there are, and bytes that are owed of them. */
struct account {
    uint64_t have, owed;
};

static uint64_t left_of(struct account account)
{
    return sub_or_zero(account.have, account.owed);
}

static uint64_t with_overhead(uint64_t memory)
{
    return add_held(memory, add_held(QEMU_OVERHEAD, memory / QEMU_OVERHEAD_DIVISOR));
}

static uint32_t count_of(uint32_t nodes)
{
    return (uint32_t)__builtin_popcount(nodes);
}

static bool uuid_equal(const uint8_t a[UUID_SIZE], const uint8_t b[UUID_SIZE])
{
    return __builtin_memcmp(a, b, UUID_SIZE) == 0;
}

/* ---- what is kept ---- */

static uint32_t reservations(const struct decision *d)
{
    return d->snapshot->reservation_count < RESERVATIONS_MAX ? d->snapshot->reservation_count
                                                             : RESERVATIONS_MAX;
}

/* What of a reservation is owed by the nodes WANTED; 0: by the host. One that is bound to no node
 * is owed by none. */
static uint64_t reserved_on(const struct reservation *reservation, uint32_t wanted)
{
    uint32_t bound = count_of(reservation->nodes);
    if (wanted == 0)
        return reservation->bytes;
    return bound == 0 ? 0 : reservation->bytes / bound * count_of(reservation->nodes & wanted);
}

uint64_t admission_reserved(const struct decision *d, const struct pool_view *pool)
{
    uint32_t wanted = pool->kind == POOL_NODE ? UINT32_C(1) << pool->node : 0;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < reservations(d); i++)
        sum = add_held(sum, reserved_on(&d->snapshot->reservations[i], wanted));
    return sum;
}

uint64_t admission_lacking(const struct decision *d, const struct pool_view *pool)
{
    if (pool->reserved == 0 || !known(pool->total))
        return 0;
    uint64_t headroom = pool->headroom > 0 ? (uint64_t)pool->headroom : 0;
    return sub_or_zero(add_held(pool->reserved, pool_enter(d, pool, BAND_CRITICAL)), headroom);
}

/* ---- what is promised ---- */

struct asking {
    const struct decision *d;
    const struct admission_request *request;
    uint64_t needed; /* of the host's memory, for as long as it runs */
    uint64_t taken;  /* … at once */
};

static bool is_promised_minimum(const struct rules *rules, const struct vm_rules *own)
{
    enum commitment commitment =
        own->commitment == COMMITMENT_AUTO ? rules->host.commitment : own->commitment;
    /* A guard that looks on judges as if it acted. */
    bool acts = rules->host.mode == MODE_DRY_RUN || own->mode == MODE_ENFORCE;
    return commitment == COMMITMENT_MINIMUM && acts && (own->rungs & RUNG_BIT(RUNG_BALLOON));
}

static bool has_hugepages(const struct vm_snapshot *vm)
{
    return known(vm->hugetlb) && vm->hugetlb > 0;
}

/* What the guest may come to hold of the host's memory. */
static uint64_t promised(const struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    uint64_t held = d->vms[position].held;
    if (vm_is_going(vm))
        return 0;
    if (has_hugepages(vm))
        return max_u64(with_overhead(vm->hugetlb) - vm->hugetlb, known_or(vm->rss, 0));
    if (!known(vm->maximum))
        return held;
    if (!vm_is_inflatable(vm) || !is_promised_minimum(d->rules, decision_rules(d, position)))
        return max_u64(with_overhead(vm->maximum), held);
    uint64_t least = with_overhead(d->vms[position].minimum);
    /* What it does not return is its own, whatever was promised. */
    return d->vms[position].traits & TRAIT_STUCK ? max_u64(least, held) : least;
}

static bool is_seen(const struct decision *d, const uint8_t uuid[UUID_SIZE])
{
    for (uint32_t i = 0; i < d->vm_count; i++)
        if (uuid_equal(decision_vm(d, i)->identity.uuid, uuid))
            return true;
    return false;
}

/* The reservation number I, but for the asker's own; NULL. */
static const struct reservation *others_reservation(const struct asking *asking, uint32_t i)
{
    const struct reservation *reservation = &asking->d->snapshot->reservations[i];
    return uuid_equal(reservation->uuid, asking->request->uuid) ? NULL : reservation;
}

/* The nodes that a guest is bound to are all among WANTED; with none wanted, everybody's. */
static bool is_within(uint32_t bound, uint32_t wanted)
{
    return wanted == 0 || (bound != 0 && (bound & ~wanted) == 0);
}

/* What a guest has of the nodes; 0: of all. */
static uint64_t held_on(const struct decision *d, uint32_t position, uint32_t nodes)
{
    if (nodes == 0)
        return d->vms[position].held;
    uint64_t sum = 0;
    for (uint32_t node = 0; node < NODES_MAX; node++)
        if (nodes >> node & 1)
            sum = add_held(sum, node_held(d, position, node));
    return sum;
}

/* Adds what guests, and those that start, hold of NODES (0: of all) and what they are promised. */
static void add_promises(const struct asking *asking, uint32_t nodes, struct account *account)
{
    const struct decision *d = asking->d;
    for (uint32_t i = 0; i < d->vm_count; i++) {
        if (!(d->vms[i].traits & TRAIT_USABLE) || !is_within(node_binding(d, i), nodes))
            continue;
        account->have = add_held(account->have, held_on(d, i, nodes));
        account->owed = add_held(account->owed, promised(d, i));
    }
    for (uint32_t i = 0; i < reservations(d); i++) {
        const struct reservation *other = others_reservation(asking, i);
        if (other && is_within(other->nodes, nodes) && !is_seen(d, other->uuid))
            account->owed = add_held(account->owed, other->promised);
    }
}

/* ---- the places where it has to fit ---- */

/* A pool, or the nodes that the guest is bound to as if they were one. */
struct place {
    enum pool_kind kind;
    uint32_t first, end; /* of the assessment's pools … */
    uint32_t nodes;      /* … those of these nodes; 0: not by node */
};

/* Host, budget if there is one, and the guest's nodes if it is bound to some. */
#define PLACES_MAX 3

static uint32_t places_of(const struct asking *asking, struct place ret_places[PLACES_MAX])
{
    const struct assessment *assessment = &asking->d->plan->assessment;
    uint32_t count = 0;
    ret_places[count++] = (struct place){POOL_HOST, POOL_INDEX_HOST, POOL_INDEX_HOST + 1, 0};
    if (known(assessment->pools[POOL_INDEX_BUDGET].total))
        ret_places[count++] =
            (struct place){POOL_BUDGET, POOL_INDEX_BUDGET, POOL_INDEX_BUDGET + 1, 0};
    if (asking->request->nodes != 0)
        ret_places[count++] = (struct place){
            POOL_NODE, POOL_INDEX_NODES, assessment->pool_count, asking->request->nodes};
    return count;
}

/* The pool number I of the place; NULL: it is not of it. */
static const struct pool_view *place_pool(
    const struct asking *asking, const struct place *place, uint32_t i)
{
    const struct pool_view *pool = &asking->d->plan->assessment.pools[i];
    return place->nodes == 0 || (place->nodes >> pool->node & 1) ? pool : NULL;
}

static bool place_is_measured(const struct asking *asking, const struct place *place)
{
    uint32_t found = 0;
    for (uint32_t i = place->first; i < place->end; i++) {
        const struct pool_view *pool = place_pool(asking, place, i);
        if (pool && known(pool->total))
            found++;
    }
    return found == (place->nodes == 0 ? 1 : count_of(place->nodes));
}

/* What the place has above its floor; and owed is what must stay for critical not to begin. */
static struct account place_account(const struct asking *asking, const struct place *place)
{
    struct account account = {0};
    for (uint32_t i = place->first; i < place->end; i++) {
        const struct pool_view *pool = place_pool(asking, place, i);
        if (!pool)
            continue;
        if (pool->headroom > 0)
            account.have = add_held(account.have, (uint64_t)pool->headroom);
        else
            account.owed = add_held(account.owed, (uint64_t)-pool->headroom);
        account.owed = add_held(account.owed, pool_enter(asking->d, pool, BAND_CRITICAL));
    }
    return account;
}

/* What is promised to nobody. */
static uint64_t place_unpromised(const struct asking *asking, const struct place *place)
{
    struct account account = place_account(asking, place);
    add_promises(asking, place->nodes, &account);
    return left_of(account);
}

/* What is free now and kept for nobody. */
static uint64_t place_room(const struct asking *asking, const struct place *place)
{
    struct account account = place_account(asking, place);
    for (uint32_t i = 0; i < reservations(asking->d); i++) {
        const struct reservation *other = others_reservation(asking, i);
        if (other)
            account.owed = add_held(account.owed, reserved_on(other, place->nodes));
    }
    return left_of(account);
}

/* Some of it is critical: what comes back there is for those who are stopped for want of it. */
static bool place_is_critical(const struct asking *asking, const struct place *place)
{
    for (uint32_t i = place->first; i < place->end; i++) {
        const struct pool_view *pool = place_pool(asking, place, i);
        if (pool && pool->band == BAND_CRITICAL)
            return true;
    }
    return false;
}

/* What balloons can bring there while the asker waits. A balloon holds what was never touched as
 * well, so that it returns for certain only what it is still short of when it has come so far. */
static uint64_t place_gain(const struct asking *asking, const struct place *place)
{
    const struct decision *d = asking->d;
    const uint32_t wanted = TRAIT_INFLATABLE | TRAIT_ENFORCED;
    uint64_t most = scale_u64(asking->request->patience, ADMISSION_BALLOON_RATE, NSEC_PER_SEC);
    uint64_t sum = 0;
    for (uint32_t vm = 0; vm < d->vm_count; vm++) {
        if ((d->vms[vm].traits & wanted) != wanted || !known(d->vms[vm].minimum))
            continue;
        uint64_t reached = sub_or_zero(decision_vm(d, vm)->balloon.actual, most);
        uint64_t target = max_u64(d->vms[vm].minimum, reached);
        for (uint32_t i = place->first; i < place->end; i++) {
            const struct pool_view *pool = place_pool(asking, place, i);
            if (pool)
                sum = add_held(sum, relief_balloon(d, pool, vm, target));
        }
    }
    return sum;
}

/* ---- huge pages, and what is pinned ---- */

static uint64_t hugepages_left(const struct asking *asking)
{
    const struct decision *d = asking->d;
    const struct host_snapshot *host = &d->snapshot->host;
    uint32_t nodes = asking->request->nodes;
    struct account account = {.have = nodes == 0 ? known_or(host->hugepages_free, 0) : 0};
    for (uint32_t i = 0; i < host->node_count && i < NODES_MAX; i++)
        if (nodes >> i & 1)
            account.have = add_held(account.have, known_or(host->nodes[i].hugepages_free, 0));
    /* A guest takes its pages one by one, and has a right to all of them from the start. */
    for (uint32_t i = 0; i < d->vm_count; i++) {
        const struct vm_snapshot *vm = decision_vm(d, i);
        if (has_hugepages(vm) && !vm_is_going(vm) && is_within(node_binding(d, i), nodes))
            account.owed =
                add_held(account.owed, sub_or_zero(known_or(vm->maximum, 0), vm->hugetlb));
    }
    for (uint32_t i = 0; i < reservations(d); i++) {
        const struct reservation *other = others_reservation(asking, i);
        if (other && is_within(other->nodes, nodes))
            account.owed = add_held(account.owed, other->hugepages);
    }
    return left_of(account);
}

/* A guest whose device pins all of it does so piece by piece while it starts. */
static uint64_t pinned_to_come(const struct vm_snapshot *vm)
{
    const struct vm_wiring *wiring = &vm->wiring;
    if (wiring->vfio_groups + wiring->iommufd + wiring->vdpa == 0 || vm_is_going(vm))
        return 0;
    return sub_or_zero(known_or(vm->maximum, 0), known_or(vm_pinned(vm), 0));
}

static uint64_t place_unpinned(const struct asking *asking, const struct place *place)
{
    const struct decision *d = asking->d;
    struct account account = {0};
    for (uint32_t i = place->first; i < place->end; i++) {
        const struct pool_view *pool = place_pool(asking, place, i);
        if (!pool)
            continue;
        account.have = add_held(account.have, pinned_limit(d, pool));
        account.owed = add_held(account.owed, pool->pinned);
    }
    for (uint32_t i = 0; i < d->vm_count; i++)
        if (is_within(node_binding(d, i), place->nodes))
            account.owed = add_held(account.owed, pinned_to_come(decision_vm(d, i)));
    for (uint32_t i = 0; i < reservations(d); i++) {
        const struct reservation *other = others_reservation(asking, i);
        if (other && is_within(other->nodes, place->nodes) && !is_seen(d, other->uuid))
            account.owed = add_held(account.owed, other->promised_pinned);
    }
    return left_of(account);
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
    uint64_t room = critical ? 0 : place_room(asking, place);
    if (room >= asking->taken)
        return;
    lack(answer, ADMISSION_LACK_ROOM, place->kind, asking->taken, room);
    if (!critical && place_gain(asking, place) >= asking->taken - room)
        answer->verdict = ADMISSION_WAIT;
}

static void judge_place(
    const struct asking *asking, const struct place *place, struct admission_answer *answer)
{
    const struct admission_request *request = asking->request;
    if (!place_is_measured(asking, place)) {
        lack(answer, ADMISSION_LACK_FIGURES, place->kind, asking->needed, 0);
        return;
    }
    if (request->pinned && place->kind != POOL_BUDGET) {
        uint64_t left = place_unpinned(asking, place);
        if (left < request->maximum) {
            lack(answer, ADMISSION_LACK_PINNED, place->kind, request->maximum, left);
            return;
        }
    }
    uint64_t left = place_unpromised(asking, place);
    if (place->kind == POOL_HOST)
        answer->left = left;
    if (left < asking->needed)
        lack(answer, ADMISSION_LACK_PROMISE, place->kind, asking->needed, left);
    else
        judge_room(asking, place, answer);
}

static void judge(const struct asking *asking, struct admission_answer *answer)
{
    const struct admission_request *request = asking->request;
    uint64_t hugepages = request->hugepages ? hugepages_left(asking) : UNKNOWN;
    if (hugepages < request->maximum) {
        lack(answer, ADMISSION_LACK_HUGEPAGES, request->nodes == 0 ? POOL_HOST : POOL_NODE,
            request->maximum, hugepages);
        return;
    }
    struct place places[PLACES_MAX];
    uint32_t count = places_of(asking, places);
    for (uint32_t i = 0; i < count && answer->verdict != ADMISSION_REFUSE; i++)
        judge_place(asking, &places[i], answer);
}

/* What it needs, and how much of that at once. */
static void reckon(struct asking *asking, const struct vm_rules *own)
{
    const struct admission_request *request = asking->request;
    uint64_t share = scale_u64(request->maximum, MINIMUM_DEFAULT_SHARE, AMOUNT_SHARE_WHOLE);
    uint64_t minimum =
        min_u64(amount_bytes(own->minimum, request->maximum, share), request->maximum);
    bool returns = request->balloon && !request->pinned;
    uint64_t maximum = with_overhead(request->maximum);
    if (request->hugepages) {
        asking->needed = asking->taken = maximum - request->maximum;
        return;
    }
    asking->needed =
        returns && is_promised_minimum(asking->d->rules, own) ? with_overhead(minimum) : maximum;
    asking->taken = request->pinned || request->allocated ? maximum : asking->needed;
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
    struct asking asking = {.d = &d, .request = request};

    observe_vms(&d, false);
    nodes_observe(&d);
    pools_assess(&d, false);
    pinned_assess(&d);
    reckon(&asking, own);
    *ret_answer = (struct admission_answer){
        .verdict = ADMISSION_ALLOW,
        .needed = asking.needed,
        .reservation =
            {
                .bytes = asking.taken,
                .hugepages = request->hugepages ? request->maximum : 0,
                .promised = request->hugepages ? asking.needed : with_overhead(request->maximum),
                .promised_pinned = request->pinned ? request->maximum : 0,
                .nodes = request->nodes,
            },
    };
    __builtin_memcpy(ret_answer->reservation.uuid, request->uuid, UUID_SIZE);
    judge(&asking, ret_answer);
}
