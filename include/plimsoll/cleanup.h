/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Scope-bound ownership. A variable marked CLEANUP(f) is passed to f by address when it leaves its
 * scope; STEAL() hands the value on and leaves the variable empty.
 */
#ifndef PLIMSOLL_CLEANUP_H
#define PLIMSOLL_CLEANUP_H

#include <stddef.h>

#define CLEANUP(function) __attribute__((cleanup(function)))

/* Defines function##_at(), the form CLEANUP() wants, from a destructor that takes the pointer and
 * returns NULL, as all of ours do. */
#define DEFINE_CLEANUP(type, function)                          \
    static inline void function##_at(__typeof__(type) *pointer) \
    {                                                           \
        if (*pointer)                                           \
            (void)function(*pointer);                           \
    }                                                           \
    struct plimsoll_require_semicolon

#define STEAL(variable)                            \
    __extension__({                                \
        __typeof__(variable) stolen_ = (variable); \
        (variable) = NULL;                         \
        stolen_;                                   \
    })

#define STEAL_FD(variable)        \
    __extension__({               \
        int stolen_ = (variable); \
        (variable) = -1;          \
        stolen_;                  \
    })

/* The object whose MEMBER is at POINTER. */
#define container_of(pointer, type, member)                         \
    __extension__({                                                 \
        __typeof__(((type *)NULL)->member) *member_ = (pointer);    \
        (type *)(void *)((char *)member_ - offsetof(type, member)); \
    })

#define ELEMENTSOF(array) (sizeof(array) / sizeof((array)[0]))

#endif
