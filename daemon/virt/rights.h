/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What plimsoll-virt inherits from the guard and does not need. */
#ifndef PLIMSOLL_DAEMON_VIRT_RIGHTS_H
#define PLIMSOLL_DAEMON_VIRT_RIGHTS_H

/*
 * Gives up every capability for good and the guard's exemption from the kernel's OOM killer. The
 * user stays: libvirt knows root by it, and root's files and sockets are still its own. Returns 0
 * or a negative errno.
 */
int rights_drop(void);

#endif
