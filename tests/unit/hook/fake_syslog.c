/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * In the place of the C library's own, within a program of the tests: what is said goes to standard
 * error, behind the number of its facility and level.
 */
#include <stdarg.h>
#include <stdio.h>
#include <syslog.h>

static void __attribute__((format(printf, 2, 0)))
line_write(int priority, const char *format, va_list arguments)
{
    (void)fprintf(stderr, "%d ", priority);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): theirs are reserved */
void syslog(int priority, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    line_write(priority, format, arguments);
    va_end(arguments);
}

/* What syslog() becomes with _FORTIFY_SOURCE; the name is the C library's.
 * NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
void __syslog_chk(int priority, int flag, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void __syslog_chk(int priority, int flag, const char *format, ...)
{
    va_list arguments;

    (void)flag;
    va_start(arguments, format);
    line_write(priority, format, arguments);
    va_end(arguments);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
