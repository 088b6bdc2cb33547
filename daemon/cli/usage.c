/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the one way in which a command line is found wrong.
 */
#include "command.h"

#include <stdarg.h>
#include <stdio.h>

int command_usage_error(const char *format, ...)
{
    va_list arguments;

    fputs("plimsoll: ", stderr);
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputs("\nTry `plimsoll --help`.\n", stderr);
    return COMMAND_USAGE;
}
