/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns nothing; the session owns the fd.
 *
 * A non-blocking connect() to a UNIX socket either succeeds at once, or fails: with EAGAIN while
 * the listener's queue is full (QEMU's takes two beside its one client; there is nothing to poll
 * for, the caller backs off). It is never under way on Linux, but EINPROGRESS is what POSIX lets it
 * say.
 */
#include "transport.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* One object, two views: how the socket calls want their addresses. */
union address {
    struct sockaddr any;
    struct sockaddr_un local;
    struct sockaddr_storage storage;
};

bool qmp_transport_path_fits(const char *path)
{
    size_t length = strlen(path);
    return length > 0 && length < sizeof(((struct sockaddr_un *)NULL)->sun_path);
}

int qmp_transport_connect(const char *path, int *ret_fd)
{
    union address address = {.local = {.sun_family = AF_UNIX}};
    if (!qmp_transport_path_fits(path))
        return -ENAMETOOLONG;
    memcpy(address.local.sun_path, path, strlen(path) + 1);

    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, &address.any, sizeof(address.local)) < 0 && errno != EINPROGRESS) {
        int r = -errno;
        close(fd);
        return r;
    }
    int r = qmp_transport_finish(fd);
    if (r < 0 && r != -EINPROGRESS) {
        close(fd);
        return r;
    }
    *ret_fd = fd;
    return r < 0 ? 1 : 0;
}

int qmp_transport_finish(int fd)
{
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        return -errno;
    if (error != 0)
        return -error;

    union address address;
    size = sizeof(address);
    if (getpeername(fd, &address.any, &size) < 0)
        return errno == ENOTCONN ? -EINPROGRESS : -errno;
    return 0;
}

int qmp_transport_adopt(int fd)
{
    int type;
    socklen_t size = sizeof(type);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
        return -errno;
    if (type != SOCK_STREAM)
        return -EPROTOTYPE;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return -errno;
    return 0;
}

pid_t qmp_transport_peer(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return 0;
    return peer.pid;
}

ssize_t qmp_transport_send(int fd, const char *bytes, size_t length)
{
    ssize_t sent;
    do
        sent = send(fd, bytes, length, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

ssize_t qmp_transport_receive(int fd, char *bytes, size_t size)
{
    ssize_t received;
    do
        received = recv(fd, bytes, size, 0);
    while (received < 0 && errno == EINTR);
    if (received < 0)
        return -errno;
    return received == 0 ? -ECONNRESET : received;
}
