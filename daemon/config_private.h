/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the configuration's two halves share: config.c loads it, config_rules.c says what holds for
 * a guest and who says so. Nobody else includes this.
 */
#ifndef PLIMSOLL_DAEMON_CONFIG_PRIVATE_H
#define PLIMSOLL_DAEMON_CONFIG_PRIVATE_H

#include "config_keys.h"

/* The class of guests of which nobody says another. */
#define CONFIG_CLASS_DEFAULT "default"

struct rule_sections {
    struct rule_section *items;
    uint32_t count, allocated;
};

struct config {
    struct guard_section guard;
    struct config_place places[CONFIG_KEY_COUNT]; /* where its keys stand */
    struct rule_sections classes, vms;
    char *files[CONFIG_FILES_MAX];
    uint32_t file_count; /* while it is loaded the last one is being read */
};

/* NULL: no file has one. */
const struct rule_section *config_class_find(const struct config *config, const char *name);

#endif
