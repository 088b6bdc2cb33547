/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where what libvirt says meets the guests that were found: by uuid and process, both of which must
 * agree. A guest is guarded whether libvirt speaks of it or not; what it adds are the rules that
 * the domain carries itself, and its definition, from which follows what it may need to lock.
 *
 * The rules hold until libvirt says otherwise, whatever becomes of it. The definition stays too, to
 * be shown and compared; but from the moment libvirt cannot be heard it may be changed unheard, so
 * that nobody has confirmed it until the resync that follows.
 */
#include <assert.h>
#include <string.h>

#include "guard_private.h"
#include "log.h"

#define RUN_FOLDER_DEFAULT "/run/libvirt"

/* How long nobody is killed because libvirt's domains are not known yet. The guard may be starting
 * in the middle of a shortage, and a guest that says of itself sacrifice=never must not die for
 * that; all that can be taken back waits for nothing. A libvirtd tells of a thousand domains in
 * about this time; one that hangs is not waited for again. */
#define FIRST_WORDS (2 * NSEC_PER_SEC)

/* A round may be late by as much again. */
static_assert(MEMLOCK_CONFIRMED_FOR >= 2 * VIRT_ROUND + NSEC_PER_MINUTE, "confirmed in time");

static enum tristate tristate_of(bool yes)
{
    return yes ? TRISTATE_YES : TRISTATE_NO;
}

static struct vm_definition definition_of(
    const struct virt_link *link, const struct virt_domain *domain)
{
    return (struct vm_definition){
        .confirmed = virt_link_connected(link) ? domain->asked : UNKNOWN,
        .memory = domain->maximum,
        .hard_limit = domain->hard_limit,
        .locked = tristate_of(domain->locked),
        .viommu = tristate_of(domain->viommu),
        .vfio_devices = domain->vfio,
        .vdpa_devices = domain->vdpa,
        .nvme_disks = domain->nvme,
        .savable = tristate_of(domain->can_save),
        .version = virt_link_libvirt_version(link),
    };
}

void guard_resolve_rules(struct guard *guard, struct vm *vm)
{
    struct vm_snapshot *figures = &vm->figures;
    const struct virt_domain *domain =
        guard->virt ? virt_link_domain(guard->virt, figures->identity.uuid, figures->identity.pid)
                    : NULL;
    const struct virt_metadata *metadata = domain ? &domain->metadata : NULL;

    figures->definition = domain ? definition_of(guard->virt, domain) : VM_DEFINITION_UNKNOWN;
    virt_guest_join(vm, guard->virt, domain);
    if (domain)
        figures->sources |= VM_SOURCE_LIBVIRT;
    else
        figures->sources &= ~(uint32_t)VM_SOURCE_LIBVIRT;
    if (metadata && (metadata->set & VIRT_RULE_CLASS) &&
        !config_has_class(guard->config, metadata->rules.class_name))
        log_limited(&guard->class_said, loop_now(), LOG_WARNING,
            "%s: its metadata says class %s, but there is no [class %s]", figures->name,
            metadata->rules.class_name, metadata->rules.class_name);
    struct vm_rules *rules = &guard->rules->vms[vm->slot];
    guard->unmatched[vm->slot] =
        !config_domain_rules(guard->config, figures->name, metadata, rules);
    const struct host_rules *host = &guard->rules->host;
    bool acts = rules->mode == MODE_ENFORCE && (host->held || host->mode == MODE_ENFORCE);
    vm->held = acts && (host->held || vm->hold_until != 0);
    if (vm->hold_until != 0)
        rules->mode = MODE_DRY_RUN;
}

static void on_changed(const uint8_t uuid[UUID_SIZE], void *userdata)
{
    struct guard *guard = userdata;

    for (uint32_t slot = 0; slot < guard->vm_capacity; slot++) {
        struct vm *vm = inventory_vm(guard->inventory, slot);

        if (vm && memcmp(vm->figures.identity.uuid, uuid, UUID_SIZE) == 0)
            guard_resolve_rules(guard, vm);
    }
}

static void on_lost(void *userdata)
{
    struct guard *guard = userdata;

    if (!guard->inventory)
        return; /* the guard is at its own end */
    for (uint32_t slot = 0; slot < guard->vm_capacity; slot++) {
        struct vm *vm = inventory_vm(guard->inventory, slot);

        if (vm)
            vm->figures.definition.confirmed = UNKNOWN;
    }
}

static void on_undefined(const uint8_t uuid[UUID_SIZE], void *userdata)
{
    admission_drop_saved(&((struct guard *)userdata)->admission, uuid);
}

int guard_open_virt(struct guard *guard)
{
    const char *run_folder = guard->options.virt_run_folder;
    struct virt_link_options options = {
        .program = guard->options.virt_program,
        .run_folder = run_folder ? run_folder : RUN_FOLDER_DEFAULT,
        .capacity = guard->vm_capacity,
        .changed = on_changed,
        .lost = on_lost,
        .undefined = on_undefined,
        .userdata = guard,
    };

    if (!options.program)
        return 0;
    int result = virt_link_new(guard->loop, &options, &guard->virt);
    if (result == 0)
        virt_link_set(guard->virt, config_guard(guard->config)->libvirt);
    return result;
}

void guard_begin_virt(struct guard *guard)
{
    uint64_t now = loop_now();

    if (!guard->virt)
        return;
    /* The first start is made whatever the band: without it there would be no rules of domains. */
    virt_link_advance(guard->virt, BAND_CALM, now);
    guard->rules->host.kills_from = now + FIRST_WORDS;
}

void guard_advance_virt(struct guard *guard, uint64_t now)
{
    if (!guard->virt)
        return;
    virt_link_advance(guard->virt, guard->plan->assessment.band, now);
    if (virt_link_settled(guard->virt))
        guard->rules->host.kills_from = 0;
}
