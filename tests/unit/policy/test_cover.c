/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The cover against trying all sets, and against a dynamic programme without any pruning. Drawn
 * from a generator whose seed is printed (PLIMSOLL_TEST_SEED repeats it).
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cover.h"
#include "suite.h"
#include "world.h"

#define FEW 12
#define MANY 200
#define SEED_DEFAULT 20240229

static struct cover *cover;

static void setup(void)
{
    cover = calloc(1, cover_size(MAX_VMS_LIMIT));
    ck_assert_ptr_nonnull(cover);
}

static void teardown(void)
{
    free(cover);
}

static void clear(uint32_t count)
{
    memset(cover->guests, 0, count * sizeof(struct cover_guest));
    for (uint32_t i = 0; i < count; i++)
        cover->guests[i].number = i;
}

static void add(uint32_t guest, uint32_t option, uint64_t relief, uint64_t loss)
{
    cover->guests[guest].options[option] = (struct cover_option){.relief = relief, .loss = loss};
}

static struct cover_result choose(uint32_t count, uint64_t deficit, uint32_t limit)
{
    struct cover_result result;
    cover_choose(cover, count, deficit, limit, &result);
    return result;
}

/* What of the result can be seen in the guests themselves. */
static void check_result(const struct cover_result *result, uint32_t count, uint64_t deficit)
{
    uint64_t loss = 0, relief = 0;
    uint32_t guests = 0, limited = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct cover_guest *guest = &cover->guests[i];
        if (guest->chosen == COVER_SPARED)
            continue;
        ck_assert_uint_lt(guest->chosen, COVER_RUNGS);
        loss += guest->options[guest->chosen].loss;
        relief += guest->options[guest->chosen].relief;
        guests++;
        limited += !guest->free;
    }
    ck_assert_uint_eq(result->guests, guests);
    ck_assert_uint_eq(result->limited, limited);
    ck_assert_uint_eq(result->loss, loss);
    ck_assert_uint_eq(result->relief, relief);
    if (!result->covers) {
        ck_assert_uint_eq(guests, 0);
        return;
    }
    ck_assert_uint_ge(relief, deficit);
    ck_assert_uint_le(result->least, result->loss);
}

/* ---- all sets ---- */

struct best {
    bool covers;
    uint64_t loss, relief;
    uint32_t guests, willing, limited;
};

static bool is_better(const struct best *a, const struct best *b)
{
    if (a->loss != b->loss)
        return a->loss < b->loss;
    if (a->guests != b->guests)
        return a->guests < b->guests;
    return a->willing != b->willing ? a->willing < b->willing : a->relief < b->relief;
}

static void try_all(uint32_t from, uint32_t count, uint64_t deficit, uint32_t limit,
    struct best so_far, struct best *best)
{
    if (so_far.limited > limit)
        return;
    if (so_far.relief >= deficit) {
        so_far.covers = true;
        if (!best->covers || is_better(&so_far, best))
            *best = so_far;
        return;
    }
    if (from == count)
        return;
    try_all(from + 1, count, deficit, limit, so_far, best);
    const struct cover_guest *guest = &cover->guests[from];
    for (uint32_t i = 0; i < COVER_RUNGS; i++) {
        if (guest->options[i].relief == 0)
            continue;
        struct best with = {.loss = so_far.loss + guest->options[i].loss,
            .relief = so_far.relief + guest->options[i].relief,
            .guests = so_far.guests + 1,
            .willing = so_far.willing + !guest->blamed,
            .limited = so_far.limited + !guest->free};
        try_all(from + 1, count, deficit, limit, with, best);
    }
}

/* Reliefs in steps of UNIT, each option as likely as not; losses from so few that ties abound. */
static void draw_guests(uint32_t count, uint32_t options, uint64_t unit, uint64_t most)
{
    static const uint64_t losses[] = {0, 1, 4, 16, 100, 120000};
    clear(count);
    for (uint32_t i = 0; i < count; i++) {
        cover->guests[i].free = draw_below(5) == 0;
        cover->guests[i].blamed = draw_below(5) == 0;
        for (uint32_t k = 0; k < options; k++)
            if (draw_below(4))
                add(i, k, draw_below(most) * unit,
                    draw_below(3) ? losses[draw_below(6)] : draw_below(1000));
    }
}

static void draw_and_try(uint32_t count, uint32_t options, uint32_t limit, uint64_t most)
{
    struct best best = {0};
    draw_guests(count, options, MIB, most / 2 + 2);
    uint64_t deficit = (draw_below(most) + 1) * MIB;
    struct cover_result result = choose(count, deficit, limit);
    try_all(0, count, deficit, limit, (struct best){0}, &best);
    check_result(&result, count, deficit);
    ck_assert_int_eq(result.covers, best.covers);
    if (!best.covers)
        return;
    ck_assert_uint_eq(result.loss, best.loss);
    ck_assert_uint_eq(result.guests, best.guests);
    ck_assert_uint_eq(result.relief, best.relief);
    if (limit == COVER_NO_LIMIT)
        ck_assert_uint_eq(result.least, result.loss);
    else
        ck_assert_uint_le(result.limited, limit);
}

/* In whole units nothing is rounded, so that it is exact, ties and all. */
START_TEST(it_is_the_best_of_all_sets)
{
    uint64_t cases = suite_cases(8000);
    for (uint64_t i = 0; i < cases; i++)
        draw_and_try((uint32_t)draw_below(FEW) + 1, 1, COVER_NO_LIMIT, COVER_UNITS);
    for (uint64_t i = 0; i < cases / 4; i++)
        draw_and_try((uint32_t)draw_below(7) + 1, COVER_RUNGS, COVER_NO_LIMIT, COVER_UNITS);
}
END_TEST

START_TEST(within_a_limit_it_is_the_best_of_all_sets)
{
    uint64_t cases = suite_cases(8000);
    for (uint64_t i = 0; i < cases; i++) {
        uint32_t limit = (uint32_t)draw_below(5);
        draw_and_try((uint32_t)draw_below(FEW) + 1, 1, limit, COVER_UNITS / (limit + 1));
        draw_and_try((uint32_t)draw_below(5) + 1, COVER_RUNGS, limit, COVER_UNITS / (limit + 1));
    }
}
END_TEST

/* By the byte: it does cover, and says how far it may be from the best. */
START_TEST(what_it_gives_up_is_bounded)
{
    uint64_t cases = suite_cases(8000), exact = 0, covered = 0;
    for (uint64_t i = 0; i < cases; i++) {
        uint32_t count = (uint32_t)draw_below(FEW) + 1;
        uint64_t most = draw_below(2) ? 64 * GIB : 3;
        struct best best = {0};
        draw_guests(count, 1, 1, most / 2 + 2);
        uint64_t deficit = draw_below(most) + 1;
        struct cover_result result = choose(count, deficit, COVER_NO_LIMIT);
        try_all(0, count, deficit, COVER_NO_LIMIT, (struct best){0}, &best);
        check_result(&result, count, deficit);
        ck_assert_int_ge(best.covers, result.covers);
        if (best.covers)
            ck_assert_uint_le(result.least, best.loss);
        if (!result.covers)
            continue;
        ck_assert_uint_ge(result.loss, best.loss);
        covered++;
        exact += result.loss == best.loss;
    }
    ck_assert_uint_ge(exact * 100, covered * 97);
}
END_TEST

/* ---- a dynamic programme as it stands in the books ---- */

/* Of sets of the first guests that give at least so many MiB, the least loss. */
static uint64_t programme(uint32_t count, uint32_t need)
{
    static uint64_t table[MANY + 1][COVER_UNITS + 1];
    for (uint32_t at = 0; at <= need; at++)
        table[0][at] = at == 0 ? 0 : UINT64_MAX;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t at = 0; at <= need; at++) {
            table[i + 1][at] = table[i][at];
            for (uint32_t k = 0; k < COVER_RUNGS; k++) {
                const struct cover_option *option = &cover->guests[i].options[k];
                uint64_t units = option->relief / MIB;
                uint64_t before = table[i][units < at ? at - units : 0];
                if (units > 0 && before != UINT64_MAX && before + option->loss < table[i + 1][at])
                    table[i + 1][at] = before + option->loss;
            }
        }
    }
    return table[count][need];
}

START_TEST(it_is_what_the_whole_programme_finds)
{
    uint64_t cases = suite_cases(300);
    for (uint64_t i = 0; i < cases; i++) {
        uint32_t count = (uint32_t)draw_below(MANY) + 1;
        uint32_t need = (uint32_t)draw_below(COVER_UNITS) + 1;
        draw_guests(count, COVER_RUNGS, MIB, draw_below(COVER_UNITS) + 2);
        struct cover_result result = choose(count, need * MIB, COVER_NO_LIMIT);
        check_result(&result, count, need * MIB);
        uint64_t least = programme(count, need);
        ck_assert_int_eq(result.covers, least != UINT64_MAX);
        ck_assert_uint_eq(result.least, least);
        if (result.covers)
            ck_assert_uint_eq(result.loss, least);
    }
}
END_TEST

/* ---- what holds of any cover ---- */

START_TEST(more_to_cover_costs_no_less)
{
    uint64_t cases = suite_cases(300);
    for (uint64_t i = 0; i < cases; i++) {
        uint32_t count = (uint32_t)draw_below(MANY) + 1;
        uint64_t unit = draw_below(2) ? MIB : 1 + draw_below(1000);
        draw_guests(count, COVER_RUNGS, unit, COVER_UNITS / 8);
        struct cover_result before = {.covers = true};
        for (uint64_t deficit = 1; deficit <= COVER_UNITS; deficit += 1 + draw_below(200)) {
            struct cover_result result = choose(count, deficit * unit, COVER_NO_LIMIT);
            /* What less costs is known exactly where its bound says so. */
            if (before.loss == before.least)
                ck_assert_uint_ge(result.covers ? result.loss : UINT64_MAX, before.loss);
            ck_assert(before.covers || unit != MIB || !result.covers);
            before = result;
        }
    }
}
END_TEST

START_TEST(one_more_guest_costs_no_more)
{
    uint64_t cases = suite_cases(300);
    for (uint64_t i = 0; i < cases; i++) {
        uint32_t count = (uint32_t)draw_below(MANY) + 1;
        uint64_t unit = draw_below(2) ? MIB : MIB + draw_below(MIB);
        uint64_t deficit = (draw_below(COVER_UNITS) + 1) * MIB;
        draw_guests(count, 1, unit, COVER_UNITS / 4);
        struct cover_result fewer = choose(count - 1, deficit, COVER_NO_LIMIT);
        struct cover_result more = choose(count, deficit, COVER_NO_LIMIT);
        ck_assert_uint_le(more.least, fewer.least);
        if (!fewer.covers)
            continue;
        ck_assert(more.covers);
        ck_assert_uint_le(unit == MIB ? more.loss : more.least, fewer.loss);
    }
}
END_TEST

START_TEST(their_order_changes_nothing)
{
    uint64_t cases = suite_cases(300);
    for (uint64_t i = 0; i < cases; i++) {
        uint32_t count = (uint32_t)draw_below(MANY) + 1;
        uint32_t limit = draw_below(2) ? COVER_NO_LIMIT : (uint32_t)draw_below(8);
        uint64_t most = limit < count ? COVER_UNITS / (limit + 1) : COVER_UNITS;
        uint64_t deficit = (draw_below(most) + 1) * MIB;
        draw_guests(count, COVER_RUNGS, MIB, COVER_UNITS / 4);
        struct cover_result first = choose(count, deficit, limit);
        for (uint32_t k = count; k > 1; k--) {
            uint32_t other = (uint32_t)draw_below(k);
            struct cover_guest moved = cover->guests[other];
            cover->guests[other] = cover->guests[k - 1];
            cover->guests[k - 1] = moved;
        }
        struct cover_result second = choose(count, deficit, limit);
        ck_assert_int_eq(first.covers, second.covers);
        ck_assert_uint_eq(first.loss, second.loss);
        ck_assert_uint_eq(first.guests, second.guests);
        ck_assert_uint_eq(first.relief, second.relief);
        ck_assert_uint_eq(first.least, second.least);
    }
}
END_TEST

/* ---- by hand ---- */

static bool is_chosen(uint32_t guest)
{
    return cover->guests[guest].chosen != COVER_SPARED;
}

/* One alone costs 100, two small ones 10 each. */
START_TEST(two_small_ones_before_a_dear_one)
{
    clear(3);
    add(0, 0, 8 * GIB, 100);
    add(1, 0, 5 * GIB, 10);
    add(2, 0, 4 * GIB, 10);
    struct cover_result result = choose(3, 8 * GIB, COVER_NO_LIMIT);
    ck_assert_uint_eq(result.loss, 20);
    ck_assert_uint_eq(result.least, 20);
    result = choose(3, 8 * GIB, 1); /* but only one may go */
    ck_assert_uint_eq(result.loss, 100);
    ck_assert_uint_eq(result.least, 20);
    cover->guests[1].free = true; /* or one of the two counts for nothing */
    result = choose(3, 8 * GIB, 1);
    ck_assert_uint_eq(result.loss, 20);
    ck_assert_uint_eq(result.limited, 1);
}
END_TEST

/* By loss per byte first the one of 3, and it is in vain. */
START_TEST(two_where_the_best_per_byte_needs_three)
{
    clear(3);
    add(0, 0, 3 * GIB, 3);
    add(1, 0, 5 * GIB, 6);
    add(2, 0, 5 * GIB, 6);
    struct cover_result result = choose(3, 10 * GIB, COVER_NO_LIMIT);
    ck_assert_uint_eq(result.guests, 2);
    ck_assert(!is_chosen(0));
}
END_TEST

START_TEST(a_guest_ends_by_one_rung)
{
    clear(2);
    add(0, 0, 4 * GIB, 1); /* halves of one guest */
    add(0, 1, 4 * GIB, 2);
    add(0, 2, 7 * GIB, 5);
    add(1, 0, 4 * GIB, 9);
    struct cover_result result = choose(2, 8 * GIB, COVER_NO_LIMIT);
    ck_assert_uint_eq(result.loss, 10);
    ck_assert_uint_eq(cover->guests[0].chosen, 0);
    result = choose(2, 11 * GIB, COVER_NO_LIMIT);
    ck_assert_uint_eq(result.loss, 14);
    ck_assert_uint_eq(cover->guests[0].chosen, 2);
}
END_TEST

/* Of equals: fewer, then who is blamed, then no more than it takes, then who stands first. */
START_TEST(equals_have_an_order)
{
    clear(4);
    add(0, 0, 2 * GIB, 5);
    add(1, 0, 2 * GIB, 5);
    add(2, 0, 9 * GIB, 10);
    add(3, 0, 8 * GIB, 10);
    ck_assert_uint_eq(choose(4, 4 * GIB, COVER_NO_LIMIT).relief, 8 * GIB);
    cover->guests[2].blamed = true;
    ck_assert_uint_eq(choose(4, 4 * GIB, COVER_NO_LIMIT).relief, 9 * GIB);
    ck_assert_uint_eq(choose(4, 2 * GIB, COVER_NO_LIMIT).loss, 5);
    ck_assert(is_chosen(0) && !is_chosen(1));
}
END_TEST

START_TEST(nobody_or_nothing_covers_nothing)
{
    ck_assert(!choose(0, GIB, COVER_NO_LIMIT).covers);
    ck_assert(!choose(0, 0, 0).covers);
    clear(2);
    ck_assert(!choose(2, 0, COVER_NO_LIMIT).covers);
    add(0, 1, 1, 7);
    ck_assert_uint_eq(choose(2, 0, COVER_NO_LIMIT).loss, 7); /* as 1 */
    ck_assert(!choose(2, 1, 0).covers);
    ck_assert(!choose(2, 2, COVER_NO_LIMIT).covers);
}
END_TEST

START_TEST(nothing_wraps)
{
    static const uint64_t amounts[] = {
        0, 1, MIB, UINT64_MAX / 2, UINT64_MAX / 2 + 1, UINT64_MAX - 1, UINT64_MAX};
    for (uint64_t i = 0; i < suite_cases(3000); i++) {
        uint32_t count = (uint32_t)draw_below(40);
        clear(count);
        for (uint32_t k = 0; k < count * COVER_RUNGS; k++)
            add(k / COVER_RUNGS, k % COVER_RUNGS, amounts[draw_below(7)], amounts[draw_below(7)]);
        uint64_t deficit = amounts[draw_below(7)];
        uint32_t limit = draw_below(2) ? COVER_NO_LIMIT : (uint32_t)draw_below(80);
        struct cover_result result = choose(count, deficit, limit);
        __extension__ typedef unsigned __int128 wide;
        wide relief = 0;
        for (uint32_t k = 0; k < count; k++)
            if (is_chosen(k))
                relief += cover->guests[k].options[cover->guests[k].chosen].relief;
        ck_assert(!result.covers || relief >= deficit);
        ck_assert_uint_le(result.least, result.covers ? result.loss : UINT64_MAX);
    }
    clear(2);
    add(0, 0, UINT64_MAX, UINT64_MAX);
    add(1, 0, UINT64_MAX, 3);
    ck_assert_uint_eq(choose(2, UINT64_MAX, COVER_NO_LIMIT).loss, 3);
}
END_TEST

/* By index: of how many guests; the last is max-vms at its highest. */
static const uint32_t crowds[] = {1000, 4000, MAX_VMS_LIMIT};

/* A million of the least unit. */
START_TEST(a_crowd_is_covered)
{
    uint32_t count = crowds[_i];
    uint64_t deficit = UINT64_C(1000) * 1000 * MIB;
    clear(count);
    for (uint32_t i = 0; i < count; i++)
        add(i, 0, 256 * MIB + draw_below(16 * GIB), (UINT64_C(1) << 2 * draw_below(3)) * 120000);
    struct cover_result result = choose(count, deficit, COVER_NO_LIMIT);
    check_result(&result, count, deficit);
    ck_assert(result.covers);
    ck_assert_uint_le(result.loss - result.least, result.loss / 5);
    printf("%u guests: loss %llu, no less than %llu\n", count, (unsigned long long)result.loss,
        (unsigned long long)result.least);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, it_is_the_best_of_all_sets);
    tcase_add_test(tests, within_a_limit_it_is_the_best_of_all_sets);
    tcase_add_test(tests, what_it_gives_up_is_bounded);
    tcase_add_test(tests, it_is_what_the_whole_programme_finds);
    tcase_add_test(tests, more_to_cover_costs_no_less);
    tcase_add_test(tests, one_more_guest_costs_no_more);
    tcase_add_test(tests, their_order_changes_nothing);
    tcase_add_test(tests, two_small_ones_before_a_dear_one);
    tcase_add_test(tests, two_where_the_best_per_byte_needs_three);
    tcase_add_test(tests, a_guest_ends_by_one_rung);
    tcase_add_test(tests, equals_have_an_order);
    tcase_add_test(tests, nobody_or_nothing_covers_nothing);
    tcase_add_test(tests, nothing_wraps);
    tcase_add_loop_test(tests, a_crowd_is_covered, 0, (int)(sizeof(crowds) / sizeof(crowds[0])));
    tcase_set_timeout(tests, 100); /* under valgrind */
}

int main(void)
{
    draw_seed_asked(SEED_DEFAULT);
    TCase *tests = tcase_create("cover");
    add_tests(tests);
    Suite *suite = suite_create("cover");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
