/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the table of keys. */
#include "config_keys.h"
#include "config_file.h"

#include <plimsoll/cleanup.h>
#include <string.h>

#define IN_GUARD CONFIG_SECTION_BIT(CONFIG_SECTION_GUARD)
#define IN_MEMLOCK CONFIG_SECTION_BIT(CONFIG_SECTION_MEMLOCK)
#define IN_ADMISSION CONFIG_SECTION_BIT(CONFIG_SECTION_ADMISSION)
#define IN_RECORD CONFIG_SECTION_BIT(CONFIG_SECTION_RECORD)
#define IN_CLASS CONFIG_SECTION_BIT(CONFIG_SECTION_CLASS)
#define IN_VM CONFIG_SECTION_BIT(CONFIG_SECTION_VM)

#define FIELD(type, member) offsetof(struct type, member), sizeof(((struct type *)NULL)->member)
#define GUARD(name, parser, member)                                         \
    {                                                                       \
        name, IN_GUARD, config_parse_##parser, FIELD(guard_section, member) \
    }
#define MEMLOCK(name, parser, member)                                         \
    {                                                                         \
        name, IN_MEMLOCK, config_parse_##parser, FIELD(guard_section, member) \
    }
#define ADMISSION(name, parser, member)                                         \
    {                                                                           \
        name, IN_ADMISSION, config_parse_##parser, FIELD(guard_section, member) \
    }
#define RECORD(name, parser, member)                                         \
    {                                                                        \
        name, IN_RECORD, config_parse_##parser, FIELD(guard_section, member) \
    }
#define RULE(name, parser, member)                                                 \
    {                                                                              \
        name, IN_CLASS | IN_VM, config_parse_##parser, FIELD(rule_section, member) \
    }
#define VM(name, parser, member)                                        \
    {                                                                   \
        name, IN_VM, config_parse_##parser, FIELD(rule_section, member) \
    }

const struct config_key config_keys[] = {
    GUARD("mode", mode, host.mode),
    GUARD("floor", floor, host.floor),
    GUARD("vm-budget", amount, host.budget),
    GUARD("tight", threshold, host.bands[BAND_TIGHT]),
    GUARD("scarce", threshold, host.bands[BAND_SCARCE]),
    GUARD("critical", threshold, host.bands[BAND_CRITICAL]),
    GUARD("qmp-directory", directory, guard.qmp_directory),
    GUARD("libvirt", libvirt, guard.libvirt),
    GUARD("max-vms", max_vms, guard.max_vms),
    GUARD("on-exit", on_exit, host.on_exit),
    GUARD("max-destructive", max_destructive, host),
    MEMLOCK("mode", memlock_mode, host.memlock),
    MEMLOCK("pinned-limit", share, host.pinned_limit),
    ADMISSION("mode", admission_mode, host.admission),
    ADMISSION("commit", commitment, host.commitment),
    ADMISSION("unreachable", unreachable, admission.deny_unreachable),
    ADMISSION("timeout", timeout, admission.timeout),
    RECORD("mode", record_mode, record.off),
    RECORD("limit", record_limit, record.limit),
    RULE("priority", priority, rules.priority),
    RULE("shares", shares, rules.shares),
    RULE("minimum", amount, rules.minimum),
    RULE("rungs", rungs, rules.rungs),
    RULE("sacrifice", sacrifice, rules.sacrifice),
    RULE("restart-cost", restart_cost, rules.restart_cost),
    RULE("commit", commitment, rules.commitment),
    RULE("memory-high", limit, rules.memory_high),
    RULE("memory-max", limit, rules.memory_max),
    RULE("pids-max", pids_max, rules.pids_max),
    RULE("cpu-max", cpu_max, rules.cpu_max),
    RULE("oom-group", oom_group, rules.oom_group),
    RULE("mode", mode, rules.mode),
    VM("match", pattern, match),
    VM("class", class_name, class_name),
};

_Static_assert(CONFIG_KEY_COUNT <= 64, "rule_section.set has a bit for each");
_Static_assert(CONFIG_FILES_MAX == 1 << 6 && CONFIG_FILE_MAX < CONFIG_PLACE_LINES,
    "a place has room for both");
_Static_assert(sizeof(((struct guard_config *)NULL)->qmp_directory) == CONFIG_TEXT_MAX &&
                   sizeof(((struct guard_config *)NULL)->libvirt) == CONFIG_TEXT_MAX,
    "the parsers store so much");

bool config_section_find(const char *head, enum config_section *ret_section)
{
    static const struct {
        const char *name;
        enum config_section section;
    } sections[] = {
        {"guard", CONFIG_SECTION_GUARD},
        {"memlock", CONFIG_SECTION_MEMLOCK},
        {"admission", CONFIG_SECTION_ADMISSION},
        {"record", CONFIG_SECTION_RECORD},
    };

    for (size_t i = 0; i < ELEMENTSOF(sections); i++) {
        if (strcmp(head, sections[i].name) == 0) {
            *ret_section = sections[i].section;
            return true;
        }
    }
    return false;
}

int config_key_find(enum config_section section, const char *name)
{
    for (int i = 0; i < CONFIG_KEY_COUNT; i++)
        if ((config_keys[i].sections & CONFIG_SECTION_BIT(section)) &&
            strcmp(config_keys[i].name, name) == 0)
            return i;
    return -1;
}

bool config_key_is_rule(unsigned index)
{
    const size_t begin = offsetof(struct rule_section, rules);
    const struct config_key *key = &config_keys[index];

    return (key->sections & IN_VM) && key->offset >= begin &&
           key->offset < begin + sizeof(struct vm_rules);
}

void config_rules_overlay(struct vm_rules *target, const struct rule_section *source)
{
    const size_t begin = offsetof(struct rule_section, rules);

    for (unsigned i = 0; i < CONFIG_KEY_COUNT; i++) {
        const struct config_key *key = &config_keys[i];
        if ((source->set & (UINT64_C(1) << i)) && config_key_is_rule(i))
            memcpy((char *)target + (key->offset - begin), (const char *)source + key->offset,
                key->size);
    }
}
