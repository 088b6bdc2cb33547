/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the parts of bench_observe share. Every part prints its own table and returns false when it
 * could not be measured at all, after saying why on stderr.
 */
#ifndef PLIMSOLL_BENCH_H
#define PLIMSOLL_BENCH_H

#include "allocations.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/* Of everything measured: medians need an odd number, and the project asks for 30. */
#define REPETITIONS 31
/* max-vms of the guards measured: what is installed. */
#define BENCH_GUESTS_MAX 1024

/* ---- figures ---- */

uint64_t clock_read(clockid_t clock);

struct spread {
    double low, median, high; /* 10th, 50th, 90th percentile */
};
/* Sorts VALUES. */
struct spread spread_of(double *values, unsigned count);
/* The value that PER_MILLE of sorted VALUES do not exceed. */
double sorted_at(const double *values, unsigned count, unsigned per_mille);

/* ---- guests: sleeping processes that a guard takes for QEMU ---- */

/* The program runs as one of them when it is called by this name. */
#define GUEST_PROGRAM "qemu-system-x86_64"

/* How the monitor of a guest behaves: the names of the QMP directories below the herd's folder. */
enum peer {
    PEER_NONE,  /* its directory is empty */
    PEER_MUTE,  /* takes the connection and never says a word */
    PEER_HANGS, /* greets, negotiates, and then hangs */
    PEER_COUNT,
};

struct herd {
    char folder[64];
    unsigned count;
    pid_t pids[BENCH_GUESTS_MAX];
};

/* Starts COUNT guests, of which the first serves the monitors. */
bool herd_start(struct herd *herd, unsigned count);
void herd_stop(struct herd *herd);
/* The directory of PEER's sockets; the result is the herd's caller's to free. */
char *herd_qmp_directory(const struct herd *herd, enum peer peer);
/* What such a guest does, from its main() on. */
int guest_main(int argc, char **argv);

/* ---- the parts ---- */

bool sampling_measure(unsigned processes);
void sampling_head(void);
bool ticks_measure(unsigned guests);
void ticks_head(void);
bool acts_measure(void);
bool memory_measure(void);

#endif
