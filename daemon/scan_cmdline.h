/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What QEMU's command line says of a guest. QEMU (or whoever took it over) can rewrite the text
 * that /proc/PID/cmdline shows, so it serves names and hints; identity and what is wired come from
 * elsewhere.
 */
#ifndef PLIMSOLL_DAEMON_SCAN_CMDLINE_H
#define PLIMSOLL_DAEMON_SCAN_CMDLINE_H

#include <plimsoll/snapshot.h>

/* Longest command line taken. libvirt's largest (hundreds of disks) stay below 64 KiB; a single
 * argument can have 128 KiB (MAX_ARG_STRLEN). */
#define CMDLINE_MAX (128 * 1024)

struct cmdline_facts {
    char name[VM_NAME_MAX]; /* empty: none */
    uint8_t uuid[UUID_SIZE];
    uint64_t memory; /* -m, bytes; UNKNOWN without it */
    bool probe;      /* -machine none: asks QEMU what it can do, runs no guest */
    bool incoming;   /* -incoming: it was started for a guest that comes from elsewhere */
    enum tristate encrypted, shared;
    uint64_t backend_nodes; /* struct vm_wiring; 0 as well where a number is beyond 63 */
    bool unbound;           /* some memory backend may lie anywhere, or where we cannot tell */
};

/* Parses LENGTH bytes of NUL-separated arguments. CUT: there was more, so that what was not found
 * is UNKNOWN and not NO. Cannot fail: what is malformed says nothing. */
void cmdline_parse(const char *text, size_t length, bool cut, struct cmdline_facts *ret_facts);

#endif
