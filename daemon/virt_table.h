/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What libvirt has said of its running domains, by uuid. It outlives the process that said it: what
 * was known last holds until the next complete resync.
 */
#ifndef PLIMSOLL_DAEMON_VIRT_TABLE_H
#define PLIMSOLL_DAEMON_VIRT_TABLE_H

#include <plimsoll/virt.h>

struct virt_table;

/* Called when what is known of the domain UUID has changed, begun or ended. */
typedef void (*virt_table_handler)(const uint8_t uuid[UUID_SIZE], void *userdata);

/* Room for CAPACITY domains, taken at once; touched only as far as there are some. */
int virt_table_new(
    uint32_t capacity, virt_table_handler handler, void *userdata, struct virt_table **ret_table);
struct virt_table *virt_table_free(struct virt_table *table);

/* Takes in a record of any kind that concerns domains or resyncs. Returns 0, or -ENOSPC: a running
 * domain found no room. */
int virt_table_take(struct virt_table *table, const struct virt_record *record);

/* A resync that was begun and not ended will not be. */
void virt_table_break_off(struct virt_table *table);

/* What is known stays known; `asked` of it is UNKNOWN, for it may change unheard from now on. The
 * handler is not called. */
void virt_table_doubt(struct virt_table *table);

/* Forgets all. */
void virt_table_clear(struct virt_table *table);

/* NULL: not known. Valid until the next record is taken. */
const struct virt_domain *virt_table_find(
    const struct virt_table *table, const uint8_t uuid[UUID_SIZE]);
uint32_t virt_table_count(const struct virt_table *table);

#endif
