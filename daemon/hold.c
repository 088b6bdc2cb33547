/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the hold's file: four lines of text, so that a person can read it, the last of them the
 * checksum of the others. It is written beside its place and renamed into it, so that whoever reads
 * finds the old one or the new one. What is read is trusted only where it is, letter by letter,
 * what would be written for the same figures.
 */
#include "hold.h"

#include "ledger_layout.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <plimsoll/cleanup.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Twice what it ever has. */
#define HOLD_FILE_MAX 512
#define HOLD_FIRST "plimsoll hold 1\nboot "
#define HOLD_SECOND "\nuntil "

static void file_close(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

uint64_t hold_clock(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

uint64_t hold_realtime(uint64_t left)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec + left;
}

const char *hold_moment(uint64_t left, char buffer[HOLD_MOMENT_MAX])
{
    time_t seconds = (time_t)(hold_realtime(left) / NSEC_PER_SEC);
    struct tm parts;

    if (!gmtime_r(&seconds, &parts) ||
        strftime(buffer, HOLD_MOMENT_MAX, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        buffer[0] = '\0';
    return buffer;
}

const char *hold_guest_name(const struct vm_identity *identity, char buffer[HOLD_NAME_MAX])
{
    (void)snprintf(
        buffer, HOLD_NAME_MAX, HOLD_NAME "-%d-%" PRIu64, (int)identity->pid, identity->start_time);
    return buffer;
}

static void path_make(char path[PATH_MAX], const struct hold_file *file, const char *suffix)
{
    (void)snprintf(path, PATH_MAX, "%s/%s%s", file->folder, file->name, suffix);
}

static size_t text_make(char text[HOLD_FILE_MAX], const char *boot_id, uint64_t until)
{
    int length = snprintf(text, HOLD_FILE_MAX, HOLD_FIRST "%.*s" HOLD_SECOND "%" PRIu64 "\n",
        LEDGER_BOOT_ID_MAX, boot_id, until);
    uint32_t sum = crc32c(0, text, (size_t)length);

    return (size_t)length + (size_t)snprintf(text + length, HOLD_FILE_MAX - (size_t)length,
                                "checksum %08" PRIx32 "\n", sum);
}

/* ---- written ---- */

static int file_fill(const char *path, const char *text, size_t length)
{
    CLEANUP(file_close) int fd = -1;

    /* One that a guard left there that was killed over it. */
    if (unlink(path) < 0 && errno != ENOENT)
        return -errno;
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    ssize_t written = write(fd, text, length);
    if (written < 0)
        return -errno;
    return (size_t)written == length ? 0 : -ENOSPC;
}

int hold_write(const struct hold_file *file, uint64_t until, struct error *ret_error)
{
    char path[PATH_MAX], beside[PATH_MAX], text[HOLD_FILE_MAX];

    path_make(path, file, "");
    path_make(beside, file, ".new");
    int result = file_fill(beside, text, text_make(text, file->boot_id, until));
    if (result == 0 && rename(beside, path) < 0)
        result = -errno;
    if (result < 0) {
        (void)unlink(beside);
        return error_set(ret_error, result, "cannot write %s: %s", path, strerror(-result));
    }
    return 0;
}

int hold_remove(const struct hold_file *file, struct error *ret_error)
{
    char path[PATH_MAX];

    path_make(path, file, "");
    if (unlink(path) < 0 && errno != ENOENT)
        return error_set(ret_error, -errno, "cannot remove %s: %s", path, strerror(errno));
    return 0;
}

/* ---- read ---- */

static int file_read(const char *path, char text[HOLD_FILE_MAX], struct error *ret_error)
{
    CLEANUP(file_close)
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    struct stat info;

    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0 || fstat(fd, &info) < 0)
        return error_set(ret_error, errno == ELOOP ? -EPERM : -errno, "%s cannot be read: %s", path,
            strerror(errno));
    if (!S_ISREG(info.st_mode) || info.st_uid != geteuid() || (info.st_mode & 022))
        return error_set(ret_error, -EPERM, "%s is not the guard's own, or open to others", path);
    ssize_t length = read(fd, text, HOLD_FILE_MAX - 1);
    if (length < 0)
        return error_set(ret_error, -errno, "%s cannot be read: %s", path, strerror(errno));
    text[length] = '\0';
    return strlen(text) == (size_t)length && length > 0
               ? 1
               : error_set(ret_error, -EBADMSG, "%s is damaged", path);
}

/* Fills BOOT_ID and *RET_UNTIL where TEXT is what is written for them. */
static bool text_parse(
    const char *text, char ret_boot_id[LEDGER_BOOT_ID_MAX + 1], uint64_t *ret_until)
{
    char again[HOLD_FILE_MAX], number[24] = "";
    size_t first = strlen(HOLD_FIRST), second = strlen(HOLD_SECOND);

    if (strncmp(text, HOLD_FIRST, first) != 0)
        return false;
    const char *boot = text + first, *end = strchr(boot, '\n');
    if (!end || end - boot > LEDGER_BOOT_ID_MAX || strncmp(end, HOLD_SECOND, second) != 0)
        return false;
    (void)snprintf(ret_boot_id, LEDGER_BOOT_ID_MAX + 1, "%.*s", (int)(end - boot), boot);
    const char *until = end + second;
    size_t digits = strcspn(until, "\n");
    if (digits >= sizeof(number))
        return false;
    memcpy(number, until, digits);
    if (text_parse_number(number, 0, UINT64_MAX, ret_until) < 0)
        return false;
    (void)text_make(again, ret_boot_id, *ret_until);
    return strcmp(again, text) == 0;
}

int hold_read(
    const struct hold_file *file, uint64_t now, uint64_t *ret_until, struct error *ret_error)
{
    char path[PATH_MAX], text[HOLD_FILE_MAX], boot[LEDGER_BOOT_ID_MAX + 1];
    uint64_t until;

    path_make(path, file, "");
    int result = file_read(path, text, ret_error);
    if (result <= 0)
        return result;
    if (!text_parse(text, boot, &until))
        return error_set(ret_error, -EBADMSG, "%s is damaged, or no hold of this version's", path);
    if (strcmp(boot, file->boot_id) != 0)
        return error_set(ret_error, -ESTALE, "%s is from before the host was started", path);
    if (until <= now)
        return 0;
    if (until - now > HOLD_MOST)
        return error_set(ret_error, -EBADMSG, "%s says more than any hold may last", path);
    *ret_until = until;
    return 1;
}
