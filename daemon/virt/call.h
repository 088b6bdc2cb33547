/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One call of the guard's, carried out by libvirt. Everything here may block for as long as libvirt
 * does, and is for threads that may: each has a connection of its own.
 */
#ifndef PLIMSOLL_DAEMON_VIRT_CALL_H
#define PLIMSOLL_DAEMON_VIRT_CALL_H

#include <libvirt/libvirt.h>

#include <plimsoll/virt.h>

struct call_connection {
    const char *uri;      /* the owner's */
    virConnectPtr handle; /* NULL: none yet, or lost */
};

/* Connects, if it is not. */
void call_prepare(struct call_connection *connection);
void call_close(struct call_connection *connection);

/* RET_RESULT's number is the call's. */
void call_run(struct call_connection *connection, const struct virt_call *call,
    struct virt_result *ret_result);

#endif
