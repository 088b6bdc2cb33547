/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the way from a process to the limits of its cgroup, from what /proc says now. A limit that
 * is still ours is told by its value: should the process have moved, another group's is not
 * touched.
 */
#include "undo_process.h"

#include "cgroup_limit.h"
#include "sample_cgroup.h"

#include <errno.h>
#include <plimsoll/cleanup.h>

DEFINE_CLEANUP(struct cgroup_mounts *, cgroup_mounts_free);

int undo_process_unlimit(const struct roots *roots, const struct undo_process *process,
    enum vm_limit limit, const struct vm_contained *ours, uint64_t previous)
{
    CLEANUP(cgroup_mounts_free_at) struct cgroup_mounts *mounts = NULL;
    struct limit_group group;

    int result = cgroup_mounts_new(roots, &mounts);
    if (result < 0)
        return result;
    limit_group_open(mounts, process->folder, &group);
    result = group.folder < 0 ? -ENODEV : limit_restore(&group, limit, ours, previous, true);
    limit_group_close(&group);
    return result;
}
