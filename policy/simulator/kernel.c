/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the kernel's last resort, by mm/oom_kill.c: points are resident and swapped pages and those
 * of the page tables, plus oom_score_adj thousandths of all memory and swap; −1000 is exempt. Who
 * has the most is killed, of equals the one that is looked at last. While a victim is on its way
 * out the others wait.
 */
#include "model.h"

/* Page tables map 512 pages a page. */
#define PAGES_PER_TABLE 512
/* oom_score_adj that exempts (OOM_SCORE_ADJ_MIN). */
#define SCORE_EXEMPT (-1000)
/* SIGKILL to freed: 4 KiB pages at 9 to 15 GiB/s (limits: rates). */
#define PROCESS_DIES_IN (100 * NSEC_PER_MSEC)

int64_t kernel_badness(uint64_t rss, uint64_t swap, int32_t oom_score_adj, uint64_t total)
{
    if (oom_score_adj == SCORE_EXEMPT)
        return INT64_MIN;
    uint64_t pages = rss / PAGE_SIZE_ASSUMED + swap / PAGE_SIZE_ASSUMED;
    int64_t thousandth = (int64_t)(total / PAGE_SIZE_ASSUMED / 1000);
    return (int64_t)(pages + pages / PAGES_PER_TABLE) + oom_score_adj * thousandth;
}

uint32_t kernel_victim(const struct model *model)
{
    const struct scenario_host *host = &model->scenario->host;
    uint64_t total = host->total + host->swap;
    int64_t most = INT64_MIN + 1;
    uint32_t victim = KERNEL_NOBODY;
    if (model->process > 0) {
        most = kernel_badness(model->process, 0, 0, total);
        victim = KERNEL_PROCESS;
    }
    for (uint32_t i = 0; i < model->guest_count; i++) {
        const struct model_guest *guest = &model->guests[i];
        if (guest->presence != PRESENCE_HERE)
            continue;
        int64_t points =
            kernel_badness(guest_resident(guest), guest->swapped, guest->vm.oom_score_adj, total);
        if (points < most)
            continue;
        most = points;
        victim = i;
    }
    return victim;
}

static bool somebody_dies(const struct model *model)
{
    if (known(model->process_dies) && model->process > 0)
        return true;
    for (uint32_t i = 0; i < model->guest_count; i++)
        if (model->guests[i].presence == PRESENCE_HERE &&
            (model->guests[i].vm.measures.in_force & VM_MEASURE_KILLED))
            return true;
    return false;
}

void kernel_out_of_memory(struct model *model)
{
    if (somebody_dies(model))
        return;
    uint32_t victim = kernel_victim(model);
    if (victim == KERNEL_NOBODY)
        return; /* the kernel would panic; here nothing moves any more */
    model->oom_kills++;
    if (victim == KERNEL_PROCESS) {
        model->score.process_kills++;
        model->process_dies = model->now + PROCESS_DIES_IN;
        return;
    }
    act_kill(model, &model->guests[victim], true);
}
