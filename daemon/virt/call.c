/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns nothing but what a call needs on its way. What may do harm is looked at again right before,
 * by the one who does it: a guest is only suspended if it runs, and only resumed if a person or
 * program has paused it and it is not being migrated, for resumed on the side it has left it would
 * write to disks that are in use elsewhere (virDomainResume itself would do it: qemuDomainResume()
 * starts the processors of whatever is paused).
 *
 * libvirt waits 30 s for a domain's job and then refuses (VIR_ERR_OPERATION_TIMEOUT); a call to a
 * QEMU that does not answer it waits for ever.
 */
#include "call.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "domain_resize.h"
#include "look.h"
#include "text.h"

#include <plimsoll/cleanup.h>

/* As the inventory's: see connection.c. */
#define KEEPALIVE_SECONDS 5
#define KEEPALIVE_COUNT 3
/* Milliseconds; who asks for figures is done in fewer. */
#define JOB_LONG 500

/* ---- what libvirt says of a failure ---- */

static int failure_errno(void)
{
    switch (virGetLastErrorCode()) {
    case VIR_ERR_NO_DOMAIN:
        return -ESRCH;
    case VIR_ERR_NO_SUPPORT:
        return -EOPNOTSUPP;
    case VIR_ERR_OPERATION_TIMEOUT:
        return -EBUSY;
    default: /* more than a hundred others, most of them of other parts of libvirt */
        return -EREMOTEIO;
    }
}

static int refuse(struct virt_result *result, int error, const char *text)
{
    text_finish(result->text, sizeof(result->text),
        snprintf(result->text, sizeof(result->text), "%s", text));
    return error;
}

/* Of libvirt's functions, which return -1 and have a last error. */
static int settle(int returned, struct virt_result *result)
{
    return returned >= 0 ? 0 : refuse(result, failure_errno(), virGetLastErrorMessage());
}

/* ---- the operations ---- */

static unsigned long kib(uint64_t bytes)
{
    return known(bytes) ? (unsigned long)(bytes / KIB) : VIR_DOMAIN_MEMORY_PARAM_UNLIMITED;
}

static int set_memory(virDomainPtr domain, const struct virt_call *call, struct virt_result *result)
{
    if (!known(call->argument) || call->argument < KIB)
        return refuse(result, -EINVAL, "no amount of memory");
    return settle(
        virDomainSetMemoryFlags(domain, kib(call->argument), VIR_DOMAIN_AFFECT_LIVE), result);
}

static int suspend(virDomainPtr domain, const struct virt_call *call, struct virt_result *result)
{
    enum vm_migration migration;
    enum vm_run_state state;

    (void)call;
    /* Another's `stop` that drains I/O is a job, under which the state says that it runs: ours
     * would wait for it, find it paused and call that its own. libvirt says OCCUPIED of such a job,
     * and JOB of those beside which others go on, a backup say. */
    virDomainControlInfo control;
    if (virDomainGetControlInfo(domain, &control, 0) == 0 &&
        control.state == VIR_DOMAIN_CONTROL_OCCUPIED && control.stateTime >= JOB_LONG)
        return refuse(result, -EAGAIN, "libvirt is doing something else with it");
    if (look_state(domain, &state, &migration) < 0)
        return settle(-1, result);
    if (migration == VM_MIGRATION_POSTCOPY)
        return refuse(result, -EPERM, "it is in the middle of a post-copy migration");
    if (state == VM_RUN_PAUSED)
        return -EALREADY;
    return settle(virDomainSuspend(domain), result);
}

static int resume(virDomainPtr domain, const struct virt_call *call, struct virt_result *result)
{
    enum vm_migration migration;
    enum vm_run_state state;

    (void)call;
    if (look_state(domain, &state, &migration) < 0)
        return settle(-1, result);
    if (state == VM_RUN_RUNNING)
        return -EALREADY;
    if (state != VM_RUN_PAUSED)
        return refuse(result, -EPERM, "it is not paused by a person or program");
    if (migration == VM_MIGRATION_NONE)
        migration = look_migration(domain);
    if (migration != VM_MIGRATION_NONE)
        return refuse(result, -EPERM,
            migration == VM_MIGRATION_UNKNOWN ? "libvirt does not say whether it is being migrated"
                                              : "it is being migrated or saved");
    return settle(virDomainResume(domain), result);
}

static int shut_down(virDomainPtr domain, const struct virt_call *call, struct virt_result *result)
{
    (void)call;
    return settle(virDomainShutdownFlags(domain, VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN), result);
}

static int destroy(virDomainPtr domain, const struct virt_call *call, struct virt_result *result)
{
    (void)call;
    return settle(virDomainDestroy(domain), result);
}

/* The file system takes no O_DIRECT, so that the file could not be made (tmpfs before Linux 6.6): a
 * system error whose number libvirt passes on (virReportSystemErrorFull(), src/util/virerror.c). */
static bool is_cache_needed(void)
{
    virErrorPtr error = virGetLastError();

    return error && error->code == VIR_ERR_SYSTEM_ERROR &&
           (error->int1 == EINVAL || error->int1 == EOPNOTSUPP);
}

/* Past the page cache: what is written of a guest because the host is short of memory shall not
 * fill it on its way. It costs nothing, for libvirt passes a save through a helper in any case
 * (libvirt_iohelper; qemuSaveImageCreate(), src/qemu/qemu_saveimage.c), which has its buffers
 * aligned. One that could not begin has left the guest as it was. */
static int save(virDomainPtr domain, const struct virt_call *call, struct virt_result *result)
{
    unsigned flags = call->argument != 0 ? VIR_DOMAIN_SAVE_RUNNING : 0;
    int returned = virDomainManagedSave(domain, flags | VIR_DOMAIN_SAVE_BYPASS_CACHE);

    if (returned < 0 && is_cache_needed())
        returned = virDomainManagedSave(domain, flags);
    return settle(returned, result);
}

static int set_period(virDomainPtr domain, const struct virt_call *call, struct virt_result *result)
{
    if (call->argument > INT_MAX)
        return refuse(result, -EINVAL, "no period");
    return settle(
        virDomainSetMemoryStatsPeriod(domain, (int)call->argument, VIR_DOMAIN_AFFECT_LIVE), result);
}

static int look(virDomainPtr domain, const struct virt_call *call, struct virt_result *result)
{
    (void)call;
    int returned = look_at(domain, &result->look);

    result->looked = returned >= 0;
    return settle(returned, result);
}

static int set_limit(virDomainPtr domain, const char *field, const struct virt_call *call,
    struct virt_result *result)
{
    virTypedParameter parameter = {.type = VIR_TYPED_PARAM_ULLONG, .value.ul = kib(call->argument)};

    (void)snprintf(parameter.field, sizeof(parameter.field), "%s", field);
    return settle(
        virDomainSetMemoryParameters(domain, &parameter, 1, VIR_DOMAIN_AFFECT_LIVE), result);
}

static int set_hard_limit(
    virDomainPtr domain, const struct virt_call *call, struct virt_result *result)
{
    return set_limit(domain, VIR_DOMAIN_MEMORY_HARD_LIMIT, call, result);
}

static int set_soft_limit(
    virDomainPtr domain, const struct virt_call *call, struct virt_result *result)
{
    return set_limit(domain, VIR_DOMAIN_MEMORY_SOFT_LIMIT, call, result);
}

/* libvirt's word for none: VIR_CGROUP_CPU_QUOTA_MAX, src/util/vircgroup.h, of which each version of
 * its v2 backend makes "max". */
#define QUOTA_NONE 18446744073709551LL

static int set_quota(virDomainPtr domain, const struct virt_call *call, struct virt_result *result)
{
    virTypedParameter parameter = {.type = VIR_TYPED_PARAM_LLONG, .value.l = QUOTA_NONE};

    if (known(call->argument))
        parameter.value.l = (long long)(call->argument / NSEC_PER_USEC);
    (void)snprintf(
        parameter.field, sizeof(parameter.field), "%s", VIR_DOMAIN_SCHEDULER_GLOBAL_QUOTA);
    return settle(
        virDomainSetSchedulerParametersFlags(domain, &parameter, 1, VIR_DOMAIN_AFFECT_LIVE),
        result);
}

static int resize(virDomainPtr domain, const struct virt_call *call, struct virt_result *result)
{
    char *device = NULL;
    char *xml = virDomainGetXMLDesc(domain, 0);

    if (!xml)
        return settle(-1, result);
    int edited = domain_resize_xml(xml, call->expected, call->argument, &device);
    free(xml);
    if (edited == -ENODEV)
        return refuse(result, edited, "it has no virtio-mem device, or more than one");
    if (edited == -ESTALE)
        return refuse(result, edited, "somebody else has requested another size");
    if (edited < 0)
        return refuse(result, edited, "its virtio-mem device cannot be told from its XML");
    int returned = virDomainUpdateDeviceFlags(domain, device, VIR_DOMAIN_AFFECT_LIVE);
    free(device);
    return settle(returned, result);
}

static int (*const operations[])(
    virDomainPtr domain, const struct virt_call *call, struct virt_result *result) = {
    [VIRT_OPERATION_SET_MEMORY] = set_memory,
    [VIRT_OPERATION_SUSPEND] = suspend,
    [VIRT_OPERATION_RESUME] = resume,
    [VIRT_OPERATION_SHUTDOWN] = shut_down,
    [VIRT_OPERATION_DESTROY] = destroy,
    [VIRT_OPERATION_MANAGED_SAVE] = save,
    [VIRT_OPERATION_STATS_PERIOD] = set_period,
    [VIRT_OPERATION_MEMORY_STATS] = look,
    [VIRT_OPERATION_SET_HARD_LIMIT] = set_hard_limit,
    [VIRT_OPERATION_SET_SOFT_LIMIT] = set_soft_limit,
    [VIRT_OPERATION_SET_QUOTA] = set_quota,
    [VIRT_OPERATION_RESIZE] = resize,
};
_Static_assert(ELEMENTSOF(operations) == VIRT_OPERATION_COUNT, "an operation that nobody does");

/* ---- the connection ---- */

static bool is_lost(const struct call_connection *connection)
{
    return connection->handle && virConnectIsAlive(connection->handle) != 1;
}

void call_close(struct call_connection *connection)
{
    if (connection->handle)
        (void)virConnectClose(connection->handle);
    connection->handle = NULL;
}

void call_prepare(struct call_connection *connection)
{
    if (is_lost(connection))
        call_close(connection);
    if (connection->handle)
        return;
    connection->handle = virConnectOpen(connection->uri);
    if (connection->handle)
        (void)virConnectSetKeepAlive(connection->handle, KEEPALIVE_SECONDS, KEEPALIVE_COUNT);
}

void call_run(struct call_connection *connection, const struct virt_call *call,
    struct virt_result *ret_result)
{
    struct virt_result result = {.number = call->number};

    virResetLastError();
    call_prepare(connection);
    if (call->operation >= ELEMENTSOF(operations)) {
        result.result = refuse(&result, -EOPNOTSUPP, "plimsoll-virt does not know this call");
    } else if (!connection->handle) {
        result.result = refuse(&result, -ENOTCONN, virGetLastErrorMessage());
    } else {
        virDomainPtr domain = virDomainLookupByUUID(connection->handle, call->uuid);
        if (!domain) {
            result.result = settle(-1, &result);
            if (result.result == -EREMOTEIO && is_lost(connection))
                result.result = -ENOTCONN;
        } else if (call->id != VIRT_ID_ANY && virDomainGetID(domain) != (unsigned)call->id) {
            result.result = refuse(&result, -ESRCH, "it has ended, and its domain runs anew");
        } else {
            result.result = operations[call->operation](domain, call, &result);
            if (result.result == -EREMOTEIO && is_lost(connection))
                result.result = -ECONNRESET;
        }
        if (domain)
            (void)virDomainFree(domain);
    }
    *ret_result = result;
}
