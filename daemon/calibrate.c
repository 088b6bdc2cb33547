/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the measurement of the fastest fill. As many children as there are processors, up to eight,
 * wait for a word, and then touch memory of their own, in huge pages where the host gives them:
 * what takes the time is that the kernel clears them, which is what a guest that grows waits for,
 * too. Where eight are hardly slower than one, more would fill faster in proportion; else the
 * memory is the limit. The best of five rounds counts, for whatever else runs only makes it slower.
 * A round that takes long is given up: a guard that starts while memory is short must not wait.
 */
#include "calibrate.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helper.h"
#include "loop.h"

#include <plimsoll/units.h>

#define CHILDREN_MAX 8
#define CHILD_BYTES (16 * MIB)
#define ROUNDS 5
/* There must be so much for each byte that is touched. */
#define SPARE 8
#define HUGE_PAGE (2 * MIB)
/* A hundred times what it takes. */
#define PATIENCE (200 * NSEC_PER_MSEC)
/* What one of eight fills is this much of what one fills alone, or memory is the limit. */
#define FREE_SHARE_NUMERATOR 7
#define FREE_SHARE_DENOMINATOR 8

struct child {
    pid_t pid;
    int fd;
};

/* The child's whole life. Ready, it says so, and again when it has filled its memory. */
static void fill(void)
{
    const size_t size = CHILD_BYTES + HUGE_PAGE, page = (size_t)sysconf(_SC_PAGESIZE);
    char byte = 0;
    char *memory = mmap(
        NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        _exit(1);
    (void)madvise(memory, size, MADV_HUGEPAGE);
    memory += HUGE_PAGE - (uintptr_t)memory % HUGE_PAGE;
    if (write(HELPER_FD, &byte, 1) != 1 || read(HELPER_FD, &byte, 1) != 1)
        _exit(1);
    for (size_t i = 0; i < CHILD_BYTES; i += page)
        ((volatile char *)memory)[i] = 1;
    _exit(write(HELPER_FD, &byte, 1) == 1 ? 0 : 1);
}

/* Waits for a word of each, until the clock shows END. */
static bool all_say(const struct child *children, unsigned count, uint64_t end)
{
    for (unsigned i = 0; i < count; i++) {
        struct pollfd ready = {.fd = children[i].fd, .events = POLLIN};
        uint64_t left = sub_or_zero(end, loop_now()) / NSEC_PER_MSEC;
        char byte;
        if (poll(&ready, 1, (int)left) != 1 || read(children[i].fd, &byte, 1) != 1)
            return false;
    }
    return true;
}

/* How long they take together, in ns; 0: not all of them did. */
static uint64_t time_of(const struct child *children, unsigned count)
{
    uint64_t begin = loop_now();
    if (!all_say(children, count, begin + PATIENCE))
        return 0;
    begin = loop_now();
    for (unsigned i = 0; i < count; i++)
        if (write(children[i].fd, "", 1) != 1)
            return 0;
    return all_say(children, count, begin + PATIENCE) ? loop_now() - begin : 0;
}

/* Bytes per second of COUNT children at once, or 0. */
static uint64_t round_rate(unsigned count)
{
    struct child children[CHILDREN_MAX];
    unsigned begun = 0;
    while (begun < count) {
        struct child *child = &children[begun];
        child->pid = helper_fork("plimsoll-fill", &child->fd);
        if (child->pid == 0)
            fill();
        if (child->pid < 0)
            break;
        begun++;
    }
    uint64_t elapsed = begun == count ? time_of(children, count) : 0;
    for (unsigned i = 0; i < begun; i++) {
        (void)kill(children[i].pid, SIGKILL);
        (void)close(children[i].fd);
        (void)waitpid(children[i].pid, NULL, 0);
    }
    return elapsed > 0 ? scale_u64(count * CHILD_BYTES, NSEC_PER_SEC, elapsed) : 0;
}

/* One that fails is the last: each might wait. */
static uint64_t best_rate(unsigned count)
{
    uint64_t best = 0, rate = 1;
    for (unsigned i = 0; i < ROUNDS && rate > 0; i++) {
        rate = round_rate(count);
        best = max_u64(best, rate);
    }
    return best;
}

uint64_t calibrate_fill_rate(uint64_t available)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (processors < 1 || !known(available))
        return UNKNOWN;
    unsigned count = processors < CHILDREN_MAX ? (unsigned)processors : CHILDREN_MAX;
    if (available < CHILD_BYTES * SPARE * count)
        return UNKNOWN;

    uint64_t alone = best_rate(1), together = best_rate(count);
    if (alone == 0 || together == 0)
        return UNKNOWN;
    bool free = together / count >= scale_u64(alone, FREE_SHARE_NUMERATOR, FREE_SHARE_DENOMINATOR);
    if ((unsigned)processors > count && free)
        together = scale_u64(together, (uint64_t)processors, count);
    return max_u64(alone, together);
}
