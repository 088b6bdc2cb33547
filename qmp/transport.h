/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The socket. Nothing here blocks, and nothing raises SIGPIPE.
 */
#ifndef PLIMSOLL_QMP_TRANSPORT_H
#define PLIMSOLL_QMP_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Whether PATH is short enough for a socket's address. */
bool qmp_transport_path_fits(const char *path);

/* Connects to the socket at PATH. Returns 0: connected; 1: under way, to be finished when the
 * socket is writable; negative errno, -EAGAIN where the listener's queue is full. */
int qmp_transport_connect(const char *path, int *ret_fd);
/* The outcome of a connection that was under way: 0, -EINPROGRESS, or why it failed. */
int qmp_transport_finish(int fd);
/* Makes a socket from elsewhere CLOEXEC and non-blocking; -ENOTSOCK where it is none. */
int qmp_transport_adopt(int fd);

/* Who listens (or made the pair); 0 where nobody can say, as on TCP. */
pid_t qmp_transport_peer(int fd);

/* Both return bytes moved, -EAGAIN, or negative errno; receive returns -ECONNRESET at the end. */
ssize_t qmp_transport_send(int fd, const char *bytes, size_t length);
ssize_t qmp_transport_receive(int fd, char *bytes, size_t size);

#endif
