/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading a folder's entries without allocation: opendir(3) takes 32 KiB of heap each time, and the
 * guard walks a folder per guest and round, at the edge, too.
 */
#ifndef PLIMSOLL_DAEMON_KERNEL_DIRECTORY_H
#define PLIMSOLL_DAEMON_KERNEL_DIRECTORY_H

#include <stddef.h>
#include <stdint.h>

struct kernel_directory {
    int fd; /* the caller's */
    size_t begin, end;
    /* About 150 descriptors of a process in one call; a name has at most 255 bytes. */
    _Alignas(uint64_t) char buffer[4096];
};

struct kernel_entry {
    const char *name;   /* valid until the next call */
    unsigned char type; /* DT_… of readdir(3); DT_UNKNOWN where the file system does not tell */
};

/* Reads on from where FD, an open folder, stands. */
void kernel_directory_begin(struct kernel_directory *directory, int fd);
/* 1: *RET_ENTRY is the next one ("." and ".." among them). 0: there are no more. Else a negative
 * errno. */
int kernel_directory_next(struct kernel_directory *directory, struct kernel_entry *ret_entry);
/* What is there now is read from its beginning. Returns 0 or a negative errno. */
int kernel_directory_rewind(struct kernel_directory *directory);

#endif
