/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Each figure of one guest with where it comes from and how old it is.
 */
#ifndef PLIMSOLL_DAEMON_VM_FACTS_H
#define PLIMSOLL_DAEMON_VM_FACTS_H

#include "vm.h"

#include <json-c/json.h>

/* An array of Fact (control_interface.c), or NULL without memory. FIGURES are those of the snapshot
 * of NOW, VM is who they were taken of. Asks the kernel for the names of open files alone. */
struct json_object *vm_facts_json(
    const struct vm *vm, const struct vm_snapshot *figures, uint64_t now);

#endif
