/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A kernel's RLIMIT_MEMLOCK of one process, in place of the real one: raising a hard limit again
 * takes CAP_SYS_RESOURCE, which a container lacks, and nobody could be made to change a limit
 * between two calls. test_memlock_real.c does what it can on the real one.
 */
#ifndef PLIMSOLL_TESTS_LIMITS_SCENE_H
#define PLIMSOLL_TESTS_LIMITS_SCENE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

struct limits_scene {
    struct rlimit limit; /* of whichever process is asked about */
    int error;           /* setting it fails with this; 0: it does not */
    unsigned sets;       /* times it was set */
    /* Run before it is set for the first time, as somebody else who is quicker. */
    void (*before_set)(void);
};
extern struct limits_scene limits;

/* Soft 64 MiB, hard unlimited: what fake_tree's /proc says, too. */
void limits_begin(void);
bool limits_are(uint64_t soft, uint64_t hard);

#endif
