/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the kernel killed, told apart: which guest, or that it was none. Three things tell of one
 * kill, in any order: a line of the kernel's log, its counter (vmstat oom_kill), and the end of the
 * process.
 *
 * The line usually comes first, for the kernel writes it while it sends the signal. An end is said
 * when all lines before it have been read, so that it can name its cause; the line of a guest that
 * is gone still finds it among those that have ended lately. The counter is one ahead of the line;
 * what it tells more than the lines did, after a while, is said as a kill of nobody knows whom,
 * once. So nothing is missed where the log cannot be read, or was overwritten.
 *
 * Guests are few and each is said. Other processes can be killed by the hundred, in a cgroup of
 * their own that concerns nobody else: some a minute are named.
 */
#include "guard.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "announce.h"
#include "guard_private.h"
#include "inherited.h"
#include "log.h"

/* FileDescriptorName= of plimsolld-kmsg.socket. */
#define LOG_FD_NAME "kmsg"
/* Between an end, or the counter, and its line: the counter is read once a second, the line within
 * a turn of the loop; on a host that thrashes either may be late. */
#define COUNTER_PATIENCE (3 * NSEC_PER_SEC)
/* Kills of processes that are no guests, said one by one within a minute. */
#define OTHERS_SAID 10

/* ---- whose it was ---- */

static struct vm *find_living(const struct guard *guard, pid_t pid)
{
    for (uint32_t slot = 0; slot < guard->vm_capacity; slot++) {
        struct vm *vm = inventory_vm(guard->inventory, slot);

        if (vm && !vm->gone && vm->figures.identity.pid == pid)
            return vm;
    }
    return NULL;
}

static void other_killed(struct guard_kernel *kernel, const struct kernel_kill *kill)
{
    if (kernel->others == 0)
        kernel->others_begin = loop_now();
    if (kernel->others++ < OTHERS_SAID)
        announce_kernel_kill(kill, NULL, NULL);
}

static void on_killed(const struct kernel_kill *kill, void *userdata)
{
    struct guard *guard = userdata;
    struct guard_kernel *kernel = &guard->kernel;
    struct vm *vm = guard->inventory ? find_living(guard, kill->pid) : NULL;
    struct ended_vm *ended = vm ? NULL : ended_find(&kernel->ended, kill->pid, loop_now());

    if (known(kernel->told))
        kernel->told++;
    kernel->differs = NEVER; /* lines come: the counter may be ahead of another one by now */
    if (vm) {
        vm->kernel_killed = !vm_has(vm, VM_MEASURE_KILLED);
        announce_kernel_kill(kill, vm->figures.name, &vm->figures.identity);
    } else if (ended) {
        ended->by_kernel = !ended->by_guard;
        admission_drop_saved(&guard->admission, ended->identity.uuid);
        announce_kernel_kill(kill, ended->name, &ended->identity);
    } else {
        other_killed(kernel, kill);
    }
}

static void on_lost(uint64_t lines, void *userdata)
{
    struct guard_kernel *kernel = &((struct guard *)userdata)->kernel;

    kernel->lost = add_held(kernel->lost, lines);
}

static void on_drained(void *userdata)
{
    ended_announce(&((struct guard *)userdata)->kernel.ended, NEVER);
}

void guard_kernel_ended(struct guard *guard, const struct vm *vm)
{
    struct guard_kernel *kernel = &guard->kernel;

    ended_add(&kernel->ended, vm, loop_now());
    if (!kernel->log || kernel_log_read(kernel->log))
        ended_announce(&kernel->ended, NEVER);
}

/* ---- what is said later, if at all ---- */

static bool log_follows(const struct guard_kernel *kernel)
{
    return kernel->log && kernel_log_follows(kernel->log);
}

static void counter_compare(struct guard_kernel *kernel, uint64_t counter, uint64_t now)
{
    if (!known(counter))
        return;
    if (!known(kernel->told))
        kernel->told = counter; /* what was before us is not ours to tell */
    if (counter == kernel->told) {
        kernel->differs = NEVER;
        return;
    }
    if (kernel->differs == NEVER)
        kernel->differs = now;
    if (log_follows(kernel) && sub_or_zero(now, kernel->differs) < COUNTER_PATIENCE)
        return;
    if (counter > kernel->told)
        announce_kernel_kills(counter - kernel->told, true);
    kernel->told = counter;
    kernel->differs = NEVER;
}

static void lost_say(struct guard_kernel *kernel, uint64_t now)
{
    if (kernel->lost == 0 || !log_permit(&kernel->lost_said, now))
        return;
    announce_kernel_log_lost(kernel->lost);
    kernel->lost = 0;
}

static void others_say(struct guard_kernel *kernel, uint64_t now)
{
    if (kernel->others == 0 || sub_or_zero(now, kernel->others_begin) < NSEC_PER_MINUTE)
        return;
    if (kernel->others > OTHERS_SAID)
        announce_kernel_kills(kernel->others - OTHERS_SAID, false);
    kernel->others = 0;
}

void guard_kernel_advance(struct guard *guard, uint64_t now)
{
    struct guard_kernel *kernel = &guard->kernel;

    if (guard->snapshot->sequence > 0)
        counter_compare(kernel, guard->snapshot->host.oom_kills, now);
    lost_say(kernel, now);
    others_say(kernel, now);
    /* A log in which somebody writes without end never has its last line read. */
    ended_announce(&kernel->ended, sub_or_zero(now, COUNTER_PATIENCE));
}

/* ---- the log ---- */

int guard_kernel_follow(struct guard *guard, int fd)
{
    const struct kernel_log_owner owner = {
        .killed = on_killed, .lost = on_lost, .drained = on_drained, .userdata = guard};

    return kernel_log_new(guard->loop, fd, &owner, &guard->kernel.log);
}

/* The one that the service manager has opened, else our own. */
static int log_open(const char *path)
{
    int fd = inherited_fd(LOG_FD_NAME);

    if (fd < 0)
        return kernel_log_open(path);
    if (kernel_log_check(fd) == 0)
        return fd;
    close(fd);
    return kernel_log_open(path);
}

void guard_kernel_open(struct guard *guard)
{
    char path[PATH_MAX];
    int fd, result;

    guard->kernel.told = UNKNOWN;
    guard->kernel.differs = NEVER;
    if (!guard->roots.dev)
        return;
    (void)snprintf(path, sizeof path, "%s/kmsg", guard->roots.dev);
    fd = log_open(path);
    result = fd < 0 ? fd : guard_kernel_follow(guard, fd);
    if (result == 0)
        return;
    if (fd >= 0)
        close(fd);
    log_message(LOG_WARNING,
        "the kernel's log (%s) cannot be read: %s; its kills are counted, but not told whose they "
        "were. For the service plimsolld-kmsg.socket opens it (systemctl status "
        "plimsolld-kmsg.socket); by hand CAP_SYSLOG is needed where kernel.dmesg_restrict=1",
        path, strerror(-result));
}

void guard_kernel_close(struct guard *guard)
{
    ended_announce(&guard->kernel.ended, NEVER);
    guard->kernel.log = kernel_log_free(guard->kernel.log);
}
