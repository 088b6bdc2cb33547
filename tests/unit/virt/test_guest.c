/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest without a monitor of its own, through libvirt's side: what is known of it, and what is
 * done to it. A whole guard on a fake host; plimsoll-virt is the fake, which plays one guest.
 */
#include "act.h"
#include "fake_host.h"
#include "fake_virt.h"
#include "suite.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define PATIENCE (20 * NSEC_PER_SEC)

static struct fake_host host;
static pid_t guest;
/* How much later it is for the link, and for the looks, than it is. */
static uint64_t ahead, ahead_of_looks;

static void start(const char *behaviour, const char *mode)
{
    const char *arguments[] = {"qemu-system-x86_64", "-name", "guest=web", "-uuid",
        FAKE_VIRT_UUID_TEXT, "-m", "1024", NULL};
    struct guard_options options;
    struct error error = {0};

    fake_host_begin(&host, FAKE_CGROUPS_V2, "");
    guest = fake_host_guest(&host, "web", GIB);
    fake_tree_cmdline(host.tree, guest, arguments);
    fake_tree_write(host.tree, "plimsoll.conf",
        "[guard]\nmode=%s\nqmp-directory=/nonexistent\nmax-vms=8\nlibvirt=fake://%s/%d/default\n",
        mode, behaviour, (int)guest);
    options = (struct guard_options){
        .config_path = host.config_path,
        .runtime_directory = host.tree->folder,
        .virt_program = FAKE_VIRT_PROGRAM,
        .roots = host.tree->roots,
    };
    ck_assert_msg(guard_new(&options, &host.guard, &error) == 0, "%s", error.text);
    ahead = ahead_of_looks = 0;
}

static struct vm *web(void)
{
    for (uint32_t slot = 0; slot < host.guard->vm_capacity; slot++) {
        struct vm *vm = inventory_vm(host.guard->inventory, slot);
        if (vm && vm->figures.identity.pid == guest)
            return vm;
    }
    ck_abort_msg("the guest is not known");
}

/* One turn of the guard's loop, without its ticks. */
static void turn(void)
{
    uint64_t now = loop_now();

    guard_advance_virt(host.guard, now + ahead);
    guard_advance_calls(host.guard, now + ahead_of_looks);
    act_pause_advance(web(), now + ahead);
    act_balloon_advance(web(), now + ahead);
    ck_assert_int_eq(loop_wait(host.guard->loop, now + 20 * NSEC_PER_MSEC), 0);
}

#define await(condition)                                                 \
    for (uint64_t limit = loop_now() + PATIENCE; !(condition);) {        \
        ck_assert_msg(loop_now() < limit, "never came: %s", #condition); \
        turn();                                                          \
    }

#define figures() (web()->figures)

/* Looked at once, and asked for reports. */
static void start_and_look(const char *behaviour)
{
    start(behaviour, "enforce");
    await(figures().monitor == VM_MONITOR_READY);
    ck_assert_int_eq((int)figures().run_state, VM_RUN_RUNNING);
}

START_TEST(it_is_looked_at)
{
    start_and_look("serves");
    ck_assert_uint_eq(figures().maximum, FAKE_VIRT_MEMORY);
    ck_assert_uint_eq(figures().balloon.actual, FAKE_VIRT_MEMORY);
    ck_assert_int_eq((int)figures().balloon.device, TRISTATE_YES);
    ck_assert_int_eq((int)figures().migration, VM_MIGRATION_NONE);
    /* Its driver reports once it is asked to, and so shows that it is there. */
    await(figures().balloon.driver == TRISTATE_YES);
    ck_assert_uint_eq(figures().statistics.total, FAKE_VIRT_MEMORY);
    ck_assert_uint_eq(figures().statistics.available, FAKE_VIRT_MEMORY / 2);
    ck_assert(known(figures().statistics.updated));
    fake_host_tick(&host, NSEC_PER_SEC);
    struct vm_snapshot seen = host.guard->snapshot->vms[0];
    enum vm_kind_reason reason;
    enum vm_kind kind;
    seen.hugetlb = 0; /* which every guest of the fake host has */
    vm_classify(&seen, &kind, &reason);
    ck_assert_str_eq(vm_kind_reason_name(reason), "none");
    ck_assert_int_eq((int)kind, VM_KIND_ELASTIC);
    fake_host_end(&host);
}
END_TEST

/* What libvirt's definition says of it, no look does. */
/* A change of it may be that it has come, and runs: from then on it is no cheap victim. What it was
 * started for is all that is known of one that libvirt still starts. */
START_TEST(an_arrival_is_believed_until_something_changes)
{
    start_and_look("serves");
    figures().migration = VM_MIGRATION_INCOMING;
    guard_resolve_rules(host.guard, web());
    ck_assert_int_eq((int)figures().migration, VM_MIGRATION_UNKNOWN);
    await(figures().migration == VM_MIGRATION_NONE);
    figures().migration = VM_MIGRATION_LOADING;
    guard_resolve_rules(host.guard, web());
    ck_assert_int_eq((int)figures().migration, VM_MIGRATION_LOADING);
    await(figures().migration == VM_MIGRATION_NONE);
}
END_TEST

START_TEST(its_definition_counts)
{
    static const struct {
        bool deflates, reports, encrypted;
        enum vm_kind_reason reason;
    } said[] = {
        {false, false, false, VM_KIND_REASON_NONE},
        {true, false, false, VM_KIND_REASON_DEFLATES_ON_OOM},
        {false, true, false, VM_KIND_REASON_FREE_PAGE_REPORTING},
        {false, false, true, VM_KIND_REASON_ENCRYPTED},
    };
    enum vm_kind_reason reason;
    enum vm_kind kind;

    start_and_look("serves");
    await(figures().balloon.driver == TRISTATE_YES);
    const struct virt_domain *known_domain =
        virt_link_domain(host.guard->virt, figures().identity.uuid, guest);
    ck_assert_ptr_nonnull(known_domain);
    struct virt_domain domain = *known_domain;
    domain.deflates = said[_i].deflates;
    domain.reports = said[_i].reports;
    domain.encrypted = said[_i].encrypted;
    virt_guest_join(web(), host.guard->virt, &domain);
    fake_host_tick(&host, NSEC_PER_SEC);
    struct vm_snapshot seen = host.guard->snapshot->vms[0];
    seen.hugetlb = 0; /* which every guest of the fake host has */
    vm_classify(&seen, &kind, &reason);
    ck_assert_str_eq(vm_kind_reason_name(reason), vm_kind_reason_name(said[_i].reason));
    fake_host_end(&host);
}
END_TEST

/* In dry run nothing is changed in a guest, not even whether it reports. */
START_TEST(dry_run_only_looks)
{
    start("serves", "dry-run");
    await(figures().monitor == VM_MONITOR_READY);
    for (int i = 0; i < 5; i++, ahead_of_looks += 61 * NSEC_PER_SEC) {
        turn();
        await(!web()->virt.looking);
    }
    ck_assert_uint_eq(figures().balloon.actual, FAKE_VIRT_MEMORY);
    ck_assert(!known(figures().statistics.updated));
    ck_assert_int_eq(act_balloon(web(), 512 * MIB, MODE_DRY_RUN, loop_now()), 0);
    ck_assert_int_eq(act_pause(web(), MODE_DRY_RUN, loop_now()), 0);
    ck_assert_uint_eq(figures().measures.in_force, 0);
    ck_assert_uint_eq(web()->balloons_pending, 0);
    fake_host_end(&host);
}
END_TEST

START_TEST(its_balloon_moves)
{
    start_and_look("serves");
    ck_assert_int_eq(act_balloon(web(), 512 * MIB, MODE_ENFORCE, loop_now()), 0);
    ck_assert(vm_has(web(), VM_MEASURE_BALLOON)); /* before libvirt has heard of it */
    await(figures().balloon.actual == 512 * MIB);
    ck_assert_uint_eq(figures().measures.balloon_before, FAKE_VIRT_MEMORY);
    ck_assert(vm_has(web(), VM_MEASURE_BALLOON));
    ck_assert_int_eq(act_balloon(web(), FAKE_VIRT_MEMORY, MODE_ENFORCE, loop_now()), 0);
    await(figures().balloon.actual == FAKE_VIRT_MEMORY);
    ck_assert(!vm_has(web(), VM_MEASURE_BALLOON));
    fake_host_end(&host);
}
END_TEST

START_TEST(paused_and_resumed)
{
    start_and_look("serves");
    ck_assert_int_eq(act_pause(web(), MODE_ENFORCE, loop_now()), 0);
    ck_assert(vm_has(web(), VM_MEASURE_STOP_SENT));
    await(vm_has(web(), VM_MEASURE_STOPPED));
    ck_assert_int_eq((int)figures().run_state, VM_RUN_PAUSED);
    ck_assert_int_eq(act_pause(web(), MODE_ENFORCE, loop_now()), -EALREADY);
    ck_assert_int_eq(act_resume(web(), MODE_ENFORCE, loop_now()), 0);
    await(!vm_has(web(), VM_MEASURE_PAUSE));
    await(!web()->virt.due && !web()->virt.looking);
    ck_assert_int_eq((int)figures().run_state, VM_RUN_RUNNING);
    ck_assert_uint_eq(figures().measures.in_force, 0);
    fake_host_end(&host);
}
END_TEST

/* Whatever else libvirt answers, nothing is left behind that was not done. */
START_TEST(libvirt_refuses)
{
    start_and_look("refuses");
    ck_assert_int_eq(act_pause(web(), MODE_ENFORCE, loop_now()), 0);
    await(!web()->stop_pending);
    ck_assert_uint_eq(figures().measures.in_force, 0);
    ck_assert_int_eq(act_balloon(web(), 512 * MIB, MODE_ENFORCE, loop_now()), 0);
    await(web()->balloons_pending == 0);
    ck_assert_int_eq((int)figures().monitor, VM_MONITOR_READY);
    fake_host_end(&host);
}
END_TEST

/* Of whom nothing is known nothing is asked, and a freeze needs nobody. */
START_TEST(a_look_says_nothing)
{
    start("blank", "enforce");
    await(figures().monitor == VM_MONITOR_SILENT);
    ck_assert_int_eq((int)figures().run_state, VM_RUN_UNKNOWN);
    ck_assert(!known(figures().balloon.actual));
    ck_assert_int_eq(act_pause(web(), MODE_ENFORCE, loop_now()), -ENOTCONN);
    fake_host_end(&host);
}
END_TEST

/* A look that is not answered is as good as a monitor that is silent: signals are what is left. */
START_TEST(libvirt_does_not_answer)
{
    start("good", "enforce");
    await(web()->virt.looking);
    ck_assert_int_eq((int)figures().monitor, VM_MONITOR_CONNECTING);
    ahead = MONITOR_STOP_TIMEOUT;
    await(figures().monitor == VM_MONITOR_SILENT);
    ck_assert_int_eq(act_pause(web(), MODE_ENFORCE, loop_now()), -ENOTCONN);
    ck_assert_int_eq(act_balloon(web(), GIB, MODE_ENFORCE, loop_now()), -ENOTCONN);
    ck_assert_uint_eq(figures().measures.in_force, 0);
    ck_assert_int_eq(act_freeze(web(), MODE_ENFORCE, loop_now()), 0);
    fake_host_await(guest, WSTOPPED);
    ck_assert_int_eq(act_resume(web(), MODE_ENFORCE, loop_now()), 0);
    fake_host_await(guest, WCONTINUED);
    fake_host_end(&host);
}
END_TEST

/* The guest of a plimsoll-virt that ends in the middle: the next one tells what became of it. */
START_TEST(it_ends_under_a_pause)
{
    start("drops", "enforce");
    await(figures().sources & VM_SOURCE_LIBVIRT);
    /* As if it had been looked at: the first call is what ends it. */
    figures().monitor = VM_MONITOR_READY;
    figures().run_state = VM_RUN_RUNNING;
    web()->virt.looking = true;
    if (act_pause(web(), MODE_ENFORCE, loop_now()) == 0) {
        await(!web()->stop_pending);
        ck_assert(vm_has(web(), VM_MEASURE_STOP_SENT)); /* perhaps it stops yet */
        ck_assert_int_eq((int)figures().run_state, VM_RUN_UNKNOWN);
    }
    ck_assert_int_eq((int)figures().monitor, VM_MONITOR_CONNECTING);
    ck_assert_int_eq(act_pause(web(), MODE_ENFORCE, loop_now()),
        vm_has(web(), VM_MEASURE_STOP_SENT) ? -EALREADY : -ENOTCONN);
    fake_host_end(&host);
}
END_TEST

/* Stopped by a signal it would hold up whoever asks it. */
START_TEST(a_stopped_process_is_not_asked)
{
    start_and_look("serves");
    fake_tree_write(host.tree, "plimsoll.conf", "[guard]\nmode=enforce\nmax-vms=8\n");
    web()->freeze_count = 0;
    ck_assert_int_eq(act_freeze(web(), MODE_ENFORCE, loop_now()), 0);
    fake_host_await(guest, WSTOPPED);
    await(!web()->virt.looking);
    web()->virt.due = true;
    ahead_of_looks = PATIENCE;
    turn();
    ck_assert(!web()->virt.looking && web()->virt.due);
    ck_assert_int_eq((int)figures().monitor, VM_MONITOR_READY);
    ck_assert_int_eq(act_thaw(web(), MODE_ENFORCE), 0);
    fake_host_await(guest, WCONTINUED);
    await(!web()->virt.due);
    fake_host_end(&host);
}
END_TEST

START_TEST(libvirt_is_switched_off_under_a_pause)
{
    struct error error = {0};

    start_and_look("serves");
    ck_assert_int_eq(act_pause(web(), MODE_ENFORCE, loop_now()), 0);
    fake_tree_write(host.tree, "plimsoll.conf", "[guard]\nmode=enforce\nmax-vms=8\nlibvirt=off\n");
    ck_assert_msg(guard_reload(host.guard, &error) == 0, "%s", error.text);
    ck_assert_int_eq((int)figures().monitor, VM_MONITOR_NONE);
    ck_assert(!web()->stop_pending);
    turn();
    ck_assert(vm_has(web(), VM_MEASURE_STOP_SENT)); /* nobody knows, and it stays in the ledger */
    fake_host_end(&host);
}
END_TEST

START_TEST(it_ends_while_it_is_asked)
{
    start_and_look("serves");
    ck_assert_int_eq(act_balloon(web(), 512 * MIB, MODE_ENFORCE, loop_now()), 0);
    ck_assert_int_eq(act_pause(web(), MODE_ENFORCE, loop_now()), 0);
    ck_assert_int_eq(kill(guest, SIGKILL), 0);
    fake_host_await(guest, WEXITED);
    for (uint64_t limit = loop_now() + PATIENCE; inventory_vm(host.guard->inventory, 0);) {
        ck_assert(loop_now() < limit);
        ck_assert_int_eq(loop_wait(host.guard->loop, loop_now() + 20 * NSEC_PER_MSEC), 0);
        inventory_advance(host.guard->inventory, BAND_CALM, loop_now());
    }
    for (int i = 0; i < 3; i++) { /* the answers come to nobody */
        guard_advance_virt(host.guard, loop_now());
        ck_assert_int_eq(loop_wait(host.guard->loop, loop_now() + 20 * NSEC_PER_MSEC), 0);
    }
    fake_host_end(&host);
}
END_TEST

/* What is in force by the ledger has to come to be, on the way there and back. */
START_TEST(a_target_that_was_not_taken_is_sent_again)
{
    start_and_look("reluctant");
    ck_assert_int_eq(act_balloon(web(), 512 * MIB, MODE_ENFORCE, loop_now()), 0);
    await(web()->balloons_pending == 0);
    ck_assert(vm_has(web(), VM_MEASURE_BALLOON));
    ck_assert_uint_ne(web()->balloon_again, 0);
    ck_assert_uint_eq(figures().balloon.actual, FAKE_VIRT_MEMORY);
    ahead = 2 * NSEC_PER_SEC;
    await(figures().balloon.actual == 512 * MIB);
    ck_assert_int_eq(act_balloon(web(), FAKE_VIRT_MEMORY, MODE_ENFORCE, loop_now()), 0);
    await(figures().balloon.actual == FAKE_VIRT_MEMORY);
    ck_assert(!vm_has(web(), VM_MEASURE_BALLOON));
    ck_assert_uint_eq(web()->balloon_again, 0);
    fake_host_end(&host);
}
END_TEST

START_TEST(a_suspend_that_was_not_begun_is_no_pause)
{
    start_and_look("reluctant");
    ck_assert_int_eq(act_pause(web(), MODE_ENFORCE, loop_now()), 0);
    await(!web()->stop_pending);
    ck_assert(!vm_has(web(), VM_MEASURE_PAUSE));
    ck_assert_int_eq((int)figures().monitor, VM_MONITOR_READY);
    ck_assert_int_eq(act_pause(web(), MODE_ENFORCE, loop_now()), 0);
    await(vm_has(web(), VM_MEASURE_STOPPED));
    fake_host_end(&host);
}
END_TEST

static int killed_by(const char *behaviour, bool orderly)
{
    siginfo_t end = {0};

    start_and_look(behaviour);
    ck_assert_int_eq(act_kill(web(), REASON_KILL_FLOOR, orderly, MODE_ENFORCE, loop_now()), 0);
    ck_assert(vm_has(web(), VM_MEASURE_KILLED));
    for (uint64_t limit = loop_now() + PATIENCE; end.si_pid == 0;) {
        ck_assert(loop_now() < limit);
        ck_assert_int_eq(waitid(P_PID, (id_t)guest, &end, WEXITED | WNOHANG | WNOWAIT), 0);
        guard_advance_virt(host.guard, loop_now());
        ck_assert_int_eq(loop_wait(host.guard->loop, loop_now() + 20 * NSEC_PER_MSEC), 0);
        struct vm *vm = inventory_vm(host.guard->inventory, 0);
        if (vm)
            act_kill_advance(vm, false, loop_now());
    }
    fake_host_end(&host);
    return end.si_status;
}

START_TEST(destroyed_by_libvirt_where_there_is_time)
{
    ck_assert_int_eq(killed_by("serves", true), SIGTERM);
}
END_TEST

START_TEST(killed_where_there_is_none)
{
    ck_assert_int_eq(killed_by("serves", false), SIGKILL);
}
END_TEST

START_TEST(killed_where_libvirt_refuses)
{
    ck_assert_int_eq(killed_by("refuses", true), SIGKILL);
}
END_TEST

START_TEST(killed_where_libvirt_does_nothing)
{
    ck_assert_int_eq(killed_by("spares", true), SIGKILL);
}
END_TEST

int main(int argc, char *argv[])
{
    int status;

    if (fake_virt_main(argc, argv, &status))
        return status;
    if (!suite_has_pidfd())
        return suite_skip("%s", SUITE_NO_PIDFD);
    Suite *suite = suite_create("virt_guest");
    TCase *tests = tcase_create("guest");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, it_is_looked_at);
    tcase_add_test(tests, an_arrival_is_believed_until_something_changes);
    tcase_add_loop_test(tests, its_definition_counts, 0, 4);
    tcase_add_test(tests, dry_run_only_looks);
    tcase_add_test(tests, its_balloon_moves);
    tcase_add_test(tests, paused_and_resumed);
    tcase_add_test(tests, libvirt_refuses);
    tcase_add_test(tests, a_look_says_nothing);
    tcase_add_test(tests, libvirt_does_not_answer);
    tcase_add_test(tests, it_ends_under_a_pause);
    tcase_add_test(tests, a_stopped_process_is_not_asked);
    tcase_add_test(tests, libvirt_is_switched_off_under_a_pause);
    tcase_add_test(tests, it_ends_while_it_is_asked);
    tcase_add_test(tests, a_target_that_was_not_taken_is_sent_again);
    tcase_add_test(tests, a_suspend_that_was_not_begun_is_no_pause);
    tcase_add_test(tests, destroyed_by_libvirt_where_there_is_time);
    tcase_add_test(tests, killed_where_there_is_none);
    tcase_add_test(tests, killed_where_libvirt_refuses);
    tcase_add_test(tests, killed_where_libvirt_does_nothing);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
