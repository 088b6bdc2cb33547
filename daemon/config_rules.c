/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the order in which a guest's rules are laid over one another. Who says a value is found in
 * the same walk that finds the value, so that the two cannot differ; it is kept nowhere, for it is
 * asked for by people alone, and seldom.
 */
#include "config_rules.h"
#include "config_private.h"

#include <fnmatch.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/policy.h>
#include <stdio.h>
#include <string.h>

/* What is being laid; ORIGINS may be NULL. */
struct layers {
    const struct config *config;
    struct vm_rules rules;
    struct config_origins *origins;
};

/* ---- who says so ---- */

static struct config_origin origin_at(
    const struct config *config, struct config_place place, const char *section, const char *name)
{
    if (place.line == 0)
        return (struct config_origin){.kind = CONFIG_ORIGIN_BUILT_IN};
    return (struct config_origin){.kind = CONFIG_ORIGIN_FILE,
        .file = config->files[place.file],
        .section = section,
        .name = name,
        .line = place.line};
}

static void origin_note(struct layers *layers, const char *key, struct config_origin origin)
{
    int index = config_key_find(CONFIG_SECTION_VM, key);

    if (layers->origins && index >= 0)
        layers->origins->keys[index] = origin;
}

static void section_note(
    struct layers *layers, const struct rule_section *source, const char *section)
{
    for (unsigned i = 0; layers->origins && i < CONFIG_KEY_COUNT; i++)
        if ((source->set & (UINT64_C(1) << i)) && config_key_is_rule(i))
            layers->origins->keys[i] =
                origin_at(layers->config, source->places[i], section, source->name);
}

static void match_note(struct layers *layers, const struct rule_section *vm, const char *pattern)
{
    struct config_origins *origins = layers->origins;
    int key = config_key_find(CONFIG_SECTION_VM, "match");

    if (!origins)
        return;
    struct config_place place = vm->match[0] != '\0' ? vm->places[key] : vm->head;
    origins->matches[origins->match_count++ % CONFIG_MATCHES_MAX] =
        (struct config_match){pattern, origin_at(layers->config, place, "vm", vm->name)};
}

/* ---- the layers ---- */

/* The built-in defaults with what [class NAME] says, in the place of all that was laid before. */
static void class_lay(struct layers *layers, const char *name)
{
    const struct rule_section *section = config_class_find(layers->config, name);

    vm_rules_default(&layers->rules);
    if (layers->origins)
        memset(layers->origins->keys, 0, sizeof(layers->origins->keys));
    if (section) {
        config_rules_overlay(&layers->rules, section);
        section_note(layers, section, "class");
    }
    (void)snprintf(layers->rules.class_name, sizeof(layers->rules.class_name), "%s", name);
}

static void metadata_lay(struct layers *layers, const struct virt_metadata *metadata)
{
    const struct config_origin origin = {.kind = CONFIG_ORIGIN_METADATA};
    const struct vm_rules *own = &metadata->rules;
    struct vm_rules *rules = &layers->rules;

    if (metadata->set & VIRT_RULE_PRIORITY) {
        rules->priority = own->priority;
        origin_note(layers, "priority", origin);
    }
    if (metadata->set & VIRT_RULE_SHARES) {
        rules->shares = own->shares;
        origin_note(layers, "shares", origin);
    }
    if (metadata->set & VIRT_RULE_MINIMUM) {
        rules->minimum = own->minimum;
        origin_note(layers, "minimum", origin);
    }
    if (metadata->set & VIRT_RULE_RUNGS) {
        rules->rungs = own->rungs;
        origin_note(layers, "rungs", origin);
    }
    if (metadata->set & VIRT_RULE_SACRIFICE) {
        rules->sacrifice = own->sacrifice;
        origin_note(layers, "sacrifice", origin);
    }
}

static void vm_lay(
    struct layers *layers, const struct rule_section *vm, const struct virt_metadata *own)
{
    int key = config_key_find(CONFIG_SECTION_VM, "class");

    if (vm->class_name[0] != '\0') {
        class_lay(layers, vm->class_name);
        origin_note(layers, "class", origin_at(layers->config, vm->places[key], "vm", vm->name));
        metadata_lay(layers, own);
    }
    config_rules_overlay(&layers->rules, vm);
    section_note(layers, vm, "vm");
}

/* True: something is said of this very guest. */
static bool layers_lay(
    struct layers *layers, const char *name, const struct virt_metadata *metadata)
{
    static const struct virt_metadata nothing;
    const struct config *config = layers->config;
    const struct virt_metadata *own = metadata ? metadata : &nothing;
    bool classed = (own->set & VIRT_RULE_CLASS) && config_has_class(config, own->rules.class_name);
    bool said = classed || (own->set & ~(uint32_t)VIRT_RULE_CLASS);

    class_lay(layers, classed ? own->rules.class_name : CONFIG_CLASS_DEFAULT);
    if (classed)
        origin_note(layers, "class", (struct config_origin){.kind = CONFIG_ORIGIN_METADATA});
    metadata_lay(layers, own);
    for (uint32_t i = 0; i < config->vms.count; i++) {
        const struct rule_section *vm = &config->vms.items[i];
        const char *pattern = vm->match[0] != '\0' ? vm->match : vm->name;
        if (fnmatch(pattern, name, 0) != 0)
            continue;
        said = true;
        match_note(layers, vm, pattern);
        vm_lay(layers, vm, own);
    }
    if (layers->origins)
        layers->origins->class_is_unknown = (own->set & VIRT_RULE_CLASS) && !classed;
    return said;
}

bool config_domain_rules(const struct config *config, const char *name,
    const struct virt_metadata *metadata, struct vm_rules *ret_rules)
{
    struct layers layers = {.config = config};
    bool said = layers_lay(&layers, name, metadata);

    *ret_rules = layers.rules;
    return said;
}

void config_vm_rules(const struct config *config, const char *name, struct vm_rules *ret_rules)
{
    (void)config_domain_rules(config, name, NULL, ret_rules);
}

void config_domain_origins(const struct config *config, const char *name,
    const struct virt_metadata *metadata, struct vm_rules *ret_rules,
    struct config_origins *ret_origins)
{
    struct layers layers = {.config = config, .origins = ret_origins};
    int mode = config_key_find(CONFIG_SECTION_GUARD, "mode");
    int commitment = config_key_find(CONFIG_SECTION_ADMISSION, "commit");

    memset(ret_origins, 0, sizeof(*ret_origins));
    ret_origins->guard_mode = origin_at(config, config->places[mode], "guard", NULL);
    ret_origins->commitment = origin_at(config, config->places[commitment], "admission", NULL);
    ret_origins->said = layers_lay(&layers, name, metadata);
    *ret_rules = layers.rules;
}
