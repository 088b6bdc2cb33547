/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The model: where the memory of a host is, and how it moves in a step of time.
 *
 *     total = free + kernel + cache + process + what is resident of each guest
 *
 * holds after each step; `free` is what the others leave. Its physics are those of the facts:
 *
 * guest    uses what it demands as far as its balloon lets it, and touches new memory at a rate.
 *          What it has touched stays resident when it frees it, unless it reports free pages. A
 *          balloon moves at its rate, takes first what was never touched, and frees what is
 *          resident above it, of a pinned guest nothing. What is stopped does neither.
 * host     gives what is asked for from free memory above the watermark min, then from page cache,
 *          then by swapping, cold memory before what is in use; where that does not do, all who
 *          ask wait, each given the same part. Below the watermark low it reclaims to high.
 * kernel   kills when somebody asks and nothing is left to reclaim: whom oom_badness()
 *          (mm/oom_kill.c) gives the most points; one at a time.
 */
#ifndef PLIMSOLL_SIMULATOR_MODEL_H
#define PLIMSOLL_SIMULATOR_MODEL_H

#include <plimsoll/simulator.h>

enum presence {
    PRESENCE_AWAITED, /* it has not started */
    PRESENCE_HERE,
    PRESENCE_GONE,
};

struct model_guest {
    const struct scenario_guest *scenario;
    enum presence presence;
    int balloon_direction; /* of its last move; 0: it has not moved */
    struct vm_snapshot vm; /* as the guard sees it; balloon, measures and run state are so */

    uint64_t age;      /* time it has run: while it is stopped its work does not go on */
    uint64_t demand;   /* what it would use */
    uint64_t used;     /* what it uses */
    uint64_t touched;  /* guest memory that holds something, in memory or swap */
    uint64_t overhead; /* what its QEMU has taken beside it so far */
    uint64_t swapped;  /* of touched and overhead together */
    uint64_t growth;   /* what it asks to touch in this step … */
    uint64_t missing;  /* … and to have back from swap, for it is in use */

    uint64_t balloon_goal;  /* where its driver is heading */
    uint64_t balloon_still; /* time for which it has been there */

    /* Acts on their way take hold. */
    uint64_t stop_done, freeze_done, resume_done, kill_done, end_done;
    uint64_t next_look, last_statistics;

    uint64_t demanded, received, denied; /* sums of bytes over steps */
    uint64_t without;                    /* of parts denied, in 1/SCORE_PART, over steps */
    struct guest_score score;            /* all that is not a sum over steps */
    bool killed_by_kernel;
};

/* What is being written to memory.reclaim; slot is valid while `left` is not 0. */
struct model_piece {
    uint32_t slot;
    uint64_t left;
};

struct model {
    const struct scenario *scenario;
    const struct rules *rules;
    uint64_t now, began; /* on the snapshot's clock */
    uint64_t cache, process, swap_free;
    uint64_t process_wish;
    uint64_t process_dies; /* when the kernel's kill of it takes hold; UNKNOWN: there was none */
    uint64_t watermark_min, watermark_low, watermark_high;
    uint64_t oom_kills;
    struct model_piece piece;
    uint64_t swap_written, swap_second, swap_rate; /* what the guard learns of the device */
    uint64_t floor;                                /* UNKNOWN until the first look */
    bool below;                                    /* it was at the last step */
    uint64_t below_sum;                            /* bytes below it, over steps */
    struct score score;                            /* all that is not a sum over steps or guests */
    uint32_t guest_count;
    struct model_guest *guests;
};

/* Begins; MODEL's scenario, rules and guests are set. */
void model_begin(struct model *model);
void model_pass(struct model *model);

static inline uint64_t guest_resident(const struct model_guest *guest)
{
    if (guest->presence != PRESENCE_HERE)
        return 0;
    return sub_or_zero(guest->touched + guest->overhead, guest->swapped);
}

/* It is given BYTES of what it asked to touch. */
void guest_grow(struct model_guest *guest, uint64_t bytes);

/* Whether its vCPUs stand still. */
bool guest_is_stopped(const struct model_guest *guest, uint64_t now);

/* ---- memory.c ---- */

uint64_t memory_free(const struct model *model);
/* MemAvailable, as si_mem_available() (mm/show_mem.c). */
uint64_t memory_available(const struct model *model);
void memory_begin(struct model *model);
/* Gives guests and process what they ask for, as far as it is there, and writes the piece. */
void memory_pass(struct model *model);

/* ---- kernel.c ---- */

#define PAGE_SIZE_ASSUMED (4 * KIB)

/* Nobody could be killed. */
#define KERNEL_NOBODY UINT32_MAX
/* The process outside the guests. */
#define KERNEL_PROCESS (UINT32_MAX - 1)

/* Points in pages; INT64_MIN: it is exempt. */
int64_t kernel_badness(uint64_t rss, uint64_t swap, int32_t oom_score_adj, uint64_t total);
/* Whom the kernel would kill now: a slot, KERNEL_PROCESS or KERNEL_NOBODY. */
uint32_t kernel_victim(const struct model *model);
/* Out of memory: kills, unless somebody is dying already. */
void kernel_out_of_memory(struct model *model);

/* ---- act.c ---- */

/* Carries out what is enforced of PLAN. */
void act_on_plan(struct model *model, const struct plan *plan);
/* What was on its way takes hold; false: with it GUEST is gone. */
bool act_take_hold(struct model *model, struct model_guest *guest);
/* GUEST is killed, which takes its time. */
void act_kill(struct model *model, struct model_guest *guest, bool by_kernel);

/* ---- view.c ---- */

/* The guest as it is when it appears. */
void view_begin(struct model_guest *guest, uint32_t slot, uint64_t now);
/* Fills SNAPSHOT with what the guard would see now. */
void view_show(struct model *model, struct snapshot *snapshot, enum band band, bool fresh);

/* ---- score.c ---- */

#define SCORE_PART UINT64_C(1000000)

void score_pass(struct model *model);
/* GUEST ends; BYTES are freed by it. */
void score_end(struct model *model, struct model_guest *guest, enum guest_end end, uint64_t bytes);
void score_guest_total(
    const struct model *model, const struct model_guest *guest, struct guest_score *ret_score);
void score_total(const struct model *model, struct score *ret_score);

#endif
