/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The cgroup of one guest as libvirt makes it, of ordinary files: a scope of systemd's, which has
 * pids.max, libvirt's nested group, which has the other limits, and the threaded one of its
 * emulator. Every function ends the test when it fails.
 */
#ifndef PLIMSOLL_TESTS_CGROUP_SCENE_H
#define PLIMSOLL_TESTS_CGROUP_SCENE_H

#include "fake_tree.h"

/* What /proc/PID/cgroup says of the guest. */
#define CGROUP_SCENE_PATH "/machine.slice/one.scope/libvirt/emulator"
/* Where limits stand, below the tree's folder. */
#define CGROUP_SCENE_SCOPE "unified/machine.slice/one.scope"
#define CGROUP_SCENE_GROUP CGROUP_SCENE_SCOPE "/libvirt"

/* It uses 1 GiB and 20 tasks; nothing is limited but tasks, by systemd. */
void cgroup_scene_make(struct fake_tree *tree, pid_t pid);
/* The first line of file NAME of the group, or of the scope where it begins with "pids". */
const char *cgroup_scene_read(const struct fake_tree *tree, const char *name);
void cgroup_scene_write(struct fake_tree *tree, const char *name, const char *text);
/* Ends the test unless all is as cgroup_scene_make() leaves it. */
void cgroup_scene_expect_unlimited(const struct fake_tree *tree);

#endif
