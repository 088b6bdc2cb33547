/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which mounted tmpfs holds the host's memory, for the alert that must name it. The mounts are the
 * init process's: under the shipped unit the guard has a /tmp and a /dev of its own, and what it
 * sees there is not the host's.
 */
#ifndef PLIMSOLL_DAEMON_SAMPLE_TMPFS_H
#define PLIMSOLL_DAEMON_SAMPLE_TMPFS_H

#include "roots.h"

#include <plimsoll/plan.h>

struct tmpfs_sampler;

/* Without the right to see the init process's mounts it says so on the diagnostics log, once, and
 * never knows any. Returns 0 or -ENOMEM. */
int tmpfs_sampler_new(const struct roots *roots, struct tmpfs_sampler **ret_sampler);
struct tmpfs_sampler *tmpfs_sampler_free(struct tmpfs_sampler *sampler);

/* Looks at the mounts where that is due: every ten seconds in calm, each second else, at once when
 * the band has become worse. Some 50 µs on a usual host, 3 ms at its bounds: not for the emergency
 * path. No allocation; does not block, whatever is mounted over or around a tmpfs. */
void tmpfs_sampler_advance(struct tmpfs_sampler *sampler, enum band band, uint64_t now);

/* As of the last look: the fastest growing if any grew by more than 1 MiB/s, else the largest. */
void tmpfs_sampler_largest(const struct tmpfs_sampler *sampler, struct tmpfs_snapshot *ret_tmpfs);

#endif
