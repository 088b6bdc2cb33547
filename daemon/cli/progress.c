/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the line that says how far something has come. */
#include "progress.h"

#include <plimsoll/units.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* Who waits for longer wonders whether anything happens. */
#define PROGRESS_PATIENCE NSEC_PER_SEC
/* As often as an eye can follow. */
#define PROGRESS_INTERVAL (NSEC_PER_SEC / 5)

static uint64_t clock_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

struct progress progress_begin(const char *what)
{
    return (struct progress){
        .what = what,
        .next = isatty(STDERR_FILENO) ? clock_now() + PROGRESS_PATIENCE : NEVER,
    };
}

void progress_update(struct progress *progress, uint64_t done, uint64_t whole)
{
    if (progress->next == NEVER || whole == 0)
        return;
    uint64_t now = clock_now();
    if (now < progress->next)
        return;
    progress->next = now + PROGRESS_INTERVAL;
    progress->shown = true;
    unsigned percent = done < whole ? (unsigned)((double)done * 100 / (double)whole) : 100;
    /* \033[K: the rest of the line, of what stood there before. */
    fprintf(stderr, "\r%s: %u %%\033[K", progress->what, percent);
    (void)fflush(stderr);
}

void progress_hide(struct progress *progress)
{
    if (!progress->shown)
        return;
    fputs("\r\033[K", stderr);
    progress->shown = false;
}
