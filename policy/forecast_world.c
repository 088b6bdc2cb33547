/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns where memory goes in a forecast. Its physics are what the policy itself counts on, and what
 * was measured (facts 9 and 10):
 *
 * guest    grows on at its rate, up to its size and its balloon; not while it is stopped, and under
 *          a brake so much more slowly. Its balloon goes to its target at the usual rate and frees
 *          what is resident above it (relief.c); of what it called free so much less is free then.
 * host     what is asked for and not there is waited for, and had first of all that comes free, or
 *          of swap as fast as that is written. While somebody waits nobody grows.
 * nodes    who is bound takes from its nodes, all others from all, in proportion to what they have.
 *
 * Figures of a guest are seen as seldom as the guard reads them (daemon/guard.c), for how fast one
 * is seen to grow follows from that.
 */
#include "forecast_world.h"

#include "node.h"
#include "observe.h"
#include "pool.h"

/* How often a guest is asked for its statistics, by band, as the guard does. */
static const uint64_t statistics_interval[BAND_COUNT] = {
    NSEC_PER_MINUTE, NSEC_PER_SEC, NSEC_PER_SEC, NSEC_PER_SEC};

/* ---- memory of the host ---- */

/* From what is there; what is not is waited for. */
static void store_take(uint64_t *available, uint64_t *waited, uint64_t bytes)
{
    uint64_t has = min_u64(*available, bytes);
    *available -= has;
    *waited = add_held(*waited, bytes - has);
}

/* To those that wait; returns what nobody waited for. */
static uint64_t store_give(uint64_t *available, uint64_t *waited, uint64_t bytes)
{
    uint64_t left = bytes - min_u64(*waited, bytes);
    *waited -= bytes - left;
    *available = add_held(*available, left);
    return left;
}

static uint64_t nodes_available(const struct host_snapshot *host, uint32_t nodes)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < host->node_count && i < NODES_MAX; i++)
        if (nodes >> i & 1)
            sum = add_held(sum, known_or(host->nodes[i].available, 0));
    return sum;
}

/* Somebody waits for memory on each of NODES. */
static bool nodes_are_full(const struct forecast_world *world, uint32_t nodes)
{
    for (uint32_t i = 0; i < NODES_MAX; i++)
        if ((nodes >> i & 1) && world->node_waited[i] == 0)
            return false;
    return nodes != 0;
}

/* BYTES from NODES, noted in ON_NODE, which may be NULL. What nobody is bound for goes elsewhere
 * where a node is full. */
static void nodes_take(
    struct forecast_world *world, uint64_t bytes, uint32_t nodes, uint64_t *on_node)
{
    struct host_snapshot *host = &world->snapshot->host;
    uint32_t all = nodes_of_host(world->snapshot);
    uint64_t sum = nodes_available(host, nodes);
    bool bound = (nodes & all) != all;
    for (uint32_t i = 0; i < host->node_count && i < NODES_MAX; i++) {
        struct node_snapshot *node = &host->nodes[i];
        if (!(nodes >> i & 1) || !known(node->available))
            continue;
        uint64_t part = sum > 0 ? scale_u64(bytes, node->available, sum) : bound ? bytes : 0;
        uint64_t elsewhere = 0;
        store_take(&node->available, bound ? &world->node_waited[i] : &elsewhere, part);
        node->free = known(node->free) ? sub_or_zero(node->free, part) : UNKNOWN;
        if (on_node && known(on_node[i]))
            on_node[i] = add_held(on_node[i], part);
    }
}

static void host_take(struct forecast_world *world, uint64_t bytes)
{
    struct host_snapshot *host = &world->snapshot->host;
    if (!known(host->available))
        return;
    store_take(&host->available, &world->waited, bytes);
    host->free = known(host->free) ? sub_or_zero(host->free, bytes) : UNKNOWN;
}

/* What VM gives back: RSS is what it held before, of which its nodes have their parts. */
static void host_give(
    struct forecast_world *world, struct vm_snapshot *vm, uint64_t rss, uint64_t bytes)
{
    struct host_snapshot *host = &world->snapshot->host;
    uint64_t left = bytes;
    if (known(host->available))
        left = store_give(&host->available, &world->waited, bytes);
    host->free = known(host->free) ? min_u64(add_held(host->free, left), host->total) : UNKNOWN;
    for (uint32_t i = 0; i < host->node_count && i < NODES_MAX && rss > 0; i++) {
        struct node_snapshot *node = &host->nodes[i];
        bool only = vm->nodes_allowed == UINT32_C(1) << i;
        uint64_t there = known_or(vm->node_bytes[i], only ? rss : 0);
        uint64_t part = scale_u64(bytes, min_u64(there, rss), rss);
        left = part;
        if (known(node->available))
            left = store_give(&node->available, &world->node_waited[i], part);
        node->free = known(node->free) ? add_held(node->free, left) : UNKNOWN;
        if (known(vm->node_bytes[i]))
            vm->node_bytes[i] = sub_or_zero(there, part);
    }
}

/* As meminfo shows what is not the kernel's: of a guest that is a shared mapping elsewhere. */
static uint64_t *host_kind(struct forecast_world *world, const struct vm_snapshot *vm)
{
    struct host_snapshot *host = &world->snapshot->host;
    return vm && vm->wiring.shared == TRISTATE_YES ? &host->shmem : &host->anonymous;
}

static void kind_add(uint64_t *bytes, uint64_t more)
{
    *bytes = known(*bytes) ? add_held(*bytes, more) : UNKNOWN;
}

static void kind_less(uint64_t *bytes, uint64_t less)
{
    *bytes = known(*bytes) ? sub_or_zero(*bytes, less) : UNKNOWN;
}

void forecast_world_need(struct forecast_world *world, uint64_t bytes, uint32_t nodes)
{
    host_take(world, bytes);
    nodes_take(world, bytes, nodes, NULL);
    kind_add(&world->snapshot->host.anonymous, bytes);
}

/* ---- a guest ---- */

static struct forecast_guest *guest_of(struct forecast_world *world, const struct vm_snapshot *vm)
{
    return &world->guests[vm->slot];
}

static uint64_t guest_rss(const struct vm_snapshot *vm, const struct forecast_guest *guest)
{
    return sub_or_zero(add_held(vm->rss, guest->grown), guest->given);
}

static bool is_stopped(const struct vm_snapshot *vm, const struct forecast_guest *guest)
{
    uint32_t in_force = vm->measures.in_force;
    return (in_force & (VM_MEASURE_STOPPED | VM_MEASURE_KILLED)) ||
           ((in_force & VM_MEASURE_FROZEN) && guest->freeze_done == NEVER) ||
           vm->run_state == VM_RUN_PAUSED || vm->process_state == VM_PROCESS_STOPPED;
}

static void guest_give(
    struct forecast_world *world, struct vm_snapshot *vm, uint64_t bytes, uint64_t *ret_given)
{
    struct forecast_guest *guest = guest_of(world, vm);
    uint64_t rss = guest_rss(vm, guest), given = min_u64(bytes, rss);
    host_give(world, vm, rss, given);
    kind_less(host_kind(world, vm), given);
    guest->given = add_held(guest->given, given);
    if (ret_given)
        *ret_given = given;
}

static void guest_grow(struct forecast_world *world, struct vm_snapshot *vm, uint64_t elapsed)
{
    struct forecast_guest *guest = guest_of(world, vm);
    int64_t rate = guest->growth;
    if (rate <= 0 || is_stopped(vm, guest) || world->waited > 0)
        return;
    if (vm->measures.in_force & VM_MEASURE_BRAKED)
        rate /= BRAKE_SLOWDOWN;
    uint64_t room = NEVER;
    if (known(vm->maximum)) {
        uint64_t has = min_u64(known_or(vm->balloon.actual, vm->maximum), vm->maximum);
        uint64_t most = memory_with_overhead(add_held(has, known_or(vm->resizable.size, 0)));
        room = sub_or_zero(most, add_held(guest_rss(vm, guest), known_or(vm->hugetlb, 0)));
    }
    uint64_t bytes = min_u64(rate_bytes(rate, elapsed), room);
    uint32_t allowed = vm->nodes_allowed & nodes_of_host(world->snapshot);
    if (nodes_are_full(world, allowed))
        return; /* it waits, too */
    host_take(world, bytes);
    nodes_take(world, bytes, allowed != 0 ? allowed : UINT32_MAX, vm->node_bytes);
    kind_add(host_kind(world, vm), bytes);
    kind_less(&vm->statistics.free, bytes);
    guest->grown = add_held(guest->grown, bytes);
}

static bool balloon_moves(const struct vm_snapshot *vm, const struct forecast_guest *guest)
{
    const struct vm_measures *measures = &vm->measures;
    return (measures->in_force & VM_MEASURE_BALLOON) && known(measures->balloon_target) &&
           known(vm->balloon.actual) && vm->balloon.actual != measures->balloon_target &&
           !guest->stuck && vm_is_inflatable(vm) && !is_stopped(vm, guest) &&
           !(measures->in_force & VM_MEASURE_BRAKED);
}

static void guest_balloon(struct forecast_world *world, struct vm_snapshot *vm, uint64_t elapsed)
{
    struct forecast_guest *guest = guest_of(world, vm);
    if (!balloon_moves(vm, guest))
        return;
    uint64_t most = scale_u64(BALLOON_STEP_MAX, elapsed, NSEC_PER_SEC);
    uint64_t target = vm->measures.balloon_target, actual = vm->balloon.actual;
    if (target > actual) {
        vm->balloon.actual = actual + min_u64(target - actual, most);
        kind_add(&vm->statistics.free, vm->balloon.actual - actual);
        if (vm->balloon.actual >= known_or(vm->measures.balloon_before, NEVER))
            vm->measures.in_force &= ~(uint32_t)VM_MEASURE_BALLOON; /* all is given back */
        return;
    }
    vm->balloon.actual = actual - min_u64(actual - target, most);
    kind_less(&vm->statistics.free, actual - vm->balloon.actual);
    uint64_t resident = sub_or_zero(add_held(vm_resident(vm), guest->grown), guest->given);
    guest_give(world, vm, sub_or_zero(min_u64(resident, actual), vm->balloon.actual), NULL);
}

static bool resize_moves(const struct vm_snapshot *vm, const struct forecast_guest *guest)
{
    return (vm->measures.in_force & VM_MEASURE_RESIZE) && known(vm->resizable.size) &&
           vm->resizable.size != vm->measures.resize.set && !is_stopped(vm, guest);
}

static void guest_resize(struct forecast_world *world, struct vm_snapshot *vm, uint64_t elapsed)
{
    struct forecast_guest *guest = guest_of(world, vm);
    struct vm_resizable *sizes = &vm->resizable;
    if (!resize_moves(vm, guest))
        return;
    uint64_t most = scale_u64(RESIZE_RATE, elapsed, NSEC_PER_SEC), size = sizes->size;
    uint64_t target = vm->measures.resize.set;
    sizes->size =
        target > size ? size + min_u64(target - size, most) : size - min_u64(size - target, most);
    sizes->updated = world->snapshot->time;
    uint64_t ram = min_u64(known_or(vm->balloon.actual, vm->maximum), vm->maximum);
    uint64_t resident = sub_or_zero(add_held(vm_resident(vm), guest->grown), guest->given);
    resident = min_u64(sub_or_zero(resident, ram), size);
    guest_give(world, vm, sub_or_zero(resident, sizes->size), NULL);
}

/* ---- what takes hold ---- */

/* It has ended: its memory is free, huge pages in their own pool. */
static void guest_end(struct forecast_world *world, uint32_t position)
{
    struct snapshot *snapshot = world->snapshot;
    struct vm_snapshot *vm = &snapshot->vms[position];
    struct forecast_guest *guest = guest_of(world, vm);
    if (!guest->blind) {
        /* Page cache was available before. */
        guest_give(world, vm, sub_or_zero(guest_rss(vm, guest), known_or(vm->rss_file, 0)), NULL);
        kind_add(&snapshot->host.swap_free, known_or(vm->swap, 0));
    }
    *guest = (struct forecast_guest){0};
    uint32_t behind = --snapshot->vm_count - position;
    __builtin_memmove(vm, vm + 1, behind * sizeof(*vm));
}

static void guest_reclaimed(struct forecast_world *world, struct vm_snapshot *vm)
{
    struct forecast_guest *guest = guest_of(world, vm);
    uint64_t given = min_u64(guest->piece, known_or(world->snapshot->host.swap_free, 0));
    guest_give(world, vm, given, &given);
    kind_less(&world->snapshot->host.swap_free, given);
    kind_add(&vm->swap, given);
    vm->reclaim.answered = world->snapshot->time;
    vm->reclaim.result = 0;
    guest->reclaim_done = NEVER;
}

/* What was on its way to GUEST is there by NOW; false: it has ended. */
static bool guest_take_hold(struct forecast_world *world, struct vm_snapshot *vm, uint64_t now)
{
    struct forecast_guest *guest = guest_of(world, vm);
    uint32_t *in_force = &vm->measures.in_force;
    if (now >= guest->end_done)
        return false;
    if (now >= guest->freeze_done)
        guest->freeze_done = NEVER;
    /* A `stop` waits for vCPUs, and frozen ones do not come. */
    if (now >= guest->stop_done && !(*in_force & VM_MEASURE_FROZEN)) {
        *in_force &= ~(uint32_t)VM_MEASURE_STOP_SENT;
        *in_force |= VM_MEASURE_STOPPED;
        vm->run_state = VM_RUN_PAUSED;
        guest->stop_done = NEVER;
    }
    if (now >= guest->resume_done) {
        *in_force &= ~(uint32_t)(VM_MEASURE_PAUSE | VM_MEASURE_RESUMING);
        if (vm->run_state == VM_RUN_PAUSED)
            vm->run_state = VM_RUN_RUNNING;
        guest->resume_done = NEVER;
    }
    if (now >= guest->reclaim_done)
        guest_reclaimed(world, vm);
    return true;
}

/* ---- what is seen ---- */

static void guest_show(
    struct vm_snapshot *vm, struct forecast_guest *guest, uint64_t now, enum band band)
{
    uint64_t *kind = vm->wiring.shared == TRISTATE_YES ? &vm->rss_shmem : &vm->rss_anonymous;
    bool speaks = vm->monitor == VM_MONITOR_READY && !is_stopped(vm, guest);
    if (known(vm->statistics.updated) && speaks &&
        now >= add_held(vm->statistics.updated, statistics_interval[band]))
        vm->statistics.updated = now;
    if (now < guest->next_look)
        return;
    guest->next_look = now + forecast_look_interval[band];
    vm->rss = guest_rss(vm, guest);
    kind_add(kind, guest->grown);
    kind_less(kind, guest->given);
    kind_add(&vm->cgroup_current, guest->grown);
    kind_less(&vm->cgroup_current, guest->given);
    guest->grown = guest->given = 0;
    vm->sampled = now;
}

static void host_swaps(struct forecast_world *world, uint64_t elapsed)
{
    struct host_snapshot *host = &world->snapshot->host;
    uint64_t rate = known_or(host->swap_rate, SWAP_RATE_ASSUMED);
    uint64_t written = min_u64(scale_u64(rate, elapsed, NSEC_PER_SEC), world->waited);
    written = min_u64(written, known_or(host->swap_free, 0));
    world->waited -= written;
    kind_less(&host->swap_free, written);
}

void forecast_world_pass(struct forecast_world *world, uint64_t elapsed, enum band band)
{
    struct snapshot *snapshot = world->snapshot;
    uint64_t now = snapshot->time + elapsed;
    snapshot->time = now;
    snapshot->realtime = add_held(snapshot->realtime, elapsed);
    snapshot->sequence++;
    if (world->waited > 0)
        host_swaps(world, elapsed);
    else
        forecast_world_need(world, rate_bytes(world->others, elapsed), UINT32_MAX);
    for (uint32_t i = 0; i < snapshot->vm_count;) {
        struct vm_snapshot *vm = &snapshot->vms[i];
        struct forecast_guest *guest = guest_of(world, vm);
        if (!guest->blind) {
            guest_grow(world, vm, elapsed);
            guest_balloon(world, vm, elapsed);
            guest_resize(world, vm, elapsed);
        }
        if (!guest_take_hold(world, vm, now)) {
            guest_end(world, i);
            continue;
        }
        if (!guest->blind)
            guest_show(vm, guest, now, band);
        i++;
    }
}

static uint64_t guest_event(const struct forecast_guest *guest)
{
    uint64_t event = min_u64(guest->end_done, guest->reclaim_done);
    event = min_u64(event, min_u64(guest->stop_done, guest->freeze_done));
    return min_u64(event, guest->resume_done);
}

uint64_t forecast_world_event(const struct forecast_world *world)
{
    uint64_t event = NEVER;
    for (uint32_t i = 0; i < world->snapshot->vm_count; i++)
        event = min_u64(event, guest_event(&world->guests[world->snapshot->vms[i].slot]));
    return event;
}

bool forecast_world_moves(const struct forecast_world *world)
{
    for (uint32_t i = 0; i < world->snapshot->vm_count; i++) {
        const struct vm_snapshot *vm = &world->snapshot->vms[i];
        const struct forecast_guest *guest = &world->guests[vm->slot];
        if (guest_event(guest) != NEVER || balloon_moves(vm, guest) || resize_moves(vm, guest))
            return true;
    }
    return false;
}
