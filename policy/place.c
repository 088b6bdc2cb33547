/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the accounts of the places where a start has to fit: what there is, and what is owed of it.
 *
 * A place holds what it has left and what guests have of it already; so what is owed is compared
 * with both together, and what others than guests use needs no figure of its own.
 */
#include "place.h"

#include "arrival.h"
#include "node.h"
#include "observe.h"
#include "pinned.h"
#include "pool.h"
#include "relief.h"
#include "resume.h"

/* Bytes there are, and bytes that are owed of them. */
struct account {
    uint64_t have, owed;
};

static uint64_t left_of(struct account account)
{
    return sub_or_zero(account.have, account.owed);
}

static uint32_t count_of(uint32_t nodes)
{
    return (uint32_t)__builtin_popcount(nodes);
}

uint32_t reservations(const struct decision *d)
{
    return d->snapshot->reservation_count < RESERVATIONS_MAX ? d->snapshot->reservation_count
                                                             : RESERVATIONS_MAX;
}

/* What of a reservation is owed by a pool of KIND, of nodes by those WANTED. One that is bound to
 * no node is owed by none. Huge pages have a pool of their own, and count for the budget alone. */
uint64_t reservation_on(const struct reservation *reservation, enum pool_kind kind, uint32_t wanted)
{
    uint32_t bound = count_of(reservation->nodes);
    switch (kind) {
    case POOL_HOST:
    case POOL_KIND_COUNT:
        break;
    case POOL_BUDGET:
        return add_held(reservation->bytes, reservation->hugepages);
    case POOL_NODE:
        return bound == 0 ? 0 : reservation->bytes / bound * count_of(reservation->nodes & wanted);
    }
    return reservation->bytes;
}

/* ---- what is promised ---- */

bool rules_promise_minimum(const struct rules *rules, const struct vm_rules *own)
{
    enum commitment commitment =
        own->commitment == COMMITMENT_AUTO ? rules->host.commitment : own->commitment;
    /* A guard that looks on judges as if it acted. */
    bool looks_on = rules->host.mode == MODE_DRY_RUN && !rules->host.held;
    bool acts = looks_on || own->mode == MODE_ENFORCE;
    return commitment == COMMITMENT_MINIMUM && acts && (own->rungs & RUNG_BIT(RUNG_BALLOON));
}

const struct reservation *reservation_of(const struct decision *d, const uint8_t uuid[UUID_SIZE])
{
    for (uint32_t i = 0; i < reservations(d); i++)
        if (uuid_equal(d->snapshot->reservations[i].uuid, uuid))
            return &d->snapshot->reservations[i];
    return NULL;
}

bool vm_has_hugepages(const struct decision *d, const struct vm_snapshot *vm)
{
    const struct reservation *reservation = reservation_of(d, vm->identity.uuid);
    return (known(vm->hugetlb) && vm->hugetlb > 0) || (reservation && reservation->hugepages > 0);
}

/* All it can come to have, of virtio-mem what it was told to, or is to get back from us; where
 * nobody says, what libvirt defined; UNKNOWN. */
static uint64_t whole_of(const struct vm_snapshot *vm)
{
    if (!known(vm->maximum))
        return vm->definition.memory;
    bool shrunk = vm->measures.in_force & VM_MEASURE_RESIZE;
    return add_held(
        vm->maximum, shrunk ? vm->measures.resize.before : known_or(vm->resizable.requested, 0));
}

static bool is_returning(const struct decision *d, uint32_t position)
{
    return vm_is_inflatable(decision_vm(d, position)) &&
           rules_promise_minimum(d->rules, decision_rules(d, position)) &&
           !(d->vms[position].traits & TRAIT_STUCK);
}

/* What the guest has of a pool of KIND. */
static uint64_t held_in(const struct decision *d, uint32_t position, enum pool_kind kind)
{
    uint64_t held = d->vms[position].held;
    uint64_t hugetlb = known_or(decision_vm(d, position)->hugetlb, 0);
    return kind == POOL_BUDGET ? held : sub_or_zero(held, hugetlb);
}

/* What it may come to have of it. What it does not return is its own, whatever was promised; of one
 * whose size nobody knows nothing else can be said than what it has. */
static uint64_t promised_in(const struct decision *d, uint32_t position, enum pool_kind kind)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    uint64_t held = held_in(d, position, kind), whole = whole_of(vm);
    if (vm_is_going(vm))
        return 0;
    if (!known(whole))
        return held;
    if (kind != POOL_BUDGET && vm_has_hugepages(d, vm))
        return max_u64(memory_with_overhead(whole) - whole, held);
    if (is_returning(d, position))
        return memory_with_overhead(d->vms[position].minimum);
    return max_u64(memory_with_overhead(whole), held);
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

/* … of a guest that cannot be seen yet, so that nothing else stands for it. */
static const struct reservation *unseen_reservation(const struct asking *asking, uint32_t i)
{
    const struct reservation *other = others_reservation(asking, i);
    return other && !is_seen(asking->d, other->uuid) ? other : NULL;
}

/* The nodes that a guest is bound to are all among WANTED; with none wanted, everybody's. */
static bool is_within(uint32_t bound, uint32_t wanted)
{
    return wanted == 0 || (bound != 0 && (bound & ~wanted) == 0);
}

/* ---- the places where it has to fit ---- */

uint32_t places_find(const struct asking *asking, struct place ret_places[PLACES_MAX])
{
    const struct assessment *assessment = &asking->d->plan->assessment;
    uint32_t count = 0;
    ret_places[count++] = (struct place){POOL_HOST, POOL_INDEX_HOST, POOL_INDEX_HOST + 1, 0};
    if (known(assessment->pools[POOL_INDEX_BUDGET].total))
        ret_places[count++] =
            (struct place){POOL_BUDGET, POOL_INDEX_BUDGET, POOL_INDEX_BUDGET + 1, 0};
    if (asking->nodes != 0)
        ret_places[count++] =
            (struct place){POOL_NODE, POOL_INDEX_NODES, assessment->pool_count, asking->nodes};
    return count;
}

/* The pool number I of the place; NULL: it is not of it. */
static const struct pool_view *place_pool(
    const struct asking *asking, const struct place *place, uint32_t i)
{
    const struct pool_view *pool = &asking->d->plan->assessment.pools[i];
    return place->nodes == 0 || (place->nodes >> pool->node & 1) ? pool : NULL;
}

bool place_is_measured(const struct asking *asking, const struct place *place)
{
    uint32_t found = 0;
    for (uint32_t i = place->first; i < place->end; i++) {
        const struct pool_view *pool = place_pool(asking, place, i);
        if (pool && known(pool->total))
            found++;
    }
    return found == (place->nodes == 0 ? 1 : count_of(place->nodes));
}

uint64_t place_needed(const struct asking *asking, const struct place *place)
{
    return place->kind == POOL_BUDGET ? add_held(asking->needed, asking->hugepages)
                                      : asking->needed;
}

uint64_t place_taken(const struct asking *asking, const struct place *place)
{
    return place->kind == POOL_BUDGET ? add_held(asking->taken, asking->hugepages) : asking->taken;
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

/* What a balloon at TARGET returns of the place. */
static uint64_t place_relief(
    const struct asking *asking, const struct place *place, uint32_t position, uint64_t target)
{
    uint64_t sum = 0;
    for (uint32_t i = place->first; i < place->end; i++) {
        const struct pool_view *pool = place_pool(asking, place, i);
        if (pool)
            sum = add_held(sum, relief_balloon(asking->d, pool, position, target));
    }
    return sum;
}

/* What the guest has of the place. */
static uint64_t place_held(
    const struct asking *asking, const struct place *place, uint32_t position)
{
    uint64_t sum = 0;
    if (place->nodes == 0)
        return held_in(asking->d, position, place->kind);
    for (uint32_t i = place->first; i < place->end; i++) {
        const struct pool_view *pool = place_pool(asking, place, i);
        if (pool)
            sum = add_held(sum, node_held(asking->d, position, pool->node));
    }
    return sum;
}

/* No more than the whole place: pages that guests share are counted with each of them. */
static uint64_t place_capacity(const struct asking *asking, const struct place *place)
{
    uint64_t sum = 0;
    for (uint32_t i = place->first; i < place->end; i++) {
        const struct pool_view *pool = place_pool(asking, place, i);
        if (pool)
            sum = add_held(sum, pool_capacity(pool));
    }
    return sum;
}

/* What is promised to nobody. Of nodes only those bound to them are promised anything; what others
 * have there beyond their own promise can be taken back. */
uint64_t place_unpromised(const struct asking *asking, const struct place *place)
{
    const struct decision *d = asking->d;
    struct account account = place_account(asking, place);
    for (uint32_t i = 0; i < d->vm_count; i++) {
        if (!(d->vms[i].traits & TRAIT_USABLE))
            continue;
        if (is_within(node_binding(d, i), place->nodes)) {
            account.have = add_held(account.have, place_held(asking, place, i));
            account.owed = add_held(account.owed, promised_in(d, i, place->kind));
        } else if (is_returning(d, i)) {
            account.have =
                add_held(account.have, place_relief(asking, place, i, d->vms[i].minimum));
        }
    }
    account.have = min_u64(account.have, place_capacity(asking, place));
    for (uint32_t i = 0; i < reservations(d); i++) {
        const struct reservation *other = unseen_reservation(asking, i);
        if (!other || !is_within(other->nodes, place->nodes))
            continue;
        account.owed = add_held(account.owed, other->promised);
        if (place->kind == POOL_BUDGET)
            account.owed = add_held(account.owed, other->hugepages);
    }
    return left_of(account);
}

/* What is free now and kept for nobody, nor waited for by guests at least as valuable. */
uint64_t place_room(const struct asking *asking, const struct place *place)
{
    struct account account = place_account(asking, place);
    account.owed = add_held(
        account.owed, arrival_kept(asking->d, place->kind, place->nodes, asking->request->uuid));
    if (place->nodes == 0)
        account.owed = add_held(account.owed, resume_withheld(asking->d, asking->own->priority));
    return left_of(account);
}

/* Some of it is critical: what comes back there is for those who are stopped for want of it. */
bool place_is_critical(const struct asking *asking, const struct place *place)
{
    for (uint32_t i = place->first; i < place->end; i++) {
        const struct pool_view *pool = place_pool(asking, place, i);
        if (pool && pool->band == BAND_CRITICAL)
            return true;
    }
    return false;
}

/* What a balloon may leave to the guest at POSITION; UNKNOWN: it brings nothing. What a more
 * valuable guest uses is not taken for this one. Whose QEMU does not answer for a while goes on
 * towards the target that it was given. */
static uint64_t place_least(const struct asking *asking, uint32_t position)
{
    const struct decision *d = asking->d;
    const struct vm_scratch *vm = &d->vms[position];
    const struct vm_snapshot *figures = decision_vm(d, position);
    bool acts = d->rules->host.mode == MODE_ENFORCE || d->rules->host.held;
    if (acts && (!(vm->traits & TRAIT_USABLE) || decision_rules(d, position)->mode != MODE_ENFORCE))
        return UNKNOWN;
    if (acts && (vm->traits & TRAIT_USABLE) && figures->monitor == VM_MONITOR_SILENT &&
        vm_is_inflatable(figures) && (figures->measures.in_force & VM_MEASURE_BALLOON))
        return figures->measures.balloon_target;
    if (!(vm->traits & TRAIT_INFLATABLE) || !known(vm->minimum))
        return UNKNOWN;
    bool spared =
        (vm->traits & TRAIT_BUSY) && decision_rules(d, position)->priority > asking->own->priority;
    return spared ? max_u64(vm->minimum, vm->idle_floor) : vm->minimum;
}

/* What balloons can bring there while the asker waits. A balloon holds what was never touched as
 * well, so that it returns for certain only what it is still short of when it has come so far. */
uint64_t place_gain(const struct asking *asking, const struct place *place)
{
    const struct decision *d = asking->d;
    uint64_t most = scale_u64(asking->request->patience, ADMISSION_BALLOON_RATE, NSEC_PER_SEC);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < d->vm_count; i++) {
        uint64_t least = place_least(asking, i);
        if (!known(least))
            continue;
        uint64_t reached = sub_or_zero(decision_vm(d, i)->balloon.actual, most);
        sum = add_held(sum, place_relief(asking, place, i, max_u64(least, reached)));
    }
    return sum;
}

/* ---- huge pages, and what is pinned ---- */

uint64_t place_hugepages_left(const struct asking *asking)
{
    const struct decision *d = asking->d;
    const struct host_snapshot *host = &d->snapshot->host;
    struct account account = {.have = asking->nodes == 0 ? known_or(host->hugepages_free, 0) : 0};
    for (uint32_t i = 0; i < host->node_count && i < NODES_MAX; i++)
        if (asking->nodes >> i & 1)
            account.have = add_held(account.have, known_or(host->nodes[i].hugepages_free, 0));
    /* A guest takes its pages one by one, and has a right to all of them from the start. */
    for (uint32_t i = 0; i < d->vm_count; i++) {
        const struct vm_snapshot *vm = decision_vm(d, i);
        if (vm_has_hugepages(d, vm) && !vm_is_going(vm) &&
            is_within(node_binding(d, i), asking->nodes))
            account.owed = add_held(
                account.owed, sub_or_zero(known_or(vm->maximum, 0), known_or(vm->hugetlb, 0)));
    }
    for (uint32_t i = 0; i < reservations(d); i++) {
        const struct reservation *other = unseen_reservation(asking, i);
        if (other && is_within(other->nodes, asking->nodes))
            account.owed = add_held(account.owed, other->hugepages);
    }
    return left_of(account);
}

/* A guest whose device pins all of it does so piece by piece while it starts. */
static uint64_t pinned_to_come(const struct decision *d, const struct vm_snapshot *vm)
{
    const struct vm_wiring *wiring = &vm->wiring;
    if (wiring->vfio_groups + wiring->iommufd + wiring->vdpa == 0 || vm_is_going(vm) ||
        vm_has_hugepages(d, vm))
        return 0;
    return sub_or_zero(known_or(vm->maximum, 0), known_or(vm_pinned(vm), 0));
}

uint64_t place_unpinned(const struct asking *asking, const struct place *place)
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
            account.owed = add_held(account.owed, pinned_to_come(d, decision_vm(d, i)));
    for (uint32_t i = 0; i < reservations(d); i++) {
        const struct reservation *other = unseen_reservation(asking, i);
        if (other && is_within(other->nodes, place->nodes))
            account.owed = add_held(account.owed, other->promised_pinned);
    }
    return left_of(account);
}
