/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The scan on the real /proc: a QEMU is found, namesakes are not, a KVM guest of any name is. */
#include "scan.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <plimsoll/cleanup.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define EMULATOR "/usr/bin/qemu-system-x86_64"
#define SLEEP "/usr/bin/sleep"

static const struct roots real = {.proc = "/proc", .sys = "/sys"};
static struct scan *scan;

static void setup(void)
{
    ck_assert_int_eq(scan_new(&real, &scan), 0);
}

static void teardown(void)
{
    scan = scan_free(scan);
}

/* Starts FILE and returns once it has been executed: the pipe closes with the exec. */
static pid_t start(const char *file, char *const *arguments)
{
    int ends[2];
    char byte;

    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)execv(file, arguments);
        _exit(write(ends[1], "x", 1) == 1 ? 1 : 2);
    }
    (void)close(ends[1]);
    ck_assert_msg(read(ends[0], &byte, 1) == 0, "%s does not start", file);
    (void)close(ends[0]);
    return child;
}

static void stop(pid_t child)
{
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
}

struct search {
    pid_t pid;
    bool found;
    struct scan_found guest;
};

static void search_note(const struct scan_found *found, void *userdata)
{
    struct search *search = userdata;

    if (found->identity.pid != search->pid)
        return;
    search->found = true;
    search->guest = *found;
}

static struct search search_round(pid_t pid)
{
    struct search search = {.pid = pid};
    int result;

    while ((result = scan_step(scan, 16, NSEC_PER_SEC, search_note, &search)) == 0)
        continue;
    ck_assert_int_eq(result, 1);
    return search;
}

START_TEST(a_real_qemu)
{
    char *const arguments[] = {(char[]){"qemu"}, (char[]){"-S"}, (char[]){"-nodefaults"},
        (char[]){"-display"}, (char[]){"none"}, (char[]){"-name"}, (char[]){"guest=real,,one"},
        (char[]){"-uuid"}, (char[]){"deadbeef-0000-1111-2222-333344445555"}, (char[]){"-m"},
        (char[]){"64"}, NULL};
    static const uint8_t uuid[] = {0xde, 0xad, 0xbe, 0xef, 0x00, 0x00, 0x11, 0x11};
    struct process_snapshot culprit;

    if (access(EMULATOR, X_OK) < 0) {
        (void)fprintf(stderr, "skipped: %s is not installed\n", EMULATOR);
        return;
    }
    pid_t child = start(EMULATOR, arguments);
    struct search search = search_round(child);
    ck_assert(search.found);
    ck_assert_str_eq(search.guest.name, "real,one");
    ck_assert_mem_eq(search.guest.identity.uuid, uuid, sizeof(uuid));
    ck_assert_uint_eq(search.guest.maximum, 64 * MIB);
    ck_assert_int_ne(search.guest.wiring.kvm, TRISTATE_YES);
    ck_assert_uint_eq(search.guest.wiring.vfio_groups, 0);
    scan_largest_process(scan, &culprit);
    ck_assert_int_gt(culprit.pid, 0);
    ck_assert_int_ne(culprit.pid, child);
    ck_assert_uint_gt(culprit.rss, 0);
    stop(child);
    struct scan_found gone;
    ck_assert_int_eq(scan_process(scan, child, &gone), -ESRCH);
    ck_assert(!search_round(child).found);
}
END_TEST

START_TEST(a_namesake_of_another_owner)
{
    char folder[] = "/tmp/plimsoll-scan-XXXXXX";
    char copy[64];
    struct stat status;
    char *const arguments[] = {copy, (char[]){"60"}, NULL};

    if (getuid() != 0) {
        (void)fprintf(stderr, "skipped: only root can give a file away\n");
        return;
    }
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(copy, sizeof(copy), "%s/qemu-system-x86_64", folder);
    int from = open(SLEEP, O_RDONLY | O_CLOEXEC);
    int to = open(copy, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    ck_assert(from >= 0 && to >= 0 && fstat(from, &status) == 0);
    ck_assert_int_eq(sendfile(to, from, NULL, (size_t)status.st_size), status.st_size);
    ck_assert_int_eq(fchown(to, 65534, 65534), 0);
    (void)close(from);
    (void)close(to);
    pid_t child = start(copy, arguments);
    ck_assert(!search_round(child).found);
    /* It is the owner that decides: the very same file of root's is taken for one. */
    ck_assert_int_eq(chown(copy, 0, 0), 0);
    ck_assert(search_round(child).found);
    stop(child);
    ck_assert_int_eq(unlink(copy), 0);
    ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

START_TEST(a_borrowed_name)
{
    char *const arguments[] = {(char[]){"qemu-system-x86_64"}, (char[]){"60"}, NULL};

    pid_t child = start(SLEEP, arguments);
    ck_assert(!search_round(child).found);
    stop(child);
}
END_TEST

START_TEST(a_kvm_guest_of_any_name)
{
    struct scan_found found;

    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    int machine = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
    if (machine < 0) {
        (void)fprintf(stderr, "skipped: /dev/kvm: %s\n", strerror(errno));
        return;
    }
    ck_assert_int_eq(scan_process(scan, getpid(), &found), 0);
    ck_assert_int_eq(found.wiring.kvm, TRISTATE_YES);
    ck_assert(search_round(getpid()).found);
    (void)close(machine);
    ck_assert_int_eq(scan_process(scan, getpid(), &found), -ENOENT);
    (void)close(kvm);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scan_real");
    TCase *tests = tcase_create("scan_real");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_real_qemu);
    tcase_add_test(tests, a_namesake_of_another_owner);
    tcase_add_test(tests, a_borrowed_name);
    tcase_add_test(tests, a_kvm_guest_of_any_name);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
