/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns nothing: what the acting process and the spare say, and how they end. Nothing of it is
 * believed: one that says what it may not is ended, whichever of the two it is.
 */
#include "virt_link_private.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <plimsoll/cleanup.h>

/* ---- one record ---- */

static void connection_take(struct virt_link *link, const struct virt_connection *connection)
{
    if (connection->libvirt_version > 0)
        link->libvirt_version = connection->libvirt_version;
    if (connection->state == link->state)
        return;
    virt_link_state(link, connection->state);
    if (connection->state == VIRT_CONNECTION_CONNECTED)
        log_message(LOG_NOTICE, "libvirt is connected");
    else if (connection->state == VIRT_CONNECTION_LOST)
        log_limited(&link->ended_said, loop_now(), LOG_WARNING,
            "libvirt cannot be asked: %s. What it said last holds", connection->text);
}

/* What of a record is worth a word. */
static void domain_say(struct virt_link *link, const struct virt_domain *domain, int result)
{
    uint64_t now = link->acting->heard;

    if (result < 0)
        log_limited(&link->full_said, now, LOG_ERR,
            "%s: what libvirt says of it is not used: all %u places are taken; set max-vms= higher "
            "and restart plimsolld",
            domain->name, link->options.capacity);
    if (domain->id >= 0 && domain->pid == 0)
        log_limited(&link->nobody_said, now, LOG_WARNING,
            "%s: libvirt does not say which process it is, so that its own rules are not used",
            domain->name);
}

static void workers_take(struct virt_link *link, const struct virt_workers *workers)
{
    bool stuck = workers->hung == VIRT_WORKERS;

    if (stuck && !link->stuck)
        link->stuck_since = link->acting->heard;
    link->stuck = stuck;
}

/* Returns NULL, or what is wrong with it. */
static const char *record_take(struct virt_link *link, const struct virt_record *record)
{
    struct virt_process *acting = link->acting;

    if ((record->kind == VIRT_RECORD_HELLO) == acting->greeted)
        return "does not begin with one greeting";
    acting->greeted = true;
    if (record->kind == VIRT_RECORD_CALL || record->kind == VIRT_RECORD_BEGIN)
        return "talks nonsense";
    if (record->kind == VIRT_RECORD_RESULT)
        virt_calls_take(&link->calls, &record->result, loop_now());
    if (record->kind == VIRT_RECORD_WORKERS)
        workers_take(link, &record->workers);
    if (record->kind == VIRT_RECORD_DOMAIN && record->domain.asked > acting->heard)
        return "says when it asked, and that is yet to be";
    if (record->kind == VIRT_RECORD_CONNECTION)
        connection_take(link, &record->connection);
    if (record->kind == VIRT_RECORD_RESYNC_END)
        link->told = true;
    if (record->kind == VIRT_RECORD_DOMAIN_GONE && link->options.undefined)
        link->options.undefined(record->uuid, link->options.userdata);
    int result = virt_table_take(link->table, record);
    if (record->kind == VIRT_RECORD_DOMAIN) {
        link->asked = record->domain.asked;
        domain_say(link, &record->domain, result);
    }
    return NULL;
}

enum heard {
    HEARD_NOTHING,
    HEARD_RECORD,
    HEARD_END,
};

/* Returns NULL, or why the process is to be ended. PACE is that of its kind. */
static const char *record_hear(struct virt_process *process, struct virt_link_pace *pace,
    struct virt_record *ret_record, enum heard *ret_heard)
{
    uint8_t datagram[VIRT_DATAGRAM_MAX + 1]; /* one that fills it was longer than any may be */
    ssize_t length = recv(process->fd, datagram, sizeof(datagram), MSG_DONTWAIT);

    *ret_heard = HEARD_NOTHING;
    if (length < 0 && errno != ECONNRESET)
        return errno == EAGAIN || errno == EINTR ? NULL : "cannot be heard";
    process->heard = loop_now();
    *ret_heard = length > 0 ? HEARD_RECORD : HEARD_END;
    if (length <= 0)
        return NULL; /* reset: it has ended with something of ours unread */
    int result = virt_decode(datagram, (size_t)length, ret_record);
    if (result == -EPROTO) {
        pace->wait = VIRT_LINK_RETRY_LAST; /* mended by nothing but an installation */
        return "is of another version than plimsolld";
    }
    return result < 0 ? "talks nonsense" : NULL;
}

/* ---- who says it ---- */

static void acting_hear(struct virt_link *link)
{
    enum heard heard = HEARD_RECORD;
    struct virt_record record;

    for (unsigned i = 0; heard == HEARD_RECORD && i < VIRT_LINK_RECORDS_PER_WAKE; i++) {
        if (link->heard_in_second >= VIRT_LINK_RECORDS_PER_SECOND) {
            link->held = true;
            /* To wait for nothing would still tell of a hangup. */
            loop_remove(link->loop, &link->acting->socket);
            return;
        }
        const char *why = record_hear(link->acting, &link->beginnings, &record, &heard);
        link->heard_in_second += heard == HEARD_RECORD;
        if (!why && heard == HEARD_RECORD)
            why = record_take(link, &record);
        if (why) {
            virt_link_end_acting(link, why, loop_now());
            return;
        }
    }
    if (heard == HEARD_END)
        virt_link_hang_up(link); /* it says by its end why; if that does not come, it is silent */
}

/* One that waits has one thing to say. */
static void spare_hear(struct virt_link *link)
{
    struct virt_process *spare = link->spare;
    struct virt_record record;
    enum heard heard;
    const char *why = record_hear(spare, &link->spares, &record, &heard);

    if (!why && heard == HEARD_RECORD && (spare->greeted || record.kind != VIRT_RECORD_HELLO))
        why = "says more than a greeting, and was not told to begin";
    if (why)
        virt_link_end_spare(link, why, loop_now());
    else if (heard == HEARD_RECORD)
        spare->greeted = true;
    else if (heard == HEARD_END)
        virt_process_hang_up(spare); /* its end says why */
}

void virt_link_heard(struct loop_source *source, uint32_t events)
{
    struct virt_process *process = container_of(source, struct virt_process, socket);
    struct virt_link *link = process->owner;

    (void)events;
    if (process == link->acting)
        acting_hear(link);
    else
        spare_hear(link);
}

/* ---- its end ---- */

static void acting_say(struct virt_link *link, pid_t pid, int status, uint64_t now)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == VIRT_PROCESS_NO_PROGRAM)
        log_limited(&link->ended_said, now, LOG_WARNING,
            "%s cannot be started, so libvirt is not asked", link->options.program);
    else
        log_limited(&link->ended_said, now, LOG_WARNING,
            "plimsoll-virt (pid %d) has ended by %s %d; %s. What libvirt said last holds", (int)pid,
            WIFSIGNALED(status) ? "signal" : "status",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
            virt_link_successor(link));
}

static void spare_say(struct virt_link *link, pid_t pid, int status, uint64_t now)
{
    log_limited(&link->spare_said, now, LOG_WARNING,
        "the spare plimsoll-virt (pid %d) has ended by %s %d", (int)pid,
        WIFSIGNALED(status) ? "signal" : "status",
        WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

void virt_link_exited(struct loop_source *source, uint32_t events)
{
    struct virt_process *process = container_of(source, struct virt_process, exit);
    struct virt_link *link = process->owner;
    uint64_t now = loop_now();
    pid_t pid = process->pid;
    int status;

    (void)events;
    if (process == link->acting && process->fd >= 0 && !link->held)
        acting_hear(link); /* its last words */
    if (process == link->acting)
        virt_link_hang_up(link);
    if (!virt_process_reap(process, &status))
        return;
    if (process == link->acting) {
        acting_say(link, pid, status, now);
        virt_link_leave_acting(link, now);
    } else if (process == link->spare) {
        spare_say(link, pid, status, now);
        virt_link_leave_spare(link, process->started, now);
    }
}
