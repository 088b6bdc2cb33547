/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns how the control socket comes into being. Theory of operation:
 *
 * Whoever holds the ledger's lock is the guard, so no second guard races us here; what may stand at
 * the path is the socket of a guard that died, which refuses connections. It is probed: only a
 * refused connection makes it stale. The new socket is bound under a name of its own, gets group
 * and mode there, listens, and is then renamed into place, which replaces the stale one atomically.
 */
#include "control_socket.h"

#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/control.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CONTROL_NEW_SUFFIX ".new"
#define CONTROL_MODE 0660
/* Connections waiting to be accepted: as many as we would take. */
#define CONTROL_BACKLOG 16

static void close_fd(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

static int address_set(struct sockaddr_un *address, const char *path, const char *suffix)
{
    int length;

    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    length = snprintf(address->sun_path, sizeof(address->sun_path), "%s%s", path, suffix);
    if (length < 0 || (size_t)length >= sizeof(address->sun_path))
        return -ENAMETOOLONG;
    return 0;
}

static int socket_new(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    return fd < 0 ? -errno : fd;
}

/* 0: the path is free or holds a stale socket. */
static int place_probe(const char *path, struct error *ret_error)
{
    CLEANUP(close_fd) int fd = -1;
    struct sockaddr_un address;
    struct stat status;

    if (lstat(path, &status) < 0) {
        if (errno == ENOENT)
            return 0;
        return error_set(ret_error, -errno, "cannot look at %s: %s", path, strerror(errno));
    }
    if (!S_ISSOCK(status.st_mode))
        return error_set(
            ret_error, -EEXIST, "%s exists and is no socket; move it out of the way", path);

    fd = socket_new();
    if (fd < 0)
        return error_set(ret_error, fd, "cannot make a socket: %s", strerror(-fd));
    (void)address_set(&address, path, "");
    if (connect(fd, (const void *)&address, sizeof(address)) < 0) {
        if (errno == ECONNREFUSED || errno == ENOENT)
            return 0;
        if (errno != EAGAIN) /* EAGAIN: its backlog is full, so somebody listens */
            return error_set(ret_error, -errno, "cannot probe %s: %s", path, strerror(errno));
    }
    return error_set(ret_error, -EADDRINUSE, "somebody listens at %s already", path);
}

static bool group_is(const char *path, gid_t group)
{
    struct stat status;

    return lstat(path, &status) == 0 && status.st_gid == group;
}

/* Reading is for the group. In the set-group-id folder that tmpfiles.d makes the socket has it from
 * the start, and a guard whose sandbox forbids chown need not try; one that has to, and may not,
 * keeps the socket to itself. */
static int rights_set(const char *path, struct error *ret_error)
{
    const struct group *group = getgrnam(CONTROL_GROUP);

    if (group && !group_is(path, group->gr_gid) && lchown(path, (uid_t)-1, group->gr_gid) < 0)
        log_message(LOG_WARNING, "cannot give %s to group %s: %s; only its owner can use it", path,
            CONTROL_GROUP, strerror(errno));
    if (chmod(path, CONTROL_MODE) < 0)
        return error_set(ret_error, -errno, "cannot set the mode of %s: %s", path, strerror(errno));
    return 0;
}

static int place_take(int fd, const char *temporary, const char *path,
    struct control_socket_place *ret_place, struct error *ret_error)
{
    struct stat status;
    int result;

    result = rights_set(temporary, ret_error);
    if (result < 0)
        return result;
    if (listen(fd, CONTROL_BACKLOG) < 0)
        return error_set(ret_error, -errno, "cannot listen at %s: %s", path, strerror(errno));
    if (lstat(temporary, &status) < 0 || rename(temporary, path) < 0)
        return error_set(
            ret_error, -errno, "cannot put the socket in place at %s: %s", path, strerror(errno));
    *ret_place = (struct control_socket_place){.device = status.st_dev, .inode = status.st_ino};
    return 0;
}

int control_socket_open(
    const char *path, int *ret_fd, struct control_socket_place *ret_place, struct error *ret_error)
{
    CLEANUP(close_fd) int fd = -1;
    struct sockaddr_un address;
    int result;

    if (address_set(&address, path, CONTROL_NEW_SUFFIX) < 0)
        return error_set(ret_error, -ENAMETOOLONG, "%s is too long for a socket's path", path);
    result = place_probe(path, ret_error);
    if (result < 0)
        return result;

    fd = socket_new();
    if (fd < 0)
        return error_set(ret_error, fd, "cannot make a socket: %s", strerror(-fd));
    /* bind() makes the file with the socket's own mode: nobody else's until rights_set(). */
    (void)fchmod(fd, 0600);
    (void)unlink(address.sun_path); /* left by a guard killed right here */
    if (bind(fd, (const void *)&address, sizeof(address)) < 0)
        return error_set(
            ret_error, -errno, "cannot bind %s: %s", address.sun_path, strerror(errno));
    result = place_take(fd, address.sun_path, path, ret_place, ret_error);
    if (result < 0) {
        (void)unlink(address.sun_path);
        return result;
    }
    *ret_fd = STEAL_FD(fd);
    return 0;
}

void control_socket_unlink(const char *path, const struct control_socket_place *place)
{
    struct stat status;

    if (lstat(path, &status) == 0 && status.st_dev == place->device &&
        status.st_ino == place->inode)
        (void)unlink(path);
}
