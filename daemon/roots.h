/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the kernel's files are: "/proc", "/sys" and "/dev" on a host, a folder of fakes in the
 * tests. The cgroup mounts are found through PROC/self/mountinfo, whose mount points are taken as
 * they stand.
 */
#ifndef PLIMSOLL_DAEMON_ROOTS_H
#define PLIMSOLL_DAEMON_ROOTS_H

struct roots {
    const char *proc;
    const char *sys;
    const char *dev; /* of kmsg alone; NULL: nobody looks for it */
};

#endif
