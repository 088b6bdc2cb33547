/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A ring: the oldest place is taken next, and announced before it is, if that was still to be done.
 */
#include "ended.h"

#include "announce.h"

#include <string.h>

static void entry_announce(struct ended_vm *entry)
{
    if (entry->identity.pid == 0 || entry->announced)
        return;
    entry->announced = true;
    announce_vm_ended(entry->name, &entry->identity,
        entry->by_kernel  ? "kernel-oom"
        : entry->by_guard ? "plimsoll"
                          : NULL);
}

void ended_add(struct ended_vms *ended, const struct vm *vm, uint64_t now)
{
    struct ended_vm *entry = &ended->entries[ended->next];

    entry_announce(entry);
    *entry = (struct ended_vm){.identity = vm->figures.identity,
        .time = now,
        .by_guard = vm_has(vm, VM_MEASURE_KILLED | VM_MEASURE_ENDING) && !vm->kernel_killed,
        .by_kernel = vm->kernel_killed};
    memcpy(entry->name, vm->figures.name, sizeof entry->name);
    ended->next = (ended->next + 1) % ENDED_MAX;
}

struct ended_vm *ended_find(struct ended_vms *ended, pid_t pid, uint64_t now)
{
    for (unsigned age = 1; age <= ENDED_MAX; age++) {
        struct ended_vm *entry = &ended->entries[(ended->next + ENDED_MAX - age) % ENDED_MAX];

        if (entry->identity.pid == pid)
            return sub_or_zero(now, entry->time) < ENDED_MEMORY ? entry : NULL;
    }
    return NULL;
}

void ended_announce(struct ended_vms *ended, uint64_t latest)
{
    for (unsigned i = 0; i < ENDED_MAX; i++) {
        struct ended_vm *entry = &ended->entries[(ended->next + i) % ENDED_MAX];

        if (entry->time <= latest)
            entry_announce(entry);
    }
}
