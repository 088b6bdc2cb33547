/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Freezing a vCPU by its own cgroup, on the real kernel: a process of three threads, two of which
 * play vCPUs, in a threaded subtree as libvirt lays it out.
 */
#include "kernel_file.h"
#include "sample_cgroup.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <plimsoll/cleanup.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THREADS 3 /* the main one, which must go on, and two vCPUs */
#define WAIT_MS 10000

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

int main(void)
{
    Suite *suite = suite_create("sample_vcpu");
    TCase *tests = tcase_create("sample_vcpu");

    /* Unchecked: the groups go away even when a test dies. */
    tcase_add_unchecked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, freezes_vcpus_and_nothing_else);
    tcase_add_test(tests, vcpus_may_share_a_group);
    tcase_add_test(tests, never_with_the_main_thread);
    tcase_add_test(tests, gone);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
