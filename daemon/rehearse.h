/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The acts' system calls, each done once before the guard says that it guards. */
#ifndef PLIMSOLL_DAEMON_REHEARSE_H
#define PLIMSOLL_DAEMON_REHEARSE_H

#include <stdint.h>

#include <plimsoll/error.h>

/* Patience in ns: two forks and a dozen signals, on a host that may be busy. */
#define REHEARSE_TIMEOUT (UINT64_C(5) * 1000000000)

/* What a sandbox forbids must come out now, not at the edge. Monitors, helpers, ledger, log and the
 * control socket are tried by being started or watched; here is what only an act calls, done to a
 * process of our own. 0; or a negative errno, and *RET_ERROR says which call failed, and what for.
 * -EACCES: a filter kills who calls it; -ECHILD: somebody ended that process; -ETIMEDOUT: one took
 * longer than REHEARSE_TIMEOUT. */
int rehearse(struct error *ret_error);

#endif
