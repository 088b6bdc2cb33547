/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns acting: what a plan asks for takes hold after as long as it was seen to take, and shows in
 * the measures as the guard's ledger would show it. Limits of cgroups and on locked memory are not
 * part of the model.
 */
#include "model.h"

/* As long as each was seen to take [measured, facts 9 and 10]. */
#define STOP_LATENCY (30 * NSEC_PER_MSEC)
#define FREEZE_LATENCY (10 * NSEC_PER_MSEC)
#define RESUME_LATENCY (30 * NSEC_PER_MSEC)
#define KILL_LATENCY (100 * NSEC_PER_MSEC)
/* 4 KiB pages at 9 to 15 GiB/s (limits: rates). */
#define KILL_RATE (9 * GIB)
/* What a disk takes of a save, and what a guest takes to shut down. */
#define SAVE_RATE (200 * MIB)
#define SHUTDOWN_TAKES (20 * NSEC_PER_SEC)

void act_kill(struct model *model, struct model_guest *guest, bool by_kernel)
{
    struct vm_measures *measures = &guest->vm.measures;
    uint64_t resident = guest_resident(guest);
    if (measures->in_force & VM_MEASURE_KILLED)
        return;
    measures->in_force |= VM_MEASURE_KILLED;
    measures->killed_since = model->now;
    guest->kill_done = model->now + KILL_LATENCY + scale_u64(resident, NSEC_PER_SEC, KILL_RATE);
    score_end(model, guest, by_kernel ? GUEST_KILLED_BY_KERNEL : GUEST_KILLED, resident);
}

/* A save or shutdown that is done; what it frees is scored then, for it may fail before. */
static void end_done(struct model *model, struct model_guest *guest)
{
    bool saved = guest->vm.measures.in_force & VM_MEASURE_SAVING;
    score_end(model, guest, saved ? GUEST_SAVED : GUEST_SHUT_DOWN, guest_resident(guest));
}

static void pause_take_hold(struct model_guest *guest, uint64_t now)
{
    struct vm_snapshot *vm = &guest->vm;
    uint32_t *in_force = &vm->measures.in_force;
    /* A `stop` waits for vCPUs, and frozen ones do not come (facts 10). */
    bool frozen = (*in_force & VM_MEASURE_FROZEN) && now >= guest->freeze_done;
    if ((*in_force & VM_MEASURE_STOP_SENT) && now >= guest->stop_done && !frozen) {
        *in_force &= ~(uint32_t)VM_MEASURE_STOP_SENT;
        *in_force |= VM_MEASURE_STOPPED;
        vm->run_state = VM_RUN_PAUSED;
    }
    if ((*in_force & VM_MEASURE_RESUMING) && now >= guest->resume_done) {
        *in_force &= ~(uint32_t)(VM_MEASURE_PAUSE | VM_MEASURE_RESUMING);
        vm->run_state = VM_RUN_RUNNING;
    }
}

bool act_take_hold(struct model *model, struct model_guest *guest)
{
    uint32_t in_force = guest->vm.measures.in_force;
    if (in_force & VM_MEASURE_KILLED)
        return model->now < guest->kill_done;
    pause_take_hold(guest, model->now);
    if (!(in_force & VM_MEASURE_ENDING))
        return true;
    if (model->now >= guest->end_done) {
        end_done(model, guest);
        return false;
    }
    if (model->now >= guest->vm.measures.ending_until)
        guest->vm.measures.in_force &= ~(uint32_t)VM_MEASURE_ENDING;
    return true;
}

static void act_balloon(struct model_guest *guest, const struct action *action, uint64_t now)
{
    struct vm_snapshot *vm = &guest->vm;
    if (!known(action->target)) {
        vm->measures.in_force &= ~(uint32_t)VM_MEASURE_BALLOON;
        return;
    }
    if (!(vm->measures.in_force & VM_MEASURE_BALLOON))
        vm->measures.balloon_before = vm->balloon.actual;
    vm->measures.in_force |= VM_MEASURE_BALLOON;
    vm->measures.balloon_target = action->target;
    vm->measures.balloon_since = now;
    if (guest->scenario->balloon != BALLOON_REFUSES && guest->scenario->balloon != BALLOON_ABSENT)
        guest->balloon_goal = min_u64(action->target, vm->maximum);
    guest->balloon_still = 0;
}

static void act_pause(struct model *model, struct model_guest *guest, enum action_kind kind)
{
    struct vm_measures *measures = &guest->vm.measures;
    if (!(measures->in_force & VM_MEASURE_PAUSE)) {
        measures->paused_since = model->now;
        model->score.pauses++;
    }
    if (kind == ACTION_PAUSE) {
        measures->in_force |= VM_MEASURE_STOP_SENT;
        guest->stop_done = model->now + STOP_LATENCY;
    } else {
        measures->in_force |= VM_MEASURE_FROZEN_CGROUP;
        guest->freeze_done = model->now + FREEZE_LATENCY;
    }
}

static void act_end(struct model *model, struct model_guest *guest, const struct action *action)
{
    struct vm_measures *measures = &guest->vm.measures;
    uint64_t save = scale_u64(guest_resident(guest), NSEC_PER_SEC, SAVE_RATE);
    if (!guest->scenario->endable)
        return;
    measures->in_force |=
        action->kind == ACTION_SAVE ? VM_MEASURE_SAVING : VM_MEASURE_SHUTTING_DOWN;
    measures->ending_until = model->now + action->deadline;
    guest->end_done = model->now + (action->kind == ACTION_SAVE ? save : SHUTDOWN_TAKES);
}

static void act_reclaim(struct model *model, struct model_guest *guest, const struct action *action)
{
    guest->vm.reclaim.asked = model->now;
    guest->vm.reclaim.answered = UNKNOWN;
    model->piece = (struct model_piece){guest->vm.slot, action->target};
}

static void act_on_guest(
    struct model *model, struct model_guest *guest, const struct action *action)
{
    struct vm_measures *measures = &guest->vm.measures;
    switch (action->kind) {
    case ACTION_BALLOON:
        act_balloon(guest, action, model->now);
        break;
    case ACTION_RECLAIM:
        act_reclaim(model, guest, action);
        break;
    case ACTION_BRAKE:
        measures->in_force |= VM_MEASURE_BRAKED;
        measures->braked_since = model->now;
        break;
    case ACTION_RELEASE:
        measures->in_force &= ~(uint32_t)VM_MEASURE_BRAKED;
        break;
    case ACTION_PAUSE:
    case ACTION_FREEZE:
        act_pause(model, guest, action->kind);
        break;
    case ACTION_THAW:
        measures->in_force &= ~(uint32_t)VM_MEASURE_FROZEN;
        break;
    case ACTION_RESUME:
        measures->in_force |= VM_MEASURE_RESUMING;
        guest->resume_done = model->now + RESUME_LATENCY;
        break;
    case ACTION_SAVE:
    case ACTION_SHUTDOWN:
        act_end(model, guest, action);
        break;
    case ACTION_KILL:
        act_kill(model, guest, false);
        break;
    case ACTION_OOM_SCORE:
        guest->vm.oom_score_adj = action->oom_score_adj;
        break;
    case ACTION_RESIZE: /* no guest of the model has virtio-mem */
    case ACTION_MEMLOCK:
    case ACTION_CONTAIN:
    case ACTION_ALERT:
    case ACTION_KIND_COUNT:
        break;
    }
}

void act_on_plan(struct model *model, const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->action_count; i++) {
        const struct action *action = &plan->actions[i];
        if (action->slot >= model->guest_count || action->mode != MODE_ENFORCE)
            continue;
        struct model_guest *guest = &model->guests[action->slot];
        if (guest->presence == PRESENCE_HERE &&
            vm_identity_equal(&guest->vm.identity, &action->identity))
            act_on_guest(model, guest, action);
    }
}
