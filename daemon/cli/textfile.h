/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A file that its readers see whole: the one before or this one. */
#ifndef PLIMSOLL_CLI_TEXTFILE_H
#define PLIMSOLL_CLI_TEXTFILE_H

#include <stddef.h>

#include <plimsoll/error.h>

/* Puts SIZE bytes of TEXT at PATH, mode 0644, in one step. On failure (a negative errno, and words
 * for a person) what is at PATH stays as it is. */
int textfile_replace(const char *path, const char *text, size_t size, struct error *ret_error);

#endif
