/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The time before plimsoll-virt is needed. Another may be serving the guard meanwhile; this one is
 * its spare, and must neither burden libvirt nor depend on anything when its turn comes.
 */
#ifndef PLIMSOLL_DAEMON_VIRT_BEGIN_H
#define PLIMSOLL_DAEMON_VIRT_BEGIN_H

#include <plimsoll/virt.h>

/*
 * Says HELLO on FD, the guard's socket, and waits for BEGIN, for however long. -EPIPE: the guard
 * has gone; -EPROTO: it says something else; or another negative errno.
 */
int begin_await(int fd, struct virt_begin *ret_begin);

#endif
