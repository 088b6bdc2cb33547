/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns what is known of the terminal. Text is broken at spaces alone: a word that is wider than the
 * line is a name or a figure, which somebody may want to copy whole, and is broken only for a page
 * that must keep its width.
 */
#include "terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "text.h"

/* The width people's terminals have had since punched cards. */
#define WIDTH_DEFAULT 80

struct style terminal_style(void)
{
    const char *no_color = getenv("NO_COLOR");
    struct style style = {0};
    struct winsize size;

    if (!isatty(STDOUT_FILENO))
        return style;
    style.width = WIDTH_DEFAULT;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        style.width = size.ws_col;
    /* https://no-color.org: any value but the empty one. */
    style.colours = !no_color || !no_color[0];
    return style;
}

/* Of LENGTH bytes; what the locale does not know counts as one column. */
static unsigned columns_of(const char *text, size_t length)
{
    mbstate_t state = {0};
    unsigned columns = 0;

    while (length > 0) {
        wchar_t character = L'\0';
        size_t bytes = mbrtowc(&character, text, length, &state);
        if (bytes == 0 || bytes > length) {
            bytes = 1;
            memset(&state, 0, sizeof(state));
        }
        int width = wcwidth(character);
        columns += width >= 0 ? (unsigned)width : 1;
        text += bytes;
        length -= bytes;
    }
    return columns;
}

unsigned terminal_columns(const char *text)
{
    return columns_of(text, strlen(text));
}

/* Prints a word of LENGTH bytes over as many lines as it takes; returns where it ends. */
static unsigned word_break(const struct style *style, const char *word, size_t length,
    unsigned column, unsigned indent, FILE *out)
{
    while (length > 0) {
        size_t character = text_character(word, length);
        size_t bytes = character > 0 ? character : 1;
        unsigned columns = columns_of(word, bytes);
        if (column > indent && column + columns > style->width) {
            fprintf(out, "\n%*s", (int)indent, "");
            column = indent;
        }
        (void)fwrite(word, 1, bytes, out);
        column += columns;
        word += bytes;
        length -= bytes;
    }
    return column;
}

void terminal_wrap(
    const struct style *style, const char *text, unsigned column, unsigned indent, FILE *out)
{
    bool first = true;

    while (*text) {
        size_t length = strcspn(text, " ");
        unsigned columns = columns_of(text, length);
        if (!first && style->width > 0 && column + 1 + columns > style->width) {
            fprintf(out, "\n%*s", (int)indent, "");
            column = indent;
        } else if (!first) {
            fputc(' ', out);
            column++;
        }
        if (style->breaks && style->width > 0 && column + columns > style->width) {
            column = word_break(style, text, length, column, indent, out);
        } else {
            (void)fwrite(text, 1, length, out);
            column += columns;
        }
        text += length + (text[length] == ' ');
        first = false;
    }
    fputc('\n', out);
}
