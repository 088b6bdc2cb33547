/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What plimsoll-virt does: keeps a connection to libvirt and tells the guard, by the records of
 * <plimsoll/virt.h>, of every domain there is; and has done what the guard calls for. It lives in
 * libvirt's event loop, which the caller has registered (virEventRegisterDefaultImpl) before and
 * turns until service_ended().
 */
#ifndef PLIMSOLL_DAEMON_VIRT_SERVICE_H
#define PLIMSOLL_DAEMON_VIRT_SERVICE_H

#include <stdbool.h>

struct service;

struct service_options {
    const char *uri;
    const char *pid_folder; /* where libvirt's QEMU driver writes NAME.pid */
    int fd;                 /* the guard's socket, SOCK_SEQPACKET; stays the caller's */
    int round_msec;         /* how long a round takes; 0: VIRT_ROUND */
};

/* The guard has said BEGIN. Connects with the loop's next turn. OPTIONS' strings must outlive the
 * service. */
int service_new(const struct service_options *options, struct service **ret_service);
struct service *service_free(struct service *service);

/* The guard has closed its end, or says what we do not understand: nobody listens any more. */
bool service_ended(const struct service *service);

#endif
