/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names that others chose, made fit to be shown. */
#ifndef PLIMSOLL_DAEMON_SCAN_NAME_H
#define PLIMSOLL_DAEMON_SCAN_NAME_H

#include <stddef.h>

/* Copies the LENGTH bytes at NAME into BUFFER of SIZE (at least 1): valid UTF-8 stays, each control
 * character and each byte of broken UTF-8 becomes '?', and what does not fit is cut at the border
 * of a character. */
void name_clean(const char *name, size_t length, char *buffer, size_t size);

#endif
