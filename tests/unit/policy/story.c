/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the little world. Its physics are those of the facts: a balloon moves at about 1 GiB/s and
 * frees what is resident above it, a pause only stops growth, a kill frees all. What is asked for
 * takes hold at once unless the story says how long it takes.
 */
#include "story.h"

#include <stdlib.h>
#include <string.h>

static void *allocate(size_t size)
{
    void *memory = calloc(1, size);
    if (!memory)
        abort();
    return memory;
}

struct story *story_new(uint64_t total, uint64_t other)
{
    struct story *story = allocate(sizeof(*story));
    story->snapshot = allocate(snapshot_size(STORY_GUESTS));
    story->rules = allocate(rules_size(STORY_GUESTS));
    story->plan = allocate(plan_size(STORY_GUESTS));
    story->state = policy_state_init(allocate(policy_state_size(STORY_GUESTS)), STORY_GUESTS);
    story->scratch = policy_scratch_init(allocate(policy_scratch_size(STORY_GUESTS)), STORY_GUESTS);
    story->plan->action_capacity = plan_action_capacity(STORY_GUESTS);
    story->other = other;
    story->kills_take_hold = true;
    story->headroom_least = INT64_MAX;

    host_rules_default(&story->rules->host);
    story->rules->host.mode = MODE_ENFORCE;
    story->rules->vm_capacity = STORY_GUESTS;
    struct snapshot *snapshot = story->snapshot;
    snapshot->vm_capacity = STORY_GUESTS;
    snapshot->time = 1000 * NSEC_PER_SEC;
    struct host_snapshot *host = &snapshot->host;
    memset(host, 0xff, sizeof(*host)); /* all UNKNOWN */
    host->total = total;
    host->swap_total = host->swap_free = 0;
    host->node_count = 0;
    host->largest_process.pid = 0;
    host->largest_tmpfs.path[0] = '\0';
    host->scores_raise_only = false;
    return story;
}

struct story *story_free(struct story *story)
{
    if (!story)
        return NULL;
    free(story->snapshot);
    free(story->rules);
    free(story->plan);
    free(story->state);
    free(story->scratch);
    free(story);
    return NULL;
}

struct vm_rules *story_rules(struct story *story, unsigned guest)
{
    return &story->rules->vms[guest];
}

struct vm_snapshot *story_vm(struct story *story, unsigned guest)
{
    for (uint32_t i = 0; i < story->snapshot->vm_count; i++)
        if (story->snapshot->vms[i].slot == guest)
            return &story->snapshot->vms[i];
    return NULL;
}

unsigned story_guest(struct story *story, uint64_t maximum, uint64_t wants)
{
    unsigned number = story->snapshot->vm_count++;
    struct story_guest *guest = &story->guests[number];
    *guest = (struct story_guest){.alive = true,
        .touched = wants,
        .wants = wants,
        .goal = UINT64_MAX,
        .balloon_speed = GIB,
        .free = UNKNOWN};
    vm_rules_default(story_rules(story, number));
    story_rules(story, number)->mode = MODE_ENFORCE;

    struct vm_snapshot *vm = &story->snapshot->vms[number];
    memset(vm, 0, sizeof(*vm));
    vm->slot = number;
    vm->identity = (struct vm_identity){.pid = (pid_t)(1000 + number), .start_time = 5};
    vm->identity.uuid[0] = (uint8_t)(number + 1);
    vm->process_state = VM_PROCESS_ALIVE;
    vm->run_state = VM_RUN_RUNNING;
    vm->monitor = VM_MONITOR_READY;
    vm->vcpu_cgroups = TRISTATE_YES;
    vm->maximum = maximum;
    vm->balloon.device = vm->balloon.driver = TRISTATE_YES;
    vm->balloon.actual = maximum;
    vm->balloon.deflate_on_oom = vm->balloon.free_page_reporting = TRISTATE_NO;
    memset(&vm->statistics, 0xff, sizeof(vm->statistics));
    vm->wiring.kvm = TRISTATE_YES;
    vm->wiring.encrypted = vm->wiring.shared = TRISTATE_NO;
    vm->measures.balloon_target = vm->measures.balloon_before = UNKNOWN;
    vm->rss = vm->rss_anonymous = wants;
    vm->reclaim =
        (struct vm_reclaim){.possible = TRISTATE_YES, .asked = UNKNOWN, .answered = UNKNOWN};
    story_show_no_limits(vm);
    for (int node = 0; node < NODES_MAX; node++)
        vm->node_bytes[node] = UNKNOWN;
    vm_classify(vm, &vm->kind, &vm->kind_reason);
    return number;
}

unsigned story_guest_at(
    struct story *story, uint64_t maximum, uint64_t wants, uint32_t home, uint32_t bound)
{
    unsigned number = story_guest(story, maximum, wants);
    story->guests[number].home = home;
    story->guests[number].bound = bound;
    return number;
}

/* ---- physics ---- */

/* What a guest's kernel keeps for itself: growth stalls before the last page is taken. */
#define GUEST_RESERVE (16 * MIB)
/* All a guest does under a brake, its balloon included (facts 10). */
#define BRAKED_SLOWDOWN 17
/* story_live() moves the world in such steps. */
#define LIVE_STEP (2 * NSEC_PER_MSEC)

static void move_balloon(struct story_guest *guest, struct vm_snapshot *vm, uint64_t elapsed)
{
    if (!(vm->measures.in_force & VM_MEASURE_BALLOON))
        return;
    uint64_t target = vm->measures.balloon_target;
    uint64_t way = scale_u64(guest->balloon_speed, elapsed, NSEC_PER_SEC);
    if (vm->balloon.actual > target)
        vm->balloon.actual -= min_u64(way, vm->balloon.actual - target);
    else
        vm->balloon.actual += min_u64(way, target - vm->balloon.actual);
    if (vm->balloon.actual == target && target >= vm->measures.balloon_before)
        vm->measures.in_force &= ~(uint32_t)VM_MEASURE_BALLOON;
}

/* Acts that were on their way take hold. */
static void take_hold(struct story *story, struct story_guest *guest, struct vm_snapshot *vm)
{
    uint32_t *in_force = &vm->measures.in_force;
    uint64_t now = story->snapshot->time;
    /* A `stop` waits for vCPUs, and frozen ones do not come (facts 10). */
    bool frozen = (*in_force & VM_MEASURE_FROZEN) && now >= guest->freeze_done;
    if ((*in_force & VM_MEASURE_STOP_SENT) && now >= guest->stop_done && !frozen) {
        *in_force &= ~(uint32_t)VM_MEASURE_STOP_SENT;
        *in_force |= guest->refuses_stop ? 0 : VM_MEASURE_STOPPED;
        vm->run_state = guest->refuses_stop ? VM_RUN_RUNNING : VM_RUN_PAUSED;
    }
    if ((*in_force & VM_MEASURE_RESUMING) && now >= guest->resume_done) {
        *in_force &= ~(uint32_t)(VM_MEASURE_PAUSE | VM_MEASURE_RESUMING);
        vm->run_state = VM_RUN_RUNNING;
    }
}

static void grow(
    struct story *story, struct story_guest *guest, struct vm_snapshot *vm, uint64_t elapsed)
{
    uint64_t end = min_u64(guest->goal, vm->maximum);
    int64_t growth = story->snapshot->time >= guest->grows_after ? guest->growth : 0;
    if (growth > 0 && guest->wants < end) {
        uint64_t more = (uint64_t)(growth * (int64_t)(elapsed / NSEC_PER_USEC) / 1000000);
        uint64_t let = max_u64(guest->wants, sub_or_zero(vm->balloon.actual, GUEST_RESERVE));
        guest->wants = min_u64(min_u64(guest->wants + more, end), let);
        guest->starved += guest->wants == let && let < end ? elapsed : 0;
    } else if (guest->wants > vm->balloon.actual) {
        guest->starved += elapsed;
    }
    move_balloon(guest, vm, elapsed);
    story_plug(guest, vm, elapsed);
    guest->touched = max_u64(guest->touched, guest->wants);
    if (!guest->pinned)
        guest->touched = min_u64(guest->touched, vm->balloon.actual);
    if (guest->finished == 0 && guest->wants >= end && guest->touched >= guest->wants)
        guest->finished = story->snapshot->time;
}

static void pass_time(struct story *story, uint64_t elapsed)
{
    struct snapshot *snapshot = story->snapshot;
    uint32_t kept = 0;
    snapshot->time += elapsed;
    story->other += (uint64_t)(story->other_growth * (int64_t)(elapsed / NSEC_PER_USEC) / 1000000);
    for (uint32_t i = 0; i < snapshot->vm_count; i++) {
        struct vm_snapshot *vm = &snapshot->vms[i];
        struct story_guest *guest = &story->guests[vm->slot];
        if ((vm->measures.in_force & VM_MEASURE_KILLED) && story->kills_take_hold &&
            snapshot->time >= guest->kill_done) {
            guest->alive = false;
            continue;
        }
        take_hold(story, guest, vm);
        if (story_take_end(guest, vm, snapshot->time)) {
            guest->alive = false;
            continue;
        }
        uint32_t in_force = vm->measures.in_force;
        bool frozen = (in_force & VM_MEASURE_FROZEN) && snapshot->time >= guest->freeze_done;
        bool braked = in_force & VM_MEASURE_BRAKED;
        if (frozen || (in_force & (VM_MEASURE_STOPPED | VM_MEASURE_SAVING))) {
            guest->paused += elapsed;
            guest->paused_now += elapsed;
            guest->paused_longest = max_u64(guest->paused_longest, guest->paused_now);
        } else {
            guest->paused_now = 0;
            grow(story, guest, vm, braked ? elapsed / BRAKED_SLOWDOWN : elapsed);
        }
        guest->braked += braked ? elapsed : 0;
        guest->braked_now = braked ? guest->braked_now + elapsed : 0;
        guest->braked_longest = max_u64(guest->braked_longest, guest->braked_now);
        if (kept != i)
            snapshot->vms[kept] = *vm;
        kept++;
    }
    snapshot->vm_count = kept;
    story_swap_pass(story, elapsed);
}

/* ---- seeing ---- */

static const uint64_t look_interval[BAND_COUNT] = {
    NSEC_PER_SEC, 500 * NSEC_PER_MSEC, 200 * NSEC_PER_MSEC, 20 * NSEC_PER_MSEC};

static void show_statistics(const struct story_guest *guest, struct vm_snapshot *vm, uint64_t now)
{
    bool reports = guest->honest || known(guest->free);
    vm->statistics.updated = reports ? now : UNKNOWN;
    vm->statistics.disk_caches = 0;
    if (guest->honest)
        vm->statistics.free = sub_or_zero(vm->balloon.actual, guest->wants + GUEST_RESERVE);
    else
        vm->statistics.free =
            reports ? sub_or_zero(guest->free, vm->maximum - vm->balloon.actual) : UNKNOWN;
}

/* meminfo's account of what is used; all UNKNOWN in a story that does not say what `other` is. */
static void show_parts(struct story *story)
{
    struct host_snapshot *host = &story->snapshot->host;
    uint64_t *const parts[CULPRIT_KIND_COUNT] = {
        [CULPRIT_PROCESS] = &host->anonymous,
        [CULPRIT_TMPFS] = &host->shmem,
        [CULPRIT_SLAB] = &host->slab_unreclaimable,
        [CULPRIT_PAGE_TABLES] = &host->page_tables,
    };
    if (story->other_is == CULPRIT_NONE)
        return;
    for (int kind = 0; kind < CULPRIT_KIND_COUNT; kind++)
        if (parts[kind])
            *parts[kind] = story->other_is == (enum culprit_kind)kind ? story->other : 0;
    for (uint32_t i = 0; i < story->snapshot->vm_count; i++) {
        const struct vm_snapshot *vm = &story->snapshot->vms[i];
        const struct story_guest *guest = &story->guests[vm->slot];
        bool shared = vm->wiring.shared == TRISTATE_YES;
        *(shared ? &host->shmem : &host->anonymous) += story_resident(guest);
    }
}

/* What the guard would see now. TIERED: guests only when their next look is due. */
static void show(struct story *story, bool tiered)
{
    struct snapshot *snapshot = story->snapshot;
    uint64_t now = snapshot->time, used = story->other;
    enum band band = story->plan->assessment.band;
    uint64_t interval = band == BAND_CALM ? NSEC_PER_MINUTE : (uint64_t)NSEC_PER_SEC;
    snapshot->sequence++;
    if (story->node_count > 0)
        story_place(story);
    for (uint32_t i = 0; i < snapshot->vm_count; i++) {
        struct vm_snapshot *vm = &snapshot->vms[i];
        struct story_guest *guest = &story->guests[vm->slot];
        used += story_resident(guest);
        if (!tiered || now >= guest->next_look) {
            guest->next_look = now + look_interval[band];
            vm->sampled = now;
            vm->rss = story_resident(guest);
            if (story->swap_speed > 0)
                vm->swap = guest->swapped;
            vm->rss_anonymous = vm->wiring.shared == TRISTATE_YES ? 0 : vm->rss;
            vm->rss_shmem = vm->rss - vm->rss_anonymous;
            vm->cgroup_current = vm->rss;
            if (story->node_count > 0)
                story_show_nodes(story, vm);
        }
        bool answers = !tiered || !(vm->measures.in_force & VM_MEASURE_PAUSE);
        if (!tiered || (answers && now >= guest->last_statistics + interval)) {
            guest->last_statistics = now;
            show_statistics(guest, vm, now);
        }
    }
    snapshot->host.available = snapshot->host.free = sub_or_zero(snapshot->host.total, used);
    show_parts(story);
}

/* ---- acting ---- */

static void act_balloon(struct story *story, struct vm_snapshot *vm, const struct action *action)
{
    struct story_guest *guest = &story->guests[vm->slot];
    struct vm_measures *measures = &vm->measures;
    if (!known(action->target)) {
        measures->in_force &= ~(uint32_t)VM_MEASURE_BALLOON;
        guest->yields++;
        return;
    }
    int direction = action->reason == REASON_BALLOON_RETURN ? 1 : -1;
    if (!(measures->in_force & VM_MEASURE_BALLOON))
        measures->balloon_before = vm->balloon.actual;
    measures->in_force |= VM_MEASURE_BALLOON;
    measures->balloon_target = action->target;
    measures->balloon_since = story->snapshot->time;
    guest->balloons += direction < 0;
    guest->grants += direction > 0;
    guest->turns += guest->direction != 0 && guest->direction != direction;
    guest->direction = direction;
}

static void act_on(struct story *story, struct vm_snapshot *vm, const struct action *action)
{
    struct story_guest *guest = &story->guests[vm->slot];
    uint32_t *in_force = &vm->measures.in_force;
    uint64_t now = story->snapshot->time;
    switch (action->kind) {
    case ACTION_BALLOON:
        act_balloon(story, vm, action);
        break;
    case ACTION_RESIZE:
        story_resize(story, vm, action);
        break;
    case ACTION_RECLAIM:
        vm->reclaim.asked = now;
        vm->reclaim.answered = UNKNOWN;
        story->piece = (struct story_piece){vm->slot, action->target};
        break;
    case ACTION_BRAKE:
        *in_force |= guest->refuses_brake ? 0 : VM_MEASURE_BRAKED;
        vm->measures.braked_since = now;
        break;
    case ACTION_RELEASE:
        *in_force &= ~(uint32_t)VM_MEASURE_BRAKED;
        break;
    case ACTION_PAUSE:
        guest->pauses++;
        *in_force |= VM_MEASURE_STOP_SENT;
        guest->stop_done = now + story->stop_latency;
        vm->measures.paused_since = now;
        break;
    case ACTION_FREEZE:
        guest->freezes++;
        if (!(*in_force & VM_MEASURE_PAUSE))
            vm->measures.paused_since = now;
        *in_force |=
            vm->vcpu_cgroups == TRISTATE_YES ? VM_MEASURE_FROZEN_CGROUP : VM_MEASURE_FROZEN_SIGNAL;
        guest->freeze_done = now + story->freeze_latency;
        break;
    case ACTION_THAW:
        guest->thaws++;
        *in_force &= ~(uint32_t)VM_MEASURE_FROZEN;
        break;
    case ACTION_RESUME:
        guest->resumes++;
        *in_force |= VM_MEASURE_RESUMING;
        guest->resume_done = now + story->resume_latency;
        break;
    case ACTION_SAVE:
    case ACTION_SHUTDOWN:
        story_end(guest, vm, action, now);
        break;
    case ACTION_KILL:
        guest->kills++;
        guest->orderly = action->orderly;
        guest->kill_done = now + story->kill_latency;
        *in_force |= VM_MEASURE_KILLED;
        break;
    case ACTION_OOM_SCORE:
        vm->oom_score_adj = action->oom_score_adj;
        break;
    case ACTION_MEMLOCK:
        story_act_memlock(guest, vm, action);
        break;
    case ACTION_CONTAIN:
        story_contain(story, vm, action);
        break;
    case ACTION_ALERT:
    case ACTION_KIND_COUNT:
        break;
    }
}

static void act(struct story *story)
{
    for (uint32_t i = 0; i < story->plan->action_count; i++) {
        const struct action *action = &story->plan->actions[i];
        if (action->kind == ACTION_ALERT && story->alerts[action->reason]++ == 0)
            story->first_alert[action->reason] =
                (struct story_alert){story->plan->assessment.band, story->plan->assessment.culprit};
        struct vm_snapshot *vm = story_vm(story, action->slot);
        if (action->kind == ACTION_RESIZE) {
            struct story_guest *guest = &story->guests[action->slot];
            guest->resizes += action->reason != REASON_RESIZE_RETURN && known(action->target);
            guest->resize_returns += action->reason == REASON_RESIZE_RETURN;
            guest->resize_yields += action->reason == REASON_RESIZE_OTHER;
        }
        if (action->kind == ACTION_RECLAIM)
            story->guests[action->slot].reclaims++;
        if (action->kind == ACTION_BRAKE)
            story->guests[action->slot].brakes++;
        if (action->kind == ACTION_RELEASE)
            story->guests[action->slot].releases++;
        if (action->kind == ACTION_MEMLOCK) {
            story->guests[action->slot].caps += known(action->target);
            story->guests[action->slot].lifts += !known(action->target);
        }
        if (action->kind == ACTION_CONTAIN)
            story_count_limit(&story->guests[action->slot], action);
        bool carried_on = vm && story->carries_on && action_gives_back(action, &vm->measures);
        if (vm && (action->mode == MODE_ENFORCE || carried_on)) {
            act_on(story, vm, action);
            take_hold(story, &story->guests[vm->slot], vm);
        }
    }
}

static void look(struct story *story, bool tiered)
{
    show(story, tiered);
    policy_decide(story->snapshot, story->rules, story->state, story->scratch, story->plan);
    for (int i = 0; i < 2; i++) {
        const struct pool_view *pool = &story->plan->assessment.pools[i];
        if (known(pool->total) && pool->headroom < story->headroom_least)
            story->headroom_least = pool->headroom;
    }
}

void story_decide(struct story *story)
{
    look(story, false);
}

static void tick(struct story *story, uint64_t step)
{
    pass_time(story, step);
    story_decide(story);
    act(story);
}

void story_run(struct story *story, uint64_t time, uint64_t step)
{
    for (uint64_t passed = 0; passed < time; passed += step)
        tick(story, step);
}

void story_live(struct story *story, uint64_t time)
{
    for (uint64_t passed = 0; passed < time; passed += LIVE_STEP) {
        pass_time(story, LIVE_STEP);
        if (story->snapshot->time < story->next_look)
            continue;
        look(story, true);
        act(story);
        story->next_look = story->snapshot->time + story->plan->next_wake + story->lateness;
    }
}

void story_take_time(struct story *story, uint64_t stop_latency)
{
    story->stop_latency = stop_latency;
    story->freeze_latency = 10 * NSEC_PER_MSEC;
    story->resume_latency = 30 * NSEC_PER_MSEC;
    story->kill_latency = 100 * NSEC_PER_MSEC;
}

void story_pause(struct story *story, unsigned guest)
{
    struct vm_snapshot *vm = story_vm(story, guest);
    if (!vm)
        return; /* it has ended */
    vm->measures.in_force = VM_MEASURE_STOPPED;
    vm->measures.paused_since = story->snapshot->time;
    vm->run_state = VM_RUN_PAUSED;
}
