/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the records of domains, packed at the beginning of an array: a search passes over a thousand
 * uuids in microseconds, and there is one a record, not one a tick.
 *
 * A resync is told from what it finds by a generation: what it did not touch when it ends is no
 * more.
 */
#include "virt_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    struct virt_domain domain;
    uint64_t generation; /* of the last resync that named it, or in which it came */
};

struct virt_table {
    virt_table_handler handler;
    void *userdata;
    uint32_t capacity, count;
    uint64_t generation;
    bool resyncing;
    struct entry entries[];
};

int virt_table_new(
    uint32_t capacity, virt_table_handler handler, void *userdata, struct virt_table **ret_table)
{
    struct virt_table *table =
        calloc(1, sizeof(*table) + (size_t)capacity * sizeof(table->entries[0]));

    if (!table)
        return -ENOMEM;
    table->handler = handler;
    table->userdata = userdata;
    table->capacity = capacity;
    *ret_table = table;
    return 0;
}

struct virt_table *virt_table_free(struct virt_table *table)
{
    free(table);
    return NULL;
}

static struct entry *entry_find(struct virt_table *table, const uint8_t uuid[UUID_SIZE])
{
    for (uint32_t i = 0; i < table->count; i++)
        if (memcmp(table->entries[i].domain.uuid, uuid, UUID_SIZE) == 0)
            return &table->entries[i];
    return NULL;
}

static void entry_remove(struct virt_table *table, struct entry *entry)
{
    uint8_t uuid[UUID_SIZE];

    memcpy(uuid, entry->domain.uuid, UUID_SIZE);
    *entry = table->entries[--table->count];
    table->handler(uuid, table->userdata);
}

static int domain_take(struct virt_table *table, const struct virt_domain *domain)
{
    struct entry *entry = entry_find(table, domain->uuid);
    bool runs = domain->id >= 0;

    if (!runs) {
        if (entry)
            entry_remove(table, entry);
        return 0;
    }
    if (!entry) {
        if (table->count == table->capacity)
            return -ENOSPC;
        entry = &table->entries[table->count++];
    }
    entry->domain = *domain;
    entry->generation = table->generation;
    table->handler(domain->uuid, table->userdata);
    return 0;
}

static void sweep(struct virt_table *table)
{
    uint32_t i = 0;

    if (!table->resyncing)
        return;
    table->resyncing = false;
    while (i < table->count) {
        if (table->entries[i].generation != table->generation)
            entry_remove(table, &table->entries[i]); /* the last one takes its place */
        else
            i++;
    }
}

int virt_table_take(struct virt_table *table, const struct virt_record *record)
{
    struct entry *entry;

    switch (record->kind) {
    case VIRT_RECORD_RESYNC_BEGIN:
        table->generation++;
        table->resyncing = true;
        break;
    case VIRT_RECORD_RESYNC_END:
        sweep(table);
        break;
    case VIRT_RECORD_DOMAIN:
        return domain_take(table, &record->domain);
    case VIRT_RECORD_DOMAIN_GONE:
        entry = entry_find(table, record->uuid);
        if (entry)
            entry_remove(table, entry);
        break;
    case VIRT_RECORD_DOMAIN_KEPT:
        entry = entry_find(table, record->uuid);
        if (entry)
            entry->generation = table->generation;
        break;
    case VIRT_RECORD_BALLOON:
        entry = entry_find(table, record->balloon.uuid);
        if (entry)
            entry->domain.current = record->balloon.current;
        break;
    case VIRT_RECORD_HELLO:
    case VIRT_RECORD_CONNECTION:
    case VIRT_RECORD_CALL:
    case VIRT_RECORD_RESULT:
    case VIRT_RECORD_WORKERS:
    case VIRT_RECORD_BEGIN:
    case VIRT_RECORD_KIND_COUNT:
        break;
    }
    return 0;
}

void virt_table_break_off(struct virt_table *table)
{
    table->resyncing = false;
}

void virt_table_doubt(struct virt_table *table)
{
    for (uint32_t i = 0; i < table->count; i++)
        table->entries[i].domain.asked = UNKNOWN;
}

void virt_table_clear(struct virt_table *table)
{
    while (table->count > 0)
        entry_remove(table, &table->entries[table->count - 1]);
}

const struct virt_domain *virt_table_find(
    const struct virt_table *table, const uint8_t uuid[UUID_SIZE])
{
    for (uint32_t i = 0; i < table->count; i++)
        if (memcmp(table->entries[i].domain.uuid, uuid, UUID_SIZE) == 0)
            return &table->entries[i].domain;
    return NULL;
}

uint32_t virt_table_count(const struct virt_table *table)
{
    return table->count;
}
