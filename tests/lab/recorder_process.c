/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The recorder's view of processes: VMs, whose files stay open, and the guard. A process that is
 * neither is looked at often after it appears, since it may yet become one by exec, and seldom
 * afterwards: each look costs the kernel an inode, and it may have none to spare.
 */
#include "recorder.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOKS 30          /* between fork and exec a starved host takes its time */
#define LOOKS_INTERVAL 16 /* ticks between looks afterwards */

static int process_open(struct recorder *r, pid_t pid, const char *file)
{
    char path[64];

    (void)snprintf(path, sizeof path, "%d/%s", (int)pid, file);
    return openat(r->proc, path, O_RDONLY | O_CLOEXEC);
}

/* The program's own name; a thread may have renamed itself. Another user's exe cannot be read. */
static bool process_is(struct recorder *r, pid_t pid, const char *program)
{
    char path[64], link[256];
    int fd = process_open(r, pid, "comm");

    bool is = file_read(r, fd) && strncmp(r->file, program, strlen(program)) == 0;
    if (fd >= 0)
        (void)close(fd);
    if (is)
        return true;
    (void)snprintf(path, sizeof path, "%d/exe", (int)pid);
    ssize_t length = readlinkat(r->proc, path, link, sizeof link - 1);
    if (length <= 0)
        return false;
    link[length] = '\0';
    const char *base = strrchr(link, '/');
    return base && strncmp(base + 1, program, strlen(program)) == 0;
}

/* Of "guest=NAME,debug-threads=on" or "NAME,…", where a comma in the name is doubled. */
static void name_copy(char *name, const char *option)
{
    const char *guest = strstr(option, "guest=");
    size_t length = 0;

    if (guest && (guest == option || guest[-1] == ','))
        option = guest + strlen("guest=");
    for (; *option && length < NAME_SIZE - 1; option++) {
        if (*option == ',' && *++option != ',')
            break;
        name[length++] = *option;
    }
    name[length] = '\0';
}

/* False for QEMU without a machine, by which libvirt only asks what QEMU can do. */
static bool vm_name(struct recorder *r, pid_t pid, char *name)
{
    int fd = process_open(r, pid, "cmdline");

    (void)snprintf(name, NAME_SIZE, "pid %d", (int)pid);
    (void)file_read(r, fd);
    if (fd >= 0)
        (void)close(fd);
    for (const char *word = r->file, *end = word + r->file_length, *next; word < end; word = next) {
        next = word + strlen(word) + 1;
        if (next >= end)
            break;
        if (strcmp(word, "-name") == 0)
            name_copy(name, next);
        if (strcmp(word, "-machine") == 0 && strncmp(next, "none", 4) == 0)
            return false;
    }
    return true;
}

static void vm_close(struct vm *vm)
{
    (void)close(vm->status);
    (void)close(vm->oom_score);
    (void)close(vm->oom_score_adj);
    vm->pid = 0;
}

static void vm_open(struct recorder *r, pid_t pid)
{
    struct vm *vm = r->vms;

    while (vm < r->vms + VM_MAX && vm->pid != 0)
        vm++;
    if (vm == r->vms + VM_MAX || !vm_name(r, pid, vm->name))
        return;
    vm->pid = pid;
    vm->status = process_open(r, pid, "status");
    vm->oom_score = process_open(r, pid, "oom_score");
    vm->oom_score_adj = process_open(r, pid, "oom_score_adj");
}

static bool process_known(struct recorder *r, pid_t pid)
{
    for (unsigned i = 0; i < VM_MAX; i++) {
        if (r->vms[i].pid == pid)
            return true;
    }
    if (r->guard != pid)
        return false;
    r->guard_seen = true;
    return true;
}

static void process_look(struct recorder *r, pid_t pid, unsigned looks)
{
    if (process_known(r, pid) ||
        (looks >= LOOKS && (r->ticks + (unsigned)pid) % LOOKS_INTERVAL != 0))
        return;
    if (process_is(r, pid, "qemu-system-"))
        vm_open(r, pid);
    else if (r->guard_candidate == 0 && process_is(r, pid, "plimsolld"))
        r->guard_candidate = pid;
}

/* Both lists ascend, so the last scan's is walked alongside. */
static void process_seen(struct recorder *r, pid_t pid)
{
    const struct process *before = r->processes[!r->present];
    unsigned *count = &r->count[r->present];
    unsigned looks = 0;

    while (r->cursor < r->count[!r->present] && before[r->cursor].pid < pid)
        r->cursor++;
    if (r->cursor < r->count[!r->present] && before[r->cursor].pid == pid)
        looks = before[r->cursor].looks;
    process_look(r, pid, looks);
    if (*count < PROCESS_MAX)
        r->processes[r->present][(*count)++] =
            (struct process){pid, looks < LOOKS ? looks + 1 : looks};
}

void process_scan(struct recorder *r)
{
    r->present = !r->present;
    r->count[r->present] = r->cursor = 0;
    r->guard_seen = false;
    r->guard_candidate = 0;
    (void)lseek(r->proc, 0, SEEK_SET);
    for (;;) {
        _Alignas(struct dirent64) static char entries[32768];
        ssize_t length = getdents64(r->proc, entries, sizeof entries);
        if (length <= 0)
            break;
        for (ssize_t at = 0; at < length;) {
            const struct dirent64 *entry = (const void *)(entries + at);
            pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10); /* 0 where it is no number */
            if (pid > 0)
                process_seen(r, pid);
            at += entry->d_reclen;
        }
    }
    if (!r->guard_seen) /* a helper of it bears its name, too, but came later */
        r->guard = r->guard_candidate;
}

static uint64_t sum(uint64_t a, uint64_t b)
{
    return a == UNKNOWN ? b : b == UNKNOWN ? a : a + b;
}

/* One that has exited has no memory left to tell of, even if nobody has reaped it yet. */
static bool sample_vm(struct recorder *r, struct vm *vm, const char *separator)
{
    bool alive = file_read(r, vm->status);
    uint64_t rss = file_number(r, "VmRSS:", 1024);
    const char *state = file_find(r, "State:");

    if (!alive || !state || rss == UNKNOWN)
        return false;
    state += strspn(state, " \t");
    line_add(r, "%s{\"pid\":%d,\"name\":", separator, (int)vm->pid);
    line_string(r, vm->name, strlen(vm->name));
    line_add(
        r, ",\"state\":\"%s\",", *state == 'T' || *state == 't' ? "stopped-by-signal" : "running");
    line_number(r, "rss", rss);
    line_add(r, ",");
    line_number(r, "swap", file_number(r, "VmSwap:", 1024));
    line_add(r, ",");
    line_number(r, "locked", sum(file_number(r, "VmLck:", 1024), file_number(r, "VmPin:", 1024)));
    (void)file_read(r, vm->oom_score);
    line_add(r, ",\"oom_score\":%ld", strtol(r->file, NULL, 10));
    (void)file_read(r, vm->oom_score_adj);
    line_add(r, ",\"oom_score_adj\":%ld}", strtol(r->file, NULL, 10));
    return true;
}

void sample_vms(struct recorder *r)
{
    const char *separator = "";

    line_add(r, ",\"vms\":[");
    for (struct vm *vm = r->vms; vm < r->vms + VM_MAX; vm++) {
        if (vm->pid == 0)
            continue;
        if (sample_vm(r, vm, separator))
            separator = ",";
        else
            vm_close(vm);
    }
    line_add(r, "]");
}
