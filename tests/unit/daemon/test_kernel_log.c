/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The log as it is followed. A socket that keeps records whole stands for /dev/kmsg, and read()
 * fails once in the ways of the kernel when told to: nobody fills the log of this machine to see
 * EPIPE. Where the right is there, the true /dev/kmsg is followed, too.
 */
#include "kernel_log.h"
#include "log.h"
#include "said.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define RECORD_TOO_LONG 9000 /* more than the kernel gives */
#define KILLED                                                                        \
    "Out of memory: Killed process 7 (sh) total-vm:1kB, anon-rss:1kB, file-rss:1kB, " \
    "shmem-rss:1kB, UID:0 pgtables:1kB oom_score_adj:0"

static struct {
    struct loop *loop;
    struct kernel_log *log;
    int writer;
    unsigned kills, drained;
    uint64_t lost;
} scene;

/* Not static: to clang the read() below is inline, as the C library's header declares it. */
int read_error; /* of the next read of `read_error_fd`; 0: none */
int read_error_fd;

/* In the place of the C library's, for the reader under test. */
/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): its names are reserved */
ssize_t read(int fd, void *buffer, size_t size)
{
    if (read_error != 0 && fd == read_error_fd) {
        errno = read_error;
        read_error = 0;
        return -1;
    }
    return syscall(SYS_read, fd, buffer, size);
}

static void on_killed(const struct kernel_kill *kill, void *userdata)
{
    (void)userdata;
    ck_assert_int_eq(kill->pid, 7);
    scene.kills++;
}

static void on_lost(uint64_t lines, void *userdata)
{
    (void)userdata;
    scene.lost += lines;
}

static void on_drained(void *userdata)
{
    (void)userdata;
    scene.drained++;
}

static const struct kernel_log_owner owner = {
    .killed = on_killed, .lost = on_lost, .drained = on_drained};

static void setup(void)
{
    int pair[2];

    memset(&scene, 0, sizeof scene);
    said_begin();
    ck_assert_int_eq(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    scene.writer = pair[1];
    ck_assert_int_eq(loop_new(&scene.loop), 0);
    ck_assert_int_eq(kernel_log_new(scene.loop, pair[0], &owner, &scene.log), 0);
    read_error_fd = pair[0];
}

static void teardown(void)
{
    scene.log = kernel_log_free(scene.log);
    scene.loop = loop_free(scene.loop);
    (void)close(scene.writer);
    said_end();
}

static void record_write(uint64_t sequence, const char *text)
{
    char record[256];

    int length =
        snprintf(record, sizeof record, "3,%llu,5,-;%s\n", (unsigned long long)sequence, text);
    ck_assert_int_eq(send(scene.writer, record, (size_t)length, 0), length);
}

/* One wait of the loop, which finds something or does not. */
static void turn(void)
{
    ck_assert_int_eq(loop_wait(scene.loop, loop_now()), 0);
}

START_TEST(a_kill_wakes_the_loop)
{
    turn();
    ck_assert_uint_eq(scene.drained, 0); /* nothing woke it */
    record_write(5, "x");
    record_write(6, KILLED);
    turn();
    ck_assert_uint_eq(scene.kills, 1);
    ck_assert_uint_eq(scene.lost, 0);
    ck_assert_uint_eq(scene.drained, 1);
    ck_assert(kernel_log_read(scene.log));
    ck_assert_uint_eq(scene.drained, 1);
}
END_TEST

START_TEST(a_wake_is_bounded)
{
    for (unsigned i = 0; i < KERNEL_LOG_BATCH + 1; i++)
        record_write(i, KILLED);
    turn();
    ck_assert_uint_eq(scene.kills, KERNEL_LOG_BATCH);
    ck_assert_uint_eq(scene.drained, 0);
    turn();
    ck_assert_uint_eq(scene.kills, KERNEL_LOG_BATCH + 1);
    ck_assert_uint_eq(scene.drained, 1);
}
END_TEST

static const int passing[] = {EPIPE, EINVAL, EINTR};

/* Overwritten, too long, interrupted: what comes after is read in the same wake. */
START_TEST(after_an_error_it_goes_on)
{
    record_write(1, "x");
    turn();
    record_write(9, KILLED);
    read_error = passing[_i];
    turn();
    ck_assert_int_eq(read_error, 0);
    ck_assert_uint_eq(scene.kills, 1);
    ck_assert_uint_eq(scene.lost, 7);
    ck_assert(kernel_log_follows(scene.log));
    record_write(10, KILLED);
    turn();
    ck_assert_uint_eq(scene.kills, 2);
    ck_assert_uint_eq(scene.lost, 7);
    ck_assert(!said_within(0));
}
END_TEST

/* A number that goes back is no gap, and one that is malformed is one. */
START_TEST(what_is_not_understood_counts_as_lost)
{
    static char large[RECORD_TOO_LONG];

    memset(large, 'x', sizeof large);
    record_write(3, "x");
    ck_assert_int_eq(send(scene.writer, "rubbish\n", 8, 0), 8);
    ck_assert_int_eq(send(scene.writer, large, sizeof large, 0), sizeof large);
    turn();
    ck_assert_uint_eq(scene.lost, 0);
    record_write(6, "x");
    turn();
    ck_assert_uint_eq(scene.lost, 2);
    record_write(2, KILLED);
    record_write(3, KILLED);
    turn();
    ck_assert_uint_eq(scene.lost, 2);
    ck_assert_uint_eq(scene.kills, 2);
}
END_TEST

/* 0: the other end is closed. */
static const int final[] = {EIO, 0};

START_TEST(a_log_that_fails_is_said_once_and_left)
{
    record_write(3, "x");
    read_error = final[_i];
    if (final[_i] == 0)
        (void)shutdown(scene.writer, SHUT_WR);
    turn();
    ck_assert_uint_eq(scene.drained, 1);
    ck_assert(!kernel_log_follows(scene.log));
    ck_assert_ptr_nonnull(strstr(said_line(), "cannot be read any more"));
    turn();
    ck_assert(kernel_log_read(scene.log));
    ck_assert(!said_within(0));
    ck_assert_uint_eq(scene.drained, 1);
}
END_TEST

START_TEST(another_file_is_refused)
{
    ck_assert_int_eq(kernel_log_open("/dev/null"), -ENODEV);
    ck_assert_int_eq(kernel_log_open("/"), -ENODEV);
    ck_assert_int_eq(kernel_log_open("/nonexistent"), -ENOENT);
    ck_assert_int_eq(kernel_log_check(scene.writer), -ENODEV);
    ck_assert_int_eq(kernel_log_check(-1), -EBADF);
}
END_TEST

/* A child without CAP_SYSLOG, nor CAP_SYS_ADMIN, which once stood for it. */
static int open_without_right(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {0};
    int fd;

    if (syscall(SYS_capset, &header, sets) < 0)
        return -errno;
    fd = kernel_log_open("/dev/kmsg");
    return fd < 0 ? fd : 0;
}

START_TEST(without_the_right_it_is_refused_at_once)
{
    char restricted = '0';
    int fd = open("/proc/sys/kernel/dmesg_restrict", O_RDONLY | O_CLOEXEC), status;
    pid_t pid;

    if (fd >= 0) {
        ck_assert_int_eq(read(fd, &restricted, 1), 1);
        (void)close(fd);
    }
    fd = kernel_log_open("/dev/kmsg");
    if (fd >= 0)
        (void)close(fd);
    if (fd < 0 || restricted != '1') {
        (void)printf("not tried: everybody may read /dev/kmsg here, or nobody\n");
        return;
    }
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        _exit(-open_without_right());
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), EPERM);
}
END_TEST

/* From its end: nothing old is told, and nothing is counted as lost. */
START_TEST(the_true_log_is_followed)
{
    struct kernel_log *log = NULL;
    int fd = kernel_log_open("/dev/kmsg");

    if (fd == -EPERM || fd == -EACCES || fd == -ENOENT || fd == -ENODEV) {
        (void)printf("not followed, for want of CAP_SYSLOG or of /dev/kmsg: %s\n", strerror(-fd));
        return;
    }
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(kernel_log_new(scene.loop, fd, &owner, &log), 0);
    turn();
    (void)kernel_log_read(log);
    ck_assert(kernel_log_follows(log));
    ck_assert_uint_eq(scene.lost, 0);
    ck_assert_ptr_null(kernel_log_free(log));
    ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
    ck_assert(!said_within(0));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kernel log");
    TCase *tests = tcase_create("kernel log");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_kill_wakes_the_loop);
    tcase_add_test(tests, a_wake_is_bounded);
    tcase_add_loop_test(tests, after_an_error_it_goes_on, 0, ELEMENTSOF(passing));
    tcase_add_test(tests, what_is_not_understood_counts_as_lost);
    tcase_add_loop_test(tests, a_log_that_fails_is_said_once_and_left, 0, ELEMENTSOF(final));
    tcase_add_test(tests, another_file_is_refused);
    tcase_add_test(tests, without_the_right_it_is_refused_at_once);
    tcase_add_test(tests, the_true_log_is_followed);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
