/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Limits of a domain's cgroup: where libvirt is there it sets those that it has a call for, and the
 * guard writes the others. The cgroup is cgroup_scene's, and the test is the kernel: libvirt's
 * side, which is fake_virt's, writes nothing.
 */
#include "../daemon/cgroup_scene.h"
#include "act.h"
#include "fake_host.h"
#include "fake_virt.h"
#include "suite.h"

#include <errno.h>
#include <stdio.h>

#define PATIENCE (20 * NSEC_PER_SEC)
#define MAX VM_LIMIT_MEMORY_MAX

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

static void turn(void)
{
    uint64_t now = loop_now();

    guard_advance_virt(host.guard, now);
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
    fake_host_set_available(&host, 12 * GIB);
    guest = fake_host_guest(&host, "web", 2 * GIB);
    fake_tree_cmdline(host.tree, guest, arguments);
    cgroup_scene_make(host.tree, guest);
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
    fake_host_tick(&host, 0);
    await(virt_guest_is_callable(vm_here()));
}

static int contain(enum vm_limit limit, uint64_t value)
{
    return act_contain(vm_here(), host.guard->container, limit, value, MODE_ENFORCE, loop_now());
}

static bool is_answered(void)
{
    return known(vm_here()->figures.limits.answered);
}

static void expect_file(const char *name, const char *text)
{
    ck_assert_str_eq(cgroup_scene_read(host.tree, name), text);
}

START_TEST(set_and_put_back_by_libvirt)
{
    begin("serves");
    ck_assert_int_eq(contain(MAX, 4 * GIB), 0);
    ck_assert(vm_here()->virt.limiting && vm_has(vm_here(), VM_MEASURE_CONTAIN));
    expect_file("memory.max", "max\n");
    cgroup_scene_write(host.tree, "memory.max", "4294967296\n");
    await(is_answered());
    ck_assert_int_eq(vm_here()->figures.limits.result, 0);
    ck_assert_uint_eq(vm_here()->figures.measures.limits[MAX].set, 4 * GIB);
    ck_assert_int_eq(act_contain_restore(vm_here(), MAX, loop_now()), 0);
    ck_assert(vm_has(vm_here(), VM_MEASURE_CONTAIN)); /* until it is done */
    ck_assert_int_eq(act_contain_restore(vm_here(), MAX, loop_now()), -EBUSY);
    cgroup_scene_write(host.tree, "memory.max", "max\n");
    await(is_answered());
    ck_assert(!vm_has(vm_here(), VM_MEASURE_CONTAIN));
    fake_host_end(&host);
}
END_TEST

START_TEST(what_it_has_no_call_for_is_written_here)
{
    begin("serves");
    ck_assert_int_eq(contain(VM_LIMIT_PIDS_MAX, 512), 0);
    await(is_answered());
    expect_file("pids.max", "512\n");
    ck_assert_int_eq(contain(VM_LIMIT_OOM_GROUP, 1), 0);
    await(is_answered());
    expect_file("memory.oom.group", "1\n");
    ck_assert_int_eq(contain(VM_LIMIT_CPU_MAX, 50 * NSEC_PER_MSEC), 0);
    ck_assert(vm_here()->virt.limiting);
    await(is_answered());
    ck_assert_int_eq(act_contain_restore_all(vm_here(), loop_now()), 0);
    expect_file("pids.max", "16384\n");
    expect_file("memory.oom.group", "0\n");
    fake_host_end(&host);
}
END_TEST

/* What the kernel has counts: libvirt refused, or wrote it elsewhere. */
START_TEST(refused_by_libvirt_leaves_what_was)
{
    begin(_i == 0 ? "refuses" : "serves");
    ck_assert_int_eq(contain(MAX, 4 * GIB), 0);
    await(is_answered());
    ck_assert_int_eq(vm_here()->figures.limits.result, _i == 0 ? -EREMOTEIO : -EIO);
    ck_assert(!vm_has(vm_here(), VM_MEASURE_CONTAIN));
    fake_host_end(&host);
}
END_TEST

/* Nobody knows what became of it: both are ours, until one of them is seen. */
START_TEST(a_process_that_ends_leaves_it_open)
{
    begin("drops");
    ck_assert_int_eq(contain(MAX, 4 * GIB), 0);
    await(is_answered());
    ck_assert_int_eq(vm_here()->figures.limits.result, -ETIMEDOUT);
    ck_assert(vm_has(vm_here(), VM_MEASURE_CONTAIN));
    ck_assert_uint_eq(vm_here()->figures.limits.previous, VM_LIMIT_NONE);
    fake_host_end(&host);
}
END_TEST

/* 4 GiB were handed over, of which nobody has told what became; ours of 5 GiB still stand. */
static void pretend_in_doubt(enum vm_limit limit, const char *name)
{
    struct vm_measures *measures = &vm_here()->figures.measures;
    struct vm_limits *limits = &vm_here()->figures.limits;

    cgroup_scene_write(host.tree, name, "5368709120\n");
    measures->in_force |= VM_MEASURE_CONTAIN;
    measures->contained |= VM_LIMIT_BIT(limit);
    measures->limits[limit] = (struct vm_contained){.set = 4 * GIB, .before = VM_LIMIT_NONE};
    limits->written = limit;
    limits->previous = 5 * GIB;
    limits->asked = limits->answered = loop_now();
    limits->result = -ETIMEDOUT;
    vm_write_ledger(vm_here());
}

static void on_nothing(const struct virt_result *result, void *userdata)
{
    (void)result;
    (void)userdata;
}

START_TEST(a_lift_that_cannot_be_asked_for_leaves_the_doubt)
{
    begin("spares");
    pretend_in_doubt(MAX, "memory.max");
    /* None of them is answered, and then there is no room for more. */
    for (unsigned i = 0; i < VIRT_CALLS_MAX; i++)
        (void)virt_guest_end(
            vm_here(), VIRT_OPERATION_DESTROY, 0, loop_now(), PATIENCE, on_nothing);
    ck_assert_int_eq(act_contain_restore(vm_here(), MAX, loop_now()), -EAGAIN);
    const struct ledger_entry *entry = ledger_get(host.guard->ledger, vm_here()->slot);
    ck_assert_uint_eq(entry->measures.limits[MAX].set, 4 * GIB);
    ck_assert_uint_eq(entry->measures.limits[MAX].before, VM_LIMIT_NONE);
    ck_assert_int_eq((int)entry->limit_written, MAX);
    ck_assert_uint_eq(entry->limit_previous, 5 * GIB);
    fake_host_end(&host);
}
END_TEST

START_TEST(the_lift_of_another_ends_a_doubt_first)
{
    begin("serves");
    pretend_in_doubt(MAX, "memory.max");
    vm_here()->figures.limits.previous = UNKNOWN;
    vm_here()->figures.measures.limits[MAX].set = 5 * GIB;
    pretend_in_doubt(VM_LIMIT_MEMORY_HIGH, "memory.high");
    ck_assert_int_eq(act_contain_restore(vm_here(), MAX, loop_now()), 0);
    ck_assert_uint_eq(vm_here()->figures.measures.limits[VM_LIMIT_MEMORY_HIGH].set, 5 * GIB);
    cgroup_scene_write(host.tree, "memory.max", "max\n");
    await(is_answered());
    ck_assert_int_eq(act_contain_restore(vm_here(), VM_LIMIT_MEMORY_HIGH, loop_now()), 0);
    expect_file("memory.high", "max\n");
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

    Suite *suite = suite_create("virt contain");
    TCase *tests = tcase_create("contain");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, set_and_put_back_by_libvirt);
    tcase_add_test(tests, what_it_has_no_call_for_is_written_here);
    tcase_add_loop_test(tests, refused_by_libvirt_leaves_what_was, 0, 2);
    tcase_add_test(tests, a_process_that_ends_leaves_it_open);
    tcase_add_test(tests, a_lift_that_cannot_be_asked_for_leaves_the_doubt);
    tcase_add_test(tests, the_lift_of_another_ends_a_doubt_first);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
