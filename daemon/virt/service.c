/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the connection, the list of domains due, and what is left of a resync under way.
 *
 * One turn of the loop does one step: one domain is asked about and told. A resync goes before
 * domains that changed, for it is bounded and each of its answers is as fresh as theirs. No step is
 * taken while the guard's socket is full; a domain whose record did not fit is asked about again
 * once there is room, so that nothing old is ever said and nothing waits but names. Should even
 * those be too many, everything is resynced.
 *
 * A round goes over all running domains, one after the other and as slowly as VIRT_ROUND allows:
 * what has changed without an event is found, and what has not is confirmed. It only makes them
 * due.
 */
#include "service.h"

#include <errno.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "calls.h"
#include "connection.h"
#include "domain_ask.h"
#include "due.h"
#include "log.h"
#include "text.h"

#include <plimsoll/cleanup.h>

#define HEARTBEAT_MSEC ((int)(VIRT_HEARTBEAT / NSEC_PER_MSEC))
/* A domain that could not be asked is asked again with all others after so long. */
#define AGAIN_MSEC (60 * 1000)

struct service {
    struct service_options options;
    struct connection *connection;
    struct calls *calls;
    int watch;                         /* of the guard's socket */
    int work, heartbeat, again, round; /* timers */
    bool ended;
    bool full; /* the socket; nothing is sent until it has room */
    struct virt_connection state;
    bool state_due; /* … is not told yet */

    struct due due;
    bool resync_due;
    bool mistakes_due;    /* the next resync tells what is wrong in definitions, as news */
    virDomainPtr *listed; /* of a resync under way; NULL: none is */
    int listed_count, listed_next;
    bool listed_mistakes;
    virDomainPtr *rounded; /* of a round under way; NULL: none is */
    int rounded_count, rounded_next;
};

/* ---- to the guard ---- */

static void socket_watch(struct service *service)
{
    virEventUpdateHandle(service->watch,
        VIR_EVENT_HANDLE_READABLE | (service->full ? VIR_EVENT_HANDLE_WRITABLE : 0));
}

/* False: it was not sent, and is to be asked for again. */
static bool record_send(struct service *service, const struct virt_record *record)
{
    uint8_t datagram[VIRT_DATAGRAM_MAX];
    int length = virt_encode(record, datagram);

    if (length < 0) {
        log_message(LOG_ERR, "libvirt: a record of kind %d has a value that cannot be told",
            (int)record->kind);
        return true; /* it would have it again */
    }
    if (service->full || service->ended)
        return false;
    if (send(service->options.fd, datagram, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
        return true;
    if (errno == EAGAIN || errno == ENOBUFS || errno == EINTR) {
        service->full = true;
        socket_watch(service);
    } else {
        service->ended = true;
    }
    return false;
}

static void state_send(struct service *service)
{
    struct virt_record record = {.kind = VIRT_RECORD_CONNECTION, .connection = service->state};

    service->state_due = !record_send(service, &record);
}

static bool kind_send(struct service *service, enum virt_record_kind kind)
{
    struct virt_record record = {.kind = kind};

    return record_send(service, &record);
}

/* ---- steps ---- */

static void work_arm(struct service *service)
{
    bool work = connection_handle(service->connection) && !service->full && !service->ended &&
                (service->resync_due || service->listed || service->due.count > 0);

    virEventUpdateTimeout(service->work, work ? 0 : -1);
}

static void sink_log(const char *line, void *userdata)
{
    (void)userdata;
    log_message(LOG_WARNING, "libvirt: %s", line);
}

/* Asks and tells. False: it was not told. */
static bool domain_tell(struct service *service, virDomainPtr domain, bool mistakes)
{
    struct virt_record record;

    domain_ask(domain, service->options.pid_folder, mistakes ? sink_log : NULL, NULL, &record);
    if (record.kind == VIRT_RECORD_DOMAIN_KEPT) {
        connection_check(service->connection);
        if (!connection_handle(service->connection))
            return false;
        virEventUpdateTimeout(service->again, AGAIN_MSEC);
    }
    return record_send(service, &record);
}

static void domains_free(virDomainPtr **domains, int *count, int *next)
{
    for (int i = 0; i < *count; i++)
        (void)virDomainFree((*domains)[i]);
    free(*domains);
    *domains = NULL;
    *count = *next = 0;
}

static void listed_free(struct service *service)
{
    domains_free(&service->listed, &service->listed_count, &service->listed_next);
}

static void rounded_free(struct service *service)
{
    domains_free(&service->rounded, &service->rounded_count, &service->rounded_next);
}

static void resync_begin(struct service *service)
{
    int count;

    if (!kind_send(service, VIRT_RECORD_RESYNC_BEGIN))
        return;
    count = virConnectListAllDomains(connection_handle(service->connection), &service->listed, 0);
    if (count < 0) {
        connection_check(service->connection);
        service->resync_due = false;
        virEventUpdateTimeout(service->again, AGAIN_MSEC);
        return;
    }
    service->listed_count = count;
    service->listed_mistakes = service->mistakes_due;
    service->resync_due = service->mistakes_due = false;
}

static void resync_step(struct service *service)
{
    if (service->listed_next == service->listed_count) {
        if (kind_send(service, VIRT_RECORD_RESYNC_END))
            listed_free(service);
        return;
    }
    /* The connection may be lost within the call, and the list with it. */
    virDomainPtr domain = service->listed[service->listed_next];
    (void)virDomainRef(domain);
    if (domain_tell(service, domain, service->listed_mistakes) && service->listed)
        service->listed_next++;
    (void)virDomainFree(domain);
}

static void due_step(struct service *service)
{
    const struct due_domain *first = &service->due.domains[0];
    virDomainPtr domain =
        virDomainLookupByUUID(connection_handle(service->connection), first->uuid);
    bool told;

    if (domain) {
        told = domain_tell(service, domain, first->edited);
        (void)virDomainFree(domain);
    } else {
        bool gone = virGetLastErrorCode() == VIR_ERR_NO_DOMAIN;
        struct virt_record record = {
            .kind = gone ? VIRT_RECORD_DOMAIN_GONE : VIRT_RECORD_DOMAIN_KEPT};
        memcpy(record.uuid, first->uuid, UUID_SIZE);
        if (!gone)
            connection_check(service->connection);
        told = record_send(service, &record);
    }
    if (told)
        due_remove_first(&service->due);
}

static void on_work(int timer, void *userdata)
{
    struct service *service = userdata;

    (void)timer;
    if (!connection_handle(service->connection))
        ; /* lost since this turn began */
    else if (service->listed)
        resync_step(service);
    else if (service->due.count > 0)
        due_step(service);
    else if (service->resync_due)
        resync_begin(service);
    work_arm(service);
}

/* ---- what the connection tells ---- */

/* 0: it does not say. */
static uint32_t libvirt_version(virConnectPtr handle)
{
    unsigned long version = 0;

    if (!handle || virConnectGetLibVersion(handle, &version) < 0 || version > UINT32_MAX)
        return 0;
    return (uint32_t)version;
}

static void on_moved(enum virt_connection_state state, const char *text, void *userdata)
{
    struct service *service = userdata;

    service->state.state = state;
    service->state.libvirt_version = 0;
    if (state == VIRT_CONNECTION_CONNECTED)
        service->state.libvirt_version = libvirt_version(connection_handle(service->connection));
    text_finish(service->state.text, sizeof(service->state.text),
        snprintf(service->state.text, sizeof(service->state.text), "%s", text));
    state_send(service);
    if (state == VIRT_CONNECTION_CONNECTED) {
        service->resync_due = service->mistakes_due = true;
        calls_prepare(service->calls);
        virEventUpdateTimeout(service->round, service->options.round_msec);
    } else {
        virEventUpdateTimeout(service->round, -1);
        rounded_free(service);
        listed_free(service);
        service->due.count = 0; /* the resync to come asks about them */
    }
    if (service->connection)
        work_arm(service);
}

static void on_changed(const uint8_t uuid[UUID_SIZE], bool edited, void *userdata)
{
    struct service *service = userdata;

    if (!due_add(&service->due, uuid, edited))
        service->resync_due = true;
    work_arm(service);
}

static void on_balloon(const uint8_t uuid[UUID_SIZE], uint64_t current, void *userdata)
{
    struct virt_record record = {.kind = VIRT_RECORD_BALLOON, .balloon.current = current};

    memcpy(record.balloon.uuid, uuid, UUID_SIZE);
    if (!record_send(userdata, &record))
        on_changed(uuid, false, userdata);
}

/* ---- what the loop tells ---- */

static void on_heartbeat(int timer, void *userdata)
{
    (void)timer;
    state_send(userdata);
}

static void on_again(int timer, void *userdata)
{
    struct service *service = userdata;

    virEventUpdateTimeout(timer, -1);
    service->resync_due = true;
    work_arm(service);
}

static bool on_call_record(const struct virt_record *record, void *userdata)
{
    return record_send(userdata, record);
}

/* One record a turn: a guard that floods us does not keep the loop from turning. */
static void guard_hear(struct service *service)
{
    uint8_t datagram[VIRT_DATAGRAM_MAX + 1]; /* one that fills it was longer than any may be */
    struct virt_record record;
    ssize_t length = recv(service->options.fd, datagram, sizeof(datagram), MSG_DONTWAIT);

    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (length > 0 && virt_decode(datagram, (size_t)length, &record) == 0 &&
        record.kind == VIRT_RECORD_CALL) {
        calls_take(service->calls, &record.call);
        return;
    }
    if (length > 0)
        log_message(LOG_ERR, "libvirt: the guard says what this version does not know; ended");
    service->ended = true;
}

static void round_begin(struct service *service)
{
    int count = virConnectListAllDomains(
        connection_handle(service->connection), &service->rounded, VIR_CONNECT_LIST_DOMAINS_ACTIVE);

    if (count < 0)
        connection_check(service->connection);
    else
        service->rounded_count = count;
}

/* Makes the next domain due, if nothing else is: a libvirtd that is slower than the round would
 * never come to a resync. No round is begun while the guard does not listen: the libvirtd of a host
 * at its edge is not asked for what nobody hears. */
static void on_round(int timer, void *userdata)
{
    struct service *service = userdata;
    bool busy = service->resync_due || service->listed || service->due.count > 0;
    uint8_t uuid[UUID_SIZE];

    if (!busy && service->rounded_next == service->rounded_count) {
        rounded_free(service);
        if (connection_handle(service->connection) && !service->full)
            round_begin(service);
    }
    if (!connection_handle(service->connection))
        return;
    int count = service->rounded_count > 0 ? service->rounded_count : 1;
    int pause = service->options.round_msec / count;
    virEventUpdateTimeout(timer, pause > 0 ? pause : 1);
    if (!busy && service->rounded_next < service->rounded_count &&
        virDomainGetUUID(service->rounded[service->rounded_next++], uuid) == 0)
        on_changed(uuid, false, service);
}

static void on_socket(int watch, int fd, int events, void *userdata)
{
    struct service *service = userdata;

    (void)watch;
    (void)fd;
    if (events & VIR_EVENT_HANDLE_WRITABLE) {
        service->full = false;
        socket_watch(service);
        calls_flush(service->calls); /* somebody waits for these */
        if (service->state_due)
            state_send(service);
    }
    if (events & ~VIR_EVENT_HANDLE_WRITABLE)
        guard_hear(service);
    work_arm(service);
}

bool service_ended(const struct service *service)
{
    return service->ended;
}

/* ---- life ---- */

static int service_open(struct service *service)
{
    const struct connection_owner owner = {on_moved, on_changed, on_balloon, service};
    const struct calls_owner calls_owner = {.tell = on_call_record, .userdata = service};

    service->watch =
        virEventAddHandle(service->options.fd, VIR_EVENT_HANDLE_READABLE, on_socket, service, NULL);
    service->work = virEventAddTimeout(-1, on_work, service, NULL);
    service->heartbeat = virEventAddTimeout(HEARTBEAT_MSEC, on_heartbeat, service, NULL);
    service->again = virEventAddTimeout(-1, on_again, service, NULL);
    service->round = virEventAddTimeout(-1, on_round, service, NULL);
    if (service->watch < 0 || service->work < 0 || service->heartbeat < 0 || service->again < 0 ||
        service->round < 0)
        return -ENOMEM;
    int result = calls_new(service->options.uri, &calls_owner, &service->calls);
    return result < 0 ? result : connection_new(service->options.uri, &owner, &service->connection);
}

int service_new(const struct service_options *options, struct service **ret_service)
{
    struct service *service = calloc(1, sizeof(*service));

    if (!service)
        return -ENOMEM;
    service->options = *options;
    if (service->options.round_msec <= 0)
        service->options.round_msec = (int)(VIRT_ROUND / NSEC_PER_MSEC);
    int result = service_open(service);
    if (result < 0) {
        service_free(service);
        return result;
    }
    *ret_service = service;
    return 0;
}

struct service *service_free(struct service *service)
{
    if (!service)
        return NULL;
    rounded_free(service);
    listed_free(service);
    connection_free(service->connection);
    calls_free(service->calls);
    if (service->watch >= 0)
        (void)virEventRemoveHandle(service->watch);
    const int timers[] = {service->work, service->heartbeat, service->again, service->round};
    for (size_t i = 0; i < ELEMENTSOF(timers); i++)
        if (timers[i] >= 0)
            (void)virEventRemoveTimeout(timers[i]);
    free(service);
    return NULL;
}
