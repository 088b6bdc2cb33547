/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From the kernel's line to the guard's: guests are real children, a socket that keeps records
 * whole stands for /dev/kmsg, and the alerts are read as they come out of the log's process.
 */
#include "act.h"
#include "fake_host.h"
#include "said.h"
#include "suite.h"

#include <check.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const char config[] = "[guard]\nmode=enforce\nqmp-directory=/nonexistent\nmax-vms=8\n"
                             "[class default]\nmode=enforce\n";

static struct fake_host host;
static int writer;
static uint64_t sequence;

static void setup(void)
{
    said_begin();
    fake_host_begin(&host, FAKE_CGROUPS_V2, config);
    writer = -1;
    sequence = 1;
}

static void teardown(void)
{
    fake_host_end(&host);
    if (writer >= 0)
        (void)close(writer);
    said_end();
}

/* Has alerts come out on stderr, too, and the guard follow our log. */
static void guard_begin(bool with_log)
{
    int pair[2];

    fake_host_start_guard(&host);
    log_set_echo(true);
    guard_kernel_advance(host.guard, host.now); /* nothing is sampled yet */
    fake_host_tick(&host, NSEC_PER_SEC);
    guard_kernel_advance(host.guard, host.now);
    if (!with_log)
        return;
    ck_assert_int_eq(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    writer = pair[1];
    ck_assert_int_eq(guard_kernel_follow(host.guard, pair[0]), 0);
}

static void record_write(const char *text)
{
    char record[1024];
    int length =
        snprintf(record, sizeof record, "3,%llu,5,-;%s\n", (unsigned long long)sequence++, text);

    ck_assert_int_eq(send(writer, record, (size_t)length, 0), length);
}

static void kill_write(pid_t pid, const char *name, const char *constraint)
{
    char text[512];

    (void)snprintf(text, sizeof text,
        "oom-kill:constraint=%s,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/,"
        "task=%s,pid=%d,uid=0",
        constraint, name, (int)pid);
    record_write(text);
    (void)snprintf(text, sizeof text,
        "%s: Killed process %d (%s) total-vm:9kB, anon-rss:4kB, file-rss:2kB, shmem-rss:1kB, "
        "UID:0 pgtables:1kB oom_score_adj:-7",
        strcmp(constraint, "CONSTRAINT_MEMCG") == 0 ? "Memory cgroup out of memory"
                                                    : "Out of memory",
        (int)pid, name);
    record_write(text);
}

/* The next line with one of our events; what else the guard says is passed over. */
static const char *event_line(void)
{
    for (;;) {
        const char *line = said_line();

        if (strstr(line, "event=kernel-") || strstr(line, "event=vm-ended"))
            return line;
    }
}

/* The next event has REST in it, and what the format gives. */
static void __attribute__((format(printf, 2, 3))) expect(const char *rest, const char *format, ...)
{
    const char *line = event_line();
    char expected[512];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(expected, sizeof expected, format, arguments);
    va_end(arguments);
    ck_assert_msg(strstr(line, expected) && strstr(line, rest), "expected %s and %s in: %s",
        expected, rest, line);
}

/* A line of our own, to see that nothing else was said before. */
static void expect_nothing_more(void)
{
    log_alert(LOG_INFO, "event=kernel-test");
    ck_assert_ptr_nonnull(strstr(event_line(), "event=kernel-test"));
}

/* One turn of the loop: what is there is handled. */
static void turn(void)
{
    ck_assert_int_eq(loop_wait(host.guard->loop, loop_now()), 0);
    inventory_advance(host.guard->inventory, BAND_CALM, loop_now());
}

static void end(pid_t pid)
{
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    fake_host_await(pid, WEXITED);
}

static struct vm *vm_of(pid_t pid)
{
    for (uint32_t slot = 0; slot < host.guard->vm_capacity; slot++) {
        struct vm *vm = inventory_vm(host.guard->inventory, slot);

        if (vm && vm->figures.identity.pid == pid)
            return vm;
    }
    ck_abort_msg("the guard knows no guest %d", (int)pid);
    return NULL;
}

#define GUEST "vm=one uuid=00000000-0000-0000-0000-000000000000 pid=%d"

static const struct {
    const char *constraint, *name, *advice;
} constraints[] = {
    {"CONSTRAINT_NONE", "host", "floor="},
    {"CONSTRAINT_MEMORY_POLICY", "node", "more nodes"},
    {"CONSTRAINT_CPUSET", "node", "more nodes"},
    {"CONSTRAINT_MEMCG", "cgroup", "hard_limit"},
    {"CONSTRAINT_NEW", "unknown", "journalctl -k"},
};

START_TEST(a_guest_is_told_by_its_line_and_its_end_has_the_cause)
{
    char rest[160];
    pid_t pid = fake_host_guest(&host, "one", 4 * GIB);

    guard_begin(true);
    kill_write(pid, "qemu", constraints[_i].constraint);
    turn();
    const char *line = event_line();
    (void)snprintf(rest, sizeof rest,
        "<2>event=kernel-kill " GUEST " constraint=%s rss=7168 adj=-7 text=\"", (int)pid,
        constraints[_i].name);
    ck_assert_msg(strncmp(line, rest, strlen(rest)) == 0, "expected %s: %s", rest, line);
    ck_assert_ptr_nonnull(strstr(line, constraints[_i].advice));
    end(pid);
    turn();
    expect("", "<6>event=vm-ended " GUEST " cause=kernel-oom", pid);
    expect_nothing_more();
}
END_TEST

/* Line and end are there at once, in whichever order the loop finds them. */
START_TEST(an_end_waits_for_the_lines_before_it)
{
    pid_t pid = fake_host_guest(&host, "one", 4 * GIB);

    guard_begin(true);
    /* As a kill on a busy host: a line for each of its processes. */
    for (unsigned i = 0; i < 2 * KERNEL_LOG_BATCH + 5; i++)
        record_write("[      7]     0     7        1        1   0        0             0 sh");
    kill_write(pid, "qemu", "CONSTRAINT_NONE");
    end(pid);
    turn();
    turn();
    turn();
    expect("constraint=host", "event=kernel-kill " GUEST, pid);
    expect("", "event=vm-ended " GUEST " cause=kernel-oom", pid);
    expect_nothing_more();
}
END_TEST

/* Somebody writes to the log faster than it may be read. */
START_TEST(an_end_does_not_wait_for_ever)
{
    pid_t pid = fake_host_guest(&host, "one", 4 * GIB);

    guard_begin(true);
    for (unsigned i = 0; i < 2 * KERNEL_LOG_BATCH + 5; i++)
        record_write("eth0: something that is not about memory");
    end(pid);
    turn();
    expect_nothing_more();
    guard_kernel_advance(host.guard, loop_now() + 4 * NSEC_PER_SEC);
    expect("", "<6>event=vm-ended " GUEST, pid);
    expect_nothing_more();
}
END_TEST

START_TEST(a_guest_that_is_gone_is_still_known)
{
    pid_t pid = fake_host_guest(&host, "one", 4 * GIB);

    guard_begin(true);
    end(pid);
    turn();
    turn();
    expect("", "event=vm-ended " GUEST, pid);
    for (uint32_t slot = 0; slot < host.guard->vm_capacity; slot++)
        ck_assert_ptr_null(inventory_vm(host.guard->inventory, slot));
    kill_write(pid, "qemu", "CONSTRAINT_NONE");
    turn();
    expect("constraint=host", "<2>event=kernel-kill " GUEST, pid);
    expect_nothing_more();
}
END_TEST

START_TEST(an_end_without_a_line_has_no_cause)
{
    pid_t pid = fake_host_guest(&host, "one", 4 * GIB);

    guard_begin(_i == 0);
    end(pid);
    turn();
    const char *line = event_line();
    ck_assert_ptr_nonnull(strstr(line, "event=vm-ended"));
    ck_assert_ptr_null(strstr(line, "cause="));
    expect_nothing_more();
}
END_TEST

/* Ours came first: the kernel's line, if it comes at all, does not change that. */
START_TEST(a_kill_of_ours_is_told_apart)
{
    pid_t pid = fake_host_guest(&host, "one", 4 * GIB);

    guard_begin(_i < 2);
    ck_assert_int_eq(act_kill(vm_of(pid), REASON_KILL_FLOOR, false, MODE_ENFORCE, host.now), 0);
    fake_host_await(pid, WEXITED);
    if (_i == 1) {
        kill_write(pid, "qemu", "CONSTRAINT_NONE");
        turn();
        expect("", "event=kernel-kill " GUEST, pid);
    } else {
        turn();
    }
    expect("", "event=vm-ended " GUEST " cause=plimsoll", pid);
    expect_nothing_more();
}
END_TEST

START_TEST(another_process_is_named_and_harmless)
{
    guard_begin(true);
    record_write("Out of memory: Killed process 7 (a\\x0aevent=x\\x22 \\x5c) total-vm:1kB");
    turn();
    expect("no guest",
        "<4>event=kernel-kill process=\"a\\x0aevent=x\\\" \\\\\" pid=%d constraint=unknown text=",
        7);
    expect_nothing_more();
}
END_TEST

START_TEST(other_processes_are_bounded)
{
    const unsigned count = 25, said = 10;

    guard_begin(true);
    for (unsigned i = 0; i < count; i++)
        record_write("Memory cgroup out of memory: Killed process 7 (sh) total-vm:1kB");
    turn();
    for (unsigned i = 0; i < said; i++)
        expect("", "event=kernel-kill process=sh pid=%d constraint=cgroup", 7);
    expect_nothing_more();
    host.guard->kernel.told =
        host.guard->snapshot->host.oom_kills; /* the counter's own test is below */
    guard_kernel_advance(host.guard, loop_now());
    expect_nothing_more();
    guard_kernel_advance(host.guard, loop_now() + NSEC_PER_MINUTE);
    expect("journalctl -k", "event=kernel-kill pid=unknown count=%d ", (int)(count - said));
    guard_kernel_advance(host.guard, loop_now() + 2 * NSEC_PER_MINUTE);
    expect_nothing_more();
}
END_TEST

START_TEST(lines_lost_are_said)
{
    guard_begin(true);
    record_write("x");
    sequence += 5;
    record_write("x");
    turn();
    guard_kernel_advance(host.guard, host.now);
    expect("log_buf_len", "<4>event=kernel-log-lost lines=%d ", 5);
    sequence += 3;
    record_write("x");
    sequence += 4;
    record_write("x");
    turn();
    guard_kernel_advance(host.guard, host.now);
    expect_nothing_more();
    guard_kernel_advance(host.guard, host.now + NSEC_PER_MINUTE);
    expect("", "event=kernel-log-lost lines=%d ", 7);
    expect_nothing_more();
}
END_TEST

/* ---- the counter; it is 4 before the guard's time ---- */

static void counter_show(unsigned kills, uint64_t advance)
{
    fake_tree_write(host.tree, "proc/vmstat", "oom_kill %u\n", kills);
    fake_host_tick(&host, advance);
    guard_kernel_advance(host.guard, host.now);
}

START_TEST(without_the_log_an_increase_is_said_once)
{
    guard_begin(false);
    ck_assert_uint_eq(host.guard->snapshot->host.oom_kills, 4);
    expect_nothing_more();
    counter_show(6, NSEC_PER_SEC);
    expect("", "<3>event=kernel-kill pid=unknown count=%d constraint=unknown text=", 2);
    counter_show(6, NSEC_PER_SEC);
    counter_show(6, 10 * NSEC_PER_SEC);
    expect_nothing_more();
    counter_show(7, NSEC_PER_SEC);
    expect("", "event=kernel-kill pid=unknown count=%d ", 1);
    expect_nothing_more();
}
END_TEST

START_TEST(what_a_line_told_the_counter_does_not_tell_again)
{
    guard_begin(true);
    counter_show(5, NSEC_PER_SEC); /* it is ahead of the line */
    kill_write(7, "sh", "CONSTRAINT_NONE");
    turn();
    expect("", "event=kernel-kill process=sh pid=%d", 7);
    kill_write(8, "sh", "CONSTRAINT_NONE"); /* … or behind it, as it is read seldom */
    turn();
    expect("", "event=kernel-kill process=sh pid=%d", 8);
    counter_show(5, NSEC_PER_SEC);
    counter_show(6, NSEC_PER_SEC);
    counter_show(6, 10 * NSEC_PER_SEC);
    expect_nothing_more();
    /* The line of this one was lost. */
    counter_show(7, NSEC_PER_SEC);
    counter_show(7, 2 * NSEC_PER_SEC);
    expect_nothing_more();
    counter_show(7, 2 * NSEC_PER_SEC);
    expect("", "event=kernel-kill pid=unknown count=%d ", 1);
    counter_show(7, 10 * NSEC_PER_SEC);
    expect_nothing_more();
}
END_TEST

/* The counter is ahead all the time, each time of another line. */
START_TEST(a_storm_of_kills_is_told_once)
{
    guard_begin(true);
    for (unsigned i = 0; i < 8; i++) {
        counter_show(5 + i, NSEC_PER_SEC);
        kill_write(7, "sh", "CONSTRAINT_NONE");
        counter_show(6 + i, 10 * NSEC_PER_MSEC);
        turn();
        expect("", "event=kernel-kill process=sh pid=%d", 7);
    }
    expect_nothing_more();
}
END_TEST

/* A line whose kill the first look at the counter had in it already hides no later one. */
START_TEST(a_line_too_many_hides_nothing)
{
    guard_begin(true);
    kill_write(7, "sh", "CONSTRAINT_NONE");
    turn();
    expect("", "event=kernel-kill process=sh pid=%d", 7);
    counter_show(4, NSEC_PER_SEC);
    counter_show(4, 4 * NSEC_PER_SEC);
    expect_nothing_more();
    counter_show(5, NSEC_PER_SEC);
    counter_show(5, 4 * NSEC_PER_SEC);
    expect("", "event=kernel-kill pid=unknown count=%d ", 1);
}
END_TEST

/* ---- the right ---- */

START_TEST(a_guard_without_the_log_begins_and_says_why)
{
    unsigned said = 0;

    host.tree->roots.dev = host.tree->folder;
    if (_i == 1)
        fake_tree_write(host.tree, "kmsg", "3,1,5,-;Out of memory: Killed process 7 (sh)\n");
    guard_begin(false);
    log_message(LOG_INFO, "the end");
    for (const char *line = said_line(); !strstr(line, "the end"); line = said_line()) {
        if (!strstr(line, "the kernel's log"))
            continue;
        ck_assert_ptr_nonnull(strstr(line, _i == 1 ? "No such device" : "No such file"));
        ck_assert_ptr_nonnull(strstr(line, "CAP_SYSLOG"));
        ck_assert_ptr_nonnull(strstr(line, "plimsolld-kmsg.socket"));
        said++;
    }
    ck_assert_uint_eq(said, 1);
    counter_show(5, NSEC_PER_SEC);
    expect("", "event=kernel-kill pid=unknown count=%d ", 1);
}
END_TEST

int main(void)
{
    if (!suite_has_pidfd())
        return suite_skip(SUITE_NO_PIDFD);

    Suite *suite = suite_create("guard kernel");
    TCase *tests = tcase_create("guard kernel");
    const int all = (int)(sizeof constraints / sizeof constraints[0]);

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, a_guest_is_told_by_its_line_and_its_end_has_the_cause, 0, all);
    tcase_add_test(tests, an_end_waits_for_the_lines_before_it);
    tcase_add_test(tests, an_end_does_not_wait_for_ever);
    tcase_add_test(tests, a_guest_that_is_gone_is_still_known);
    tcase_add_loop_test(tests, an_end_without_a_line_has_no_cause, 0, 2);
    tcase_add_loop_test(tests, a_kill_of_ours_is_told_apart, 0, 3);
    tcase_add_test(tests, another_process_is_named_and_harmless);
    tcase_add_test(tests, other_processes_are_bounded);
    tcase_add_test(tests, lines_lost_are_said);
    tcase_add_test(tests, without_the_log_an_increase_is_said_once);
    tcase_add_test(tests, what_a_line_told_the_counter_does_not_tell_again);
    tcase_add_test(tests, a_storm_of_kills_is_told_once);
    tcase_add_test(tests, a_line_too_many_hides_nothing);
    tcase_add_loop_test(tests, a_guard_without_the_log_begins_and_says_why, 0, 2);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
