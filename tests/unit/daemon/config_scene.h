/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A configuration file in a folder of its own, and what reading it said. Every function ends the
 * test when it fails.
 */
#ifndef PLIMSOLL_TESTS_CONFIG_SCENE_H
#define PLIMSOLL_TESTS_CONFIG_SCENE_H

#include "config.h"
#include "scratch.h"

struct config_scene {
    char folder[SCRATCH_FOLDER_MAX];
    char path[SCRATCH_FOLDER_MAX + 16];     /* p.conf */
    char drop_ins[SCRATCH_FOLDER_MAX + 32]; /* p.conf.d */
    char told[16384]; /* what the sink was told, a line each, without the folder */
    unsigned told_count;
};
extern struct config_scene scene;

/* Every section and key, and rules that overlap. */
extern const char config_good[];

/* Checked fixture. */
void config_scene_setup(void);
void config_scene_teardown(void);

void config_write_drop_in(const char *name, const char *text);
/* What config_load() returns of scene.path. */
int config_try(struct config **ret_config);
/* Writes TEXT to scene.path and loads it, without a word. */
struct config *config_load_good(const char *text);

#endif
