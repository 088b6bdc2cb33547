/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a child has written so far, line by line. Nothing is consumed: every wait says from where it
 * looks, so that two waits for events of unknown order do not steal from each other.
 */
#ifndef PLIMSOLL_TESTS_REAL_LINES_H
#define PLIMSOLL_TESTS_REAL_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A test of minutes with a line a second from each child stays far below it. */
#define LINES_SIZE_MAX 1048576

struct lines {
    int fd;       /* owned; -1 after the other end closed */
    char *buffer; /* whole lines are ended by NUL in place of their newline */
    size_t length;
    size_t whole; /* bytes of it that are whole lines */
};

/* Takes FD over and makes it non-blocking. Fails the test when memory is out. */
void lines_init(struct lines *lines, int fd);
void lines_release(struct lines *lines);

/* Reads what is there without waiting. False when the other end has closed. */
bool lines_read(struct lines *lines);

/* Position behind the last whole line: "from now on". */
size_t lines_mark(struct lines *lines);

typedef bool (*lines_match)(const char *line, const void *userdata);

/* The first line from *CURSOR on that MATCH accepts, waiting until DEADLINE (CLOCK_MONOTONIC, ns)
 * for it; then *CURSOR stands behind it. NULL: none came, or the other end closed. The line is
 * valid until the next read. */
const char *lines_wait(struct lines *lines, size_t *cursor, lines_match match, const void *userdata,
    uint64_t deadline);

/* The line is MATCHed by containing all of these words, NULL-terminated, each a whole word. */
bool lines_match_words(const char *line, const void *words);

/* Everything so far to stderr, each line behind PREFIX: what one wants to see of a failed test. */
void lines_dump(struct lines *lines, const char *prefix);

#endif
