/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A VM owns the descriptors of one QEMU process. Its pidfd is opened first and the start time read
 * through files opened after it: when both agree, pid, pidfd and files belong to the same process,
 * for as long as the VM lives, whatever becomes of the pid.
 */
#include "vm.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <plimsoll/cleanup.h>

/* /proc/PID/status has about 1.5 KiB; long lists of groups and CPUs come to a few more. */
#define STATUS_TEXT_MAX 8192

static void figures_unknown(struct vm_snapshot *figures)
{
    /* Every 64-bit quantity is unknown; of most enums the unknown is 0. */
    *figures = (struct vm_snapshot){
        .sampled = UNKNOWN,
        .rss = UNKNOWN,
        .rss_anonymous = UNKNOWN,
        .rss_file = UNKNOWN,
        .rss_shmem = UNKNOWN,
        .hugetlb = UNKNOWN,
        .swap = UNKNOWN,
        .page_tables = UNKNOWN,
        .locked = UNKNOWN,
        .pinned = UNKNOWN,
        .memlock_soft = UNKNOWN,
        .memlock_hard = UNKNOWN,
        .uid = UNKNOWN,
        .cgroup_current = UNKNOWN,
        .maximum = UNKNOWN,
        .vcpu_cgroups = TRISTATE_UNKNOWN,
        .vcpu_quotas = TRISTATE_UNKNOWN,
        .balloon.actual = UNKNOWN,
        .statistics = {UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN},
        .resizable = VM_RESIZABLE_UNKNOWN,
        .definition = VM_DEFINITION_UNKNOWN,
        .migration = VM_MIGRATION_UNKNOWN,
        .reclaim = {.asked = UNKNOWN, .answered = UNKNOWN},
        .limits = {.cpu_period = UNKNOWN,
            .tasks = UNKNOWN,
            .previous = UNKNOWN,
            .asked = UNKNOWN,
            .answered = UNKNOWN},
        .measures = {.balloon_target = UNKNOWN,
            .balloon_before = UNKNOWN,
            .balloon_since = UNKNOWN,
            .paused_since = UNKNOWN,
            .killed_since = UNKNOWN,
            .braked_since = UNKNOWN,
            .ending_until = UNKNOWN,
            .resize_previous = UNKNOWN},
    };
    for (unsigned i = 0; i < NODES_MAX; i++)
        figures->node_bytes[i] = UNKNOWN;
    for (unsigned i = 0; i < VM_LIMIT_COUNT; i++)
        figures->limits.values[i] = UNKNOWN;
}

int vm_new(uint32_t slot, const struct vm_identity *identity, const struct roots *roots,
    const struct cgroup_mounts *mounts, struct ledger *ledger, struct vm **ret_vm)
{
    struct vm *vm = calloc(1, sizeof *vm);
    int result;

    if (!vm)
        return -ENOMEM;
    vm->slot = slot;
    vm->ledger = ledger;
    vm->roots = roots;
    vm->exit = LOOP_SOURCE_NONE;
    vm->sampler = (struct vm_sampler)VM_SAMPLER_CLOSED;
    figures_unknown(&vm->figures);
    vm->figures.identity = *identity;
    vm->figures.slot = slot;
    vm->pidfd = process_hold(identity->pid);
    if (vm->pidfd < 0) {
        result = vm->pidfd;
        goto fail;
    }
    result = vm_sampler_open(&vm->sampler, roots, mounts, identity);
    if (result < 0)
        goto fail;
    *ret_vm = vm;
    return 0;
fail:
    vm_free(vm);
    return result;
}

struct vm *vm_free(struct vm *vm)
{
    if (!vm)
        return NULL;
    virt_guest_join(vm, NULL, NULL);
    vm_close_freeze(vm);
    vm_close_quotas(vm);
    vm_sampler_close(&vm->sampler);
    if (vm->pidfd >= 0)
        close(vm->pidfd);
    free(vm);
    return NULL;
}

void vm_close_freeze(struct vm *vm)
{
    for (unsigned i = 0; i < vm->freeze_count; i++)
        close(vm->freeze_fds[i]);
    vm->freeze_count = 0;
}

void vm_close_quotas(struct vm *vm)
{
    for (unsigned i = 0; i < vm->quota_count; i++)
        close(vm->quota_fds[i]);
    vm->quota_count = 0;
}

bool vm_may_be_silent(const struct vm *vm)
{
    bool grace = vm->brake_ended != 0 && sub_or_zero(loop_now(), vm->brake_ended) < VM_BRAKE_GRACE;

    bool slowed = vm_has(vm, VM_MEASURE_CONTAIN) &&
                  (vm->figures.measures.contained & VM_LIMIT_BIT(VM_LIMIT_MEMORY_HIGH));

    return grace || slowed || vm_has(vm, VM_MEASURE_FROZEN | VM_MEASURE_BRAKED | VM_MEASURE_SAVING);
}

void vm_answered(struct vm *vm, uint64_t now)
{
    uint64_t length = silence_end(&vm->silence, now);

    if (length > 0)
        log_message(LOG_NOTICE, "%s: its QEMU answers again; for %llu s it did not, or not in time",
            vm->figures.name, (unsigned long long)(length / NSEC_PER_SEC));
}

bool vm_alive(const struct vm *vm)
{
    struct pollfd ended = {.fd = vm->pidfd, .events = POLLIN};

    return !vm->gone && poll(&ended, 1, 0) == 0;
}

void vm_write_ledger(struct vm *vm)
{
    struct ledger_entry entry = {
        .identity = vm->figures.identity,
        .measures = vm->figures.measures,
        .oom_score_before = vm->oom_score_before,
        .oom_score_previous = vm->oom_score_previous,
        .memlock_soft_before = vm->memlock_before.soft,
        .memlock_hard_before = vm->memlock_before.hard,
        .quota_before = vm->quota_before,
        .limit_written = vm->figures.limits.written,
        .limit_previous = vm->figures.limits.previous,
        .resize_by_libvirt = vm->virt.link != NULL,
        .reason = vm->reason,
    };

    memcpy(entry.name, vm->figures.name, sizeof entry.name);
    if (vm->monitor)
        (void)snprintf(entry.monitor, sizeof entry.monitor, "%s", monitor_path(vm->monitor));
    else
        memcpy(entry.monitor, vm->monitor_before, sizeof entry.monitor);
    ledger_put(vm->ledger, vm->slot, &entry);
}

/* A SIGKILL is pending for the process: it is dying, however long that takes. */
static bool kill_is_pending(const struct vm *vm)
{
    static const char *const masks[] = {"SigPnd:", "ShdPnd:"};
    char text[STATUS_TEXT_MAX];
    ssize_t length = pread(vm->sampler.status_fd, text, sizeof text - 1, 0);

    if (length <= 0)
        return false;
    text[length] = '\0';
    for (size_t i = 0; i < ELEMENTSOF(masks); i++) {
        const char *mask = strstr(text, masks[i]);

        if (mask && strtoull(mask + strlen(masks[i]), NULL, 16) >> (SIGKILL - 1) & 1)
            return true;
    }
    return false;
}

void vm_adopt(struct vm *vm, const struct ledger_entry *entry)
{
    struct vm_measures *measures = &vm->figures.measures;

    memcpy(vm->figures.name, entry->name, sizeof vm->figures.name);
    memcpy(vm->figures.identity.uuid, entry->identity.uuid, UUID_SIZE);
    memcpy(vm->monitor_before, entry->monitor, sizeof vm->monitor_before);
    *measures = entry->measures;
    vm->oom_score_before = entry->oom_score_before;
    vm->oom_score_previous = entry->oom_score_previous;
    vm->memlock_before.soft = entry->memlock_soft_before;
    vm->memlock_before.hard = entry->memlock_hard_before;
    vm->quota_before = entry->quota_before;
    vm->figures.limits.written = entry->limit_written;
    vm->figures.limits.previous = entry->limit_previous;
    vm->reason = entry->reason;
    vm->frozen_since = loop_now();
    /* Nobody heard whether a STOP event came. It was running when the ledger was written, and the
     * `stop` went out with the next instruction: if it is paused now, that was us. */
    vm->stop_seen = true;
    if (vm_has(vm, VM_MEASURE_KILLED) && !kill_is_pending(vm)) {
        measures->in_force &= ~(uint32_t)VM_MEASURE_KILLED;
        measures->killed_since = UNKNOWN;
    }
    vm_write_ledger(vm);
}
