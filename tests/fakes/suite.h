/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What every test program's main() does alike: run a suite, say why there is nothing to run, and
 * choose how many random cases to try.
 */
#ifndef PLIMSOLL_TESTS_SUITE_H
#define PLIMSOLL_TESTS_SUITE_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>

/* The status by which meson knows a skipped test (protocol "exitcode"). */
#define EXIT_SKIPPED 77

/* Runs SUITE and frees it; CK_VERBOSITY and the like are heeded. Returns the program's status. */
int suite_run(Suite *suite);

/* Says on standard error why the program tests nothing here, and returns EXIT_SKIPPED. */
int suite_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Whether the kernel has pidfd_open() (Linux 5.3), as a guest is held by nothing else. Valgrind
 * answers ENOSYS for a system call that it does not know, and its 3.19 does not know this one. */
bool suite_has_pidfd(void);
#define SUITE_NO_PIDFD                                                                          \
    "pidfd_open() is not there, by which every guest is held: Linux before 5.3, or a valgrind " \
    "that does not know it"

/* How many random cases to try: PLIMSOLL_TEST_CASES where that is a number above 0 (tests/run
 * lowers it for valgrind), else USUAL. */
uint64_t suite_cases(uint64_t usual);

#endif
