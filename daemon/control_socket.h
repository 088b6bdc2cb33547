/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The control socket's place in the file system.
 */
#ifndef PLIMSOLL_DAEMON_CONTROL_SOCKET_H
#define PLIMSOLL_DAEMON_CONTROL_SOCKET_H

#include <plimsoll/error.h>
#include <sys/types.h>

/* Which file we made, so that only ours is removed. */
struct control_socket_place {
    dev_t device;
    ino_t inode;
};

/* Listens at PATH; errors as control_server_new(). A client that finds the name finds it listening
 * and with its final rights. The caller closes *RET_FD. */
int control_socket_open(
    const char *path, int *ret_fd, struct control_socket_place *ret_place, struct error *ret_error);
void control_socket_unlink(const char *path, const struct control_socket_place *place);

#endif
