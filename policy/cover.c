/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the choice of the least loss among all sets of guests that return a deficit: the covering
 * form of the multiple-choice knapsack problem, by dynamic programming over units of relief (K.
 * Dudziński, S. Walukiewicz, "Exact methods for the knapsack problem and its generalizations",
 * European Journal of Operational Research 28, 1987; H. Kellerer, U. Pferschy, D. Pisinger,
 * "Knapsack Problems", Springer 2004, chapter 11).
 *
 * A cell for each number of units below the deficit holds the best set that gives just so many, and
 * one more cell the best that covers; guest after guest is tried on top of what the cells hold. A
 * cell knows its set's bytes as well, so that a set of many guests, each of which gives a fraction
 * of a unit more, is seen to cover by bytes where it does not by units. To tell the set in the end,
 * each guest keeps a row with what it changed, of two bits a cell. A limit on the number of guests
 * adds a layer of cells for each guest that may be taken, and as there are no more cells for that,
 * units are larger.
 *
 * Why this and not branch and bound with the fractional bound: that is faster where losses differ,
 * but where all guests are worth the same, which is how they are installed, its bound says nothing,
 * ties make a subset-sum problem of it, and its time has no bound but 2^n. This is needed when a
 * host is about to run out, so that its time must be known before. What it gives up are fractions
 * of a unit, and a second pass that rounds up instead of down tells how much that can have cost.
 *
 * Pruned are sets that lose more than a cover that is known would they be filled up, and guests
 * that alone do. With those who lose least first, and of them those who return most, covers are
 * known soon, and what is left to fill up with becomes worse and worse, so that few cells stay.
 */
#include "cover.h"

#include <assert.h>

static_assert(COVER_RUNGS <= 3, "an option and none fit 2 bits");
static_assert(COVER_UNITS < UINT16_MAX, "a cell's number fits 16 bits");

#define NO_LOSS UINT64_MAX
__extension__ typedef unsigned __int128 wide;

struct problem {
    struct cover *cover;
    uint32_t count;
    uint64_t deficit;
    uint32_t units;  /* that cover; each stands for deficit / units bytes */
    uint32_t layers; /* one for each number of guests that count against the limit */
    bool limited;
    bool up;             /* reliefs are rounded up */
    uint64_t alone;      /* the least loss of one guest that covers alone */
    uint32_t low, reach; /* no cell outside holds anything, in any layer */
};

static uint32_t covered_of(const struct problem *problem)
{
    return problem->layers * problem->units;
}

static struct problem problem_of(
    struct cover *cover, uint32_t count, uint64_t deficit, uint32_t layers)
{
    uint64_t cells = COVER_STEPS / (count > 0 ? count : 1);
    cells = min_u64(cells, COVER_UNITS) / layers;
    uint64_t whole = deficit / COVER_UNIT_LEAST + (deficit % COVER_UNIT_LEAST != 0);
    return (struct problem){.cover = cover,
        .count = count,
        .deficit = deficit,
        .units = (uint32_t)max_u64(min_u64(whole, cells), 1),
        .layers = layers};
}

/* What covers alone covers in any unit. */
static uint16_t units_of(const struct problem *problem, uint64_t relief)
{
    if (relief == 0)
        return 0;
    if (relief >= problem->deficit)
        return (uint16_t)problem->units;
    wide product = (wide)relief * problem->units + (problem->up ? problem->deficit - 1 : 0);
    return (uint16_t)(product / problem->deficit);
}

static uint64_t loss_of(const struct cover_option *option)
{
    return min_u64(option->loss, COVER_AMOUNT_MOST);
}

/* Of this guest and those after it the option that loses least for what it gives: it bounds what a
 * set that is filled up from here on loses. */
static void later_weigh(
    const struct problem *problem, struct cover_guest *guest, const struct cover_guest *after)
{
    guest->later_gives = after ? after->later_gives : 0;
    guest->later_loss = after ? after->later_loss : 1;
    for (uint32_t i = 0; i < COVER_RUNGS; i++) {
        uint64_t gives = problem->up ? guest->units[i] : guest->options[i].relief;
        uint64_t loss = loss_of(&guest->options[i]);
        if ((wide)loss * guest->later_gives >= (wide)guest->later_loss * gives)
            continue;
        guest->later_gives = gives;
        guest->later_loss = loss;
    }
}

static void guests_weigh(const struct problem *problem)
{
    struct cover_guest *after = NULL;
    for (uint32_t i = problem->count; i-- > 0;) {
        struct cover_guest *guest = &problem->cover->guests[i];
        for (uint32_t k = 0; k < COVER_RUNGS; k++)
            guest->units[k] = units_of(problem, guest->options[k].relief);
        later_weigh(problem, guest, after);
        __builtin_memset(guest->row, 0, sizeof(guest->row));
        after = guest;
    }
}

static uint64_t loss_alone(const struct problem *problem)
{
    uint64_t least = NO_LOSS;
    for (uint32_t i = 0; i < problem->count; i++) {
        const struct cover_option *options = problem->cover->guests[i].options;
        for (uint32_t k = 0; k < COVER_RUNGS; k++)
            if (options[k].relief >= problem->deficit)
                least = min_u64(least, loss_of(&options[k]));
    }
    return least;
}

/* ---- the row: which option of a guest brought a cell about ---- */

static void row_set(struct cover_guest *guest, uint32_t cell, uint32_t option)
{
    uint32_t shift = cell % 4 * 2;
    uint32_t kept = guest->row[cell / 4] & ~(UINT32_C(3) << shift);
    guest->row[cell / 4] = (uint8_t)(kept | (option + 1) << shift);
}

static uint8_t row_get(const struct cover_guest *guest, uint32_t cell)
{
    uint32_t value = guest->row[cell / 4] >> (cell % 4 * 2) & 3;
    return value == 0 ? COVER_SPARED : (uint8_t)(value - 1);
}

/* ---- the cells ---- */

/* What FROM is with that option of GUEST. */
static struct cover_cell cell_with(
    const struct cover_cell *from, const struct cover_guest *guest, uint32_t option)
{
    return (struct cover_cell){
        .loss = from->loss + loss_of(&guest->options[option]),
        .members = from->members + (UINT64_C(1) << 32) + !guest->blamed,
        .relief = from->relief + min_u64(guest->options[option].relief, COVER_AMOUNT_MOST),
    };
}

/* Of equals that cover the one with less relief is better, of those that do not the one with more.
 */
static bool is_better(const struct cover_cell *a, const struct cover_cell *b, bool covers)
{
    if (a->loss != b->loss)
        return a->loss < b->loss;
    if (a->members != b->members)
        return a->members < b->members;
    return covers ? a->relief < b->relief : a->relief > b->relief;
}

/* Tries an option of GUEST on top of the cell FROM, which gives AT units in its layer; TO is its
 * number where the option belongs to. */
static void guest_try(const struct problem *problem, struct cover_guest *guest, uint32_t option,
    uint32_t from, uint32_t to, uint32_t at)
{
    struct cover_cell *cells = problem->cover->cells;
    const struct cover_cell with = cell_with(&cells[from], guest, option);
    uint32_t units = guest->units[option];
    bool covers = with.relief >= problem->deficit || at + units >= problem->units;
    uint32_t cell = covers ? covered_of(problem) : to + units;
    if ((!covers && units == 0) || !is_better(&with, &cells[cell], covers))
        return;
    cells[cell] = with;
    row_set(guest, cell, option);
    if (covers)
        guest->before = (uint16_t)from;
}

/* What loses more is not the best cover. */
static uint64_t loss_most(const struct problem *problem)
{
    return min_u64(problem->cover->cells[covered_of(problem)].loss, problem->alone);
}

/* Whether a cell that gives AT units could be filled up, by GUEST and those after it, without more
 * loss than MOST. */
static bool can_cover(const struct problem *problem, const struct cover_guest *guest,
    const struct cover_cell *cell, uint32_t at, uint64_t most)
{
    if (cell->loss > most || cell->loss == NO_LOSS)
        return false;
    uint64_t lacks = problem->up ? problem->units - at : problem->deficit - cell->relief;
    return (wide)(most - cell->loss) * guest->later_gives >= (wide)lacks * guest->later_loss;
}

/* On top of all that the cells hold, from the most units down, so that no guest is taken twice.
 * Returns the lowest cell that is worth it. */
static uint32_t guest_add(const struct problem *problem, struct cover_guest *guest)
{
    struct cover_cell *cells = problem->cover->cells;
    uint32_t step = problem->limited && !guest->free, lowest = problem->units;
    uint64_t most = loss_most(problem);
    for (uint32_t layer = problem->layers - step; layer-- > 0;) {
        uint32_t from = layer * problem->units, to = (layer + step) * problem->units;
        for (uint32_t at = problem->reach + 1; at-- > problem->low;) {
            if (!can_cover(problem, guest, &cells[from + at], at, most)) {
                cells[from + at].loss = NO_LOSS;
                continue;
            }
            lowest = at < lowest ? at : lowest;
            for (uint32_t option = 0; option < COVER_RUNGS; option++)
                if (guest->options[option].relief > 0)
                    guest_try(problem, guest, option, from + at, to + at, at);
        }
    }
    return lowest;
}

static void cells_fill(struct problem *problem)
{
    struct cover_cell *cells = problem->cover->cells;
    uint32_t covered = covered_of(problem);
    guests_weigh(problem);
    for (uint32_t i = 0; i <= covered; i++)
        cells[i] = (struct cover_cell){.loss = NO_LOSS};
    cells[0].loss = 0;
    problem->low = problem->reach = 0;
    for (uint32_t i = 0; i < problem->count && problem->low <= problem->reach; i++) {
        struct cover_guest *guest = &problem->cover->guests[i];
        uint32_t lowest = guest_add(problem, guest), most = 0;
        for (uint32_t k = 0; k < COVER_RUNGS; k++)
            most = guest->units[k] > most ? guest->units[k] : most;
        if (!problem->limited) /* else the last layer has not been looked at */
            problem->low = lowest;
        problem->reach = (uint32_t)min_u64(problem->reach + most, problem->units - 1);
    }
}

/* Follows the rows back from the best cover. */
static void members_tell(const struct problem *problem, struct cover_result *result)
{
    uint32_t covered = covered_of(problem), at = covered;
    result->covers = problem->cover->cells[covered].loss != NO_LOSS;
    for (uint32_t i = problem->count; i-- > 0;) {
        struct cover_guest *guest = &problem->cover->guests[i];
        guest->chosen = result->covers ? row_get(guest, at) : COVER_SPARED;
        if (guest->chosen == COVER_SPARED)
            continue;
        uint32_t step = problem->limited && !guest->free ? problem->units : 0;
        at = at == covered ? guest->before : at - step - guest->units[guest->chosen];
        result->guests++;
        result->limited += !guest->free;
    }
    if (!result->covers)
        return;
    result->loss = problem->cover->cells[covered].loss;
    result->relief = problem->cover->cells[covered].relief;
}

void cover_choose(struct cover *cover, uint32_t count, uint64_t deficit, uint32_t limit,
    struct cover_result *ret_result)
{
    struct problem problem = problem_of(cover, count, max_u64(deficit, 1), 1);
    struct cover_result result = {0};
    uint64_t alone = problem.alone = loss_alone(&problem);
    problem.up = true;
    cells_fill(&problem);
    result.least = loss_most(&problem);
    problem.up = false;
    if (limit < count) {
        uint32_t most = limit < COVER_LIMIT_MOST ? limit : COVER_LIMIT_MOST;
        problem = problem_of(cover, count, problem.deficit, most + 1);
        problem.alone = limit > 0 ? alone : NO_LOSS;
        problem.limited = true;
    }
    cells_fill(&problem);
    members_tell(&problem, &result);
    *ret_result = result;
}
