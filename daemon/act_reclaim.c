/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * memory.reclaim: the guest's own cgroup, as it was found when its files were opened. Right before
 * the piece is handed over, the kernel is asked once more whether the group holds this process and
 * nobody else: what others hold there is not ours to push out. Nothing is to be taken back, and so
 * the ledger has nothing of it.
 */
#include "act.h"

#include <errno.h>

int act_reclaim(
    struct vm *vm, struct reclaimer *reclaimer, uint64_t bytes, enum mode mode, uint64_t now)
{
    struct vm_reclaim *reclaim = &vm->figures.reclaim;

    if (bytes == 0)
        return -EINVAL;
    if (!vm_alive(vm))
        return -ESRCH;
    int result = vm_sampler_reclaim_check(&vm->sampler, vm->figures.identity.pid);
    if (mode == MODE_DRY_RUN)
        return result;
    if (result == 0)
        result =
            reclaimer_ask(reclaimer, vm->sampler.cgroup_reclaim_fd, bytes, (uint64_t)vm->slot, now);
    /* It is the last that was asked of this guest, whatever comes of it. */
    reclaim->asked = now;
    reclaim->answered = result < 0 ? now : UNKNOWN;
    reclaim->result = result;
    return result;
}
