/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the guests of a stretch. Who stands where in a snapshot is looked up by slot first, which is
 * his as long as the guard lives; a guard that was started anew deals slots anew.
 */
#include "roster.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

int roster_new(struct roster **ret_guests)
{
    CLEANUP(roster_free_at) struct roster *guests = calloc(1, sizeof(*guests));

    if (!guests)
        return -ENOMEM;
    guests->all = calloc(GUESTS_MAX, sizeof(*guests->all));
    guests->at = calloc(MAX_VMS_LIMIT, sizeof(*guests->at));
    guests->gone = calloc(GUESTS_MAX, sizeof(*guests->gone));
    guests->by_slot = calloc(MAX_VMS_LIMIT, sizeof(*guests->by_slot));
    if (!guests->all || !guests->at || !guests->gone || !guests->by_slot)
        return -ENOMEM;
    roster_clear(guests);
    *ret_guests = STEAL(guests);
    return 0;
}

struct roster *roster_free(struct roster *guests)
{
    if (!guests)
        return NULL;
    free(guests->by_slot);
    free(guests->gone);
    free(guests->at);
    free(guests->all);
    free(guests);
    return NULL;
}

void roster_clear(struct roster *guests)
{
    guests->count = guests->gone_count = 0;
    guests->left_out = false;
    for (uint32_t slot = 0; slot < MAX_VMS_LIMIT; slot++)
        guests->by_slot[slot] = GUEST_NONE;
}

uint32_t roster_find(const struct roster *guests, const struct vm_identity *identity)
{
    for (uint32_t i = 0; i < guests->count; i++)
        if (vm_identity_equal(&guests->all[i].identity, identity))
            return i;
    return GUEST_NONE;
}

static uint32_t guest_take(struct roster *guests, const struct vm_snapshot *vm)
{
    uint32_t index = guests->by_slot[vm->slot];

    if (index == GUEST_NONE || !vm_identity_equal(&guests->all[index].identity, &vm->identity))
        index = roster_find(guests, &vm->identity);
    if (index == GUEST_NONE && guests->count < GUESTS_MAX) {
        index = guests->count++;
        guests->all[index] = (struct guest){.identity = vm->identity, .maximum = UNKNOWN};
    }
    guests->left_out |= index == GUEST_NONE;
    guests->by_slot[vm->slot] = index;
    return index;
}

/* A guest's name can be changed while it runs: the last counts. */
static void guest_set(
    struct guest *guest, const struct vm_snapshot *vm, const struct vm_rules *rules)
{
    guest->present = true;
    text_finish(guest->name, sizeof(guest->name),
        snprintf(guest->name, sizeof(guest->name), "%.*s", VM_NAME_MAX - 1, vm->name));
    text_finish(guest->class_name, sizeof(guest->class_name),
        snprintf(guest->class_name, sizeof(guest->class_name), "%.*s", CLASS_NAME_MAX - 1,
            rules->class_name));
    guest->priority = rules->priority;
    guest->maximum = known(vm_memory_most(vm)) ? vm_memory_most(vm) : guest->maximum;
    if (known(vm->sampled) && !(vm->measures.in_force & VM_MEASURE_OOM_SCORE)) {
        guest->score_known = true;
        guest->score_found = vm->oom_score_adj;
    }
}

void roster_look(struct roster *guests, const struct record_seen *seen)
{
    const struct snapshot *snapshot = seen->snapshot;

    guests->gone_count = 0;
    for (uint32_t i = 0; i < guests->count; i++)
        if (guests->all[i].present) {
            guests->all[i].present = false;
            guests->gone[guests->gone_count++] = i;
        }
    for (uint32_t i = 0; i < snapshot->vm_count; i++) {
        const struct vm_snapshot *vm = &snapshot->vms[i];
        uint32_t index = guest_take(guests, vm);
        guests->at[i] = index;
        if (index != GUEST_NONE)
            guest_set(&guests->all[index], vm, &seen->rules->vms[vm->slot]);
    }
    uint32_t gone = 0;
    for (uint32_t i = 0; i < guests->gone_count; i++)
        if (!guests->all[guests->gone[i]].present)
            guests->gone[gone++] = guests->gone[i];
    guests->gone_count = gone;
}
