/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guard on a fake host: the figures are files of a fake tree, the guests are real children of the
 * test, so that a signal of the guard's is seen to arrive. Every function ends the test when it
 * fails.
 */
#ifndef PLIMSOLL_TESTS_FAKE_HOST_H
#define PLIMSOLL_TESTS_FAKE_HOST_H

#include "fake_tree.h"
#include "guard_private.h"

/* What fake_tree_host() has in total. */
#define FAKE_HOST_TOTAL (16 * GIB)
/* Of every guest, in clock ticks. */
#define FAKE_HOST_START_TIME 4711

struct fake_host {
    struct fake_tree *tree;
    char config_path[128];
    const char *record_folder; /* the caller's, before the guard is started; NULL: no record */
    struct guard *guard;
    uint64_t now; /* the clock of the ticks */
};

/* CONFIG is the text of the configuration file. The guard is not started yet: guests come first. */
void fake_host_begin(struct fake_host *host, enum fake_cgroups cgroups, const char *config);
void fake_host_start_guard(struct fake_host *host);
void fake_host_end(struct fake_host *host);

/* A child that sleeps, with the files of a KVM guest that holds RSS bytes. */
pid_t fake_host_guest(struct fake_host *host, const char *name, uint64_t rss);
/* Gives a process of the test's these files. */
void fake_host_dress(struct fake_host *host, pid_t pid, const char *name, uint64_t rss);
void fake_host_set_rss(struct fake_host *host, pid_t pid, uint64_t rss);
/* MemAvailable and MemFree; the rest of meminfo stays. */
void fake_host_set_available(struct fake_host *host, uint64_t available);
/* State letter of the real child: 'S', 'T', 'Z'. */
char fake_host_real_state(pid_t pid);

/* Waits until the real child has stopped, gone on or ended (waitid's WSTOPPED, WCONTINUED,
 * WEXITED); one that has ended stays a zombie. */
void fake_host_await(pid_t pid, int what);

/* One tick, ADVANCE ns after the last. */
void fake_host_tick(struct fake_host *host, uint64_t advance);

#endif
