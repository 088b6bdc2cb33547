/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the cover loses, and how long it takes (limits, P7 and P8): guests of log-normal sizes with
 * priorities 1, 4 and 16, and a deficit of a twentieth of what they hold. Beside it, on the same
 * guests: the choice the policy made before (who covers alone at the least loss, else the best loss
 * per byte, again and again) and the largest first; and the best there is, found by trying for each
 * number of guests of the two higher priorities, the largest of each, how many of the lowest are
 * still needed.
 */
#include "bench.h"

#include "cover.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GUESTS_MAX 4000
#define LEVELS 3

static const unsigned counts[] = {10, 100, 1000, GUESTS_MAX};
static const uint64_t losses[LEVELS] = {1, 4, 16};

struct guest {
    uint64_t relief;
    unsigned level;
    bool gone;
};

static struct guest guests[GUESTS_MAX];

/* xorshift64*, Vigna 2014; the same guests in each run. */
static double draw(void)
{
    static uint64_t state = 20240229;

    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (double)(state * UINT64_C(2685821657736338717) >> 11) / 9007199254740992.0;
}

/* A median of 4 GiB, one in six above 11. */
static uint64_t draw_size(void)
{
    double normal = sqrt(-2 * log(1 - draw())) * cos(6.283185307179586 * draw());

    return (uint64_t)(4.0 * (double)GIB * exp(normal));
}

static int compare_relief(const void *a, const void *b)
{
    const struct guest *x = a, *y = b;

    return (x->relief < y->relief) - (x->relief > y->relief);
}

/* Largest first; returns the deficit. */
static uint64_t draw_guests(unsigned count)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < count; i++) {
        guests[i] = (struct guest){.relief = draw_size(), .level = (unsigned)(draw() * LEVELS)};
        sum += guests[i].relief;
    }
    qsort(guests, count, sizeof(guests[0]), compare_relief);
    return sum / 20;
}

/* ---- the others ---- */

static uint64_t largest_first(unsigned count, uint64_t deficit)
{
    uint64_t loss = 0, relief = 0;

    for (unsigned i = 0; i < count && relief < deficit; i++) {
        relief += guests[i].relief;
        loss += losses[guests[i].level];
    }
    return loss;
}

static bool is_cheaper(const struct guest *a, const struct guest *b, bool alone)
{
    uint64_t loss_a = losses[a->level], loss_b = losses[b->level];

    if (alone)
        return loss_a != loss_b ? loss_a < loss_b : a->relief < b->relief;
    return (double)loss_a * (double)b->relief < (double)loss_b * (double)a->relief;
}

static struct guest *greedy_next(unsigned count, uint64_t deficit)
{
    struct guest *alone = NULL, *best = NULL;

    for (unsigned i = 0; i < count; i++) {
        struct guest *guest = &guests[i];

        if (guest->gone)
            continue;
        if (guest->relief >= deficit && (!alone || is_cheaper(guest, alone, true)))
            alone = guest;
        if (!best || is_cheaper(guest, best, false))
            best = guest;
    }
    return alone ? alone : best;
}

static uint64_t greedy(unsigned count, uint64_t deficit)
{
    uint64_t loss = 0;

    for (struct guest *next; deficit > 0 && (next = greedy_next(count, deficit));) {
        next->gone = true;
        loss += losses[next->level];
        deficit -= next->relief < deficit ? next->relief : deficit;
    }
    return loss;
}

/* Of guests worth the same none but the largest are in the best set. */
static uint64_t best_possible(unsigned count, uint64_t deficit)
{
    static uint64_t sums[LEVELS][GUESTS_MAX + 1];
    unsigned sizes[LEVELS] = {0};
    uint64_t best = UINT64_MAX;

    for (unsigned i = 0; i < count; i++) {
        unsigned level = guests[i].level, size = ++sizes[level];
        sums[level][size] = sums[level][size - 1] + guests[i].relief;
    }
    for (unsigned dear = 0; dear <= sizes[2]; dear++) {
        unsigned cheap = sizes[0]; /* falls as the others grow */
        for (unsigned middle = 0; middle <= sizes[1]; middle++) {
            uint64_t others = sums[2][dear] + sums[1][middle];
            while (cheap > 0 && others + sums[0][cheap - 1] >= deficit)
                cheap--;
            uint64_t loss = dear * losses[2] + middle * losses[1] + cheap * losses[0];
            if (others + sums[0][cheap] >= deficit && loss < best)
                best = loss;
        }
    }
    return best;
}

/* ---- the cover ---- */

/* As the policy hands them over: the least loss first, of equals the largest. */
static int compare_loss(const void *a, const void *b)
{
    const struct cover_option *x = ((const struct cover_guest *)a)->options;
    const struct cover_option *y = ((const struct cover_guest *)b)->options;

    if (x->loss != y->loss)
        return x->loss < y->loss ? -1 : 1;
    return (x->relief < y->relief) - (x->relief > y->relief);
}

static struct cover_result choose(
    struct cover *cover, unsigned count, uint64_t deficit, uint32_t limit, double *ret_time)
{
    struct cover_result result;

    memset(cover->guests, 0, count * sizeof(cover->guests[0]));
    for (unsigned i = 0; i < count; i++)
        cover->guests[i].options[0] =
            (struct cover_option){.relief = guests[i].relief, .loss = losses[guests[i].level]};
    qsort(cover->guests, count, sizeof(cover->guests[0]), compare_loss);
    uint64_t begin = clock_read(CLOCK_THREAD_CPUTIME_ID);
    cover_choose(cover, count, deficit, limit, &result);
    *ret_time = (double)(clock_read(CLOCK_THREAD_CPUTIME_ID) - begin) / (double)NSEC_PER_MSEC;
    return result;
}

static void print_spread(double *values)
{
    struct spread spread = spread_of(values, REPETITIONS);
    char text[3][16];

    (void)snprintf(text[0], sizeof(text[0]), "%.3f", spread.median);
    (void)snprintf(text[1], sizeof(text[1]), "%.3f", spread.low);
    (void)snprintf(text[2], sizeof(text[2]), "%.3f", spread.high);
    (void)printf("  %6s (%s-%s)", text[0], text[1], text[2]);
}

static void measure(struct cover *cover, unsigned count)
{
    double times[REPETITIONS], limited[REPETITIONS], covers[REPETITIONS], bounds[REPETITIONS];
    double greedies[REPETITIONS], largest[REPETITIONS];

    for (unsigned i = 0; i < REPETITIONS; i++) {
        uint64_t deficit = draw_guests(count);
        double best = (double)best_possible(count, deficit);
        struct cover_result result = choose(cover, count, deficit, COVER_NO_LIMIT, &times[i]);
        covers[i] = (double)result.loss / best;
        bounds[i] = (double)result.least / best;
        (void)choose(cover, count, deficit, result.guests - 1, &limited[i]);
        largest[i] = (double)largest_first(count, deficit) / best;
        greedies[i] = (double)greedy(count, deficit) / best;
    }
    (void)printf("%6u", count);
    print_spread(times);
    print_spread(limited);
    print_spread(covers);
    print_spread(bounds);
    print_spread(greedies);
    print_spread(largest);
    (void)printf("\n");
}

int main(void)
{
    struct cover *cover = calloc(1, cover_size(GUESTS_MAX));

    if (!cover)
        return EXIT_FAILURE;
    (void)printf("The cover, %d draws each: median (p10-p90); time in ms of processor, loss by the "
                 "best there is\n%6s  %-22s %-22s %-22s %-22s %-22s %s\n",
        REPETITIONS, "guests", "time", "time, one fewer", "loss", "its bound", "as before",
        "largest first");
    for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        measure(cover, counts[i]);
    free(cover);
    return EXIT_SUCCESS;
}
