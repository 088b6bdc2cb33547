/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stories of saves and shutdowns: where there is time, and somebody asked for it by name, they take
 * the place of a kill; where there is not, or they come to nothing, the kill comes as before.
 */
#include <check.h>

#include "story.h"
#include "suite.h"

#define MS NSEC_PER_MSEC
#define SEC NSEC_PER_SEC

#define SAVE_TAKES (10 * SEC)

/* Four guests that nobody may pause. The last one grows, and is protected; of the others the first
 * is worth least, and may be ended by RUNGS. */
static struct story *story_of(uint32_t rungs, int64_t growth)
{
    struct story *story = story_new(32 * GIB, 2 * GIB);
    for (unsigned i = 0; i < 4; i++) {
        unsigned guest = story_guest(story, i == 3 ? 32 * GIB : 2 * GIB, i == 3 ? 12 * GIB : GIB);
        story_rules(story, guest)->rungs = RUNG_BIT(RUNG_KILL);
        story_rules(story, guest)->priority = 100 + i;
        story_endable(story, guest, SAVE_TAKES);
    }
    story_rules(story, 0)->rungs |= rungs;
    story_rules(story, 3)->sacrifice = SACRIFICE_NEVER;
    story->guests[3].growth = growth;
    /* Critical from where a minute is left. */
    story->rules->host.bands[BAND_CRITICAL].time = 90 * SEC;
    return story;
}

static const uint32_t save_only = RUNG_BIT(RUNG_SAVE);
static const uint32_t shutdown_only = RUNG_BIT(RUNG_SHUTDOWN);
static const int64_t slowly = 20 * (int64_t)MIB;

static unsigned kills_in(const struct story *story)
{
    unsigned kills = 0;
    for (unsigned i = 0; i < 4; i++)
        kills += story->guests[i].kills;
    return kills;
}

/* Until what is left is used up, were nobody ended. */
static void run_to_the_floor(struct story *story)
{
    story_run(story, 20 * NSEC_PER_MINUTE, 100 * MS);
}

START_TEST(the_least_is_saved_while_there_is_time)
{
    struct story *story = story_of(save_only | shutdown_only, slowly);
    ck_assert(story_until(story, ACTION_SAVE, 0, 20 * NSEC_PER_MINUTE, 100 * MS));
    const struct action *save = story_find(story, ACTION_SAVE, 0);
    ck_assert_int_eq((int)save->reason, REASON_SAVE_FLOOR);
    ck_assert_uint_gt(save->relief, 900 * MIB);
    /* A GiB at 64 MiB a second, and what libvirt takes. */
    ck_assert_uint_gt(save->predicted, 16 * SEC);
    ck_assert_uint_gt(save->deadline, save->predicted);
    ck_assert_int_gt(story->plan->assessment.pools[0].headroom, 0);
    story_run(story, SAVE_TAKES + SEC, 100 * MS);
    ck_assert(!story->guests[0].alive);
    ck_assert_uint_eq(kills_in(story), 0);
    ck_assert_uint_eq(story->guests[0].shutdowns, 0);
    ck_assert_int_gt(story->headroom_least, 0);
    story_free(story);
}
END_TEST

START_TEST(who_cannot_be_saved_is_shut_down)
{
    struct story *story = story_of(save_only | shutdown_only, slowly);
    struct vm_snapshot *vm = story_vm(story, 0);
    switch (_i) {
    case 0:
        vm->definition.savable = TRISTATE_NO;
        break;
    case 1:
        vm->definition.savable = TRISTATE_UNKNOWN;
        break;
    case 2:
        vm->definition.vfio_devices = COUNT_UNKNOWN;
        break;
    case 3:
        vm->wiring.iommufd = 1;
        break;
    default:
        story_rules(story, 0)->rungs = shutdown_only;
    }
    run_to_the_floor(story);
    ck_assert_uint_eq(story->guests[0].saves, 0);
    ck_assert_uint_eq(story->guests[0].shutdowns, 1);
    ck_assert(!story->guests[0].alive);
    story_free(story);
}
END_TEST

START_TEST(nobody_is_ended_so_who_was_not_named_for_it)
{
    struct story *story = story_of(0, slowly);
    for (unsigned i = 0; i < 4; i++)
        if (_i == 1)
            story_rules(story, i)->rungs = RUNGS_DEFAULT & ~RUNG_BIT(RUNG_PAUSE);
    run_to_the_floor(story);
    ck_assert(_i == 1 || kills_in(story) > 0);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_uint_eq(story->guests[i].saves + story->guests[i].shutdowns, 0);
    story_free(story);
}
END_TEST

/* A guest is not saved because that costs less, while a lesser one lives on. */
START_TEST(nobody_is_saved_before_a_lesser_one)
{
    struct story *story = story_of(0, slowly);
    story_rules(story, 1)->rungs |= save_only;
    run_to_the_floor(story);
    ck_assert_uint_eq(story->guests[0].kills, 1);
    ck_assert_uint_eq(story->guests[1].saves, 1);
    story_free(story);
}
END_TEST

START_TEST(without_libvirt_it_is_killed)
{
    struct story *story = story_of(save_only | shutdown_only, slowly);
    story_vm(story, 0)->callable = false;
    run_to_the_floor(story);
    ck_assert_uint_eq(story->guests[0].saves + story->guests[0].shutdowns, 0);
    ck_assert_uint_eq(story->guests[0].kills, 1);
    story_free(story);
}
END_TEST

START_TEST(where_time_is_short_there_is_a_kill)
{
    struct story *story = story_of(save_only | shutdown_only, 400 * (int64_t)MIB);
    story->rules->host.bands[BAND_CRITICAL].time = UNKNOWN;
    run_to_the_floor(story);
    ck_assert_uint_eq(story->guests[0].saves + story->guests[0].shutdowns, 0);
    ck_assert_uint_eq(story->guests[0].kills, 1);
    story_free(story);
}
END_TEST

/* 40 s are enough for a save, and not for a guest that is asked. */
START_TEST(the_rung_that_takes_too_long_drops_out)
{
    struct story *story = story_of(save_only | shutdown_only, slowly);
    story->rules->host.bands[BAND_CRITICAL].time = 40 * SEC;
    /* Critical by its time alone. */
    story->rules->host.bands[BAND_CRITICAL].headroom = (struct amount){AMOUNT_BYTES, 64 * MIB};
    story_vm(story, 0)->definition.savable = _i == 0 ? TRISTATE_YES : TRISTATE_NO;
    run_to_the_floor(story);
    ck_assert_uint_eq(story->guests[0].saves, _i == 0);
    ck_assert_uint_eq(story->guests[0].shutdowns, 0);
    ck_assert_uint_eq(story->guests[0].kills, _i != 0);
    story_free(story);
}
END_TEST

START_TEST(what_is_refused_is_followed_by_the_next_rung)
{
    struct story *story = story_of(save_only | shutdown_only, slowly);
    story->rules->host.max_destructive_window = 60 * NSEC_PER_MINUTE;
    /* By whatever rung, it is one guest that is lost; nobody else is. */
    story->rules->host.max_destructive = 1;
    story->guests[0].refuses_end = true;
    ck_assert(story_until(story, ACTION_SAVE, 0, 20 * NSEC_PER_MINUTE, 100 * MS));
    ck_assert(story_until(story, ACTION_SHUTDOWN, 0, SEC, 100 * MS));
    ck_assert(story_until(story, ACTION_KILL, 0, 2 * NSEC_PER_MINUTE, 100 * MS));
    run_to_the_floor(story);
    ck_assert_uint_eq(story->guests[0].saves, 1);
    ck_assert_uint_eq(story->guests[0].shutdowns, 1);
    ck_assert_uint_eq(kills_in(story), 1);
    ck_assert_uint_gt(story->alerts[REASON_BREAKER], 0);
    story_free(story);
}
END_TEST

START_TEST(who_does_not_end_in_time_is_killed_if_need_be)
{
    struct story *story = story_of(_i == 0 ? save_only : shutdown_only, slowly);
    enum action_kind kind = _i == 0 ? ACTION_SAVE : ACTION_SHUTDOWN;
    story->guests[0].deaf = true;
    ck_assert(story_until(story, kind, 0, 20 * NSEC_PER_MINUTE, 100 * MS));
    story_run(story, story_find(story, kind, 0)->deadline - SEC, 100 * MS);
    ck_assert_uint_eq(kills_in(story), 0);
    ck_assert(story_until(story, ACTION_KILL, 0, 2 * NSEC_PER_MINUTE, 100 * MS));
    ck_assert_uint_eq(story->guests[0].saves + story->guests[0].shutdowns, 1);
    story_free(story);
}
END_TEST

/* Below the floor, where nothing fills any more. */
static struct story *story_of_rest(void)
{
    struct story *story = story_of(save_only, 0);
    story->guests[3].wants = 14 * GIB;
    story->other = 14 * GIB + GIB / 4;
    return story;
}

START_TEST(below_a_floor_that_nobody_fills_there_is_time)
{
    struct story *story = story_of_rest();
    story_run(story, NSEC_PER_MINUTE, 100 * MS);
    ck_assert_uint_eq(story->guests[0].saves, 1);
    ck_assert_uint_eq(kills_in(story), 0);
    story_free(story);
}
END_TEST

START_TEST(a_failed_save_is_tried_again_after_a_while)
{
    struct story *story = story_of_rest();
    for (unsigned i = 0; i < 3; i++)
        story_rules(story, i)->rungs = i == 0 ? save_only : 0;
    story->guests[0].refuses_end = true;
    story_run(story, 4 * NSEC_PER_MINUTE, 100 * MS);
    ck_assert_uint_eq(story->guests[0].saves, 1);
    story_run(story, 2 * NSEC_PER_MINUTE, 100 * MS);
    ck_assert_uint_eq(story->guests[0].saves, 2);
    story_free(story);
}
END_TEST

/* Nobody else is ended while a save can be waited for, and nothing is done to whom it is of. */
START_TEST(a_save_is_waited_for)
{
    struct story *story = story_of(save_only, slowly);
    story_rules(story, 1)->rungs |= save_only;
    story_rules(story, 0)->rungs |= RUNG_BIT(RUNG_BALLOON) | RUNG_BIT(RUNG_PAUSE);
    story->guests[0].end_time = 15 * SEC;
    ck_assert(story_until(story, ACTION_SAVE, 0, 20 * NSEC_PER_MINUTE, 100 * MS));
    unsigned balloons = story->guests[0].balloons, grants = story->guests[0].grants;
    for (uint64_t waited = 0; waited < 14 * SEC; waited += 100 * MS) {
        story_run(story, 100 * MS, 100 * MS);
        ck_assert_uint_eq(story_count(story, ACTION_SAVE), 0);
        ck_assert_uint_eq(story_count(story, ACTION_KILL), 0);
    }
    ck_assert_uint_eq(story->guests[0].pauses + story->guests[0].freezes, 0);
    ck_assert_uint_eq(story->guests[0].balloons, balloons);
    ck_assert_uint_eq(story->guests[0].grants, grants);
    story_free(story);
}
END_TEST

START_TEST(a_save_is_not_waited_for_when_time_becomes_short)
{
    struct story *story = story_of(save_only, slowly);
    story->guests[0].end_time = NSEC_PER_MINUTE;
    ck_assert(story_until(story, ACTION_SAVE, 0, 20 * NSEC_PER_MINUTE, 100 * MS));
    story->guests[3].growth = 900 * (int64_t)MIB;
    story_run(story, 5 * SEC, 10 * MS);
    ck_assert_uint_gt(kills_in(story), 0);
    story_free(story);
}
END_TEST

START_TEST(a_guard_that_begins_waits_for_the_save_of_the_one_before)
{
    struct story *story = story_of(save_only, slowly);
    story_rules(story, 1)->rungs |= save_only;
    story->guests[0].end_time = 15 * SEC;
    ck_assert(story_until(story, ACTION_SAVE, 0, 20 * NSEC_PER_MINUTE, 100 * MS));
    (void)policy_state_init(story->state, STORY_GUESTS);
    story_run(story, 14 * SEC, 100 * MS);
    ck_assert_uint_eq(story->guests[0].saves, 1);
    ck_assert_uint_eq(story->guests[1].saves, 0);
    ck_assert_uint_eq(kills_in(story), 0);
    story_free(story);
}
END_TEST

/* A paused guest frees nothing. It can be saved where somebody has to go, and cannot hear that it
 * is to shut down. */
START_TEST(who_stands_paused_is_saved)
{
    struct story *story = story_of(_i == 0 ? save_only : shutdown_only, slowly);
    /* Critical begins before anybody is to be ended. */
    story->rules->host.bands[BAND_CRITICAL].time = 2 * NSEC_PER_MINUTE;
    for (unsigned i = 0; i < 12000 && story->plan->assessment.band < BAND_CRITICAL; i++)
        story_run(story, 100 * MS, 100 * MS);
    story_pause(story, 0);
    enum action_kind kind = _i == 0 ? ACTION_SAVE : ACTION_KILL;
    ck_assert(story_until(story, kind, 0, 5 * NSEC_PER_MINUTE, 100 * MS));
    if (_i == 0)
        ck_assert_int_eq((int)story_find(story, kind, 0)->reason, REASON_SAVE_PAUSED);
    ck_assert_uint_eq(story->guests[0].shutdowns, 0);
    ck_assert_uint_eq(story->guests[0].resumes, 0);
    story_free(story);
}
END_TEST

/* A memory.high of ours on it; the world's kernel does not mind. */
static void contain_high(struct story *story, unsigned guest, uint64_t before)
{
    struct vm_snapshot *vm = story_vm(story, guest);
    vm->measures.in_force |= VM_MEASURE_CONTAIN;
    vm->measures.contained = VM_LIMIT_BIT(VM_LIMIT_MEMORY_HIGH);
    vm->measures.limits[VM_LIMIT_MEMORY_HIGH] = (struct vm_contained){GIB, before};
    vm->limits.values[VM_LIMIT_MEMORY_HIGH] = GIB;
}

/* What comes back from swap to be written would wait for it. By index: whether the lift could not
 * be done at once. */
START_TEST(our_memory_high_goes_before_a_save)
{
    struct story *story = story_of(save_only, slowly);
    bool late = _i == 1;
    story_rules(story, 0)->memory_high = (struct amount){AMOUNT_BYTES, GIB};
    contain_high(story, 0, VM_LIMIT_NONE);
    ck_assert(story_until(story, ACTION_SAVE, 0, 20 * NSEC_PER_MINUTE, 100 * MS));
    const struct action *lift = story_find(story, ACTION_CONTAIN, 0);
    ck_assert_ptr_nonnull(lift);
    ck_assert(!known(lift->target));
    ck_assert(lift < story_find(story, ACTION_SAVE, 0));
    ck_assert_uint_eq(story_count(story, ACTION_CONTAIN), 1);
    if (late)
        contain_high(story, 0, VM_LIMIT_NONE);
    story_run(story, SAVE_TAKES / 2, 100 * MS);
    ck_assert(!(story_vm(story, 0)->measures.in_force & VM_MEASURE_CONTAIN));
    ck_assert_uint_eq(story->guests[0].unlimits, late ? 2 : 1);
    story_run(story, SAVE_TAKES, 100 * MS);
    ck_assert(!story->guests[0].alive);
    story_free(story);
}
END_TEST

/* By index: somebody else's; ours, over somebody else's. */
START_TEST(below_anothers_memory_high_nobody_is_saved_out_of_swap)
{
    struct story *story = story_of(save_only, slowly);
    struct vm_snapshot *vm = story_vm(story, 0);
    vm->swap = GIB;
    if (_i == 0)
        vm->limits.values[VM_LIMIT_MEMORY_HIGH] = GIB + GIB / 2;
    else
        contain_high(story, 0, GIB + GIB / 2);
    run_to_the_floor(story);
    ck_assert_uint_eq(story->guests[0].saves, 0);
    ck_assert_uint_eq(story->guests[0].kills, 1);
    story_free(story);
}
END_TEST

START_TEST(who_migrates_is_not_saved)
{
    struct story *story = story_of(save_only | shutdown_only, slowly);
    story_vm(story, 0)->migration = VM_MIGRATION_OUTGOING;
    ck_assert(story_until(story, ACTION_KILL, 0, 20 * NSEC_PER_MINUTE, 100 * MS));
    ck_assert_uint_eq(story->guests[0].saves + story->guests[0].shutdowns, 0);
    story_free(story);
}
END_TEST

START_TEST(a_dry_run_says_it_once)
{
    struct story *story = story_of(save_only, slowly);
    story->rules->host.mode = MODE_DRY_RUN;
    unsigned said = 0, kills = 0;
    for (unsigned i = 0; i < 12000; i++) {
        story_run(story, 100 * MS, 100 * MS);
        said += story_count(story, ACTION_SAVE);
        if (story->plan->assessment.pools[0].headroom > (int64_t)(512 * MIB))
            kills += story_count(story, ACTION_KILL);
        if (said > 0)
            story->guests[3].growth = 0;
    }
    ck_assert_uint_eq(said, 1);
    ck_assert_uint_eq(kills, 0);
    ck_assert(story->guests[0].alive);
    story_free(story);
}
END_TEST

START_TEST(losses_are_in_the_order_of_harm)
{
    struct story *story = story_of(save_only | shutdown_only, slowly);
    story->guests[0].refuses_end = true;
    static const enum action_kind kinds[] = {ACTION_SAVE, ACTION_SHUTDOWN, ACTION_KILL};
    uint64_t before = 0;
    for (unsigned i = 0; i < 3; i++) {
        ck_assert(story_until(story, kinds[i], 0, 20 * NSEC_PER_MINUTE, 100 * MS));
        uint64_t loss = story_find(story, kinds[i], 0)->loss;
        ck_assert_uint_gt(loss, before);
        before = loss;
    }
    story_free(story);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("ends");
    tcase_add_test(tests, the_least_is_saved_while_there_is_time);
    tcase_add_loop_test(tests, who_cannot_be_saved_is_shut_down, 0, 5);
    tcase_add_loop_test(tests, nobody_is_ended_so_who_was_not_named_for_it, 0, 2);
    tcase_add_test(tests, nobody_is_saved_before_a_lesser_one);
    tcase_add_test(tests, without_libvirt_it_is_killed);
    tcase_add_test(tests, where_time_is_short_there_is_a_kill);
    tcase_add_loop_test(tests, the_rung_that_takes_too_long_drops_out, 0, 2);
    tcase_add_test(tests, what_is_refused_is_followed_by_the_next_rung);
    tcase_add_loop_test(tests, who_does_not_end_in_time_is_killed_if_need_be, 0, 2);
    tcase_add_test(tests, below_a_floor_that_nobody_fills_there_is_time);
    tcase_add_test(tests, a_failed_save_is_tried_again_after_a_while);
    tcase_add_test(tests, a_save_is_waited_for);
    tcase_add_test(tests, a_save_is_not_waited_for_when_time_becomes_short);
    tcase_add_test(tests, a_guard_that_begins_waits_for_the_save_of_the_one_before);
    tcase_add_loop_test(tests, who_stands_paused_is_saved, 0, 2);
    tcase_add_loop_test(tests, our_memory_high_goes_before_a_save, 0, 2);
    tcase_add_loop_test(tests, below_anothers_memory_high_nobody_is_saved_out_of_swap, 0, 2);
    tcase_add_test(tests, who_migrates_is_not_saved);
    tcase_add_test(tests, a_dry_run_says_it_once);
    tcase_add_test(tests, losses_are_in_the_order_of_harm);
    tcase_set_timeout(tests, 120); /* under valgrind */
    Suite *suite = suite_create("ends");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
