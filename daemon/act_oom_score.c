/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * oom_score_adj: the kernel's own choice, made to agree with the policy's for the case that the
 * guard is dead or too late. The file is opened by pid and written only if the pidfd says that the
 * process has not ended since: then it was that process's file.
 */
#include "act.h"
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static int score_open(const struct vm *vm, const struct roots *roots)
{
    char path[256];
    int fd, result;

    (void)snprintf(
        path, sizeof path, "%s/%d/oom_score_adj", roots->proc, (int)vm->figures.identity.pid);
    fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        result = -errno;
        return result == -ENOENT ? -ESRCH : result;
    }
    if (!vm_alive(vm)) {
        close(fd);
        return -ESRCH;
    }
    return fd;
}

static void measure_end(struct vm *vm)
{
    vm->figures.measures.in_force &= ~(uint32_t)VM_MEASURE_OOM_SCORE;
    vm->figures.measures.oom_score_set = 0;
    vm_write_ledger(vm);
}

/* CURRENT is a score that we set, this one or the one before it. */
static bool score_is_ours(const struct vm *vm, int32_t current)
{
    return vm_has(vm, VM_MEASURE_OOM_SCORE) &&
           (current == vm->figures.measures.oom_score_set || current == vm->oom_score_previous);
}

static int score_change(struct vm *vm, int fd, int32_t current, int32_t score)
{
    struct vm_measures *measures = &vm->figures.measures;
    bool ours = score_is_ours(vm, current);
    int result;

    vm->oom_score_before = ours ? vm->oom_score_before : current;
    vm->oom_score_previous = current;
    measures->in_force |= VM_MEASURE_OOM_SCORE;
    measures->oom_score_set = score;
    vm_write_ledger(vm);
    result = process_score_write(fd, score);
    if (result == 0) {
        vm->figures.oom_score_adj = score;
    } else if (ours) {
        measures->oom_score_set = current;
        vm_write_ledger(vm);
    } else {
        measure_end(vm);
    }
    return result;
}

int act_oom_score(struct vm *vm, const struct roots *roots, int32_t score, enum mode mode)
{
    int32_t current = 0;
    int fd, result;

    if (score < PROCESS_SCORE_MIN || score > PROCESS_SCORE_MAX)
        return -EINVAL;
    fd = score_open(vm, roots);
    if (fd < 0)
        return fd;
    result = process_score_read(fd, &current);
    if (result == 0 && mode == MODE_ENFORCE)
        result = score_change(vm, fd, current, score);
    close(fd);
    return result;
}

int act_oom_score_restore(struct vm *vm, const struct roots *roots)
{
    int32_t current = 0;
    int fd, result;

    if (!vm_has(vm, VM_MEASURE_OOM_SCORE))
        return -EALREADY;
    fd = score_open(vm, roots);
    if (fd < 0)
        return fd;
    result = process_score_read(fd, &current);
    /* Somebody else's value stays; the measure is over either way. */
    if (result == 0 && score_is_ours(vm, current))
        result = process_score_write(fd, vm->oom_score_before);
    close(fd);
    if (result == 0)
        measure_end(vm);
    return result;
}
