/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio-mem of a guest that libvirt does not know, by its own monitor: what is requested of it,
 * what the ledger says meanwhile, and that what somebody else has requested stays.
 */
#include "act.h"
#include "fake_monitor.h"
#include "suite.h"

#include <errno.h>

static struct fake_monitor bench;

#define resizable() (bench.vm->figures.resizable)
#define ours() (ledger_get(bench.ledger, 0)->measures.resize)

static void setup(void)
{
    fake_monitor_begin(&bench, true);
    bench.fake.virtio_mem = bench.fake.requested = bench.fake.plugged = GIB;
    fake_monitor_say_event(&bench, "MEMORY_DEVICE_SIZE_CHANGE");
    fake_monitor_settle(&bench);
    ck_assert_uint_eq(resizable().requested, GIB);
    ck_assert_uint_eq(resizable().block, 2 * MIB);
    ck_assert(known(resizable().updated));
}

static void teardown(void)
{
    fake_monitor_end(&bench);
}

static int resize(uint64_t target)
{
    return act_resize(bench.vm, target, MODE_ENFORCE, loop_now());
}

START_TEST(smaller_and_back)
{
    ck_assert_int_eq(resize(512 * MIB), 0);
    fake_monitor_expect(&bench, VM_MEASURE_RESIZE); /* before QEMU has heard of it */
    ck_assert(!known(resizable().answered));
    ck_assert_int_eq(resize(256 * MIB), -EAGAIN);
    fake_monitor_settle(&bench);
    ck_assert_uint_eq(bench.fake.requested, 512 * MIB);
    ck_assert_int_eq(resizable().result, 0);
    ck_assert_uint_eq(resizable().requested, 512 * MIB);
    ck_assert_uint_eq(ours().set, 512 * MIB);
    ck_assert_uint_eq(ours().before, GIB);
    ck_assert_int_eq(resize(256 * MIB), 0);
    fake_monitor_settle(&bench);
    ck_assert_uint_eq(ours().set, 256 * MIB);
    ck_assert_uint_eq(ours().before, GIB);
    ck_assert_int_eq(resize(2 * GIB), -ERANGE);
    ck_assert_int_eq(resize(GIB), 0);
    fake_monitor_expect(&bench, VM_MEASURE_RESIZE); /* until QEMU has said yes */
    fake_monitor_settle(&bench);
    ck_assert_uint_eq(bench.fake.requested, GIB);
    fake_monitor_expect(&bench, 0);
}
END_TEST

/* Between the look and the act somebody was quicker: nothing is sent, and nothing is ours. */
START_TEST(somebody_was_quicker)
{
    bench.fake.requested = 768 * MIB;
    ck_assert_int_eq(resize(512 * MIB), 0);
    fake_monitor_settle(&bench);
    ck_assert_uint_eq(bench.fake.requested, 768 * MIB);
    ck_assert_int_eq(resizable().result, -ESTALE);
    fake_monitor_expect(&bench, 0);
}
END_TEST

START_TEST(somebody_is_quicker_later)
{
    ck_assert_int_eq(resize(512 * MIB), 0);
    fake_monitor_settle(&bench);
    bench.fake.requested = 768 * MIB;
    ck_assert_int_eq(resize(256 * MIB), 0);
    fake_monitor_settle(&bench);
    ck_assert_uint_eq(bench.fake.requested, 768 * MIB);
    fake_monitor_expect(&bench, VM_MEASURE_RESIZE); /* the policy sees what there is, and yields */
    ck_assert_uint_eq(ours().set, 512 * MIB);
    ck_assert_int_eq(act_resize_yield(bench.vm), 0);
    fake_monitor_expect(&bench, 0);
    ck_assert_int_eq(act_resize_yield(bench.vm), -EALREADY);
}
END_TEST

START_TEST(qemu_refuses)
{
    bench.fake.virtio_mem = 256 * MIB; /* so that it is too much */
    ck_assert_int_eq(resize(512 * MIB), 0);
    fake_monitor_settle(&bench);
    ck_assert_int_eq(resizable().result, -EREMOTEIO);
    fake_monitor_expect(&bench, 0);
}
END_TEST

/* Whether it was done nobody knows: both stay in the ledger until it shows. */
START_TEST(no_answer)
{
    ck_assert_int_eq(resize(512 * MIB), 0);
    (void)fake_monitor_hold(&bench, "requested-size\"");
    fake_monitor_pass(&bench, MONITOR_TIMEOUT + NSEC_PER_SEC);
    ck_assert_int_eq(resizable().result, -ETIMEDOUT);
    fake_monitor_expect(&bench, VM_MEASURE_RESIZE);
    ck_assert_uint_eq(ours().set, 512 * MIB);
    ck_assert_uint_eq(ledger_get(bench.ledger, 0)->measures.resize_previous, GIB);
}
END_TEST

START_TEST(nobody_is_left_to_answer)
{
    ck_assert_int_eq(resize(512 * MIB), 0);
    monitor_attach(bench.monitor, NULL);
    act_resize_advance(bench.vm, loop_now());
    ck_assert(!known(resizable().answered));
    act_resize_advance(bench.vm, loop_now() + NSEC_PER_MINUTE);
    ck_assert_int_eq(resizable().result, -ETIMEDOUT);
    ck_assert_uint_eq(ours().set, 512 * MIB);
    ck_assert_int_eq(resize(256 * MIB), -ENOTCONN);
    monitor_attach(bench.monitor, bench.vm);
}
END_TEST

START_TEST(what_makes_no_sense)
{
    ck_assert_int_eq(resize(512 * MIB + 1), -EINVAL);
    ck_assert_int_eq(resize(UNKNOWN), -EINVAL);
    ck_assert_int_eq(resize(GIB), -EALREADY);
    ck_assert_int_eq(resize(2 * GIB), -EALREADY); /* nothing of ours to give back */
    ck_assert_int_eq(act_resize(bench.vm, 512 * MIB, MODE_DRY_RUN, loop_now()), 0);
    fake_monitor_settle(&bench);
    ck_assert_uint_eq(bench.fake.requested, GIB);
    fake_monitor_expect(&bench, 0);
}
END_TEST

int main(void)
{
    if (!suite_has_pidfd())
        return suite_skip(SUITE_NO_PIDFD);

    Suite *suite = suite_create("resize");
    TCase *tests = tcase_create("acts");

    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, smaller_and_back);
    tcase_add_test(tests, somebody_was_quicker);
    tcase_add_test(tests, somebody_is_quicker_later);
    tcase_add_test(tests, qemu_refuses);
    tcase_add_test(tests, no_answer);
    tcase_add_test(tests, nobody_is_left_to_answer);
    tcase_add_test(tests, what_makes_no_sense);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
