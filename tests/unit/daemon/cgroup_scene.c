/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns nothing: the texts are as Linux 6.1 writes them. */
#include "cgroup_scene.h"

#include <check.h>
#include <limits.h>
#include <plimsoll/cleanup.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *text;
} files[] = {
    {"memory.high", "max\n"},
    {"memory.max", "max\n"},
    {"memory.oom.group", "0\n"},
    {"memory.current", "1073741824\n"},
    {"cpu.max", "max 100000\n"},
    {"pids.max", "16384\n"},
    {"pids.current", "20\n"},
};

static const char *folder_of(const char *name)
{
    return strncmp(name, "pids", 4) == 0 ? CGROUP_SCENE_SCOPE : CGROUP_SCENE_GROUP;
}

void cgroup_scene_write(struct fake_tree *tree, const char *name, const char *text)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/%s", folder_of(name), name);
    fake_tree_write(tree, path, "%s", text);
}

const char *cgroup_scene_read(const struct fake_tree *tree, const char *name)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/%s/%s", tree->folder, folder_of(name), name);
    return scratch_read(path);
}

void cgroup_scene_make(struct fake_tree *tree, pid_t pid)
{
    char path[64];

    (void)snprintf(path, sizeof path, "proc/%d/cgroup", (int)pid);
    fake_tree_write(tree, path, "0::%s\n", CGROUP_SCENE_PATH);
    fake_tree_write(tree, CGROUP_SCENE_SCOPE "/cgroup.type", "domain\n");
    fake_tree_write(tree, CGROUP_SCENE_SCOPE "/cgroup.stat", "nr_descendants 3\n");
    fake_tree_write(tree, CGROUP_SCENE_SCOPE "/cgroup.procs", "%s", "");
    fake_tree_write(tree, CGROUP_SCENE_GROUP "/cgroup.type", "domain threaded\n");
    fake_tree_write(tree, CGROUP_SCENE_GROUP "/cgroup.stat", "nr_descendants 2\n");
    fake_tree_write(tree, CGROUP_SCENE_GROUP "/cgroup.procs", "%d\n", (int)pid);
    fake_tree_write(tree, CGROUP_SCENE_GROUP "/emulator/cgroup.type", "threaded\n");
    for (size_t i = 0; i < ELEMENTSOF(files); i++)
        cgroup_scene_write(tree, files[i].name, files[i].text);
}

void cgroup_scene_expect_unlimited(const struct fake_tree *tree)
{
    for (size_t i = 0; i < ELEMENTSOF(files); i++)
        ck_assert_str_eq(cgroup_scene_read(tree, files[i].name), files[i].text);
}
