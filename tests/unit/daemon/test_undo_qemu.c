/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Undo of what a monitor has to take back, pause, balloon and virtio-mem, on the real QEMU that
 * runs its firmware, and on a fake one whose driver follows.
 */
#include "suite.h"
#include "undo_scene.h"

#include "fake_qemu.h"

#include <check.h>
#include <plimsoll/units.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define QEMU "/usr/bin/qemu-system-x86_64"
/* Looks at something that is about to become true; each takes some 10 ms. */
#define LOOKS_MAX 1000

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
    snprintf(qmp, sizeof(qmp), "unix:%s,server=on,wait=off", scene.socket_path);
    undo_child_start(arguments);
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

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", scene.socket_path);
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
    undo_put(0, "web", (struct vm_measures){.in_force = VM_MEASURE_STOP_SENT | VM_MEASURE_STOPPED});
    ck_assert_msg(undo_run(NULL) == 0, "%s", scene.said);
    undo_assert_said("web pause ok resumed");
    ck_assert_ptr_null(ledger_get(scene.ledger, 0));
    ck_assert_ptr_nonnull(
        strstr(tell("{\"execute\":\"query-status\"}"), "\"status\": \"running\""));

    /* Resumed by somebody else already. */
    undo_put(0, "web", (struct vm_measures){.in_force = VM_MEASURE_STOPPED});
    ck_assert_uint_eq(undo_run(NULL), 0);
    undo_assert_said("it runs already");
}
END_TEST

START_TEST(test_qemu_frozen_and_stopped)
{
    siginfo_t information = {0};

    if (!qemu_start())
        return;
    ck_assert_ptr_nonnull(strstr(tell("{\"execute\":\"stop\"}"), "\"return\""));
    kill(scene.child, SIGSTOP);
    ck_assert_int_eq(waitid(P_PID, (id_t)scene.child, &information, WSTOPPED), 0);
    undo_put(0, "web",
        (struct vm_measures){.in_force = VM_MEASURE_FROZEN_SIGNAL | VM_MEASURE_STOP_SENT});
    ck_assert_msg(undo_run(NULL) == 0, "%s", scene.said);
    undo_assert_said("web freeze ok thawed\nweb pause ok resumed");
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
    undo_put(0, "web", (struct vm_measures){.in_force = VM_MEASURE_STOPPED});
    ck_assert_uint_eq(undo_run(NULL), 1);
    undo_assert_said("web pause no it has been migrated");
    undo_assert_said("postmigrate");
    ck_assert_uint_eq(undo_in_force(0), VM_MEASURE_STOPPED);
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
    undo_put(0, "web",
        (struct vm_measures){.in_force = VM_MEASURE_BALLOON,
            .balloon_before = 64 * MIB,
            .balloon_target = 32 * MIB});
    ck_assert_msg(undo_run(NULL) == 0, "%s", scene.said);
    undo_assert_said("web balloon ok given back");
    ck_assert_ptr_null(ledger_get(scene.ledger, 0));
    /* Somebody has given it more than it had before us. */
    undo_put(0, "web",
        (struct vm_measures){.in_force = VM_MEASURE_BALLOON,
            .balloon_before = 32 * MIB,
            .balloon_target = 16 * MIB});
    ck_assert_uint_eq(undo_run(NULL), 0);
    undo_assert_said("more than before");
}
END_TEST

/* Plays a guest that begins as BEGINS and whose drivers follow at once; it tells by its exit
 * whether it has BALLOON in the end, and REQUESTED of its virtio-mem. */
static void guest_play(const struct fake_qemu *begins, uint64_t balloon, uint64_t requested)
{
    int ready[2];
    char byte;

    ck_assert_int_eq(pipe(ready), 0);
    scene.child = fork();
    ck_assert_int_ge(scene.child, 0);
    if (scene.child == 0) {
        struct fake_qemu fake = {0};

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (fake_qemu_listen(&fake, scene.socket_path) < 0)
            _exit(2);
        fake.ram = begins->ram;
        fake.balloon = begins->balloon;
        fake.virtio_mem = begins->virtio_mem;
        fake.requested = fake.plugged = begins->requested;
        fake.running = true;
        if (write(ready[1], "r", 1) != 1 || fake_qemu_accept(&fake) < 0 ||
            fake_qemu_serve(&fake) < 0)
            _exit(3);
        _exit(fake.balloon == balloon && fake.requested == requested ? 0 : 4);
    }
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    (void)close(ready[0]);
    (void)close(ready[1]);
}

static void guest_expect(void)
{
    int status;

    ck_assert_int_eq(waitpid(scene.child, &status, 0), scene.child);
    scene.child = 0;
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
}

START_TEST(test_balloon_returned)
{
    const struct fake_qemu begins = {.ram = 64 * MIB, .balloon = 32 * MIB};

    guest_play(&begins, 48 * MIB, 0);
    undo_put(0, "web",
        (struct vm_measures){.in_force = VM_MEASURE_BALLOON,
            .balloon_before = 48 * MIB,
            .balloon_target = 32 * MIB});
    ck_assert_msg(undo_run(NULL) == 0, "%s", scene.said);
    undo_assert_said("web balloon ok given back");
    ck_assert_ptr_null(ledger_get(scene.ledger, 0));
    guest_expect();
}
END_TEST

START_TEST(test_virtio_mem_returned)
{
    const struct fake_qemu begins = {.ram = 64 * MIB,
        .balloon = 64 * MIB,
        .virtio_mem = 256 * MIB,
        .requested = _i == 0 ? 32 * MIB : 96 * MIB};

    guest_play(&begins, 64 * MIB, _i == 0 ? 128 * MIB : 96 * MIB);
    undo_put(0, "web",
        (struct vm_measures){.in_force = VM_MEASURE_RESIZE,
            .resize = {.set = 32 * MIB, .before = 128 * MIB},
            .resize_previous = UNKNOWN});
    ck_assert_msg(undo_run(NULL) == 0, "%s", scene.said);
    undo_assert_said(_i == 0 ? "web resize ok given back"
                             : "web resize ok somebody else has requested another size");
    ck_assert_ptr_null(ledger_get(scene.ledger, 0));
    guest_expect();
}
END_TEST

/* Its XML would say something else from then on. */
START_TEST(test_virtio_mem_of_a_domain_is_left_to_libvirt)
{
    const struct fake_qemu begins = {.ram = 64 * MIB};
    struct ledger_entry entry;

    guest_play(&begins, 0, 0);
    undo_put(0, "web",
        (struct vm_measures){.in_force = VM_MEASURE_RESIZE,
            .resize = {.set = 32 * MIB, .before = 128 * MIB},
            .resize_previous = UNKNOWN});
    entry = *ledger_get(scene.ledger, 0);
    entry.resize_by_libvirt = true;
    ledger_put(scene.ledger, 0, &entry);
    ck_assert_uint_eq(undo_run(NULL), 1);
    undo_assert_said("web resize no is libvirt's to undo");
    undo_assert_said("--requested-size 131072KiB");
    ck_assert_uint_eq(undo_in_force(0), VM_MEASURE_RESIZE);
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
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", scene.socket_path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (void *)&address, sizeof(address)), 0);
    ck_assert_int_eq(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 10000), 1);
    undo_put(0, "web", (struct vm_measures){.in_force = VM_MEASURE_STOPPED});
    ck_assert_uint_eq(undo_run(NULL), 1);
    undo_assert_said("does not greet");
    ck_assert_uint_eq(undo_in_force(0), VM_MEASURE_STOPPED);
    close(fd);
    ck_assert_uint_eq(undo_run(NULL), 0);
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
    qemu = scene.child;
    undo_child_start(NULL);
    undo_put(0, "web", (struct vm_measures){.in_force = VM_MEASURE_STOPPED});
    entry = *ledger_get(scene.ledger, 0);
    ck_assert_int_eq(entry.identity.pid, scene.child);
    ck_assert_uint_eq(undo_run(NULL), 1);
    undo_assert_said("belongs to process");
    kill(qemu, SIGKILL);
    waitpid(qemu, NULL, 0);
}
END_TEST

int main(void)
{
    if (!suite_has_pidfd())
        return suite_skip(SUITE_NO_PIDFD);

    Suite *suite = suite_create("undo");
    TCase *tcase = tcase_create("monitor");

    tcase_add_checked_fixture(tcase, undo_scene_setup, undo_scene_teardown);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_qemu_pause);
    tcase_add_test(tcase, test_qemu_frozen_and_stopped);
    tcase_add_test(tcase, test_qemu_postmigrate);
    tcase_add_test(tcase, test_qemu_balloon);
    tcase_add_test(tcase, test_balloon_returned);
    tcase_add_loop_test(tcase, test_virtio_mem_returned, 0, 2);
    tcase_add_test(tcase, test_virtio_mem_of_a_domain_is_left_to_libvirt);
    tcase_add_test(tcase, test_qemu_busy_monitor);
    tcase_add_test(tcase, test_qemu_foreign_monitor);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
