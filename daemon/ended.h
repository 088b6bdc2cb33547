/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guests that have ended lately: who they were, for a line of the kernel's log that comes after
 * them, and what ended them, for the alert that says so. No allocation; whatever ends together, the
 * last ENDED_MAX are remembered.
 */
#ifndef PLIMSOLL_DAEMON_ENDED_H
#define PLIMSOLL_DAEMON_ENDED_H

#include "vm.h"

#define ENDED_MAX 64
/* For how long a pid still means the guest. The kernel's line is milliseconds away, and it gives a
 * pid again only when it has given all others. */
#define ENDED_MEMORY NSEC_PER_MINUTE

struct ended_vm {
    struct vm_identity identity; /* pid 0: an empty place */
    char name[VM_NAME_MAX];
    uint64_t time;
    bool by_guard, by_kernel; /* who killed it first; neither: nobody we know of */
    bool announced;
};

/* Begins zeroed. */
struct ended_vms {
    struct ended_vm entries[ENDED_MAX];
    unsigned next; /* the place of the next one: the oldest of all */
};

void ended_add(struct ended_vms *ended, const struct vm *vm, uint64_t now);
/* The last guest that had PID, if it ended lately; NULL: none. */
struct ended_vm *ended_find(struct ended_vms *ended, pid_t pid, uint64_t now);
/* Says event=vm-ended of each of which that was not said yet and that ended by LATEST (NEVER: of
 * all), in the order of their ends. */
void ended_announce(struct ended_vms *ended, uint64_t latest);

#endif
