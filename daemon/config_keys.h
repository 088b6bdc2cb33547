/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of all keys: where each may stand, what reads it, where its value goes.
 */
#ifndef PLIMSOLL_DAEMON_CONFIG_KEYS_H
#define PLIMSOLL_DAEMON_CONFIG_KEYS_H

#include "config.h"
#include "config_parse.h"

#include <stdbool.h>
#include <stddef.h>

enum config_section {
    CONFIG_SECTION_GUARD,
    CONFIG_SECTION_MEMLOCK,
    CONFIG_SECTION_ADMISSION,
    CONFIG_SECTION_RECORD,
    CONFIG_SECTION_CLASS,
    CONFIG_SECTION_VM,
    CONFIG_SECTION_COUNT,
};
#define CONFIG_SECTION_BIT(section) (1u << (section))

/* Where the keys of [guard], [memlock], [admission] and [record] go. */
struct guard_section {
    struct guard_config guard;
    struct admission_config admission;
    struct record_config record;
    struct host_rules host;
};

#define CONFIG_KEY_COUNT 34

/* The main file and its drop-ins. */
#define CONFIG_FILES_MAX 64
#define CONFIG_PLACE_LINES (UINT32_C(1) << 26)
/* A line of one of them; 0: nowhere. In one word, for a full configuration has 100,000 of them. */
struct config_place {
    uint32_t file : 6;  /* below CONFIG_FILES_MAX */
    uint32_t line : 26; /* below CONFIG_PLACE_LINES; a file has no more than CONFIG_FILE_MAX */
};

/* Where the keys of [class NAME] and [vm NAME] go. */
struct rule_section {
    char name[VM_NAME_MAX];
    char match[CONFIG_TEXT_MAX];                  /* [vm] only; the name where no key says it */
    char class_name[CLASS_NAME_MAX];              /* [vm] only; empty: none */
    struct vm_rules rules;                        /* what SET says; the rest is nothing */
    uint64_t set;                                 /* bit N: config_keys[N] was given */
    struct config_place head;                     /* where it was begun first */
    struct config_place places[CONFIG_KEY_COUNT]; /* where the keys of SET stand */
};

struct config_key {
    const char *name;
    unsigned sections; /* CONFIG_SECTION_BIT()s */
    config_parser parser;
    size_t offset, size; /* in struct guard_section or struct rule_section */
};

extern const struct config_key config_keys[CONFIG_KEY_COUNT];

/* The section that is there once and has this HEAD; false: none is. */
bool config_section_find(const char *head, enum config_section *ret_section);

/* The index of the key NAME of SECTION, or -1. */
int config_key_find(enum config_section section, const char *name);

/* Whether config_keys[INDEX] is a rule of a guest: its value stands in struct vm_rules. */
bool config_key_is_rule(unsigned index);

/* TARGET takes from SOURCE what is set in [class] or [vm] section SOURCE and is a rule. */
void config_rules_overlay(struct vm_rules *target, const struct rule_section *source);

#endif
