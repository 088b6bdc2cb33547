/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns nothing. libvirt folds much into "paused" that is no pause: the end of a migration, a failed
 * disk, a save; its reasons tell them apart. A pause by a QMP monitor of somebody's own has none.
 */
#include "look.h"

#include <libvirt/virterror.h>
#include <string.h>

#include <plimsoll/cleanup.h>

/* In KiB; what libvirt does not have is UNKNOWN. */
static uint64_t bytes_of(unsigned long long kib)
{
    return kib < UNKNOWN / KIB ? kib * KIB : UNKNOWN;
}

static enum vm_run_state paused_fold(int reason)
{
    switch (reason) {
    case VIR_DOMAIN_PAUSED_UNKNOWN:
    case VIR_DOMAIN_PAUSED_USER:
        return VM_RUN_PAUSED;
    case VIR_DOMAIN_PAUSED_IOERROR:
    case VIR_DOMAIN_PAUSED_WATCHDOG:
    case VIR_DOMAIN_PAUSED_CRASHED:
        return VM_RUN_FAILED;
    case VIR_DOMAIN_PAUSED_SHUTTING_DOWN:
        return VM_RUN_SHUTDOWN;
    case VIR_DOMAIN_PAUSED_STARTING_UP:
        return VM_RUN_PRELAUNCH;
    default: /* migrated, saved, dumped, a snapshot; and what later versions add */
        return VM_RUN_MIGRATING;
    }
}

static enum vm_run_state state_fold(int state, int reason)
{
    switch ((virDomainState)state) {
    case VIR_DOMAIN_RUNNING:
    case VIR_DOMAIN_BLOCKED:
        return VM_RUN_RUNNING;
    case VIR_DOMAIN_PAUSED:
        return paused_fold(reason);
    case VIR_DOMAIN_SHUTDOWN:
    case VIR_DOMAIN_SHUTOFF:
        return VM_RUN_SHUTDOWN;
    case VIR_DOMAIN_CRASHED:
        return VM_RUN_FAILED;
    case VIR_DOMAIN_PMSUSPENDED:
        return VM_RUN_SUSPENDED;
    case VIR_DOMAIN_NOSTATE:
        break;
    }
    return VM_RUN_UNKNOWN;
}

static bool is_postcopy(int state, int reason)
{
#if LIBVIR_CHECK_VERSION(8, 5, 0)
    if ((state == VIR_DOMAIN_RUNNING && reason == VIR_DOMAIN_RUNNING_POSTCOPY_FAILED) ||
        (state == VIR_DOMAIN_PAUSED && reason == VIR_DOMAIN_PAUSED_POSTCOPY_FAILED))
        return true;
#endif
    return (state == VIR_DOMAIN_RUNNING && reason == VIR_DOMAIN_RUNNING_POSTCOPY) ||
           (state == VIR_DOMAIN_PAUSED && reason == VIR_DOMAIN_PAUSED_POSTCOPY);
}

int look_state(virDomainPtr domain, enum vm_run_state *ret_state, enum vm_migration *ret_migration)
{
    int state = VIR_DOMAIN_NOSTATE, reason = 0;

    if (virDomainGetState(domain, &state, &reason, 0) < 0)
        return -1;
    *ret_state = state_fold(state, reason);
    *ret_migration = is_postcopy(state, reason) ? VM_MIGRATION_POSTCOPY : VM_MIGRATION_NONE;
    return 0;
}

static enum vm_migration operation_fold(virTypedParameterPtr parameters, int count)
{
    int operation = VIR_DOMAIN_JOB_OPERATION_UNKNOWN;

    (void)virTypedParamsGetInt(parameters, count, VIR_DOMAIN_JOB_OPERATION, &operation);
    switch (operation) {
    case VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN:
        return VM_MIGRATION_INCOMING;
    case VIR_DOMAIN_JOB_OPERATION_BACKUP: /* may run for hours beside a guest that goes on */
        return VM_MIGRATION_NONE;
    default:
        return VM_MIGRATION_OUTGOING;
    }
}

enum vm_migration look_migration(virDomainPtr domain)
{
    virTypedParameterPtr parameters = NULL;
    int count = 0, type = VIR_DOMAIN_JOB_NONE;

    if (virDomainGetJobStats(domain, &type, &parameters, &count, 0) < 0) {
        switch (virGetLastErrorCode()) {
        case VIR_ERR_OPERATION_UNSUPPORTED: /* only the source has figures */
            return VM_MIGRATION_INCOMING;
        case VIR_ERR_NO_SUPPORT: /* a driver that cannot migrate */
            return VM_MIGRATION_NONE;
        default:
            return VM_MIGRATION_UNKNOWN;
        }
    }
    enum vm_migration migration =
        type == VIR_DOMAIN_JOB_NONE ? VM_MIGRATION_NONE : operation_fold(parameters, count);
    virTypedParamsFree(parameters, count);
    return migration;
}

static uint64_t *field_of(struct virt_look *look, int tag)
{
    switch (tag) {
    case VIR_DOMAIN_MEMORY_STAT_ACTUAL_BALLOON:
        return &look->actual;
    case VIR_DOMAIN_MEMORY_STAT_AVAILABLE: /* its words: all that the guest sees */
        return &look->total;
    case VIR_DOMAIN_MEMORY_STAT_UNUSED:
        return &look->free;
    case VIR_DOMAIN_MEMORY_STAT_USABLE: /* MemAvailable */
        return &look->available;
    case VIR_DOMAIN_MEMORY_STAT_DISK_CACHES:
        return &look->disk_caches;
    case VIR_DOMAIN_MEMORY_STAT_SWAP_IN:
        return &look->swapped_in;
    case VIR_DOMAIN_MEMORY_STAT_SWAP_OUT:
        return &look->swapped_out;
    default: /* RSS, which the guard reads itself, and what nobody asks for */
        return NULL;
    }
}

static int statistics_ask(virDomainPtr domain, struct virt_look *look)
{
    virDomainMemoryStatStruct statistics[VIR_DOMAIN_MEMORY_STAT_NR];
    int count = virDomainMemoryStats(domain, statistics, ELEMENTSOF(statistics), 0);

    for (int i = 0; i < count; i++) {
        uint64_t *field = field_of(look, statistics[i].tag);

        if (field)
            *field = bytes_of(statistics[i].val);
        else if (statistics[i].tag == VIR_DOMAIN_MEMORY_STAT_MAJOR_FAULT)
            look->major_faults = statistics[i].val;
        else if (statistics[i].tag == VIR_DOMAIN_MEMORY_STAT_LAST_UPDATE)
            look->reported = statistics[i].val;
    }
    return count < 0 ? -1 : 0;
}

int look_at(virDomainPtr domain, struct virt_look *ret_look)
{
    struct virt_look look = {.actual = UNKNOWN,
        .total = UNKNOWN,
        .free = UNKNOWN,
        .available = UNKNOWN,
        .disk_caches = UNKNOWN,
        .swapped_in = UNKNOWN,
        .swapped_out = UNKNOWN,
        .major_faults = UNKNOWN};

    if (look_state(domain, &look.run_state, &look.migration) < 0)
        return -1;
    /* The job by which libvirt starts, restores or takes in a domain lets no other begin beside it
     * (qemuProcessBeginJob(), qemuMigrationJobStart(): VIR_JOB_NONE): what needs one would wait for
     * its end, for 30 s. Its state needs none, and that it is an incoming side is said without. */
    enum vm_migration migration = VM_MIGRATION_NONE;
    if (look.run_state != VM_RUN_PRELAUNCH)
        migration = look_migration(domain);
    bool may_ask = look.run_state != VM_RUN_PRELAUNCH && migration != VM_MIGRATION_INCOMING;
    if (may_ask && statistics_ask(domain, &look) < 0)
        return -1;
    /* Again, so that it is as fresh as the rest. */
    if (look_state(domain, &look.run_state, &look.migration) < 0)
        return -1;
    /* One that runs has come, whatever the job that brought it still has to do. */
    bool has_come = migration == VM_MIGRATION_INCOMING && look.run_state == VM_RUN_RUNNING;
    if (look.migration == VM_MIGRATION_NONE && !has_come)
        look.migration = migration;
    *ret_look = look;
    return 0;
}
