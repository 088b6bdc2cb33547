/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every guest of this host, however it came to be known: by the scan of /proc, by its QMP socket,
 * by the ledger of a guard before us. Each holds a slot from its first sight to its end; the same
 * number is its place in rules, policy state and ledger.
 */
#ifndef PLIMSOLL_DAEMON_INVENTORY_H
#define PLIMSOLL_DAEMON_INVENTORY_H

#include "ledger.h"
#include "loop.h"
#include "roots.h"
#include "vm.h"

#include <plimsoll/rules.h>

struct inventory;

/* What the guard wants to be told. Handlers may not remove VMs. */
struct inventory_owner {
    bool (*may_touch)(void *userdata); /* guests may be changed at all: not in dry run */
    void (*appeared)(struct vm *vm, void *userdata); /* resolve its rules */
    void (*renamed)(struct vm *vm, void *userdata);
    void (*ended)(struct vm *vm, void *userdata); /* it is freed when the wait is over */
    void (*pause_moved)(struct vm *vm, void *userdata);
    void *userdata;
};

/* ROOTS and LEDGER must outlive the inventory. A QMP directory that is not there yet is looked for
 * again at each round. */
int inventory_new(struct loop *loop, const struct roots *roots, struct ledger *ledger,
    uint32_t capacity, const char *qmp_directory, const struct inventory_owner *owner,
    struct inventory **ret_inventory);
struct inventory *inventory_free(struct inventory *inventory);

/* Finds the guests the ledger speaks of, puts them at their slots with their measures, and clears
 * the slots of those that are gone. To be called once, before anything else. Returns how many were
 * taken over. */
uint32_t inventory_adopt(struct inventory *inventory);

/* Goes on with the scan, the QMP directory and the monitors, as far as they are due; removes VMs
 * that have ended. */
void inventory_advance(struct inventory *inventory, enum band band, uint64_t now);
uint64_t inventory_deadline(const struct inventory *inventory);

/* A whole round over /proc and the QMP directory at once; at start, when nothing waits for us yet.
 */
void inventory_scan_all(struct inventory *inventory);
/* After a reload: sockets of another directory are looked for; connections that stand stay. */
int inventory_set_qmp_directory(struct inventory *inventory, const char *qmp_directory);

uint32_t inventory_capacity(const struct inventory *inventory);
/* NULL: that slot is empty. */
struct vm *inventory_vm(const struct inventory *inventory, uint32_t slot);
/* The process outside the guests that an alert should name. */
void inventory_largest_process(
    const struct inventory *inventory, struct process_snapshot *ret_process);

#endif
