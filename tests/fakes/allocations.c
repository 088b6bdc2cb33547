/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stands in for the C library's allocator, by symbol interposition, and hands each call on to it by
 * glibc's own names.
 */
#include "allocations.h"

#include <dirent.h>
#include <stdlib.h>

/* glibc's names for who brings an allocator of his own; in no header.
 * NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *pointer, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

/* Else the build's hidden visibility keeps them from the libraries. */
#define SEEN_BY_LIBRARIES __attribute__((visibility("default")))

static unsigned allocations;

/* glibc's own parameter names are reserved words.
 * NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */
SEEN_BY_LIBRARIES void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}

SEEN_BY_LIBRARIES void *calloc(size_t count, size_t size)
{
    allocations++;
    return __libc_calloc(count, size);
}

SEEN_BY_LIBRARIES void *realloc(void *pointer, size_t size)
{
    allocations++;
    return __libc_realloc(pointer, size);
}

SEEN_BY_LIBRARIES void *aligned_alloc(size_t alignment, size_t size)
{
    allocations++;
    return __libc_memalign(alignment, size);
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */

unsigned allocations_count(void)
{
    return allocations;
}

bool allocations_are_counted(void)
{
    unsigned before = allocations;
    DIR *probe = opendir("/"); /* as a library calls it */

    if (probe)
        (void)closedir(probe);
    return allocations > before;
}
