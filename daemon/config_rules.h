/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What holds for one guest, and for each value of it who says so: a line of a file, the domain's
 * own metadata, or nobody, which is a built-in default.
 */
#ifndef PLIMSOLL_DAEMON_CONFIG_RULES_H
#define PLIMSOLL_DAEMON_CONFIG_RULES_H

#include "config.h"
#include "config_keys.h"

enum config_origin_kind {
    CONFIG_ORIGIN_BUILT_IN,
    CONFIG_ORIGIN_FILE,
    CONFIG_ORIGIN_METADATA,
    CONFIG_ORIGIN_KIND_COUNT,
};

/* Strings are the configuration's. */
struct config_origin {
    enum config_origin_kind kind;
    const char *file, *section; /* CONFIG_ORIGIN_FILE: SECTION is class, vm or the like … */
    const char *name;           /* … and NAME what stands behind that in its head, or NULL */
    uint32_t line;
};

/* A [vm …] section that fits the guest. */
struct config_match {
    const char *pattern;
    struct config_origin origin;
};
/* Of those that fit one guest so many are told of, the last ones: a guest has one or two. */
#define CONFIG_MATCHES_MAX 16

struct config_origins {
    struct config_origin keys[CONFIG_KEY_COUNT]; /* of those that are a guest's rules, and class= */
    struct config_origin guard_mode, commitment; /* [guard] mode=, [admission] commit= */
    struct config_match matches[CONFIG_MATCHES_MAX];
    uint32_t match_count;  /* all of them */
    bool said;             /* as config_domain_rules() returns */
    bool class_is_unknown; /* METADATA names one that the configuration does not have */
};

/* As config_domain_rules(), with RET_ORIGINS, which are valid for as long as CONFIG. */
void config_domain_origins(const struct config *config, const char *name,
    const struct virt_metadata *metadata, struct vm_rules *ret_rules,
    struct config_origins *ret_origins);

/* A value as a configuration would have it, and read back as the same; room for every rung. */
#define CONFIG_VALUE_MAX 96
/* False: config_keys[INDEX] is no rule of a guest. HOST's stands for a commitment that is not said;
 * the share of a minimum that is not said is written out. */
bool config_value_format(unsigned index, const struct vm_rules *rules,
    const struct host_rules *host, char ret_value[CONFIG_VALUE_MAX]);

#endif
