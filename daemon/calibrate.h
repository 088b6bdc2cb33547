/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of the policy's figures is this host's own, and can be measured. */
#ifndef PLIMSOLL_DAEMON_CALIBRATE_H
#define PLIMSOLL_DAEMON_CALIBRATE_H

#include <stdint.h>

/* How fast processes of this host can make its memory theirs at most, all processors together:
 * bytes per second (A_max of limits). For some milliseconds up to 128 MiB are taken, by children
 * that the kernel may kill, and given back. UNKNOWN where AVAILABLE bytes are less than eight times
 * that, or where it takes long, 0.4 s at most, or is refused. */
uint64_t calibrate_fill_rate(uint64_t available);

#endif
