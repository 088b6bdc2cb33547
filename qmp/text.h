/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Text across the border: what a peer says is cleaned before anyone prints it, what we say is
 * escaped before it is sent. No allocation.
 */
#ifndef PLIMSOLL_QMP_TEXT_H
#define PLIMSOLL_QMP_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Copies LENGTH bytes of TEXT into TO (SIZE bytes, > 0), NUL-terminated, cut at a character where
 * it is too long. Control characters (C0, DEL, C1) and broken UTF-8 become '?'. */
void qmp_text_clean(char *to, size_t size, const char *text, size_t length);

/* A line under construction. Once something did not fit or was not UTF-8 it is bad and stays so. */
struct qmp_writer {
    char *text;
    size_t size, length;
    bool bad;
};

/* Adds TEXT as it is. */
void qmp_writer_put(struct qmp_writer *writer, const char *text);
/* Adds a formatted number or the like; the result is not escaped. */
void qmp_writer_printf(struct qmp_writer *writer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Adds TEXT as a JSON string, quotes included. */
void qmp_writer_string(struct qmp_writer *writer, const char *text);

#endif
