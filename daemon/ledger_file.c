/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the ledger's file: that it is ours, locked, preallocated, mapped and of this boot.
 *
 * The lock is fcntl's POSIX lock because only that one can be asked for its holder's pid (an open
 * file description lock answers -1). Its pitfalls, and why they do not bite: a process loses it
 * when it closes ANY descriptor of the file, so nobody but this file opens the ledger, and only
 * once; a fork does not inherit it, so a child closing its copy takes nothing away.
 *
 * A lock is on the file, not on its name: after locking, the name must still lead to the file, else
 * another guard has just put it aside and we begin again. The header is written last, so a file
 * whose making was interrupted has none and is made again; it never changes after.
 *
 * What cannot be read is not all alike. A damaged header says nothing: the file is put aside. One
 * of another version, intact and of this boot, is an upgrade with guests still paused or frozen:
 * only that version can undo them, so the file stays and we do not start.
 */
#include "ledger_layout.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <plimsoll/cleanup.h>
#include <plimsoll/units.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The name leads elsewhere after locking only if another guard just replaced the file; that it does
 * so again and again is no race any more. */
#define OPEN_ATTEMPTS 5

static size_t file_size(uint32_t capacity)
{
    return LEDGER_SLOTS_OFFSET + (size_t)capacity * sizeof(struct ledger_slot);
}

uint32_t crc32c(uint32_t first, const void *data, size_t size)
{
    /* Remainders of the sixteen half bytes by the reflected polynomial 0x82f63b78. */
    static const uint32_t table[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc,
        0x5125dad3, 0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
    const unsigned char *bytes = data;
    uint32_t sum = ~first;

    for (size_t i = 0; i < size; i++) {
        sum ^= bytes[i];
        sum = sum >> 4 ^ table[sum & 15];
        sum = sum >> 4 ^ table[sum & 15];
    }
    return ~sum;
}

static uint32_t header_checksum(const struct ledger_header *header)
{
    return crc32c(0, header, offsetof(struct ledger_header, checksum));
}

static void header_make(const char *boot_id, struct ledger_header *ret_header)
{
    struct ledger_header header;

    memset(&header, 0, sizeof(header));
    memcpy(header.magic, LEDGER_MAGIC, sizeof(LEDGER_MAGIC));
    header.version = LEDGER_VERSION;
    header.slot_size = sizeof(struct ledger_slot);
    header.record_size = sizeof(struct ledger_record);
    /* What is read from /proc ends in a newline; the id is the same without. */
    memcpy(header.boot_id, boot_id, strcspn(boot_id, "\n"));
    header.checksum = header_checksum(&header);
    *ret_header = header;
}

enum header_state {
    HEADER_NONE,    /* a new file, or one whose making was interrupted */
    HEADER_OURS,    /* of this boot and this version */
    HEADER_STALE,   /* of another boot, whose measures ended with it */
    HEADER_FOREIGN, /* of this boot, intact, and of another version: it may hold measures */
    HEADER_DAMAGED,
};

static enum header_state header_compare(
    const struct ledger_header *stored, const struct ledger_header *wanted)
{
    static const struct ledger_header none;

    if (memcmp(stored, &none, sizeof(none)) == 0)
        return HEADER_NONE;
    if (memcmp(stored, wanted, sizeof(*wanted)) == 0)
        return HEADER_OURS;
    if (stored->checksum != header_checksum(stored) ||
        memcmp(stored->magic, wanted->magic, sizeof(stored->magic)) != 0)
        return HEADER_DAMAGED;
    if (memcmp(stored->boot_id, wanted->boot_id, sizeof(stored->boot_id)) != 0)
        return HEADER_STALE;
    return HEADER_FOREIGN;
}

/* Refuses what nobody but an attacker, or a mistake, puts in our place. */
static int file_check(int fd, const char *path, struct error *ret_error)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return error_set(ret_error, -errno, "%s: %s", path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return error_set(ret_error, -ENOTSUP,
            "%s is not a regular file; remove it, the guard makes its own", path);
    if (status.st_uid != geteuid())
        return error_set(ret_error, -EPERM,
            "%s belongs to uid %u, not to ours (%u); remove it, the guard makes its own", path,
            (unsigned)status.st_uid, (unsigned)geteuid());
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0 || status.st_nlink > 1)
        return error_set(ret_error, -EPERM,
            "%s has mode %03o and %lu links, expected 600 and 1: others may have changed it; "
            "remove it, the guard makes its own",
            path, (unsigned)status.st_mode & 0777, (unsigned long)status.st_nlink);
    return 0;
}

static int file_lock(int fd, const char *path, struct error *ret_error)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    if (fcntl(fd, F_SETLK, &lock) == 0)
        return 0;
    if (errno != EACCES && errno != EAGAIN)
        return error_set(ret_error, -errno, "%s cannot be locked: %s", path, strerror(errno));
    lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
        return error_set(ret_error, -EBUSY,
            "%s is held by process %d: another guard is running; stop it first", path,
            (int)lock.l_pid);
    return error_set(ret_error, -EBUSY, "%s was held by another process just now; try again", path);
}

/* Whether PATH still leads to the locked file. */
static bool file_is_named(int fd, const char *path)
{
    struct stat opened, named;

    return fstat(fd, &opened) == 0 && lstat(path, &named) == 0 && opened.st_ino == named.st_ino &&
           opened.st_dev == named.st_dev;
}

static int header_read(int fd, struct ledger_header *ret_header)
{
    struct ledger_header header;

    memset(&header, 0, sizeof(header));
    /* Shorter than a header: what is missing reads as zero. */
    if (pread(fd, &header, sizeof(header), 0) < 0)
        return -errno;
    *ret_header = header;
    return 0;
}

/* Makes the file hold CAPACITY slots at least, none of its blocks missing: a store to a mapped page
 * for which a full file system has no room is a SIGBUS. */
static int file_allocate(
    struct ledger_file *file, uint32_t capacity, const char *path, struct error *ret_error)
{
    struct stat status;

    if (fstat(file->fd, &status) < 0)
        return error_set(ret_error, -errno, "%s: %s", path, strerror(errno));
    uint64_t stored = sub_or_zero((uint64_t)status.st_size, LEDGER_SLOTS_OFFSET);
    stored /= sizeof(struct ledger_slot);
    file->capacity = (uint32_t)min_u64(max_u64(stored, capacity), MAX_VMS_LIMIT);
    file->size = file_size(file->capacity);
    int result = posix_fallocate(file->fd, 0, (off_t)file->size);
    if (result != 0)
        return error_set(ret_error, -result, "%s: no room for %zu bytes: %s", path, file->size,
            strerror(result));
    file->map =
        mmap(NULL, file->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file->fd, 0);
    if (file->map == MAP_FAILED) {
        file->map = NULL;
        return error_set(ret_error, -errno, "%s cannot be mapped: %s", path, strerror(errno));
    }
    return 0;
}

/* Puts a file we cannot read aside, for a person to look at. */
static int file_put_aside(const char *path, struct error *ret_error)
{
    char aside[PATH_MAX];

    if (snprintf(aside, sizeof(aside), "%s.bad", path) >= (int)sizeof(aside))
        return error_set(ret_error, -ENAMETOOLONG, "%s: the name is too long", path);
    if (rename(path, aside) < 0)
        return error_set(
            ret_error, -errno, "%s cannot be renamed to %s: %s", path, aside, strerror(errno));
    (void)error_set(ret_error, 0,
        "%s is damaged: kept as %s and begun anew; measures it held are no longer known to the "
        "guard",
        path, aside);
    return 0;
}

/* One attempt. -EAGAIN: the name leads to another file now. */
static int file_try(const char *path, const struct ledger_header *wanted, uint32_t capacity,
    struct ledger_file *file, struct error *ret_error)
{
    struct ledger_header stored = {0};

    file->fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (file->fd < 0)
        return error_set(ret_error, -errno, "%s cannot be opened: %s", path,
            errno == ELOOP ? "it is a symbolic link" : strerror(errno));
    int result = file_check(file->fd, path, ret_error);
    if (result == 0)
        result = file_lock(file->fd, path, ret_error);
    if (result < 0)
        return result;
    if (!file_is_named(file->fd, path))
        return -EAGAIN;
    result = header_read(file->fd, &stored);
    if (result < 0)
        return error_set(ret_error, result, "%s cannot be read: %s", path, strerror(-result));
    enum header_state state = header_compare(&stored, wanted);
    if (state == HEADER_FOREIGN)
        return error_set(ret_error, -ENOTSUP,
            "%s was written in this boot by another version of Plimsoll (format %u.%u.%u, ours is "
            "%u.%u.%u) and may hold measures in force: run `plimsoll undo --offline` of that "
            "version, or remove the file if nothing needs undoing",
            path, stored.version, stored.slot_size, stored.record_size, wanted->version,
            wanted->slot_size, wanted->record_size);
    if (state == HEADER_DAMAGED) {
        result = file_put_aside(path, ret_error);
        return result < 0 ? result : -EAGAIN;
    }
    if (state != HEADER_OURS && ftruncate(file->fd, 0) < 0)
        return error_set(ret_error, -errno, "%s cannot be emptied: %s", path, strerror(errno));
    result = file_allocate(file, capacity, path, ret_error);
    if (result < 0)
        return result;
    /* One call, which a SIGKILL finds done or not begun; the map sees it, it is the same page. */
    if (state != HEADER_OURS &&
        pwrite(file->fd, wanted, sizeof(*wanted), 0) != (ssize_t)sizeof(*wanted))
        return error_set(ret_error, -EIO, "%s: the header cannot be written", path);
    return 0;
}

int ledger_file_open(const char *path, const char *boot_id, uint32_t capacity,
    struct ledger_file *ret_file, struct error *ret_error)
{
    struct ledger_header wanted;
    int result = -EAGAIN;

    if (ret_error)
        *ret_error = (struct error){0};
    if (strlen(boot_id) >= LEDGER_BOOT_ID_MAX || boot_id[0] == '\0')
        return error_set(ret_error, -EINVAL, "\"%s\" is no boot id", boot_id);
    if (capacity > MAX_VMS_LIMIT)
        return error_set(ret_error, -EINVAL, "%u slots are more than the %u of a ledger",
            (unsigned)capacity, (unsigned)MAX_VMS_LIMIT);
    header_make(boot_id, &wanted);
    for (unsigned attempt = 0; result == -EAGAIN && attempt < OPEN_ATTEMPTS; attempt++) {
        struct ledger_file file = LEDGER_FILE_NONE;
        result = file_try(path, &wanted, capacity, &file, ret_error);
        if (result == 0)
            *ret_file = file;
        else
            ledger_file_close(&file);
    }
    if (result == -EAGAIN)
        return error_set(ret_error, -EAGAIN, "%s is being replaced again and again", path);
    return result;
}

void ledger_file_shrink(struct ledger_file *file, uint32_t capacity)
{
    size_t size = file_size(capacity);

    if (capacity >= file->capacity)
        return;
    void *map = mremap(file->map, file->size, size, 0);
    if (map == MAP_FAILED)
        return; /* a larger ledger is as good */
    file->map = map;
    file->size = size;
    file->capacity = capacity;
    (void)!ftruncate(file->fd, (off_t)size);
}

void ledger_file_close(struct ledger_file *file)
{
    if (file->map)
        (void)munmap(file->map, file->size);
    if (file->fd >= 0)
        (void)close(file->fd);
    *file = (struct ledger_file)LEDGER_FILE_NONE;
}
