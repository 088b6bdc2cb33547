/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the ledger's slots and its history of destructive actions, in the mapping of ledger_file.c.
 *
 * Writing goes to the older copy of a slot: its sequence number becomes 0 (no copy), then entry and
 * checksum are stored, then the new sequence number. A process killed between any two of these
 * stores has done all before and none after, so only their order in the program matters to whoever
 * opens the file next; release fences keep the compiler to it, and a CPU for a live reader. The
 * checksum covers the sequence number, so that a copy is whole or none whatever was torn.
 *
 * Which copy is the newer is found once, at open, and kept beside the map: get() and put() are
 * loads and stores, without a system call and without allocation.
 */
#include "ledger_layout.h"

#include <errno.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/units.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define COPY_NONE 2 /* neither copy holds an entry */

struct ledger {
    struct ledger_file file;
    struct ledger_record *history;
    struct ledger_slot *slots;
    uint64_t history_next; /* sequence number of the next record */
    uint8_t newest[];      /* by slot: 0, 1 or COPY_NONE */
};

DEFINE_CLEANUP(struct ledger *, ledger_free);

static uint32_t copy_checksum(uint64_t sequence, const struct ledger_entry *entry)
{
    return crc32c(crc32c(0, &sequence, sizeof(sequence)), entry, sizeof(*entry));
}

static uint32_t record_checksum(uint64_t sequence, const struct ledger_destruction *destruction)
{
    return crc32c(crc32c(0, &sequence, sizeof(sequence)), destruction, sizeof(*destruction));
}

static bool is_text(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

/* Whole, and nothing in it that would lead a reader astray. */
static bool copy_is_valid(const struct ledger_copy *copy)
{
    return copy->sequence != 0 && copy->checksum == copy_checksum(copy->sequence, &copy->entry) &&
           is_text(copy->entry.name, sizeof(copy->entry.name)) &&
           is_text(copy->entry.monitor, sizeof(copy->entry.monitor)) &&
           (uint32_t)copy->entry.limit_written < VM_LIMIT_COUNT &&
           (uint32_t)copy->entry.reason < REASON_COUNT;
}

static bool record_is_valid(const struct ledger_record *record, uint32_t place)
{
    const struct ledger_destruction *destruction = &record->destruction;

    return record->sequence != 0 && record->sequence % LEDGER_HISTORY == place &&
           record->checksum == record_checksum(record->sequence, destruction) &&
           is_text(destruction->name, sizeof(destruction->name)) &&
           (uint32_t)destruction->kind < ACTION_KIND_COUNT &&
           (uint32_t)destruction->reason < REASON_COUNT;
}

/* A slot nobody wrote to is zeros; what is neither that nor a valid copy was damaged. A copy whose
 * writing was interrupted has sequence 0 and is no damage. */
static bool slot_is_damaged(const struct ledger_slot *slot)
{
    return slot->copies[0].sequence != 0 || slot->copies[1].sequence != 0;
}

static uint8_t slot_newest(const struct ledger_slot *slot)
{
    bool first = copy_is_valid(&slot->copies[0]), second = copy_is_valid(&slot->copies[1]);

    if (first && second)
        return slot->copies[1].sequence > slot->copies[0].sequence ? 1 : 0;
    return first ? 0 : second ? 1 : COPY_NONE;
}

static const struct ledger_entry *slot_entry(const struct ledger *ledger, uint32_t slot)
{
    uint8_t newest = ledger->newest[slot];

    if (newest == COPY_NONE)
        return NULL;
    const struct ledger_entry *entry = &ledger->slots[slot].copies[newest].entry;
    return entry->measures.in_force != 0 ? entry : NULL;
}

/* Finds each slot's newest copy and wipes what is damaged. Returns the number of slots lost. */
static uint32_t slots_load(struct ledger *ledger)
{
    uint32_t lost = 0;

    for (uint32_t slot = 0; slot < ledger->file.capacity; slot++) {
        ledger->newest[slot] = slot_newest(&ledger->slots[slot]);
        if (ledger->newest[slot] != COPY_NONE || !slot_is_damaged(&ledger->slots[slot]))
            continue;
        memset(&ledger->slots[slot], 0, sizeof(ledger->slots[slot]));
        lost++;
    }
    return lost;
}

static void history_load(struct ledger *ledger)
{
    ledger->history_next = 1;
    for (uint32_t place = 0; place < LEDGER_HISTORY; place++) {
        struct ledger_record *record = &ledger->history[place];
        if (!record_is_valid(record, place))
            record->sequence = 0;
        else if (record->sequence >= ledger->history_next)
            ledger->history_next = record->sequence + 1;
    }
}

/* Slots to keep: CAPACITY, or as many as it takes to hold those in use. */
static uint32_t slots_needed(const struct ledger *ledger, uint32_t capacity)
{
    uint32_t needed = ledger->file.capacity;

    while (needed > capacity && !slot_entry(ledger, needed - 1))
        needed--;
    return needed;
}

static void map_adopt(struct ledger *ledger)
{
    char *base = ledger->file.map;

    ledger->history = (void *)(base + LEDGER_HISTORY_OFFSET);
    ledger->slots = (void *)(base + LEDGER_SLOTS_OFFSET);
}

int ledger_open(const char *path, const char *boot_id, uint32_t capacity,
    struct ledger **ret_ledger, struct error *ret_error)
{
    struct ledger_file file = LEDGER_FILE_NONE;

    int result = ledger_file_open(path, boot_id, capacity, &file, ret_error);
    if (result < 0)
        return result;
    struct ledger *ledger CLEANUP(ledger_free_at) = calloc(1, sizeof(*ledger) + file.capacity);
    if (!ledger) {
        ledger_file_close(&file);
        return error_set(ret_error, -ENOMEM, "%s: out of memory", path);
    }
    ledger->file = file;
    map_adopt(ledger);
    uint32_t lost = slots_load(ledger);
    if (lost > 0)
        (void)error_set(ret_error, 0,
            "%s: %u slots were damaged and are dropped: their measures are no longer known to the "
            "guard",
            path, (unsigned)lost);
    history_load(ledger);
    if (capacity > 0)
        ledger_file_shrink(&ledger->file, slots_needed(ledger, capacity));
    map_adopt(ledger);
    *ret_ledger = STEAL(ledger);
    return 0;
}

struct ledger *ledger_free(struct ledger *ledger)
{
    if (!ledger)
        return NULL;
    ledger_file_close(&ledger->file);
    free(ledger);
    return NULL;
}

uint32_t ledger_capacity(const struct ledger *ledger)
{
    return ledger->file.capacity;
}

const struct ledger_entry *ledger_get(const struct ledger *ledger, uint32_t slot)
{
    return slot < ledger->file.capacity ? slot_entry(ledger, slot) : NULL;
}

/* The one order of stores, see above. TARGET and SOURCE are of SIZE bytes. */
static void stored_write(uint64_t *sequence, uint32_t *checksum, void *target, const void *source,
    size_t size, uint64_t next, uint32_t sum)
{
    __atomic_store_n(sequence, 0, __ATOMIC_RELAXED);
    atomic_thread_fence(memory_order_seq_cst);
    memcpy(target, source, size);
    *checksum = sum;
    atomic_thread_fence(memory_order_seq_cst);
    __atomic_store_n(sequence, next, __ATOMIC_RELEASE);
}

void ledger_put(struct ledger *ledger, uint32_t slot, const struct ledger_entry *entry)
{
    static const struct ledger_entry cleared;

    if (slot >= ledger->file.capacity)
        return;
    if (entry->measures.in_force == 0)
        entry = &cleared;
    uint8_t newest = ledger->newest[slot], older = newest == 0 ? 1 : 0;
    struct ledger_copy *copies = ledger->slots[slot].copies;
    uint64_t next = newest == COPY_NONE ? 1 : copies[newest].sequence + 1;
    stored_write(&copies[older].sequence, &copies[older].checksum, &copies[older].entry, entry,
        sizeof(*entry), next, copy_checksum(next, entry));
    ledger->newest[slot] = older;
}

void ledger_clear(struct ledger *ledger, uint32_t slot)
{
    /* A slot never used, or cleared already, has nothing to forget. */
    if (ledger_get(ledger, slot))
        ledger_put(ledger, slot, &(struct ledger_entry){0});
}

void ledger_record(struct ledger *ledger, const struct ledger_destruction *destruction)
{
    uint64_t next = ledger->history_next;
    struct ledger_record *record = &ledger->history[next % LEDGER_HISTORY];

    stored_write(&record->sequence, &record->checksum, &record->destruction, destruction,
        sizeof(*destruction), next, record_checksum(next, destruction));
    ledger->history_next = next + 1;
}

const struct ledger_destruction *ledger_history(const struct ledger *ledger, uint32_t index)
{
    for (uint64_t sequence = sub_or_zero(ledger->history_next, LEDGER_HISTORY);
         sequence < ledger->history_next; sequence++) {
        const struct ledger_record *record = &ledger->history[sequence % LEDGER_HISTORY];
        if (sequence == 0 || record->sequence != sequence)
            continue;
        if (index == 0)
            return &record->destruction;
        index--;
    }
    return NULL;
}
