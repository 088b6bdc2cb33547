/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the virConnect and the timer that opens and closes it.
 *
 * The URI's own driver finds the daemon: the client library takes virtqemud's socket where there is
 * one, else libvirtd's (remoteGetUNIXSocket). Read-only is enough to list, ask and hear events, and
 * what cannot change a domain cannot do so by mistake.
 *
 * A connection is lost by libvirt's word (the close callback, from keepalive or the socket's end)
 * or when a call has failed and it is no longer alive. Either may come from within a call of its
 * own, so it is only marked then, and closed by the timer. Tries are further apart each time; only
 * a connection that has held for a while makes them quick again, so that a libvirtd which falls
 * over its first client is not kept falling.
 */
#include "connection.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>

#include "loop.h"

#include <plimsoll/cleanup.h>

#define RETRY_FIRST_MSEC 1000
#define RETRY_LAST_MSEC 30000
/* Held for so long, it counts as a good one. */
#define GOOD_AFTER (60 * NSEC_PER_SEC)

/* A libvirtd that does not answer for 5 s three times is not there. It answers keepalives from its
 * main loop, whatever its workers hang in. */
#define KEEPALIVE_SECONDS 5
#define KEEPALIVE_COUNT 3

#define EVENTS_MAX 8

struct connection {
    const char *uri;
    struct connection_owner owner;
    virConnectPtr handle;
    bool lost;                 /* HANDLE is to be closed */
    uint64_t since;            /* when it was opened */
    int timer;                 /* opens and closes */
    int retry_msec;            /* how long to wait before the next try */
    int callbacks[EVENTS_MAX]; /* ids of the events registered */
    unsigned callback_count;
};

/* ---- what libvirt tells ---- */

static void changed(struct connection *connection, virDomainPtr domain, bool edited)
{
    uint8_t uuid[UUID_SIZE];

    if (virDomainGetUUID(domain, uuid) == 0)
        connection->owner.changed(uuid, edited, connection->owner.userdata);
}

static int on_lifecycle(
    virConnectPtr handle, virDomainPtr domain, int event, int detail, void *userdata)
{
    (void)handle;
    (void)detail;
    changed(
        userdata, domain, event == VIR_DOMAIN_EVENT_DEFINED || event == VIR_DOMAIN_EVENT_STARTED);
    return 0;
}

static void on_metadata(
    virConnectPtr handle, virDomainPtr domain, int type, const char *uri, void *userdata)
{
    (void)handle;
    (void)type;
    (void)uri;
    changed(userdata, domain, true);
}

static void on_device(virConnectPtr handle, virDomainPtr domain, const char *alias, void *userdata)
{
    (void)handle;
    (void)alias;
    changed(userdata, domain, false);
}

static void on_memory_device(virConnectPtr handle, virDomainPtr domain, const char *alias,
    unsigned long long size, void *userdata)
{
    (void)handle;
    (void)alias;
    (void)size;
    changed(userdata, domain, false);
}

/* Once a second and domain while a balloon moves: worth a record, not a call. */
static void on_balloon(
    virConnectPtr handle, virDomainPtr domain, unsigned long long actual, void *userdata)
{
    struct connection *connection = userdata;
    uint8_t uuid[UUID_SIZE];

    (void)handle;
    if (virDomainGetUUID(domain, uuid) == 0)
        connection->owner.balloon(uuid, scale_u64(actual, KIB, 1), connection->owner.userdata);
}

static const struct event {
    int id;
    virConnectDomainEventGenericCallback callback;
} events[] = {
    {VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle)},
    {VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(on_metadata)},
    {VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, VIR_DOMAIN_EVENT_CALLBACK(on_device)},
    {VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, VIR_DOMAIN_EVENT_CALLBACK(on_device)},
    {VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(on_balloon)},
    {VIR_DOMAIN_EVENT_ID_MEMORY_DEVICE_SIZE_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(on_memory_device)},
};
_Static_assert(ELEMENTSOF(events) <= EVENTS_MAX, "a place for each");

/* ---- open and closed ---- */

static void lose(struct connection *connection, const char *text)
{
    if (connection->lost)
        return;
    connection->lost = true;
    if (loop_now() - connection->since > GOOD_AFTER)
        connection->retry_msec = RETRY_FIRST_MSEC;
    virEventUpdateTimeout(connection->timer, 0);
    connection->owner.moved(VIRT_CONNECTION_LOST, text, connection->owner.userdata);
}

static void on_closed(virConnectPtr handle, int reason, void *userdata)
{
    /* By virConnectCloseReason. */
    static const char *const reasons[] = {
        "libvirt ended the connection after an error",
        "libvirt has closed the connection",
        "libvirt does not answer any more",
        "the connection was closed",
    };
    _Static_assert(VIR_CONNECT_CLOSE_REASON_CLIENT == ELEMENTSOF(reasons) - 1, "words for each");
    bool named = reason >= 0 && (size_t)reason < ELEMENTSOF(reasons);

    (void)handle;
    lose(userdata, named ? reasons[reason] : reasons[0]);
}

static void handle_close(struct connection *connection)
{
    if (!connection->handle)
        return;
    for (unsigned i = 0; i < connection->callback_count; i++)
        (void)virConnectDomainEventDeregisterAny(connection->handle, connection->callbacks[i]);
    connection->callback_count = 0;
    (void)virConnectUnregisterCloseCallback(connection->handle, on_closed);
    (void)virConnectClose(connection->handle);
    connection->handle = NULL;
}

/* Without one of the events, what it tells would be missed for good. */
static int events_register(struct connection *connection)
{
    for (size_t i = 0; i < ELEMENTSOF(events); i++) {
        int id = virConnectDomainEventRegisterAny(
            connection->handle, NULL, events[i].id, events[i].callback, connection, NULL);
        if (id < 0)
            return -EOPNOTSUPP;
        connection->callbacks[connection->callback_count++] = id;
    }
    return virConnectRegisterCloseCallback(connection->handle, on_closed, connection, NULL) < 0
               ? -EOPNOTSUPP
               : 0;
}

static void retry_later(struct connection *connection)
{
    virEventUpdateTimeout(connection->timer, connection->retry_msec);
    connection->retry_msec *= 2;
    if (connection->retry_msec > RETRY_LAST_MSEC)
        connection->retry_msec = RETRY_LAST_MSEC;
}

static void open_now(struct connection *connection)
{
    void *userdata = connection->owner.userdata;

    connection->owner.moved(VIRT_CONNECTION_CONNECTING, "", userdata);
    connection->handle = virConnectOpenReadOnly(connection->uri);
    connection->since = loop_now();
    /* Drivers within this process (test:///) have no keepalive and need none. */
    if (connection->handle)
        (void)virConnectSetKeepAlive(connection->handle, KEEPALIVE_SECONDS, KEEPALIVE_COUNT);
    if (!connection->handle || events_register(connection) < 0) {
        connection->owner.moved(VIRT_CONNECTION_LOST, virGetLastErrorMessage(), userdata);
        handle_close(connection);
        retry_later(connection);
        return;
    }
    connection->owner.moved(VIRT_CONNECTION_CONNECTED, "", userdata);
}

static void on_timer(int timer, void *userdata)
{
    struct connection *connection = userdata;

    virEventUpdateTimeout(timer, -1);
    if (!connection->lost) {
        open_now(connection);
        return;
    }
    handle_close(connection);
    connection->lost = false;
    retry_later(connection);
}

virConnectPtr connection_handle(const struct connection *connection)
{
    return connection->lost ? NULL : connection->handle;
}

void connection_check(struct connection *connection)
{
    /* Before anything else is asked, which would replace the message. */
    const char *message = virGetLastErrorMessage();
    char text[VIRT_TEXT_MAX];

    if (!connection_handle(connection))
        return;
    (void)strncpy(text, message, sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    if (virConnectIsAlive(connection->handle) != 1)
        lose(connection, text);
}

/* ---- life ---- */

int connection_new(
    const char *uri, const struct connection_owner *owner, struct connection **ret_connection)
{
    struct connection *connection = calloc(1, sizeof(*connection));

    if (!connection)
        return -ENOMEM;
    connection->uri = uri;
    connection->owner = *owner;
    connection->retry_msec = RETRY_FIRST_MSEC;
    connection->timer = virEventAddTimeout(0, on_timer, connection, NULL);
    if (connection->timer < 0) {
        free(connection);
        return -ENOMEM;
    }
    *ret_connection = connection;
    return 0;
}

struct connection *connection_free(struct connection *connection)
{
    if (!connection)
        return NULL;
    virEventRemoveTimeout(connection->timer);
    handle_close(connection);
    free(connection);
    return NULL;
}
