/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio-mem: what a guest with a passed-through device gives where a balloon would give the host
 * nothing, how it gets it back, and when it is left alone.
 */
#include <check.h>

#include "story.h"
#include "suite.h"

#define MS NSEC_PER_MSEC
#define SEC NSEC_PER_SEC
#define RAM (4 * GIB)
#define SIZE (8 * GIB)

static struct story *story;
static unsigned wired, grower;

/* A guest with a device that uses little of its 12 GiB, and one that comes to use 14 of its 16. */
static void begin_guests(void)
{
    wired = story_guest(story, RAM, RAM);
    story_resizable(story, wired, SIZE);
    story->guests[wired].free = 10 * GIB;
    grower = story_guest(story, 16 * GIB, GIB);
    story->guests[grower].growth = 128 * (int64_t)MIB;
    story->guests[grower].goal = 14 * GIB;
    story_rules(story, grower)->priority = 500;
    story_run(story, 5 * SEC, 50 * MS);
}

/* On a host where that is short of 3 GiB or so. */
static void begin(void)
{
    story = story_new(32 * GIB, 4 * GIB);
    begin_guests();
}

static void end(void)
{
    story = story_free(story);
}

static struct vm_snapshot *wired_vm(void)
{
    return story_vm(story, wired);
}

static void expect_nobody_harmed(void)
{
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_uint_eq(story->guests[i].pauses + story->guests[i].freezes, 0);
        ck_assert_uint_eq(story->guests[i].kills, 0);
    }
}

START_TEST(what_it_does_not_use_is_taken_and_given_back)
{
    begin();
    ck_assert(story_until(story, ACTION_RESIZE, wired, 300 * SEC, 50 * MS));
    ck_assert_int_eq(story_find(story, ACTION_RESIZE, wired)->reason, REASON_RESIZE_IDLE);
    uint64_t held = wired_vm()->rss;
    while (story->guests[grower].finished == 0)
        story_run(story, SEC, 50 * MS);
    expect_nobody_harmed();
    ck_assert_int_ge(story->headroom_least, 0);
    /* The host has it, pinned as it was. */
    ck_assert_uint_lt(wired_vm()->rss, held - GIB);
    story_run(story, 5 * SEC, 50 * MS);
    ck_assert_uint_eq(wired_vm()->resizable.size, wired_vm()->resizable.requested);
    ck_assert_uint_ge(RAM + wired_vm()->resizable.requested, (RAM + SIZE) / 2);
    ck_assert_uint_eq(story->alerts[REASON_RESIZE_STUCK], 0);

    story->guests[grower].kill_done = 0;
    story_vm(story, grower)->measures.in_force |= VM_MEASURE_KILLED; /* it ends */
    unsigned asked = story->guests[wired].resizes;
    story_run(story, 300 * SEC, 50 * MS);
    ck_assert_uint_eq(wired_vm()->resizable.size, SIZE);
    ck_assert_uint_eq(wired_vm()->measures.in_force & VM_MEASURE_RESIZE, 0);
    ck_assert_uint_eq(story->guests[wired].resizes, asked); /* no to and fro */
    end();
}
END_TEST

START_TEST(not_where_nobody_named_it)
{
    begin();
    story_rules(story, wired)->rungs = RUNGS_DEFAULT;
    story_run(story, 200 * SEC, 50 * MS);
    ck_assert_uint_eq(story->guests[wired].resizes, 0);
    ck_assert_uint_eq(wired_vm()->resizable.requested, SIZE);
    end();
}
END_TEST

/* From scarce on also what it uses, and never more than down to its minimum. */
START_TEST(down_to_its_minimum)
{
    begin();
    story->guests[wired].free = UNKNOWN;
    story->guests[grower].growth = 0;
    story->other_growth = 128 * (int64_t)MIB;
    story_rules(story, wired)->rungs = story_rules(story, grower)->rungs = RUNG_BIT(RUNG_RESIZE);
    story_rules(story, wired)->minimum = (struct amount){AMOUNT_BYTES, 9 * GIB + 1};
    ck_assert(story_until(story, ACTION_RESIZE, wired, 300 * SEC, 50 * MS));
    ck_assert_int_eq(story_find(story, ACTION_RESIZE, wired)->reason, REASON_RESIZE_SHARE);
    for (unsigned i = 0; i < 1000; i++) {
        story_run(story, 50 * MS, 50 * MS);
        ck_assert_uint_ge(RAM + wired_vm()->resizable.requested, 9 * GIB + 1);
    }
    ck_assert_uint_eq(wired_vm()->resizable.requested, 5 * GIB + 2 * MIB);
    end();
}
END_TEST

/* Whoever uses what it has is spared while a lesser one can wait. */
START_TEST(a_valuable_one_that_is_busy_is_spared)
{
    begin();
    story->guests[wired].free = 100 * MIB;
    story_rules(story, wired)->priority = 900;
    story_run(story, 300 * SEC, 50 * MS);
    ck_assert_uint_eq(story->guests[wired].resizes, 0);
    end();
}
END_TEST

START_TEST(the_lesser_first)
{
    story = story_new(32 * GIB, 0);
    unsigned lesser = story_guest(story, RAM, RAM);
    story_resizable(story, lesser, 2 * GIB);
    story->guests[lesser].free = 4 * GIB;
    story_rules(story, lesser)->priority = 5;
    begin_guests();
    ck_assert(story_until(story, ACTION_RESIZE, lesser, 300 * SEC, 50 * MS));
    ck_assert_uint_eq(story->guests[wired].resizes, 0);
    end();
}
END_TEST

/* What its kernel cannot move it keeps: it is told of once, and asked for no more. */
START_TEST(one_that_stops_half_way)
{
    begin();
    story->guests[wired].block_kept = SIZE - 256 * MIB;
    ck_assert(story_until(story, ACTION_RESIZE, wired, 300 * SEC, 50 * MS));
    story_run(story, 120 * SEC, 50 * MS);
    ck_assert_uint_eq(story->alerts[REASON_RESIZE_STUCK], 1);
    unsigned asked = story->guests[wired].resizes;
    story_run(story, 60 * SEC, 50 * MS);
    ck_assert_uint_eq(story->guests[wired].resizes, asked);
    ck_assert_uint_eq(wired_vm()->resizable.size, SIZE - 256 * MIB);
    end();
}
END_TEST

START_TEST(what_somebody_else_has_requested_stays)
{
    begin();
    ck_assert(story_until(story, ACTION_RESIZE, wired, 300 * SEC, 50 * MS));
    story_run(story, 3 * SEC, 50 * MS);
    wired_vm()->resizable.requested = 7 * GIB;
    wired_vm()->resizable.updated = story->snapshot->time;
    story_run(story, SEC, 50 * MS);
    ck_assert_uint_eq(story->guests[wired].resize_yields, 1);
    unsigned asked = story->guests[wired].resizes;
    story_run(story, 30 * SEC, 50 * MS);
    ck_assert_int_ne(story->plan->assessment.band, BAND_CALM);
    ck_assert_uint_eq(wired_vm()->resizable.requested, 7 * GIB);
    ck_assert_uint_eq(story->guests[wired].resizes, asked);
    ck_assert_uint_eq(story->guests[wired].resize_returns, 0);
    end();
}
END_TEST

START_TEST(in_dry_run_it_is_told_of_alone)
{
    begin();
    story->rules->host.mode = MODE_DRY_RUN;
    ck_assert(story_until(story, ACTION_RESIZE, wired, 300 * SEC, 50 * MS));
    ck_assert_int_eq(story_find(story, ACTION_RESIZE, wired)->mode, MODE_DRY_RUN);
    uint64_t told = story_find(story, ACTION_RESIZE, wired)->target;
    story_run(story, 20 * SEC, 50 * MS);
    ck_assert_uint_eq(wired_vm()->resizable.requested, SIZE);
    ck_assert_uint_lt(told, SIZE);
    /* Not again and again for the same: each line is for more. */
    ck_assert_uint_lt(story->guests[wired].resizes, 25);
    end();
}
END_TEST

/* An earlier guard has taken it; this one looks on only, and gives it back all the same. */
START_TEST(what_was_taken_is_given_back_in_dry_run)
{
    begin();
    story->rules->host.mode = MODE_DRY_RUN;
    struct vm_snapshot *vm = wired_vm();
    vm->measures.in_force |= VM_MEASURE_RESIZE;
    vm->measures.resize = (struct vm_contained){.set = 4 * GIB, .before = SIZE};
    vm->resizable.requested = 4 * GIB;
    story->guests[grower].growth = 0;
    ck_assert(story_until(story, ACTION_RESIZE, wired, 60 * SEC, 50 * MS));
    ck_assert_int_eq(story_find(story, ACTION_RESIZE, wired)->reason, REASON_RESIZE_RETURN);
    end();
}
END_TEST

#define CHANGE(name, change)                 \
    static void name(struct vm_snapshot *vm) \
    {                                        \
        change;                              \
    }
CHANGE(several_devices, vm->resizable.block = UNKNOWN)
CHANGE(under_way, vm->resizable.asked = 5; vm->resizable.answered = UNKNOWN)
CHANGE(stopped, vm->run_state = VM_RUN_PAUSED)
CHANGE(migrates, vm->migration = VM_MIGRATION_OUTGOING)
CHANGE(silent, vm->monitor = VM_MONITOR_SILENT)
CHANGE(unknown_size, vm->resizable.size = UNKNOWN)

static void (*const left_alone[])(struct vm_snapshot *vm) = {
    several_devices, under_way, stopped, migrates, silent, unknown_size};

START_TEST(who_cannot_be_asked_is_left_alone)
{
    begin();
    left_alone[_i](wired_vm());
    story_run(story, 120 * SEC, 50 * MS);
    ck_assert_uint_eq(story->guests[wired].resizes, 0);
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resize");
    TCase *tests = tcase_create("resize");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, what_it_does_not_use_is_taken_and_given_back);
    tcase_add_test(tests, not_where_nobody_named_it);
    tcase_add_test(tests, down_to_its_minimum);
    tcase_add_test(tests, a_valuable_one_that_is_busy_is_spared);
    tcase_add_test(tests, the_lesser_first);
    tcase_add_test(tests, one_that_stops_half_way);
    tcase_add_test(tests, what_somebody_else_has_requested_stays);
    tcase_add_test(tests, in_dry_run_it_is_told_of_alone);
    tcase_add_test(tests, what_was_taken_is_given_back_in_dry_run);
    tcase_add_loop_test(tests, who_cannot_be_asked_is_left_alone, 0,
        (int)(sizeof(left_alone) / sizeof(left_alone[0])));
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
