/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stands in for the log and the error text, so that samplers can be linked by themselves. */
#include "log.h"

#include <plimsoll/error.h>
#include <stdarg.h>
#include <stdio.h>

void log_message(int level, const char *format, ...)
{
    va_list arguments;

    (void)fprintf(stderr, "<%d>", level);
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
}

int error_set(struct error *error, int code, const char *format, ...)
{
    va_list arguments;

    if (!error)
        return code;
    error->code = code;
    va_start(arguments, format);
    (void)vsnprintf(error->text, sizeof(error->text), format, arguments);
    va_end(arguments);
    return code;
}
