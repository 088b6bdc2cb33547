/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pausing and resuming, the only acts with a life of their own. The states, all of them in the
 * ledger:
 *
 *   FROZEN     the vCPU cgroups are frozen, or the process has got SIGSTOP. Needs nobody's help.
 *   STOP_SENT  `stop` is on its way. It drains block I/O first and may take its time.
 *   STOPPED    `stop` was answered, and a STOP event had come: QEMU paused because of us.
 *   RESUMING   all of the above is being taken back: thaw, await a pending `stop`, then `cont`.
 *
 * A `stop` is never sent to a frozen guest: it would hang, and with it libvirt's job. A freeze may
 * come on top of a `stop` that hangs. `cont` is sent only to a guest whose run state is `paused`
 * and that is not being migrated, asked right before: a `cont` on the source of a finished
 * migration takes back disks that are in use elsewhere.
 *
 * Where the guest has no monitor of its own libvirt sends both, as Suspend and Resume, and looks
 * right before each at what has to be asked here otherwise (virt/call.c).
 */
#include "act.h"
#include "announce.h"
#include "process.h"
#include "undo_process.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <plimsoll/qmp.h>

/* The parts of a resume have short answers; what does not answer is asked again by a later one. */
#define RESUME_TIMEOUT MONITOR_TIMEOUT
/* A signal is delivered within a scheduling tick or two of every thread; before that its state
 * letter says nothing. */
#define FREEZE_SETTLE NSEC_PER_SEC

/* Writes all, also when one fails: a half-frozen guest still runs, a half-thawed one hangs. */
static int freeze_write(const struct vm *vm, char value)
{
    int result = 0;

    for (unsigned i = 0; i < vm->freeze_count; i++) {
        if (pwrite(vm->freeze_fds[i], &value, 1, 0) < 0)
            result = -errno;
    }
    return result;
}

static void measure_change(struct vm *vm, uint32_t taken_back, uint32_t added)
{
    struct vm_measures *measures = &vm->figures.measures;

    measures->in_force = (measures->in_force & ~taken_back) | added;
    if (!(measures->in_force & VM_MEASURE_PAUSE)) {
        measures->in_force &= ~(uint32_t)VM_MEASURE_RESUMING;
        measures->paused_since = UNKNOWN;
    }
    vm_write_ledger(vm);
}

/* ---- pause ---- */

/* BY_OTHER: it was paused already. Else TEXT says why it was not. */
static void stop_refused(struct vm *vm, bool by_other, const char *text)
{
    if (by_other)
        log_message(LOG_NOTICE, "%s was paused by someone else already; that pause stays theirs",
            vm->figures.name);
    else
        log_message(LOG_WARNING, "%s was not stopped: %s", vm->figures.name, text);
    measure_change(vm, VM_MEASURE_STOP_SENT, 0);
}

/* No answer: it may have stopped, or stop yet. What is known of its run state is from before; the
 * next word on it decides (act_pause_advance). SEEN: if it is paused then, that was us. */
static void stop_left_open(struct vm *vm, bool seen)
{
    vm->figures.run_state = VM_RUN_UNKNOWN;
    vm->stop_seen = vm->stop_seen || seen;
}

static void on_stop_answer(
    struct qmp_session *session, const struct qmp_reply *reply, void *userdata)
{
    struct monitor *monitor = userdata;
    struct vm *vm = monitor_vm(monitor);

    (void)session;
    if (!vm)
        return;
    monitor_answered(monitor, reply->result);
    vm->stop_pending = false;
    if (!vm_has(vm, VM_MEASURE_STOP_SENT))
        return;
    if (reply->result == 0 && vm->stop_seen) {
        vm->figures.run_state = VM_RUN_PAUSED;
        measure_change(vm, VM_MEASURE_STOP_SENT, VM_MEASURE_STOPPED);
    } else if (reply->result == 0 || reply->result == -EREMOTEIO) {
        stop_refused(vm, reply->result == 0, reply->error_text);
    } else {
        /* With the connection a STOP event may have been lost, too. */
        stop_left_open(vm, reply->result != -ETIMEDOUT);
    }
    monitor_refresh(monitor);
    act_pause_advance(vm, loop_now());
}

static void on_suspend_result(const struct virt_result *result, void *userdata)
{
    struct vm *vm = userdata;

    vm->stop_pending = vm->virt.acting = false;
    virt_guest_answered(vm, result->result);
    virt_guest_refresh(vm);
    if (!vm_has(vm, VM_MEASURE_STOP_SENT))
        return;
    if (result->result == 0) {
        vm->figures.run_state = VM_RUN_PAUSED;
        measure_change(vm, VM_MEASURE_STOP_SENT, VM_MEASURE_STOPPED);
    } else if (virt_result_is_open(result->result)) {
        /* It ran when we asked, and nobody tells who stopped it since. */
        stop_left_open(vm, true);
    } else {
        stop_refused(vm, result->result == -EALREADY, result->text);
    }
    act_pause_advance(vm, loop_now());
}

static int stop_send(struct vm *vm, uint64_t now)
{
    int result;

    if (!vm->monitor) {
        result = virt_guest_call(
            vm, VIRT_OPERATION_SUSPEND, 0, now, MONITOR_STOP_TIMEOUT, on_suspend_result);
        vm->virt.acting = result == 0;
        return result;
    }
    result = qmp_execute(monitor_session(vm->monitor), QMP_COMMAND_STOP, now, MONITOR_STOP_TIMEOUT,
        on_stop_answer, vm->monitor);
    monitor_watch(vm->monitor);
    return result;
}

int act_pause(struct vm *vm, enum mode mode, uint64_t now)
{
    int result;

    if (vm_has(vm, VM_MEASURE_PAUSE))
        return -EALREADY;
    if (vm->figures.monitor != VM_MONITOR_READY || !(vm->monitor || virt_guest_serves(vm)))
        return -ENOTCONN;
    if (mode == MODE_DRY_RUN)
        return 0;
    vm->stop_seen = false;
    vm->figures.measures.paused_since = now;
    measure_change(vm, 0, VM_MEASURE_STOP_SENT);
    vm->stop_pending = true;
    result = stop_send(vm, now);
    if (result < 0) {
        vm->stop_pending = false;
        measure_change(vm, VM_MEASURE_STOP_SENT, 0);
    }
    return result;
}

int act_freeze(struct vm *vm, enum mode mode, uint64_t now)
{
    uint32_t measure = vm->freeze_count > 0 ? VM_MEASURE_FROZEN_CGROUP : VM_MEASURE_FROZEN_SIGNAL;
    int result;

    if (vm_has(vm, VM_MEASURE_FROZEN | VM_MEASURE_RESUMING))
        return -EALREADY;
    if (!vm_alive(vm))
        return -ESRCH;
    if (mode == MODE_DRY_RUN)
        return 0;
    if (!vm_has(vm, VM_MEASURE_PAUSE))
        vm->figures.measures.paused_since = now;
    vm->frozen_since = now;
    measure_change(vm, 0, measure);
    result = measure == VM_MEASURE_FROZEN_CGROUP ? freeze_write(vm, '1')
                                                 : process_signal(vm->pidfd, SIGSTOP);
    if (result < 0 && measure == VM_MEASURE_FROZEN_CGROUP) {
        /* Its cgroups went, or refuse: the signal needs neither. */
        (void)freeze_write(vm, '0');
        measure_change(vm, VM_MEASURE_FROZEN_CGROUP, VM_MEASURE_FROZEN_SIGNAL);
        result = process_signal(vm->pidfd, SIGSTOP);
    }
    if (result < 0)
        measure_change(vm, VM_MEASURE_FROZEN, 0);
    return result;
}

/* ---- and back ---- */

/* A guard before us froze it, and its QEMU has not named its vCPUs to us yet, or never will: what
 * is frozen is found as it stands. */
static int thaw_found(const struct vm *vm)
{
    struct undo_process process = UNDO_PROCESS_NONE;
    int result = undo_process_open(vm->roots->proc, &vm->figures.identity, &process);

    if (result == 0)
        result = undo_process_thaw(vm->roots, &process);
    undo_process_close(&process);
    return result < 0 ? result : 0;
}

static int thaw_groups(const struct vm *vm)
{
    /* A descriptor of a group that was made anew meanwhile fails; what stands there now may not. */
    return vm->freeze_count > 0 && freeze_write(vm, '0') == 0 ? 0 : thaw_found(vm);
}

int act_thaw(struct vm *vm, enum mode mode)
{
    int result = 0;

    if (!vm_has(vm, VM_MEASURE_FROZEN))
        return -EALREADY;
    if (mode == MODE_DRY_RUN)
        return 0;
    if (vm_has(vm, VM_MEASURE_FROZEN_CGROUP))
        result = thaw_groups(vm);
    if (vm_has(vm, VM_MEASURE_FROZEN_SIGNAL) && process_signal(vm->pidfd, SIGCONT) < 0)
        result = -errno;
    if (result < 0) {
        log_limited(&vm->refused_said, loop_now(), LOG_ERR,
            "%s could not be thawed: %s; trying again", vm->figures.name, strerror(-result));
        return result;
    }
    measure_change(vm, VM_MEASURE_FROZEN, 0);
    return 0;
}

/* It will not be resumed now; it stays paused, and ours, until the policy asks again. */
static void resume_give_up(struct vm *vm, const char *why)
{
    log_message(LOG_WARNING, "%s is not resumed: %s", vm->figures.name, why);
    vm->resume_pending = false;
    measure_change(vm, VM_MEASURE_RESUMING, 0);
}

static void on_cont_answer(
    struct qmp_session *session, const struct qmp_reply *reply, void *userdata)
{
    struct monitor *monitor = userdata;
    struct vm *vm = monitor_vm(monitor);

    (void)session;
    if (!vm)
        return;
    vm->resume_pending = false;
    monitor_answered(monitor, reply->result);
    if (reply->result == 0) {
        measure_change(vm, VM_MEASURE_STOP_SENT | VM_MEASURE_STOPPED, 0);
        announce_vm(LOG_INFO, "resumed", vm);
    } else if (reply->result == -EREMOTEIO) {
        resume_give_up(vm, reply->error_text);
    }
    monitor_refresh(monitor);
}

static void on_migrate_answer(
    struct qmp_session *session, const struct qmp_reply *reply, void *userdata)
{
    struct monitor *monitor = userdata;
    struct vm *vm = monitor_vm(monitor);

    if (!vm)
        return;
    vm->resume_pending = false;
    monitor_answered(monitor, reply->result);
    if (reply->result == -EREMOTEIO || reply->result == -EPROTO) {
        resume_give_up(vm, "QEMU does not say whether it is being migrated");
    } else if (reply->result == 0 && reply->migration != QMP_MIGRATION_NONE) {
        resume_give_up(vm, "it is being migrated");
    } else if (reply->result == 0) {
        vm->resume_pending = qmp_execute(session, QMP_COMMAND_CONT, loop_now(), RESUME_TIMEOUT,
                                 on_cont_answer, monitor) == 0;
    }
}

static void on_status_answer(
    struct qmp_session *session, const struct qmp_reply *reply, void *userdata)
{
    struct monitor *monitor = userdata;
    struct vm *vm = monitor_vm(monitor);

    if (!vm)
        return;
    vm->resume_pending = false;
    monitor_answered(monitor, reply->result);
    if (reply->result < 0)
        return;
    if (reply->status.run_state == QMP_RUN_RUNNING)
        measure_change(vm, VM_MEASURE_STOP_SENT | VM_MEASURE_STOPPED, 0);
    else if (reply->status.run_state != QMP_RUN_PAUSED)
        resume_give_up(vm, qmp_run_state_name(reply->status.run_state));
    else
        vm->resume_pending = qmp_execute(session, QMP_COMMAND_QUERY_MIGRATE, loop_now(),
                                 RESUME_TIMEOUT, on_migrate_answer, monitor) == 0;
}

static void on_resume_result(const struct virt_result *result, void *userdata)
{
    struct vm *vm = userdata;

    vm->resume_pending = vm->virt.acting = false;
    virt_guest_answered(vm, result->result);
    virt_guest_refresh(vm);
    switch (result->result) {
    case 0:
        vm->figures.run_state = VM_RUN_RUNNING;
        measure_change(vm, VM_MEASURE_STOP_SENT | VM_MEASURE_STOPPED, 0);
        announce_vm(LOG_INFO, "resumed", vm);
        break;
    case -EALREADY:
        measure_change(vm, VM_MEASURE_STOP_SENT | VM_MEASURE_STOPPED, 0);
        break;
    case -EPERM:
    case -EREMOTEIO:
    case -EOPNOTSUPP:
        resume_give_up(vm, result->text);
        break;
    default:
        break; /* asked again once it can be: libvirt looks first whether it runs */
    }
}

static void resume_advance(struct vm *vm, uint64_t now)
{
    if (vm_has(vm, VM_MEASURE_FROZEN) && act_thaw(vm, MODE_ENFORCE) < 0)
        return;
    if (!vm_has(vm, VM_MEASURE_STOP_SENT | VM_MEASURE_STOPPED)) {
        measure_change(vm, VM_MEASURE_RESUMING, 0);
        return;
    }
    if (vm->stop_pending || vm->resume_pending)
        return;
    if (!vm->monitor) {
        vm->resume_pending =
            virt_guest_is_askable(vm) && virt_guest_call(vm, VIRT_OPERATION_RESUME, 0, now,
                                             RESUME_TIMEOUT, on_resume_result) == 0;
        vm->virt.acting = vm->resume_pending;
        return;
    }
    if (!monitor_is_askable(vm->monitor))
        return;
    vm->resume_pending = qmp_execute(monitor_session(vm->monitor), QMP_COMMAND_QUERY_STATUS, now,
                             RESUME_TIMEOUT, on_status_answer, vm->monitor) == 0;
    monitor_watch(vm->monitor);
}

int act_resume(struct vm *vm, enum mode mode, uint64_t now)
{
    if (!vm_has(vm, VM_MEASURE_PAUSE))
        return -EALREADY;
    if (!vm_alive(vm))
        return -ESRCH;
    if (mode == MODE_DRY_RUN)
        return 0;
    measure_change(vm, 0, VM_MEASURE_RESUMING);
    act_pause_advance(vm, now);
    return 0;
}

void act_pause_advance(struct vm *vm, uint64_t now)
{
    enum vm_run_state state = vm->figures.run_state;

    if (!vm_has(vm, VM_MEASURE_PAUSE))
        return;
    if (vm_has(vm, VM_MEASURE_RESUMING)) {
        resume_advance(vm, now);
        return;
    }
    /* Someone else woke it. */
    if (vm_has(vm, VM_MEASURE_FROZEN_SIGNAL) && vm->figures.process_state == VM_PROCESS_ALIVE &&
        vm->state_read > add_held(vm->frozen_since, FREEZE_SETTLE)) {
        announce_vm(LOG_NOTICE, "resumed-by-other", vm);
        measure_change(vm, VM_MEASURE_FROZEN_SIGNAL, 0);
    }
    /* Our `stop` was neither answered nor is it in flight: what the run state has been since tells
     * whether it was carried out. Without a STOP event of ours the pause is another's. */
    if (vm_has(vm, VM_MEASURE_STOP_SENT) && !vm->stop_pending) {
        if (state == VM_RUN_PAUSED)
            measure_change(
                vm, VM_MEASURE_STOP_SENT, vm->stop_seen ? (uint32_t)VM_MEASURE_STOPPED : 0);
        else if (state == VM_RUN_RUNNING && !vm_has(vm, VM_MEASURE_FROZEN))
            measure_change(vm, VM_MEASURE_STOP_SENT, 0);
    }
    if (vm_has(vm, VM_MEASURE_STOPPED) && state == VM_RUN_RUNNING) {
        announce_vm(LOG_NOTICE, "resumed-by-other", vm);
        measure_change(vm, VM_MEASURE_STOPPED, 0);
    }
}
