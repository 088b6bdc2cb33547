/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sorting VMs without an allocator or a libc. */
#ifndef PLIMSOLL_POLICY_ORDER_H
#define PLIMSOLL_POLICY_ORDER_H

#include "state.h"

/* Whether the VM at A comes before the one at B; must be a strict weak order. */
typedef bool (*order_before)(const struct decision *d, uint32_t a, uint32_t b);

/* Writes the positions of all VMs with every bit of TRAITS into vms[0..].order, sorted by BEFORE,
 * equals by position; returns how many. O(n log n), in place. */
uint32_t order_sort(struct decision *d, uint32_t traits, order_before before);

#endif
