/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns RLIMIT_MEMLOCK: the limit that libvirt would set, the lowest that is safe, and the decision
 * to lower one.
 *
 * A limit that is too high lets a guest pin what others need; one that is too low aborts QEMU at
 * the guest's next reboot or hotplug, when it maps its memory anew (facts 5). So a cap is set only
 * where every figure it rests on is known and has stood still: libvirt raises the limit first, then
 * plugs, then tells, and between the first and the last its formula looks too low. The limit must
 * have been the same for MEMLOCK_SETTLE, and libvirt must have confirmed its definition so long
 * after, and lately: where the limit is high enough for what is to be plugged, libvirt need not
 * raise it. Use counts with the most that was ever seen, for a reboot unpins for a moment.
 *
 * Limits on VFIO (type 1), vDPA and mlock are checked against the process; iommufd and io_uring
 * check this process's limit against what all processes of its user have pinned (user->locked_vm),
 * and their pins show in VmPin, too. A guest that does so, or whose user is another guest's as well
 * while any of them has pins in VmPin, is not capped: what its neighbours pin would count.
 *
 * A guest that has locked more than libvirt's formula allows for does so by ways that libvirt does
 * not know of, and will not raise the limit for; it is not capped either.
 *
 * Each guest is capped at most once. A limit that somebody else sets over ours is theirs and stays:
 * libvirt's own raise before a hotplug is one.
 */
#include "memlock.h"

#include "pinned.h"
#include "plan_add.h"

/* Since libvirt 9.4.0 NVMe disks count like vDPA devices; before, only while they are plugged. */
#define NVME_COUNTED_SINCE 9004000

uint64_t memlock_use(const struct vm_snapshot *vm)
{
    return known(vm->locked) && known(vm->pinned) ? add_held(vm->locked, vm->pinned) : UNKNOWN;
}

/* Devices that QEMU has open and the definition does not know: one of the two is not up to date.
 * An IOMMU group may hold several devices, so there may be fewer groups. */
static bool is_contradicted(const struct vm_wiring *wiring, const struct vm_definition *definition)
{
    uint64_t groups = (uint64_t)definition->vfio_devices + definition->nvme_disks;
    return wiring->iommufd > 0 || wiring->vfio_groups > groups ||
           wiring->vdpa > definition->vdpa_devices;
}

/* qemuDomainGetMemLockLimitBytes(), src/qemu/qemu_domain.c of libvirt 9.0.0 and 11.3.0: how often
 * all of the guest's memory may be locked. */
static uint64_t formula_factor(const struct vm_definition *definition)
{
    uint64_t factor = (uint64_t)definition->vdpa_devices + definition->nvme_disks;
    if (definition->vfio_devices > 0)
        factor += definition->viommu == TRISTATE_YES ? definition->vfio_devices : 1;
    return factor;
}

static bool is_counted(const struct vm_definition *definition)
{
    /* For POWER libvirt has another rule (getPPC64MemLockLimitBytes()). */
#ifdef __powerpc64__
    return false;
#endif
    if (definition->vfio_devices == COUNT_UNKNOWN || definition->vdpa_devices == COUNT_UNKNOWN ||
        definition->nvme_disks == COUNT_UNKNOWN || !known(definition->memory))
        return false;
    if (definition->nvme_disks > 0 && definition->version < NVME_COUNTED_SINCE)
        return false;
    return definition->vfio_devices <= 1 || definition->viommu != TRISTATE_UNKNOWN;
}

uint64_t memlock_formula(const struct vm_snapshot *vm)
{
    const struct vm_definition *definition = &vm->definition;
    if (!(vm->sources & VM_SOURCE_LIBVIRT) || !known(definition->hard_limit))
        return UNKNOWN;
    /* In libvirt's order: a hard limit is preferred to <locked/>, and that to the devices. */
    if (definition->hard_limit < MEMLOCK_UNLIMITED)
        return definition->hard_limit;
    if (definition->locked == TRISTATE_YES)
        return MEMLOCK_UNLIMITED;
    if (definition->locked != TRISTATE_NO || !is_counted(definition) ||
        is_contradicted(&vm->wiring, definition))
        return UNKNOWN;
    uint64_t factor = formula_factor(definition);
    return factor == 0 ? 0 : add_held(scale_u64(definition->memory, factor, 1), MEMLOCK_ROOM);
}

static uint64_t safe_cap(uint64_t formula, uint64_t use)
{
    return known(formula) && known(use) ? max_u64(formula, add_held(use, MEMLOCK_ROOM)) : UNKNOWN;
}

uint64_t memlock_safe_cap(const struct vm_snapshot *vm)
{
    return safe_cap(memlock_formula(vm), memlock_use(vm));
}

/* ---- one look at one guest ---- */

struct look {
    struct decision *d;
    uint32_t position;
    const struct vm_snapshot *vm;
    struct vm_state *state;
    uint64_t formula;
};

static bool is_migrating(const struct vm_snapshot *vm)
{
    return vm->migration != VM_MIGRATION_NONE && vm->migration != VM_MIGRATION_UNKNOWN;
}

/* What others pin may be held against the guest's limit. */
static bool is_charged_to_user(const struct look *look)
{
    const struct vm_snapshot *vm = look->vm;
    bool shared = false, charged = vm->pinned > 0;
    if (vm->wiring.iommufd > 0)
        return true;
    for (uint32_t i = 0; i < look->d->vm_count && !(shared && charged); i++) {
        const struct vm_snapshot *other = decision_vm(look->d, i);
        if (i == look->position || (known(other->uid) && known(vm->uid) && other->uid != vm->uid))
            continue;
        shared = true;
        charged = charged || other->wiring.iommufd > 0 || other->pinned > 0; /* UNKNOWN, too */
    }
    return shared && charged;
}

/* Whether libvirt has said so since the limit is what it is, and lately. */
static bool is_confirmed(const struct look *look)
{
    uint64_t confirmed = look->vm->definition.confirmed;
    return known(confirmed) && confirmed <= look->d->now &&
           since(look->d->now, confirmed) <= MEMLOCK_CONFIRMED_FOR &&
           confirmed >= add_held(look->state->memlock_since, MEMLOCK_SETTLE);
}

/* Whether a cap would rest on known figures alone. */
static bool is_settled(const struct look *look)
{
    const struct vm_snapshot *vm = look->vm;
    return vm->process_state == VM_PROCESS_ALIVE && vm->migration == VM_MIGRATION_NONE &&
           known(vm->uid) && is_confirmed(look);
}

/* The cap that the guest should have; UNKNOWN: none, or nobody can say. */
static uint64_t cap_wanted(const struct look *look)
{
    const struct vm_snapshot *vm = look->vm;
    uint64_t use = known(memlock_use(vm)) ? look->state->memlock_use : UNKNOWN;
    uint64_t cap = safe_cap(look->formula, use);
    if (look->d->rules->host.memlock != MEMLOCK_ENFORCE || !known(cap) || use > look->formula ||
        !known(vm->memlock_soft) || !known(vm->memlock_hard) || vm->memlock_hard <= cap ||
        !is_settled(look))
        return UNKNOWN;
    return cap;
}

static void note_figures(struct look *look)
{
    const struct vm_snapshot *vm = look->vm;
    struct vm_state *state = look->state;
    uint64_t use = memlock_use(vm);
    bool enforced = look->d->vms[look->position].traits & TRAIT_ENFORCED;
    if (known(use))
        state->memlock_use = max_u64(state->memlock_use, use);
    if (known(vm->memlock_hard) && vm->memlock_hard != state->memlock_limit) {
        state->memlock_limit = vm->memlock_hard;
        state->memlock_since = look->d->now;
    }
    /* What was decided in dry run, or under rules that have changed, is void. */
    if ((enforced && state->memlock_dry) || look->d->rules->host.memlock != MEMLOCK_ENFORCE) {
        state->memlock_asked = UNKNOWN;
        state->memlock_dry = state->memlock_yielded = false;
    }
}

/* A cap of ours is in force: gives it back where it must go. */
static void keep_or_lift(struct look *look)
{
    const struct vm_snapshot *vm = look->vm;
    struct decision *d = look->d;
    uint64_t ours = vm->measures.memlock_set;
    bool enforced = d->vms[look->position].traits & TRAIT_ENFORCED;
    bool held = d->rules->host.held && decision_rules(d, look->position)->mode == MODE_ENFORCE;
    enum reason reason = REASON_NONE;
    if (known(vm->memlock_hard) && known(vm->memlock_soft) &&
        (vm->memlock_hard != ours || vm->memlock_soft != ours))
        reason = REASON_MEMLOCK_CHANGED;
    else if (d->rules->host.memlock != MEMLOCK_ENFORCE || !(enforced || held) ||
             is_charged_to_user(look))
        reason = REASON_MEMLOCK_LIFT;
    if (reason == REASON_NONE)
        return;
    struct action *action = plan_add(d, ACTION_MEMLOCK, reason, look->position, 0);
    if (!action)
        return;
    action->target = UNKNOWN;
    look->state->memlock_asked = UNKNOWN;
    look->state->memlock_yielded = reason == REASON_MEMLOCK_CHANGED;
}

/* Decides the cap, or returns why it must not be. */
static enum reason cap_decide(struct look *look, uint64_t cap)
{
    struct decision *d = look->d;
    bool enforced = d->vms[look->position].traits & TRAIT_ENFORCED;
    if (look->state->memlock_yielded)
        return REASON_NONE;
    if (known(look->state->memlock_asked)) /* and is not in force */
        return enforced ? REASON_MEMLOCK_REFUSED : REASON_NONE;
    if (is_charged_to_user(look))
        return REASON_MEMLOCK_BY_USER;
    /* Lowered without the right to raise it, it could never be given back. */
    if (d->snapshot->host.scores_raise_only)
        return REASON_MEMLOCK_REFUSED;
    struct action *action = plan_add(d, ACTION_MEMLOCK, REASON_MEMLOCK_CAP, look->position, 0);
    if (!action)
        return REASON_NONE;
    action->target = cap;
    look->state->memlock_asked = cap;
    look->state->memlock_dry = !enforced;
    return REASON_NONE;
}

/* To libvirt a memory.max of ours is a hard_limit, and its rule follows from that (contain.c). */
static bool is_by_containment(const struct look *look)
{
    const struct vm_measures *measures = &look->vm->measures;
    return (measures->contained & VM_LIMIT_BIT(VM_LIMIT_MEMORY_MAX)) &&
           look->formula == measures->limits[VM_LIMIT_MEMORY_MAX].set;
}

static enum reason limit_wrong(const struct look *look)
{
    const struct vm_snapshot *vm = look->vm;
    uint64_t formula = look->formula;
    if (!known(vm->memlock_hard) || !known(vm->memlock_soft) || is_migrating(vm))
        return REASON_NONE; /* for a migration with RDMA libvirt lifts it, and puts it back */
    if (vm->memlock_hard >= MEMLOCK_UNLIMITED)
        return REASON_MEMLOCK_UNLIMITED;
    if (known(formula) && formula > 0 && !is_by_containment(look) &&
        (vm->memlock_hard != formula || vm->memlock_soft != formula))
        return REASON_MEMLOCK_DRIFT;
    return REASON_NONE;
}

/* Once for each state, and again when it is another. */
static void tell(struct look *look, enum reason reason)
{
    struct vm_state *state = look->state;
    bool same = reason == state->memlock_told &&
                look->vm->memlock_hard == state->memlock_told_limit &&
                look->formula == state->memlock_told_formula;
    if (reason == REASON_NONE) {
        state->memlock_told = REASON_NONE;
        return;
    }
    if (same || since(look->d->now, state->memlock_told_at) < ALERT_INTERVAL ||
        !plan_alert_vm(look->d, reason, look->position, 0))
        return;
    state->memlock_told = reason;
    state->memlock_told_limit = look->vm->memlock_hard;
    state->memlock_told_formula = look->formula;
    state->memlock_told_at = look->d->now;
}

/* Whether a cap may be called for, and for long now nobody has said which. */
static bool is_undefined(const struct look *look)
{
    const struct vm_snapshot *vm = look->vm;
    const struct vm_state *state = look->state;
    if (look->d->rules->host.memlock != MEMLOCK_ENFORCE || !known(memlock_use(vm)) ||
        !known(vm->memlock_hard) || is_migrating(vm) || state->memlock_yielded ||
        (vm->measures.in_force & VM_MEASURE_MEMLOCK))
        return false;
    /* Where even an old word leaves nothing to lower, no newer one is missed. */
    uint64_t lowest =
        max_u64(known_or(look->formula, 0), add_held(state->memlock_use, MEMLOCK_ROOM));
    return vm->memlock_hard > lowest && !(known(look->formula) && is_confirmed(look)) &&
           since(look->d->now, state->memlock_since) > MEMLOCK_SETTLE + MEMLOCK_CONFIRMED_FOR;
}

/* Beside what else is wrong with its limit: it is why nothing is done about that. */
static void tell_undefined(const struct look *look)
{
    struct vm_state *state = look->state;
    bool undefined = is_undefined(look);
    if (undefined && !state->memlock_undefined) {
        if (since(look->d->now, state->memlock_undefined_at) < ALERT_INTERVAL ||
            !plan_alert_vm(look->d, REASON_MEMLOCK_UNDEFINED, look->position, 0))
            return;
        state->memlock_undefined_at = look->d->now;
    }
    state->memlock_undefined = undefined;
}

static void look_at(struct look *look)
{
    enum reason wrong = REASON_NONE;
    note_figures(look);
    if (look->vm->measures.in_force & VM_MEASURE_MEMLOCK) {
        keep_or_lift(look);
    } else {
        uint64_t cap = cap_wanted(look);
        wrong = known(cap) ? cap_decide(look, cap) : REASON_NONE;
        if (wrong == REASON_NONE)
            wrong = limit_wrong(look);
    }
    if (look->d->rules->host.memlock == MEMLOCK_OFF)
        return;
    tell(look, wrong);
    tell_undefined(look);
    pinned_look_vm(look->d, look->position);
}

static bool is_readable(const struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    return (d->vms[position].traits & TRAIT_USABLE) && known(vm->sampled) &&
           vm->process_state != VM_PROCESS_DEAD && !(vm->measures.in_force & VM_MEASURE_KILLED);
}

void memlock_look(struct decision *d)
{
    const struct plan *plan = d->plan;
    struct policy_state *state = d->state;
    /* At the edge there is better use of the time, and capping returns nothing. */
    if (plan->assessment.band == BAND_CRITICAL ||
        since(d->now, state->memlock_at) < MEMLOCK_INTERVAL)
        return;
    state->memlock_at = d->now;
    if (d->rules->host.memlock != MEMLOCK_OFF)
        pinned_look_pools(d);
    uint32_t before = plan->action_count, seen = 0;
    uint32_t position = state->memlock_next < d->vm_count ? state->memlock_next : 0;
    for (; seen < d->vm_count && plan->action_count - before < MEMLOCK_ACTIONS; seen++) {
        struct look look = {.d = d, .position = position, .vm = decision_vm(d, position)};
        if (is_readable(d, position)) {
            look.state = decision_state(d, position);
            look.formula = memlock_formula(look.vm);
            look_at(&look);
        }
        position = position + 1 < d->vm_count ? position + 1 : 0;
    }
    state->memlock_next = position;
}
