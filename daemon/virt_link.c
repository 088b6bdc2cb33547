/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns both processes, the acting one and its spare, and the table of what was said.
 *
 * The acting one was told to begin, and is heard. Behind it the spare waits, forked while there was
 * memory enough and blocked until it is told, too. When the acting one has died, is silent, talks
 * nonsense or has lost all its workers, it is ended and the spare begins: in any band, for that
 * takes one datagram. The next spare is forked when the band allows: until the child has read the
 * program from disk, each page that the guard writes is copied. Without a spare one is started that
 * begins at once, but never at the edge; in scarce it is, for whom libvirt has stopped nobody else
 * can resume.
 *
 * There are two places, and a process keeps its own until it is reaped, so that there are never
 * more: one that does not even die costs the spare, and no third is tried. Each that begins is
 * further from the end of the one before, up to VIRT_LINK_RETRY_LAST, and one that has lived for a
 * while makes it quick again: a libvirt in which everybody hangs is not stormed.
 *
 * Calls that are open when the acting one ends are answered as open, and repeated by nobody here:
 * its successor cannot know whether they were carried out.
 */
#include "virt_link_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <plimsoll/cleanup.h>

#define URI_AUTO "qemu:///system"
#define RETRY_FIRST NSEC_PER_SEC
/* Lived for so long, it counts as a good one. */
#define GOOD_AFTER (2 * NSEC_PER_MINUTE)
/* How often libvirt's sockets are looked for. */
#define LOOK_INTERVAL (5 * NSEC_PER_SEC)
/* The last band in which a spare is forked. */
#define SPARE_BAND BAND_TIGHT

static bool is_off(const struct virt_link *link)
{
    return link->libvirt[0] == '\0' || strcmp(link->libvirt, "off") == 0;
}

static bool is_auto(const struct virt_link *link)
{
    return strcmp(link->libvirt, "auto") == 0;
}

static void pace_slow(struct virt_link_pace *pace, uint64_t now)
{
    pace->next = now + pace->wait;
    pace->wait = min_u64(2 * pace->wait, VIRT_LINK_RETRY_LAST);
}

/* After one that has lived since BEGAN. */
static void pace_set(struct virt_link_pace *pace, uint64_t began, uint64_t now)
{
    if (sub_or_zero(now, began) > GOOD_AFTER)
        *pace = (struct virt_link_pace){.next = now, .wait = RETRY_FIRST};
    else
        pace_slow(pace, now);
}

/* ---- ended ---- */

void virt_link_state(struct virt_link *link, enum virt_connection_state state)
{
    bool lost = link->state == VIRT_CONNECTION_CONNECTED && state != VIRT_CONNECTION_CONNECTED;

    link->state = state;
    if (!lost)
        return;
    virt_table_doubt(link->table);
    if (link->options.lost)
        link->options.lost(link->options.userdata);
}

const char *virt_link_successor(const struct virt_link *link)
{
    return link->spare ? "its spare takes over" : "it is started anew";
}

void virt_link_hang_up(struct virt_link *link)
{
    if (link->acting->fd < 0)
        return;
    virt_process_hang_up(link->acting);
    link->held = false;
    virt_table_break_off(link->table);
    virt_calls_fail(&link->calls, loop_now());
    virt_link_state(link, VIRT_CONNECTION_LOST);
}

void virt_link_leave_acting(struct virt_link *link, uint64_t now)
{
    link->acting = NULL;
    pace_set(&link->beginnings, link->began, now);
}

void virt_link_leave_spare(struct virt_link *link, uint64_t started, uint64_t now)
{
    link->spare = NULL;
    pace_set(&link->spares, started, now);
}

void virt_link_end_acting(struct virt_link *link, const char *why, uint64_t now)
{
    struct virt_process *acting = link->acting;

    if (why)
        log_limited(&link->ended_said, now, LOG_WARNING,
            "plimsoll-virt (pid %d) %s; ended, and %s. What libvirt said last holds",
            (int)acting->pid, why, virt_link_successor(link));
    virt_link_hang_up(link);
    virt_process_end(acting);
    virt_link_leave_acting(link, now);
}

void virt_link_end_spare(struct virt_link *link, const char *why, uint64_t now)
{
    struct virt_process *spare = link->spare;

    if (why)
        log_limited(&link->spare_said, now, LOG_WARNING,
            "the spare plimsoll-virt (pid %d) %s; ended", (int)spare->pid, why);
    virt_process_end(spare);
    virt_link_leave_spare(link, spare->started, now);
}

static void ended_reap(struct virt_link *link)
{
    int status;

    for (unsigned i = 0; i < VIRT_LINK_PROCESSES; i++)
        if (link->processes[i].ended)
            (void)virt_process_reap(&link->processes[i], &status);
}

/* ---- started ---- */

/* NULL: whoever was there is not reaped yet. */
static struct virt_process *place_find(struct virt_link *link)
{
    for (unsigned i = 0; i < VIRT_LINK_PROCESSES; i++)
        if (link->processes[i].pid == 0)
            return &link->processes[i];
    return NULL;
}

static bool place_is_free(const struct virt_link *link)
{
    for (unsigned i = 0; i < VIRT_LINK_PROCESSES; i++)
        if (link->processes[i].pid == 0)
            return true;
    return false;
}

static bool libvirt_is_there(const struct virt_link *link)
{
    static const char *const names[] = {"virtqemud-sock", "libvirt-sock"};
    char path[CONFIG_TEXT_MAX];

    if (!is_auto(link))
        return true; /* nobody but libvirt itself knows where */
    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        int length = snprintf(path, sizeof(path), "%s/%s", link->options.run_folder, names[i]);
        if (length > 0 && (size_t)length < sizeof(path) && access(path, F_OK) == 0)
            return true;
    }
    return false;
}

static void absence_say(struct virt_link *link)
{
    if (!link->absent_said)
        log_message(LOG_NOTICE,
            "libvirt is not on this host (no socket in %s); it is looked for each 5 s",
            link->options.run_folder);
    link->absent_said = true;
}

static int place_fill(struct virt_link *link, struct virt_process *place, uint64_t now)
{
    const struct virt_process_options options = {
        .program = link->options.program, .heard = virt_link_heard, .exited = virt_link_exited};

    return virt_process_start(place, &options, now);
}

static bool may_begin(const struct virt_link *link)
{
    return !link->acting && !is_off(link) &&
           (link->spare || (link->band < BAND_CRITICAL && place_is_free(link)));
}

/* The spare, or one that is started for it. */
static void acting_begin(struct virt_link *link, uint64_t now)
{
    struct virt_process *process = link->spare;
    int result = 0;

    if (!libvirt_is_there(link)) {
        absence_say(link);
        link->beginnings.next = now + LOOK_INTERVAL;
        return;
    }
    if (!process) {
        process = place_find(link);
        result = place_fill(link, process, now);
    }
    link->spare = NULL;
    if (result == 0)
        result = virt_process_begin(process, is_auto(link) ? URI_AUTO : link->libvirt);
    bool gone = result == -EPIPE || result == -ECONNRESET; /* its end says why */
    if (result < 0 && !gone) {
        if (process->pid > 0)
            virt_process_end(process);
        pace_slow(&link->beginnings, now);
        log_limited(&link->ended_said, now, LOG_WARNING, "plimsoll-virt cannot begin: %s",
            strerror(-result));
        return;
    }
    link->acting = process;
    link->began = process->heard = now;
    link->told = link->stuck = false;
    link->state = VIRT_CONNECTION_CONNECTING;
    if (gone)
        virt_link_hang_up(link);
}

/* Behind one that has greeted: a program that cannot be run is not tried by two. */
static bool may_prepare(const struct virt_link *link)
{
    return !link->spare && link->acting && link->acting->greeted && link->band <= SPARE_BAND &&
           place_is_free(link);
}

static void spare_prepare(struct virt_link *link, uint64_t now)
{
    struct virt_process *place = place_find(link);
    int result = place_fill(link, place, now);

    if (result == 0) {
        link->spare = place;
        return;
    }
    pace_slow(&link->spares, now);
    log_limited(&link->spare_said, now, LOG_WARNING, "no spare plimsoll-virt can be started: %s",
        strerror(-result));
}

/* ---- in time ---- */

/* When the acting one is given up for its workers; NEVER: it is kept. */
static uint64_t stuck_end(const struct virt_link *link)
{
    bool answers = link->asked > link->stuck_since || link->calls.answered > link->stuck_since;

    if (!link->acting || !link->stuck)
        return NEVER;
    /* A successor is another three workers, and keeps away from the domains known to be sick
     * (virt_calls.c). If it is libvirt itself that hangs, they hang, too, and so does the
     * connection that tells of domains, until it ends itself; the old ones go on when libvirt does.
     * So where none can be had for it anew, the spare is kept until libvirt is seen to answer
     * others. */
    if (link->band > SPARE_BAND && !answers)
        return NEVER;
    /* Where no other can be had, what it still tells of domains is better than nothing. */
    if (link->band >= BAND_CRITICAL && !link->spare)
        return NEVER;
    return link->stuck_since + VIRT_LINK_STUCK;
}

/* When a spare that is not ready is given up; NEVER: it is, or there is no other to be had. */
static uint64_t unready_end(const struct virt_link *link)
{
    const struct virt_process *spare = link->spare;

    if (!spare || (spare->greeted && spare->fd >= 0) || link->band > SPARE_BAND)
        return NEVER;
    return spare->heard + VIRT_LINK_SILENCE;
}

static void second_begin(struct virt_link *link, uint64_t now)
{
    if (sub_or_zero(now, link->second) < NSEC_PER_SEC)
        return;
    link->second = now;
    link->heard_in_second = 0;
    if (!link->held)
        return;
    link->held = false;
    if (loop_add(link->loop, &link->acting->socket, link->acting->fd, EPOLLIN, virt_link_heard) < 0)
        virt_link_end_acting(link, "cannot be heard any more", now);
}

void virt_link_advance(struct virt_link *link, enum band band, uint64_t now)
{
    link->band = band;
    second_begin(link, now);
    ended_reap(link);
    if (link->acting && sub_or_zero(now, link->acting->heard) > VIRT_LINK_SILENCE)
        virt_link_end_acting(link, "has said nothing for too long", now);
    if (link->acting && now >= stuck_end(link))
        virt_link_end_acting(link, "hangs in all its calls to libvirt", now);
    if (now >= unready_end(link))
        virt_link_end_spare(link, "does not get ready", now);
    virt_calls_expire(&link->calls, now);
    if (may_begin(link) && now >= link->beginnings.next)
        acting_begin(link, now);
    if (may_prepare(link) && now >= link->spares.next)
        spare_prepare(link, now);
}

uint64_t virt_link_deadline(const struct virt_link *link)
{
    uint64_t deadline = min_u64(stuck_end(link), unready_end(link));

    if (may_begin(link))
        deadline = min_u64(deadline, link->beginnings.next);
    if (may_prepare(link))
        deadline = min_u64(deadline, link->spares.next);
    if (link->acting)
        deadline = min_u64(deadline, link->acting->heard + VIRT_LINK_SILENCE + 1);
    if (link->held)
        deadline = min_u64(deadline, link->second + NSEC_PER_SEC);
    return min_u64(deadline, virt_calls_deadline(&link->calls));
}

/* ---- calls ---- */

int virt_link_call(
    struct virt_link *link, const struct virt_call *call, virt_call_handler handler, void *userdata)
{
    struct virt_record record = {.kind = VIRT_RECORD_CALL, .call = *call};
    uint8_t datagram[VIRT_DATAGRAM_MAX];

    if (!link->acting || link->acting->fd < 0 || !virt_link_connected(link))
        return -ENOTCONN;
    if (link->stuck && call->operation != VIRT_OPERATION_DESTROY)
        return -EBUSY;
    int result = virt_calls_add(&link->calls, &record.call, handler, userdata, loop_now());
    if (result < 0)
        return result;
    int length = virt_encode(&record, datagram);
    if (length < 0)
        result = length;
    else if (send(link->acting->fd, datagram, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        result = errno == EAGAIN || errno == ENOBUFS || errno == EINTR ? -EAGAIN : -ENOTCONN;
    if (result < 0)
        virt_calls_drop(&link->calls, record.call.number);
    return result;
}

void virt_link_forget(struct virt_link *link, const void *userdata)
{
    virt_calls_forget(&link->calls, userdata);
}

void virt_link_set(struct virt_link *link, const char *libvirt)
{
    if (strcmp(link->libvirt, libvirt) == 0)
        return;
    (void)snprintf(link->libvirt, sizeof(link->libvirt), "%s", libvirt);
    if (link->acting)
        virt_link_end_acting(link, NULL, loop_now());
    /* For another libvirt it will do: it has not heard of the old one. */
    if (link->spare && is_off(link))
        virt_link_end_spare(link, NULL, loop_now());
    virt_table_clear(link->table); /* another libvirt's domains are not these */
    link->libvirt_version = 0;
    link->beginnings = (struct virt_link_pace){.wait = RETRY_FIRST};
    link->absent_said = false;
}

bool virt_link_settled(const struct virt_link *link)
{
    return !link->acting || link->acting->fd < 0 || link->told ||
           link->state == VIRT_CONNECTION_LOST;
}

bool virt_link_connected(const struct virt_link *link)
{
    return link->state == VIRT_CONNECTION_CONNECTED;
}

uint32_t virt_link_libvirt_version(const struct virt_link *link)
{
    return link->libvirt_version;
}

const struct virt_domain *virt_link_domain(
    const struct virt_link *link, const uint8_t uuid[UUID_SIZE], pid_t pid)
{
    const struct virt_domain *domain = virt_table_find(link->table, uuid);

    return domain && pid > 0 && domain->pid == pid ? domain : NULL;
}

/* ---- life ---- */

int virt_link_new(
    struct loop *loop, const struct virt_link_options *options, struct virt_link **ret_link)
{
    struct virt_link *link = calloc(1, sizeof(*link));

    if (!link)
        return -ENOMEM;
    link->options = *options;
    link->loop = loop;
    for (unsigned i = 0; i < VIRT_LINK_PROCESSES; i++)
        virt_process_init(&link->processes[i], loop, link);
    link->beginnings.wait = link->spares.wait = RETRY_FIRST;
    int result =
        virt_table_new(options->capacity, options->changed, options->userdata, &link->table);
    if (result < 0) {
        virt_link_free(link);
        return result;
    }
    *ret_link = link;
    return 0;
}

struct virt_link *virt_link_free(struct virt_link *link)
{
    if (!link)
        return NULL;
    if (link->acting)
        virt_link_hang_up(link);
    for (unsigned i = 0; i < VIRT_LINK_PROCESSES; i++)
        virt_process_close(&link->processes[i]);
    virt_table_free(link->table);
    free(link);
    return NULL;
}
