/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio-mem of a domain of libvirt's: libvirt is asked, and nobody else. plimsoll-virt is the
 * fake; what libvirt has said of the device is the test's.
 */
#include "act.h"
#include "fake_host.h"
#include "fake_virt.h"
#include "suite.h"

#include <errno.h>

#define PATIENCE (20 * NSEC_PER_SEC)

static struct fake_host host;
static pid_t guest;

static struct vm *vm_here(void)
{
    for (uint32_t slot = 0; slot < host.guard->vm_capacity; slot++) {
        struct vm *vm = inventory_vm(host.guard->inventory, slot);
        if (vm && vm->figures.identity.pid == guest)
            return vm;
    }
    ck_abort_msg("the guest is not known");
}

#define resizable() (vm_here()->figures.resizable)
#define measures() (vm_here()->figures.measures)

static void turn(void)
{
    uint64_t now = loop_now();

    guard_advance_virt(host.guard, now);
    guard_advance_calls(host.guard, now);
    act_resize_advance(vm_here(), now);
    ck_assert_int_eq(loop_wait(host.guard->loop, now + 20 * NSEC_PER_MSEC), 0);
}

#define await(condition)                                                 \
    for (uint64_t limit = loop_now() + PATIENCE; !(condition);) {        \
        ck_assert_msg(loop_now() < limit, "never came: %s", #condition); \
        turn();                                                          \
    }

/* On libvirt=fake://BEHAVIOUR/PID/default. */
static void begin(const char *behaviour)
{
    const char *arguments[] = {"qemu-system-x86_64", "-name", "guest=web", "-uuid",
        FAKE_VIRT_UUID_TEXT, "-m", "2048", NULL};
    struct guard_options options;
    struct error error = {0};

    fake_host_begin(&host, FAKE_CGROUPS_V2, "");
    guest = fake_host_guest(&host, "web", 2 * GIB);
    fake_tree_cmdline(host.tree, guest, arguments);
    fake_tree_write(host.tree, "plimsoll.conf",
        "[guard]\nmode=enforce\nqmp-directory=/nonexistent\nmax-vms=8\n"
        "libvirt=fake://%s/%d/default\n[class default]\nmode=enforce\n",
        behaviour, (int)guest);
    options = (struct guard_options){
        .config_path = host.config_path,
        .runtime_directory = host.tree->folder,
        .virt_program = FAKE_VIRT_PROGRAM,
        .roots = host.tree->roots,
    };
    ck_assert_msg(guard_new(&options, &host.guard, &error) == 0, "%s", error.text);
    await(vm_here()->figures.monitor == VM_MONITOR_READY && virt_guest_is_callable(vm_here()));
    resizable().size = resizable().requested = resizable().maximum = FAKE_VIRT_RESIZABLE;
    resizable().block = 2 * MIB;
    resizable().updated = loop_now();
}

static int resize(uint64_t target)
{
    return act_resize(vm_here(), target, MODE_ENFORCE, loop_now());
}

START_TEST(smaller_and_back)
{
    begin("serves");
    ck_assert_int_eq(resize(512 * MIB), 0);
    ck_assert(vm_has(vm_here(), VM_MEASURE_RESIZE)); /* before libvirt has heard of it */
    ck_assert_int_eq(resize(256 * MIB), -EAGAIN);
    await(known(resizable().answered));
    ck_assert_int_eq(resizable().result, 0);
    ck_assert_uint_eq(resizable().requested, 512 * MIB);
    ck_assert_uint_eq(measures().resize.before, FAKE_VIRT_RESIZABLE);
    ck_assert(ledger_get(host.guard->ledger, vm_here()->slot)->resize_by_libvirt);
    ck_assert_int_eq(resize(FAKE_VIRT_RESIZABLE), 0);
    await(known(resizable().answered));
    ck_assert(!vm_has(vm_here(), VM_MEASURE_RESIZE));
    ck_assert_uint_eq(resizable().requested, FAKE_VIRT_RESIZABLE);
    fake_host_end(&host);
}
END_TEST

START_TEST(not_where_it_is_not_as_expected)
{
    begin("serves");
    resizable().requested = 768 * MIB;
    ck_assert_int_eq(resize(512 * MIB), 0);
    await(known(resizable().answered));
    ck_assert_int_eq(resizable().result, -ESTALE);
    ck_assert(!vm_has(vm_here(), VM_MEASURE_RESIZE));
    fake_host_end(&host);
}
END_TEST

START_TEST(libvirt_refuses)
{
    begin("refuses");
    ck_assert_int_eq(resize(512 * MIB), 0);
    await(known(resizable().answered));
    ck_assert_int_eq(resizable().result, -EREMOTEIO);
    ck_assert(!vm_has(vm_here(), VM_MEASURE_RESIZE));
    fake_host_end(&host);
}
END_TEST

/* Nothing goes behind libvirt's back while it cannot be asked. */
START_TEST(libvirt_cannot_be_asked)
{
    begin("serves");
    vm_here()->virt.id = VIRT_ID_ANY;
    ck_assert_int_eq(resize(512 * MIB), -ENOTCONN);
    ck_assert_uint_eq(measures().in_force & VM_MEASURE_RESIZE, 0);
    fake_host_end(&host);
}
END_TEST

int main(int argc, char *argv[])
{
    int status;

    if (fake_virt_main(argc, argv, &status))
        return status;
    if (!suite_has_pidfd())
        return suite_skip(SUITE_NO_PIDFD);

    Suite *suite = suite_create("virt resize");
    TCase *tests = tcase_create("resize");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, smaller_and_back);
    tcase_add_test(tests, not_where_it_is_not_as_expected);
    tcase_add_test(tests, libvirt_refuses);
    tcase_add_test(tests, libvirt_cannot_be_asked);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
