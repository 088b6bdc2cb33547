/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns nothing: the kernel's own call below readdir(3), with the caller's buffer. The kernel writes
 * whole records, each aligned for its 64-bit fields (filldir64(), fs/readdir.c).
 */
#include "kernel_directory.h"

#include <dirent.h>
#include <errno.h>
#include <sys/types.h>
#include <unistd.h>

void kernel_directory_begin(struct kernel_directory *directory, int fd)
{
    directory->fd = fd;
    directory->begin = directory->end = 0;
}

int kernel_directory_next(struct kernel_directory *directory, struct kernel_entry *ret_entry)
{
    const struct dirent64 *entry;

    if (directory->begin == directory->end) {
        ssize_t length = getdents64(directory->fd, directory->buffer, sizeof directory->buffer);

        if (length <= 0)
            return length < 0 ? -errno : 0;
        directory->begin = 0;
        directory->end = (size_t)length;
    }
    entry = (const struct dirent64 *)(const void *)(directory->buffer + directory->begin);
    directory->begin += entry->d_reclen;
    *ret_entry = (struct kernel_entry){.name = entry->d_name, .type = entry->d_type};
    return 1;
}

int kernel_directory_rewind(struct kernel_directory *directory)
{
    if (lseek(directory->fd, 0, SEEK_SET) < 0)
        return -errno;
    kernel_directory_begin(directory, directory->fd);
    return 0;
}
