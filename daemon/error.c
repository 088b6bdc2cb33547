/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns nothing: fills the caller's struct error. The words come from everywhere, guests included,
 * so the formatted text is cleaned as a whole rather than trusted to have been cleaned in parts.
 */
#include "text.h"

#include <plimsoll/error.h>
#include <stdarg.h>
#include <stdio.h>

int error_set(struct error *error, int code, const char *format, ...)
{
    va_list arguments;

    if (!error)
        return code;
    error->code = code;
    va_start(arguments, format);
    int wanted = vsnprintf(error->text, sizeof(error->text), format, arguments);
    va_end(arguments);
    text_finish(error->text, sizeof(error->text), wanted);
    return code;
}
