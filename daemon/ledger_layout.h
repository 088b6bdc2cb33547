/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ledger's file as it stands on disk, shared by ledger.c (what is in it) and ledger_file.c (how
 * it is opened). Native byte order and layout: the file never leaves its host or its boot.
 *
 *     0                         header, written once
 *     LEDGER_HISTORY_OFFSET     LEDGER_HISTORY records, a ring
 *     LEDGER_SLOTS_OFFSET       slots to the end of the file, which tells their number
 */
#ifndef PLIMSOLL_DAEMON_LEDGER_LAYOUT_H
#define PLIMSOLL_DAEMON_LEDGER_LAYOUT_H

#include "ledger.h"

#include <stdint.h>
#include <sys/types.h>

#define LEDGER_MAGIC "plimsoll ledger"
/* Raised whenever the meaning of a stored field or a measure's bit changes. */
#define LEDGER_VERSION 4
#define LEDGER_BOOT_ID_MAX 40 /* 36 characters of a uuid, newline, NUL */

/* The header itself stays as it is in all versions: that is how another version is told from
 * damage.
 */
struct ledger_header {
    char magic[16];
    uint32_t version;
    uint32_t slot_size, record_size; /* as compiled: another layout is another version */
    char boot_id[LEDGER_BOOT_ID_MAX];
    uint32_t checksum; /* of all before it */
};

/* One copy of an entry. Sequence 0: never written, or being written. */
struct ledger_copy {
    uint64_t sequence;
    uint32_t checksum; /* of sequence and entry */
    struct ledger_entry entry;
};

struct ledger_slot {
    struct ledger_copy copies[2];
};

struct ledger_record {
    uint64_t sequence; /* 0: none; record N stands at N % LEDGER_HISTORY */
    uint32_t checksum;
    struct ledger_destruction destruction;
};

_Static_assert(sizeof(struct ledger_slot) <= 1088, "limits.md allows 4 KiB a VM for everything");

#define LEDGER_HISTORY_OFFSET 4096
#define LEDGER_SLOTS_OFFSET \
    (LEDGER_HISTORY_OFFSET + ((LEDGER_HISTORY * sizeof(struct ledger_record) + 4095) & ~4095ul))

_Static_assert(sizeof(struct ledger_header) <= LEDGER_HISTORY_OFFSET, "the header has its page");

/* The open file: locked, whole, of this boot and this version. */
struct ledger_file {
    int fd;
    void *map;
    size_t size;
    uint32_t capacity; /* slots in the file */
};
#define LEDGER_FILE_NONE \
    {                    \
        .fd = -1         \
    }

/* As ledger_open() without looking into the slots. Remarks that are no failures go to *ret_error,
 * too, with code 0. */
int ledger_file_open(const char *path, const char *boot_id, uint32_t capacity,
    struct ledger_file *ret_file, struct error *ret_error);
/* Gives back the slots beyond CAPACITY, none of which is in use. */
void ledger_file_shrink(struct ledger_file *file, uint32_t capacity);
void ledger_file_close(struct ledger_file *file);

/* CRC-32C (Castagnoli), RFC 3720 appendix B.4: of "123456789" it is 0xe3069283. FIRST continues a
 * sum; 0 begins one. */
uint32_t crc32c(uint32_t first, const void *data, size_t size);

#endif
