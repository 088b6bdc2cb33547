/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Processes outside the guests that matter to the host's memory, found by their names in one walk
 * over /proc. A process names itself, so a name is taken for what it is only as far as said here.
 */
#ifndef PLIMSOLL_CLI_DOCTOR_WATCHED_H
#define PLIMSOLL_CLI_DOCTOR_WATCHED_H

#include "roots.h"

#include <plimsoll/snapshot.h>
#include <stdbool.h>
#include <stdint.h>

enum watched_name {
    /* Of these only root's are taken. */
    WATCHED_LIBVIRTD,
    WATCHED_VIRTQEMUD,
    WATCHED_SSHD,
    WATCHED_GUARD,
    /* Of these anybody's: they run as users of their own. */
    WATCHED_EARLYOOM,
    WATCHED_NOHANG,
    WATCHED_OOMD,
    WATCHED_SYSTEMD_OOMD,
    WATCHED_COUNT
};
const char *watched_name(enum watched_name name);

struct watched_process {
    pid_t pid;      /* 0: none was found */
    int32_t score;  /* oom_score_adj */
    bool scored;    /* score could be read */
    uint64_t start; /* clock ticks since boot */
};

struct watched {
    int error; /* a negative errno: the processes cannot be seen, or not all of them */
    /* Of several of one name the one with the lowest score: sshd's sessions and the guard's helpers
     * are none that has to stay. */
    struct watched_process processes[WATCHED_COUNT];
};

void watched_find(const struct roots *kernel, struct watched *ret_watched);

#endif
