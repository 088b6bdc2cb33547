/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns nothing: libcheck's runner lives for one call. */
#include "suite.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int suite_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int suite_skip(const char *format, ...)
{
    va_list arguments;

    (void)fputs("SKIP: ", stderr);
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
    return EXIT_SKIPPED;
}

bool suite_has_pidfd(void)
{
    int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

    if (fd < 0)
        return errno != ENOSYS;
    (void)close(fd);
    return true;
}

uint64_t suite_cases(uint64_t usual)
{
    const char *text = getenv("PLIMSOLL_TEST_CASES");
    uint64_t cases = text ? strtoull(text, NULL, 10) : 0;

    return cases > 0 ? cases : usual;
}
