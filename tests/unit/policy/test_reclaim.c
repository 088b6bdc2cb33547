/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Swap: what the paused hold goes there, so that one after the other can be resumed and finish; and
 * everybody from whom nothing is to be had, or must not be taken, is left alone.
 */
#include <check.h>
#include <stdio.h>

#include <plimsoll/cleanup.h>

#include "story.h"
#include "suite.h"

#define MS NSEC_PER_MSEC
#define SEC NSEC_PER_SEC
#define COUNT 6
#define GOLD 0u

static unsigned count_paused(struct story *story)
{
    unsigned paused = 0;
    for (unsigned i = 0; i < STORY_GUESTS; i++)
        paused += story_is_paused(story, i);
    return paused;
}

static unsigned count_finished(const struct story *story)
{
    unsigned finished = 0;
    for (unsigned i = 0; i < STORY_GUESTS; i++)
        finished += story->guests[i].finished != 0;
    return finished;
}

static unsigned count_kills(const struct story *story)
{
    unsigned kills = 0;
    for (unsigned i = 0; i < STORY_GUESTS; i++)
        kills += story->guests[i].kills;
    return kills;
}

static unsigned count_reclaims(const struct story *story)
{
    unsigned reclaims = 0;
    for (unsigned i = 0; i < STORY_GUESTS; i++)
        reclaims += story->guests[i].reclaims;
    return reclaims;
}

static void tell(struct story *story, const char *name, uint64_t begin)
{
    printf("%s: kills %u, paused %u, swap free %llu MiB, overrun %llu MiB;", name,
        count_kills(story), count_paused(story),
        (unsigned long long)(story->snapshot->host.swap_free / MIB),
        (unsigned long long)(story->overrun / MIB));
    for (unsigned i = 0; i < story->snapshot->vm_count; i++) {
        const struct story_guest *guest = &story->guests[i];
        printf(" [%u] done %lld s, %llu MiB, %llu in swap, %u pauses, %u pieces", i,
            guest->finished ? (long long)((guest->finished - begin) / SEC) : -1,
            (unsigned long long)(guest->touched / MIB), (unsigned long long)(guest->swapped / MIB),
            guest->pauses + guest->freezes, guest->reclaims);
    }
    printf("\n");
    fflush(stdout);
}

/* As in the lab: 3900 MiB, 2800 of them available, on which six guests want 900 MiB each. */
static struct story *story_of_storm(int rate)
{
    struct story *story = story_new(3900 * MIB, (3900 - 2800 - COUNT * 150) * MIB);
    story_take_time(story, 50 * MS);
    for (unsigned i = 0; i < COUNT; i++) {
        unsigned number = story_guest(story, GIB, 100 * MIB);
        struct story_guest *guest = &story->guests[number];
        guest->overhead = 50 * MIB;
        guest->honest = true;
        guest->hot = 60 * MIB;
        guest->balloon_speed = 40 * MIB; /* processors are short, too */
        guest->goal = 1000 * MIB;
        guest->growth = rate * (int64_t)MIB;
        guest->grows_after = story->snapshot->time + 2 * SEC;
        story_rules(story, number)->priority = number == GOLD ? 900 : 10;
    }
    return story;
}

static const uint64_t speeds[] = {60 * MIB, 160 * MIB, 900 * MIB};
static const int rates[] = {14, 40, 120};

/* The kernel swaps for who allocates, and all who would are paused: without reclaim they stay so.
 */
START_TEST(all_paused_finish_one_after_the_other)
{
    uint64_t speed = speeds[(size_t)_i % ELEMENTSOF(speeds)];
    struct story *story = story_of_storm(rates[(size_t)_i / ELEMENTSOF(speeds)]);
    uint64_t begin = story->snapshot->time + 2 * SEC;
    char name[64];
    story_swap(story, 4 * GIB, speed, 10 * MIB);
    for (unsigned i = 0; i < 90 && count_finished(story) < COUNT; i++)
        story_live(story, 10 * SEC);
    story_live(story, 60 * SEC); /* who has finished may have been stopped at the end of it */
    snprintf(name, sizeof(name), "swap at %llu MiB/s, 6x%d MiB/s",
        (unsigned long long)(speed / MIB), rates[(size_t)_i / ELEMENTSOF(speeds)]);
    tell(story, name, begin);
    ck_assert_uint_eq(count_kills(story), 0);
    ck_assert_uint_eq(story->overrun, 0);
    for (unsigned i = 0; i < COUNT; i++)
        ck_assert_uint_ne(story->guests[i].finished, 0);
    ck_assert_uint_eq(count_paused(story), 0);
    story_free(story);
}
END_TEST

/* A host of 8 GiB that has been short for a while, and a guest that waits for room: whoever is in a
 * story beside it could give. */
static struct story *story_of_waiting(unsigned *ret_waiting)
{
    struct story *story = story_new(8 * GIB, 3 * GIB);
    story_swap(story, 8 * GIB, 100 * MIB, 10 * MIB);
    *ret_waiting = story_guest(story, 3 * GIB, GIB);
    struct vm_snapshot *vm = story_vm(story, *ret_waiting);
    story_pause(story, *ret_waiting);
    vm->reclaim.possible = TRISTATE_NO;
    story_rules(story, *ret_waiting)->priority = 100;
    return story;
}

static unsigned add_running(struct story *story, uint64_t uses, uint32_t priority)
{
    unsigned number = story_guest(story, 4 * GIB, uses);
    story_rules(story, number)->priority = priority;
    story_rules(story, number)->minimum = (struct amount){AMOUNT_BYTES, GIB};
    story_rules(story, number)->rungs &= ~RUNG_BIT(RUNG_BALLOON);
    story->guests[number].honest = true;
    story_vm(story, number)->first_seen = story->snapshot->time;
    story_vm(story, number)->maximum = uses + 32 * MIB;
    story_vm(story, number)->balloon.actual = uses + 32 * MIB;
    return number;
}

START_TEST(who_uses_nothing_more_gives_down_to_its_minimum)
{
    unsigned waiting;
    struct story *story = story_of_waiting(&waiting);
    unsigned idle = add_running(story, 3900 * MIB, 50);
    story_live(story, 120 * SEC);
    ck_assert_uint_gt(story->guests[idle].reclaims, 0);
    ck_assert_uint_ge(story_resident(&story->guests[idle]), GIB);
    ck_assert_uint_eq(story->guests[waiting].resumes, 1);
    story_free(story);
}
END_TEST

enum spared {
    SPARED_GROWING,
    SPARED_VFIO,
    SPARED_HUGETLB,
    SPARED_LOCKED,
    SPARED_MIGRATING,
    SPARED_FORBIDDEN,
    SPARED_NO_FILE,
    SPARED_COUNT,
};

START_TEST(who_must_not_give_is_left_alone)
{
    unsigned waiting;
    struct story *story = story_of_waiting(&waiting);
    unsigned guest = add_running(story, 3900 * MIB, 50);
    struct vm_snapshot *vm = story_vm(story, guest);
    switch ((enum spared)_i) {
    case SPARED_GROWING:
        vm->maximum = vm->balloon.actual = 8 * GIB;
        story->guests[guest].goal = 8 * GIB;
        story->guests[guest].growth = 3 * (int64_t)MIB;
        /* Stopped it would grow no more, and could give. */
        story_rules(story, guest)->rungs &= ~RUNG_BIT(RUNG_PAUSE);
        break;
    case SPARED_VFIO:
        vm->wiring.vfio_groups = 1;
        break;
    case SPARED_HUGETLB:
        vm->hugetlb = GIB;
        break;
    case SPARED_LOCKED:
        vm->locked = vm->maximum;
        break;
    case SPARED_MIGRATING:
        vm->migration = VM_MIGRATION_OUTGOING;
        break;
    case SPARED_FORBIDDEN:
        story_rules(story, guest)->rungs &= ~RUNG_BIT(RUNG_RECLAIM);
        break;
    case SPARED_NO_FILE:
        vm->reclaim.possible = TRISTATE_NO;
        break;
    case SPARED_COUNT:
        break;
    }
    vm_classify(vm, &vm->kind, &vm->kind_reason);
    story_live(story, 60 * SEC);
    ck_assert_uint_eq(story->guests[guest].reclaims, 0);
    story_free(story);
}
END_TEST

/* A valuable guest that says it leaves much unused gives that, and no more than that. */
START_TEST(a_valuable_guest_gives_what_it_says_is_idle)
{
    unsigned waiting;
    struct story *story = story_of_waiting(&waiting);
    unsigned guest = add_running(story, 3900 * MIB, 900);
    story->guests[guest].honest = false;
    story->guests[guest].free = 1500 * MIB;
    story_live(story, 120 * SEC);
    ck_assert_uint_gt(story->guests[guest].reclaims, 0);
    ck_assert_uint_ge(story_resident(&story->guests[guest]), (3900 - 1500) * MIB);
    story_free(story);
}
END_TEST

/* What it uses comes back within seconds: each time it is left alone for twice as long. */
START_TEST(what_comes_back_is_left_alone_for_longer)
{
    unsigned waiting;
    struct story *story = story_of_waiting(&waiting);
    unsigned guest = add_running(story, 3900 * MIB, 50);
    story->guests[guest].hot = 3900 * MIB;
    story_live(story, 60 * SEC);
    unsigned minute = story->guests[guest].reclaims;
    ck_assert_uint_ge(minute, 1);
    ck_assert_uint_le(minute, 4);
    story_live(story, 240 * SEC);
    ck_assert_uint_le(story->guests[guest].reclaims - minute, 4);
    ck_assert_uint_eq(count_kills(story), 0);
    story_free(story);
}
END_TEST

/* A valuable guest that uses all it has is asked last, for little at a time, and hardly ever. */
START_TEST(a_valuable_guest_that_is_busy_is_hardly_touched)
{
    unsigned waiting;
    struct story *story = story_of_waiting(&waiting);
    unsigned lesser = add_running(story, 1200 * MIB, 50);
    unsigned guest = add_running(story, 2600 * MIB, 900);
    story->guests[guest].hot = 2600 * MIB;
    story_live(story, 60 * SEC);
    ck_assert_uint_gt(story->guests[lesser].reclaims, 0);
    story_live(story, 240 * SEC);
    ck_assert_uint_le(story->guests[guest].reclaims, 6);
    ck_assert_uint_ge(story_resident(&story->guests[guest]), 2500 * MIB);
    story_free(story);
}
END_TEST

/* Full but for the kernel's part, swap has done what it can. */
START_TEST(full_swap_ends_it)
{
    struct story *story = story_of_storm(14);
    uint64_t begin = story->snapshot->time + 2 * SEC;
    story_swap(story, 512 * MIB, 10 * MIB, 10 * MIB);
    story_live(story, 300 * SEC);
    tell(story, "little swap", begin);
    ck_assert_uint_gt(count_reclaims(story), 0);
    ck_assert_uint_lt(count_reclaims(story), 100);
    ck_assert_uint_eq(count_kills(story), 0);
    ck_assert_uint_eq(story->overrun, 0);
    ck_assert_uint_ne(story->guests[GOLD].finished, 0);
    unsigned before = count_reclaims(story);
    story_live(story, 60 * SEC);
    ck_assert_uint_le(count_reclaims(story) - before, 4);
    story_free(story);
}
END_TEST

START_TEST(without_swap_or_in_calm_there_is_none)
{
    struct story *story = _i == 0 ? story_of_storm(14) : story_new(64 * GIB, GIB);
    if (_i == 1) {
        story_swap(story, 4 * GIB, 100 * MIB, 10 * MIB);
        (void)story_guest(story, 4 * GIB, 3 * GIB);
    }
    story_live(story, 120 * SEC);
    ck_assert_uint_eq(count_reclaims(story), 0);
    story_free(story);
}
END_TEST

/* Nothing is to be had of it: next to nothing shows, and it is asked ever more seldom. */
START_TEST(who_gives_nothing_is_asked_seldom)
{
    unsigned waiting;
    struct story *story = story_of_waiting(&waiting);
    unsigned guest = add_running(story, 3900 * MIB, 50);
    story->guests[guest].pinned = true; /* and nothing on the host's side says so */
    story_live(story, 300 * SEC);
    ck_assert_uint_ge(story->guests[guest].reclaims, 2);
    ck_assert_uint_le(story->guests[guest].reclaims, 6);
    story_free(story);
}
END_TEST

START_TEST(dry_run_tells_of_one)
{
    unsigned waiting;
    struct story *story = story_of_waiting(&waiting);
    unsigned guests[] = {add_running(story, 1800 * MIB, 50), add_running(story, 2000 * MIB, 50)};
    for (size_t i = 0; i < ELEMENTSOF(guests); i++)
        story_rules(story, guests[i])->mode = MODE_DRY_RUN;
    story_live(story, 60 * SEC);
    ck_assert_uint_eq(count_reclaims(story), 1);
    ck_assert_uint_eq(story->snapshot->host.swap_free, 8 * GIB);
    story_free(story);
}
END_TEST

/* An answer that never comes is waited for in vain, and not asked for again at once. */
START_TEST(a_piece_that_is_never_answered)
{
    unsigned waiting;
    struct story *story = story_of_waiting(&waiting);
    unsigned guest = add_running(story, 3900 * MIB, 50);
    story->swap_speed = 0; /* the device hangs */
    story_live(story, 120 * SEC);
    ck_assert_uint_ge(story->guests[guest].reclaims, 2);
    ck_assert_uint_le(story->guests[guest].reclaims, 4);
    ck_assert_uint_eq(count_kills(story), 0);
    story_free(story);
}
END_TEST

/* What was seen in the lab: balloons are too slow to matter, everybody is paused, and swap stays
 * free for ever, because nobody allocates any more. */
START_TEST(where_all_are_paused_swap_lets_them_finish)
{
    bool reclaims = _i < 3;
    struct story *story = story_of_storm(rates[_i % 3]);
    uint64_t begin = story->snapshot->time + 2 * SEC;
    story_swap(story, 4 * GIB, 60 * MIB, 10 * MIB);
    story_no_balloons(story);
    for (unsigned i = 0; i < COUNT && !reclaims; i++)
        story_rules(story, i)->rungs &= ~RUNG_BIT(RUNG_RECLAIM);
    story_live(story, 600 * SEC);
    tell(story, reclaims ? "no balloons" : "no balloons, no reclaim", begin);
    ck_assert_uint_eq(count_kills(story), 0);
    ck_assert_uint_eq(story->overrun, 0);
    ck_assert_int_eq(count_finished(story) == COUNT, reclaims);
    if (reclaims)
        ck_assert_uint_eq(count_paused(story), 0);
    else
        ck_assert_uint_eq(count_reclaims(story), 0);
    story_free(story);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("reclaim");
    tcase_add_loop_test(tests, all_paused_finish_one_after_the_other, 0,
        (int)(ELEMENTSOF(speeds) * ELEMENTSOF(rates)));
    tcase_add_loop_test(tests, where_all_are_paused_swap_lets_them_finish, 0, 6);
    tcase_add_test(tests, who_uses_nothing_more_gives_down_to_its_minimum);
    tcase_add_loop_test(tests, who_must_not_give_is_left_alone, 0, SPARED_COUNT);
    tcase_add_test(tests, a_valuable_guest_gives_what_it_says_is_idle);
    tcase_add_test(tests, what_comes_back_is_left_alone_for_longer);
    tcase_add_test(tests, a_valuable_guest_that_is_busy_is_hardly_touched);
    tcase_add_test(tests, full_swap_ends_it);
    tcase_add_loop_test(tests, without_swap_or_in_calm_there_is_none, 0, 2);
    tcase_add_test(tests, who_gives_nothing_is_asked_seldom);
    tcase_add_test(tests, dry_run_tells_of_one);
    tcase_add_test(tests, a_piece_that_is_never_answered);
    tcase_set_timeout(tests, 100); /* under valgrind */
    Suite *suite = suite_create("reclaim");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
