/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What QEMU's answers mean for a VM's figures. A guest's own statistics are taken as QEMU passes
 * them on; how far they are believed is the policy's affair.
 */
#include "monitor_private.h"

#include <assert.h>
#include <string.h>
#include <time.h>

#include <plimsoll/cleanup.h>

/* A guest that has run this long without one report has no driver that reports. A guest's kernel
 * loads it within seconds of its start; firmware, boot loader and a slow disk come before. */
#define DRIVER_GRACE (90 * NSEC_PER_SEC)
/* Reports are late by so many intervals, and a little, when the driver has left. */
#define DRIVER_STALE_INTERVALS 3
#define DRIVER_STALE_MARGIN (5 * NSEC_PER_SEC)

static const enum vm_run_state run_states[] = {
    [QMP_RUN_DEBUG] = VM_RUN_PAUSED,
    [QMP_RUN_INMIGRATE] = VM_RUN_MIGRATING,
    [QMP_RUN_INTERNAL_ERROR] = VM_RUN_FAILED,
    [QMP_RUN_IO_ERROR] = VM_RUN_FAILED,
    [QMP_RUN_PAUSED] = VM_RUN_PAUSED,
    [QMP_RUN_POSTMIGRATE] = VM_RUN_MIGRATING,
    [QMP_RUN_PRELAUNCH] = VM_RUN_PRELAUNCH,
    [QMP_RUN_FINISH_MIGRATE] = VM_RUN_MIGRATING,
    [QMP_RUN_RESTORE_VM] = VM_RUN_MIGRATING,
    [QMP_RUN_RUNNING] = VM_RUN_RUNNING,
    [QMP_RUN_SAVE_VM] = VM_RUN_MIGRATING,
    [QMP_RUN_SHUTDOWN] = VM_RUN_SHUTDOWN,
    [QMP_RUN_SUSPENDED] = VM_RUN_SUSPENDED,
    [QMP_RUN_WATCHDOG] = VM_RUN_FAILED,
    [QMP_RUN_GUEST_PANICKED] = VM_RUN_FAILED,
    [QMP_RUN_COLO] = VM_RUN_MIGRATING,
    [QMP_RUN_OTHER] = VM_RUN_UNKNOWN,
};
static_assert(ELEMENTSOF(run_states) == QMP_RUN_COUNT, "a run state without its meaning");

static const enum vm_migration migrations[] = {
    [QMP_MIGRATION_NONE] = VM_MIGRATION_NONE,
    [QMP_MIGRATION_ACTIVE] = VM_MIGRATION_OUTGOING,
    [QMP_MIGRATION_POSTCOPY] = VM_MIGRATION_POSTCOPY,
    [QMP_MIGRATION_INCOMING] = VM_MIGRATION_NONE, /* of one that runs: it has come */
    [QMP_MIGRATION_OTHER] = VM_MIGRATION_OUTGOING,
};
static_assert(ELEMENTSOF(migrations) == QMP_MIGRATION_COUNT, "a migration without its meaning");

static uint64_t known_bytes(uint64_t value)
{
    return value == QMP_UNKNOWN ? UNKNOWN : value;
}

/* ---- what replies say ---- */

bool monitor_vm_arrives(const struct monitor *monitor)
{
    enum vm_migration migration = monitor->vm->figures.migration;

    return migration == VM_MIGRATION_INCOMING || migration == VM_MIGRATION_LOADING;
}

/* What has come may be in post-copy now, which query-migrate alone says. */
static void take_arrival(struct monitor *monitor, bool arrives)
{
    struct vm_snapshot *figures = &monitor->vm->figures;
    bool is_unsaid =
        figures->migration == VM_MIGRATION_NONE || figures->migration == VM_MIGRATION_UNKNOWN;

    if (arrives && is_unsaid) {
        figures->migration = VM_MIGRATION_LOADING;
    } else if (!arrives && monitor_vm_arrives(monitor)) {
        figures->migration = VM_MIGRATION_UNKNOWN;
        monitor->due |= QUESTION_BIT(ASK_MIGRATE);
        if (monitor->balloon[0] != '\0')
            monitor->due |= QUESTION_BIT(ASK_INTERVAL);
    }
}

void monitor_take_run_state(struct monitor *monitor, enum qmp_run_state state)
{
    struct vm_snapshot *figures = &monitor->vm->figures;

    figures->run_state = run_states[state];
    take_arrival(monitor, state == QMP_RUN_INMIGRATE);
    if (figures->run_state != VM_RUN_RUNNING)
        monitor->running_since = UNKNOWN;
    else if (!known(monitor->running_since))
        monitor->running_since = monitor->now;
    monitor->owner.pause_moved(monitor->vm, monitor->owner.userdata);
}

static void take_migration(struct monitor *monitor, enum qmp_migration migration)
{
    struct vm_snapshot *figures = &monitor->vm->figures;

    if (!monitor_vm_arrives(monitor) || migration == QMP_MIGRATION_POSTCOPY)
        figures->migration = migrations[migration];
    else /* its run state has said that it arrives; this is about from where */
        figures->migration =
            migration == QMP_MIGRATION_INCOMING ? VM_MIGRATION_INCOMING : VM_MIGRATION_LOADING;
}

void monitor_take_balloon(struct monitor *monitor, uint64_t actual)
{
    struct vm_balloon *balloon = &monitor->vm->figures.balloon;

    if (known(balloon->actual) && actual != QMP_UNKNOWN && actual != balloon->actual &&
        balloon->driver == TRISTATE_UNKNOWN)
        balloon->driver = TRISTATE_YES;
    balloon->actual = known_bytes(actual);
}

static uint64_t report_time(const struct monitor *monitor, uint64_t last_update)
{
    struct timespec wall;
    uint64_t age, wall_ns;

    (void)clock_gettime(CLOCK_REALTIME, &wall);
    wall_ns = (uint64_t)wall.tv_sec * NSEC_PER_SEC + (uint64_t)wall.tv_nsec;
    age = last_update >= UNKNOWN / NSEC_PER_SEC ? 0
                                                : sub_or_zero(wall_ns, last_update * NSEC_PER_SEC);
    return sub_or_zero(monitor->now, age);
}

/* Where QEMU does not tell whether a driver is there (monitor_take_refusal). Reports come only
 * while the guest runs and its driver answers; their absence is judged over the time that it ran.
 */
static void judge_driver(struct monitor *monitor, const struct qmp_statistics *statistics)
{
    struct vm_snapshot *figures = &monitor->vm->figures;
    uint64_t running, interval = monitor->interval * NSEC_PER_SEC;

    if (!monitor->driver_by_reports || !known(monitor->running_since) || monitor->interval == 0)
        return;
    running = sub_or_zero(monitor->now, monitor->running_since);
    if (statistics->last_update == 0 || statistics->last_update == QMP_UNKNOWN) {
        if (running > DRIVER_GRACE && figures->balloon.driver == TRISTATE_UNKNOWN)
            figures->balloon.driver = TRISTATE_NO;
        return;
    }
    if (min_u64(running, sub_or_zero(monitor->now, figures->statistics.updated)) >
        DRIVER_STALE_INTERVALS * interval + DRIVER_STALE_MARGIN)
        figures->balloon.driver = TRISTATE_NO;
    else
        figures->balloon.driver = TRISTATE_YES;
}

static void take_statistics(struct monitor *monitor, const struct qmp_statistics *statistics)
{
    struct vm_statistics *kept = &monitor->vm->figures.statistics;

    if (statistics->last_update != 0 && statistics->last_update != QMP_UNKNOWN) {
        *kept = (struct vm_statistics){
            .updated = report_time(monitor, statistics->last_update),
            .total = known_bytes(statistics->total),
            .free = known_bytes(statistics->free),
            .available = known_bytes(statistics->available),
            .disk_caches = known_bytes(statistics->disk_caches),
            .swapped_in = known_bytes(statistics->swap_in),
            .swapped_out = known_bytes(statistics->swap_out),
            .major_faults = known_bytes(statistics->major_faults),
        };
    }
    judge_driver(monitor, statistics);
}

/* Each container adds to what the one before it showed. */
static void take_devices(struct monitor *monitor, const struct qmp_device_list *devices)
{
    struct vm_snapshot *figures = &monitor->vm->figures;

    if (devices->balloon[0] != '\0')
        memcpy(monitor->balloon, devices->balloon, sizeof monitor->balloon);
    if (monitor->asked != ASK_PERIPHERAL_ANON)
        return;
    if (monitor->balloon[0] != '\0') {
        figures->balloon.device = TRISTATE_YES;
    } else {
        figures->balloon.device = TRISTATE_NO;
        monitor->due &= ~ASK_OF_BALLOON_DEVICE;
    }
}

static void take_memory_devices(struct monitor *monitor, const struct qmp_memory_devices *devices)
{
    struct vm_snapshot *figures = &monitor->vm->figures;
    bool any = devices->virtio_mem_count > 0;

    struct vm_resizable *sizes = &figures->resizable;
    /* One without an id cannot be named to QEMU. */
    bool sole = devices->virtio_mem_count == 1 && devices->virtio_mem_id[0] != '\0';

    sizes->size = any ? known_bytes(devices->virtio_mem_size) : UNKNOWN;
    sizes->requested = any ? known_bytes(devices->virtio_mem_requested) : UNKNOWN;
    sizes->maximum = any ? known_bytes(devices->virtio_mem_maximum) : UNKNOWN;
    sizes->block = sole ? known_bytes(devices->virtio_mem_block) : UNKNOWN;
    sizes->updated = monitor->memory_devices_asked;
    /* The balloon reaches RAM and DIMMs, not virtio-mem (get_current_ram_size(), hw/virtio/
     * virtio-balloon.c, counts pc-dimm only). */
    if (known(monitor->base_memory))
        figures->maximum =
            add_held(monitor->base_memory, known_or(known_bytes(devices->dimm_size), 0));
}

static void take_name(struct monitor *monitor, const char *name)
{
    struct vm_snapshot *figures = &monitor->vm->figures;

    static_assert(QMP_NAME_MAX <= VM_NAME_MAX, "a name that does not fit");
    if (name[0] == '\0' || strncmp(figures->name, name, QMP_NAME_MAX) == 0)
        return;
    memcpy(figures->name, name, QMP_NAME_MAX);
    monitor->owner.renamed(monitor->vm, monitor->owner.userdata);
}

void monitor_take_reply(struct monitor *monitor, const struct qmp_reply *reply)
{
    struct vm_snapshot *figures = &monitor->vm->figures;

    switch (monitor->asked) {
    case ASK_NAME:
        take_name(monitor, reply->name);
        break;
    case ASK_UUID:
        memcpy(figures->identity.uuid, reply->uuid, UUID_SIZE);
        break;
    case ASK_STATUS:
        monitor_take_run_state(monitor, reply->status.run_state);
        break;
    case ASK_MIGRATE:
        take_migration(monitor, reply->migration);
        break;
    case ASK_MEMORY_SIZE:
        monitor->base_memory = known_bytes(reply->memory_size.base);
        figures->maximum = monitor->base_memory;
        break;
    case ASK_MEMORY_DEVICES:
        take_memory_devices(monitor, &reply->memory_devices);
        break;
    case ASK_MEMDEV:
        if (reply->memdev.count > 0)
            figures->wiring.shared = reply->memdev.any_shared ? TRISTATE_YES : TRISTATE_NO;
        break;
    case ASK_SEV:
        if (reply->sev_enabled)
            figures->wiring.encrypted = TRISTATE_YES;
        else if (figures->wiring.encrypted == TRISTATE_UNKNOWN)
            figures->wiring.encrypted = TRISTATE_NO;
        break;
    case ASK_CPUS:
        monitor->owner.vcpus(monitor->vm, &reply->cpus, monitor->owner.userdata);
        break;
    case ASK_PERIPHERAL:
    case ASK_PERIPHERAL_ANON:
        take_devices(monitor, &reply->devices);
        break;
    case ASK_DEFLATE_ON_OOM:
        figures->balloon.deflate_on_oom = reply->boolean ? TRISTATE_YES : TRISTATE_NO;
        break;
    case ASK_FREE_PAGE_REPORTING:
        figures->balloon.free_page_reporting = reply->boolean ? TRISTATE_YES : TRISTATE_NO;
        break;
    case ASK_INTERVAL:
        break;
    case ASK_DRIVER:
        figures->balloon.driver = reply->virtio_driver ? TRISTATE_YES : TRISTATE_NO;
        break;
    case ASK_BALLOON:
        monitor_take_balloon(monitor, reply->balloon_actual);
        break;
    case ASK_STATISTICS:
        take_statistics(monitor, &reply->statistics);
        break;
    case QUESTION_COUNT:
        break;
    }
}

void monitor_take_refusal(struct monitor *monitor)
{
    struct vm_snapshot *figures = &monitor->vm->figures;

    switch (monitor->asked) {
    case ASK_SEV: /* not built for SEV, or not this machine type */
        if (figures->wiring.encrypted == TRISTATE_UNKNOWN)
            figures->wiring.encrypted = TRISTATE_NO;
        break;
    case ASK_BALLOON: /* DeviceNotActive: no balloon device */
        figures->balloon.device = TRISTATE_NO;
        figures->balloon.actual = UNKNOWN;
        break;
    case ASK_DRIVER: /* a QEMU before 7.2: its reports have to tell */
        monitor->driver_by_reports = true;
        break;
    case ASK_INTERVAL:
    case ASK_STATISTICS: /* the device has gone, or its driver never came */
        monitor->interval = 0;
        figures->statistics.updated = UNKNOWN;
        break;
    case ASK_PERIPHERAL:
    case ASK_PERIPHERAL_ANON:
    case ASK_NAME:
    case ASK_UUID:
    case ASK_STATUS:
    case ASK_MIGRATE:
    case ASK_MEMORY_SIZE:
    case ASK_MEMORY_DEVICES:
    case ASK_MEMDEV:
    case ASK_CPUS:
    case ASK_DEFLATE_ON_OOM:
    case ASK_FREE_PAGE_REPORTING:
    case QUESTION_COUNT:
        break;
    }
}
