/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the sort: a heap sort over the positions kept in the scratch, so that 16384 VMs cost neither
 * memory nor the square of their number. Position breaks ties, which makes the order total and the
 * plan the same for the same input.
 */
#include "order.h"

static bool comes_before(const struct decision *d, order_before before, uint32_t a, uint32_t b)
{
    if (before(d, a, b))
        return true;
    if (before(d, b, a))
        return false;
    return a < b;
}

static void sift_down(struct decision *d, order_before before, uint32_t root, uint32_t count)
{
    for (;;) {
        uint32_t child = 2 * root + 1;
        if (child >= count)
            return;
        if (child + 1 < count &&
            comes_before(d, before, d->vms[child].order, d->vms[child + 1].order))
            child++;
        if (!comes_before(d, before, d->vms[root].order, d->vms[child].order))
            return;
        uint32_t moved = d->vms[root].order;
        d->vms[root].order = d->vms[child].order;
        d->vms[child].order = moved;
        root = child;
    }
}

uint32_t order_sort(struct decision *d, uint32_t traits, order_before before)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < d->vm_count; i++)
        if ((d->vms[i].traits & traits) == traits)
            d->vms[count++].order = i;
    for (uint32_t root = count / 2; root > 0; root--)
        sift_down(d, before, root - 1, count);
    for (uint32_t last = count; last > 1; last--) {
        uint32_t moved = d->vms[0].order;
        d->vms[0].order = d->vms[last - 1].order;
        d->vms[last - 1].order = moved;
        sift_down(d, before, 0, last - 1);
    }
    return count;
}
