/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the datagram socket to the service manager and the state changes that did not get through.
 *
 * Each send names the address again instead of connecting once: a service manager that executes
 * itself anew may bind its socket anew. State changes are bits with one order in which they make
 * sense (reloading, ready, stopping); what is pending of them is flushed before anything else.
 */
#include "notify.h"
#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <plimsoll/units.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum pending {
    PENDING_RELOADING = 1 << 0,
    PENDING_READY = 1 << 1,
    PENDING_STOPPING = 1 << 2,
};

struct notify {
    int fd; /* -1: there is no service manager */
    struct sockaddr_un address;
    socklen_t address_length;
    unsigned pending; /* enum pending, or-ed */
    uint64_t reload_time;
};

/* Fills the address out of $NOTIFY_SOCKET's text. */
static int address_parse(const char *text, struct notify *notify)
{
    size_t length = strlen(text);

    if ((text[0] != '/' && text[0] != '@') || length < 2)
        return -EINVAL;
    /* A path needs its NUL within; a name of the abstract space does not have one. */
    size_t room = sizeof(notify->address.sun_path) - (text[0] == '/' ? 1 : 0);
    if (length > room)
        return -ENAMETOOLONG;
    notify->address.sun_family = AF_UNIX;
    memcpy(notify->address.sun_path, text, length);
    if (text[0] == '@')
        notify->address.sun_path[0] = '\0';
    notify->address_length =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (text[0] == '/' ? 1 : 0));
    return 0;
}

int notify_new(struct notify **ret_notify)
{
    const char *text = getenv("NOTIFY_SOCKET");
    struct notify *notify CLEANUP(notify_free_at) = calloc(1, sizeof(*notify));

    if (!notify)
        return -ENOMEM;
    notify->fd = -1;
    if (text && text[0] != '\0') {
        int result = address_parse(text, notify);
        if (result < 0)
            return result;
        notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (notify->fd < 0)
            return -errno;
    }
    *ret_notify = STEAL(notify);
    return 0;
}

struct notify *notify_free(struct notify *notify)
{
    if (!notify)
        return NULL;
    if (notify->fd >= 0)
        (void)close(notify->fd);
    free(notify);
    return NULL;
}

static int notify_send(const struct notify *notify, const char *text)
{
    if (sendto(notify->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL,
            (const void *)&notify->address, notify->address_length) < 0)
        return errno == ENOBUFS ? -EAGAIN : -errno;
    return 0;
}

/* Sends what is pending, in order, as far as it goes. */
static int notify_flush(struct notify *notify)
{
    static const struct {
        enum pending bit;
        const char *text;
    } states[] = {
        {PENDING_RELOADING, NULL}, /* carries a time: made below */
        {PENDING_READY, "READY=1"},
        {PENDING_STOPPING, "STOPPING=1"},
    };

    if (notify->fd < 0) {
        notify->pending = 0;
        return 0;
    }
    for (size_t i = 0; i < ELEMENTSOF(states); i++) {
        char text[64];
        if (!(notify->pending & states[i].bit))
            continue;
        if (states[i].bit == PENDING_RELOADING)
            (void)snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                notify->reload_time / NSEC_PER_USEC);
        else
            (void)snprintf(text, sizeof(text), "%s", states[i].text);
        int result = notify_send(notify, text);
        if (result < 0)
            return result;
        notify->pending &= ~(unsigned)states[i].bit;
    }
    return 0;
}

int notify_ready(struct notify *notify)
{
    notify->pending |= PENDING_READY;
    return notify_flush(notify);
}

int notify_reloading(struct notify *notify, uint64_t now)
{
    /* A READY still pending is overtaken: the one that ends this reload says the same. */
    notify->pending = (notify->pending & ~(unsigned)PENDING_READY) | PENDING_RELOADING;
    notify->reload_time = now;
    return notify_flush(notify);
}

int notify_stopping(struct notify *notify)
{
    notify->pending |= PENDING_STOPPING;
    return notify_flush(notify);
}

int notify_watchdog(struct notify *notify)
{
    int result = notify_flush(notify);

    return result < 0 || notify->fd < 0 ? result : notify_send(notify, "WATCHDOG=1");
}

int notify_status(struct notify *notify, const char *format, ...)
{
    static const char key[] = "STATUS=";
    char text[sizeof(key) - 1 + NOTIFY_STATUS_MAX];
    char *value = text + sizeof(key) - 1;
    va_list arguments;

    int result = notify_flush(notify);
    if (result < 0 || notify->fd < 0)
        return result;
    memcpy(text, key, sizeof(key) - 1);
    va_start(arguments, format);
    int wanted = vsnprintf(value, NOTIFY_STATUS_MAX, format, arguments);
    va_end(arguments);
    /* A newline in a name would begin an assignment of its own. */
    text_finish(value, NOTIFY_STATUS_MAX, wanted);
    return notify_send(notify, text);
}

int notify_watchdog_interval(uint64_t *ret_interval)
{
    const char *interval_text = getenv("WATCHDOG_USEC"), *pid_text = getenv("WATCHDOG_PID");
    uint64_t interval, pid;

    if (!interval_text)
        return 0;
    if (pid_text) {
        if (text_parse_number(pid_text, 1, INT32_MAX, &pid) < 0)
            return -EINVAL;
        if (pid != (uint64_t)getpid())
            return 0;
    }
    if (text_parse_number(interval_text, 1, UINT64_MAX / NSEC_PER_USEC / 2, &interval) < 0)
        return -EINVAL;
    *ret_interval = interval * NSEC_PER_USEC;
    return 1;
}
