/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The connection to libvirt, read-only: opened, lost and opened again, with the events of its
 * domains. It lives in libvirt's event loop.
 */
#ifndef PLIMSOLL_DAEMON_VIRT_CONNECTION_H
#define PLIMSOLL_DAEMON_VIRT_CONNECTION_H

#include <libvirt/libvirt.h>

#include <plimsoll/virt.h>

struct connection;

struct connection_owner {
    /* TEXT says why it is lost, else it is empty. */
    void (*moved)(enum virt_connection_state state, const char *text, void *userdata);
    /* Something of a domain has changed. EDITED: perhaps its definition. */
    void (*changed)(const uint8_t uuid[UUID_SIZE], bool edited, void *userdata);
    void (*balloon)(const uint8_t uuid[UUID_SIZE], uint64_t current, void *userdata);
    void *userdata;
};

/* Tries for the first time with the loop's next turn. URI must outlive the connection. */
int connection_new(
    const char *uri, const struct connection_owner *owner, struct connection **ret_connection);
struct connection *connection_free(struct connection *connection);

/* NULL while there is none; else valid until the loop's next turn. */
virConnectPtr connection_handle(const struct connection *connection);
/* To be called after a call has failed: finds out whether that was the connection's end. */
void connection_check(struct connection *connection);

#endif
