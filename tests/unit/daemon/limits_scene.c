/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the limit, and prlimit(), which the linker takes from here rather than from libc. */
#include "limits_scene.h"

#include <errno.h>
#include <plimsoll/units.h>
#include <stddef.h>
#include <sys/types.h>

struct limits_scene limits;

void limits_begin(void)
{
    limits = (struct limits_scene){.limit = {64 * MIB, RLIM_INFINITY}};
}

bool limits_are(uint64_t soft, uint64_t hard)
{
    return limits.limit.rlim_cur == soft && limits.limit.rlim_max == hard;
}

int prlimit(pid_t pid, __rlimit_resource_t resource, const struct rlimit *new_limit,
    struct rlimit *old_limit)
{
    void (*before_set)(void) = limits.before_set;

    if (pid <= 0 || resource != RLIMIT_MEMLOCK) {
        errno = EINVAL;
        return -1;
    }
    if (new_limit && before_set) {
        limits.before_set = NULL;
        before_set();
    }
    if (new_limit && limits.error) {
        errno = limits.error;
        return -1;
    }
    if (old_limit)
        *old_limit = limits.limit;
    if (new_limit) {
        limits.limit = *new_limit;
        limits.sets++;
    }
    return 0;
}
