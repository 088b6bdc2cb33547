/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Descriptors that the service manager opened for us (sd_listen_fds(3), whose protocol is stable).
 */
#ifndef PLIMSOLL_DAEMON_INHERITED_H
#define PLIMSOLL_DAEMON_INHERITED_H

/* The descriptor passed as NAME (FileDescriptorName= of a socket unit), made close-on-exec and
 * non-blocking; the caller's from now on. -ENOENT: none was passed to this process, -EINVAL: what
 * the environment says of them is malformed; other errno of fcntl(2). */
int inherited_fd(const char *name);

#endif
