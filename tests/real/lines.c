/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the buffer of one child's output. Lines are ended in place, so that a line is a string and a
 * position is an offset; a carriage return before the newline, as serial lines send it, goes too.
 */
#include "lines.h"

#include "harness.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <plimsoll/units.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void lines_init(struct lines *lines, int fd)
{
    *lines = (struct lines){.fd = fd, .buffer = malloc(LINES_SIZE_MAX)};
    ck_assert_ptr_nonnull(lines->buffer);
    ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
}

void lines_release(struct lines *lines)
{
    if (lines->fd >= 0)
        close(lines->fd);
    free(lines->buffer);
    *lines = (struct lines){.fd = -1};
}

static void lines_end_whole(struct lines *lines)
{
    for (size_t i = lines->whole; i < lines->length; i++) {
        if (lines->buffer[i] != '\n')
            continue;
        lines->buffer[i] = '\0';
        if (i > lines->whole && lines->buffer[i - 1] == '\r')
            lines->buffer[i - 1] = '\0';
        lines->whole = i + 1;
    }
}

bool lines_read(struct lines *lines)
{
    while (lines->fd >= 0) {
        ck_assert_msg(
            lines->length < LINES_SIZE_MAX, "a child wrote more than %d bytes", LINES_SIZE_MAX);
        ssize_t got =
            read(lines->fd, lines->buffer + lines->length, LINES_SIZE_MAX - lines->length);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return true;
        if (got <= 0) {
            close(lines->fd);
            lines->fd = -1;
            break;
        }
        lines->length += (size_t)got;
        lines_end_whole(lines);
    }
    return false;
}

size_t lines_mark(struct lines *lines)
{
    (void)lines_read(lines);
    return lines->whole;
}

const char *lines_wait(
    struct lines *lines, size_t *cursor, lines_match match, const void *userdata, uint64_t deadline)
{
    for (;;) {
        bool open = lines_read(lines);
        while (*cursor < lines->whole) {
            const char *line = lines->buffer + *cursor;
            /* A carriage return leaves a second NUL behind the line's own: an empty line. */
            *cursor += strlen(line) + 1;
            if (match(line, userdata))
                return line;
        }
        uint64_t now = harness_now();
        if (!open || now >= deadline)
            return NULL;
        struct pollfd pollfd = {.fd = lines->fd, .events = POLLIN};
        (void)poll(&pollfd, 1, (int)((deadline - now) / NSEC_PER_MSEC) + 1);
    }
}

static bool line_has_word(const char *line, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = strstr(line, word); at; at = strstr(at + 1, word)) {
        bool begins = at == line || at[-1] == ' ' || at[-1] == '>';
        if (begins && (at[length] == ' ' || at[length] == '\0'))
            return true;
    }
    return false;
}

bool lines_match_words(const char *line, const void *words)
{
    for (const char *const *word = words; *word; word++) {
        if (!line_has_word(line, *word))
            return false;
    }
    return true;
}

void lines_dump(struct lines *lines, const char *prefix)
{
    if (!lines->buffer)
        return;
    (void)lines_read(lines);
    for (size_t at = 0; at < lines->whole; at += strlen(lines->buffer + at) + 1) {
        if (lines->buffer[at] != '\0')
            (void)fprintf(stderr, "%s| %s\n", prefix, lines->buffer + at);
    }
}
