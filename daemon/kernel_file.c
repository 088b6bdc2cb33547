/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns nothing: helpers around one fd and one buffer of the caller.
 *
 * pread at offset 0 makes seq_file generate the text anew, so a kept-open fd costs neither lookup
 * nor close: a third of the price of opening it again. A file generated in one piece (single_open:
 * meminfo, status, statm) comes with one pread and needs no second one to find its end; a file
 * generated record by record (vmstat, zoneinfo, mountinfo) comes a page at a time, and is walked
 * with kernel_lines at rising offsets, which seq_file continues without starting over.
 */
#include "kernel_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <plimsoll/units.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int kernel_file_open(int directory, const char *path)
{
    int fd = openat(directory, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    return fd >= 0 ? fd : -errno;
}

int kernel_file_open_format(const char *format, ...)
{
    char path[PATH_MAX];
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(path, sizeof(path), format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof(path))
        return -ENAMETOOLONG;
    return kernel_file_open(AT_FDCWD, path);
}

int kernel_file_close(int fd)
{
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

void kernel_file_close_at(int *fd)
{
    *fd = kernel_file_close(*fd);
}

int kernel_file_read(int fd, char *buffer, size_t size)
{
    if (fd < 0)
        return -ENODATA;
    ssize_t length = pread(fd, buffer, size - 1, 0);
    if (length < 0)
        return -errno;
    if (length == 0)
        return -ENODATA;
    buffer[length] = '\0';
    return (int)length;
}

int kernel_file_read_number(int fd, uint64_t *ret_number)
{
    char text[32]; /* 20 digits, newline, NUL */
    const char *cursor = text;
    uint64_t number;

    int result = kernel_file_read(fd, text, sizeof(text));
    if (result < 0)
        return result;
    if (!kernel_number_parse(&cursor, &number) || *cursor != '\n')
        return -EBADMSG;
    *ret_number = number;
    return 0;
}

static const char *skip_blanks(const char *cursor)
{
    while (*cursor == ' ' || *cursor == '\t')
        cursor++;
    return cursor;
}

bool kernel_number_parse(const char **cursor, uint64_t *ret_number)
{
    const char *digit = skip_blanks(*cursor);
    uint64_t number = 0;

    if (*digit < '0' || *digit > '9')
        return false;
    for (; *digit >= '0' && *digit <= '9'; digit++)
        if (__builtin_mul_overflow(number, UINT64_C(10), &number) ||
            __builtin_add_overflow(number, (uint64_t)(*digit - '0'), &number))
            return false;
    if (!known(number))
        return false;
    *cursor = digit;
    *ret_number = number;
    return true;
}

/* What follows the key: "[:] NUMBER [kB]\n". */
static uint64_t field_value(const char *cursor)
{
    uint64_t value;

    if (*cursor == ':')
        cursor++;
    if (!kernel_number_parse(&cursor, &value))
        return UNKNOWN;
    cursor = skip_blanks(cursor);
    if (cursor[0] == 'k' && cursor[1] == 'B') {
        if (__builtin_mul_overflow(value, KIB, &value))
            return UNKNOWN;
        cursor = skip_blanks(cursor + 2);
    }
    return *cursor == '\n' ? value : UNKNOWN;
}

static const char *skip_word(const char *cursor)
{
    while (*cursor && *cursor != ' ' && *cursor != '\t' && *cursor != '\n')
        cursor++;
    return skip_blanks(cursor);
}

static bool field_matches(const struct kernel_field *field, const char *line)
{
    return strncmp(line, field->key, field->length) == 0 && strchr(": \t", line[field->length]) &&
           line[field->length];
}

unsigned kernel_fields_parse(const char *text, unsigned skip, const struct kernel_field *fields,
    unsigned count, void *target)
{
    const uint64_t unknown = UNKNOWN;
    const char *end;
    unsigned found = 0;
    unsigned next = 0; /* the field expected now, when the file keeps the table's order */

    for (unsigned i = 0; i < count; i++)
        memcpy((char *)target + fields[i].offset, &unknown, sizeof(unknown));
    for (const char *line = text; (end = strchr(line, '\n')); line = end + 1) {
        for (unsigned word = 0; word < skip; word++)
            line = skip_word(line);
        for (unsigned i = 0; i < count; i++) {
            const struct kernel_field *field = &fields[(next + i) % count];
            if (!field_matches(field, line))
                continue;
            uint64_t value = field_value(line + field->length);
            memcpy((char *)target + field->offset, &value, sizeof(value));
            found += known(value);
            next = (next + i + 1) % count;
            break;
        }
    }
    return found;
}

void kernel_octal_unescape(char *text)
{
    char *to = text;

    for (const char *from = text; *from; to++) {
        if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' &&
            from[2] <= '7' && from[3] >= '0' && from[3] <= '7') {
            *to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

void kernel_lines_begin(struct kernel_lines *lines, int fd)
{
    lines->fd = fd;
    lines->offset = 0;
    lines->begin = lines->end = 0;
}

/* Makes room and reads on. False: nothing more. */
static bool kernel_lines_fill(struct kernel_lines *lines)
{
    memmove(lines->buffer, lines->buffer + lines->begin, lines->end - lines->begin);
    lines->end -= lines->begin;
    lines->begin = 0;
    if (lines->fd < 0 || lines->end == sizeof(lines->buffer))
        return false;
    ssize_t length = pread(
        lines->fd, lines->buffer + lines->end, sizeof(lines->buffer) - lines->end, lines->offset);
    if (length <= 0)
        return false;
    lines->offset += length;
    lines->end += (size_t)length;
    return true;
}

char *kernel_lines_next(struct kernel_lines *lines)
{
    bool skipping = false; /* within a line that does not fit */

    for (;;) {
        char *line = lines->buffer + lines->begin;
        char *newline = memchr(line, '\n', lines->end - lines->begin);
        if (newline) {
            *newline = '\0';
            lines->begin = (size_t)(newline - lines->buffer) + 1;
            if (!skipping)
                return line;
            skipping = false;
        } else if (lines->end - lines->begin == sizeof(lines->buffer)) {
            lines->begin = lines->end = 0;
            skipping = true;
        } else if (!kernel_lines_fill(lines)) {
            return NULL;
        }
    }
}
