/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A temporary folder of one test, and small files. Every function ends the test when it cannot do
 * what it says.
 */
#ifndef PLIMSOLL_TESTS_SCRATCH_H
#define PLIMSOLL_TESTS_SCRATCH_H

#include <stddef.h>

#define SCRATCH_FOLDER_MAX 64
/* The longest line that scratch_read() returns. */
#define SCRATCH_LINE_MAX 2048

/* Makes /tmp/plimsoll-NAME-XXXXXX; at most SCRATCH_FOLDER_MAX bytes go to RET_FOLDER. */
void scratch_make(const char *name, char *ret_folder);
/* Removes PATH and all below it, following no link. */
void scratch_remove(const char *path);

/* Makes the folders that PATH is to stand in. */
void scratch_make_parents(const char *path);
/* Makes PATH and the folders above it, or truncates it: its inode stays, and descriptors kept open
 * see the new text. */
void scratch_write_bytes(const char *path, const void *bytes, size_t length);
void scratch_write(const char *path, const char *text);
/* The first line of PATH, with its end; valid until the next call. */
const char *scratch_read(const char *path);

#endif
