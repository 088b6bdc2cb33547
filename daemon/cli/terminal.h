/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the command's words go, and how they fit in there. */
#ifndef PLIMSOLL_CLI_TERMINAL_H
#define PLIMSOLL_CLI_TERMINAL_H

#include <stdbool.h>
#include <stdio.h>

struct style {
    unsigned width; /* columns of the terminal; 0: none, nothing is cut or wrapped */
    bool colours;
    bool
        breaks; /* terminal_wrap() breaks words that are longer than a line; else they stay whole */
};

/* Of standard output; NO_COLOR is heeded. */
struct style terminal_style(void);

/* Columns that TEXT, clean UTF-8 (text.h), takes. */
unsigned terminal_columns(const char *text);

/* Prints TEXT with a newline at its end; beyond the width it goes on in a new line, INDENT columns
 * in. COLUMN: where it begins. */
void terminal_wrap(
    const struct style *style, const char *text, unsigned column, unsigned indent, FILE *out);

#endif
