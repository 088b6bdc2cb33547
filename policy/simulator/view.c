/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns what is seen of the model: a snapshot as the guard would take it, with host figures of now
 * and figures of guests as old as the guard lets them become (daemon/guard.c), statistics as honest
 * as the guest is.
 */
#include "model.h"

#include <string.h>

/* How often a guest is looked at, by band, and asked for its statistics. */
static const uint64_t look_interval[BAND_COUNT] = {
    NSEC_PER_SEC, 500 * NSEC_PER_MSEC, 200 * NSEC_PER_MSEC, 20 * NSEC_PER_MSEC};
static const uint64_t statistics_interval[BAND_COUNT] = {
    NSEC_PER_MINUTE, NSEC_PER_SEC, NSEC_PER_SEC, NSEC_PER_SEC};

#define PID_FIRST 1000
#define PID_PROCESS 999

static void limits_begin(struct vm_limits *limits)
{
    memset(limits, 0, sizeof(*limits));
    for (int limit = 0; limit < VM_LIMIT_COUNT; limit++)
        limits->values[limit] = UNKNOWN;
    limits->cpu_period = limits->tasks = limits->previous = UNKNOWN;
    limits->asked = limits->answered = UNKNOWN;
}

static void wiring_begin(const struct scenario_guest *scenario, struct vm_snapshot *vm)
{
    vm->wiring.kvm = TRISTATE_YES;
    vm->wiring.encrypted = vm->wiring.shared = TRISTATE_NO;
    vm->wiring.vfio_groups = scenario->pinned ? 1 : 0;
    vm->memlock_soft = vm->memlock_hard = UNKNOWN;
    vm->definition = VM_DEFINITION_UNKNOWN;
    vm->callable = scenario->endable;
    if (scenario->endable) {
        vm->definition.savable = scenario->pinned ? TRISTATE_NO : TRISTATE_YES;
        vm->definition.vfio_devices = scenario->pinned ? 1 : 0;
    }
}

static void balloon_begin(const struct scenario_guest *scenario, struct vm_snapshot *vm)
{
    bool device = scenario->balloon != BALLOON_ABSENT;
    vm->balloon.device = vm->balloon.driver = device ? TRISTATE_YES : TRISTATE_NO;
    vm->balloon.deflate_on_oom = TRISTATE_NO;
    vm->balloon.free_page_reporting = scenario->reporting ? TRISTATE_YES : TRISTATE_NO;
    vm->balloon.actual = scenario->maximum;
    memset(&vm->statistics, 0xff, sizeof(vm->statistics)); /* all UNKNOWN */
    vm->measures.balloon_target = vm->measures.balloon_before = UNKNOWN;
}

void view_begin(struct model_guest *guest, uint32_t slot, uint64_t now)
{
    const struct scenario_guest *scenario = guest->scenario;
    struct vm_snapshot *vm = &guest->vm;
    memset(vm, 0, sizeof(*vm));
    vm->slot = slot;
    vm->identity = (struct vm_identity){.pid = (pid_t)(PID_FIRST + slot), .start_time = 1};
    vm->identity.uuid[0] = (uint8_t)(slot + 1);
    vm->identity.uuid[1] = (uint8_t)((slot + 1) >> 8);
    vm->sources = VM_SOURCE_PROC | VM_SOURCE_QMP;
    memcpy(vm->name, scenario->name, sizeof(vm->name));
    vm->first_seen = now;
    vm->process_state = VM_PROCESS_ALIVE;
    vm->run_state = VM_RUN_RUNNING;
    vm->monitor = VM_MONITOR_READY;
    vm->migration = VM_MIGRATION_NONE;
    vm->vcpu_cgroups = vm->vcpu_quotas = TRISTATE_YES;
    vm->maximum = scenario->maximum;
    vm->reclaim =
        (struct vm_reclaim){.possible = TRISTATE_YES, .asked = UNKNOWN, .answered = UNKNOWN};
    for (int node = 0; node < NODES_MAX; node++)
        vm->node_bytes[node] = UNKNOWN;
    limits_begin(&vm->limits);
    wiring_begin(scenario, vm);
    balloon_begin(scenario, vm);
    vm_classify(vm, &vm->kind, &vm->kind_reason);
}

static void show_statistics(struct model_guest *guest, uint64_t now)
{
    struct vm_snapshot *vm = &guest->vm;
    uint64_t has = vm->balloon.actual, idle = sub_or_zero(has, guest->used);
    switch (guest->scenario->report) {
    case REPORT_NONE:
        return;
    case REPORT_STALE:
        if (known(vm->statistics.updated))
            return;
        break;
    case REPORT_FULL:
        idle = 0;
        break;
    case REPORT_IDLE:
        idle = has;
        break;
    case REPORT_HONEST:
    case REPORT_MANNER_COUNT:
        break;
    }
    vm->statistics.updated = now;
    vm->statistics.total = has;
    vm->statistics.free = vm->statistics.available = idle;
    vm->statistics.disk_caches = 0;
}

static void show_memory(struct model_guest *guest, uint64_t now)
{
    struct vm_snapshot *vm = &guest->vm;
    vm->sampled = now;
    vm->rss = vm->rss_anonymous = vm->cgroup_current = guest_resident(guest);
    vm->swap = guest->swapped;
    vm->locked = guest->scenario->pinned ? guest->touched : 0;
}

static void show_guest(struct model_guest *guest, uint64_t now, enum band band, bool fresh)
{
    bool runs = !(guest->vm.measures.in_force & VM_MEASURE_PAUSE);
    if (fresh || now >= guest->next_look) {
        guest->next_look = now + look_interval[band];
        show_memory(guest, now);
    }
    if (guest->scenario->balloon == BALLOON_ABSENT || !runs)
        return;
    if (fresh || now >= guest->last_statistics + statistics_interval[band]) {
        guest->last_statistics = now;
        show_statistics(guest, now);
    }
}

static void show_host(const struct model *model, struct host_snapshot *host)
{
    const struct scenario_host *scenario = &model->scenario->host;
    uint64_t free = memory_free(model), locked = 0;
    for (uint32_t i = 0; i < model->guest_count; i++)
        if (model->guests[i].presence == PRESENCE_HERE && model->guests[i].scenario->pinned)
            locked += model->guests[i].touched;
    memset(host, 0xff, sizeof(*host)); /* all UNKNOWN */
    host->overcommit = OVERCOMMIT_UNKNOWN;
    host->scores_raise_only = false;
    host->node_count = 0;
    host->largest_tmpfs = (struct tmpfs_snapshot){.used = 0};
    host->total = scenario->total;
    host->free = free;
    host->available = memory_available(model);
    host->anonymous = scenario->total - free - model->cache - scenario->kernel;
    host->cached = model->cache;
    host->shmem = host->page_tables = 0;
    host->slab_unreclaimable = scenario->kernel;
    host->locked = locked;
    host->swap_total = scenario->swap;
    host->swap_free = model->swap_free;
    host->swap_rate = model->swap_rate;
    host->watermark_min = model->watermark_min;
    host->watermark_low = model->watermark_low;
    host->watermark_high = model->watermark_high;
    host->oom_kills = model->oom_kills;
    bool grows = model->process_wish > 0;
    host->largest_process = (struct process_snapshot){.pid = model->process > 0 ? PID_PROCESS : 0,
        .name = "process",
        .rss = model->process,
        .growth = grows ? (int64_t)scenario->process_growth : 0};
}

void view_show(struct model *model, struct snapshot *snapshot, enum band band, bool fresh)
{
    snapshot->time = snapshot->realtime = model->now;
    snapshot->sequence++;
    snapshot->reservation_count = 0;
    snapshot->vm_count = 0;
    show_host(model, &snapshot->host);
    for (uint32_t i = 0; i < model->guest_count; i++) {
        struct model_guest *guest = &model->guests[i];
        if (guest->presence != PRESENCE_HERE)
            continue;
        show_guest(guest, model->now, band, fresh);
        snapshot->vms[snapshot->vm_count++] = guest->vm;
    }
}
