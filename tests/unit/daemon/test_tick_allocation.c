/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From the tick that crosses the hard threshold to the return of the act nothing is allocated: not
 * by the guard, not by libqmp, not by the C library on their behalf. The allocator of this program
 * counts its calls, and the kernel tells whether the address space grew beside it (mmap, brk,
 * stack). Without a monitor the inventory's turn between two ticks is counted, too; with one it
 * reads QEMU's answers, which json-c allocates for, from the heap that isolate.c has grown.
 *
 * The figures are fake, the guests are children that get the signals, and the one with a monitor
 * serves it from its own process, because the guard takes a socket's owner from SO_PEERCRED. A
 * program of its own, because sanitizers bring their own allocator.
 */
#include "act.h"
#include "allocations.h"
#include "fake_guest.h"
#include "fake_host.h"
#include "fake_qemu.h"
#include "kernel_file.h"
#include "suite.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <plimsoll/cleanup.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* As fake_host_set_rss() writes it. */
#define GUEST_START_TIME 4711
#define GUEST_RAM (8 * GIB)
#define GUEST_RSS GIB
/* The estimators' memory of what was before. */
#define CALM_TICKS 20
#define TICK (100 * NSEC_PER_MSEC)
/* How long the guard and a fake QEMU may take to talk; far beyond what they need. */
#define TALK_PATIENCE (10 * NSEC_PER_SEC)

/* What was taken so far. */
struct taken {
    unsigned allocations;
    uint64_t pages; /* of address space */
};

static struct taken taken_now(void)
{
    char text[256];
    const char *cursor = text;
    struct taken taken = {.allocations = allocations_count(), .pages = UNKNOWN};

    int fd = kernel_file_open(AT_FDCWD, "/proc/self/statm");
    if (kernel_file_read(fd, text, sizeof text) > 0)
        (void)kernel_number_parse(&cursor, &taken.pages);
    (void)kernel_file_close(fd);
    return taken;
}

static void check_nothing_taken(struct taken before, const char *where)
{
    struct taken after = taken_now();

    ck_assert(known(before.pages));
    ck_assert_msg(after.allocations == before.allocations, "%s: %u allocations", where,
        after.allocations - before.allocations);
    ck_assert_msg(after.pages == before.pages, "%s: %lld pages of address space", where,
        (long long)(after.pages - before.pages));
}

static bool plan_has(const struct fake_host *host, enum action_kind kind)
{
    const struct plan *plan = host->guard->plan;

    for (uint32_t i = 0; i < plan->action_count; i++) {
        if (plan->actions[i].kind == kind)
            return true;
    }
    return false;
}

static void tick_counted(struct fake_host *host)
{
    struct taken before = taken_now();

    fake_host_tick(host, TICK);
    check_nothing_taken(before, "tick");
}

/* One turn of the guard's loop but for the wait: a tick, the inventory's share and the mounts'. */
static void turn_counted(struct fake_host *host)
{
    struct taken before;

    tick_counted(host);
    before = taken_now();
    inventory_advance(host->guard->inventory, host->guard->plan->assessment.band, host->now);
    check_nothing_taken(before, "inventory");
    before = taken_now();
    tmpfs_sampler_advance(
        host->guard->tmpfs_sampler, host->guard->plan->assessment.band, host->now);
    check_nothing_taken(before, "tmpfs");
}

/* After a while of calm the guest takes SPEED bytes a tick from the host, until the guard does what
 * is AWAITED. */
static void storm(struct fake_host *host, pid_t pid, uint64_t speed, enum action_kind awaited,
    void (*turn)(struct fake_host *host))
{
    uint64_t rss = GUEST_RSS, available = 4 * GIB;

    fake_host_set_available(host, available);
    for (unsigned i = 0; i < CALM_TICKS; i++)
        turn(host);
    while (available > speed && !plan_has(host, awaited)) {
        rss += speed;
        available -= speed;
        fake_host_set_rss(host, pid, rss);
        fake_host_set_available(host, available);
        turn(host);
    }
    ck_assert_msg(plan_has(host, awaited), "the guard never acted");
    ck_assert_int_eq(host->guard->plan->assessment.band, BAND_CRITICAL);
}

START_TEST(what_is_taken_is_seen)
{
    struct taken before = taken_now();

    DIR *directory = opendir("/"); /* the C library's own allocation */
    struct taken after = taken_now();
    ck_assert_ptr_nonnull(directory);
    ck_assert_uint_gt(after.allocations, before.allocations);
    (void)closedir(directory);
    before = taken_now();
    struct json_object *object = json_object_new_int(1); /* json-c's */
    after = taken_now();
    ck_assert_uint_gt(after.allocations, before.allocations);
    (void)json_object_put(object);
    before = taken_now();
    void *map = mmap(NULL, MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    after = taken_now();
    ck_assert_ptr_ne(map, MAP_FAILED);
    ck_assert_uint_gt(after.pages, before.pages);
    ck_assert_int_eq(munmap(map, MIB), 0);
}
END_TEST

/* A QMP directory to be read, without a socket in it. */
static const char signals_only[] = "[guard]\nmode=enforce\nqmp-directory=/\nmax-vms=8\n"
                                   "[class default]\nmode=enforce\n";

/* For a record it is enough to be copied. */
static const char nowhere[] = "/nonexistent/traces";

/* The machine's own mounts, for the guard to look at. */
static void show_mounts(struct fake_host *host)
{
    fake_tree_link(host->tree, "proc/1/root", "/");
    fake_tree_link(host->tree, "proc/1/mountinfo", "/proc/self/mountinfo");
}

START_TEST(freeze_takes_nothing)
{
    struct fake_host host;

    fake_host_begin(&host, (enum fake_cgroups)_i, signals_only);
    show_mounts(&host);
    host.record_folder = nowhere;
    pid_t pid = fake_host_guest(&host, "one", GUEST_RSS);
    fake_host_start_guard(&host);
    storm(&host, pid, 400 * MIB, ACTION_FREEZE, turn_counted);
    fake_host_await(pid, WSTOPPED);
    fake_host_end(&host);
}
END_TEST

START_TEST(kill_takes_nothing)
{
    struct fake_host host;

    fake_host_begin(&host, (enum fake_cgroups)_i, signals_only);
    show_mounts(&host);
    host.record_folder = nowhere;
    pid_t pid = fake_host_guest(&host, "one", 5 * GIB);
    fake_host_start_guard(&host);
    fake_host_set_available(&host, 100 * MIB);
    for (unsigned i = 0; i < 100 && !plan_has(&host, ACTION_KILL); i++)
        turn_counted(&host);
    fake_host_await(pid, WEXITED);
    fake_host_end(&host);
}
END_TEST

START_TEST(brake_takes_nothing)
{
    struct fake_host host;
    char path[128];

    fake_host_begin(&host, FAKE_CGROUPS_V2, signals_only);
    pid_t pid = fake_host_guest(&host, "one", GUEST_RSS);
    fake_tree_write(host.tree, "unified/vcpu0/cpu.max", "max 100000\n");
    fake_host_start_guard(&host);
    struct vm *vm = fake_guest_vm(&host, pid);
    (void)snprintf(path, sizeof path, "%s/unified/vcpu0/cpu.max", host.tree->folder);
    vm->quota_fds[0] = open(path, O_RDWR | O_CLOEXEC);
    vm->quota_count = 1;
    struct taken before = taken_now();
    int braked = act_brake(vm, MODE_ENFORCE, host.now);
    int released = act_release(vm, MODE_ENFORCE);
    check_nothing_taken(before, "brake");
    ck_assert_int_eq(braked, 0);
    ck_assert_int_eq(released, 0);
    fake_host_end(&host);
}
END_TEST

/* ---- with a monitor ---- */

/* A child that is the guest and serves its monitor; it ends with us. */
static pid_t guest_with_monitor(struct fake_host *host)
{
    const char *arguments[] = {"qemu-system-x86_64", "-name", "guest=one", "-m", "8192", NULL};
    char path[96];
    int listening[2];

    (void)snprintf(path, sizeof path, "%s/one.sock", host->tree->folder);
    ck_assert_int_eq(pipe(listening), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        struct fake_qemu fake;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (fake_qemu_listen(&fake, path) < 0 || write(listening[1], "", 1) != 1 ||
            fake_qemu_accept(&fake) < 0)
            _exit(EXIT_FAILURE);
        fake.ram = fake.balloon = GUEST_RAM;
        _exit(fake_qemu_serve(&fake) < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
    }
    (void)close(listening[1]);
    ck_assert_int_eq(read(listening[0], &(char){0}, 1), 1);
    (void)close(listening[0]);
    fake_tree_process(host->tree, &(struct fake_process){.pid = pid,
                                      .start_time = GUEST_START_TIME,
                                      .rss_kib = GUEST_RSS / KIB,
                                      .executable = "/usr/bin/some-vmm"});
    fake_tree_cmdline(host->tree, pid, arguments);
    (void)snprintf(path, sizeof path, "proc/%d/fd/9", (int)pid);
    fake_tree_link(host->tree, path, "anon_inode:kvm-vm");
    return pid;
}

/* Runs the guard's loop until the one guest's monitor is ready and its balloon known, or, with
 * MEASURE, until that is in force. */
static void talk_until(struct fake_host *host, uint32_t measure)
{
    const uint64_t end = loop_now() + TALK_PATIENCE;

    for (;;) {
        const struct vm *vm = inventory_vm(host->guard->inventory, 0);
        const struct vm_snapshot *figures = &vm->figures;
        if (measure ? vm_has(vm, measure)
                    : figures->monitor == VM_MONITOR_READY && known(figures->balloon.actual))
            return;
        ck_assert_msg(loop_now() < end, "the monitor never came so far");
        inventory_advance(host->guard->inventory, BAND_CALM, loop_now());
        ck_assert_int_eq(loop_wait(host->guard->loop, loop_now() + TICK), 0);
    }
}

START_TEST(stop_takes_nothing)
{
    struct fake_host host;
    char config[256];

    fake_host_begin(&host, FAKE_CGROUPS_V2, "");
    (void)snprintf(config, sizeof config,
        "[guard]\nmode=enforce\nqmp-directory=%s\nmax-vms=8\n"
        "[class default]\nmode=enforce\nrungs=pause kill\n",
        host.tree->folder);
    fake_tree_write(host.tree, "plimsoll.conf", "%s", config);
    pid_t pid = guest_with_monitor(&host);
    fake_host_start_guard(&host);
    talk_until(&host, 0);
    storm(&host, pid, 10 * MIB, ACTION_PAUSE, tick_counted);
    /* It is on its way … */
    const struct vm *vm = inventory_vm(host.guard->inventory, 0);
    ck_assert(vm_has(vm, VM_MEASURE_STOP_SENT));
    /* … and arrives. */
    talk_until(&host, VM_MEASURE_STOPPED);
    fake_host_end(&host);
}
END_TEST

int main(void)
{
    if (!suite_has_pidfd())
        return suite_skip(SUITE_NO_PIDFD);
    if (!allocations_are_counted())
        return suite_skip(ALLOCATIONS_NOT_COUNTED);

    Suite *suite = suite_create("tick_allocation");
    TCase *tests = tcase_create("tick_allocation");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, what_is_taken_is_seen);
    tcase_add_loop_test(tests, freeze_takes_nothing, 0, FAKE_CGROUPS_HYBRID + 1);
    tcase_add_loop_test(tests, kill_takes_nothing, 0, FAKE_CGROUPS_HYBRID + 1);
    tcase_add_test(tests, brake_takes_nothing);
    tcase_add_test(tests, stop_takes_nothing);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
