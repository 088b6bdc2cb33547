/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns what the guard tells of one guest, and of all what concerns people alone: whom nobody has
 * said anything of, and who goes before whom. Nothing of it is kept for the asking: who says a rule
 * is found by composing the guest's rules once more, the order by one sort, when somebody asks. The
 * policy sees none of it.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include <plimsoll/cleanup.h>

#include "config_rules.h"
#include "guard_private.h"
#include "guest_find.h"
#include "json_writer.h"
#include "vm_facts.h"

const char *const guard_vm_parameters[] = {"name", NULL};

struct status_aside guard_status_aside(struct guard *guard)
{
    policy_victim_order(guard->snapshot, guard->rules, guard->scratch, guard->victim_order);
    for (uint32_t slot = 0; slot < guard->vm_capacity; slot++) {
        const struct vm *vm = inventory_vm(guard->inventory, slot);

        guard->hold_left[slot] = vm && vm->held ? guard_undo_hold_left(vm) : 0;
    }
    return (struct status_aside){.unmatched = guard->unmatched,
        .hold_left = guard->hold_left,
        .victim_order = guard->victim_order};
}

/* ---- policy ---- */

/* It stands above every file, so that the configuration does not know of it. */
#define ORIGIN_COMMAND_LINE CONFIG_ORIGIN_KIND_COUNT
static const char *const origin_names[] = {
    [CONFIG_ORIGIN_BUILT_IN] = "built-in",
    [CONFIG_ORIGIN_FILE] = "file",
    [CONFIG_ORIGIN_METADATA] = "metadata",
    [ORIGIN_COMMAND_LINE] = "command-line",
};
static_assert(ELEMENTSOF(origin_names) == ORIGIN_COMMAND_LINE + 1, "an origin has no name");

/* BY is NULL for the command line. */
static bool rule_add(
    struct json_object *policy, const char *key, const char *value, const struct config_origin *by)
{
    bool is_file = by && by->kind == CONFIG_ORIGIN_FILE;
    char section[VM_NAME_MAX + 16];
    struct json_writer writer;

    if (is_file)
        (void)snprintf(section, sizeof(section), "%s%s%s", by->section, by->name ? " " : "",
            by->name ? by->name : "");
    json_writer_begin(&writer);
    json_writer_text(&writer, "key", key);
    json_writer_path(&writer, "value", value);
    json_writer_text(&writer, "origin", origin_names[by ? by->kind : ORIGIN_COMMAND_LINE]);
    json_writer_path(&writer, "file", is_file ? by->file : NULL);
    json_writer_u64(&writer, "line", is_file ? by->line : UNKNOWN);
    json_writer_path(&writer, "section", is_file ? section : NULL);
    return json_array_append(policy, json_writer_end(&writer));
}

static bool matches_add(struct json_object *policy, const struct config_origins *origins)
{
    uint32_t count = origins->match_count, shown = count;
    bool added = true;

    if (shown > CONFIG_MATCHES_MAX)
        shown = CONFIG_MATCHES_MAX;
    for (uint32_t i = count - shown; i < count && added; i++) {
        const struct config_match *match = &origins->matches[i % CONFIG_MATCHES_MAX];
        added = rule_add(policy, "match", match->pattern, &match->origin);
    }
    return added;
}

static bool rules_add(struct json_object *policy, const struct guard *guard,
    const struct vm_rules *rules, const struct config_origins *origins)
{
    const struct host_rules *host = &guard->rules->host;
    char value[CONFIG_VALUE_MAX];
    bool added = true;

    for (unsigned key = 0; key < CONFIG_KEY_COUNT && added; key++) {
        const struct config_origin *by = &origins->keys[key];
        if (!config_value_format(key, rules, host, value))
            continue;
        /* What the guest is not given follows from the host. */
        if (config_keys[key].offset == offsetof(struct rule_section, rules.commitment) &&
            by->kind == CONFIG_ORIGIN_BUILT_IN)
            by = &origins->commitment;
        added = rule_add(policy, config_keys[key].name, value, by);
    }
    return added;
}

static struct json_object *policy_json(
    const struct guard *guard, const struct vm_rules *rules, const struct config_origins *origins)
{
    struct json_object *policy = json_object_new_array();
    int class_key = config_key_find(CONFIG_SECTION_VM, "class");
    bool dry_run = guard->options.dry_run;

    if (matches_add(policy, origins) &&
        rule_add(policy, "class", rules->class_name, &origins->keys[class_key]) &&
        rule_add(policy, "guard-mode",
            mode_name(guard->rules->host.held ? MODE_ENFORCE : guard->rules->host.mode),
            dry_run ? NULL : &origins->guard_mode) &&
        rules_add(policy, guard, rules, origins))
        return policy;
    json_object_put(policy);
    return NULL;
}

/* ---- metadata that does not hold ---- */

static const char *const rule_names[] = {
    "class", "priority", "shares", "minimum", "rungs", "sacrifice", NULL};
static_assert(VIRT_RULE_STRANGE == 1 << (ELEMENTSOF(rule_names) - 1),
    "each rule of a domain has its name, and what is none comes last");

static bool refusal_add(struct json_object *refused, const char *rule, const char *text)
{
    struct json_writer writer;

    json_writer_begin(&writer);
    json_writer_text(&writer, "rule", rule);
    json_writer_path(&writer, "text", text);
    return json_array_append(refused, json_writer_end(&writer));
}

static struct json_object *refused_json(
    const struct virt_metadata *metadata, const struct config_origins *origins)
{
    struct json_object *refused = json_object_new_array();
    uint32_t bits = metadata ? metadata->refused : 0;
    bool added = refused != NULL;
    char text[128];

    if (added && origins->class_is_unknown) {
        (void)snprintf(text, sizeof(text), "there is no [class %s] in the configuration",
            metadata->rules.class_name);
        added = refusal_add(refused, "class", text);
    }
    for (size_t i = 0; i < ELEMENTSOF(rule_names) && added; i++) {
        if (!(bits & (UINT32_C(1) << i)))
            continue;
        added = refusal_add(refused, rule_names[i],
            rule_names[i] ? "it has a value that is none for it, or stands there twice; what was "
                            "wrong stands in the log of plimsolld"
                          : "something stands there that is no rule of a domain; the log of "
                            "plimsolld says what");
    }
    if (added)
        return refused;
    json_object_put(refused);
    return NULL;
}

/* ---- the method ---- */

static int position_find(const struct guard *guard, const char *asked, uint32_t *ret_position,
    struct vm **ret_vm, struct error *ret_error)
{
    int result = guest_find(guard->snapshot, asked, ret_position, ret_error);
    if (result < 0)
        return result;
    const struct vm_snapshot *figures = &guard->snapshot->vms[*ret_position];
    struct vm *vm = inventory_vm(guard->inventory, figures->slot);
    if (!vm || vm->gone || !vm_identity_equal(&vm->figures.identity, &figures->identity))
        return error_set(ret_error, -ESRCH, "the guest %s has just ended", figures->name);
    *ret_vm = vm;
    return 0;
}

int guard_find_vm(
    const struct guard *guard, const char *asked, struct vm **ret_vm, struct error *ret_error)
{
    uint32_t position;

    return position_find(guard, asked, &position, ret_vm, ret_error);
}

static struct json_object *vm_answer(struct guard *guard, uint32_t position, const struct vm *vm)
{
    const struct vm_snapshot *figures = &guard->snapshot->vms[position];
    const struct virt_domain *domain =
        guard->virt ? virt_link_domain(guard->virt, figures->identity.uuid, figures->identity.pid)
                    : NULL;
    const struct virt_metadata *metadata = domain ? &domain->metadata : NULL;
    const struct status_aside aside = guard_status_aside(guard);
    struct config_origins origins;
    struct json_writer writer;
    struct vm_rules rules;
    uint64_t victims = 0;

    for (uint32_t i = 0; i < guard->snapshot->vm_count; i++)
        victims = max_u64(victims, aside.victim_order[i]);
    config_domain_origins(guard->config, vm->figures.name, metadata, &rules, &origins);
    json_writer_begin(&writer);
    json_writer_child(
        &writer, "vm", status_vm_json(guard->snapshot, position, guard->rules, &aside));
    json_writer_child(&writer, "policy", policy_json(guard, &rules, &origins));
    json_writer_child(&writer, "refused", refused_json(metadata, &origins));
    json_writer_child(&writer, "facts", vm_facts_json(vm, figures, guard->snapshot->time));
    json_writer_u64(&writer, "victims", victims);
    json_writer_text(&writer, "band", band_name(guard->plan->assessment.band));
    return json_writer_end(&writer);
}

int guard_vm(struct json_object *parameters, struct json_object **ret_parameters,
    struct error *ret_error, void *userdata)
{
    struct guard *guard = userdata;
    struct json_object *name = json_object_object_get(parameters, "name");
    uint32_t position = 0;
    struct vm *vm = NULL;

    if (!json_object_is_type(name, json_type_string))
        return error_set(ret_error, -EBADR, "name");
    int result = position_find(guard, json_object_get_string(name), &position, &vm, ret_error);
    if (!vm)
        return result;
    *ret_parameters = vm_answer(guard, position, vm);
    return *ret_parameters ? 0 : error_set(ret_error, -ENOMEM, "no memory for the answer");
}
