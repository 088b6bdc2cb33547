/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cpu.max of a vCPU's cgroup, by a descriptor that is kept open. Nothing here allocates.
 */
#ifndef PLIMSOLL_DAEMON_VCPU_QUOTA_H
#define PLIMSOLL_DAEMON_VCPU_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

/* So many µs of a processor in each period of so many µs. */
struct vcpu_quota {
    uint64_t quota; /* VCPU_QUOTA_NONE: "max", as libvirt leaves it */
    uint64_t period;
};
#define VCPU_QUOTA_NONE UINT64_MAX

static inline bool vcpu_quota_equal(struct vcpu_quota a, struct vcpu_quota b)
{
    return a.quota == b.quota && a.period == b.period;
}

/* 0, -EBADMSG where the file does not say, or what reading failed with. */
int vcpu_quota_read(int fd, struct vcpu_quota *ret_quota);
/* Writes TO if FROM is in force; -ESTALE: something else is. */
int vcpu_quota_exchange(int fd, struct vcpu_quota from, struct vcpu_quota to);

#endif
