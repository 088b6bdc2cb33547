/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the recorder's two files share: its state, the line under way, the file read last. Nothing
 * here allocates. A line that does not fit is dropped whole and counted (see recorder.c).
 */
#ifndef PLIMSOLL_LAB_RECORDER_H
#define PLIMSOLL_LAB_RECORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define VM_MAX 64        /* the lab's host runs a dozen */
#define NODE_MAX 8       /* it has two */
#define PROCESS_MAX 4096 /* it has about 150, most of them the kernel's */
#define NAME_SIZE 128    /* of a VM */
#define FILE_SIZE 65536  /* /proc/vmstat has some 5 KiB, QEMU's command line up to 10 */
#define LINE_SIZE 65536  /* 64 VMs of at most 1000 bytes, were every byte of their names escaped */
#define OUTPUT_SIZE 524288 /* minutes of samples, or the log of many OOM kills */
#define UNKNOWN UINT64_MAX /* printed as null */

struct vm {
    pid_t pid; /* 0: the slot is free */
    int status, oom_score, oom_score_adj;
    char name[NAME_SIZE];
};

struct process {
    pid_t pid;
    unsigned looks; /* so often it was no VM; counted to LOOKS */
};

struct recorder {
    int output, timer, looks, signals, kernel, proc; /* -1: could not be opened */
    int meminfo, vmstat, psi, nodes[NODE_MAX];
    uint64_t dropped;             /* lines since the last that had room */
    uint64_t least;               /* available since the last sample */
    pid_t guard, guard_candidate; /* the candidate is this scan's first new one */
    bool guard_seen;
    unsigned ticks, present; /* which of the tables is this scan's */
    struct vm vms[VM_MAX];
    struct process processes[2][PROCESS_MAX]; /* by pid, as the kernel lists them */
    unsigned count[2], cursor;                /* the cursor is in the last scan's */
    bool line_full;
    size_t line_length, pending_length, file_length;
    char file[FILE_SIZE], line[LINE_SIZE], pending[OUTPUT_SIZE];
};

void line_add(struct recorder *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
void line_number(struct recorder *r, const char *key, uint64_t value);
void line_string(struct recorder *r, const char *text, size_t length);

/* The whole file, terminated, in r->file; empty if false. */
bool file_read(struct recorder *r, int fd);
/* What follows the key, which stands alone: "Cached:" is not found in "SwapCached:". Or NULL. */
const char *file_find(const struct recorder *r, const char *key);
uint64_t file_number(const struct recorder *r, const char *key, uint64_t unit);

/* Finds new VMs and the guard; sample_vms() adds "vms" to the line and forgets those that ended. */
void process_scan(struct recorder *r);
void sample_vms(struct recorder *r);

#endif
