/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the undoing of a whole ledger. Theory of operation:
 *
 * Two passes. The first does what needs nobody's help: thaw, brake, score and limits, for every VM,
 * so that a guest whose monitor hangs keeps no other one frozen; it also makes monitors answer
 * again. The second talks to the monitors: balloon and virtio-mem first, since a size set while a
 * guest is paused acts the moment it runs, then `cont`.
 *
 * The process is identified anew in each pass. An entry is written back after each measure, so that
 * an undo cut short leaves in the ledger what is still in force.
 */
#include "undo.h"

#include "process.h"
#include "undo_monitor.h"
#include "undo_process.h"

#include <errno.h>
#include <inttypes.h>
#include <plimsoll/units.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define TEXT_MAX (ERROR_TEXT_MAX + 128)

struct undo {
    struct ledger *ledger;
    const struct undo_options *options;
    unsigned failures;
};

/* One VM's entry on its way out of the ledger. */
struct undo_vm {
    struct undo *undo;
    uint32_t slot;
    struct ledger_entry entry; /* a copy: the ledger's own changes under us */
    struct undo_process process;
};

static void report(struct undo_vm *vm, const char *measure, bool done, const char *text)
{
    vm->undo->options->report(vm->entry.name, measure, done, text, vm->undo->options->userdata);
    if (!done)
        vm->undo->failures++;
}

/* What is no longer in force leaves the ledger. */
static void forget(struct undo_vm *vm, uint32_t measures)
{
    vm->entry.measures.in_force &= ~measures;
    if (!(vm->entry.measures.in_force & VM_MEASURE_PAUSE))
        vm->entry.measures.in_force &= ~(uint32_t)VM_MEASURE_RESUMING;
    ledger_put(vm->undo->ledger, vm->slot, &vm->entry);
}

/* Carries out the end of every measure: RESULT of the deed where the verdict was to do it. */
static void settle(struct undo_vm *vm, const char *measure, uint32_t bits,
    struct undo_decision decision, int result, const char *failure)
{
    if (decision.verdict == UNDO_REFUSE || result < 0) {
        report(vm, measure, false, result < 0 ? failure : decision.why);
        return;
    }
    forget(vm, bits);
    report(vm, measure, true, decision.why);
}

/* False: it is gone, and so is its entry, or it cannot be looked at, which is said in the FIRST
 * pass for both. */
static bool vm_identify(struct undo_vm *vm, bool first)
{
    int result =
        undo_process_open(vm->undo->options->roots->proc, &vm->entry.identity, &vm->process);
    char text[TEXT_MAX];

    if (result == 0)
        return true;
    if (result == -ESRCH) {
        ledger_clear(vm->undo->ledger, vm->slot);
        report(vm, "guest", true, "is gone, nothing is left to undo");
        return false;
    }
    if (!first)
        return false;
    (void)snprintf(text, sizeof(text), "cannot look at process %d: %s", (int)vm->entry.identity.pid,
        strerror(-result));
    report(vm, "guest", false, text);
    return false;
}

/* ---- first pass ---- */

static void thaw(struct undo_vm *vm)
{
    const struct undo_decision done = {.verdict = UNDO_DO, .why = "thawed"};
    const struct undo_decision nothing = {.verdict = UNDO_FORGET, .why = "it is not frozen"};
    char text[TEXT_MAX];
    int result;

    if (vm->entry.measures.in_force & VM_MEASURE_FROZEN_CGROUP) {
        result = undo_process_thaw(vm->undo->options->roots, &vm->process);
        (void)snprintf(text, sizeof(text), "cannot thaw its cgroups: %s", strerror(-result));
        settle(vm, "freeze", VM_MEASURE_FROZEN_CGROUP, result == 0 ? nothing : done, result, text);
    }
    if (vm->entry.measures.in_force & VM_MEASURE_FROZEN_SIGNAL) {
        result = undo_process_signal(&vm->process, SIGCONT);
        (void)snprintf(text, sizeof(text), "cannot send SIGCONT: %s", strerror(-result));
        settle(vm, "freeze", VM_MEASURE_FROZEN_SIGNAL, done, result, text);
    }
}

static void release(struct undo_vm *vm)
{
    const struct vcpu_quota ours = {.quota = BRAKE_QUOTA, .period = BRAKE_PERIOD};
    struct undo_decision decision = {.verdict = UNDO_DO, .why = "released"};
    char text[TEXT_MAX];
    int result;

    if (!(vm->entry.measures.in_force & VM_MEASURE_BRAKED))
        return;
    result =
        undo_process_release(vm->undo->options->roots, &vm->process, ours, vm->entry.quota_before);
    if (result == 0)
        decision = (struct undo_decision){UNDO_FORGET, "it is not braked"};
    (void)snprintf(text, sizeof(text), "cannot restore its cgroups: %s", strerror(-result));
    settle(vm, "brake", VM_MEASURE_BRAKED, decision, result, text);
}

static void score_restore(struct undo_vm *vm)
{
    struct undo_decision decision = {.verdict = UNDO_DO, .why = ""};
    char text[TEXT_MAX];
    int32_t current;
    int result;

    if (!(vm->entry.measures.in_force & VM_MEASURE_OOM_SCORE))
        return;
    result = undo_process_score(&vm->process, &current);
    if (result == 0) {
        decision = undo_may_restore_score(current, vm->entry.measures.oom_score_set);
        if (decision.verdict == UNDO_DO)
            result = undo_process_set_score(&vm->process, vm->entry.oom_score_before);
    }
    (void)snprintf(text, sizeof(text), "cannot restore it: %s", strerror(-result));
    settle(vm, "oom-score", VM_MEASURE_OOM_SCORE, decision, result, text);
}

static void memlock_restore(struct undo_vm *vm)
{
    const struct ledger_entry *entry = &vm->entry;
    const struct process_memlock ours = {
        .soft = entry->measures.memlock_set, .hard = entry->measures.memlock_set};
    const struct process_memlock before = {
        .soft = entry->memlock_soft_before, .hard = entry->memlock_hard_before};
    struct undo_decision decision = {.verdict = UNDO_DO, .why = "restored"};
    char text[TEXT_MAX];
    int result;

    if (!(entry->measures.in_force & VM_MEASURE_MEMLOCK))
        return;
    result = process_memlock_exchange(entry->identity.pid, vm->process.pidfd, &ours, &before);
    if (result == -ESTALE) {
        decision = (struct undo_decision){UNDO_FORGET, "somebody else has changed it"};
        result = 0;
    }
    (void)snprintf(text, sizeof(text), "cannot restore it: %s", strerror(-result));
    settle(vm, "memlock", VM_MEASURE_MEMLOCK, decision, result, text);
}

/* libvirt goes on with it, or has failed; a resume is refused while it saves (undo_may_resume()).
 */
static void end_forget(struct undo_vm *vm)
{
    const struct undo_decision left = {
        .verdict = UNDO_FORGET, .why = "was asked of libvirt, which cannot be asked to stop it"};

    if (vm->entry.measures.in_force & VM_MEASURE_SAVING)
        settle(vm, "save", VM_MEASURE_SAVING, left, 0, "");
    if (vm->entry.measures.in_force & VM_MEASURE_SHUTTING_DOWN)
        settle(vm, "shutdown", VM_MEASURE_SHUTTING_DOWN, left, 0, "");
}

/* Behind libvirt's back its own XML would be wrong from then on. */
static void resize_refuse(struct undo_vm *vm)
{
    struct undo_decision refused = {.verdict = UNDO_REFUSE};
    char text[TEXT_MAX];

    if (!(vm->entry.measures.in_force & VM_MEASURE_RESIZE) || !vm->entry.resize_by_libvirt)
        return;
    (void)snprintf(text, sizeof(text),
        "is libvirt's to undo: virsh update-memory-device --requested-size %" PRIu64 "KiB",
        vm->entry.measures.resize.before / KIB);
    refused.why = text;
    settle(vm, "resize", VM_MEASURE_RESIZE, refused, 0, "");
}

/* Each limit leaves the ledger by itself, and the measure with the last. */
static void limits_restore(struct undo_vm *vm)
{
    struct vm_measures *measures = &vm->entry.measures;
    char text[TEXT_MAX];

    if (!(measures->in_force & VM_MEASURE_CONTAIN))
        return;
    for (int i = 0; i < VM_LIMIT_COUNT; i++) {
        const enum vm_limit limit = (enum vm_limit)i;
        struct undo_decision decision = {.verdict = UNDO_DO, .why = "restored"};
        uint64_t previous = vm->entry.limit_written == limit ? vm->entry.limit_previous : UNKNOWN;

        if (!(measures->contained & VM_LIMIT_BIT(limit)))
            continue;
        int result = undo_process_unlimit(
            vm->undo->options->roots, &vm->process, limit, &measures->limits[limit], previous);
        if (result == -ESTALE) {
            decision = (struct undo_decision){UNDO_FORGET, "somebody else has changed it"};
            result = 0;
        }
        if (result == 0)
            measures->contained &= ~VM_LIMIT_BIT(limit);
        (void)snprintf(text, sizeof(text), "cannot restore it: %s", strerror(-result));
        settle(vm, vm_limit_name(limit), measures->contained ? 0 : VM_MEASURE_CONTAIN, decision,
            result, text);
    }
}

/* A guest that was sent SIGKILL is thawed and released, too: a guard that died between the ledger
 * and the signal never sent it, and would leave a guest frozen for ever. */
static void undo_unaided(struct undo_vm *vm)
{
    thaw(vm);
    release(vm);
    if (vm->entry.measures.in_force & VM_MEASURE_KILLED) {
        report(vm, "guest", false, "was sent SIGKILL, which cannot be taken back");
        return;
    }
    end_forget(vm);
    score_restore(vm);
    memlock_restore(vm);
    limits_restore(vm);
    resize_refuse(vm);
}

/* ---- second pass ---- */

static void deflate(struct undo_vm *vm, struct undo_monitor *monitor, enum qmp_migration migration)
{
    const struct vm_measures *measures = &vm->entry.measures;
    struct undo_decision decision = {.verdict = UNDO_DO, .why = ""};
    struct error error = {0};
    struct qmp_reply reply = {0};
    int result = undo_monitor_ask(monitor, QMP_COMMAND_QUERY_BALLOON, &reply, &error);

    if (result == 0) {
        decision = undo_may_deflate(
            reply.balloon_actual, measures->balloon_before, measures->balloon_target, migration);
        if (decision.verdict == UNDO_DO)
            result = undo_monitor_balloon(monitor, measures->balloon_before, &error);
    }
    settle(vm, "balloon", VM_MEASURE_BALLOON, decision, result, error.text);
}

static void resize(struct undo_vm *vm, struct undo_monitor *monitor, enum qmp_migration migration)
{
    const struct vm_measures *measures = &vm->entry.measures;
    struct undo_decision decision = {.verdict = UNDO_DO, .why = ""};
    struct error error = {0};
    struct qmp_reply reply = {0};
    int result = undo_monitor_ask(monitor, QMP_COMMAND_QUERY_MEMORY_DEVICES, &reply, &error);

    if (result == 0) {
        const struct qmp_memory_devices *devices = &reply.memory_devices;
        bool sole = devices->virtio_mem_count == 1;

        decision = undo_may_resize(sole ? devices->virtio_mem_requested : UNKNOWN,
            &measures->resize, measures->resize_previous, migration);
        if (decision.verdict == UNDO_DO)
            result = undo_monitor_resize(
                monitor, devices->virtio_mem_id, measures->resize.before, &error);
    }
    settle(vm, "resize", VM_MEASURE_RESIZE, decision, result, error.text);
}

static void resume(struct undo_vm *vm, struct undo_monitor *monitor, enum qmp_run_state run_state,
    enum qmp_migration migration)
{
    struct undo_decision decision =
        undo_may_resume(run_state, migration, vm->entry.measures.in_force);
    struct error error = {0};
    struct qmp_reply reply = {0};
    char text[TEXT_MAX];
    int result = 0;

    if (decision.verdict == UNDO_DO)
        result = undo_monitor_ask(monitor, QMP_COMMAND_CONT, &reply, &error);
    if (decision.verdict == UNDO_REFUSE) {
        (void)snprintf(text, sizeof(text), "%s (%s)", decision.why, qmp_run_state_name(run_state));
        decision.why = text;
    }
    settle(vm, "pause", VM_MEASURE_STOP_SENT | VM_MEASURE_STOPPED, decision, result, error.text);
}

/* What the decisions need, in one go: state first, then what may forbid acting on it. */
static int monitor_facts(struct undo_monitor *monitor, enum qmp_run_state *ret_run_state,
    enum qmp_migration *ret_migration, struct error *ret_error)
{
    struct qmp_reply status = {0}, migrate = {0};
    int result = undo_monitor_ask(monitor, QMP_COMMAND_QUERY_STATUS, &status, ret_error);

    if (result == 0)
        result = undo_monitor_ask(monitor, QMP_COMMAND_QUERY_MIGRATE, &migrate, ret_error);
    if (result < 0)
        return result;
    *ret_run_state = status.status.run_state;
    *ret_migration = migrate.migration;
    return 0;
}

static void undo_by_monitor(struct undo_vm *vm)
{
    CLEANUP(undo_monitor_free_at) struct undo_monitor *monitor = NULL;
    uint32_t measures = vm->entry.measures.in_force;
    bool paused = measures & (VM_MEASURE_STOP_SENT | VM_MEASURE_STOPPED);
    bool resized = (measures & VM_MEASURE_RESIZE) && !vm->entry.resize_by_libvirt;
    enum qmp_run_state run_state = QMP_RUN_OTHER;
    enum qmp_migration migration = QMP_MIGRATION_OTHER;
    struct error error = {0};
    int result;

    if ((measures & VM_MEASURE_KILLED) || !(paused || resized || (measures & VM_MEASURE_BALLOON)))
        return; /* the first pass has said so */
    if (!vm->entry.monitor[0])
        result = error_set(
            &error, -ENOENT, "the ledger knows no monitor of it (virsh can do it for a domain)");
    else if (measures & VM_MEASURE_FROZEN)
        result = error_set(&error, -EBUSY, "it is still frozen, so its monitor may hang");
    else
        result = undo_monitor_open(vm->entry.monitor, vm->entry.identity.pid,
            vm->undo->options->monitor_timeout, &monitor, &error);
    if (result == 0)
        result = monitor_facts(monitor, &run_state, &migration, &error);
    if (result < 0) {
        if (measures & VM_MEASURE_BALLOON)
            report(vm, "balloon", false, error.text);
        if (resized)
            report(vm, "resize", false, error.text);
        if (paused)
            report(vm, "pause", false, error.text);
        return;
    }
    if (measures & VM_MEASURE_BALLOON)
        deflate(vm, monitor, migration);
    if (resized)
        resize(vm, monitor, migration);
    if (paused)
        resume(vm, monitor, run_state, migration);
}

/* ---- all ---- */

static bool name_wanted(const char *name, const char *const *names, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return count == 0;
}

/* Runs PASS over the wanted VMs that have any of MEASURES in force. */
static void pass_run(struct undo *undo, const char *const *names, unsigned count, uint32_t measures,
    void (*pass)(struct undo_vm *vm))
{
    for (uint32_t slot = 0; slot < ledger_capacity(undo->ledger); slot++) {
        const struct ledger_entry *entry = ledger_get(undo->ledger, slot);
        struct undo_vm vm;

        if (!entry || !(entry->measures.in_force & measures) ||
            !name_wanted(entry->name, names, count))
            continue;
        vm = (struct undo_vm){
            .undo = undo, .slot = slot, .entry = *entry, .process = UNDO_PROCESS_NONE};
        if (vm_identify(&vm, pass == undo_unaided))
            pass(&vm);
        undo_process_close(&vm.process);
    }
}

static bool name_known(const struct ledger *ledger, const char *name)
{
    for (uint32_t slot = 0; slot < ledger_capacity(ledger); slot++) {
        const struct ledger_entry *entry = ledger_get(ledger, slot);

        if (entry && strcmp(entry->name, name) == 0)
            return true;
    }
    return false;
}

unsigned undo_all(struct ledger *ledger, const struct undo_options *options,
    const char *const *names, unsigned count)
{
    struct undo undo = {.ledger = ledger, .options = options};

    for (unsigned i = 0; i < count; i++) {
        if (name_known(ledger, names[i]))
            continue;
        options->report(names[i], "guest", false, "is not in the ledger", options->userdata);
        undo.failures++;
    }
    pass_run(&undo, names, count, UINT32_MAX, undo_unaided);
    pass_run(&undo, names, count,
        VM_MEASURE_BALLOON | VM_MEASURE_RESIZE | VM_MEASURE_STOP_SENT | VM_MEASURE_STOPPED,
        undo_by_monitor);
    return undo.failures;
}
