/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every guest is held by a pidfd. Where there is none to be had (Linux before 5.3, valgrind 3.19,
 * which answers ENOSYS for what it does not know), a test of guests has nothing to run.
 */
#ifndef PLIMSOLL_TESTS_FAKE_PIDFD_H
#define PLIMSOLL_TESTS_FAKE_PIDFD_H

#include <stdbool.h>

/* The status by which meson knows a skipped test. */
#define FAKE_PIDFD_SKIP 77

/* Says on stderr why TEST is skipped. */
bool fake_pidfd_missing(const char *test);

#endif
