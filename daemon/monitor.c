/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A monitor owns a libqmp session and a set of questions that are due. Each question is a bit; the
 * lowest that is due is asked when nothing of ours is in flight, so that a slow peer is never sent
 * more than one request it has not answered. Connecting makes all questions due; from then on time
 * and events make some of them due again, more often the nearer the host is to its edge.
 *
 * Whatever a reply says goes into the VM's figures and nowhere else. A reply that fails leaves its
 * figures as they are; a peer that falls silent makes its run state unknown.
 */
#include "monitor_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include <plimsoll/cleanup.h>

/* How often what is asked (design: statistics once a minute when calm, each second from tight). A
 * statistics query costs QEMU 0.4 ms of CPU. */
#define STATISTICS_CALM (60 * NSEC_PER_SEC)
#define STATISTICS_TIGHT (1 * NSEC_PER_SEC)
#define STATISTICS_SEARCH (2 * NSEC_PER_SEC) /* while nobody knows whether a driver is there */
#define STATE_CALM (10 * NSEC_PER_SEC)
#define STATE_TIGHT (2 * NSEC_PER_SEC)
#define DEVICES_AGAIN (5 * NSEC_PER_MINUTE) /* hotplug without an event we know */

static void fall_silent(struct monitor *monitor)
{
    struct vm *vm = monitor->vm;

    vm->figures.monitor = VM_MONITOR_SILENT;
    vm->figures.run_state = VM_RUN_UNKNOWN;
    if (silence_begin(&vm->silence, monitor->now, MONITOR_TIMEOUT))
        log_message(LOG_WARNING,
            "%s: its QEMU does not answer on %s; it is watched on and can be "
            "reached by signals until it answers again",
            vm->figures.name, monitor_path(monitor));
}

void monitor_answered(struct monitor *monitor, int result)
{
    struct vm *vm = monitor->vm;

    if (!vm)
        return;
    switch (result) {
    case 0:
    case -EREMOTEIO:
        vm->figures.monitor = VM_MONITOR_READY;
        vm_answered(vm, monitor->now);
        break;
    case -ETIMEDOUT:
        if (!vm_may_be_silent(vm) && vm->figures.monitor == VM_MONITOR_READY)
            fall_silent(monitor);
        break;
    default:
        break; /* the connection's own death is told by its state */
    }
}

static void on_answer(struct qmp_session *session, const struct qmp_reply *reply, void *userdata)
{
    struct monitor *monitor = userdata;

    (void)session;
    monitor->in_flight = false;
    if (!monitor->vm)
        return;
    monitor_answered(monitor, reply->result);
    if (reply->result == 0)
        monitor_take_reply(monitor, reply);
    else if (reply->result == -EREMOTEIO)
        monitor_take_refusal(monitor);
    else if (reply->result == -EPROTO)
        log_message(LOG_WARNING, "%s: QEMU's answer to %s has not the form it should have; ignored",
            monitor->vm->figures.name, qmp_command_name(reply->command));
}

static uint32_t interval_wanted(const struct monitor *monitor)
{
    if (monitor->vm->figures.balloon.driver != TRISTATE_YES)
        return STATISTICS_SEARCH / NSEC_PER_SEC;
    return (monitor->band == BAND_CALM ? STATISTICS_CALM : STATISTICS_TIGHT) / NSEC_PER_SEC;
}

static const enum qmp_command plain_commands[QUESTION_COUNT] = {
    [ASK_NAME] = QMP_COMMAND_QUERY_NAME,
    [ASK_UUID] = QMP_COMMAND_QUERY_UUID,
    [ASK_STATUS] = QMP_COMMAND_QUERY_STATUS,
    [ASK_MIGRATE] = QMP_COMMAND_QUERY_MIGRATE,
    [ASK_MEMORY_SIZE] = QMP_COMMAND_QUERY_MEMORY_SIZE_SUMMARY,
    [ASK_MEMORY_DEVICES] = QMP_COMMAND_QUERY_MEMORY_DEVICES,
    [ASK_MEMDEV] = QMP_COMMAND_QUERY_MEMDEV,
    [ASK_SEV] = QMP_COMMAND_QUERY_SEV,
    [ASK_CPUS] = QMP_COMMAND_QUERY_CPUS_FAST,
    [ASK_BALLOON] = QMP_COMMAND_QUERY_BALLOON,
};

static int ask(struct monitor *monitor, enum question question)
{
    struct qmp_session *session = monitor->session;
    uint64_t now = monitor->now;

    switch (question) {
    case ASK_PERIPHERAL:
        monitor->balloon[0] = '\0';
        return qmp_execute_list_devices(
            session, "/machine/peripheral", now, MONITOR_TIMEOUT, on_answer, monitor);
    case ASK_PERIPHERAL_ANON:
        return qmp_execute_list_devices(
            session, "/machine/peripheral-anon", now, MONITOR_TIMEOUT, on_answer, monitor);
    case ASK_DEFLATE_ON_OOM:
        return qmp_execute_get_boolean(
            session, monitor->balloon, "deflate-on-oom", now, MONITOR_TIMEOUT, on_answer, monitor);
    case ASK_FREE_PAGE_REPORTING:
        return qmp_execute_get_boolean(session, monitor->balloon, "free-page-reporting", now,
            MONITOR_TIMEOUT, on_answer, monitor);
    case ASK_INTERVAL:
        monitor->interval = interval_wanted(monitor);
        return qmp_execute_set_statistics_interval(
            session, monitor->balloon, monitor->interval, now, MONITOR_TIMEOUT, on_answer, monitor);
    case ASK_DRIVER:
        return qmp_execute_virtio_status(
            session, monitor->balloon, now, MONITOR_TIMEOUT, on_answer, monitor);
    case ASK_STATISTICS:
        return qmp_execute_get_statistics(
            session, monitor->balloon, now, MONITOR_TIMEOUT, on_answer, monitor);
    case ASK_MEMORY_DEVICES:
        monitor->memory_devices_asked = now;
        break;
    case ASK_NAME:
    case ASK_UUID:
    case ASK_STATUS:
    case ASK_MIGRATE:
    case ASK_MEMORY_SIZE:
    case ASK_MEMDEV:
    case ASK_SEV:
    case ASK_CPUS:
    case ASK_BALLOON:
        break;
    case QUESTION_COUNT: /* no question */
        return -EINVAL;
    }
    return qmp_execute(session, plain_commands[question], now, MONITOR_TIMEOUT, on_answer, monitor);
}

static void questions_due(struct monitor *monitor)
{
    bool calm = monitor->band == BAND_CALM;
    bool searching = monitor->vm->figures.balloon.driver != TRISTATE_YES;

    if (monitor->now >= monitor->next_devices) {
        monitor->due |= ASK_ALL;
        monitor->next_devices = monitor->now + DEVICES_AGAIN;
    }
    if (monitor->now >= monitor->next_state) {
        monitor->due |=
            QUESTION_BIT(ASK_STATUS) | QUESTION_BIT(ASK_MIGRATE) | QUESTION_BIT(ASK_BALLOON);
        /* What somebody else requests has no event, only what comes of it. */
        if (vm_has(monitor->vm, VM_MEASURE_RESIZE))
            monitor->due |= QUESTION_BIT(ASK_MEMORY_DEVICES);
        monitor->next_state = monitor->now + (calm ? STATE_CALM : STATE_TIGHT);
    }
    if (monitor->balloon[0] == '\0')
        return;
    if (monitor->now >= monitor->next_statistics) {
        monitor->due |= QUESTION_BIT(ASK_DRIVER) | QUESTION_BIT(ASK_STATISTICS);
        monitor->next_statistics = monitor->now + (searching ? STATISTICS_SEARCH
                                                      : calm ? STATISTICS_CALM
                                                             : STATISTICS_TIGHT);
    }
    /* What is set while a guest comes in, it may bring along anew. */
    if (!monitor->owner.may_touch(monitor->owner.userdata) || monitor_vm_arrives(monitor))
        monitor->due &= ~QUESTION_BIT(ASK_INTERVAL);
    else if (monitor->interval != 0 && monitor->interval != interval_wanted(monitor))
        monitor->due |= QUESTION_BIT(ASK_INTERVAL);
}

/* An answer that is overdue comes first, however late, and every question more would only wait in
 * QEMU's memory. */
bool monitor_is_askable(const struct monitor *monitor)
{
    return monitor->vm && qmp_session_state(monitor->session) == QMP_STATE_READY &&
           !qmp_session_overdue(monitor->session) && !vm_has(monitor->vm, VM_MEASURE_FROZEN_SIGNAL);
}

void monitor_advance(struct monitor *monitor, enum band band, uint64_t now)
{
    monitor->now = now;
    if (monitor->band != band) {
        monitor->band = band;
        monitor->next_state = min_u64(monitor->next_state, now);
        monitor->next_statistics = min_u64(monitor->next_statistics, now);
    }
    if (qmp_session_deadline(monitor->session) <= now)
        (void)qmp_session_dispatch(monitor->session, 0, now);
    if (monitor_is_askable(monitor)) {
        questions_due(monitor);
        while (monitor->due && !monitor->in_flight) {
            enum question question = (enum question)__builtin_ctz(monitor->due);

            monitor->due &= monitor->due - 1;
            monitor->asked = question;
            monitor->in_flight = true;
            if (ask(monitor, question) < 0) {
                monitor->in_flight = false;
                monitor->due |= QUESTION_BIT(question);
                break;
            }
        }
    }
    monitor_watch(monitor);
}

uint64_t monitor_deadline(const struct monitor *monitor)
{
    uint64_t deadline = qmp_session_deadline(monitor->session);

    if (!monitor->in_flight && monitor_is_askable(monitor)) {
        deadline = min_u64(deadline, monitor->next_state);
        if (monitor->balloon[0] != '\0')
            deadline = min_u64(deadline, monitor->next_statistics);
    }
    return deadline;
}

void monitor_retry(struct monitor *monitor)
{
    monitor->now = loop_now();
    (void)qmp_session_connect(monitor->session, monitor->now);
    monitor_watch(monitor);
}

void monitor_refresh(struct monitor *monitor)
{
    monitor->due |= QUESTION_BIT(ASK_STATUS) | QUESTION_BIT(ASK_BALLOON);
}

/* ---- the session's own life ---- */

static void on_state(struct qmp_session *session, enum qmp_state state, int cause, void *userdata)
{
    struct monitor *monitor = userdata;

    if (state == QMP_STATE_DEAD) {
        /* Whatever it held is closed or about to be. */
        loop_remove(monitor->owner.loop, &monitor->source);
        if (monitor->vm) {
            if (monitor->vm->figures.monitor == VM_MONITOR_READY)
                log_message(LOG_NOTICE, "%s: QMP connection lost: %s; trying again",
                    monitor->vm->figures.name, strerror(-cause));
            /* One that let the handshake time out is there and does not talk to us: another client
             * holds it, or it hangs. */
            monitor->vm->figures.monitor = cause == -ETIMEDOUT && !vm_may_be_silent(monitor->vm)
                                               ? VM_MONITOR_SILENT
                                               : VM_MONITOR_CONNECTING;
            monitor->vm->figures.run_state = VM_RUN_UNKNOWN;
            vm_forget_arrival(monitor->vm);
        }
    } else if (state == QMP_STATE_READY) {
        monitor->due = ASK_ALL;
        monitor->interval = 0;
        monitor->driver_by_reports = false;
        monitor->next_devices = monitor->now + DEVICES_AGAIN;
        monitor->next_state = monitor->now + STATE_TIGHT;
        monitor->next_statistics = monitor->now + STATISTICS_SEARCH;
        monitor->running_since = UNKNOWN;
        monitor->owner.connected(monitor, qmp_session_peer(session), monitor->owner.userdata);
        if (monitor->vm)
            monitor->vm->figures.monitor = VM_MONITOR_READY;
    }
}

static void on_event(
    struct qmp_session *session, const struct qmp_event_record *record, void *userdata)
{
    struct monitor *monitor = userdata;
    struct vm *vm = monitor->vm;

    (void)session;
    if (!vm)
        return;
    switch (record->event) {
    case QMP_EVENT_STOP:
        vm->stop_seen = true;
        if (vm_has(vm, VM_MEASURE_STOP_SENT))
            monitor_take_run_state(monitor, QMP_RUN_PAUSED);
        monitor_refresh(monitor);
        break;
    case QMP_EVENT_RESUME:
        monitor_take_run_state(monitor, QMP_RUN_RUNNING);
        monitor_refresh(monitor);
        break;
    case QMP_EVENT_BALLOON_CHANGE:
        monitor_take_balloon(monitor, record->balloon_actual);
        break;
    case QMP_EVENT_MIGRATION:
    case QMP_EVENT_SHUTDOWN:
        monitor->due |= QUESTION_BIT(ASK_STATUS) | QUESTION_BIT(ASK_MIGRATE);
        break;
    case QMP_EVENT_RESET: /* the guest boots anew: whether it has a driver is open again */
        vm->figures.balloon.driver = TRISTATE_UNKNOWN;
        monitor->due |= monitor->balloon[0] != '\0' ? QUESTION_BIT(ASK_DRIVER) : 0;
        vm->figures.statistics.updated = UNKNOWN;
        if (known(monitor->running_since))
            monitor->running_since = monitor->now;
        break;
    case QMP_EVENT_MEMORY_DEVICE_SIZE_CHANGE:
        monitor->due |= QUESTION_BIT(ASK_MEMORY_DEVICES);
        break;
    case QMP_EVENT_DEVICE_DELETED:
        monitor->due |= ASK_ALL;
        break;
    case QMP_EVENT_OTHER:
    case QMP_EVENT_COUNT:
        break;
    }
}

static void on_ready(struct loop_source *source, uint32_t events)
{
    struct monitor *monitor = container_of(source, struct monitor, source);

    monitor->now = loop_now();
    (void)qmp_session_dispatch(monitor->session, events, monitor->now);
    monitor_advance(monitor, monitor->band, monitor->now);
}

void monitor_watch(struct monitor *monitor)
{
    int fd = qmp_session_fd(monitor->session);

    if (fd < 0) {
        loop_remove(monitor->owner.loop, &monitor->source);
    } else if (monitor->source.fd < 0) {
        int result = loop_add(monitor->owner.loop, &monitor->source, fd,
            qmp_session_events(monitor->session), on_ready);

        if (result < 0)
            log_message(
                LOG_ERR, "%s: cannot be watched: %s", monitor_path(monitor), strerror(-result));
    } else {
        (void)loop_change(
            monitor->owner.loop, &monitor->source, qmp_session_events(monitor->session));
    }
}

int monitor_new(const char *path, const struct monitor_owner *owner, struct monitor **ret_monitor)
{
    struct monitor *monitor = calloc(1, sizeof *monitor);
    struct qmp_options options = {.on_state = on_state, .on_event = on_event, .userdata = monitor};
    int result;

    if (!monitor)
        return -ENOMEM;
    monitor->owner = *owner;
    monitor->source = LOOP_SOURCE_NONE;
    monitor->base_memory = UNKNOWN;
    monitor->running_since = UNKNOWN;
    result = qmp_session_new(path, &options, &monitor->session);
    if (result < 0) {
        monitor_free(monitor);
        return result;
    }
    monitor->now = loop_now();
    (void)qmp_session_connect(monitor->session, monitor->now);
    monitor_watch(monitor);
    *ret_monitor = monitor;
    return 0;
}

struct monitor *monitor_free(struct monitor *monitor)
{
    if (!monitor)
        return NULL;
    loop_remove(monitor->owner.loop, &monitor->source);
    monitor_attach(
        monitor, NULL); /* what the session still answers while it is freed has no one to go to */
    monitor->session = qmp_session_free(monitor->session);
    free(monitor);
    return NULL;
}

void monitor_attach(struct monitor *monitor, struct vm *vm)
{
    if (monitor->vm == vm)
        return;
    if (monitor->vm) {
        monitor->vm->monitor = NULL;
        monitor->vm->figures.monitor = VM_MONITOR_NONE;
    }
    monitor->vm = vm;
    if (vm) {
        vm->monitor = monitor;
        vm->figures.monitor = qmp_session_state(monitor->session) == QMP_STATE_READY
                                  ? VM_MONITOR_READY
                                  : VM_MONITOR_CONNECTING;
        monitor->due = ASK_ALL;
    }
}

struct vm *monitor_vm(const struct monitor *monitor)
{
    return monitor->vm;
}

const char *monitor_path(const struct monitor *monitor)
{
    return qmp_session_path(monitor->session);
}

bool monitor_told_memory(const struct monitor *monitor)
{
    return known(monitor->base_memory);
}

struct qmp_session *monitor_session(struct monitor *monitor)
{
    return monitor->session;
}
