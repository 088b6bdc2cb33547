/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the open /proc, the table of processes met, and the round in progress.
 *
 * A process is asked in the order of cost. Its stat tells whether it has memory at all: a kernel
 * thread or a zombie has none and is passed over. Its executable is looked at in every round,
 * because libvirt's child becomes QEMU by exec, with the same pid and start time. Its descriptors
 * are read when it is first met and then in each LOOK_ROUNDS-th round, which is what finds a guest
 * under a name of its own; the rounds are spread by pid.
 *
 * Command lines are read of guests alone, and once: /proc/PID/cmdline is the process's memory, and
 * reading it waits for its mmap_lock, which a busy QEMU holds for tens of milliseconds at a time
 * and a stuck one for ever. For the same reason nothing here reads maps, smaps, environ or their
 * like. What is read in each round (stat, exe, fd) takes no lock of that kind.
 *
 * A step is bounded in processes and in time, and the next goes on where it stopped.
 *
 * All of a process is read below one descriptor of its folder: no two facts of one report can
 * belong to two processes.
 */
#include "scan.h"

#include "kernel_file.h"
#include "sample_process.h"
#include "scan_cmdline.h"
#include "scan_name.h"
#include "scan_table.h"
#include "scan_wiring.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <plimsoll/cleanup.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A process that was no guest can open a KVM guest later; it is seen after so many rounds. */
#define LOOK_ROUNDS 10
/* What one step may take: the shortest tick (1 ms) is then late by no more than one. Looked at
 * after each process, so that a step overruns it by one process at most. */
#define STEP_TIME_MAX NSEC_PER_MSEC
/* A probe asks and ends: libvirt's takes about a second and is given up long before this. An older
 * one that says -machine none has had its command line rewritten. Up to the same age an empty
 * command line may be one not written yet. */
#define PROBE_AGE_MAX (60 * NSEC_PER_SEC)
/* The command line says -incoming for as long as QEMU lives. So long after its start nothing is
 * told from that any more: it may run, and who is taken for arriving cannot be paused. */
#define INCOMING_AGE_MAX NSEC_PER_MINUTE
/* Slower growth names nobody: any busy process moves that much for a while. */
#define CULPRIT_GROWTH_MIN ((int64_t)MIB)

/* The culprits of one round. */
struct scan_culprits {
    struct process_snapshot largest, fastest;
};

struct scan {
    char *proc;
    DIR *directory;
    struct scan_table *table;
    uint32_t round; /* from 1 */
    bool at_start;  /* of a round */
    struct scan_culprits current, complete;
    char cmdline[CMDLINE_MAX + 1];
};

DEFINE_CLEANUP(struct scan *, scan_free);

int scan_new(const struct roots *roots, struct scan **ret_scan)
{
    CLEANUP(scan_free_at) struct scan *scan = calloc(1, sizeof(*scan));

    if (!scan)
        return -ENOMEM;
    scan->proc = strdup(roots->proc);
    if (!scan->proc)
        return -ENOMEM;
    scan->round = 1;
    scan->at_start = true;
    scan->directory = opendir(roots->proc);
    if (!scan->directory)
        return -errno;
    int result = scan_table_new(&scan->table);
    if (result < 0)
        return result;
    *ret_scan = STEAL(scan);
    return 0;
}

struct scan *scan_free(struct scan *scan)
{
    if (!scan)
        return NULL;
    if (scan->directory)
        (void)closedir(scan->directory);
    (void)scan_table_free(scan->table);
    free(scan->proc);
    free(scan);
    return NULL;
}

/* 1: the executable is QEMU's system emulator, and root alone could have put it there; 0: not. The
 * link goes on leading to the file itself when a package upgrade has deleted its name. */
static int executable_is_qemu(int process)
{
    static const char deleted[] = " (deleted)";
    static const char emulator[] = "qemu-system-";
    char link[PATH_MAX];
    struct stat status;

    ssize_t length = readlinkat(process, "exe", link, sizeof(link) - 1);
    if (length < 0)
        return 0;
    link[length] = '\0';
    if ((size_t)length > strlen(deleted) && strcmp(link + length - strlen(deleted), deleted) == 0)
        link[(size_t)length - strlen(deleted)] = '\0';
    const char *slash = strrchr(link, '/');
    const char *name = slash ? slash + 1 : link;
    if (strncmp(name, emulator, strlen(emulator)) != 0 && strcmp(name, "qemu-kvm") != 0)
        return 0;
    return fstatat(process, "exe", &status, 0) == 0 && S_ISREG(status.st_mode) &&
           status.st_uid == 0 && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static uint64_t clock_now(clockid_t clock)
{
    struct timespec time = {0};

    (void)clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * NSEC_PER_SEC + (uint64_t)time.tv_nsec;
}

/* Since the process was started, by the clock that its start time is told in (proc(5)). */
static uint64_t age_of(const struct process_stat *stat)
{
    uint64_t ticks = (uint64_t)sysconf(_SC_CLK_TCK);
    uint64_t start = scale_u64(stat->start_time, NSEC_PER_SEC, ticks);

    return sub_or_zero(clock_now(CLOCK_BOOTTIME), start);
}

/* Returns the length; 0: it is empty, as a process may make it. */
static int cmdline_read(struct scan *scan, int process, struct cmdline_facts *ret_facts)
{
    CLEANUP(kernel_file_close_at) int fd = kernel_file_open(process, "cmdline");

    if (fd < 0)
        return fd == -ENOENT ? -ESRCH : fd;
    int length = kernel_file_read(fd, scan->cmdline, sizeof(scan->cmdline));
    if (length == -ENODATA)
        length = 0;
    if (length < 0)
        return length;
    cmdline_parse(scan->cmdline, (size_t)length, length == CMDLINE_MAX, ret_facts);
    return length;
}

/* What the command line says, read at the first meeting and after an exec. */
static int facts_get(struct scan *scan, int process, bool young, struct scan_entry *entry,
    struct cmdline_facts *ret_facts)
{
    struct stat executable = {.st_ino = 0};
    struct scan_guest *guest = entry->guest;
    struct cmdline_facts facts;

    (void)fstatat(process, "exe", &executable, 0);
    if (guest && guest->device == executable.st_dev && guest->inode == executable.st_ino) {
        *ret_facts = guest->facts;
        return 0;
    }
    int length = cmdline_read(scan, process, &facts);
    if (length < 0)
        return length;
    if (!guest && (length > 0 || !young))
        guest = entry->guest = malloc(sizeof(*guest)); /* without it: read again */
    if (guest)
        *guest = (struct scan_guest){
            .device = executable.st_dev, .inode = executable.st_ino, .facts = facts};
    *ret_facts = facts;
    return 0;
}

/* Puts together what is known of a guest; -ENOENT for a probe. */
static int guest_read(struct scan *scan, int process, const struct process_stat *stat,
    const struct vm_wiring *wiring, struct scan_entry *entry, struct scan_found *ret_found)
{
    struct cmdline_facts facts;
    uint64_t age = age_of(stat);
    bool young = age < PROBE_AGE_MAX;

    int result = facts_get(scan, process, young, entry, &facts);
    if (result < 0)
        return result;
    if (facts.probe && young)
        return -ENOENT;
    struct scan_found found = {
        .identity = {.pid = entry->pid, .start_time = entry->start_time},
        .wiring = *wiring,
        .maximum = facts.memory,
        .incoming = facts.incoming && age < INCOMING_AGE_MAX,
    };
    memcpy(found.identity.uuid, facts.uuid, sizeof(facts.uuid));
    memcpy(found.name, facts.name, sizeof(found.name));
    if (found.name[0] == '\0')
        (void)snprintf(found.name, sizeof(found.name), "qemu-%d", (int)entry->pid);
    found.wiring.encrypted = facts.encrypted;
    found.wiring.shared = facts.shared;
    found.wiring.backend_nodes = facts.backend_nodes;
    *ret_found = found;
    return 0;
}

/* LOOK: read the descriptors of a process whose executable is not QEMU. */
static int process_judge(struct scan *scan, int process, const struct process_stat *stat, bool look,
    struct scan_entry *entry, struct scan_found *ret_found)
{
    struct vm_wiring wiring;

    int emulator = executable_is_qemu(process);
    if (!emulator && !look)
        return -ENOENT;
    int result = wiring_read(process, &wiring);
    if (result < 0)
        return result;
    if (!emulator && wiring.kvm != TRISTATE_YES)
        return -ENOENT;
    return guest_read(scan, process, stat, &wiring, entry, ret_found);
}

static int process_open(
    const struct scan *scan, pid_t pid, struct process_stat *ret_stat, int *ret_process)
{
    CLEANUP(kernel_file_close_at) int process = process_folder_open(scan->proc, pid);
    CLEANUP(kernel_file_close_at) int fd = -1;

    if (process < 0)
        return process;
    fd = kernel_file_open(process, "stat");
    if (fd < 0)
        return fd == -ENOENT ? -ESRCH : fd;
    int result = process_stat_read(fd, ret_stat);
    if (result < 0)
        return result;
    *ret_process = STEAL_FD(process);
    return 0;
}

int scan_process(struct scan *scan, pid_t pid, struct scan_found *ret_found)
{
    CLEANUP(kernel_file_close_at) int process = -1;
    struct process_stat stat;

    int result = process_open(scan, pid, &stat, &process);
    if (result < 0)
        return result;
    if (stat.state == VM_PROCESS_DEAD)
        return -ESRCH;
    struct scan_entry *entry = scan_table_get(scan->table, pid, stat.start_time);
    return process_judge(scan, process, &stat, true, entry, ret_found);
}

static struct process_snapshot culprit_of(
    pid_t pid, const struct process_stat *stat, int64_t growth)
{
    struct process_snapshot culprit = {.pid = pid, .rss = stat->rss, .growth = growth};

    name_clean(stat->name, strlen(stat->name), culprit.name, sizeof(culprit.name));
    return culprit;
}

/* Bytes per second since the entry's last meeting. */
static int64_t growth_of(const struct scan_entry *entry, uint64_t rss, uint64_t now)
{
    if (!known(entry->rss) || now <= entry->time)
        return 0;
    uint64_t elapsed = now - entry->time;
    if (rss >= entry->rss)
        return diff_i64(scale_u64(rss - entry->rss, NSEC_PER_SEC, elapsed), 0);
    return -diff_i64(scale_u64(entry->rss - rss, NSEC_PER_SEC, elapsed), 0);
}

static void culprits_note(
    struct scan *scan, pid_t pid, const struct process_stat *stat, int64_t growth)
{
    struct scan_culprits *round = &scan->current;

    if (round->largest.pid == 0 || stat->rss > round->largest.rss)
        round->largest = culprit_of(pid, stat, growth);
    if (growth > CULPRIT_GROWTH_MIN && (round->fastest.pid == 0 || growth > round->fastest.growth))
        round->fastest = culprit_of(pid, stat, growth);
}

static void scan_one(
    struct scan *scan, pid_t pid, uint64_t now, scan_handler handler, void *userdata)
{
    CLEANUP(kernel_file_close_at) int process = -1;
    struct process_stat stat;
    struct scan_found found;

    if (process_open(scan, pid, &stat, &process) < 0 || stat.size == 0)
        return;
    struct scan_entry *entry = scan_table_get(scan->table, pid, stat.start_time);
    bool look = scan->round >= entry->look_round;
    int64_t growth = growth_of(entry, stat.rss, now);
    entry->rss = stat.rss;
    entry->time = now;
    entry->seen_round = scan->round;

    int result = process_judge(scan, process, &stat, look, entry, &found);
    if (result == 0) {
        entry->look_round = 0; /* a guest is looked at in each round */
        handler(&found, userdata);
        return;
    }
    /* Gone, or not to be read now: nothing was learnt, and it may be a guest. */
    if (result != -ENOENT)
        return;
    /* From the first look on, a slot of its own among the rounds, by pid. */
    if (look)
        entry->look_round = scan->round + LOOK_ROUNDS - (scan->round + (uint32_t)pid) % LOOK_ROUNDS;
    culprits_note(scan, pid, &stat, growth);
}

static bool is_process(const struct dirent *entry, pid_t *ret_pid)
{
    const char *cursor = entry->d_name;
    uint64_t pid;

    if (!kernel_number_parse(&cursor, &pid) || *cursor != '\0' || pid == 0 || pid > INT_MAX)
        return false;
    *ret_pid = (pid_t)pid;
    return true;
}

int scan_step(
    struct scan *scan, unsigned budget, uint64_t now, scan_handler handler, void *userdata)
{
    uint64_t end = clock_now(CLOCK_MONOTONIC) + STEP_TIME_MAX;
    struct dirent *entry;
    pid_t pid;

    if (scan->at_start) {
        rewinddir(scan->directory);
        scan->current = (struct scan_culprits){.largest = {.pid = 0}};
        scan->at_start = false;
    }
    while (budget > 0) {
        errno = 0;
        entry = readdir(scan->directory);
        if (!entry && errno != 0) {
            int error = -errno;
            scan->at_start = true;
            return error;
        }
        if (!entry) {
            scan->complete = scan->current;
            scan->at_start = true;
            scan->round++;
            return 1;
        }
        if (!is_process(entry, &pid))
            continue;
        scan_one(scan, pid, now, handler, userdata);
        budget--;
        if (clock_now(CLOCK_MONOTONIC) >= end)
            break;
    }
    return 0;
}

void scan_largest_process(const struct scan *scan, struct process_snapshot *ret_process)
{
    *ret_process =
        scan->complete.fastest.pid != 0 ? scan->complete.fastest : scan->complete.largest;
}
