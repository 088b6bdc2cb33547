/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * memory.reclaim: the guest's own cgroup, as it was found when its files were opened. Right before
 * the piece is handed over, the kernel is asked once more whether the group holds this process and
 * nobody else: what others hold there is not ours to push out. Nothing is to be taken back, and so
 * the ledger has nothing of it.
 */
#include "act.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

int act_reclaim(
    struct vm *vm, struct writer *reclaimer, uint64_t bytes, enum mode mode, uint64_t now)
{
    struct vm_reclaim *reclaim = &vm->figures.reclaim;
    char text[WRITER_TEXT_MAX];

    if (bytes == 0)
        return -EINVAL;
    if (!vm_alive(vm))
        return -ESRCH;
    (void)snprintf(text, sizeof text, "%" PRIu64, bytes);
    int result = vm_sampler_reclaim_check(&vm->sampler, vm->figures.identity.pid);
    if (mode == MODE_DRY_RUN)
        return result;
    if (result == 0)
        result = writer_ask(reclaimer, vm->sampler.cgroup_reclaim_fd, text, vm->slot, now);
    /* It is the last that was asked of this guest, whatever comes of it. */
    reclaim->asked = now;
    reclaim->answered = result < 0 ? now : UNKNOWN;
    reclaim->result = result;
    return result;
}
