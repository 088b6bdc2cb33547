/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A file that its readers see whole: the one before or this one. */
#ifndef PLIMSOLL_CLI_TEXTFILE_H
#define PLIMSOLL_CLI_TEXTFILE_H

#include <stddef.h>
#include <sys/stat.h>

#include <plimsoll/error.h>

/* Puts SIZE bytes of TEXT at PATH in one step, with MODE whatever the umask is; 0: what the umask
 * leaves of 0666. On failure (a negative errno, and words for a person) what is at PATH stays as it
 * is; so does what is there and no regular file: -EEXIST. */
int textfile_replace(
    const char *path, const char *text, size_t size, mode_t mode, struct error *ret_error);

/* For readers of other users, such as node_exporter. */
#define TEXTFILE_FOR_ALL (S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH)

#endif
