/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A /proc, a /sys and cgroup mounts made of ordinary files in a temporary folder. Files that are
 * written again keep their inode, so that descriptors kept open see the new text, as in the real
 * one. Every function ends the test when it fails.
 */
#ifndef PLIMSOLL_TESTS_FAKE_TREE_H
#define PLIMSOLL_TESTS_FAKE_TREE_H

#include "roots.h"
#include "scratch.h"

#include <stdint.h>
#include <sys/types.h>

struct fake_tree {
    char folder[SCRATCH_FOLDER_MAX];
    char proc[80], sys[80];
    char unified[80], memory[80]; /* where the cgroup hierarchies are "mounted" */
    struct roots roots;
};

struct fake_tree *fake_tree_new(void);
struct fake_tree *fake_tree_free(struct fake_tree *tree);

/* PATH is below the tree's folder: "proc/meminfo", "sys/…", "unified/…", "memory/…". */
void fake_tree_write(struct fake_tree *tree, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void fake_tree_write_bytes(
    struct fake_tree *tree, const char *path, const void *bytes, size_t length);
void fake_tree_link(struct fake_tree *tree, const char *path, const char *target);
void fake_tree_remove(struct fake_tree *tree, const char *path);

/* A host of 16 GiB in two nodes, with swap, PSI and a 2 MiB huge page pool. */
void fake_tree_host(struct fake_tree *tree);

enum fake_cgroups {
    FAKE_CGROUPS_V1,
    FAKE_CGROUPS_V2,
    FAKE_CGROUPS_HYBRID
};
/* PROC/self/mountinfo. */
void fake_tree_mounts(struct fake_tree *tree, enum fake_cgroups cgroups);

struct fake_process {
    pid_t pid;
    uint64_t start_time;
    const char *name; /* NULL: "qemu-system-x86" */
    char state;       /* 0: 'S' */
    uint64_t rss_kib;
    const char *executable; /* NULL: no link */
};
/* stat, statm, status, limits, oom_score_adj, an empty command line and no descriptors. */
void fake_tree_process(struct fake_tree *tree, const struct fake_process *process);
/* Arguments up to a NULL. */
void fake_tree_cmdline(struct fake_tree *tree, pid_t pid, const char *const *arguments);

#endif
