/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The process that writes to files of a cgroup. An ordinary file shows what was written and where;
 * a pipe that is full stands for a device that does not come to an end.
 */
#include "scratch.h"
#include "suite.h"
#include "writer.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct loop *loop;
static struct writer *writer;
static struct {
    unsigned count;
    uint64_t ticket;
    int result;
} answers;

static void on_done(uint64_t ticket, int result, void *userdata)
{
    ck_assert_ptr_eq(userdata, &answers);
    answers.count++;
    answers.ticket = ticket;
    answers.result = result;
}

static void begin(uint64_t time)
{
    memset(&answers, 0, sizeof answers);
    ck_assert_int_eq(loop_new(&loop), 0);
    const struct writer_options options = {
        .name = "test", .what = "anything", .time = time, .done = on_done, .userdata = &answers};
    ck_assert_int_eq(writer_new(loop, &options, &writer), 0);
}

static void end(void)
{
    writer = writer_free(writer);
    loop = loop_free(loop);
}

/* Bounded by the test's own limit. */
static void await_answers(unsigned count)
{
    while (answers.count < count)
        ck_assert_int_eq(loop_wait(loop, loop_now() + NSEC_PER_SEC), 0);
}

/* Whoever writes to it waits. */
static int full_pipe(int ret_ends[2])
{
    ck_assert_int_eq(pipe2(ret_ends, O_CLOEXEC), 0);
    ck_assert_int_eq(fcntl(ret_ends[1], F_SETFL, O_NONBLOCK), 0);
    while (write(ret_ends[1], "x", 1) > 0)
        continue;
    ck_assert_int_eq(fcntl(ret_ends[1], F_SETFL, 0), 0);
    return ret_ends[1];
}

static void close_both(const int ends[2])
{
    close(ends[0]);
    close(ends[1]);
}

/* Reaped already, or not yet. */
static void await_end(pid_t pid)
{
    siginfo_t info;

    ck_assert(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0 || errno == ECHILD);
}

START_TEST(bytes_reach_that_very_file)
{
    char folder[SCRATCH_FOLDER_MAX], path[128], other[128], text[32] = "";

    scratch_make("writer", folder);
    (void)snprintf(path, sizeof path, "%s/memory.reclaim", folder);
    (void)snprintf(other, sizeof other, "%s/removed", folder);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    begin(NSEC_PER_SEC);
    /* Another file takes its name before the piece is written. */
    ck_assert_int_eq(rename(path, other), 0);
    int impostor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_eq(writer_ask(writer, fd, "134217728", 7, loop_now()), 0);
    ck_assert_int_eq(writer_ask(writer, fd, "1", 8, loop_now()), -EBUSY);
    await_answers(1);
    ck_assert_uint_eq(answers.ticket, 7);
    ck_assert_int_eq(answers.result, 0);
    ck_assert_int_eq(pread(fd, text, sizeof text - 1, 0), 9);
    ck_assert_str_eq(text, "134217728");
    ck_assert_int_eq(pread(impostor, text, sizeof text, 0), 0);
    /* One after the other, by the same process. */
    pid_t helper = writer_helper(writer);
    for (unsigned i = 0; i < 50; i++) {
        ck_assert_int_eq(writer_ask(writer, fd, "4096", i, loop_now()), 0);
        await_answers(2 + i);
        ck_assert_uint_eq(answers.ticket, i);
    }
    ck_assert_int_eq(writer_helper(writer), helper);
    end();
    close(fd);
    close(impostor);
    scratch_remove(folder);
}
END_TEST

START_TEST(what_the_kernel_refuses_is_told)
{
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    begin(NSEC_PER_SEC);
    ck_assert_int_eq(writer_ask(writer, fd, "4096", 1, loop_now()), 0);
    await_answers(1);
    ck_assert_int_eq(answers.result, -ENOSPC);
    end();
    close(fd);
}
END_TEST

START_TEST(a_slow_piece_is_broken_off)
{
    int ends[2], fd = full_pipe(ends);

    begin(20 * NSEC_PER_MSEC);
    pid_t helper = writer_helper(writer);
    ck_assert_int_eq(writer_ask(writer, fd, "4096", 3, loop_now()), 0);
    await_answers(1);
    ck_assert_uint_eq(answers.ticket, 3);
    ck_assert_int_eq(answers.result, -EINTR);
    ck_assert_int_eq(writer_helper(writer), helper);
    end();
    close_both(ends);
}
END_TEST

/* Its own time never comes to an end: as if it hung in the kernel. */
START_TEST(one_that_hangs_is_replaced)
{
    int ends[2], fd = full_pipe(ends), null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    begin(3600 * NSEC_PER_SEC);
    pid_t first = writer_helper(writer);
    uint64_t now = loop_now();
    ck_assert_int_eq(writer_ask(writer, fd, "4096", 1, now), 0);
    ck_assert_uint_eq(writer_deadline(writer), now + WRITER_PATIENCE);
    writer_advance(writer, BAND_CRITICAL, now + WRITER_PATIENCE - 1);
    ck_assert_uint_eq(answers.count, 0);
    writer_advance(writer, BAND_CRITICAL, now + WRITER_PATIENCE);
    ck_assert_uint_eq(answers.count, 1);
    ck_assert_int_eq(answers.result, -ETIMEDOUT);
    ck_assert_uint_eq(writer_deadline(writer), NEVER);
    /* The spare goes on at once. */
    pid_t second = writer_helper(writer);
    ck_assert_int_gt(second, 0);
    ck_assert_int_ne(second, first);
    ck_assert_int_eq(writer_ask(writer, null, "4096", 2, now), 0);
    await_answers(2);
    ck_assert_int_eq(answers.result, 0);
    /* With the last one gone, too, nobody is forked at the edge. */
    ck_assert_int_eq(kill(second, SIGKILL), 0);
    while (writer_helper(writer) != 0)
        ck_assert_int_eq(loop_wait(loop, loop_now() + NSEC_PER_SEC), 0);
    await_end(first);
    await_end(second);
    writer_advance(writer, BAND_SCARCE, now);
    ck_assert_int_eq(writer_ask(writer, null, "4096", 3, now), -ENOTCONN);
    writer_advance(writer, BAND_CALM, now);
    ck_assert_int_eq(writer_ask(writer, null, "4096", 4, now), 0);
    await_answers(3);
    ck_assert_int_eq(answers.result, 0);
    end();
    close(null);
    close_both(ends);
}
END_TEST

/* One that ends in the middle of a piece does not leave the guard waiting. */
START_TEST(one_that_ends_is_no_loss)
{
    int ends[2], fd = full_pipe(ends);

    begin(3600 * NSEC_PER_SEC);
    pid_t helper = writer_helper(writer);
    ck_assert_int_eq(writer_ask(writer, fd, "4096", 1, loop_now()), 0);
    ck_assert_int_eq(kill(helper, SIGKILL), 0);
    await_answers(1);
    ck_assert_int_eq(answers.result, -ETIMEDOUT);
    ck_assert_int_ne(writer_helper(writer), helper);
    end();
    close_both(ends);
}
END_TEST

/* In the middle of a piece, too, it dies with the guard. */
START_TEST(no_helper_outlives_the_guard)
{
    int ends[2], fd = full_pipe(ends), told[2];

    ck_assert_int_eq(pipe2(told, O_CLOEXEC), 0);
    pid_t guard = fork();
    ck_assert_int_ge(guard, 0);
    if (guard == 0) {
        begin(3600 * NSEC_PER_SEC);
        pid_t helper = writer_helper(writer);
        bool asked = writer_ask(writer, fd, "4096", 1, loop_now()) == 0;
        _exit(asked && write(told[1], &helper, sizeof helper) > 0 ? 0 : 1);
    }
    int status;
    pid_t helper = 0;
    ck_assert_int_eq(waitpid(guard, &status, 0), guard);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(read(told[0], &helper, sizeof helper), sizeof helper);
    /* Whoever adopts it reaps it; until then it is a zombie at most. */
    char path[64], text[256];
    bool gone = false;
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)helper);
    while (!gone) {
        FILE *file = fopen(path, "re");
        char *name_end = file && fgets(text, sizeof text, file) ? strrchr(text, ')') : NULL;
        gone = !name_end || name_end[2] == 'Z' || name_end[2] == 'X';
        if (file)
            (void)fclose(file);
    }
    close_both(ends);
    close_both(told);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("writer");
    TCase *tests = tcase_create("pieces");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, bytes_reach_that_very_file);
    tcase_add_test(tests, what_the_kernel_refuses_is_told);
    tcase_add_test(tests, a_slow_piece_is_broken_off);
    tcase_add_test(tests, one_that_hangs_is_replaced);
    tcase_add_test(tests, one_that_ends_is_no_loss);
    tcase_add_test(tests, no_helper_outlives_the_guard);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
