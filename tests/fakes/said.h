/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the code under test says on stderr, line by line. One at a time. */
#ifndef PLIMSOLL_TESTS_SAID_H
#define PLIMSOLL_TESTS_SAID_H

#include <stdbool.h>

/* Puts a pipe in the place of stderr, with room for a mebibyte: whoever writes is stalled only on
 * purpose. */
void said_begin(void);
void said_end(void);

/* Whether something was said within MSEC milliseconds. */
bool said_within(int msec);
/* The next line, without its end; waits for it, and ends the test when none comes. Valid until the
 * next call. */
const char *said_line(void);
/* … which has to be EXPECTED. */
void said_expect(const char *expected);

#endif
