/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns containment: what limits a guest's own cgroup should have now.
 *
 * By class: whatever its class sets, as long as the guest lives. A limit that somebody else has set
 * is only ever tightened, and a limit that somebody sets over ours is theirs and stays.
 *
 * For a shortage: from scarce on memory.high, on a guest that takes back what it had given by
 * balloon, or whose QEMU has outgrown the guest's maximum and its own part. The host's figures say
 * so, not the guest's. It keeps what it has, for below the use the kernel would slow it with each
 * page it touches, and a balloon that is to be inflated again with it: it is growth that ends
 * here. The limit falls with the use, rises with what the guest is given, and goes in calm. It is
 * a brake by the kernel's hand: where rungs= does not name that there is none, nor where there is
 * no swap to reclaim to, for the guest and its monitor would only stand still.
 *
 * What would end a guest is refused, and told of: a memory.max without room above the use; any on a
 * guest whose memory is wired, where the kernel could reclaim nothing before it kills (and
 * libvirt's hard_limit would take the place of its rule for locked memory besides); a pids.max
 * without room for the threads that QEMU may start. On a wired guest memory.high is set where it
 * lies above all that the guest can come to hold; below it would slow QEMU for ever, and free
 * nothing.
 *
 * Of a guest that is being saved only memory.high is lifted: what comes back from swap to be
 * written must not wait for it (ends.c).
 *
 * Writing a limit reclaims inside the writer, so there is one at a time on all of the host, and one
 * is given back at a time of each guest, which libvirt may do in its own time.
 */
#include "contain.h"

#include "observe.h"
#include "plan_add.h"
#include "pool.h"

/* What one look has come to. */
struct sweep {
    uint32_t actions; /* that were in the plan before it */
    bool asked;       /* for a limit: that is all for now */
    bool more;        /* there may be more to do at once */
};

struct look {
    struct decision *d;
    struct sweep *sweep;
    uint32_t position;
    const struct vm_snapshot *vm;
    const struct vm_rules *rules;
    struct vm_state *state;
    bool gives_back; /* one limit, which may take its time: the others come next */
};

struct wish {
    uint64_t value; /* VM_LIMIT_NONE: nothing is wished for; UNKNOWN: nobody can say what */
    enum reason reason;
};

static const struct wish nothing = {VM_LIMIT_NONE, REASON_NONE};

/* ---- what is wished for ---- */

static uint64_t whole_units(uint64_t bytes)
{
    if (bytes >= CONTAIN_BYTES_MAX)
        return VM_LIMIT_NONE;
    return max_u64(bytes - bytes % CONTAIN_UNIT, CONTAIN_UNIT);
}

static uint64_t class_bytes(struct amount amount, uint64_t maximum)
{
    if (amount.kind == AMOUNT_AUTO)
        return VM_LIMIT_NONE;
    if (amount.kind == AMOUNT_SHARE && !known(maximum))
        return UNKNOWN;
    return whole_units(amount_bytes(amount, maximum, VM_LIMIT_NONE));
}

/* In whole microseconds, as the kernel keeps it. */
static uint64_t class_quota(uint32_t percent, uint64_t period)
{
    if (percent == 0)
        return VM_LIMIT_NONE;
    if (!known(period))
        return UNKNOWN;
    uint64_t quota = scale_u64(period, percent, 100);
    return min_u64(max_u64(quota - quota % NSEC_PER_USEC, CONTAIN_QUOTA_MIN), VM_LIMIT_NONE);
}

static struct wish class_wish(const struct look *look, enum vm_limit limit)
{
    const struct vm_snapshot *vm = look->vm;
    const struct vm_rules *rules = look->rules;
    struct wish wish = {VM_LIMIT_NONE, REASON_CONTAIN_CLASS};
    switch (limit) {
    case VM_LIMIT_MEMORY_HIGH:
        wish.value = class_bytes(rules->memory_high, vm->maximum);
        break;
    case VM_LIMIT_MEMORY_MAX:
        wish.value = class_bytes(rules->memory_max, vm->maximum);
        break;
    case VM_LIMIT_PIDS_MAX:
        wish.value = rules->pids_max > 0 ? rules->pids_max : VM_LIMIT_NONE;
        break;
    case VM_LIMIT_CPU_MAX:
        wish.value = class_quota(rules->cpu_max, vm->limits.cpu_period);
        break;
    case VM_LIMIT_OOM_GROUP:
        wish.value = rules->oom_group ? 1 : VM_LIMIT_NONE;
        break;
    case VM_LIMIT_COUNT:
        break;
    }
    return wish.value == VM_LIMIT_NONE ? nothing : wish;
}

bool contain_is_ours(const struct vm_snapshot *vm, enum vm_limit limit)
{
    return (vm->measures.in_force & VM_MEASURE_CONTAIN) &&
           (vm->measures.contained & VM_LIMIT_BIT(limit));
}

/* What it is to have at most, and what it is when it has more. */
static struct wish due_memory(const struct vm_snapshot *vm)
{
    bool ballooned =
        (vm->measures.in_force & VM_MEASURE_BALLOON) && known(vm->measures.balloon_target);
    if (!known(vm->maximum))
        return (struct wish){UNKNOWN, REASON_NONE};
    if (!ballooned)
        return (struct wish){memory_with_overhead(vm_memory_most(vm)), REASON_CONTAIN_OUTGROWN};
    uint64_t memory = min_u64(vm->measures.balloon_target, vm->maximum);
    return (struct wish){memory_with_overhead(memory), REASON_CONTAIN_TAKEN_BACK};
}

/* Program and page cache do not count, for the kernel can have them back. On its way to a target
 * for the first time a guest takes nothing back. */
static bool exceeds(const struct look *look, const struct wish *due)
{
    const struct vm_snapshot *vm = look->vm;
    if (due->reason == REASON_CONTAIN_TAKEN_BACK && !known(look->state->drift_next))
        return false;
    return known(vm->rss_anonymous) && known(vm->rss_shmem) &&
           add_held(vm->rss_anonymous, vm->rss_shmem) > due->value;
}

static struct wish shortage_wish(const struct look *look)
{
    const struct vm_snapshot *vm = look->vm;
    enum band band = look->d->plan->assessment.band;
    bool stands = look->state->contain_shortage && contain_is_ours(vm, VM_LIMIT_MEMORY_HIGH);
    struct wish due = due_memory(vm);
    if (!known(due.value) || !known(vm->cgroup_current) || vm_is_wired(vm) ||
        !(look->rules->rungs & RUNG_BIT(RUNG_BRAKE)) || look->rules->sacrifice == SACRIFICE_NEVER ||
        pool_swap_spare(look->d) == 0)
        return nothing;
    if (stands ? band == BAND_CALM : band < BAND_SCARCE || !exceeds(look, &due))
        return nothing;
    uint64_t limit = whole_units(max_u64(due.value, vm->cgroup_current));
    uint64_t set = vm->measures.limits[VM_LIMIT_MEMORY_HIGH].set;
    /* It follows what the guest gives back, and what it is given, but not what it takes. */
    if (stands && limit > set)
        limit = max_u64(set, whole_units(due.value));
    else if (stands && set - limit < CONTAIN_STEP)
        limit = set;
    return (struct wish){limit, due.reason};
}

static struct wish wish_of(const struct look *look, enum vm_limit limit)
{
    struct wish by_class = class_wish(look, limit);
    if (limit != VM_LIMIT_MEMORY_HIGH)
        return by_class;
    struct wish shortage = shortage_wish(look);
    bool tighter = shortage.value != VM_LIMIT_NONE && shortage.value < by_class.value;
    return tighter ? shortage : by_class;
}

/* ---- what must not be ---- */

static bool is_defined_wired(const struct vm_definition *definition)
{
    return definition->locked == TRISTATE_YES ||
           (definition->vfio_devices != COUNT_UNKNOWN && definition->vfio_devices > 0) ||
           (definition->vdpa_devices != COUNT_UNKNOWN && definition->vdpa_devices > 0);
}

/* The kernel could reclaim nothing to keep it below VALUE. libvirt's word counts before QEMU has
 * opened the devices. */
static bool is_wired_for(const struct vm_snapshot *vm, enum vm_limit limit, uint64_t value)
{
    if (!vm_is_wired(vm) && !is_defined_wired(&vm->definition))
        return false;
    if (limit == VM_LIMIT_MEMORY_HIGH)
        return !known(vm->maximum) || value < memory_with_overhead(vm_memory_most(vm));
    return limit == VM_LIMIT_MEMORY_MAX;
}

uint64_t contain_least(enum vm_limit limit, uint64_t use)
{
    switch (limit) {
    case VM_LIMIT_MEMORY_MAX:
        return add_held(use, max_u64(CONTAIN_ROOM, use / CONTAIN_ROOM_DIVISOR));
    case VM_LIMIT_PIDS_MAX:
        return add_held(use, CONTAIN_TASKS_ROOM);
    case VM_LIMIT_MEMORY_HIGH:
    case VM_LIMIT_CPU_MAX:
    case VM_LIMIT_OOM_GROUP:
    case VM_LIMIT_COUNT:
        break;
    }
    return 0;
}

static bool is_harmful(const struct vm_snapshot *vm, enum vm_limit limit, uint64_t value)
{
    uint64_t use = limit == VM_LIMIT_PIDS_MAX ? vm->limits.tasks : vm->cgroup_current;
    return is_wired_for(vm, limit, value) || value < contain_least(limit, use);
}

/* ---- what is done ---- */

static bool is_enforced(const struct look *look)
{
    return look->d->vms[look->position].traits & TRAIT_ENFORCED;
}

/* What is in force outlasts it. */
static bool is_held(const struct look *look)
{
    return look->d->rules->host.held && look->rules->mode == MODE_ENFORCE;
}

static void ask(struct look *look, enum vm_limit limit, struct wish wish)
{
    struct vm_state *state = look->state;
    struct action *action = plan_add(look->d, ACTION_CONTAIN, wish.reason, look->position, 0);
    if (!action)
        return;
    action->limit = limit;
    action->target = wish.value;
    look->sweep->asked = look->sweep->more = true;
    if (!is_enforced(look))
        state->contain_dry |= (uint8_t)VM_LIMIT_BIT(limit);
    else if (limit == VM_LIMIT_MEMORY_HIGH)
        state->contain_shortage = wish.reason != REASON_CONTAIN_CLASS;
}

static void give_back(struct look *look, enum vm_limit limit, enum reason reason)
{
    struct action *action = plan_add(look->d, ACTION_CONTAIN, reason, look->position, 0);
    if (!action)
        return;
    action->limit = limit;
    action->target = UNKNOWN;
    look->gives_back = look->sweep->more = true;
    if (reason == REASON_CONTAIN_CHANGED)
        look->state->contain_yielded |= (uint8_t)VM_LIMIT_BIT(limit);
}

/* Once for each refusal, and not more often than its reason can come and go. */
static void tell_refused(struct look *look, enum vm_limit limit)
{
    struct vm_state *state = look->state;
    if (state->contain_told & VM_LIMIT_BIT(limit))
        return;
    struct action *alert =
        plan_add(look->d, ACTION_ALERT, REASON_CONTAIN_REFUSED, look->position, 0);
    if (!alert)
        return;
    alert->limit = limit;
    state->contain_told |= (uint8_t)VM_LIMIT_BIT(limit);
    state->contain_told_at = look->d->now;
}

static void forget_refused(struct look *look, enum vm_limit limit)
{
    if (since(look->d->now, look->state->contain_told_at) >= ALERT_INTERVAL)
        look->state->contain_told &= (uint8_t)~VM_LIMIT_BIT(limit);
}

/* It is what it was before our last write, of which nobody has told that it was done. */
static bool is_doubtful(const struct vm_snapshot *vm, enum vm_limit limit)
{
    return vm->limits.written == limit && known(vm->limits.previous) &&
           vm->limits.values[limit] == vm->limits.previous;
}

/* A limit of ours is in force: gives it back where it must go, or moves it. */
static void keep_or_lift(struct look *look, enum vm_limit limit, struct wish wish)
{
    const struct vm_snapshot *vm = look->vm;
    const struct vm_contained *ours = &vm->measures.limits[limit];
    uint64_t value = vm->limits.values[limit];
    if (known(value) && value != ours->set && !is_doubtful(vm, limit))
        give_back(look, limit, REASON_CONTAIN_CHANGED);
    else if (!(is_enforced(look) || is_held(look)) || (known(value) && value != ours->set) ||
             wish.value == VM_LIMIT_NONE || (known(wish.value) && wish.value >= ours->before) ||
             is_wired_for(vm, limit, ours->set))
        give_back(look, limit, REASON_CONTAIN_LIFT);
    else if (!known(value) || !known(wish.value) || wish.value == ours->set || !is_enforced(look))
        forget_refused(look, limit);
    else if (wish.value < ours->set && is_harmful(vm, limit, wish.value))
        tell_refused(look, limit);
    else
        ask(look, limit, wish);
}

static void set_if_tighter(struct look *look, enum vm_limit limit, struct wish wish)
{
    const struct vm_snapshot *vm = look->vm;
    const uint8_t bit = (uint8_t)VM_LIMIT_BIT(limit);
    uint64_t value = vm->limits.values[limit];
    if (known(value) && (!known(wish.value) || wish.value >= value))
        forget_refused(look, limit);
    else if (!known(value) || is_harmful(vm, limit, wish.value))
        tell_refused(look, limit);
    else if (!((look->state->contain_yielded | look->state->contain_dry) & bit))
        ask(look, limit, wish);
}

static void look_at_limit(struct look *look, enum vm_limit limit)
{
    const uint8_t bit = (uint8_t)VM_LIMIT_BIT(limit);
    struct wish wish = wish_of(look, limit);
    if (wish.value == VM_LIMIT_NONE) {
        look->state->contain_yielded &= (uint8_t)~bit;
        forget_refused(look, limit);
        /* While it lasts, a shortage's limit is told of once. */
        if (look->d->plan->assessment.band == BAND_CALM)
            look->state->contain_dry &= (uint8_t)~bit;
    }
    if (contain_is_ours(look->vm, limit))
        keep_or_lift(look, limit, wish);
    else if (wish.value != VM_LIMIT_NONE)
        set_if_tighter(look, limit, wish);
}

/* The last write of one of its limits has failed, and so would this. */
static bool has_lately_failed(const struct look *look)
{
    const struct vm_limits *limits = &look->vm->limits;
    return known(limits->asked) && limits->result < 0 &&
           since(look->d->now, limits->answered) < CONTAIN_RETRY;
}

static void look_at(struct look *look)
{
    /* What was decided in dry run is void. */
    if (is_enforced(look))
        look->state->contain_dry = 0;
    if (has_lately_failed(look))
        return;
    for (int i = 0; i < VM_LIMIT_COUNT && !look->sweep->asked && !look->gives_back; i++)
        look_at_limit(look, (enum vm_limit)i);
}

/* The kernel's file is written by ourselves, so that it waits for no job of libvirt's. */
static void look_at_saved(struct look *look)
{
    if ((look->vm->measures.in_force & VM_MEASURE_SAVING) && !vm_is_going(look->vm) &&
        contain_is_ours(look->vm, VM_LIMIT_MEMORY_HIGH) && !has_lately_failed(look))
        give_back(look, VM_LIMIT_MEMORY_HIGH, REASON_CONTAIN_LIFT);
}

/* Until all about it was read once, nobody knows whether its memory is wired. libvirt's job of a
 * migration or save lets no other call through, and who waits behind it seems to hang. */
static bool is_readable(const struct decision *d, uint32_t position)
{
    const struct vm_snapshot *vm = decision_vm(d, position);
    bool migrates = vm->migration == VM_MIGRATION_UNKNOWN ? vm->monitor == VM_MONITOR_READY
                                                          : vm->migration != VM_MIGRATION_NONE;
    return (d->vms[position].traits & TRAIT_USABLE) && known(vm->sampled) && !vm_is_going(vm) &&
           !migrates && !(vm->measures.in_force & VM_MEASURE_ENDING) &&
           !(d->vms[position].traits & TRAIT_IN_ACTION) && vm->wiring.kvm != TRISTATE_UNKNOWN;
}

static bool is_writing(const struct decision *d)
{
    for (uint32_t i = 0; i < d->vm_count; i++) {
        const struct vm_limits *limits = &decision_vm(d, i)->limits;
        if (known(limits->asked) && !known(limits->answered) &&
            since(d->now, limits->asked) < CONTAIN_PATIENCE)
            return true;
    }
    return false;
}

void contain_look(struct decision *d)
{
    struct policy_state *state = d->state;
    /* In a sprint there is better use of the time. */
    bool due = state->contain_more || since(d->now, state->contain_at) >= CONTAIN_INTERVAL;
    if (d->plan->assessment.sprint || !due || is_writing(d))
        return;
    struct sweep sweep = {.actions = d->plan->action_count};
    uint32_t position = state->contain_next < d->vm_count ? state->contain_next : 0;
    for (uint32_t seen = 0; seen < d->vm_count; seen++) {
        struct look look = {.d = d, .sweep = &sweep, .position = position};
        look.vm = decision_vm(d, position);
        if (is_readable(d, position)) {
            look.rules = decision_rules(d, position);
            look.state = decision_state(d, position);
            look_at(&look);
        } else if (d->vms[position].traits & TRAIT_USABLE) {
            look.state = decision_state(d, position);
            look_at_saved(&look);
        }
        /* It may be wished another limit: the next look begins with it. */
        if (sweep.asked || d->plan->action_count - sweep.actions >= CONTAIN_ACTIONS)
            break;
        position = position + 1 < d->vm_count ? position + 1 : 0;
    }
    state->contain_at = d->now;
    state->contain_next = position;
    state->contain_more = sweep.more;
}
