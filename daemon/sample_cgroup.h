/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a process to its cgroups: where /proc/PID/cgroup says it stands, seen through the mounts of
 * this host. No name is ever derived.
 */
#ifndef PLIMSOLL_DAEMON_SAMPLE_CGROUP_H
#define PLIMSOLL_DAEMON_SAMPLE_CGROUP_H

#include "sample_vm.h"

#include <limits.h>

enum cgroup_hierarchy {
    CGROUP_UNIFIED,   /* v2 */
    CGROUP_MEMORY_V1, /* v1's memory controller */
};

/* The folder of the cgroup in which the process or thread stands whose /proc folder is PROCESS (an
 * fd, or AT_FDCWD with PATH whole); PATH is "cgroup" or "task/TID/cgroup". -ENOENT: it is in none
 * of that hierarchy, or in one that no mount of ours shows; -ENAMETOOLONG; else negative errno. */
int cgroup_folder_find(const struct cgroup_mounts *mounts, enum cgroup_hierarchy hierarchy,
    int process, const char *path, char ret_folder[PATH_MAX]);

/* The folder of the cgroup PATH ("/" is the hierarchy's root, as we see it). Errors as above; that
 * there is such a folder is not looked at. */
int cgroup_path_find(const struct cgroup_mounts *mounts, enum cgroup_hierarchy hierarchy,
    const char *path, char ret_folder[PATH_MAX]);

/* The folder of the v2 cgroup that counts PROCESS's memory: its own, or the domain of a threaded
 * one. Errors as above. */
int cgroup_domain_find(const struct cgroup_mounts *mounts, int process, char ret_folder[PATH_MAX]);
/* A descriptor to open its files by, which is that cgroup for as long as it is open. */
int cgroup_folder_open(const char *folder);
/* Whether its cgroup.procs speaks for all that it counts: it does for a leaf and for a threaded
 * domain, which lists the processes of all threads below it; another group may have others below
 * whose memory is charged to it. */
bool cgroup_is_whole(int folder);

/* Opens memory.reclaim for writing, and the list of processes, of the v2 cgroup that counts
 * PROCESS, where that list speaks for all that is charged to it; else -1 both. */
void cgroup_reclaim_open(
    const struct cgroup_mounts *mounts, int process, int *ret_reclaim_fd, int *ret_procs_fd);
/* PROCS is such a list: PID stands on it and nobody else who has memory; PROC is where /proc is.
 * KVM puts a kernel thread of each VM there (kvm_vm_create_worker_thread(), for nx_huge_pages). */
bool cgroup_is_own(int procs, const char *proc, pid_t pid);

/* Opens the two memory files that count PROCESS, -1 each where there is none. */
void cgroup_memory_open(
    const struct cgroup_mounts *mounts, int process, int *ret_current_fd, int *ret_numa_fd);

#endif
