/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Saves and shutdowns through libvirt's side: a whole guard on a fake host; plimsoll-virt is the
 * fake, which plays one guest.
 */
#include "act.h"
#include "fake_host.h"
#include "fake_virt.h"
#include "suite.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#define PATIENCE (20 * NSEC_PER_SEC)
/* What an end is given here; the tests move their own clock past it. */
#define END_TIME (2 * NSEC_PER_MINUTE)

static struct fake_host host;
static pid_t guest;
/* How much later it is for what waits for an end than it is. */
static uint64_t ahead;

struct way {
    enum action_kind kind;
    enum vm_measure measure;
    int (*act)(struct vm *vm, enum reason reason, uint64_t time, enum mode mode, uint64_t now);
};
static const struct way ways[] = {
    {ACTION_SAVE, VM_MEASURE_SAVING, act_save},
    {ACTION_SHUTDOWN, VM_MEASURE_SHUTTING_DOWN, act_shutdown},
};

static void guard_begin(void)
{
    struct guard_options options = {
        .config_path = host.config_path,
        .runtime_directory = host.tree->folder,
        .virt_program = FAKE_VIRT_PROGRAM,
        .roots = host.tree->roots,
    };
    struct error error = {0};

    ck_assert_msg(guard_new(&options, &host.guard, &error) == 0, "%s", error.text);
}

/* NULL: it has ended. */
static struct vm *find_web(void)
{
    for (uint32_t slot = 0; slot < host.guard->vm_capacity; slot++) {
        struct vm *vm = inventory_vm(host.guard->inventory, slot);
        if (vm && !vm->gone && vm->figures.identity.pid == guest)
            return vm;
    }
    return NULL;
}

static struct vm *web(void)
{
    struct vm *vm = find_web();

    ck_assert_ptr_nonnull(vm);
    return vm;
}

/* One turn of the guard's loop, without its ticks. */
static void turn(void)
{
    uint64_t now = loop_now();

    guard_advance_virt(host.guard, now);
    guard_advance_calls(host.guard, now);
    if (find_web())
        act_end_advance(web(), now + ahead);
    ck_assert_int_eq(loop_wait(host.guard->loop, now + 20 * NSEC_PER_MSEC), 0);
}

#define await(condition)                                                 \
    for (uint64_t limit = loop_now() + PATIENCE; !(condition);) {        \
        ck_assert_msg(loop_now() < limit, "never came: %s", #condition); \
        turn();                                                          \
    }

static void start(const char *behaviour, uint64_t rss)
{
    const char *arguments[] = {"qemu-system-x86_64", "-name", "guest=web", "-uuid",
        FAKE_VIRT_UUID_TEXT, "-m", "1024", NULL};

    ahead = 0;
    fake_host_begin(&host, FAKE_CGROUPS_V2, "");
    guest = fake_host_guest(&host, "web", rss);
    fake_tree_cmdline(host.tree, guest, arguments);
    fake_tree_write(host.tree, "plimsoll.conf",
        "[guard]\nmode=enforce\nqmp-directory=/nonexistent\nmax-vms=8\n"
        "libvirt=fake://%s/%d/default\n"
        "[class default]\nmode=enforce\nrungs=save shutdown\n",
        behaviour, (int)guest);
    guard_begin();
    await(web()->figures.monitor == VM_MONITOR_READY);
}

static void begin_end(const struct way *way)
{
    ck_assert_int_eq(way->act(web(), REASON_SAVE_FLOOR, END_TIME, MODE_ENFORCE, loop_now()), 0);
    ck_assert(vm_has(web(), way->measure));
}

static uint32_t in_ledger(void)
{
    const struct ledger_entry *entry = ledger_get(host.guard->ledger, web()->slot);

    return entry ? entry->measures.in_force : 0;
}

START_TEST(it_ends)
{
    siginfo_t end = {0};

    start("serves", GIB);
    guard_reckon(host.guard, loop_now());
    begin_end(&ways[_i]);
    ck_assert_uint_eq(in_ledger(), ways[_i].measure);
    const struct ledger_destruction *past = ledger_history(host.guard->ledger, 0);
    ck_assert_ptr_nonnull(past);
    ck_assert_int_eq((int)past->kind, (int)ways[_i].kind);
    await(!find_web());
    ck_assert_int_eq(waitid(P_PID, (id_t)guest, &end, WEXITED | WNOWAIT), 0);
    ck_assert_int_eq(end.si_status, SIGTERM); /* libvirt's doing, in the fake */
    /* Who was saved will be back. */
    const struct admission *admission = &host.guard->admission;
    ck_assert_uint_eq(admission->saved_count, ways[_i].measure == VM_MEASURE_SAVING);
    if (admission->saved_count > 0)
        ck_assert_uint_eq(admission->saved[0].reservation.returning, GIB);
    fake_host_end(&host);
}
END_TEST

/* That nobody had time for it is no refusal. */
START_TEST(it_is_asked_again)
{
    start("reluctant", GIB);
    begin_end(&ways[_i]);
    await(web()->end_again != 0);
    ck_assert(vm_has(web(), ways[_i].measure));
    await(!find_web());
    fake_host_end(&host);
}
END_TEST

START_TEST(a_dry_run_asks_nobody)
{
    start("serves", GIB);
    ck_assert_int_eq(ways[_i].act(web(), REASON_SAVE_FLOOR, END_TIME, MODE_DRY_RUN, loop_now()), 0);
    ck_assert_uint_eq(web()->figures.measures.in_force, 0);
    ck_assert_ptr_null(ledger_history(host.guard->ledger, 0));
    for (int i = 0; i < 5; i++)
        turn();
    ck_assert_int_eq(fake_host_real_state(guest), 'S');
    fake_host_end(&host);
}
END_TEST

START_TEST(libvirt_refuses)
{
    start("refuses", GIB);
    begin_end(&ways[_i]);
    await(!vm_has(web(), VM_MEASURE_ENDING));
    ck_assert_uint_eq(in_ledger(), 0);
    ck_assert(!known(web()->figures.measures.ending_until));
    ck_assert_int_eq((int)web()->figures.monitor, VM_MONITOR_READY);
    ck_assert_int_eq(fake_host_real_state(guest), 'S');
    fake_host_end(&host);
}
END_TEST

/* A save that is never answered, and a guest that does not listen. */
START_TEST(nothing_comes_of_it)
{
    start("spares", GIB);
    begin_end(&ways[_i]);
    ck_assert_int_eq(
        ways[_i].act(web(), REASON_SAVE_FLOOR, END_TIME, MODE_ENFORCE, loop_now()), -EALREADY);
    ahead = END_TIME - 30 * NSEC_PER_SEC;
    for (int i = 0; i < 10; i++)
        turn();
    ck_assert(vm_has(web(), ways[_i].measure));
    /* The guest is not taken for sick meanwhile. */
    ck_assert_int_eq((int)web()->figures.monitor, VM_MONITOR_READY);
    ahead = END_TIME + NSEC_PER_SEC;
    await(!vm_has(web(), VM_MEASURE_ENDING));
    ck_assert_uint_eq(in_ledger(), 0);
    ck_assert_int_eq(fake_host_real_state(guest), 'S');
    fake_host_end(&host);
}
END_TEST

START_TEST(libvirts_side_ends_meanwhile)
{
    start("spares", GIB);
    begin_end(&ways[0]);
    virt_link_set(host.guard->virt, "off");
    await(!web()->virt.link || !virt_guest_is_callable(web()));
    /* libvirt goes on with it, and by its time nobody has been told more. */
    ck_assert(vm_has(web(), VM_MEASURE_SAVING));
    ahead = END_TIME + NSEC_PER_SEC;
    await(!vm_has(web(), VM_MEASURE_ENDING));
    fake_host_end(&host);
}
END_TEST

START_TEST(the_guest_ends_meanwhile)
{
    start("spares", GIB);
    begin_end(&ways[_i]);
    ck_assert_int_eq(kill(guest, SIGKILL), 0);
    await(!find_web());
    /* What libvirt may still answer finds nobody. */
    ahead = END_TIME + NSEC_PER_SEC;
    for (int i = 0; i < 5; i++)
        turn();
    fake_host_end(&host);
}
END_TEST

START_TEST(a_kill_may_come_over_it)
{
    start("spares", GIB);
    begin_end(&ways[_i]);
    ck_assert_int_eq(act_kill(web(), REASON_KILL_FLOOR, false, MODE_ENFORCE, loop_now()), 0);
    await(!find_web());
    fake_host_end(&host);
}
END_TEST

/* The next guard waits for what was begun, until the time that stands in the ledger. */
START_TEST(a_guard_that_begins_takes_it_over)
{
    start("spares", GIB);
    begin_end(&ways[_i]);
    uint64_t until = web()->figures.measures.ending_until;
    host.guard = guard_free(host.guard);
    guard_begin();
    ck_assert(vm_has(web(), ways[_i].measure));
    ck_assert_uint_eq(web()->figures.measures.ending_until, until);
    for (int i = 0; i < 5; i++)
        turn();
    ck_assert(vm_has(web(), ways[_i].measure));
    ahead = END_TIME + NSEC_PER_SEC;
    await(!vm_has(web(), VM_MEASURE_ENDING));
    fake_host_end(&host);
}
END_TEST

/* All the way: there is nothing left, nobody fills, and the one guest may be shut down. It has a
 * host device, so it is not saved. */
START_TEST(a_tick_has_it_shut_down)
{
    bool shut_down = false;

    start("serves", 12 * GIB);
    fake_host_set_available(&host, 100 * MIB);
    for (int i = 0; i < 200 && !shut_down; i++) {
        fake_host_tick(&host, 100 * NSEC_PER_MSEC);
        for (uint32_t k = 0; k < host.guard->plan->action_count; k++) {
            ck_assert_int_ne((int)host.guard->plan->actions[k].kind, ACTION_SAVE);
            shut_down |= host.guard->plan->actions[k].kind == ACTION_SHUTDOWN;
        }
    }
    ck_assert(shut_down);
    ck_assert(vm_has(web(), VM_MEASURE_SHUTTING_DOWN));
    await(!find_web());
    fake_host_end(&host);
}
END_TEST

START_TEST(who_cannot_be_asked)
{
    start("serves", GIB);
    web()->figures.measures.in_force = VM_MEASURE_STOP_SENT;
    ck_assert_int_eq(
        ways[_i].act(web(), REASON_SAVE_FLOOR, END_TIME, MODE_ENFORCE, loop_now()), -EBUSY);
    web()->figures.measures.in_force = 0;
    web()->virt.id = VIRT_ID_ANY;
    ck_assert(!virt_guest_is_callable(web()));
    ck_assert_int_eq(
        ways[_i].act(web(), REASON_SAVE_FLOOR, END_TIME, MODE_ENFORCE, loop_now()), -ENOTCONN);
    ck_assert_uint_eq(web()->figures.measures.in_force, 0);
    ck_assert_ptr_null(ledger_history(host.guard->ledger, 0));
    fake_host_end(&host);
}
END_TEST

int main(int argc, char *argv[])
{
    int status;

    if (fake_virt_main(argc, argv, &status))
        return status;
    if (!suite_has_pidfd())
        return suite_skip("%s", SUITE_NO_PIDFD);
    Suite *suite = suite_create("virt_ends");
    TCase *tests = tcase_create("ends");

    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, it_ends, 0, 2);
    tcase_add_loop_test(tests, it_is_asked_again, 0, 2);
    tcase_add_loop_test(tests, a_dry_run_asks_nobody, 0, 2);
    tcase_add_loop_test(tests, libvirt_refuses, 0, 2);
    tcase_add_loop_test(tests, nothing_comes_of_it, 0, 2);
    tcase_add_test(tests, libvirts_side_ends_meanwhile);
    tcase_add_loop_test(tests, the_guest_ends_meanwhile, 0, 2);
    tcase_add_loop_test(tests, a_kill_may_come_over_it, 0, 2);
    tcase_add_loop_test(tests, a_guard_that_begins_takes_it_over, 0, 2);
    tcase_add_test(tests, a_tick_has_it_shut_down);
    tcase_add_loop_test(tests, who_cannot_be_asked, 0, 2);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
