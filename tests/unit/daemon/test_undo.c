/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Undo from a real ledger, on real processes: a child for signals, scores and identity, a folder of
 * fakes for cgroups, and the real QEMU, running its firmware, for pause and balloon.
 */
#include "undo.h"

#include "fake_qemu.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/units.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define CAPACITY 8
#define BOOT_ID "11111111-2222-3333-4444-555555555555"
#define QEMU "/usr/bin/qemu-system-x86_64"
/* Looks at something that is about to become true; each takes some 10 ms. */
#define LOOKS_MAX 1000

static char folder[] = "/tmp/plimsoll-undo-XXXXXX";
static char ledger_path[PATH_MAX], socket_path[64], proc[64] = "/proc";
static struct ledger *ledger;
static pid_t child;
static char said[8192];

static void setup(void)
{
    struct error error = {0};

    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(ledger_path, sizeof(ledger_path), "%s/ledger", folder);
    snprintf(socket_path, sizeof(socket_path), "%s/qmp", folder);
    ck_assert_msg(
        ledger_open(ledger_path, BOOT_ID, CAPACITY, &ledger, &error) == 0, "%s", error.text);
    said[0] = '\0';
}

static void teardown(void)
{
    char command[128];

    ledger = ledger_free(ledger);
    if (child > 0) {
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
    child = 0;
    snprintf(command, sizeof(command), "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static void child_start(char *const *arguments)
{
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child > 0)
        return;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (arguments)
        execv(arguments[0], arguments);
    else
        for (;;)
            pause();
    _exit(127);
}

static uint64_t start_time_read(pid_t pid)
{
    char path[64], text[1024];
    unsigned long long start;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    file = fopen(path, "r");
    ck_assert_ptr_nonnull(fgets(text, sizeof(text), file));
    fclose(file);
    ck_assert_int_eq(sscanf(strrchr(text, ')') + 2,
                         "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
                         "%*d %llu",
                         &start),
        1);
    return start;
}

static char state_read(pid_t pid)
{
    char path[64], text[1024];
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    file = fopen(path, "r");
    ck_assert_ptr_nonnull(fgets(text, sizeof(text), file));
    fclose(file);
    return strrchr(text, ')')[2];
}

static void text_write(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    ck_assert_msg(file != NULL, "%s: %s", path, strerror(errno));
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

static const char *text_read(const char *path)
{
    static char text[256];
    FILE *file = fopen(path, "r");

    ck_assert_msg(file != NULL, "%s: %s", path, strerror(errno));
    ck_assert_ptr_nonnull(fgets(text, sizeof(text), file));
    fclose(file);
    return text;
}

static void put(uint32_t slot, const char *name, struct vm_measures measures)
{
    struct ledger_entry entry = {
        .identity = {.pid = child, .start_time = start_time_read(child)}, .measures = measures};

    strcpy(entry.name, name);
    strcpy(entry.monitor, socket_path);
    ledger_put(ledger, slot, &entry);
}

static void report(const char *vm, const char *measure, bool done, const char *text, void *userdata)
{
    size_t used = strlen(said);

    ck_assert_ptr_eq(userdata, &ledger);
    snprintf(
        said + used, sizeof(said) - used, "%s %s %s %s\n", vm, measure, done ? "ok" : "no", text);
}

static unsigned undo(const char *name)
{
    struct roots roots = {.proc = proc, .sys = "/sys"};
    struct undo_options options = {.roots = &roots,
        .monitor_timeout = 5 * NSEC_PER_SEC,
        .report = report,
        .userdata = &ledger};

    said[0] = '\0';
    return undo_all(ledger, &options, &name, name ? 1 : 0);
}

static void assert_said(const char *text)
{
    ck_assert_msg(strstr(said, text) != NULL, "no “%s” in:\n%s", text, said);
}

static uint32_t in_force(uint32_t slot)
{
    const struct ledger_entry *entry = ledger_get(ledger, slot);

    return entry ? entry->measures.in_force : 0;
}

START_TEST(test_nothing)
{
    ck_assert_uint_eq(undo(NULL), 0);
    ck_assert_str_eq(said, "");
    ck_assert_uint_eq(undo("web"), 1);
    assert_said("web guest no is not in the ledger");
}
END_TEST

START_TEST(test_gone)
{
    struct ledger_entry entry;

    child_start(NULL);
    put(0, "web", (struct vm_measures){.in_force = VM_MEASURE_FROZEN_SIGNAL});
    put(1, "reused", (struct vm_measures){.in_force = VM_MEASURE_OOM_SCORE});
    entry = *ledger_get(ledger, 1);
    entry.identity.start_time++;
    ledger_put(ledger, 1, &entry);
    /* The other one has the pid of a living process, which is not touched. */
    ck_assert_uint_eq(undo("reused"), 0);
    assert_said("reused guest ok is gone");
    ck_assert_ptr_null(ledger_get(ledger, 1));
    ck_assert_ptr_nonnull(ledger_get(ledger, 0));

    /* A zombie is gone, too. */
    kill(child, SIGKILL);
    ck_assert_int_eq(waitid(P_PID, (id_t)child, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
    ck_assert_uint_eq(undo(NULL), 0);
    ck_assert_ptr_null(ledger_get(ledger, 0));
}
END_TEST

START_TEST(test_signal)
{
    siginfo_t information = {0};

    child_start(NULL);
    put(3, "web", (struct vm_measures){.in_force = VM_MEASURE_FROZEN_SIGNAL | VM_MEASURE_RESUMING});
    kill(child, SIGSTOP);
    ck_assert_int_eq(waitid(P_PID, (id_t)child, &information, WSTOPPED), 0);
    ck_assert_int_eq(state_read(child), 'T');
    ck_assert_uint_eq(undo("other"), 1);
    ck_assert_int_eq(state_read(child), 'T');
    ck_assert_uint_eq(undo("web"), 0);
    ck_assert_int_eq(waitid(P_PID, (id_t)child, &information, WCONTINUED), 0);
    assert_said("web freeze ok thawed");
    ck_assert_ptr_null(ledger_get(ledger, 3));
}
END_TEST

START_TEST(test_score)
{
    char path[64];

    child_start(NULL);
    snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)child);
    text_write(path, "300");
    put(0, "web", (struct vm_measures){.in_force = VM_MEASURE_OOM_SCORE, .oom_score_set = 300});
    ck_assert_uint_eq(undo(NULL), 0);
    ck_assert_str_eq(text_read(path), "0\n");
    ck_assert_ptr_null(ledger_get(ledger, 0));

    text_write(path, "500");
    put(0, "web", (struct vm_measures){.in_force = VM_MEASURE_OOM_SCORE, .oom_score_set = 300});
    ck_assert_uint_eq(undo(NULL), 0);
    ck_assert_str_eq(text_read(path), "500\n");
    assert_said("somebody else has changed it");
    ck_assert_ptr_null(ledger_get(ledger, 0));
}
END_TEST

START_TEST(test_killed)
{
    siginfo_t information = {0};

    child_start(NULL);
    kill(child, SIGSTOP);
    ck_assert_int_eq(waitid(P_PID, (id_t)child, &information, WSTOPPED), 0);
    put(0, "web",
        (struct vm_measures){
            .in_force = VM_MEASURE_KILLED | VM_MEASURE_FROZEN_SIGNAL | VM_MEASURE_STOPPED});
    ck_assert_uint_eq(undo(NULL), 1);
    assert_said("web guest no was sent SIGKILL");
    /* The signal may never have been sent, and then the guest would stand frozen for ever. */
    assert_said("web freeze ok thawed");
    ck_assert_int_eq(waitid(P_PID, (id_t)child, &information, WCONTINUED), 0);
    ck_assert_uint_eq(in_force(0), VM_MEASURE_KILLED | VM_MEASURE_STOPPED);
}
END_TEST

/* A /proc with the child's real stat and three threads, of which two stand in frozen groups. */
static void fake_proc_make(const char *mount, const char *root, const char *above)
{
    static const char *const groups[] = {"vcpu0", "vcpu 1", "emulator"};
    char path[512], text[1024];

    snprintf(proc, sizeof(proc), "%s/proc", folder);
    snprintf(
        path, sizeof(path), "mkdir -p '%s/self' '%s/%d/task' '%s'", proc, proc, (int)child, mount);
    ck_assert_int_eq(system(path), 0);
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)child);
    strcpy(text, text_read(path));
    snprintf(path, sizeof(path), "%s/%d/stat", proc, (int)child);
    text_write(path, text);
    snprintf(path, sizeof(path), "%s/self/mountinfo", proc);
    snprintf(text, sizeof(text),
        "1 0 8:1 / / rw - ext4 /dev/sda rw\n"
        "29 23 0:26 /another %s/none rw - cgroup2 cgroup2 rw\n"
        "30 23 0:26 %s %s/a\\040mount rw,nosuid shared:4 - cgroup2 cgroup2 rw\n",
        folder, root, folder);
    text_write(path, text);
    for (unsigned i = 0; i < ELEMENTSOF(groups); i++) {
        snprintf(path, sizeof(path), "mkdir -p '%s/%d/task/%u' '%s/vm/%s'", proc, (int)child,
            100 + i, mount, groups[i]);
        ck_assert_int_eq(system(path), 0);
        snprintf(path, sizeof(path), "%s/%d/task/%u/cgroup", proc, (int)child, 100 + i);
        snprintf(text, sizeof(text), "4:memory:/elsewhere\n0::%s/vm/%s\n", above, groups[i]);
        text_write(path, text);
        snprintf(path, sizeof(path), "%s/vm/%s/cgroup.freeze", mount, groups[i]);
        text_write(path, i < 2 ? "1\n" : "0\n");
    }
}

START_TEST(test_cgroup)
{
    char mount[128], path[256];

    child_start(NULL);
    snprintf(mount, sizeof(mount), "%s/a mount", folder);
    fake_proc_make(mount, "/", "");
    put(0, "web", (struct vm_measures){.in_force = VM_MEASURE_FROZEN_CGROUP});
    ck_assert_uint_eq(undo(NULL), 0);
    assert_said("web freeze ok thawed");
    snprintf(path, sizeof(path), "%s/vm/vcpu0/cgroup.freeze", mount);
    ck_assert_int_eq(text_read(path)[0], '0');
    snprintf(path, sizeof(path), "%s/vm/vcpu 1/cgroup.freeze", mount);
    ck_assert_int_eq(text_read(path)[0], '0');

    put(0, "web", (struct vm_measures){.in_force = VM_MEASURE_FROZEN_CGROUP});
    ck_assert_uint_eq(undo(NULL), 0);
    assert_said("web freeze ok it is not frozen");

    /* What cannot be thawed stays, and its monitor is not waited for. */
    snprintf(path, sizeof(path), "%s/self/mountinfo", proc);
    text_write(path, "1 0 8:1 / / rw - ext4 /dev/sda rw\n");
    put(0, "web",
        (struct vm_measures){.in_force = VM_MEASURE_FROZEN_CGROUP | VM_MEASURE_STOP_SENT});
    ck_assert_uint_eq(undo(NULL), 2);
    assert_said("still frozen");
    ck_assert_uint_eq(in_force(0), VM_MEASURE_FROZEN_CGROUP | VM_MEASURE_STOP_SENT);
}
END_TEST

/* A part of the hierarchy, bind-mounted: what the mount's root says comes off the front. */
START_TEST(test_cgroup_bound)
{
    char mount[128], path[256];

    child_start(NULL);
    snprintf(mount, sizeof(mount), "%s/a mount", folder);
    fake_proc_make(mount, "/machine.slice", "/machine.slice");
    put(0, "web", (struct vm_measures){.in_force = VM_MEASURE_FROZEN_CGROUP});
    ck_assert_uint_eq(undo(NULL), 0);
    assert_said("web freeze ok thawed");
    snprintf(path, sizeof(path), "%s/vm/vcpu0/cgroup.freeze", mount);
    ck_assert_int_eq(text_read(path)[0], '0');

    /* Where no mount shows any of its groups, nothing is known, least of all that it runs. */
    fake_proc_make(mount, "/machine.slice", "/elsewhere.slice");
    put(0, "web", (struct vm_measures){.in_force = VM_MEASURE_FROZEN_CGROUP});
    ck_assert_uint_eq(undo(NULL), 1);
    assert_said("web freeze no cannot thaw its cgroups");
    ck_assert_uint_eq(in_force(0), VM_MEASURE_FROZEN_CGROUP);
}
END_TEST

START_TEST(test_no_monitor)
{
    child_start(NULL);
    put(0, "web",
        (struct vm_measures){
            .in_force = VM_MEASURE_STOPPED | VM_MEASURE_BALLOON | VM_MEASURE_FROZEN_SIGNAL});
    ck_assert_uint_eq(undo(NULL), 2);
    assert_said("web freeze ok thawed");
    assert_said("web balloon no cannot talk to its monitor");
    assert_said("web pause no cannot talk to its monitor");
    ck_assert_uint_eq(in_force(0), VM_MEASURE_STOPPED | VM_MEASURE_BALLOON);
}
END_TEST

/* ---- the real QEMU ---- */

static bool qemu_start(void)
{
    char qmp[128];
    char *arguments[] = {(char[]){QEMU}, (char[]){"-accel"}, (char[]){"tcg"},
        (char[]){"-nodefaults"}, (char[]){"-display"}, (char[]){"none"}, (char[]){"-machine"},
        (char[]){"q35"}, (char[]){"-m"}, (char[]){"64M"}, (char[]){"-device"},
        (char[]){"virtio-balloon-pci"}, (char[]){"-qmp"}, qmp, NULL};

    if (access(QEMU, X_OK) < 0) {
        fprintf(stderr, "SKIP: there is no " QEMU "\n");
        return false;
    }
    snprintf(qmp, sizeof(qmp), "unix:%s,server=on,wait=off", socket_path);
    child_start(arguments);
    return true;
}

/* One command as a person would send it: connects when QEMU listens, and returns its answer. */
static const char *tell(const char *command)
{
    static char text[65536];
    static const char greeting[] = "{\"execute\":\"qmp_capabilities\"}";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd, wanted = 3; /* greeting, capabilities, answer */
    size_t used = 0;

    strcpy(address.sun_path, socket_path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    for (int i = 0; connect(fd, (void *)&address, sizeof(address)) < 0; i++) {
        ck_assert_int_lt(i, LOOKS_MAX);
        (void)poll(NULL, 0, 10);
    }
    ck_assert_int_gt(send(fd, greeting, strlen(greeting), MSG_NOSIGNAL), 0);
    ck_assert_int_gt(send(fd, command, strlen(command), MSG_NOSIGNAL), 0);
    while (wanted > 0) {
        ssize_t count;

        ck_assert_uint_lt(used, sizeof(text) - 1);
        ck_assert_int_eq(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 10000), 1);
        count = recv(fd, text + used, 1, 0);
        ck_assert_int_eq(count, 1);
        if (text[used] == '\n') {
            text[used] = '\0';
            /* Events come in between. */
            wanted -= strstr(text, "\"event\"") == NULL;
            used = wanted > 0 ? 0 : used;
        } else {
            used++;
        }
    }
    close(fd);
    return text;
}

START_TEST(test_qemu_pause)
{
    if (!qemu_start())
        return;
    ck_assert_ptr_nonnull(strstr(tell("{\"execute\":\"stop\"}"), "\"return\""));
    put(0, "web", (struct vm_measures){.in_force = VM_MEASURE_STOP_SENT | VM_MEASURE_STOPPED});
    ck_assert_msg(undo(NULL) == 0, "%s", said);
    assert_said("web pause ok resumed");
    ck_assert_ptr_null(ledger_get(ledger, 0));
    ck_assert_ptr_nonnull(
        strstr(tell("{\"execute\":\"query-status\"}"), "\"status\": \"running\""));

    /* Resumed by somebody else already. */
    put(0, "web", (struct vm_measures){.in_force = VM_MEASURE_STOPPED});
    ck_assert_uint_eq(undo(NULL), 0);
    assert_said("it runs already");
}
END_TEST

START_TEST(test_qemu_frozen_and_stopped)
{
    siginfo_t information = {0};

    if (!qemu_start())
        return;
    ck_assert_ptr_nonnull(strstr(tell("{\"execute\":\"stop\"}"), "\"return\""));
    kill(child, SIGSTOP);
    ck_assert_int_eq(waitid(P_PID, (id_t)child, &information, WSTOPPED), 0);
    put(0, "web",
        (struct vm_measures){.in_force = VM_MEASURE_FROZEN_SIGNAL | VM_MEASURE_STOP_SENT});
    ck_assert_msg(undo(NULL) == 0, "%s", said);
    assert_said("web freeze ok thawed\nweb pause ok resumed");
    ck_assert_ptr_nonnull(
        strstr(tell("{\"execute\":\"query-status\"}"), "\"status\": \"running\""));
}
END_TEST

START_TEST(test_qemu_postmigrate)
{
    if (!qemu_start())
        return;
    ck_assert_ptr_nonnull(
        strstr(tell("{\"execute\":\"migrate\",\"arguments\":{\"uri\":\"exec:cat>/dev/null\"}}"),
            "\"return\""));
    for (int i = 0; !strstr(tell("{\"execute\":\"query-status\"}"), "postmigrate"); i++) {
        ck_assert_int_lt(i, LOOKS_MAX);
        (void)poll(NULL, 0, 10);
    }
    put(0, "web", (struct vm_measures){.in_force = VM_MEASURE_STOPPED});
    ck_assert_uint_eq(undo(NULL), 1);
    assert_said("web pause no it has been migrated");
    assert_said("postmigrate");
    ck_assert_uint_eq(in_force(0), VM_MEASURE_STOPPED);
    ck_assert_ptr_nonnull(strstr(tell("{\"execute\":\"query-status\"}"), "postmigrate"));
}
END_TEST

START_TEST(test_qemu_balloon)
{
    if (!qemu_start())
        return;
    /* Firmware has no balloon driver: the guest has all it had, and a target waits for it. */
    ck_assert_ptr_nonnull(
        strstr(tell("{\"execute\":\"balloon\",\"arguments\":{\"value\":33554432}}"), "\"return\""));
    put(0, "web",
        (struct vm_measures){.in_force = VM_MEASURE_BALLOON,
            .balloon_before = 64 * MIB,
            .balloon_target = 32 * MIB});
    ck_assert_msg(undo(NULL) == 0, "%s", said);
    assert_said("web balloon ok given back");
    ck_assert_ptr_null(ledger_get(ledger, 0));
    /* Somebody has given it more than it had before us. */
    put(0, "web",
        (struct vm_measures){.in_force = VM_MEASURE_BALLOON,
            .balloon_before = 32 * MIB,
            .balloon_target = 16 * MIB});
    ck_assert_uint_eq(undo(NULL), 0);
    assert_said("more than before");
}
END_TEST

/* A guest whose driver follows at once, played; it tells by its exit what it has in the end. */
START_TEST(test_balloon_returned)
{
    int ready[2], status;
    char byte;

    ck_assert_int_eq(pipe(ready), 0);
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        struct fake_qemu fake = {.ram = 64 * MIB, .balloon = 32 * MIB, .running = true};

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (fake_qemu_listen(&fake, socket_path) < 0)
            _exit(2);
        fake.ram = 64 * MIB;
        fake.balloon = 32 * MIB;
        fake.running = true;
        if (write(ready[1], "r", 1) != 1 || fake_qemu_accept(&fake) < 0 ||
            fake_qemu_serve(&fake) < 0)
            _exit(3);
        _exit(fake.balloon == 48 * MIB ? 0 : 4);
    }
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    put(0, "web",
        (struct vm_measures){.in_force = VM_MEASURE_BALLOON,
            .balloon_before = 48 * MIB,
            .balloon_target = 32 * MIB});
    ck_assert_msg(undo(NULL) == 0, "%s", said);
    assert_said("web balloon ok given back");
    ck_assert_ptr_null(ledger_get(ledger, 0));
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    child = 0;
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

/* Another client has the only place at the monitor: bounded, said, kept. */
START_TEST(test_qemu_busy_monitor)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    if (!qemu_start())
        return;
    (void)tell("{\"execute\":\"stop\"}");
    strcpy(address.sun_path, socket_path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (void *)&address, sizeof(address)), 0);
    ck_assert_int_eq(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 10000), 1);
    put(0, "web", (struct vm_measures){.in_force = VM_MEASURE_STOPPED});
    ck_assert_uint_eq(undo(NULL), 1);
    assert_said("does not greet");
    ck_assert_uint_eq(in_force(0), VM_MEASURE_STOPPED);
    close(fd);
    ck_assert_uint_eq(undo(NULL), 0);
}
END_TEST

/* A socket of another process at the path is not talked to. */
START_TEST(test_qemu_foreign_monitor)
{
    struct ledger_entry entry;
    pid_t qemu;

    if (!qemu_start())
        return;
    (void)tell("{\"execute\":\"stop\"}");
    qemu = child;
    child_start(NULL);
    put(0, "web", (struct vm_measures){.in_force = VM_MEASURE_STOPPED});
    entry = *ledger_get(ledger, 0);
    ck_assert_int_eq(entry.identity.pid, child);
    ck_assert_uint_eq(undo(NULL), 1);
    assert_said("belongs to process");
    kill(qemu, SIGKILL);
    waitpid(qemu, NULL, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("undo");
    TCase *tcase = tcase_create("offline");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_nothing);
    tcase_add_test(tcase, test_gone);
    tcase_add_test(tcase, test_signal);
    tcase_add_test(tcase, test_score);
    tcase_add_test(tcase, test_killed);
    tcase_add_test(tcase, test_cgroup);
    tcase_add_test(tcase, test_cgroup_bound);
    tcase_add_test(tcase, test_no_monitor);
    tcase_add_test(tcase, test_qemu_pause);
    tcase_add_test(tcase, test_qemu_frozen_and_stopped);
    tcase_add_test(tcase, test_qemu_postmigrate);
    tcase_add_test(tcase, test_qemu_balloon);
    tcase_add_test(tcase, test_balloon_returned);
    tcase_add_test(tcase, test_qemu_busy_monitor);
    tcase_add_test(tcase, test_qemu_foreign_monitor);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
