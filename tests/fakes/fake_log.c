/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * log.h for tests: diagnostics go to stderr as they are.
 */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>

void log_message(int level, const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "<%d>", level);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

bool log_permit(struct log_limit *limit, uint64_t now)
{
    limit->last = now;
    return true;
}
