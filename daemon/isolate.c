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
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "log.h"

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
