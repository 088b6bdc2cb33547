/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What libvirt writes to a hook: read to its end whatever it is, but not for ever. */
#ifndef PLIMSOLL_DAEMON_HOOK_INPUT_H
#define PLIMSOLL_DAEMON_HOOK_INPUT_H

#include <stddef.h>
#include <stdint.h>

/*
 * Reads FD to its end, until DEADLINE (loop_now()) at the latest. RET_TEXT, with its NUL, is the
 * caller's to free. -E2BIG: longer than MAXIMUM, which the end was read of, too; -ETIMEDOUT: it has
 * not ended; or another negative errno.
 */
int input_read(int fd, size_t maximum, uint64_t deadline, char **ret_text);

/* The same for what nobody wants to know. */
void input_drain(int fd, uint64_t deadline);

#endif
