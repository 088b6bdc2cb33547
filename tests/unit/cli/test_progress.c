/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The line that says how far something has come: on a terminal, taken away without a trace, and
 * nowhere else. No test waits for a clock: when the next is due is set.
 */
#include "progress.h"
#include "suite.h"

#include <check.h>
#include <fcntl.h>
#include <plimsoll/units.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE 30000 /* milliseconds; only a broken test waits for so long */

static int saved_error, here;

static void error_goes_to(int fd)
{
    saved_error = dup(STDERR_FILENO);
    ck_assert_int_ge(saved_error, 0);
    ck_assert_int_ge(dup2(fd, STDERR_FILENO), 0);
    (void)close(fd);
}

static void error_comes_back(void)
{
    (void)fflush(stderr);
    ck_assert_int_ge(dup2(saved_error, STDERR_FILENO), 0);
    (void)close(saved_error);
}

static void setup_terminal(void)
{
    int there;

    ck_assert_int_eq(openpty(&here, &there, NULL, NULL, NULL), 0);
    error_goes_to(there);
}

static void teardown(void)
{
    error_comes_back();
    (void)close(here);
}

/* What a terminal is sent comes out at its other end when the kernel finds the time; so MARK goes
 * behind it. */
#define MARK "."

static void assert_shown(const char *expected)
{
    struct pollfd readable = {.fd = here, .events = POLLIN};
    char text[256];
    size_t length = 0;

    fputs(MARK, stderr);
    (void)fflush(stderr);
    while (length == 0 || text[length - 1] != MARK[0]) {
        ck_assert_int_eq(poll(&readable, 1, PATIENCE), 1);
        ssize_t more = read(here, text + length, sizeof(text) - 1 - length);
        ck_assert_int_gt(more, 0);
        length += (size_t)more;
    }
    text[length - 1] = '\0';
    ck_assert_str_eq(text, expected);
}

START_TEST(nothing_is_said_of_what_is_quick)
{
    struct progress progress = progress_begin("Playing");

    ck_assert(progress.next != NEVER);
    progress.next = NEVER - 1; /* not yet */
    progress_update(&progress, 1, 2);
    progress_hide(&progress);
    assert_shown("");
}
END_TEST

START_TEST(the_line_is_rewritten_and_taken_away)
{
    struct progress progress = progress_begin("Playing");

    progress.next = 0;
    progress_update(&progress, 1, 3);
    progress.next = 0;
    progress_update(&progress, 4, 3);
    assert_shown("\rPlaying: 33 %\033[K\rPlaying: 100 %\033[K");
    progress_hide(&progress);
    assert_shown("\r\033[K");
    progress_hide(&progress);
    assert_shown("");
}
END_TEST

START_TEST(of_no_known_whole_nothing_is_said)
{
    struct progress progress = progress_begin("Playing");

    progress.next = 0;
    progress_update(&progress, 7, 0);
    progress_hide(&progress);
    assert_shown("");
}
END_TEST

START_TEST(where_there_is_no_terminal_nothing_is_said)
{
    int ends[2];

    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    here = ends[0];
    error_goes_to(ends[1]);
    struct progress progress = progress_begin("Playing");
    progress_update(&progress, 1, 2);
    progress_hide(&progress);
    ck_assert(progress.next == NEVER);
    assert_shown("");
    teardown();
}
END_TEST

int main(void)
{
    int one, other;

    if (openpty(&one, &other, NULL, NULL, NULL) < 0)
        return suite_skip("there are no terminals (/dev/pts)");
    (void)close(one);
    (void)close(other);
    Suite *suite = suite_create("progress");
    TCase *terminal = tcase_create("terminal");
    TCase *elsewhere = tcase_create("elsewhere");

    tcase_add_checked_fixture(terminal, setup_terminal, teardown);
    tcase_add_test(terminal, nothing_is_said_of_what_is_quick);
    tcase_add_test(terminal, the_line_is_rewritten_and_taken_away);
    tcase_add_test(terminal, of_no_known_whole_nothing_is_said);
    suite_add_tcase(suite, terminal);
    tcase_add_test(elsewhere, where_there_is_no_terminal_nothing_is_said);
    suite_add_tcase(suite, elsewhere);
    return suite_run(suite);
}
