/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finds every QEMU on the host by walking /proc, a bounded number of entries at a time, so that a
 * host of 4,000 processes never delays a tick. Also remembers the largest and the fastest growing
 * process that is no guest, for the alert that must name a culprit.
 *
 * A guest is a process with an anon_inode:kvm-vm descriptor, or one whose executable is QEMU's
 * system emulator: basename qemu-system-* or qemu-kvm, a file that belongs to root and that no one
 * else may write. comm and argv[0] mean nothing. A probe (-machine none) is no guest while it is
 * younger than a minute, which is longer than any takes: the command line is the process's own to
 * rewrite.
 */
#ifndef PLIMSOLL_DAEMON_SCAN_H
#define PLIMSOLL_DAEMON_SCAN_H

#include "roots.h"

#include <plimsoll/snapshot.h>

struct scan;

struct scan_found {
    struct vm_identity identity; /* uuid from the command line's -uuid, else zero */
    /* What the command line says is what it said when the guest was first met: see scan.c. */
    char name[VM_NAME_MAX];  /* from -name (guest=…), cleaned; "qemu-PID" without one */
    struct vm_wiring wiring; /* from /proc/PID/fd; those that follow `kvm` from the command line */
    uint64_t maximum;        /* from -m (bytes); UNKNOWN where it does not say */
    bool incoming;           /* it was started for a guest from elsewhere, and not long ago */
};

int scan_new(const struct roots *roots, struct scan **ret_scan);
struct scan *scan_free(struct scan *scan);

typedef void (*scan_handler)(const struct scan_found *found, void *userdata);

/* Looks at up to BUDGET processes, and for about a millisecond at most; calls HANDLER for each
 * guest among them. Returns 1 when a round over all of /proc is complete (the next call begins a
 * new one), 0 before, or a negative errno. */
int scan_step(
    struct scan *scan, unsigned budget, uint64_t now, scan_handler handler, void *userdata);

/* Reads all facts of one process at once: 0, -ENOENT: no guest, -ESRCH: gone. */
int scan_process(struct scan *scan, pid_t pid, struct scan_found *ret_found);

/* The process outside the guests most likely to be the leak, as of the last complete round: the
 * fastest growing if any grew by more than 1 MiB/s, else the largest. */
void scan_largest_process(const struct scan *scan, struct process_snapshot *ret_process);

#endif
