/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Each operation, on libvirt's own test driver. It has neither jobs nor a balloon whose driver
 * lags: what QEMU's does there is for the lab.
 */
#include "call.h"
#include "suite.h"

#include <dlfcn.h>
#include <errno.h>
#include <libvirt/virterror.h>
#include <string.h>

#include <plimsoll/cleanup.h>

static struct scene {
    struct call_connection connection;
    virConnectPtr operator;
    virDomainPtr domain;
    uint8_t uuid[UUID_SIZE];
    int refusal; /* errno of a file system that takes no O_DIRECT; 0: it does */
    unsigned saves, flags;
    virError error;
} scene;

/* In the place of libvirt's own, whose test driver writes its files in its own way. */
int virDomainManagedSave(virDomainPtr domain, unsigned flags)
{
    int (*save)(virDomainPtr, unsigned) = NULL;

    scene.saves++;
    scene.flags = flags;
    if ((flags & VIR_DOMAIN_SAVE_BYPASS_CACHE) && scene.refusal != 0) {
        scene.error = (virError){.code = VIR_ERR_SYSTEM_ERROR, .int1 = scene.refusal};
        return -1;
    }
    void *symbol = dlsym(RTLD_NEXT, "virDomainManagedSave");

    ck_assert(symbol != NULL);
    memcpy(&save, &symbol, sizeof(save));
    return save(domain, flags);
}

virErrorPtr virGetLastError(void)
{
    virErrorPtr (*last)(void) = NULL;
    void *symbol = dlsym(RTLD_NEXT, "virGetLastError");

    ck_assert(symbol != NULL);
    memcpy(&last, &symbol, sizeof(last));
    return scene.error.code != 0 ? &scene.error : last();
}

static void on_libvirt_error(void *userdata, virErrorPtr error)
{
    (void)userdata;
    (void)error;
}

static void setup(void)
{
    virSetErrorFunc(NULL, on_libvirt_error);
    ck_assert_int_eq(virInitialize(), 0);
    scene.refusal = 0;
    scene.saves = scene.flags = 0;
    scene.error = (virError){0};
    scene.connection = (struct call_connection){.uri = "test:///default"};
    scene.operator= virConnectOpen(scene.connection.uri);
    ck_assert_ptr_nonnull(scene.operator);
    scene.domain = virDomainLookupByName(scene.operator, "test");
    ck_assert_ptr_nonnull(scene.domain);
    ck_assert_int_eq(virDomainGetUUID(scene.domain, scene.uuid), 0);
}

static void teardown(void)
{
    call_close(&scene.connection);
    (void)virDomainFree(scene.domain);
    (void)virConnectClose(scene.operator);
}

static struct virt_result run(unsigned operation, uint64_t argument)
{
    struct virt_call call = {
        .number = 7, .operation = (uint8_t)operation, .argument = argument, .deadline = NEVER};
    struct virt_record record = {.kind = VIRT_RECORD_RESULT};
    uint8_t datagram[VIRT_DATAGRAM_MAX];

    memcpy(call.uuid, scene.uuid, UUID_SIZE);
    memset(&record.result, 0x5a, sizeof(record.result));
    call_run(&scene.connection, &call, &record.result);
    ck_assert_uint_eq(record.result.number, 7);
    ck_assert_msg(
        virt_encode(&record, datagram) > 0, "a result that cannot be told: %s", record.result.text);
    return record.result;
}

static void expect(unsigned operation, uint64_t argument, int result)
{
    struct virt_result got = run(operation, argument);

    ck_assert_msg(got.result == result, "operation %u: %d, %s", operation, got.result, got.text);
}

static int state_now(void)
{
    int state = -1;

    ck_assert_int_eq(virDomainGetState(scene.domain, &state, NULL, 0), 0);
    return state;
}

static uint64_t memory_now(void)
{
    virDomainInfo info;

    ck_assert_int_eq(virDomainGetInfo(scene.domain, &info), 0);
    return info.memory * KIB;
}

START_TEST(memory_is_set)
{
    expect(VIRT_OPERATION_SET_MEMORY, GIB + 1, 0);
    ck_assert_uint_eq(memory_now(), GIB);
    expect(VIRT_OPERATION_SET_MEMORY, TIB, -EREMOTEIO); /* it has 8 GiB */
    expect(VIRT_OPERATION_SET_MEMORY, 0, -EINVAL);
    expect(VIRT_OPERATION_SET_MEMORY, KIB - 1, -EINVAL);
    expect(VIRT_OPERATION_SET_MEMORY, UNKNOWN, -EINVAL);
    ck_assert_uint_eq(memory_now(), GIB);
}
END_TEST

START_TEST(suspended_and_resumed)
{
    expect(VIRT_OPERATION_RESUME, 0, -EALREADY);
    expect(VIRT_OPERATION_SUSPEND, 0, 0);
    ck_assert_int_eq(state_now(), VIR_DOMAIN_PAUSED);
    expect(VIRT_OPERATION_SUSPEND, 0, -EALREADY);
    expect(VIRT_OPERATION_RESUME, 0, 0);
    ck_assert_int_eq(state_now(), VIR_DOMAIN_RUNNING);
}
END_TEST

START_TEST(ended)
{
    expect(VIRT_OPERATION_DESTROY, 0, 0);
    ck_assert_int_eq(state_now(), VIR_DOMAIN_SHUTOFF);
    expect(VIRT_OPERATION_SUSPEND, 0, -EREMOTEIO);
    expect(VIRT_OPERATION_RESUME, 0, -EPERM);
    ck_assert_int_eq(state_now(), VIR_DOMAIN_SHUTOFF);
}
END_TEST

START_TEST(saved)
{
    expect(VIRT_OPERATION_MANAGED_SAVE, (uint64_t)_i, 0);
    ck_assert_int_eq(virDomainHasManagedSaveImage(scene.domain, 0), 1);
    ck_assert_int_eq(state_now(), VIR_DOMAIN_SHUTOFF);
    ck_assert_uint_eq(scene.saves, 1);
    ck_assert_uint_eq(scene.flags,
        (unsigned)VIR_DOMAIN_SAVE_BYPASS_CACHE | (_i ? (unsigned)VIR_DOMAIN_SAVE_RUNNING : 0));
}
END_TEST

START_TEST(saved_where_the_page_cache_is_needed)
{
    scene.refusal = EINVAL;
    expect(VIRT_OPERATION_MANAGED_SAVE, 1, 0);
    ck_assert_int_eq(state_now(), VIR_DOMAIN_SHUTOFF);
    ck_assert_uint_eq(scene.saves, 2);
    ck_assert_uint_eq(scene.flags, VIR_DOMAIN_SAVE_RUNNING);
}
END_TEST

/* What fails otherwise would fail again, and stop the guest for it. */
START_TEST(a_save_that_fails)
{
    scene.refusal = ENOSPC;
    ck_assert_int_eq(run(VIRT_OPERATION_MANAGED_SAVE, 1).result, -EREMOTEIO);
    ck_assert_int_eq(state_now(), VIR_DOMAIN_RUNNING);
    ck_assert_uint_eq(scene.saves, 1);
}
END_TEST

START_TEST(looked_at)
{
    struct virt_result result = run(VIRT_OPERATION_MEMORY_STATS, 0);

    ck_assert_msg(result.result == 0, "%s", result.text);
    ck_assert(result.looked);
    ck_assert_int_eq((int)result.look.run_state, VM_RUN_RUNNING);
    ck_assert_int_eq((int)result.look.migration, VM_MIGRATION_NONE);
    ck_assert_uint_eq(result.look.actual, memory_now());
    ck_assert(known(result.look.total) && result.look.free <= result.look.total);
    ck_assert_int_eq(virDomainSuspend(scene.domain), 0);
    ck_assert_int_eq((int)run(VIRT_OPERATION_MEMORY_STATS, 0).look.run_state, (int)VM_RUN_PAUSED);
}
END_TEST

static uint64_t limit_now(const char *name)
{
    virTypedParameter parameters[8];
    unsigned long long limit = 0;
    int count = ELEMENTSOF(parameters);

    ck_assert_int_eq(
        virDomainGetMemoryParameters(scene.domain, parameters, &count, VIR_DOMAIN_AFFECT_LIVE), 0);
    ck_assert_int_eq(virTypedParamsGetULLong(parameters, count, name, &limit), 1);
    virTypedParamsClear(parameters, count);
    return limit;
}

START_TEST(limits_and_periods)
{
    expect(VIRT_OPERATION_SET_HARD_LIMIT, GIB, 0);
    ck_assert_uint_eq(limit_now(VIR_DOMAIN_MEMORY_HARD_LIMIT), GIB / KIB);
    expect(VIRT_OPERATION_SET_SOFT_LIMIT, 512 * MIB, 0);
    ck_assert_uint_eq(limit_now(VIR_DOMAIN_MEMORY_SOFT_LIMIT), 512 * MIB / KIB);
    expect(VIRT_OPERATION_SET_SOFT_LIMIT, UNKNOWN, 0);
    ck_assert_uint_eq(limit_now(VIR_DOMAIN_MEMORY_SOFT_LIMIT), VIR_DOMAIN_MEMORY_PARAM_UNLIMITED);
    expect(VIRT_OPERATION_STATS_PERIOD, 5, 0);
    expect(VIRT_OPERATION_STATS_PERIOD, UNKNOWN, -EINVAL);
}
END_TEST

START_TEST(what_a_driver_cannot_do)
{
    expect(VIRT_OPERATION_SHUTDOWN, 0, -EREMOTEIO); /* by ACPI */
    expect(VIRT_OPERATION_SET_QUOTA, NSEC_PER_MSEC, -EREMOTEIO);
    expect(VIRT_OPERATION_SET_QUOTA, UNKNOWN, -EREMOTEIO);
    expect(VIRT_OPERATION_RESIZE, GIB, -ENODEV);
    expect(VIRT_OPERATION_COUNT, 0, -EOPNOTSUPP);
    expect(UINT8_MAX, 0, -EOPNOTSUPP);
}
END_TEST

START_TEST(nobody_of_that_uuid)
{
    scene.uuid[0] ^= 1;
    for (unsigned operation = 0; operation < VIRT_OPERATION_COUNT; operation++)
        expect(operation, GIB, -ESRCH);
}
END_TEST

START_TEST(a_libvirt_that_is_not_there)
{
    scene.connection.uri = "test:///nonexistent/node.xml";
    struct virt_result result = run(VIRT_OPERATION_SUSPEND, 0);
    ck_assert_int_eq(result.result, -ENOTCONN);
    ck_assert_msg(strstr(result.text, "nonexistent"), "%s", result.text);
    scene.connection.uri = "test:///default";
    expect(VIRT_OPERATION_SUSPEND, 0, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("virt_call");
    TCase *tests = tcase_create("call");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, memory_is_set);
    tcase_add_test(tests, suspended_and_resumed);
    tcase_add_test(tests, ended);
    tcase_add_loop_test(tests, saved, 0, 2); /* as it is; to run when it is restored */
    tcase_add_test(tests, saved_where_the_page_cache_is_needed);
    tcase_add_test(tests, a_save_that_fails);
    tcase_add_test(tests, looked_at);
    tcase_add_test(tests, limits_and_periods);
    tcase_add_test(tests, what_a_driver_cannot_do);
    tcase_add_test(tests, nobody_of_that_uuid);
    tcase_add_test(tests, a_libvirt_that_is_not_there);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
