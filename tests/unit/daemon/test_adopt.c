/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a guard makes of the measures that one before it left in the ledger, and whose monitor is
 * whose. The first guard ends without leaving properly, as one that was killed does: what it had in
 * force stays in force and in the ledger.
 */
#include "act.h"
#include "fake_guest.h"
#include "inventory_private.h"
#include "process.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <plimsoll/cleanup.h>

static struct fake_host host;

/* The first guard goes, the next one comes. */
static void guard_restart(void)
{
    host.guard = guard_free(host.guard);
    fake_host_start_guard(&host);
}

static struct vm *vm_of(pid_t pid)
{
    return fake_guest_vm(&host, pid);
}

/* These are in force on PID, the ledger says so, too, and nothing else is. */
static void expect_measures(pid_t pid, uint32_t measures)
{
    const struct vm *vm = vm_of(pid);
    const struct ledger_entry *entry = ledger_get(host.guard->ledger, vm->slot);

    ck_assert_uint_eq(vm->figures.measures.in_force, measures);
    ck_assert_uint_eq(entry ? entry->measures.in_force : 0, measures);
}

/* A guest without a monitor that the first guard has frozen. */
static pid_t frozen_guest(const char *monitor)
{
    fake_guest_host(&host, "keep");
    pid_t pid = fake_host_guest(&host, "one", 4 * GIB);
    fake_host_start_guard(&host);
    struct vm *vm = vm_of(pid);
    (void)snprintf(vm->monitor_before, sizeof vm->monitor_before, "%s", monitor);
    ck_assert_int_eq(act_freeze(vm, MODE_ENFORCE, host.now), 0);
    fake_host_await(pid, WSTOPPED);
    return pid;
}

START_TEST(kill_noted_but_not_sent_is_dropped)
{
    pid_t pid = frozen_guest("");
    struct vm *vm = vm_of(pid);
    bool sent = _i == 1;
    char path[64];

    vm->figures.measures.in_force |= VM_MEASURE_KILLED;
    vm->figures.measures.killed_since = host.now;
    vm_write_ledger(vm);
    if (sent) { /* and the process is still dying */
        (void)snprintf(path, sizeof path, "proc/%d/status", (int)pid);
        fake_tree_write(host.tree, path,
            "Name:\tqemu\nState:\tD (disk sleep)\nSigPnd:\t0000000000000000\n"
            "ShdPnd:\t0000000000000100\n");
    }
    guard_restart();
    expect_measures(pid, VM_MEASURE_FROZEN_SIGNAL | (sent ? (uint32_t)VM_MEASURE_KILLED : 0));
    ck_assert(known(vm_of(pid)->figures.measures.killed_since) == sent);
    ck_assert_int_eq(fake_host_real_state(pid), 'T');
    fake_host_end(&host);
}
END_TEST

/* It can be asked to stop properly only when it runs; where nobody can ask, it stays frozen. */
START_TEST(freeze_by_signal_ends_where_a_monitor_is)
{
    bool monitor = _i == 1;
    pid_t pid = frozen_guest(monitor ? "/nonexistent/one" : "");

    guard_restart();
    if (monitor)
        fake_host_await(pid, WCONTINUED);
    ck_assert_int_eq(fake_host_real_state(pid) == 'T', !monitor);
    expect_measures(pid, monitor ? 0 : VM_MEASURE_FROZEN_SIGNAL);
    fake_host_end(&host);
}
END_TEST

START_TEST(stop_in_flight_is_judged_by_the_run_state)
{
    struct fake_guest guest;
    bool stopped = _i == 1;

    fake_guest_host(&host, "keep");
    fake_guest_start(&guest, &host, "one", 4 * GIB);
    fake_host_start_guard(&host);
    fake_guest_await_monitor(&host, &guest);
    /* What act_pause() has written when its guard is killed right after. */
    struct vm *vm = vm_of(guest.pid);
    vm->figures.measures.in_force |= VM_MEASURE_STOP_SENT;
    vm->figures.measures.paused_since = host.now;
    vm_write_ledger(vm);
    guest.record->running = !stopped;
    guard_restart();
    expect_measures(guest.pid, VM_MEASURE_STOP_SENT);
    fake_guest_await_monitor(&host, &guest);
    expect_measures(guest.pid, stopped ? VM_MEASURE_STOPPED : 0);
    ck_assert_uint_eq(guest.record->conts, 0);
    if (stopped) {
        ck_assert_int_eq(act_resume(vm_of(guest.pid), MODE_ENFORCE, loop_now()), 0);
        fake_guest_await(&host, !vm_has(vm_of(guest.pid), VM_MEASURE_PAUSE));
        ck_assert_uint_eq(guest.record->conts, 1);
    }
    fake_guest_end(&guest);
    fake_host_end(&host);
}
END_TEST

START_TEST(what_could_not_be_placed_is_adopted_when_it_is_found)
{
    pid_t pid = frozen_guest("");
    uint32_t slot = vm_of(pid)->slot;
    char path[64];

    host.guard = guard_free(host.guard);
    (void)snprintf(path, sizeof path, "proc/%d/stat", (int)pid);
    fake_tree_write(host.tree, path, "not readable now\n");
    fake_host_start_guard(&host);
    ck_assert_ptr_null(inventory_vm(host.guard->inventory, slot));
    ck_assert_ptr_nonnull(ledger_get(host.guard->ledger, slot));
    fake_host_dress(&host, pid, "one", 4 * GIB);
    inventory_scan_all(host.guard->inventory);
    ck_assert_uint_eq(vm_of(pid)->slot, slot);
    expect_measures(pid, VM_MEASURE_FROZEN_SIGNAL);
    ck_assert_int_eq(act_resume(vm_of(pid), MODE_ENFORCE, loop_now()), 0);
    fake_host_await(pid, WCONTINUED);
    expect_measures(pid, 0);
    fake_host_end(&host);
}
END_TEST

/* ---- brake ---- */

static void quota_file(const char *group, const char *text)
{
    char path[64];

    (void)snprintf(path, sizeof path, "unified/one/%s/cpu.max", group);
    fake_tree_write(host.tree, path, "%s", text);
}

static void quota_expect(const char *group, const char *text)
{
    char path[256];

    (void)snprintf(path, sizeof path, "%s/unified/one/%s/cpu.max", host.tree->folder, group);
    ck_assert_msg(
        strncmp(scratch_read(path), text, strlen(text)) == 0, "has \"%s\"", scratch_read(path));
}

/* A guest whose one vCPU has a cgroup of its own, by the name of its thread. */
static pid_t vcpu_guest(void)
{
    static const struct {
        const char *path, *text;
    } files[] = {
        {"unified/one/vcpu0/cgroup.threads", "1234567\n"},
        {"unified/one/vcpu0/cgroup.stat", "nr_descendants 0\nnr_dying_descendants 0\n"},
        {"unified/one/vcpu0/cgroup.freeze", "0\n"},
    };
    char path[64];

    pid_t pid = fake_host_guest(&host, "one", 4 * GIB);
    (void)snprintf(path, sizeof path, "proc/%d/task/1234567/cgroup", (int)pid);
    fake_tree_write(host.tree, path, "0::/one/vcpu0\n");
    (void)snprintf(path, sizeof path, "proc/%d/task/1234567/comm", (int)pid);
    fake_tree_write(host.tree, path, "CPU 0/KVM\n");
    for (unsigned i = 0; i < ELEMENTSOF(files); i++)
        fake_tree_write(host.tree, files[i].path, "%s", files[i].text);
    return pid;
}

/* The descriptors that can release it are kept while it is braked, whatever is found meanwhile. By
 * index: whether the cpu controller reaches its group. */
START_TEST(vcpus_are_found_to_be_braked)
{
    bool reached = _i == 1;

    fake_guest_host(&host, "keep");
    pid_t pid = vcpu_guest();
    if (reached)
        quota_file("vcpu0", "max 100000\n");
    fake_host_start_guard(&host);
    struct vm *vm = vm_of(pid);
    ck_assert_int_eq(vm->figures.vcpu_cgroups, TRISTATE_YES);
    ck_assert_int_eq(vm->figures.vcpu_quotas, reached ? TRISTATE_YES : TRISTATE_NO);
    ck_assert_int_eq(act_brake(vm, MODE_ENFORCE, host.now), reached ? 0 : -ENODEV);
    expect_measures(pid, reached ? VM_MEASURE_BRAKED : 0);
    if (reached) {
        inventory_take_vcpus(host.guard->inventory, vm, NULL, 0);
        ck_assert_int_eq(vm->figures.vcpu_cgroups, TRISTATE_NO);
        ck_assert_int_eq(vm->figures.vcpu_quotas, TRISTATE_YES);
        quota_expect("vcpu0", "5000 100000\n");
        ck_assert_int_eq(act_release(vm, MODE_ENFORCE), 0);
        quota_expect("vcpu0", "max 100000\n");
        inventory_take_vcpus(host.guard->inventory, vm, NULL, 0);
        ck_assert_int_eq(vm->figures.vcpu_quotas, TRISTATE_NO);
    }
    fake_host_end(&host);
}
END_TEST

/* As an earlier guard left it a while ago: in force, in the ledger, and no descriptor in hand. */
static pid_t braked_guest(uint64_t ago)
{
    char path[64];

    fake_guest_host(&host, "keep");
    pid_t pid = fake_host_guest(&host, "one", 4 * GIB);
    (void)snprintf(path, sizeof path, "proc/%d/task/%d/cgroup", (int)pid, (int)pid);
    fake_tree_write(host.tree, path, "0::/one/emulator\n");
    (void)snprintf(path, sizeof path, "proc/%d/task/1234567/cgroup", (int)pid);
    fake_tree_write(host.tree, path, "0::/one/vcpu0\n");
    quota_file("emulator", "max 100000\n");
    quota_file("vcpu0", "5000 100000\n");
    fake_host_start_guard(&host);
    struct vm *vm = vm_of(pid);
    vm->figures.measures.in_force |= VM_MEASURE_BRAKED;
    vm->figures.measures.braked_since = host.now - ago;
    vm->quota_before = (struct vcpu_quota){.quota = 50000, .period = 100000};
    vm_write_ledger(vm);
    return pid;
}

/* With time left on its clock, too, where memory is not scarce. */
START_TEST(brake_of_an_earlier_guard_is_released)
{
    pid_t pid = braked_guest(_i == 0 ? NSEC_PER_MINUTE : NSEC_PER_SEC);

    guard_restart();
    expect_measures(pid, VM_MEASURE_BRAKED);
    fake_host_set_available(&host, _i == 0 ? GIB : 12 * GIB);
    fake_host_tick(&host, NSEC_PER_SEC);
    ck_assert(!vm_has(vm_of(pid), VM_MEASURE_BRAKED));
    quota_expect("vcpu0", "50000 100000\n");
    quota_expect("emulator", "max 100000\n");
    fake_host_end(&host);
}
END_TEST

/* Also with on-exit=keep. */
START_TEST(brake_does_not_outlive_its_guard)
{
    pid_t pid = braked_guest(NSEC_PER_SEC);

    guard_leave(host.guard);
    expect_measures(pid, 0);
    quota_expect("vcpu0", "50000 100000\n");
    fake_host_end(&host);
}
END_TEST

/* ---- oom_score_adj; in a fake file a shorter text would leave the end of a longer one ---- */

static void score_put(pid_t pid, int score)
{
    char path[64];

    (void)snprintf(path, sizeof path, "proc/%d/oom_score_adj", (int)pid);
    fake_tree_write(host.tree, path, "%d\n", score);
}

static int score_get(pid_t pid)
{
    char path[128];
    int32_t score = 0;

    (void)snprintf(path, sizeof path, "%s/%d/oom_score_adj", host.tree->proc, (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(process_score_read(fd, &score), 0);
    (void)close(fd);
    return score;
}

#define SCORE_BEFORE (-250)
#define SCORE_FIRST (-300)
#define SCORE_SECOND (-100)
#define SCORE_OF_ANOTHER (-900)

static const struct {
    int found;    /* in the kernel by the second guard */
    int restored; /* what is there after it has taken its score back */
} scores[] = {
    {SCORE_SECOND, SCORE_BEFORE},
    {SCORE_FIRST, SCORE_BEFORE}, /* killed between ledger and kernel */
    {SCORE_OF_ANOTHER, SCORE_OF_ANOTHER},
};

static pid_t scored_guest(void)
{
    const struct roots *roots;

    fake_guest_host(&host, "keep");
    pid_t pid = fake_host_guest(&host, "one", 4 * GIB);
    fake_host_start_guard(&host);
    roots = &host.guard->roots;
    ck_assert_int_eq(score_get(pid), SCORE_BEFORE);
    ck_assert_int_eq(act_oom_score(vm_of(pid), roots, SCORE_FIRST, MODE_ENFORCE), 0);
    ck_assert_int_eq(act_oom_score(vm_of(pid), roots, SCORE_SECOND, MODE_ENFORCE), 0);
    ck_assert_int_eq(score_get(pid), SCORE_SECOND);
    return pid;
}

START_TEST(score_of_an_earlier_guard_is_taken_back)
{
    pid_t pid = scored_guest();

    score_put(pid, scores[_i].found);
    guard_restart();
    expect_measures(pid, VM_MEASURE_OOM_SCORE);
    ck_assert_int_eq(act_oom_score_restore(vm_of(pid), &host.guard->roots), 0);
    ck_assert_int_eq(score_get(pid), scores[_i].restored);
    expect_measures(pid, 0);
    fake_host_end(&host);
}
END_TEST

START_TEST(score_set_anew_remembers_the_original)
{
    pid_t pid = scored_guest();
    bool ours = scores[_i].restored == SCORE_BEFORE;

    score_put(pid, scores[_i].found);
    guard_restart();
    ck_assert_int_eq(act_oom_score(vm_of(pid), &host.guard->roots, -500, MODE_ENFORCE), 0);
    ck_assert_int_eq(score_get(pid), -500);
    ck_assert_int_eq(act_oom_score_restore(vm_of(pid), &host.guard->roots), 0);
    ck_assert_int_eq(score_get(pid), ours ? SCORE_BEFORE : SCORE_OF_ANOTHER);
    fake_host_end(&host);
}
END_TEST

/* ---- whose monitor ---- */

static struct monitor *monitor_at(const char *path)
{
    const struct inventory *inventory = host.guard->inventory;

    for (unsigned i = 0; i < inventory->monitor_count; i++) {
        if (strcmp(monitor_path(inventory->monitors[i]), path) == 0)
            return inventory->monitors[i];
    }
    return NULL;
}

static bool is_served_by(const char *path, pid_t pid)
{
    struct monitor *monitor = monitor_at(path);

    return monitor && qmp_session_state(monitor_session(monitor)) == QMP_STATE_READY &&
           qmp_session_peer(monitor_session(monitor)) == pid;
}

START_TEST(socket_that_changes_hands_drives_nobody_else)
{
    struct fake_guest one, two;
    char path[108];

    fake_guest_host(&host, "keep");
    fake_guest_path(&host, "one", path);
    fake_guest_start(&one, &host, "one", 4 * GIB);
    fake_guest_start(&two, &host, "two", 4 * GIB);
    fake_host_start_guard(&host);
    fake_guest_await_monitor(&host, &one);
    fake_guest_await_monitor(&host, &two);
    ck_assert_ptr_eq(monitor_vm(monitor_at(path)), vm_of(one.pid));
    /* Before the guard looks again, the other one listens where the first did. */
    fake_guest_leave(&one, path);
    fake_guest_listen(&two, path);
    fake_guest_await(&host, is_served_by(path, two.pid));
    ck_assert_ptr_null(vm_of(one.pid)->monitor);
    ck_assert_int_eq(act_pause(vm_of(one.pid), MODE_ENFORCE, loop_now()), -ENOTCONN);
    ck_assert_int_eq(act_balloon(vm_of(one.pid), GIB, MODE_ENFORCE, loop_now()), -ENOTCONN);
    /* The other is still driven, by the socket it always had. */
    ck_assert_ptr_ne(vm_of(two.pid)->monitor, NULL);
    ck_assert_ptr_ne(vm_of(two.pid)->monitor, monitor_at(path));
    ck_assert_int_eq(act_pause(vm_of(two.pid), MODE_ENFORCE, loop_now()), 0);
    fake_guest_await(&host, vm_has(vm_of(two.pid), VM_MEASURE_STOPPED));
    ck_assert_uint_eq(two.record->stops, 1);
    ck_assert_uint_eq(two.record->balloons, 0);
    ck_assert_uint_eq(one.record->stops, 0);
    fake_guest_end(&one);
    fake_guest_end(&two);
    fake_host_end(&host);
}
END_TEST

/* ---- what is taken back ---- */

START_TEST(dry_run_gives_back_what_is_in_force)
{
    struct error error = {0};
    pid_t pid = frozen_guest("");

    fake_tree_write(host.tree, "plimsoll.conf", "[guard]\nqmp-directory=/nonexistent\nmax-vms=8\n");
    ck_assert_int_eq(guard_reload(host.guard, &error), 0);
    ck_assert_int_eq(host.guard->rules->host.mode, MODE_DRY_RUN);
    /* The fake process has the state that the real one has. */
    fake_tree_process(host.tree, &(struct fake_process){.pid = pid,
                                     .start_time = FAKE_HOST_START_TIME,
                                     .state = 'T',
                                     .rss_kib = 4 * GIB / KIB});
    fake_host_set_available(&host, 12 * GIB);
    for (unsigned i = 0; i < 1200 && vm_has(vm_of(pid), VM_MEASURE_PAUSE); i++)
        fake_host_tick(&host, NSEC_PER_SEC);
    expect_measures(pid, 0);
    fake_host_await(pid, WCONTINUED);
    fake_host_end(&host);
}
END_TEST

/* Its state letter says nothing in the first second; after that, the next full sample decides. */
START_TEST(woken_by_another_is_seen)
{
    bool woken = _i == 1;
    pid_t pid = frozen_guest("");

    if (!woken)
        fake_tree_process(host.tree, &(struct fake_process){.pid = pid,
                                         .start_time = FAKE_HOST_START_TIME,
                                         .state = 'T',
                                         .rss_kib = 4 * GIB / KIB});
    guard_reckon(host.guard, host.now += NSEC_PER_MSEC);
    expect_measures(pid, VM_MEASURE_FROZEN_SIGNAL);
    guard_reckon(host.guard, host.now += 500 * NSEC_PER_MSEC); /* still settling */
    expect_measures(pid, VM_MEASURE_FROZEN_SIGNAL);
    guard_reckon(host.guard, host.now += NSEC_PER_MINUTE);
    expect_measures(pid, woken ? 0 : VM_MEASURE_FROZEN_SIGNAL);
    fake_host_end(&host);
}
END_TEST

int main(void)
{
    if (!suite_has_pidfd())
        return suite_skip(SUITE_NO_PIDFD);

    Suite *suite = suite_create("adopt");
    TCase *measures = tcase_create("measures"), *monitors = tcase_create("monitors");

    tcase_set_timeout(measures, 60);
    tcase_add_loop_test(measures, kill_noted_but_not_sent_is_dropped, 0, 2);
    tcase_add_loop_test(measures, freeze_by_signal_ends_where_a_monitor_is, 0, 2);
    tcase_add_loop_test(measures, stop_in_flight_is_judged_by_the_run_state, 0, 2);
    tcase_add_test(measures, what_could_not_be_placed_is_adopted_when_it_is_found);
    tcase_add_loop_test(measures, vcpus_are_found_to_be_braked, 0, 2);
    tcase_add_loop_test(measures, brake_of_an_earlier_guard_is_released, 0, 2);
    tcase_add_test(measures, brake_does_not_outlive_its_guard);
    tcase_add_loop_test(measures, score_of_an_earlier_guard_is_taken_back, 0, ELEMENTSOF(scores));
    tcase_add_loop_test(measures, score_set_anew_remembers_the_original, 0, ELEMENTSOF(scores));
    tcase_add_test(measures, dry_run_gives_back_what_is_in_force);
    tcase_add_loop_test(measures, woken_by_another_is_seen, 0, 2);
    suite_add_tcase(suite, measures);
    tcase_set_timeout(monitors, 60);
    tcase_add_test(monitors, socket_that_changes_hands_drives_nobody_else);
    suite_add_tcase(suite, monitors);
    return suite_run(suite);
}
