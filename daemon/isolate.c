/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Isolation from the shortage that the guard is there to end: no page of it may have to be fetched,
 * no allocation may have to ask the kernel, and the kernel's own killer must pass it by.
 *
 * Pages are locked as they are touched (MCL_ONFAULT): locking whole libraries at once would cost
 * megabytes of code that never runs. Our own code is touched whole.
 */
#include "isolate.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "process.h"

#include <plimsoll/units.h>

/* Heap kept for what arrives while memory is short: QMP replies (a few KiB each) and one status
 * reply for a control client. */
#define HEAP_RESERVE (512 * KIB)
/* The deepest path, an alert out of an act out of a tick, uses about 8 KiB; json-c recurses by
 * nesting depth, which is bounded. */
#define STACK_RESERVE (128 * KIB)
/* Kept files of one VM (11), its pidfd, QMP socket, and two files of each vCPU for a guest of
 * common size. */
#define DESCRIPTORS_PER_VM 38
#define DESCRIPTORS_OWN 256
/* How long the rehearsal's child may take to die: a fork and a signal, on a host that may be busy.
 */
#define REHEARSAL_TIMEOUT_MSEC 5000

#define OOM_SCORE_EXEMPT "-1000" /* OOM_SCORE_ADJ_MIN, include/uapi/linux/oom.h */

static bool exempt_from_oom(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    bool exempt = fd >= 0 && write(fd, OOM_SCORE_EXEMPT, strlen(OOM_SCORE_EXEMPT)) > 0;

    if (!exempt)
        log_message(LOG_WARNING,
            "cannot exempt myself from the kernel's OOM killer (oom_score_adj -1000): %s; it may "
            "take the guard instead of a guest, and guests' scores are only ever raised. "
            "CAP_SYS_RESOURCE is needed",
            strerror(errno));
    if (fd >= 0)
        close(fd);
    return exempt;
}

static void raise_descriptors(unsigned max_vms)
{
    struct rlimit limit;
    rlim_t wanted = DESCRIPTORS_OWN + (rlim_t)max_vms * DESCRIPTORS_PER_VM;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = wanted;
    if (limit.rlim_max < wanted)
        limit.rlim_max = wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
        return;
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    log_message(LOG_WARNING,
        "%llu file descriptors are allowed, %llu are needed for max-vms=%u; the last guests may go "
        "unwatched. Set LimitNOFILE= in the unit",
        (unsigned long long)limit.rlim_cur, (unsigned long long)wanted, max_vms);
}

bool isolate_process(unsigned max_vms)
{
    raise_descriptors(max_vms);
    return exempt_from_oom();
}

__attribute__((noinline)) static void touch_stack(void)
{
    volatile char reserve[STACK_RESERVE];

    for (size_t at = 0; at < sizeof reserve; at += 4096)
        reserve[at] = 0;
}

static void touch_heap(void)
{
    char *reserve = malloc(HEAP_RESERVE);

    if (!reserve)
        return;
    for (size_t at = 0; at < HEAP_RESERVE; at += 4096)
        ((volatile char *)reserve)[at] = 0;
    free(reserve); /* stays ours: trimming is off */
}

/* Our own code, whole: the first freeze must not wait for a page of it. It is some hundred KiB; of
 * the libraries the acts use little, and that runs at every tick. */
static int touch_code(struct dl_phdr_info *info, size_t size, void *userdata)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

    (void)size;
    (void)userdata;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t begin = (info->dlpi_addr + header->p_vaddr) & ~(page - 1);
        uintptr_t end = info->dlpi_addr + header->p_vaddr + header->p_memsz;

        if (header->p_type != PT_LOAD)
            continue;
        /* Linux 5.14; before that its pages come as they run. */
        /* NOLINTNEXTLINE(performance-no-int-to-ptr): ELF gives addresses */
        (void)madvise((void *)begin, end - begin, MADV_POPULATE_READ);
    }
    return 1; /* the first is the program; no more */
}

void isolate_memory(void)
{
    /* Never give heap back, and take none by mmap, so that what was touched once stays. */
    (void)mallopt(M_TRIM_THRESHOLD, -1);
    (void)mallopt(M_MMAP_MAX, 0);
    (void)mallopt(M_TOP_PAD, (int)(64 * KIB));
    if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
        log_message(LOG_WARNING,
            "cannot lock my memory: %s; under reclaim the guard may be slow. CAP_IPC_LOCK or "
            "LimitMEMLOCK=infinity is needed",
            strerror(errno));
    touch_heap();
    touch_stack();
    (void)dl_iterate_phdr(touch_code, NULL);
}

/* What fails here the guard can do without: caps are then refused, which is told of each. */
static void rehearse_memlock(pid_t child, int pidfd)
{
    struct process_memlock limit;
    int result = process_memlock_read(child, pidfd, &limit);

    if (result == 0)
        result = process_memlock_exchange(child, pidfd, &limit, &limit);
    if (result < 0)
        log_message(LOG_WARNING,
            "prlimit() failed in rehearsal: %s; limits on locked memory cannot be capped",
            strerror(-result));
}

static int rehearse_on(int pidfd)
{
    static const struct {
        int number;
        const char *name;
    } signals[] = {
        {0, "the check"}, {SIGSTOP, "SIGSTOP"}, {SIGCONT, "SIGCONT"}, {SIGKILL, "SIGKILL"}};
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};

    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        int result = process_signal(pidfd, signals[i].number);

        if (result < 0) {
            log_message(LOG_ERR, "pidfd_send_signal() with %s failed in rehearsal: %s",
                signals[i].name, strerror(-result));
            return result;
        }
    }
    if (poll(&ended, 1, REHEARSAL_TIMEOUT_MSEC) != 1) {
        log_message(LOG_ERR, "a child killed in rehearsal did not end within %d ms",
            REHEARSAL_TIMEOUT_MSEC);
        return -ETIMEDOUT;
    }
    return 0;
}

int isolate_rehearse(void)
{
    pid_t child = fork();
    int pidfd, result;

    if (child < 0) {
        result = -errno;
        log_message(LOG_ERR, "fork() failed in rehearsal: %s", strerror(-result));
        return result;
    }
    if (child == 0) {
        /* Should we die in between, it must not stay behind, stopped and exempt from the OOM
         * killer. */
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    pidfd = process_hold(child);
    if (pidfd < 0) {
        result = pidfd;
        log_message(LOG_ERR, "pidfd_open() failed in rehearsal: %s; Linux 5.3 or newer is needed",
            strerror(-result));
        (void)kill(child, SIGKILL);
    } else {
        rehearse_memlock(child, pidfd);
        result = rehearse_on(pidfd);
        if (result < 0)
            (void)kill(child, SIGKILL);
        close(pidfd);
    }
    (void)waitpid(child, NULL, 0);
    return result;
}
