/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the replacement of a file: a temporary one beside it is written whole and takes its name.
 *
 * Its name has random digits, is made with O_EXCL and O_NOFOLLOW, and ends in .tmp, which
 * node_exporter does not read. The folder is opened once and held, so that it is the same for both
 * steps. A symbolic link at PATH is not followed, and neither it nor a device is replaced: who
 * writes to /dev/stdout means it. No fsync(): after a crash the figures would be of another time
 * anyhow, and the next ones come in seconds.
 */
#include "textfile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* Two that meet by chance are a bug or an attack; a hundred are not made by chance. */
#define NAME_TRIES 100

static int folder_open(const char *path, size_t length)
{
    char folder[PATH_MAX];

    if (length >= sizeof(folder))
        return -ENAMETOOLONG;
    (void)snprintf(folder, sizeof(folder), "%.*s", (int)length, path);
    int fd = open(length > 0 ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* A new file in FOLDER, whose name is left in NAME. */
static int temporary_open(int folder, const char *base, char name[NAME_MAX + 1])
{
    for (unsigned tries = 0; tries < NAME_TRIES; tries++) {
        uint64_t random;

        if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
            return -EIO;
        int length = snprintf(name, NAME_MAX + 1, ".%s.%016" PRIx64 ".tmp", base, random);
        if (length < 0 || length > NAME_MAX)
            return -ENAMETOOLONG;
        int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
        if (fd >= 0)
            return fd;
        if (errno != EEXIST)
            return -errno;
    }
    return -EEXIST;
}

static int all_write(int fd, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t count = write(fd, text, size);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        text += count;
        size -= (size_t)count;
    }
    return 0;
}

/* Closes FD in any case. Some file systems tell of a full disk only then. */
static int file_finish(int fd, const char *text, size_t size, mode_t mode)
{
    int result = all_write(fd, text, size);

    if (result == 0 && mode != 0 && fchmod(fd, mode) < 0)
        result = -errno;
    if (close(fd) < 0 && result == 0)
        result = -errno;
    return result;
}

/* Nothing, or a file. */
static bool is_replaceable(int folder, const char *base)
{
    struct stat there;

    if (fstatat(folder, base, &there, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT; /* of anything else the rename tells */
    return S_ISREG(there.st_mode);
}

int textfile_replace(
    const char *path, const char *text, size_t size, mode_t mode, struct error *ret_error)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    char name[NAME_MAX + 1];

    if (!*base)
        return error_set(ret_error, -EISDIR, "%s is a folder, and a file is needed", path);
    int folder = folder_open(path, slash == path ? 1 : (size_t)(slash ? slash - path : 0));
    if (folder < 0)
        return error_set(
            ret_error, folder, "cannot open the folder of %s: %s", path, strerror(-folder));
    if (!is_replaceable(folder, base)) {
        (void)close(folder);
        return error_set(ret_error, -EEXIST, "%s is there and no file; it stays as it is", path);
    }
    int fd = temporary_open(folder, base, name);
    int result = fd < 0 ? fd : file_finish(fd, text, size, mode);
    if (result == 0 && renameat(folder, name, folder, base) < 0)
        result = -errno;
    if (fd >= 0 && result < 0)
        (void)unlinkat(folder, name, 0);
    (void)close(folder);
    if (result < 0)
        return error_set(ret_error, result, "cannot write %s: %s; what was there before stays",
            path, strerror(-result));
    return 0;
}
