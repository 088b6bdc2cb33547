/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Limits of the guest's own cgroup. memory.max and cpu.max libvirt sets for its domains, where it
 * is there, so that both agree; else a process of ours writes them, for lowering one may reclaim
 * inside the writer. Raising one to what it was does not, and is done here. Right
 * before a limit is handed over, the group is asked once more whether it is the guest's alone, the
 * limit whether it is what it was, and the use whether the limit leaves room above it; and what the
 * kernel has counts in the end, not what libvirt answers.
 *
 * The ledger has the limit before it is written, and beside it what it was until then: a write that
 * nobody answered for, or during which the guard ended, leaves either in force. That doubt lasts
 * until the kernel shows which, or that somebody else has set a third: forgotten earlier, what is
 * ours would be taken for theirs, and stay.
 */
#include "act.h"
#include "cgroup_limit.h"
#include "kernel_file.h"

#include <errno.h>
#include <string.h>

#include <plimsoll/cleanup.h>
#include <plimsoll/policy.h>

/* Behind others' calls in libvirt, and what the kernel takes to reclaim; less than the policy's
 * patience. */
#define CALL_TIMEOUT (10 * NSEC_PER_SEC)

static bool is_held(const struct vm *vm, enum vm_limit limit)
{
    return vm_has(vm, VM_MEASURE_CONTAIN) && (vm->figures.measures.contained & VM_LIMIT_BIT(limit));
}

static bool is_writing(const struct vm_limits *limits)
{
    return known(limits->asked) && !known(limits->answered);
}

/* As it was before the last write that may not have come to be; UNKNOWN: there is none. */
static uint64_t previous_of(const struct vm_limits *limits, enum vm_limit limit)
{
    return limits->written == limit ? limits->previous : UNKNOWN;
}

static void limit_end(struct vm *vm, enum vm_limit limit)
{
    struct vm_measures *measures = &vm->figures.measures;

    measures->contained &= ~VM_LIMIT_BIT(limit);
    measures->limits[limit] = (struct vm_contained){0};
    if (measures->contained == 0)
        measures->in_force &= ~(uint32_t)VM_MEASURE_CONTAIN;
    vm_write_ledger(vm);
}

static void limit_look(struct vm *vm, enum vm_limit limit)
{
    uint64_t *value = &vm->figures.limits.values[limit];

    if (limit_read(&vm->sampler.limits, limit, value) < 0)
        *value = UNKNOWN;
}

/* The last write has come to be, or will not: what the kernel has now is what was set. False: it is
 * what it was before. Where that cannot be read the doubt stays. */
static bool limit_settle(struct vm *vm)
{
    struct vm_limits *limits = &vm->figures.limits;
    const enum vm_limit limit = limits->written;
    struct vm_contained *ours = &vm->figures.measures.limits[limit];

    limit_look(vm, limit);
    if (!known(limits->values[limit]))
        return true;
    bool unchanged = is_held(vm, limit) && limits->values[limit] == limits->previous;
    if (unchanged)
        ours->set = limits->previous;
    limits->previous = UNKNOWN;
    if (is_held(vm, limit) && ours->set == ours->before)
        limit_end(vm, limit);
    else
        vm_write_ledger(vm);
    return !unchanged;
}

/* There is room for one doubt: by now an older one is none. -EAGAIN: it is, still. */
static int doubt_end(struct vm *vm)
{
    if (known(vm->figures.limits.previous))
        (void)limit_settle(vm);
    return known(vm->figures.limits.previous) ? -EAGAIN : 0;
}

/* Whether it leaves room above what is used now. */
static int room_check(const struct vm *vm, enum vm_limit limit, uint64_t value)
{
    uint64_t use;

    if (limit != VM_LIMIT_MEMORY_MAX && limit != VM_LIMIT_PIDS_MAX)
        return 0;
    int result = limit_use_read(&vm->sampler.limits, limit, &use);
    if (result < 0)
        return result;
    return value < contain_least(limit, use) ? -ERANGE : 0;
}

/* Fills what is in force, where VALUE may take its place. */
static int value_check(
    const struct vm *vm, enum vm_limit limit, uint64_t value, uint64_t *ret_current)
{
    const struct vm_contained *ours = &vm->figures.measures.limits[limit];
    uint64_t current = 0;

    int result =
        limit_check(&vm->sampler.limits, limit, vm->sampler.proc, vm->figures.identity.pid);
    if (result == 0)
        result = limit_read(&vm->sampler.limits, limit, &current);
    if (result < 0)
        return result;
    if (is_held(vm, limit) && current != ours->set)
        return -ESTALE;
    if (value >= (is_held(vm, limit) ? ours->before : current) || value == current)
        return -EALREADY;
    if (value < current)
        result = room_check(vm, limit, value);
    *ret_current = current;
    return result;
}

/* Whether LIMIT is libvirt's to set, and by which call. */
static bool is_by_libvirt(
    const struct vm *vm, enum vm_limit limit, enum virt_operation *ret_operation)
{
    if (!virt_guest_is_callable(vm))
        return false;
    switch (limit) {
    case VM_LIMIT_MEMORY_MAX:
        *ret_operation = VIRT_OPERATION_SET_HARD_LIMIT;
        return true;
    case VM_LIMIT_CPU_MAX:
        *ret_operation = VIRT_OPERATION_SET_QUOTA;
        return true;
    /* It may lie below the use, and libvirt would hold the domain for as long as the kernel
     * reclaims; and one for a shortage would go along with a domain that is migrated or saved. */
    case VM_LIMIT_MEMORY_HIGH:
    case VM_LIMIT_PIDS_MAX:
    case VM_LIMIT_OOM_GROUP:
    case VM_LIMIT_COUNT:
        break;
    }
    return false;
}

static void on_result(const struct virt_result *result, void *userdata)
{
    struct vm *vm = userdata;

    vm->virt.limiting = false;
    if (result->result < 0)
        log_message(LOG_WARNING, "%s: libvirt has not set its %s: %s", vm->figures.name,
            vm_limit_name(vm->figures.limits.written),
            result->text[0] != '\0' ? result->text : strerror(-result->result));
    act_contain_answered(
        vm, virt_result_is_open(result->result) ? -ETIMEDOUT : result->result, loop_now());
}

static int limit_hand_over(
    struct vm *vm, struct writer *writer, enum vm_limit limit, uint64_t value, uint64_t now)
{
    CLEANUP(kernel_file_close_at) int fd = -1;
    enum virt_operation operation;
    char text[LIMIT_TEXT_MAX];

    if (is_by_libvirt(vm, limit, &operation))
        return virt_guest_limit(
            vm, operation, value == VM_LIMIT_NONE ? UNKNOWN : value, now, CALL_TIMEOUT, on_result);
    fd = limit_open(&vm->sampler.limits, limit);
    if (fd < 0)
        return fd;
    limit_format(limit, value, text);
    return writer_ask(writer, fd, text, vm->slot, now);
}

static int limit_set(struct vm *vm, struct writer *writer, enum vm_limit limit, uint64_t value,
    uint64_t current, uint64_t now)
{
    struct vm_measures *measures = &vm->figures.measures;
    const struct vm_measures kept = *measures;
    struct vm_limits *limits = &vm->figures.limits;
    const enum vm_limit written = limits->written;
    const uint64_t previous = limits->previous;

    if (!is_held(vm, limit))
        measures->limits[limit].before = current;
    measures->limits[limit].set = value;
    measures->in_force |= VM_MEASURE_CONTAIN;
    measures->contained |= VM_LIMIT_BIT(limit);
    limits->written = limit;
    limits->previous = current;
    vm_write_ledger(vm);
    int result = limit_hand_over(vm, writer, limit, value, now);
    if (result < 0) {
        *measures = kept;
        limits->written = written;
        limits->previous = previous;
        vm_write_ledger(vm);
    }
    return result;
}

int act_contain(struct vm *vm, struct writer *writer, enum vm_limit limit, uint64_t value,
    enum mode mode, uint64_t now)
{
    struct vm_limits *limits = &vm->figures.limits;
    uint64_t current = UNKNOWN;
    int result = 0;

    if ((unsigned)limit >= VM_LIMIT_COUNT || value == 0 || value >= VM_LIMIT_NONE)
        return -EINVAL;
    if (is_writing(limits))
        return -EBUSY;
    if (mode == MODE_ENFORCE)
        result = doubt_end(vm);
    if (result == 0)
        result = vm_alive(vm) ? value_check(vm, limit, value, &current) : -ESRCH;
    if (mode == MODE_DRY_RUN)
        return result;
    if (result == 0)
        result = limit_set(vm, writer, limit, value, current, now);
    /* It is the last that was asked of this guest, whatever comes of it. */
    limits->asked = now;
    limits->answered = result < 0 ? now : UNKNOWN;
    limits->result = result;
    return result;
}

void act_contain_answered(struct vm *vm, int result, uint64_t now)
{
    struct vm_limits *limits = &vm->figures.limits;

    limits->answered = now;
    limits->result = result;
    /* Whoever hangs in the kernel may yet come to set it: both stay in the ledger. */
    if (result != -ETIMEDOUT && !limit_settle(vm) && result == 0)
        limits->result = -EIO; /* told that it was done, and it was not */
}

/* As limit_restore(); what was before is one more limit for libvirt to set, and ends the measure
 * when it is. */
static int restore_by_libvirt(struct vm *vm, enum vm_limit limit, uint64_t now)
{
    const struct vm_contained ours = vm->figures.measures.limits[limit];
    uint64_t value, previous = previous_of(&vm->figures.limits, limit);
    int result = vm->figures.limits.written == limit ? 0 : doubt_end(vm);

    if (result == 0)
        result = limit_read(&vm->sampler.limits, limit, &value);
    if (result < 0 || value == ours.before)
        return result;
    if (value != ours.set && !(known(previous) && value == previous))
        return -ESTALE;
    return limit_set(vm, NULL, limit, ours.before, value, now);
}

int act_contain_restore(struct vm *vm, enum vm_limit limit, uint64_t now)
{
    struct vm_limits *limits = &vm->figures.limits;
    enum virt_operation operation;
    int result;

    if ((unsigned)limit >= VM_LIMIT_COUNT)
        return -EINVAL;
    if (!is_held(vm, limit))
        return -EALREADY;
    if (is_writing(limits))
        return -EBUSY;
    if (!vm_alive(vm))
        return -ESRCH;
    if (is_by_libvirt(vm, limit, &operation))
        result = restore_by_libvirt(vm, limit, now);
    else
        result = limit_restore(&vm->sampler.limits, limit, &vm->figures.measures.limits[limit],
            previous_of(limits, limit), false);
    if (result == 0 && vm->virt.limiting) {
        limits->asked = now;
        limits->answered = UNKNOWN;
        limits->result = 0;
        return 0;
    }
    /* Somebody else's value stays; the measure is over either way. */
    if (result == -ESTALE)
        result = 0;
    limit_look(vm, limit);
    if (result == 0) {
        if (limits->written == limit)
            limits->previous = UNKNOWN;
        limit_end(vm, limit);
        return 0;
    }
    limits->asked = limits->answered = now;
    limits->result = result;
    return result;
}

int act_contain_restore_all(struct vm *vm, uint64_t now)
{
    int first = 0;

    for (int limit = 0; limit < VM_LIMIT_COUNT; limit++) {
        if (!is_held(vm, (enum vm_limit)limit))
            continue;
        int result = act_contain_restore(vm, (enum vm_limit)limit, now);
        first = first < 0 ? first : result;
    }
    return first;
}
