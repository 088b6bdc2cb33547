/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The way through, in guard_tick(): one snapshot is sampled, the policy decides on it, the plan is
 * acted on, and that is all until the next. Between ticks the loop serves the slower parts (the
 * scan, QMP, control clients), each of which does a bounded piece of work and returns; the policy
 * says when it wants to see the host again, down to a millisecond near the edge.
 *
 * Figures of a VM are read as often as its band deserves, not at every look at the host: a sprint
 * is seen in the host's own figures first, which cost microseconds however many guests there are.
 */
#include "guard.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "act.h"
#include "announce.h"
#include "guard_private.h"
#include "log.h"
#include "status.h"

#include <plimsoll/cleanup.h>

/* How often statm is read, by band: about 2 µs a VM. */
static const uint64_t vm_edge_interval[] = {
    [BAND_CALM] = NSEC_PER_SEC,
    [BAND_TIGHT] = 500 * NSEC_PER_MSEC,
    [BAND_SCARCE] = 200 * NSEC_PER_MSEC,
    [BAND_CRITICAL] = 20 * NSEC_PER_MSEC,
};
static_assert(ELEMENTSOF(vm_edge_interval) == BAND_COUNT, "a band without its interval");

/* How often status, limits and the cgroup's files are read: about 20 µs a VM, by what each file
 * takes where it is kept open (status 6, limits 6, numa_stat 3, stat 3), and slow to change. Every
 * VM_LIMITS_INTERVAL some 40 µs more: a dozen files at 3.3 to be opened, read and closed. */
static const uint64_t vm_full_interval[] = {
    [BAND_CALM] = 10 * NSEC_PER_SEC,
    [BAND_TIGHT] = 2 * NSEC_PER_SEC,
    [BAND_SCARCE] = NSEC_PER_SEC,
    [BAND_CRITICAL] = NSEC_PER_SEC,
};
static_assert(ELEMENTSOF(vm_full_interval) == BAND_COUNT, "a band without its interval");

/* Guests found together are read in full together at first, and from then on in so many parts of
 * the interval: all of 1,000 in one tick would hold it up by 60 ms. */
#define VM_FULL_PHASES 16

/* vmstat, zoneinfo and the like inform, they do not decide. */
#define HOST_FULL_INTERVAL NSEC_PER_SEC

/* Without memory for a fork now, there may be in a second. */
#define LOG_RETRY NSEC_PER_SEC

enum band guard_attention(const struct guard *guard)
{
    enum band band = guard_band(guard);

    return band < BAND_TIGHT && guard->admission.count > 0 ? BAND_TIGHT : band;
}

/* ---- sample → snapshot ---- */

static void sample_vm(struct guard *guard, struct vm *vm, uint64_t now)
{
    enum band band = guard_band(guard);
    bool full = now >= vm->next_full;
    int result;

    if (!full && now < vm->next_edge)
        return;
    vm->next_edge = now + vm_edge_interval[band];
    if (full && vm->next_full == 0)
        vm->next_full =
            now + vm_full_interval[band] * (vm->slot % VM_FULL_PHASES + 1) / VM_FULL_PHASES;
    else if (full)
        vm->next_full = now + vm_full_interval[band];
    if (full)
        vm->state_read = now;
    result = vm_sampler_read(
        &vm->sampler, full ? SAMPLE_FULL : SAMPLE_EDGE, &guard->snapshot->host, now, &vm->figures);
    /* -ESRCH: its pidfd tells the same in a moment. */
    if (result < 0 && result != -ESRCH)
        log_limited(&vm->unreadable_said, now, LOG_WARNING,
            "%s (pid %d): its figures cannot be read: %s; unknown for now", vm->figures.name,
            (int)vm->figures.identity.pid, strerror(-result));
}

uint64_t guard_realtime(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

static void guard_observe(struct guard *guard, uint64_t now)
{
    struct snapshot *snapshot = guard->snapshot;
    bool full = now >= guard->next_host_full;

    if (full)
        guard->next_host_full = now + HOST_FULL_INTERVAL;
    host_sampler_read(guard->host_sampler, full ? SAMPLE_FULL : SAMPLE_EDGE, now, &snapshot->host);
    inventory_largest_process(guard->inventory, &snapshot->host.largest_process);
    tmpfs_sampler_largest(guard->tmpfs_sampler, &snapshot->host.largest_tmpfs);
    snapshot->time = now;
    snapshot->realtime = guard_realtime();
    snapshot->sequence++;
    snapshot->vm_count = 0;
    for (uint32_t slot = 0; slot < guard->vm_capacity; slot++) {
        struct vm *vm = inventory_vm(guard->inventory, slot);

        if (!vm || vm->gone)
            continue;
        sample_vm(guard, vm, now);
        act_pause_advance(vm, now);
        act_balloon_advance(vm, now);
        act_resize_advance(vm, now);
        act_end_advance(vm, now);
        vm->figures.callable = virt_guest_is_callable(vm);
        vm_classify(&vm->figures, &vm->figures.kind, &vm->figures.kind_reason);
        snapshot->vms[snapshot->vm_count++] = vm->figures;
    }
    admission_show(&guard->admission, snapshot, now);
}

/* ---- plan → act → ledger, log ---- */

static int act_on(struct guard *guard, const struct action *action, struct vm *vm, uint64_t now)
{
    enum mode mode = action->mode;

    switch (action->kind) {
    case ACTION_BALLOON:
        return known(action->target) ? act_balloon(vm, action->target, mode, now)
                                     : act_balloon_yield(vm);
    case ACTION_RESIZE:
        return known(action->target) ? act_resize(vm, action->target, mode, now)
                                     : act_resize_yield(vm);
    case ACTION_RECLAIM:
        return act_reclaim(vm, guard->reclaimer, action->target, mode, now);
    case ACTION_BRAKE:
        return act_brake(vm, mode, now);
    case ACTION_RELEASE:
        return act_release(vm, mode);
    case ACTION_PAUSE:
        return act_pause(vm, mode, now);
    case ACTION_FREEZE:
        return act_freeze(vm, mode, now);
    case ACTION_THAW:
        return act_thaw(vm, mode);
    case ACTION_RESUME:
        return act_resume(vm, mode, now);
    case ACTION_SAVE:
        return act_save(vm, action->reason, action->deadline, mode, now);
    case ACTION_SHUTDOWN:
        return act_shutdown(vm, action->reason, action->deadline, mode, now);
    case ACTION_KILL:
        return act_kill(vm, action->reason, action->orderly, mode, now);
    case ACTION_OOM_SCORE:
        return act_oom_score(vm, &guard->roots, action->oom_score_adj, mode);
    case ACTION_MEMLOCK:
        return known(action->target) ? act_memlock(vm, action->target, mode)
                                     : act_memlock_restore(vm);
    case ACTION_CONTAIN:
        return known(action->target)
                   ? act_contain(vm, guard->container, action->limit, action->target, mode, now)
                   : act_contain_restore(vm, action->limit, now);
    case ACTION_ALERT:
    case ACTION_KIND_COUNT:
        break;
    }
    return 0;
}

static void guard_act(struct guard *guard, uint64_t now)
{
    const struct plan *plan = guard->plan;

    for (uint32_t i = 0; i < plan->action_count; i++) {
        struct action action = plan->actions[i];
        struct vm *vm = NULL;
        int result = 0;

        if (action.slot != ACTION_SLOT_HOST) {
            vm = inventory_vm(guard->inventory, action.slot);
            if (!vm || vm->gone || !vm_identity_equal(&vm->figures.identity, &action.identity))
                continue; /* it ended between the sample and now */
            vm->reason = action.reason;
            /* A guest would stay stopped or small because somebody switched the guard to look on.
             */
            if (action_gives_back(&action, &vm->figures.measures))
                action.mode = MODE_ENFORCE;
            result = act_on(guard, &action, vm, now);
        }
        counts_action(&guard->counts, action.kind, action.mode, result);
        announce_action(plan, &action, vm, guard->snapshot, result);
    }
}

/* Whoever was to end by itself, and has not: in time, or because time has become short. */
static void kills_advance(struct guard *guard, uint64_t now)
{
    for (uint32_t slot = 0; slot < guard->vm_capacity; slot++) {
        struct vm *vm = inventory_vm(guard->inventory, slot);

        if (vm && !vm->gone)
            act_kill_advance(vm, guard->plan->hurry, now);
    }
}

void guard_reckon(struct guard *guard, uint64_t now)
{
    guard_observe(guard, now);
    recorder_begin(guard->recorder, guard->snapshot, guard->rules, guard->state);
    policy_decide(guard->snapshot, guard->rules, guard->state, guard->scratch, guard->plan);
    recorder_end(guard->recorder, guard->plan);
}

void guard_tick(struct guard *guard, uint64_t now)
{
    enum band before = guard_band(guard);

    guard_reckon(guard, now);
    if (guard_band(guard) != before) {
        announce_band(&guard->plan->assessment, guard->snapshot, before);
        guard->next_notify = now;
    }
    guard_act(guard, now);
    kills_advance(guard, now);
    guard->next_tick = now + guard->plan->next_wake;
}

/* ---- the loop ---- */

/* The log's process may have died unseen, or a new one could not be had then. */
static void guard_keep_log(struct guard *guard)
{
    int child = log_child();

    if (child > 0 && waitpid(child, NULL, WNOHANG) == 0)
        return;
    if (log_start() > 0)
        log_message(LOG_WARNING, "the process that writes the log had ended; replaced");
    else
        guard->next_notify = loop_now() + LOG_RETRY;
}

static void guard_notify(struct guard *guard, uint64_t now)
{
    char mode[GUARD_MODE_WORDS];

    if (now < guard->next_notify)
        return;
    guard->next_notify = now + guard->notify_interval;
    guard_keep_log(guard);
    (void)notify_watchdog(guard->notify);
    (void)notify_status(guard->notify, "%s, %s, %u guests", guard_mode_words(guard, mode),
        band_name(guard_band(guard)), guard->snapshot->vm_count);
}

int guard_reload_told(struct guard *guard, struct error *ret_error)
{
    char text[ERROR_TEXT_MAX];
    int result = guard_reload(guard, ret_error);

    if (result < 0)
        log_alert(LOG_ERR, "event=reload result=failed text=%s",
            log_quote(ret_error->text, text, sizeof(text)));
    else
        log_alert(LOG_NOTICE, "event=reload result=ok mode=%s", status_mode(guard->rules, NULL));
    return result;
}

static void guard_serve_reload(struct guard *guard)
{
    struct error error = {0};

    guard->reload = false;
    (void)notify_reloading(guard->notify, loop_now());
    (void)guard_reload_told(guard, &error);
    (void)notify_ready(guard->notify);
}

static uint64_t guard_deadline(const struct guard *guard)
{
    uint64_t deadline = min_u64(guard->next_tick, guard->next_notify);

    deadline = min_u64(deadline, inventory_deadline(guard->inventory));
    if (guard->virt)
        deadline = min_u64(deadline, virt_link_deadline(guard->virt));
    deadline = min_u64(deadline, guard_writers_deadline(guard));
    deadline = min_u64(deadline, guard_hold_deadline(guard));
    deadline = min_u64(deadline, guard_undo_deadline(guard));
    return min_u64(deadline, control_server_deadline(guard->control));
}

int guard_run(struct guard *guard)
{
    (void)notify_ready(guard->notify);
    while (!guard->leaving) {
        uint64_t now = loop_now();
        int result;

        /* The tick first: nothing that others ask for comes before it. */
        if (now >= guard->next_tick)
            guard_tick(guard, now);
        inventory_advance(guard->inventory, guard_attention(guard), now);
        /* The list of mounts can be held by somebody who waits for memory. */
        if (guard_band(guard) < BAND_CRITICAL)
            tmpfs_sampler_advance(guard->tmpfs_sampler, guard_band(guard), now);
        guard_kernel_advance(guard, now);
        guard_admission_advance(guard, now);
        guard_hold_advance(guard, now);
        guard_undo_advance(guard, now);
        guard_advance_writers(guard, now);
        recorder_advance(guard->recorder, guard_band(guard), now);
        guard_advance_virt(guard, now);
        guard_advance_calls(guard, now);
        control_server_expire(guard->control, now);
        guard_notify(guard, now);
        if (guard->reload)
            guard_serve_reload(guard);
        result = loop_wait(guard->loop, guard_deadline(guard));
        if (result < 0) {
            log_message(LOG_ERR, "cannot wait for events: %s", strerror(-result));
            return result;
        }
    }
    (void)notify_stopping(guard->notify);
    guard_leave(guard);
    return 0;
}
