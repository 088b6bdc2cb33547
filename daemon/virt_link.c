/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the process, our end of its socket and the table of what it said.
 *
 * The process is held by a pidfd; a process that is ended here (its socket closed, SIGKILL sent) is
 * reaped when that says so, and another one is not started before: there are never two. Starting is
 * a fork(): until the child has read the program from disk, each page that the guard writes is
 * copied, so it is not done at the edge. In scarce it is: whom libvirt has stopped nobody else can
 * resume.
 *
 * Each start is further from the one before, up to RETRY_LAST; a process that has lived for a while
 * makes it quick again.
 */
#include "virt_link.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config_parse.h"
#include "log.h"
#include "process.h"

#include <plimsoll/cleanup.h>

#define URI_AUTO "qemu:///system"
#define RETRY_FIRST NSEC_PER_SEC
#define RETRY_LAST (60 * NSEC_PER_SEC)
/* Lived for so long, it counts as a good one. */
#define GOOD_AFTER (2 * NSEC_PER_MINUTE)
/* How often libvirt's sockets are looked for. */
#define LOOK_INTERVAL (5 * NSEC_PER_SEC)
#define EXIT_NO_PROGRAM 127

struct virt_link {
    struct virt_link_options options;
    struct loop *loop;
    struct virt_table *table;
    struct virt_calls calls;
    char libvirt[CONFIG_TEXT_MAX]; /* as configured */

    pid_t pid;     /* 0: none */
    int fd, pidfd; /* our end of its socket, and itself; -1: none */
    struct loop_source socket, exit;
    bool greeted; /* it has said HELLO */
    bool told;    /* … and all domains there are */
    bool stuck;   /* all its workers hang in their calls */
    bool blamed;  /* it was ended, and why is said */
    pid_t orphan; /* one that was killed without a pidfd to tell of its end; 0: none */
    uint64_t started, heard;
    uint64_t next_start, retry;

    uint64_t second; /* when the present one began */
    uint32_t heard_in_second;
    bool held;      /* too many in this second; the socket is not read until the next */
    enum band band; /* of the last advance */

    enum virt_connection_state state;
    uint32_t libvirt_version; /* of the one reached last */
    bool absent_said;
    struct log_limit ended_said, full_said, nobody_said;
};

static bool is_off(const struct virt_link *link)
{
    return link->libvirt[0] == '\0' || strcmp(link->libvirt, "off") == 0;
}

/* ---- ended ---- */

static void state_set(struct virt_link *link, enum virt_connection_state state)
{
    bool lost = link->state == VIRT_CONNECTION_CONNECTED && state != VIRT_CONNECTION_CONNECTED;

    link->state = state;
    if (!lost)
        return;
    virt_table_doubt(link->table);
    if (link->options.lost)
        link->options.lost(link->options.userdata);
}

static void socket_close(struct virt_link *link)
{
    if (link->fd < 0)
        return;
    loop_remove(link->loop, &link->socket);
    (void)close(link->fd);
    link->fd = -1;
    link->held = false;
    virt_table_break_off(link->table);
    virt_calls_fail(&link->calls, loop_now());
    state_set(link, VIRT_CONNECTION_LOST);
}

/* The rest follows when it has ended. WHY is said, unless it is NULL. */
static void process_end(struct virt_link *link, const char *why)
{
    if (why && !link->blamed && log_permit(&link->ended_said, loop_now()))
        log_message(LOG_WARNING,
            "plimsoll-virt (pid %d) %s; ended, to be started anew. What libvirt said last holds",
            (int)link->pid, why);
    link->blamed = true;
    socket_close(link);
    if (link->pidfd >= 0)
        (void)process_signal(link->pidfd, SIGKILL);
}

/* Where the loop would not tell of its end. */
static void process_abandon(struct virt_link *link)
{
    (void)kill(link->pid, SIGKILL); /* not reaped yet, so the number is still its own */
    socket_close(link);
    if (link->pidfd >= 0) {
        loop_remove(link->loop, &link->exit);
        (void)close(link->pidfd);
        link->pidfd = -1;
    }
    link->orphan = link->pid;
    link->pid = 0;
}

static void orphan_reap(struct virt_link *link)
{
    if (link->orphan > 0 && waitpid(link->orphan, NULL, WNOHANG) != 0)
        link->orphan = 0;
}

static void retry_later(struct virt_link *link, uint64_t now)
{
    link->next_start = now + link->retry;
    link->retry = min_u64(2 * link->retry, RETRY_LAST);
}

static void exit_say(struct virt_link *link, int status, uint64_t now)
{
    bool absent = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NO_PROGRAM;

    if (link->blamed || !log_permit(&link->ended_said, now))
        return;
    if (absent)
        log_message(
            LOG_WARNING, "%s cannot be started, so libvirt is not asked", link->options.program);
    else
        log_message(LOG_WARNING,
            "plimsoll-virt (pid %d) has ended by %s %d; it is started anew. What libvirt said last "
            "holds",
            (int)link->pid, WIFSIGNALED(status) ? "signal" : "status",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

/* ---- hearing ---- */

static void connection_take(struct virt_link *link, const struct virt_connection *connection)
{
    if (connection->libvirt_version > 0)
        link->libvirt_version = connection->libvirt_version;
    if (connection->state == link->state)
        return;
    state_set(link, connection->state);
    if (connection->state == VIRT_CONNECTION_CONNECTED)
        log_message(LOG_NOTICE, "libvirt is connected");
    else if (connection->state == VIRT_CONNECTION_LOST && log_permit(&link->ended_said, loop_now()))
        log_message(
            LOG_WARNING, "libvirt cannot be asked: %s. What it said last holds", connection->text);
}

/* What of a record is worth a word. */
static void domain_say(struct virt_link *link, const struct virt_domain *domain, int result)
{
    if (result < 0 && log_permit(&link->full_said, link->heard))
        log_message(LOG_ERR,
            "%s: what libvirt says of it is not used: all %u places are taken; set max-vms= higher "
            "and restart plimsolld",
            domain->name, link->options.capacity);
    if (domain->id >= 0 && domain->pid == 0 && log_permit(&link->nobody_said, link->heard))
        log_message(LOG_WARNING,
            "%s: libvirt does not say which process it is, so that its own rules are not used",
            domain->name);
}

/* Returns NULL, or what is wrong with it. */
static const char *record_take(struct virt_link *link, const struct virt_record *record)
{
    if ((record->kind == VIRT_RECORD_HELLO) == link->greeted)
        return "does not begin with one greeting";
    link->greeted = true;
    if (record->kind == VIRT_RECORD_CALL)
        return "talks nonsense";
    if (record->kind == VIRT_RECORD_RESULT)
        virt_calls_take(&link->calls, &record->result, loop_now());
    if (record->kind == VIRT_RECORD_WORKERS)
        link->stuck = record->workers.hung == VIRT_WORKERS;
    if (record->kind == VIRT_RECORD_DOMAIN && record->domain.asked > link->heard)
        return "says when it asked, and that is yet to be";
    if (record->kind == VIRT_RECORD_CONNECTION)
        connection_take(link, &record->connection);
    if (record->kind == VIRT_RECORD_RESYNC_END)
        link->told = true;
    int result = virt_table_take(link->table, record);
    if (record->kind == VIRT_RECORD_DOMAIN)
        domain_say(link, &record->domain, result);
    return NULL;
}

/* Returns NULL, or why the process is to be ended. RET_MORE: there may be more. */
static const char *record_hear(struct virt_link *link, bool *ret_more)
{
    uint8_t datagram[VIRT_DATAGRAM_MAX + 1]; /* one that fills it was longer than any may be */
    struct virt_record record;
    ssize_t length = recv(link->fd, datagram, sizeof(datagram), MSG_DONTWAIT);

    *ret_more = length > 0;
    if (length < 0)
        return errno == EAGAIN || errno == EINTR ? NULL : "cannot be heard";
    if (length == 0) {
        socket_close(link); /* it says by its end why; if that does not come, it is silent */
        return NULL;
    }
    link->heard = loop_now();
    link->heard_in_second++;
    int result = virt_decode(datagram, (size_t)length, &record);
    if (result == -EPROTO) {
        link->retry = RETRY_LAST; /* mended by nothing but an installation */
        return "is of another version than plimsolld";
    }
    return result < 0 ? "talks nonsense" : record_take(link, &record);
}

static void on_socket(struct loop_source *source, uint32_t events)
{
    struct virt_link *link = container_of(source, struct virt_link, socket);
    bool more = true;

    (void)events;
    for (unsigned i = 0; more && i < VIRT_LINK_RECORDS_PER_WAKE; i++) {
        if (link->heard_in_second >= VIRT_LINK_RECORDS_PER_SECOND) {
            link->held = true;
            loop_remove(link->loop, source); /* to wait for nothing would still tell of a hangup */
            return;
        }
        const char *why = record_hear(link, &more);
        if (why) {
            process_end(link, why);
            return;
        }
    }
}

/* ---- its end ---- */

static void on_ended(struct loop_source *source, uint32_t events)
{
    struct virt_link *link = container_of(source, struct virt_link, exit);
    uint64_t now = loop_now();
    int status = 0;

    (void)events;
    if (waitpid(link->pid, &status, WNOHANG) == 0)
        return;
    if (link->fd >= 0 && !link->held)
        on_socket(&link->socket, EPOLLIN); /* its last words */
    exit_say(link, status, now);
    loop_remove(link->loop, source);
    (void)close(link->pidfd);
    link->pidfd = -1;
    socket_close(link);
    link->pid = 0;
    if (now - link->started > GOOD_AFTER)
        link->retry = RETRY_FIRST;
    retry_later(link, now);
}

/* ---- started ---- */

static bool libvirt_is_there(const struct virt_link *link)
{
    static const char *const names[] = {"virtqemud-sock", "libvirt-sock"};
    char path[CONFIG_TEXT_MAX];

    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        int length = snprintf(path, sizeof(path), "%s/%s", link->options.run_folder, names[i]);
        if (length > 0 && (size_t)length < sizeof(path) && access(path, F_OK) == 0)
            return true;
    }
    return false;
}

/* In the child: all other descriptors of the guard are closed by the exec. */
static void __attribute__((noreturn)) program_run(const struct virt_link *link, int fd)
{
    bool by_itself = strcmp(link->libvirt, "auto") == 0;
    char program[PATH_MAX], option[] = "--uri", uri[CONFIG_TEXT_MAX];
    char *const arguments[] = {program, option, uri, NULL};
    bool placed = fd == VIRT_FD ? fcntl(fd, F_SETFD, 0) == 0 : dup2(fd, VIRT_FD) == VIRT_FD;

    (void)snprintf(program, sizeof(program), "%s", link->options.program);
    (void)snprintf(uri, sizeof(uri), "%s", by_itself ? URI_AUTO : link->libvirt);
    process_score_reset();
    if (placed)
        (void)execv(program, arguments);
    _exit(EXIT_NO_PROGRAM);
}

static int process_start(struct virt_link *link, uint64_t now)
{
    int pair[2], result;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0)
        program_run(link, pair[1]);
    result = pid < 0 ? -errno : 0;
    (void)close(pair[1]);
    if (pid < 0) {
        (void)close(pair[0]);
        return result;
    }
    link->pid = pid;
    link->fd = pair[0];
    link->pidfd = process_hold(pid);
    link->greeted = link->told = link->stuck = link->blamed = false;
    link->started = link->heard = now;
    link->state = VIRT_CONNECTION_CONNECTING;
    result = link->pidfd < 0 ? link->pidfd
                             : loop_add(link->loop, &link->exit, link->pidfd, EPOLLIN, on_ended);
    if (result == 0)
        result = loop_add(link->loop, &link->socket, link->fd, EPOLLIN, on_socket);
    return result;
}

static void start(struct virt_link *link, uint64_t now)
{
    if (strcmp(link->libvirt, "auto") == 0 && !libvirt_is_there(link)) {
        if (!link->absent_said)
            log_message(LOG_NOTICE,
                "libvirt is not on this host (no socket in %s); it is looked for each 5 s",
                link->options.run_folder);
        link->absent_said = true;
        link->next_start = now + LOOK_INTERVAL;
        return;
    }
    int result = process_start(link, now);
    if (result < 0) {
        retry_later(link, now);
        if (log_permit(&link->ended_said, now))
            log_message(LOG_WARNING, "plimsoll-virt cannot be started: %s", strerror(-result));
        if (link->pid > 0)
            process_abandon(link);
    }
}

/* ---- in time ---- */

static bool may_start(const struct virt_link *link, enum band band)
{
    return link->pid == 0 && link->orphan == 0 && !is_off(link) && band < BAND_CRITICAL;
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
    if (loop_add(link->loop, &link->socket, link->fd, EPOLLIN, on_socket) < 0)
        process_end(link, "cannot be heard any more");
}

void virt_link_advance(struct virt_link *link, enum band band, uint64_t now)
{
    link->band = band;
    second_begin(link, now);
    orphan_reap(link);
    if (link->pid > 0 && !link->blamed && sub_or_zero(now, link->heard) > VIRT_LINK_SILENCE)
        process_end(link, "has said nothing for too long");
    /* Where no other can be started, what it still tells of domains is better than nothing. */
    if (link->pid > 0 && !link->blamed && link->stuck && band < BAND_CRITICAL)
        process_end(link, "hangs in all its calls to libvirt");
    virt_calls_expire(&link->calls, now);
    if (may_start(link, band) && now >= link->next_start)
        start(link, now);
}

uint64_t virt_link_deadline(const struct virt_link *link)
{
    uint64_t deadline = NEVER;

    if (may_start(link, link->band))
        deadline = link->next_start;
    if (link->pid > 0 && !link->blamed)
        deadline = link->heard + VIRT_LINK_SILENCE + 1;
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

    if (link->fd < 0 || !virt_link_connected(link))
        return -ENOTCONN;
    if (link->stuck && call->operation != VIRT_OPERATION_DESTROY)
        return -EBUSY;
    int result = virt_calls_add(&link->calls, &record.call, handler, userdata, loop_now());
    if (result < 0)
        return result;
    int length = virt_encode(&record, datagram);
    if (length < 0)
        result = length;
    else if (send(link->fd, datagram, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
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
    if (link->pid > 0)
        process_end(link, NULL);
    virt_table_clear(link->table); /* another libvirt's domains are not these */
    link->libvirt_version = 0;
    link->next_start = 0;
    link->retry = RETRY_FIRST;
    link->absent_said = false;
}

bool virt_link_settled(const struct virt_link *link)
{
    return link->fd < 0 || link->told || link->state == VIRT_CONNECTION_LOST;
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
    link->fd = link->pidfd = -1;
    link->socket = link->exit = LOOP_SOURCE_NONE;
    link->retry = RETRY_FIRST;
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
    if (link->pid > 0)
        process_abandon(link);
    orphan_reap(link);
    virt_table_free(link->table);
    free(link);
    return NULL;
}
