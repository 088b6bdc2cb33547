/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The inventory owns VMs by slot, the monitors, the scan and the watch on the QMP directory.
 *
 * Finding: a scan of /proc runs in small steps, so that no tick waits for it; a round begins when
 * its time has come, and when calm only if the kernel has made a process since (loadavg's last
 * pid). The QMP directory is read at each round and whenever inotify says that something came. A
 * socket's owner is the process that listens (SO_PEERCRED), never its file name: that process, if
 * it is a guest, is known from then on, wherever the scan stands.
 *
 * Losing: a pidfd tells when a process has ended. The VM is only marked then, and freed when no
 * handler runs, so that nobody holds a pointer to it.
 */
#include "inventory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "inventory_private.h"

#include <plimsoll/cleanup.h>

/* Processes looked at in one step: about 10 µs each, so that a step stays below a millisecond. */
#define SCAN_STEP 64
/* Pause between two steps of a round. */
#define SCAN_STEP_INTERVAL (20 * NSEC_PER_MSEC)
/* Between rounds. From tight on, new guests and a culprit's growth are wanted soon; a round over
 * 4,000 processes takes about a second by the steps above. */
#define SCAN_INTERVAL_CALM (10 * NSEC_PER_SEC)
#define SCAN_INTERVAL_TIGHT (2 * NSEC_PER_SEC)
#define OFFER_INTERVAL (5 * NSEC_PER_SEC)
/* When calm and no process was made since, a round is still due for devices that came and went. */
#define SCAN_INTERVAL_IDLE (60 * NSEC_PER_SEC)

static int find_free_slot(const struct inventory *inventory)
{
    for (uint32_t slot = 0; slot < inventory->capacity; slot++) {
        if (!inventory->vms[slot] && !ledger_get(inventory->ledger, slot))
            return (int)slot;
    }
    return -ENOSPC;
}

static struct vm *find_pid(const struct inventory *inventory, pid_t pid)
{
    for (uint32_t slot = 0; slot < inventory->capacity; slot++) {
        struct vm *vm = inventory->vms[slot];

        if (vm && !vm->gone && vm->figures.identity.pid == pid)
            return vm;
    }
    return NULL;
}

static void on_ended(struct loop_source *source, uint32_t events)
{
    struct vm *vm = container_of(source, struct vm, exit);
    struct inventory *inventory = vm->inventory;

    (void)events;
    loop_remove(inventory->loop, source);
    vm->gone = true;
    inventory->any_gone = true;
    inventory->owner.ended(vm, inventory->owner.userdata);
}

static int vm_place(struct inventory *inventory, uint32_t slot, const struct vm_identity *identity,
    struct vm **ret_vm)
{
    struct vm *vm = NULL;
    int result =
        vm_new(slot, identity, inventory->roots, inventory->mounts, inventory->ledger, &vm);

    if (result < 0)
        return result;
    vm->inventory = inventory;
    result = loop_add(inventory->loop, &vm->exit, vm->pidfd, EPOLLIN, on_ended);
    if (result < 0) {
        vm_free(vm);
        return result;
    }
    vm->figures.first_seen = loop_now();
    vm->figures.sources = VM_SOURCE_PROC;
    inventory->vms[slot] = vm;
    *ret_vm = vm;
    return 0;
}

static void vm_remove(struct inventory *inventory, struct vm *vm)
{
    loop_remove(inventory->loop, &vm->exit);
    if (vm->monitor)
        monitor_attach(vm->monitor, NULL);
    ledger_clear(inventory->ledger, vm->slot);
    inventory->vms[vm->slot] = NULL;
    vm_free(vm);
}

/* As long as nobody has looked at it, and it is not old, how it was started tells that it may not
 * run yet: libvirt says nothing of one that it restores before that is done. */
static void take_incoming(struct vm_snapshot *figures, bool incoming)
{
    if (figures->monitor == VM_MONITOR_READY)
        return;
    if (incoming && figures->migration == VM_MIGRATION_UNKNOWN)
        figures->migration = VM_MIGRATION_LOADING;
    else if (!incoming && figures->migration == VM_MIGRATION_LOADING)
        figures->migration = VM_MIGRATION_UNKNOWN;
}

static void take_found(struct vm *vm, const struct scan_found *found)
{
    struct vm_snapshot *figures = &vm->figures;
    struct inventory *inventory = vm->inventory;
    enum tristate encrypted = figures->wiring.encrypted, shared = figures->wiring.shared;

    take_incoming(figures, found->incoming);
    figures->wiring = found->wiring;
    if (figures->monitor != VM_MONITOR_NONE) {
        /* QEMU's own word on these two stands above its command line. */
        if (encrypted != TRISTATE_UNKNOWN)
            figures->wiring.encrypted = encrypted;
        if (shared != TRISTATE_UNKNOWN)
            figures->wiring.shared = shared;
        return;
    }
    memcpy(figures->identity.uuid, found->identity.uuid, UUID_SIZE);
    figures->maximum = found->maximum;
    if (strcmp(figures->name, found->name) != 0) {
        memcpy(figures->name, found->name, sizeof figures->name);
        inventory->owner.renamed(vm, inventory->owner.userdata);
    }
}

/* The place of an entry that could not be taken over when we began; -ENOENT: the ledger does not
 * know this process. */
static int find_entry(const struct inventory *inventory, const struct vm_identity *identity)
{
    for (uint32_t slot = 0; slot < inventory->capacity; slot++) {
        const struct ledger_entry *entry = ledger_get(inventory->ledger, slot);

        if (entry && !inventory->vms[slot] && vm_identity_equal(&entry->identity, identity))
            return (int)slot;
    }
    return -ENOENT;
}

static void on_found(const struct scan_found *found, void *userdata)
{
    struct inventory *inventory = userdata;
    struct vm *vm = find_pid(inventory, found->identity.pid);
    int slot, known_slot, result;

    if (vm && vm->figures.identity.start_time == found->identity.start_time) {
        take_found(vm, found);
        inventory_find_vcpus(inventory, vm);
        return;
    }
    known_slot = find_entry(inventory, &found->identity);
    slot = known_slot >= 0 ? known_slot : find_free_slot(inventory);
    if (slot < 0) {
        log_limited(&inventory->full_said, loop_now(), LOG_ERR,
            "%s (pid %d) is not guarded: all %u places are taken; set max-vms= higher and "
            "restart plimsolld",
            found->name, (int)found->identity.pid, inventory->capacity);
        return;
    }
    result = vm_place(inventory, (uint32_t)slot, &found->identity, &vm);
    if (result < 0) {
        if (result != -ESRCH)
            log_limited(&inventory->watch_said, loop_now(), LOG_ERR,
                "%s (pid %d) cannot be watched: %s", found->name, (int)found->identity.pid,
                strerror(-result));
        return;
    }
    if (known_slot >= 0)
        vm_adopt(vm, ledger_get(inventory->ledger, (uint32_t)slot));
    take_found(vm, found);
    inventory_find_vcpus(inventory, vm);
    inventory->owner.appeared(vm, inventory->owner.userdata);
}

uint32_t inventory_adopt(struct inventory *inventory)
{
    uint32_t adopted = 0;

    for (uint32_t old = 0; old < ledger_capacity(inventory->ledger); old++) {
        const struct ledger_entry *kept = ledger_get(inventory->ledger, old);
        struct ledger_entry entry;
        struct vm *vm;
        int slot = (int)old, result;

        if (!kept)
            continue;
        entry = *kept;
        if (old >= inventory->capacity) {
            slot = find_free_slot(inventory);
            if (slot < 0) {
                log_message(LOG_ERR,
                    "%s has measures of ours in force, but there is no place left for it: set "
                    "max-vms= higher, or use `plimsoll undo --offline` with the guard stopped",
                    entry.name);
                continue;
            }
        }
        result = vm_place(inventory, (uint32_t)slot, &entry.identity, &vm);
        if (result == 0) {
            vm_adopt(vm, &entry);
            inventory->owner.appeared(vm, inventory->owner.userdata);
            adopted++;
        } else if (result != -ESRCH) {
            log_message(LOG_ERR, "%s has measures of ours in force, but cannot be watched: %s",
                entry.name, strerror(-result));
            continue; /* the ledger keeps what we cannot look after */
        }
        if (result < 0 || old != (uint32_t)slot)
            ledger_clear(inventory->ledger, old);
    }
    return adopted;
}

/* ---- monitors ---- */

static void on_connected(struct monitor *monitor, pid_t pid, void *userdata)
{
    struct inventory *inventory = userdata;
    struct vm *vm = find_pid(inventory, pid);
    struct scan_found found;

    if (!vm && pid > 0 && scan_process(inventory->scan, pid, &found) == 0) {
        on_found(&found, inventory);
        vm = find_pid(inventory, pid);
    }
    /* The same path may be served by another guest than before. */
    if (monitor_vm(monitor) != vm)
        monitor_attach(monitor, NULL);
    if (!vm) {
        log_limited(&inventory->stranger_said, loop_now(), LOG_WARNING,
            "%s is served by process %d, which is no guest of this host; left alone",
            monitor_path(monitor), (int)pid);
        return;
    }
    if (vm->monitor && vm->monitor != monitor) {
        log_limited(&inventory->second_said, loop_now(), LOG_NOTICE,
            "%s: %s is a second QMP socket of the same guest; %s is used", vm->figures.name,
            monitor_path(monitor), monitor_path(vm->monitor));
        return;
    }
    vm->figures.sources |= VM_SOURCE_QMP;
    if (!vm->virt.acting) { /* what an earlier connection was asked is answered no more */
        vm->stop_pending = false;
        vm->resume_pending = false;
    }
    monitor_attach(monitor, vm);
}

static void on_vcpus(struct vm *vm, const struct qmp_cpus *cpus, void *userdata)
{
    inventory_take_vcpus(userdata, vm, cpus->threads, cpus->count);
}

static bool on_may_touch(void *userdata)
{
    struct inventory *inventory = userdata;

    return inventory->owner.may_touch(inventory->owner.userdata);
}

static void on_renamed(struct vm *vm, void *userdata)
{
    struct inventory *inventory = userdata;

    inventory->owner.renamed(vm, inventory->owner.userdata);
}

static void on_pause_moved(struct vm *vm, void *userdata)
{
    struct inventory *inventory = userdata;

    inventory->owner.pause_moved(vm, inventory->owner.userdata);
}

/* A connection that belonged to nobody when it came up may belong to a guest known since, or stand
 * in for one that is lost. */
static void offer_unattached(struct inventory *inventory, uint64_t now)
{
    if (now < inventory->next_offer)
        return;
    inventory->next_offer = now + OFFER_INTERVAL;
    for (unsigned i = 0; i < inventory->monitor_count; i++) {
        struct monitor *monitor = inventory->monitors[i];
        struct qmp_session *session = monitor_session(monitor);

        if (!monitor_vm(monitor) && qmp_session_state(session) == QMP_STATE_READY)
            on_connected(monitor, qmp_session_peer(session), inventory);
    }
}

/* ---- rounds ---- */

static void round_begin(struct inventory *inventory, enum band band, uint64_t now)
{
    uint64_t newest = inventory_newest_pid(inventory);
    bool idle = band == BAND_CALM && known(newest) && newest == inventory->newest_pid &&
                now - inventory->last_round < SCAN_INTERVAL_IDLE;

    inventory->next_round = now + (band == BAND_CALM ? SCAN_INTERVAL_CALM : SCAN_INTERVAL_TIGHT);
    if (idle)
        return;
    inventory->newest_pid = newest;
    inventory->last_round = now;
    inventory->scanning = true;
    inventory->sockets_due = true;
}

static void scan_advance(struct inventory *inventory, uint64_t now)
{
    int result = scan_step(inventory->scan, SCAN_STEP, now, on_found, inventory);

    inventory->next_step = now + SCAN_STEP_INTERVAL;
    if (result == 0)
        return;
    inventory->scanning = false;
    if (result < 0)
        log_limited(&inventory->scan_said, now, LOG_ERR,
            "looking for guests in %s failed: %s; trying again at the next round",
            inventory->roots->proc, strerror(-result));
}

static void remove_ended(struct inventory *inventory)
{
    if (!inventory->any_gone)
        return;
    inventory->any_gone = false;
    for (uint32_t slot = 0; slot < inventory->capacity; slot++) {
        struct vm *vm = inventory->vms[slot];

        if (vm && vm->gone)
            vm_remove(inventory, vm);
    }
}

void inventory_advance(struct inventory *inventory, enum band band, uint64_t now)
{
    remove_ended(inventory);
    if (inventory->band == BAND_CALM && band > BAND_CALM)
        inventory->next_round = min_u64(inventory->next_round, now + SCAN_INTERVAL_TIGHT);
    if (!inventory->scanning && now >= inventory->next_round)
        round_begin(inventory, band, now);
    if (inventory->sockets_due)
        inventory_find_sockets(inventory);
    if (inventory->scanning && now >= inventory->next_step)
        scan_advance(inventory, now);
    offer_unattached(inventory, now);
    inventory->monitors_deadline = NEVER;
    for (unsigned i = 0; i < inventory->monitor_count; i++) {
        struct monitor *monitor = inventory->monitors[i];

        if (band != inventory->band || monitor_deadline(monitor) <= now)
            monitor_advance(monitor, band, now);
        inventory->monitors_deadline =
            min_u64(inventory->monitors_deadline, monitor_deadline(monitor));
    }
    inventory->band = band;
}

uint64_t inventory_deadline(const struct inventory *inventory)
{
    uint64_t deadline = inventory->monitors_deadline;

    if (inventory->any_gone || inventory->sockets_due)
        return 0;
    return min_u64(deadline, inventory->scanning ? inventory->next_step : inventory->next_round);
}

void inventory_scan_all(struct inventory *inventory)
{
    uint64_t now = loop_now();
    int result;

    do
        result = scan_step(inventory->scan, SCAN_STEP, now, on_found, inventory);
    while (result == 0);
    if (result < 0)
        log_message(LOG_ERR, "looking for guests in %s failed: %s", inventory->roots->proc,
            strerror(-result));
    inventory->newest_pid = inventory_newest_pid(inventory);
    inventory->last_round = now;
    inventory->next_round = now + SCAN_INTERVAL_TIGHT;
    inventory_find_sockets(inventory);
}

/* ---- life ---- */

int inventory_new(struct loop *loop, const struct roots *roots, struct ledger *ledger,
    uint32_t capacity, const char *qmp_directory, const struct inventory_owner *owner,
    struct inventory **ret_inventory)
{
    struct inventory *inventory = calloc(1, sizeof *inventory);
    int result = -ENOMEM;

    if (!inventory)
        return -ENOMEM;
    inventory->loop = loop;
    inventory->roots = roots;
    inventory->ledger = ledger;
    inventory->capacity = capacity;
    inventory->owner = *owner;
    inventory->monitors_deadline = NEVER;
    inventory->newest_pid = UNKNOWN;
    inventory->notify = LOOP_SOURCE_NONE;
    inventory->notify_watch = -1;
    inventory->loadavg_fd = -1;
    inventory->monitor_owner = (struct monitor_owner){.loop = loop,
        .may_touch = on_may_touch,
        .connected = on_connected,
        .vcpus = on_vcpus,
        .renamed = on_renamed,
        .pause_moved = on_pause_moved,
        .userdata = inventory};
    inventory->vms = calloc(capacity, sizeof(struct vm *));
    inventory->monitors = calloc(capacity, sizeof(struct monitor *));
    if (!inventory->vms || !inventory->monitors)
        goto fail;
    result = cgroup_mounts_new(roots, &inventory->mounts);
    if (result < 0)
        goto fail;
    result = scan_new(roots, &inventory->scan);
    if (result < 0)
        goto fail;
    result = inventory_open_watches(inventory);
    if (result < 0)
        goto fail;
    result = inventory_set_qmp_directory(inventory, qmp_directory);
    if (result < 0)
        goto fail;
    *ret_inventory = inventory;
    return 0;
fail:
    inventory_free(inventory);
    return result;
}

struct inventory *inventory_free(struct inventory *inventory)
{
    if (!inventory)
        return NULL;
    for (unsigned i = 0; i < inventory->monitor_count; i++)
        monitor_free(inventory->monitors[i]);
    for (uint32_t slot = 0; inventory->vms && slot < inventory->capacity; slot++) {
        if (inventory->vms[slot])
            loop_remove(inventory->loop, &inventory->vms[slot]->exit);
        vm_free(inventory->vms[slot]);
    }
    inventory_close_watches(inventory);
    scan_free(inventory->scan);
    cgroup_mounts_free(inventory->mounts);
    free(inventory->qmp_directory);
    free(inventory->monitors);
    free(inventory->vms);
    free(inventory);
    return NULL;
}

uint32_t inventory_capacity(const struct inventory *inventory)
{
    return inventory->capacity;
}

struct vm *inventory_vm(const struct inventory *inventory, uint32_t slot)
{
    return inventory->vms[slot];
}

void inventory_largest_process(
    const struct inventory *inventory, struct process_snapshot *ret_process)
{
    scan_largest_process(inventory->scan, ret_process);
}
