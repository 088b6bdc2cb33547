/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a process's open files tell: whether it runs a KVM guest, and what memory it has wired. */
#ifndef PLIMSOLL_DAEMON_SCAN_WIRING_H
#define PLIMSOLL_DAEMON_SCAN_WIRING_H

#include <plimsoll/snapshot.h>

/*
 * Reads the links of the descriptors of the process whose folder in /proc is PROCESS (an fd) into
 * the counters and `kvm` of RET_WIRING; the rest of it is UNKNOWN. Without the right to look, all
 * of it is. Returns 0; -ESRCH: gone; or another negative errno.
 */
int wiring_read(int process, struct vm_wiring *ret_wiring);

#endif
