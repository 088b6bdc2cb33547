/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading the kernel's text files: opened once, read again by pread into a bounded buffer, parsed
 * without allocation. Everything read is taken as hostile: a line without its newline was cut and
 * is not used, a number that does not fit is no number.
 */
#ifndef PLIMSOLL_DAEMON_KERNEL_FILE_H
#define PLIMSOLL_DAEMON_KERNEL_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Enough for any file that the kernel shows in one piece and we read whole: meminfo has about
 * 1.6 KiB, status 1.5 KiB and, with 8,192 CPUs allowed, 4 KiB more. */
#define KERNEL_FILE_TEXT 8192

/* Opens PATH below DIRECTORY (or AT_FDCWD) for reading, close-on-exec and non-blocking. Returns the
 * fd or a negative errno. */
int kernel_file_open(int directory, const char *path);
/* The same for a path that is formatted first; -ENAMETOOLONG beyond PATH_MAX. */
int kernel_file_open_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* FD, or -1 where it is a negative errno. */
static inline int kernel_file_valid(int fd)
{
    return fd < 0 ? -1 : fd;
}
/* Closes FD, if it is one, and returns -1. */
int kernel_file_close(int fd);
void kernel_file_close_at(int *fd);

/* Reads FD from its start in one piece into BUFFER and adds a NUL. Returns the length, which is
 * never 0; -ENODATA: the file is empty or FD is -1; else a negative errno. */
int kernel_file_read(int fd, char *buffer, size_t size);
/* Reads a file that holds one number. */
int kernel_file_read_number(int fd, uint64_t *ret_number);

/* Parses a decimal number at *CURSOR, blanks before it skipped, and moves *CURSOR behind it. False
 * where there is none, or none that fits and is not UNKNOWN. */
bool kernel_number_parse(const char **cursor, uint64_t *ret_number);

/* One line to look for, "KEY[:] NUMBER [kB]", and where in a struct its uint64_t goes. */
struct kernel_field {
    const char *key;
    size_t length;
    size_t offset;
};
#define KERNEL_FIELD(name, type, member)                 \
    {                                                    \
        (name), sizeof(name) - 1, offsetof(type, member) \
    }

/* Fills TARGET from TEXT: bytes where the line says kB. The first SKIP words of each line are
 * passed over. A field whose line is missing, cut or malformed becomes UNKNOWN. Returns how many
 * were found. Quickest when FIELDS stand in the file's order. */
unsigned kernel_fields_parse(const char *text, unsigned skip, const struct kernel_field *fields,
    unsigned count, void *target);

/* mountinfo writes blank, tab, newline and backslash as \ooo: puts them back, in place. */
void kernel_octal_unescape(char *text);

/* Walks the lines of a file of any size, for those that the kernel shows record by record. */
struct kernel_lines {
    int fd;
    off_t offset;
    size_t begin, end;
    char
        buffer[4096]; /* no line of ours is longer, but a mount's options: such a line is skipped */
};
void kernel_lines_begin(struct kernel_lines *lines, int fd);
/* The next line without its newline, valid until the next call; NULL at the end, also where reading
 * failed or the last line was cut. */
char *kernel_lines_next(struct kernel_lines *lines);

#endif
