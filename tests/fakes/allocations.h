/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An allocator that counts its calls, for programs that link it: those of the C library and of
 * other libraries, too. Not to be linked under a sanitizer, which brings an allocator of its own.
 */
#ifndef PLIMSOLL_TESTS_ALLOCATIONS_H
#define PLIMSOLL_TESTS_ALLOCATIONS_H

#include <stdbool.h>

/* Calls of malloc, calloc, realloc and aligned_alloc so far. */
unsigned allocations_count(void);

/* False: another allocator is in force, as under valgrind, and nothing is counted. */
bool allocations_are_counted(void);
#define ALLOCATIONS_NOT_COUNTED "another allocator is in force here, as under valgrind"

#endif
