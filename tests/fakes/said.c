/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the reading end of what stands in the place of stderr. */
#include "said.h"

#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_SAID 2048
#define PIPE_SIZE (1024 * 1024)
#define WAIT_MSEC 10000

static FILE *said;

void said_begin(void)
{
    int pair[2];

    ck_assert_int_eq(pipe2(pair, O_CLOEXEC), 0);
    ck_assert_int_gt(fcntl(pair[1], F_SETPIPE_SZ, PIPE_SIZE), 0);
    ck_assert_int_eq(dup2(pair[1], STDERR_FILENO), STDERR_FILENO);
    (void)close(pair[1]);
    said = fdopen(pair[0], "r");
    ck_assert_ptr_nonnull(said);
    setvbuf(said, NULL, _IONBF, 0); /* poll() does not see what is buffered */
}

void said_end(void)
{
    (void)fclose(said);
    said = NULL;
}

bool said_within(int msec)
{
    struct pollfd wait = {.fd = fileno(said), .events = POLLIN};

    return poll(&wait, 1, msec) == 1;
}

const char *said_line(void)
{
    static char line[LINE_MAX_SAID];

    ck_assert_msg(said_within(WAIT_MSEC), "nothing was said");
    ck_assert_ptr_nonnull(fgets(line, sizeof(line), said));
    line[strcspn(line, "\n")] = '\0';
    return line;
}

void said_expect(const char *expected)
{
    ck_assert_msg(said_within(WAIT_MSEC), "nothing was said, expected %s", expected);
    ck_assert_str_eq(said_line(), expected);
}
