/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Freezing a vCPU by its own cgroup, on the real kernel: a process of three threads, two of which
 * play vCPUs, in a threaded subtree as libvirt lays it out.
 */
#include "fake_tree.h"
#include "kernel_file.h"
#include "sample_cgroup.h"
#include "suite.h"
#include "vcpu_quota.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <plimsoll/cleanup.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THREADS 3 /* the main one, which must go on, and two vCPUs */
#define WAIT_MS 10000
#define EMULATOR "/usr/bin/qemu-system-x86_64"

static const struct roots real = {.proc = "/proc", .sys = "/sys"};
static const char *const children[] = {"emulator", "vcpu0", "vcpu1"};

struct shared {
    _Atomic pid_t threads[THREADS];
    atomic_uint counts[THREADS];
};

static struct cgroup_mounts *mounts;
static struct shared *shared;
static char folder[PATH_MAX - 64];
static bool usable;

static bool group_write(const char *group, const char *file, const char *text)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/%s/%s", folder, group, file);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0)
        (void)close(fd);
    return written;
}

static bool group_write_number(const char *group, const char *file, pid_t number)
{
    char text[16];

    (void)snprintf(text, sizeof(text), "%d", (int)number);
    return group_write(group, file, text);
}

static bool groups_make(void)
{
    char own[PATH_MAX], path[PATH_MAX];

    if (cgroup_mounts_new(&real, &mounts) < 0 ||
        cgroup_folder_find(mounts, CGROUP_UNIFIED, AT_FDCWD, "/proc/self/cgroup", own) < 0)
        return false;
    int length = snprintf(folder, sizeof(folder), "%s/plimsoll-test-%d", own, (int)getpid());
    if (length < 0 || (size_t)length >= sizeof(folder) || mkdir(folder, 0755) < 0)
        return false;
    for (unsigned i = 0; i < ELEMENTSOF(children); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder, children[i]);
        if (mkdir(path, 0755) < 0 || !group_write(children[i], "cgroup.type", "threaded"))
            return false;
    }
    (void)snprintf(path, sizeof(path), "%s/vcpu0/cgroup.freeze", folder);
    return access(path, W_OK) == 0;
}

static void setup(void)
{
    usable = groups_make();
}

static void teardown(void)
{
    char path[PATH_MAX];

    for (unsigned i = 0; i < ELEMENTSOF(children) && folder[0]; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder, children[i]);
        (void)rmdir(path);
    }
    if (folder[0])
        (void)rmdir(folder);
    mounts = cgroup_mounts_free(mounts);
}

static bool skip(void)
{
    if (!usable)
        (void)fprintf(stderr, "skipped: no cgroup v2 with a freezer that this user may write\n");
    return !usable;
}

/* COUNT is one of shared->counts. */
static void *count_on(void *count)
{
    const struct timespec millisecond = {.tv_nsec = 1000000};
    ptrdiff_t i = (atomic_uint *)count - shared->counts;

    atomic_store(&shared->threads[i], gettid());
    for (;;) {
        (void)atomic_fetch_add(&shared->counts[i], 1);
        (void)nanosleep(&millisecond, NULL);
    }
    return NULL;
}

/* True as soon as thread NUMBER has counted MORE; false after WAIT_MS. */
static bool wait_counted(unsigned number, unsigned more)
{
    unsigned from = atomic_load(&shared->counts[number]);

    for (unsigned waited = 0; waited < WAIT_MS; waited++) {
        if (atomic_load(&shared->counts[number]) - from >= more)
            return true;
        (void)poll(NULL, 0, 1);
    }
    return false;
}

static pid_t start(void)
{
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(shared, MAP_FAILED);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        pthread_t thread;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (unsigned i = 1; i < THREADS; i++)
            if (pthread_create(&thread, NULL, count_on, &shared->counts[i]) != 0)
                _exit(1);
        (void)count_on(&shared->counts[0]);
    }
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert(wait_counted(i, 1));
    ck_assert(group_write_number(".", "cgroup.procs", child));
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert(group_write_number(children[i], "cgroup.threads", shared->threads[i]));
    return child;
}

static void stop(pid_t child)
{
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    ck_assert_int_eq(munmap(shared, sizeof(*shared)), 0);
}

static void wait_frozen(const char *group, const char *line)
{
    char path[PATH_MAX], text[64] = "";

    (void)snprintf(path, sizeof(path), "%s/%s/cgroup.events", folder, group);
    int fd = kernel_file_open(AT_FDCWD, path);
    ck_assert_int_ge(fd, 0);
    for (unsigned waited = 0; waited < WAIT_MS; waited++) {
        ck_assert_int_gt(kernel_file_read(fd, text, sizeof(text)), 0);
        if (strstr(text, line))
            break;
        (void)poll(NULL, 0, 1);
    }
    ck_assert_ptr_nonnull(strstr(text, line));
    (void)kernel_file_close(fd);
}

START_TEST(freezes_vcpus_and_nothing_else)
{
    pid_t vcpus[2];
    int fds[2] = {-1, -1};

    if (skip())
        return;
    pid_t child = start();
    memcpy(vcpus, shared->threads + 1, sizeof(vcpus));
    ck_assert_int_eq(vcpu_cgroups_open(&real, mounts, child, vcpus, 2, fds), 2);
    ck_assert_int_eq(fcntl(fds[0], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    for (unsigned i = 0; i < 2; i++)
        ck_assert_int_eq(pwrite(fds[i], "1", 1, 0), 1);
    wait_frozen("vcpu0", "frozen 1");
    wait_frozen("vcpu1", "frozen 1");
    unsigned before[2] = {shared->counts[1], shared->counts[2]};
    ck_assert(wait_counted(0, 20));
    ck_assert_uint_eq(before[0], shared->counts[1]);
    ck_assert_uint_eq(before[1], shared->counts[2]);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(pwrite(fds[i], "0", 1, 0), 1);
        ck_assert(wait_counted(i + 1, 1));
        (void)close(fds[i]);
    }
    stop(child);
}
END_TEST

/* Where the cpu controller reaches the groups; else there is nothing to write to. */
START_TEST(throttles_vcpus_and_nothing_else)
{
    const struct vcpu_quota none = {VCPU_QUOTA_NONE, 100000}, some = {5000, 100000};
    struct vcpu_quota found;
    pid_t vcpus[2];
    int fds[2] = {-1, -1};

    if (skip())
        return;
    int groups = group_write("vcpu0", "cpu.max", "max 100000") ? 2 : 0;
    pid_t child = start();
    memcpy(vcpus, shared->threads + 1, sizeof(vcpus));
    ck_assert_int_eq(vcpu_quotas_open(&real, mounts, child, vcpus, 2, fds), groups);
    for (int i = 0; i < groups; i++) {
        ck_assert_int_eq(vcpu_quota_exchange(fds[i], none, some), 0);
        ck_assert_int_eq(vcpu_quota_read(fds[i], &found), 0);
        ck_assert(vcpu_quota_equal(found, some));
        ck_assert_int_eq(vcpu_quota_exchange(fds[i], some, none), 0);
        (void)close(fds[i]);
    }
    stop(child);
}
END_TEST

START_TEST(vcpus_may_share_a_group)
{
    pid_t vcpus[2];
    int fds[2] = {-1, -1};

    if (skip())
        return;
    pid_t child = start();
    memcpy(vcpus, shared->threads + 1, sizeof(vcpus));
    ck_assert(group_write_number("vcpu0", "cgroup.threads", vcpus[1]));
    ck_assert_int_eq(vcpu_cgroups_open(&real, mounts, child, vcpus, 2, fds), 1);
    ck_assert_int_eq(fds[1], -1);
    (void)close(fds[0]);
    stop(child);
}
END_TEST

START_TEST(never_with_the_main_thread)
{
    pid_t vcpus[2];
    int fds[2] = {-1, -1};

    if (skip())
        return;
    pid_t child = start();
    memcpy(vcpus, shared->threads + 1, sizeof(vcpus));
    /* In a vCPU's own group, and all of them in the domain above. */
    ck_assert(group_write_number("vcpu1", "cgroup.threads", child));
    ck_assert_int_eq(vcpu_cgroups_open(&real, mounts, child, vcpus, 2, fds), 0);
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert(group_write_number(".", "cgroup.threads", shared->threads[i]));
    ck_assert_int_eq(vcpu_cgroups_open(&real, mounts, child, vcpus, 2, fds), 0);
    /* A vCPU left in the domain, whose freeze would take the emulator below it, too. */
    ck_assert(group_write_number("emulator", "cgroup.threads", child));
    ck_assert_int_eq(vcpu_cgroups_open(&real, mounts, child, vcpus, 2, fds), 0);
    ck_assert_int_eq(fds[0], -1);
    stop(child);
}
END_TEST

/* Another process that stands in the group: a freeze would hit it, too. */
static pid_t bystander_start(const char *group)
{
    pid_t child = fork();

    ck_assert_int_ge(child, 0);
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            (void)pause();
    }
    ck_assert(group_write_number(".", "cgroup.procs", child));
    ck_assert(group_write_number(group, "cgroup.threads", child));
    return child;
}

static void bystander_stop(pid_t child)
{
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
}

START_TEST(never_with_another_process)
{
    pid_t vcpus[2];
    int fds[2] = {-1, -1};

    if (skip())
        return;
    pid_t child = start();
    memcpy(vcpus, shared->threads + 1, sizeof(vcpus));
    pid_t bystander = bystander_start("vcpu1");
    ck_assert_int_eq(vcpu_cgroups_open(&real, mounts, child, vcpus, 2, fds), 0);
    ck_assert_int_eq(fds[0], -1);
    bystander_stop(bystander);
    ck_assert_int_eq(vcpu_cgroups_open(&real, mounts, child, vcpus, 2, fds), 2);
    for (unsigned i = 0; i < 2; i++)
        (void)close(fds[i]);
    stop(child);
}
END_TEST

START_TEST(never_when_all_threads_are_named)
{
    pid_t threads[THREADS];
    int fds[THREADS] = {-1, -1, -1};

    if (skip())
        return;
    pid_t child = start();
    memcpy(threads, shared->threads, sizeof(threads));
    /* Each in a group of its own, all in one of them, all in the domain. */
    ck_assert_int_eq(vcpu_cgroups_open(&real, mounts, child, threads, THREADS, fds), 0);
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert(group_write_number("vcpu0", "cgroup.threads", threads[i]));
    ck_assert_int_eq(vcpu_cgroups_open(&real, mounts, child, threads, THREADS, fds), 0);
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert(group_write_number(".", "cgroup.threads", threads[i]));
    ck_assert_int_eq(vcpu_cgroups_open(&real, mounts, child, threads, THREADS, fds), 0);
    ck_assert_int_eq(fds[0], -1);
    stop(child);
}
END_TEST

START_TEST(never_with_a_group_below)
{
    char below[PATH_MAX];
    pid_t vcpus[2];
    int fds[2] = {-1, -1};

    if (skip())
        return;
    pid_t child = start();
    memcpy(vcpus, shared->threads + 1, sizeof(vcpus));
    (void)snprintf(below, sizeof(below), "%s/vcpu1/below", folder);
    ck_assert_int_eq(mkdir(below, 0755), 0);
    int opened = vcpu_cgroups_open(&real, mounts, child, vcpus, 2, fds);
    ck_assert_int_eq(rmdir(below), 0);
    ck_assert_int_eq(opened, 0);
    stop(child);
}
END_TEST

/* QEMU's round-robin TCG runs all vCPUs on one thread and names it for each of them. */
START_TEST(one_thread_may_be_all_vcpus)
{
    pid_t vcpus[3];
    int fds[3] = {-1, -1, -1};

    if (skip())
        return;
    pid_t child = start();
    for (unsigned i = 0; i < ELEMENTSOF(vcpus); i++)
        vcpus[i] = shared->threads[1];
    ck_assert_int_eq(vcpu_cgroups_open(&real, mounts, child, vcpus, 3, fds), 1);
    (void)close(fds[0]);
    stop(child);
}
END_TEST

START_TEST(gone)
{
    pid_t threads[1] = {1};
    int fds[1] = {-1};

    if (skip())
        return;
    pid_t child = start();
    ck_assert_int_eq(vcpu_cgroups_open(&real, mounts, child, threads, 1, fds), -ESRCH);
    threads[0] = shared->threads[1];
    stop(child);
    ck_assert_int_eq(vcpu_cgroups_open(&real, mounts, child, threads, 1, fds), -ESRCH);
    ck_assert_int_eq(fds[0], -1);
}
END_TEST

static void add_thread(struct fake_tree *tree, pid_t thread, const char *name)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "proc/100/task/%d/comm", (int)thread);
    fake_tree_write(tree, path, "%s\n", name);
}

START_TEST(finds_vcpus_by_name)
{
    static const char *const others[] = {"qemu-system-x86", "CPU /KVM", "CPU 1", "CPU 1/KV",
        "CPU 1/KVMx", "CPU x/KVM", "CPU -1/KVM", "CPU 1 /KVM", " CPU 1/KVM", "CPU 1/TCG/KVM", "",
        "IO mon_iothread", "worker", "CPU 1/tcg", "ALL CPUs/KVM", "CPU 1/KVM\nx"};
    struct fake_tree *tree = fake_tree_new();
    pid_t threads[3] = {0};

    for (unsigned i = 0; i < ELEMENTSOF(others); i++)
        add_thread(tree, (pid_t)(100 + i), others[i]);
    fake_tree_write(tree, "proc/100/task/x/comm", "CPU 1/KVM\n");
    ck_assert_int_eq(vcpu_threads_find(&tree->roots, 100, threads, 3), 0);
    add_thread(tree, 201, "CPU 0/KVM");
    add_thread(tree, 202, "CPU 4095/KVM");
    add_thread(tree, 203, "CPU 10/TCG");
    ck_assert_int_eq(vcpu_threads_find(&tree->roots, 100, threads, 2), -E2BIG);
    ck_assert_int_eq(threads[0], 0);
    ck_assert_int_eq(vcpu_threads_find(&tree->roots, 100, threads, 3), 3);
    ck_assert_int_eq(threads[0] + threads[1] + threads[2], 201 + 202 + 203);
    ck_assert_int_eq(vcpu_threads_find(&tree->roots, 101, threads, 3), -ESRCH);
    fake_tree_free(tree);
}
END_TEST

static void finds_real_vcpus(const char *accelerator, int expected)
{
    char *const arguments[] = {(char[]){"qemu"}, (char[]){"-S"}, (char[]){"-nodefaults"},
        (char[]){"-display"}, (char[]){"none"}, (char[]){"-name"}, (char[]){"x,debug-threads=on"},
        (char[]){"-smp"}, (char[]){"2"}, (char[]){"-m"}, (char[]){"64"}, (char[]){"-accel"},
        strdup(accelerator), NULL};
    pid_t threads[8] = {0};
    char path[64];
    int found = 0;

    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)execv(EMULATOR, arguments);
        _exit(1);
    }
    for (unsigned waited = 0; waited < WAIT_MS && found < expected; waited++) {
        found = vcpu_threads_find(&real, child, threads, ELEMENTSOF(threads));
        ck_assert_int_ge(found, 0);
        (void)poll(NULL, 0, 1);
    }
    ck_assert_msg(found == expected, "%s: %d threads", accelerator, found);
    for (int i = 0; i < found; i++) {
        ck_assert_int_ne(threads[i], child);
        (void)snprintf(path, sizeof(path), "/proc/%d/task/%d", (int)child, (int)threads[i]);
        ck_assert_int_eq(access(path, F_OK), 0);
    }
    ck_assert(expected < 2 || threads[0] != threads[1]);
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    free(arguments[ELEMENTSOF(arguments) - 2]);
}

START_TEST(finds_vcpus_of_a_real_qemu)
{
    if (access(EMULATOR, X_OK) < 0) {
        (void)fprintf(stderr, "skipped: %s is not installed\n", EMULATOR);
        return;
    }
    finds_real_vcpus("tcg,thread=multi", 2);
    finds_real_vcpus("tcg,thread=single", 1);
    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm < 0) {
        (void)fprintf(stderr, "skipped in part: /dev/kvm: %s\n", strerror(errno));
        return;
    }
    (void)close(kvm);
    finds_real_vcpus("kvm", 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sample_vcpu");
    TCase *tests = tcase_create("sample_vcpu");

    /* Unchecked: the groups go away even when a test dies. */
    tcase_add_unchecked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, freezes_vcpus_and_nothing_else);
    tcase_add_test(tests, throttles_vcpus_and_nothing_else);
    tcase_add_test(tests, vcpus_may_share_a_group);
    tcase_add_test(tests, never_with_the_main_thread);
    tcase_add_test(tests, never_with_another_process);
    tcase_add_test(tests, never_when_all_threads_are_named);
    tcase_add_test(tests, never_with_a_group_below);
    tcase_add_test(tests, one_thread_may_be_all_vcpus);
    tcase_add_test(tests, gone);
    suite_add_tcase(suite, tests);
    TCase *names = tcase_create("names");
    tcase_set_timeout(names, 60);
    tcase_add_test(names, finds_vcpus_by_name);
    tcase_add_test(names, finds_vcpus_of_a_real_qemu);
    suite_add_tcase(suite, names);
    return suite_run(suite);
}
