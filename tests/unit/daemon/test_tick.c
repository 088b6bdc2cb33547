/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whole ticks, from files to signals: the host's figures are fake, the guard and its guests'
 * processes are real. The guests here have no QMP socket, so that freeze and kill are all the guard
 * has.
 */
#include "fake_host.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char enforcing[] = "[guard]\nmode=enforce\nqmp-directory=/nonexistent\nmax-vms=8\n"
                                "[class default]\nmode=enforce\n"
                                "[class gold]\nmode=enforce\npriority=900\nsacrifice=never\n"
                                "[vm gold*]\nclass=gold\n";

static bool is_seen(const struct fake_host *host, pid_t pid, const struct vm_snapshot **ret_vm)
{
    const struct snapshot *snapshot = host->guard->snapshot;

    for (uint32_t i = 0; i < snapshot->vm_count; i++) {
        if (snapshot->vms[i].identity.pid == pid) {
            *ret_vm = &snapshot->vms[i];
            return true;
        }
    }
    return false;
}

/* What the last tick saw of it. */
static struct vm_snapshot vm_of(const struct fake_host *host, pid_t pid)
{
    const struct vm_snapshot *vm = NULL;

    ck_assert(is_seen(host, pid, &vm));
    return *vm;
}

static bool plan_has(const struct fake_host *host, enum action_kind kind, pid_t pid)
{
    const struct plan *plan = host->guard->plan;

    for (uint32_t i = 0; i < plan->action_count; i++) {
        if (plan->actions[i].kind == kind && plan->actions[i].identity.pid == pid)
            return true;
    }
    return false;
}

/* The guest grows by 400 MiB a tick of 100 ms and takes them from the host, until the guard moves
 * or the host is empty. */
static uint64_t storm(struct fake_host *host, pid_t pid, enum action_kind awaited)
{
    uint64_t rss = 4 * GIB;

    for (uint64_t available = 8 * GIB; available > 400 * MIB; available -= 400 * MIB) {
        rss += 400 * MIB;
        fake_host_set_rss(host, pid, rss);
        fake_host_set_available(host, available);
        fake_host_tick(host, 100 * NSEC_PER_MSEC);
        if (plan_has(host, awaited, pid))
            return available;
    }
    ck_abort_msg("the guard never acted");
    return 0;
}

START_TEST(calm_host_is_seen_whole)
{
    struct fake_host host;

    fake_host_begin(&host, (enum fake_cgroups)_i, enforcing);
    pid_t pid = fake_host_guest(&host, "one", 4 * GIB);
    fake_host_start_guard(&host);
    fake_host_tick(&host, NSEC_PER_SEC);
    const struct snapshot *snapshot = host.guard->snapshot;
    ck_assert_uint_eq(snapshot->host.total, FAKE_HOST_TOTAL);
    ck_assert_uint_eq(snapshot->host.available, 10 * GIB);
    ck_assert_uint_eq(snapshot->host.node_count, 2);
    ck_assert(known(snapshot->host.memory_pressure.some));
    ck_assert_uint_eq(snapshot->vm_count, 1);
    struct vm_snapshot vm = vm_of(&host, pid);
    ck_assert_str_eq(vm.name, "one");
    ck_assert_uint_eq(vm.rss, 4 * GIB);
    ck_assert_uint_eq(vm.maximum, 8 * GIB);
    ck_assert_int_eq(vm.kind, VM_KIND_RIGID);
    ck_assert_uint_eq(vm.nodes_allowed, 3);
    ck_assert_int_eq(host.guard->plan->assessment.band, BAND_CALM);
    fake_host_end(&host);
}
END_TEST

START_TEST(sprint_freezes_and_room_thaws)
{
    struct fake_host host;

    fake_host_begin(&host, (enum fake_cgroups)_i, enforcing);
    pid_t pid = fake_host_guest(&host, "one", 4 * GIB);
    fake_host_start_guard(&host);
    fake_host_set_available(&host, 8 * GIB);
    for (unsigned i = 0; i < 20; i++)
        fake_host_tick(&host, 100 * NSEC_PER_MSEC);
    uint64_t available = storm(&host, pid, ACTION_FREEZE);
    ck_assert_uint_gt(available, host.guard->plan->assessment.pools[0].floor);
    fake_host_await(pid, WSTOPPED);
    ck_assert_int_eq(fake_host_real_state(pid), 'T');
    const struct vm *vm = inventory_vm(host.guard->inventory, vm_of(&host, pid).slot);
    const struct ledger_entry *entry = ledger_get(host.guard->ledger, vm->slot);
    ck_assert_ptr_nonnull(entry);
    ck_assert_uint_ne(entry->measures.in_force & VM_MEASURE_FROZEN_SIGNAL, 0);
    /* Something else gave its memory back: there is room for all the guest could take. */
    fake_host_set_available(&host, 12 * GIB);
    for (unsigned i = 0; i < 1200 && vm_has(vm, VM_MEASURE_PAUSE); i++)
        fake_host_tick(&host, 500 * NSEC_PER_MSEC);
    ck_assert(!vm_has(vm, VM_MEASURE_PAUSE));
    fake_host_await(pid, WCONTINUED);
    fake_host_end(&host);
}
END_TEST

START_TEST(below_the_floor_the_least_valuable_dies)
{
    struct fake_host host;

    fake_host_begin(&host, FAKE_CGROUPS_V2, enforcing);
    pid_t gold = fake_host_guest(&host, "gold", 6 * GIB);
    pid_t plain = fake_host_guest(&host, "plain", 5 * GIB);
    fake_host_start_guard(&host);
    /* Nobody grows any more; there is simply nothing left. */
    fake_host_set_available(&host, 100 * MIB);
    for (unsigned i = 0; i < 100 && !plan_has(&host, ACTION_KILL, plain); i++)
        fake_host_tick(&host, 100 * NSEC_PER_MSEC);
    fake_host_await(plain, WEXITED);
    ck_assert_int_ne(fake_host_real_state(gold), 'Z');
    ck_assert_ptr_nonnull(ledger_history(host.guard->ledger, 0));
    /* Its end is told by the pidfd, and then nothing of it is left. */
    ck_assert_int_eq(loop_wait(host.guard->loop, loop_now() + 5 * NSEC_PER_SEC), 0);
    inventory_advance(host.guard->inventory, BAND_CRITICAL, loop_now());
    fake_host_tick(&host, NSEC_PER_MSEC);
    const struct vm_snapshot *vm;
    ck_assert(!is_seen(&host, plain, &vm));
    ck_assert(is_seen(&host, gold, &vm));
    fake_host_end(&host);
}
END_TEST

START_TEST(dry_run_touches_nobody)
{
    struct fake_host host;

    fake_host_begin(&host, FAKE_CGROUPS_V2,
        "[guard]\nqmp-directory=/nonexistent\nmax-vms=8\n[class default]\nmode=enforce\n");
    pid_t pid = fake_host_guest(&host, "one", 4 * GIB);
    fake_host_start_guard(&host);
    fake_host_set_available(&host, 8 * GIB);
    for (unsigned i = 0; i < 20; i++)
        fake_host_tick(&host, 100 * NSEC_PER_MSEC);
    (void)storm(&host, pid, ACTION_FREEZE);
    ck_assert_int_ne(fake_host_real_state(pid), 'T');
    ck_assert_uint_eq(vm_of(&host, pid).measures.in_force, 0);
    ck_assert_ptr_null(ledger_get(host.guard->ledger, vm_of(&host, pid).slot));
    /* Decided once, not marched through anew at each tick. */
    fake_host_tick(&host, NSEC_PER_MSEC);
    ck_assert(!plan_has(&host, ACTION_FREEZE, pid));
    fake_host_end(&host);
}
END_TEST

START_TEST(what_cannot_be_read_is_unknown_and_the_tick_goes_on)
{
    struct fake_host host;
    char path[64];

    fake_host_begin(&host, FAKE_CGROUPS_HYBRID, enforcing);
    fake_tree_remove(host.tree, "proc/pressure/memory");
    pid_t sick = fake_host_guest(&host, "sick", 2 * GIB);
    pid_t well = fake_host_guest(&host, "well", 3 * GIB);
    fake_host_start_guard(&host);
    fake_host_tick(&host, NSEC_PER_SEC);
    ck_assert(!known(host.guard->snapshot->host.memory_pressure.some));
    (void)snprintf(path, sizeof path, "proc/%d/statm", (int)sick);
    fake_tree_write(host.tree, path, "12");
    fake_tree_write(host.tree, "sys/devices/system/node/node1/meminfo", "%s", "");
    fake_host_set_rss(&host, well, 4 * GIB);
    fake_host_tick(&host, 11 * NSEC_PER_SEC);
    ck_assert(!known(vm_of(&host, sick).sampled));
    ck_assert_uint_eq(vm_of(&host, well).rss, 4 * GIB);
    ck_assert_uint_eq(host.guard->snapshot->host.node_count, 1);
    fake_host_end(&host);
}
END_TEST

START_TEST(second_guard_is_refused_and_told_who)
{
    struct fake_host host;
    struct error error = {0};

    fake_host_begin(&host, FAKE_CGROUPS_V2, enforcing);
    fake_host_start_guard(&host);
    pid_t second = fork();
    ck_assert_int_ge(second, 0);
    if (second == 0) {
        struct guard_options options = {.config_path = host.config_path,
            .runtime_directory = host.tree->folder,
            .roots = host.tree->roots};
        struct guard *guard = NULL;
        char expected[32];

        (void)snprintf(expected, sizeof expected, "%d", (int)getppid());
        int result = guard_new(&options, &guard, &error);
        _exit(result == -EBUSY && strstr(error.text, expected) ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(second, &status, 0), second);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    fake_host_end(&host);
}
END_TEST

START_TEST(peer_14_bad_reload_keeps_what_was)
{
    struct fake_host host;
    struct error error = {0};

    fake_host_begin(&host, FAKE_CGROUPS_V2, enforcing);
    fake_host_start_guard(&host);
    fake_tree_write(host.tree, "plimsoll.conf", "[guard]\nmode=sometimes\n");
    ck_assert_int_lt(guard_reload(host.guard, &error), 0);
    ck_assert_int_eq(host.guard->rules->host.mode, MODE_ENFORCE);
    fake_tree_write(host.tree, "plimsoll.conf", "[guard]\nmode=dry-run\nmax-vms=8\n");
    ck_assert_int_eq(guard_reload(host.guard, &error), 0);
    ck_assert_int_eq(host.guard->rules->host.mode, MODE_DRY_RUN);
    fake_host_end(&host);
}
END_TEST

/* A host that loses 40 MiB a second to anonymous memory of processes, or to shared memory, until
 * the alert; then the first is seen as the process that has grown by it. */
START_TEST(what_fills_the_host_is_named)
{
    const enum culprit_kind kind = _i == 0 ? CULPRIT_PROCESS : CULPRIT_TMPFS;
    const pid_t leaking = 4000000; /* no child of ours: nothing is done to it */
    const struct plan *plan;
    struct fake_host host;
    uint64_t leaked = 0;

    fake_host_begin(&host, FAKE_CGROUPS_V2, enforcing);
    pid_t pid = fake_host_guest(&host, "one", 4 * GIB);
    fake_host_start_guard(&host);
    plan = host.guard->plan;
    for (; leaked < 10 * GIB && plan->assessment.culprit.kind == CULPRIT_NONE; leaked += 4 * MIB) {
        const uint64_t used = 5 * GIB + leaked;
        fake_tree_process(host.tree, &(struct fake_process){.pid = leaking,
                                         .name = "leaker",
                                         .start_time = FAKE_HOST_START_TIME,
                                         .rss_kib = (kind == CULPRIT_PROCESS ? leaked : 0) / KIB,
                                         .executable = "/usr/bin/leaker"});
        fake_tree_write(host.tree, "proc/meminfo",
            "MemTotal: 16777216 kB\nMemFree: %llu kB\nMemAvailable: %llu kB\nSwapTotal: 0 kB\n"
            "SwapFree: 0 kB\nAnonPages: %llu kB\nShmem: %llu kB\nSUnreclaim: 65536 kB\n"
            "PageTables: 20480 kB\n",
            (unsigned long long)((FAKE_HOST_TOTAL - used) / KIB),
            (unsigned long long)((FAKE_HOST_TOTAL - used) / KIB),
            (unsigned long long)((4 * GIB + (kind == CULPRIT_PROCESS ? leaked : 0)) / KIB),
            (unsigned long long)((kind == CULPRIT_TMPFS ? leaked : 0) / KIB));
        fake_host_tick(&host, 100 * NSEC_PER_MSEC);
        inventory_advance(host.guard->inventory, plan->assessment.band, host.now);
    }
    ck_assert_int_eq(plan->assessment.culprit.kind, kind);
    ck_assert_int_eq(plan->assessment.band, BAND_SCARCE);
    ck_assert_int_gt(plan->assessment.culprit.growth, 30 * (int64_t)MIB);
    ck_assert_int_lt(plan->assessment.culprit.growth, 50 * (int64_t)MIB);
    if (kind == CULPRIT_PROCESS)
        ck_assert_int_eq(host.guard->snapshot->host.largest_process.pid, leaking);
    ck_assert_int_ne(fake_host_real_state(pid), 'T');
    fake_host_end(&host);
}
END_TEST

/* 14 of 16 GiB are in use and 8 GiB of swap are free: of the one that is not worth most and does
 * not grow, a piece is written to the group that is its own. */
START_TEST(what_is_idle_goes_to_swap)
{
    const bool enforced = _i == 0;
    struct fake_host host;
    char path[128];
    const char *written = "nothing\n";

    fake_host_begin(&host, FAKE_CGROUPS_V2,
        enforced ? enforcing : "[guard]\nqmp-directory=/nonexistent\nmax-vms=8\n");
    pid_t pid = fake_host_guest(&host, "one", 7 * GIB);
    fake_tree_write(host.tree, "unified/one.scope/cgroup.stat", "nr_descendants 0\n");
    fake_tree_write(host.tree, "unified/one.scope/cgroup.procs", "%d\n", (int)pid);
    fake_tree_write(host.tree, "unified/one.scope/memory.reclaim", "nothing\n");
    (void)snprintf(path, sizeof path, "proc/%d/cgroup", (int)pid);
    fake_tree_write(host.tree, path, "0::/one.scope\n");
    (void)snprintf(path, sizeof path, "proc/%d/status", (int)pid);
    fake_tree_write(host.tree, path,
        "VmLck: 0 kB\nVmPin: 0 kB\nRssAnon: 7340032 kB\nRssFile: 0 kB\nRssShmem: 0 kB\n"
        "VmPTE: 0 kB\nVmSwap: 0 kB\nHugetlbPages: 0 kB\n");
    fake_tree_write(host.tree, "proc/meminfo",
        "MemTotal: 16777216 kB\nMemFree: 524288 kB\nMemAvailable: 524288 kB\n"
        "SwapTotal: 8388608 kB\nSwapFree: 8388608 kB\nAnonPages: 14680064 kB\nShmem: 0 kB\n"
        "SUnreclaim: 65536 kB\nPageTables: 20480 kB\n");
    fake_host_start_guard(&host);
    (void)snprintf(path, sizeof path, "%s/unified/one.scope/memory.reclaim", host.tree->folder);
    for (unsigned i = 0; i < 300 && !plan_has(&host, ACTION_RECLAIM, pid); i++)
        fake_host_tick(&host, 100 * NSEC_PER_MSEC);
    ck_assert(plan_has(&host, ACTION_RECLAIM, pid));
    if (enforced) {
        ck_assert(!known(vm_of(&host, pid).reclaim.answered));
        struct vm *vm = inventory_vm(host.guard->inventory, vm_of(&host, pid).slot);
        while (!known(vm->figures.reclaim.answered))
            ck_assert_int_eq(loop_wait(host.guard->loop, loop_now() + NSEC_PER_SEC), 0);
        ck_assert_int_eq(vm->figures.reclaim.result, 0);
        written = "16777216";
    }
    ck_assert_str_eq(scratch_read(path), written);
    ck_assert_int_ne(fake_host_real_state(pid), 'T');
    fake_host_end(&host);
}
END_TEST

int main(void)
{
    if (!suite_has_pidfd())
        return suite_skip(SUITE_NO_PIDFD);

    Suite *suite = suite_create("tick");
    TCase *whole = tcase_create("whole ticks");

    tcase_set_timeout(whole, 60);
    tcase_add_loop_test(whole, calm_host_is_seen_whole, 0, FAKE_CGROUPS_HYBRID + 1);
    tcase_add_loop_test(whole, sprint_freezes_and_room_thaws, 0, FAKE_CGROUPS_HYBRID + 1);
    tcase_add_test(whole, below_the_floor_the_least_valuable_dies);
    tcase_add_test(whole, dry_run_touches_nobody);
    tcase_add_test(whole, what_cannot_be_read_is_unknown_and_the_tick_goes_on);
    tcase_add_test(whole, second_guard_is_refused_and_told_who);
    tcase_add_test(whole, peer_14_bad_reload_keeps_what_was);
    tcase_add_loop_test(whole, what_fills_the_host_is_named, 0, 2);
    tcase_add_loop_test(whole, what_is_idle_goes_to_swap, 0, 2);
    suite_add_tcase(suite, whole);
    return suite_run(suite);
}
