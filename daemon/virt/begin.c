/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns nothing. The wait is outside libvirt's loop, with no heartbeat and no alarm: there is
 * nothing to tell, and no call that could take too long.
 *
 * What it has touched by then is locked, as the guard's memory is: a spare whose pages were taken
 * in the very shortage that it is kept for would begin with the disk. No more than that, for the
 * libraries are large, and the code that is missing is in use by the one that serves.
 */
#include "begin.h"

#include <errno.h>
#include <libvirt/libvirt.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>

static int hello_send(int fd)
{
    struct virt_record record = {.kind = VIRT_RECORD_HELLO};
    uint8_t datagram[VIRT_DATAGRAM_MAX];
    unsigned long version = 0;

    if (virGetVersion(&version, NULL, NULL) == 0)
        record.hello.libvirt_version = (uint32_t)version;
    int length = virt_encode(&record, datagram);
    if (length < 0)
        return length;
    /* The first record of all: there is room. */
    return send(fd, datagram, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int begin_hear(int fd, struct virt_begin *ret_begin)
{
    uint8_t datagram[VIRT_DATAGRAM_MAX + 1]; /* one that fills it was longer than any may be */
    struct virt_record record;
    ssize_t length = recv(fd, datagram, sizeof(datagram), MSG_DONTWAIT);

    if (length < 0)
        return -errno;
    if (length == 0)
        return -EPIPE;
    if (virt_decode(datagram, (size_t)length, &record) < 0 || record.kind != VIRT_RECORD_BEGIN)
        return -EPROTO;
    *ret_begin = record.begin;
    return 0;
}

int begin_await(int fd, struct virt_begin *ret_begin)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    int result = hello_send(fd);

    if (result < 0)
        return result;
    /* Best effort: under a limit on locked memory the spare is a slower one. */
    (void)mlockall(MCL_CURRENT | MCL_ONFAULT);
    do {
        if (poll(&wait, 1, -1) < 0 && errno != EINTR)
            return -errno;
        result = begin_hear(fd, ret_begin);
    } while (result == -EAGAIN || result == -EINTR);
    return result;
}
