/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The service manager's notification protocol (sd_notify(3), which states it as stable for
 * implementation without libsystemd). Nothing here blocks: a service manager that does not read
 * costs a notification, never the guard.
 */
#ifndef PLIMSOLL_DAEMON_NOTIFY_H
#define PLIMSOLL_DAEMON_NOTIFY_H

#include <plimsoll/cleanup.h>
#include <stdint.h>

/* One line for `systemctl status`. */
#define NOTIFY_STATUS_MAX 256

struct notify;

/*
 * Takes the socket named by $NOTIFY_SOCKET: an absolute path, or '@' and a name of the abstract
 * space. Unset: 0 and a notify that sends nowhere, so that callers need not ask. -EINVAL: neither;
 * -ENAMETOOLONG; other errno of socket(2).
 */
int notify_new(struct notify **ret_notify);
struct notify *notify_free(struct notify *notify);
DEFINE_CLEANUP(struct notify *, notify_free);

/*
 * What changes the service's state must arrive: if it cannot be sent now it is kept, in order, and
 * tried again before whatever is sent next. They return 0 when everything kept was sent, -EAGAIN
 * while something is kept, or the errno of sendto(2), with which it is kept, too.
 */
int notify_ready(struct notify *notify);
/* NOW: CLOCK_MONOTONIC in ns. End it with notify_ready(). */
int notify_reloading(struct notify *notify, uint64_t now);
int notify_stopping(struct notify *notify);

/* These are worth nothing later: lost if they cannot be sent now. Same results. */
int notify_watchdog(struct notify *notify);
int notify_status(struct notify *notify, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* From $WATCHDOG_USEC, if $WATCHDOG_PID is ours or unset: 1 and the interval in ns, within which
 * notify_watchdog() must come (half of it is the custom); 0: no watchdog; -EINVAL: malformed. */
int notify_watchdog_interval(uint64_t *ret_interval);

#endif
