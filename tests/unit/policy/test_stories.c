/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stories: situations an operator would tell, each with what must and must not happen. Those named
 * after a counterexample (peer_N) are known failures of other managers.
 */
#include <check.h>
#include <string.h>

#include "story.h"
#include "suite.h"

#define MS NSEC_PER_MSEC
#define SEC NSEC_PER_SEC

static enum band band(const struct story *story)
{
    return story->plan->assessment.band;
}

/* A guest that has touched little beyond its need is not denied gigabytes for a megabyte. */
START_TEST(what_frees_next_to_nothing_is_not_asked_for)
{
    for (int i = 0; i < 2; i++) {
        uint64_t idle = i == 0 ? 500 * MIB : 3 * GIB;
        struct story *story = story_new(64 * GIB, 53 * GIB);
        unsigned guest = story_guest(story, 8 * GIB, GIB + idle);
        story->guests[guest].honest = true;
        story->guests[guest].wants = GIB;
        story_rules(story, guest)->minimum = (struct amount){AMOUNT_SHARE, 1000};
        story_run(story, 20 * SEC, 250 * MS);
        ck_assert_int_eq(band(story), BAND_TIGHT);
        ck_assert_int_eq(story->guests[guest].balloons > 0, i == 1);
        story_free(story);
    }
}
END_TEST

START_TEST(a_calm_host_is_left_alone)
{
    struct story *story = story_new(64 * GIB, 2 * GIB);
    unsigned guest = story_guest(story, 16 * GIB, 8 * GIB);
    story_run(story, 60 * SEC, 250 * MS);
    ck_assert_int_eq(band(story), BAND_CALM);
    ck_assert_uint_eq(story->guests[guest].balloons, 0);
    ck_assert_uint_eq(story->plan->next_wake, SEC);
    story_free(story);
}
END_TEST

START_TEST(tight_takes_idle_memory_and_nothing_else)
{
    struct story *story = story_new(64 * GIB, 4 * GIB);
    unsigned idle = story_guest(story, 32 * GIB, 30 * GIB);
    unsigned busy = story_guest(story, 24 * GIB, 23 * GIB);
    story->guests[idle].wants = 10 * GIB;
    story->guests[idle].free = 20 * GIB;
    story->guests[busy].free = 0;
    story_run(story, 60 * SEC, 100 * MS);
    ck_assert_uint_gt(story->guests[idle].balloons, 0);
    ck_assert_uint_eq(story->guests[busy].balloons, 0);
    ck_assert_int_lt(band(story), BAND_SCARCE);
    story_free(story);
}
END_TEST

/* PVE: a guest with 300 MiB free was shrunk while one with 6 GiB free gave nothing. */
START_TEST(peer_1_who_has_idle_memory_gives)
{
    struct story *story = story_new(32 * GIB, 3 * GIB);
    unsigned needy = story_guest(story, 16 * GIB, 14 * GIB);
    unsigned idle = story_guest(story, 14 * GIB, 12 * GIB);
    story_rules(story, needy)->minimum = (struct amount){AMOUNT_BYTES, GIB};
    story_rules(story, idle)->minimum = (struct amount){AMOUNT_BYTES, 8 * GIB};
    story->guests[needy].free = 300 * MIB;
    story->guests[idle].free = 6 * GIB;
    story->guests[idle].wants = 6 * GIB;
    story_run(story, 30 * SEC, 100 * MS);
    ck_assert_uint_eq(story->guests[needy].balloons, 0);
    ck_assert_uint_gt(story->guests[idle].balloons, 0);
    ck_assert_uint_ge(story_vm(story, idle)->balloon.actual, 8 * GIB);
    story_free(story);
}
END_TEST

/* MOM: who reports nothing unused loses 1 % in a turn and who reports all of it 5 %, so that lying
 * pays. Of two that use as much by the host's figures the liar gives as far as the other. */
START_TEST(peer_3_who_claims_to_have_nothing_gives_too)
{
    struct story *story = story_new(32 * GIB, 3 * GIB);
    unsigned liar = story_guest(story, 16 * GIB, 14 * GIB);
    unsigned open = story_guest(story, 16 * GIB, 14 * GIB);
    story->guests[liar].wants = story->guests[open].wants = 8 * GIB;
    story->guests[liar].free = 0;
    story->guests[open].honest = true;
    story->other_growth = 40 * (int64_t)MIB;
    story_run(story, 300 * SEC, 100 * MS);
    ck_assert_int_ge((int)band(story), BAND_SCARCE);
    ck_assert_uint_gt(story->guests[liar].balloons, 0);
    uint64_t kept = story_vm(story, liar)->balloon.actual;
    ck_assert_uint_le(kept, story_vm(story, open)->balloon.actual + GIB);
    story_free(story);
}
END_TEST

/* MOM: one figure that cannot be, of one guest, and no controller runs for any of them. */
START_TEST(peer_4_an_impossible_figure_stops_nobodys_turn)
{
    static const uint64_t impossible[] = {UNKNOWN - 1, 1ULL << 62, 1};
    struct story *story = story_new(64 * GIB, 4 * GIB);
    unsigned odd = story_guest(story, 24 * GIB, 23 * GIB);
    unsigned idle = story_guest(story, 32 * GIB, 30 * GIB);
    story->guests[odd].free = impossible[_i];
    story->guests[idle].wants = 10 * GIB;
    story->guests[idle].free = 20 * GIB;
    story_run(story, 60 * SEC, 100 * MS);
    ck_assert_uint_le(story_vm(story, idle)->balloon.actual, 28 * GIB);
    ck_assert_uint_ge(story_vm(story, odd)->balloon.actual, 12 * GIB); /* its minimum */
    story_free(story);
}
END_TEST

/* SQ: a refuser keeps its memory, is asked for ever, and nobody hears of it. */
START_TEST(peer_5_a_refuser_is_found_and_told_once)
{
    struct story *story = story_new(32 * GIB, 3 * GIB);
    unsigned refuser = story_guest(story, 14 * GIB, 13 * GIB);
    unsigned willing = story_guest(story, 15 * GIB, 14 * GIB);
    story->guests[refuser].balloon_speed = 0;
    story->guests[refuser].free = 6 * GIB;
    story->guests[willing].wants = 8 * GIB;
    story_run(story, 40 * SEC, 100 * MS);
    ck_assert_uint_eq(story->alerts[REASON_STUCK], 1);
    ck_assert_uint_gt(story->guests[willing].balloons, 0);
    ck_assert_uint_lt(story->guests[refuser].balloons, 15);
    story_free(story);
}
END_TEST

/* HAOS: a guest at its minimum stays there although the host has room again; and PVE: 24 minutes to
 * give 14 GiB back (peer 2, P11). */
START_TEST(peer_6_and_2_memory_comes_back_in_seconds)
{
    struct story *story = story_new(64 * GIB, 4 * GIB);
    unsigned guest = story_guest(story, 32 * GIB, 10 * GIB);
    struct vm_snapshot *vm = story_vm(story, guest);
    vm->measures.in_force = VM_MEASURE_BALLOON;
    vm->measures.balloon_before = 32 * GIB;
    vm->measures.balloon_target = vm->balloon.actual = 16 * GIB;
    story_run(story, 20 * SEC, 100 * MS);
    ck_assert_uint_eq(story_vm(story, guest)->balloon.actual, 32 * GIB);
    ck_assert_uint_eq(story_vm(story, guest)->measures.in_force & VM_MEASURE_BALLOON, 0);
    story_free(story);
}
END_TEST

/* Qubes: a VM paused for memory dies on resume because its memory was given away. */
START_TEST(peer_7_a_resume_has_its_room)
{
    struct story *story = story_new(32 * GIB, 2 * GIB);
    unsigned grower = story_guest(story, 24 * GIB, 8 * GIB);
    unsigned other = story_guest(story, 16 * GIB, 15 * GIB);
    story_rules(story, other)->rungs = RUNG_BIT(RUNG_BALLOON);
    story_rules(story, grower)->rungs = RUNG_BIT(RUNG_PAUSE);
    story->guests[other].wants = 9 * GIB;
    story->guests[grower].growth = (int64_t)(512 * MIB);
    ck_assert(story_until(story, ACTION_PAUSE, grower, 60 * SEC, 20 * MS));
    story->guests[grower].growth = 0;
    /* Something else gives memory back; the paused one is resumed while there is room for it,
     * before that room is granted to others. */
    story->other = GIB;
    ck_assert(story_until(story, ACTION_RESUME, grower, 60 * SEC, 100 * MS));
    ck_assert_uint_eq(story->guests[other].grants, 0);
    const struct pool_view *host = &story->plan->assessment.pools[0];
    ck_assert_int_gt(host->headroom, (int64_t)((host->total - host->floor) * 30 / 1000));
    story_run(story, 60 * SEC, 100 * MS);
    ck_assert_uint_eq(story->guests[grower].pauses, 1);
    ck_assert_int_gt(story->plan->assessment.pools[0].headroom, 0);
    story_free(story);
}
END_TEST

/* vagrant-libvirt: pause frees nothing, so a guest that does not grow is never paused. */
START_TEST(peer_8_only_growers_are_paused)
{
    struct story *story = story_new(32 * GIB, 2 * GIB);
    unsigned grower = story_guest(story, 20 * GIB, 8 * GIB);
    unsigned still = story_guest(story, 16 * GIB, 15 * GIB);
    story_rules(story, still)->priority = 1;
    story_rules(story, still)->rungs = RUNG_BIT(RUNG_PAUSE);
    story_rules(story, grower)->rungs = RUNG_BIT(RUNG_PAUSE);
    story->guests[grower].growth = (int64_t)(300 * MIB);
    story_run(story, 60 * SEC, 20 * MS);
    ck_assert_uint_eq(story->guests[still].pauses + story->guests[still].freezes, 0);
    ck_assert_uint_eq(story->guests[grower].pauses, 1);
    ck_assert_int_gt(story->plan->assessment.pools[0].headroom, 0);
    story_free(story);
}
END_TEST

/* earlyoom: a server stood still with 35 GiB "available" that were not there. Nobody dies for a
 * figure, but it is told of, once; and not where waiting is short, nor where nothing is known. */
START_TEST(peer_12_memory_that_only_looks_available_is_told_of)
{
    static const struct {
        unsigned percent;
        uint64_t other;
        unsigned alerts;
    } cases[] = {
        {80, 100 * GIB, 1}, {30, 100 * GIB, 0}, {80, 140 * GIB, 0} /* scarce, and so it is */};
    struct story *story = story_new(256 * GIB, cases[_i].other);
    unsigned guest = story_guest(story, 128 * GIB, 100 * GIB);
    struct psi_totals *pressure = &story->snapshot->host.memory_pressure;
    story_run(story, 60 * SEC, SEC);
    ck_assert_uint_eq(story->alerts[REASON_STALLED], 0);
    pressure->some = pressure->full = 0;
    for (int i = 0; i < 120; i++) {
        pressure->full += cases[_i].percent * SEC / 100;
        story_run(story, SEC, SEC);
    }
    ck_assert_uint_eq(story->alerts[REASON_STALLED], cases[_i].alerts);
    ck_assert_int_eq((int)band(story), _i < 2 ? BAND_CALM : BAND_SCARCE);
    ck_assert_uint_eq(story->guests[guest].pauses + story->guests[guest].kills, 0);
    story_free(story);
}
END_TEST

/* VFIO: the balloon "works", the host gains nothing. */
START_TEST(peer_15_a_wired_guest_is_never_inflated)
{
    struct story *story = story_new(32 * GIB, 3 * GIB);
    unsigned wired = story_guest(story, 16 * GIB, 16 * GIB);
    unsigned plain = story_guest(story, 12 * GIB, 11 * GIB);
    struct vm_snapshot *vm = story_vm(story, wired);
    vm->wiring.vfio_groups = 1;
    vm_classify(vm, &vm->kind, &vm->kind_reason);
    story->guests[wired].free = 12 * GIB;
    story->guests[plain].wants = 6 * GIB;
    story_run(story, 30 * SEC, 100 * MS);
    ck_assert_uint_eq(story->guests[wired].balloons, 0);
    ck_assert_uint_gt(story->guests[plain].balloons, 0);
    story_free(story);
}
END_TEST

/* A guest whose `actual` follows while its RSS does not is found by the host's own numbers. */
START_TEST(actual_is_not_believed)
{
    struct story *story = story_new(32 * GIB, 3 * GIB);
    unsigned guest = story_guest(story, 27 * GIB, 27 * GIB);
    story->guests[guest].pinned = true;
    story->guests[guest].free = 12 * GIB;
    story_run(story, 15 * SEC, 100 * MS);
    ck_assert_uint_eq(story->alerts[REASON_STUCK], 1);
    story_free(story);
}
END_TEST

START_TEST(a_sprint_freezes_and_a_bridge_ends_in_a_stop)
{
    struct story *story = story_new(128 * GIB, 98 * GIB);
    unsigned grower = story_guest(story, 100 * GIB, 20 * GIB);
    story->guests[grower].growth = (int64_t)(12 * GIB);
    ck_assert(story_until(story, ACTION_FREEZE, grower, 10 * SEC, 2 * MS));
    ck_assert_int_eq(story_find(story, ACTION_FREEZE, grower)->reason, REASON_FREEZE_SPRINT);
    ck_assert_int_gt(story->plan->assessment.pools[0].headroom, 0);
    ck_assert_uint_eq(story->guests[grower].kills, 0);
    story_run(story, 5 * SEC, 10 * MS);
    ck_assert_uint_eq(story->guests[grower].thaws, 0); /* there is no room for what it may take */
    story->other = 70 * GIB;
    ck_assert(story_until(story, ACTION_THAW, grower, 30 * SEC, 10 * MS));
    ck_assert_ptr_null(story_find(story, ACTION_PAUSE, grower));
    story->guests[grower].growth = 0;
    story_run(story, 2 * SEC, 10 * MS);
    ck_assert_uint_eq(story->guests[grower].pauses + story->guests[grower].resumes, 1);
    story_free(story);
}
END_TEST

START_TEST(a_guest_without_monitor_is_frozen)
{
    struct story *story = story_new(32 * GIB, 2 * GIB);
    unsigned grower = story_guest(story, 30 * GIB, 20 * GIB);
    story_vm(story, grower)->monitor = VM_MONITOR_NONE;
    story_vm(story, grower)->run_state = VM_RUN_UNKNOWN;
    story_vm(story, grower)->migration = VM_MIGRATION_UNKNOWN;
    story_vm(story, grower)->kind = VM_KIND_RIGID;
    story->guests[grower].growth = (int64_t)(500 * MIB);
    ck_assert(story_until(story, ACTION_FREEZE, grower, 60 * SEC, 20 * MS));
    ck_assert_int_eq(story_find(story, ACTION_FREEZE, grower)->reason, REASON_FREEZE_NO_MONITOR);
    story_run(story, 20 * SEC, 100 * MS);
    ck_assert_uint_eq(story->guests[grower].thaws, 0);
    story_free(story);
}
END_TEST

START_TEST(guests_do_not_die_for_a_leak_outside)
{
    struct story *story = story_new(32 * GIB, 2 * GIB);
    unsigned guest = story_guest(story, 4 * GIB, 3 * GIB);
    story->other_growth = (int64_t)(2 * GIB);
    story_run(story, 16 * SEC, 10 * MS);
    ck_assert_int_eq(band(story), BAND_CRITICAL);
    ck_assert_uint_eq(story->guests[guest].kills, 0);
    ck_assert_uint_eq(story->alerts[REASON_LEAK_OUTSIDE], 1);
    story_free(story);
}
END_TEST

START_TEST(a_watched_guest_hides_no_need)
{
    struct story *story = story_new(32 * GIB, 3 * GIB);
    unsigned watched = story_guest(story, 14 * GIB, 13 * GIB);
    unsigned enforced = story_guest(story, 15 * GIB, 14 * GIB);
    story_rules(story, watched)->mode = MODE_DRY_RUN;
    story_run(story, 30 * SEC, 100 * MS);
    ck_assert_uint_gt(story->guests[enforced].balloons, 0);
    ck_assert_uint_eq(story_vm(story, watched)->balloon.actual, 14 * GIB);
    story_free(story);
}
END_TEST

/* Whatever the guests take after the guard has gone, each to its end while those before it stay as
 * they are. */
START_TEST(the_kernels_order_outlasts_the_guard)
{
    struct story *story = story_new(4 * GIB, 500 * MIB);
    for (unsigned i = 0; i < 6; i++) {
        story_guest(story, GIB, 200 * MIB);
        story_rules(story, i)->priority = i < 4 ? 10 + i : 900 + i;
    }
    story_no_balloons(story);
    story_run(story, 20 * SEC, SEC);
    for (unsigned i = 0; i < 5; i++)
        ck_assert_int_gt(
            story_points(story, i), story_points(story, i + 1) + (int64_t)(GIB - 200 * MIB));
    ck_assert_int_gt(0, story_points(story, 4) + (int64_t)(GIB - 200 * MIB));
    story_free(story);
}
END_TEST

START_TEST(the_kernel_gets_the_same_order)
{
    struct story *story = story_new(64 * GIB, 2 * GIB);
    unsigned valuable = story_guest(story, 32 * GIB, 30 * GIB);
    unsigned cheap = story_guest(story, 4 * GIB, GIB);
    unsigned crown = story_guest(story, 4 * GIB, GIB);
    story_rules(story, valuable)->priority = 800;
    story_rules(story, cheap)->priority = 10;
    story_rules(story, crown)->sacrifice = SACRIFICE_NEVER;
    story_run(story, SEC, SEC);
    ck_assert_int_gt(story_points(story, cheap), story_points(story, valuable));
    ck_assert_int_lt(story_points(story, valuable), 0);
    ck_assert_int_eq(story_vm(story, crown)->oom_score_adj, -999);
    story_run(story, 60 * SEC, SEC);
    ck_assert_uint_eq(story_count(story, ACTION_OOM_SCORE), 0);
    story_free(story);
}
END_TEST

START_TEST(a_budget_is_a_pool_of_its_own)
{
    struct story *story = story_new(256 * GIB, 4 * GIB);
    story->rules->host.budget = (struct amount){AMOUNT_BYTES, 32 * GIB};
    unsigned guest = story_guest(story, 32 * GIB, 29 * GIB);
    story->guests[guest].wants = 20 * GIB;
    story->guests[guest].free = 12 * GIB;
    story_run(story, 20 * SEC, 100 * MS);
    ck_assert_uint_gt(story->guests[guest].balloons, 0);
    ck_assert_int_eq(story->plan->assessment.pools[0].band, BAND_CALM);
    story_free(story);
}
END_TEST

/* While an idle guest's balloon brings memory back, somebody else grows on: what was taken for that
 * growth is not given back in the middle of it, nor does the band say calm. */
static void check_taken_once(struct story *story, uint32_t pool)
{
    unsigned idle = story_guest(story, 12 * GIB, 12 * GIB);
    unsigned grower = story_guest(story, 20 * GIB, 10 * GIB);
    story->guests[idle].wants = 2 * GIB;
    story->guests[idle].free = 10 * GIB;
    story->guests[idle].balloon_speed = 300 * MIB;
    story->guests[grower].growth = (int64_t)(100 * MIB);
    story_rules(story, grower)->rungs = 0;
    ck_assert(story_until(story, ACTION_BALLOON, idle, 30 * SEC, 50 * MS));
    for (int step = 0; step < 60; step++) {
        story_run(story, SEC, 50 * MS);
        if (pool == 1)
            ck_assert_int_ge(story->plan->assessment.pools[pool].band, BAND_TIGHT);
    }
    ck_assert_uint_eq(story->guests[idle].grants, 0);
    story->guests[grower].growth = 0;
    story->other = 0;
    story->rules->host.budget.value *= 2;
    ck_assert(story_until(story, ACTION_BALLOON, idle, 60 * SEC, 50 * MS));
    ck_assert_uint_gt(story->guests[idle].grants, 0);
    story_free(story);
}

START_TEST(what_growth_needs_is_not_given_back)
{
    check_taken_once(story_new(32 * GIB, 2 * GIB), 0);
    struct story *story = story_new(128 * GIB, 2 * GIB);
    story->rules->host.budget = (struct amount){.kind = AMOUNT_BYTES, .value = 29 * GIB};
    check_taken_once(story, 1);
}
END_TEST

/* What is QEMU's own cannot come back by balloon, and so it is not asked for. */
static bool is_asked(enum tristate shared, uint64_t anonymous, uint64_t shmem, uint64_t file)
{
    struct story *story = story_new(32 * GIB, 2 * GIB);
    unsigned guest = story_guest(story, 8 * GIB, 6 * GIB);
    struct vm_snapshot *vm = story_vm(story, guest);
    story_decide(story); /* calm: the world is shown, nobody is asked */
    story->rules->host.budget = (struct amount){.kind = AMOUNT_BYTES, .value = 6 * GIB};
    vm->wiring.shared = shared;
    vm->rss_anonymous = anonymous;
    vm->rss_shmem = shmem;
    vm->rss_file = file;
    story->snapshot->time += SEC;
    policy_decide(story->snapshot, story->rules, story->state, story->scratch, story->plan);
    bool asked = story_find(story, ACTION_BALLOON, guest) != NULL;
    story_free(story);
    return asked;
}

START_TEST(what_is_not_the_guests_is_not_asked_for)
{
    ck_assert(is_asked(TRISTATE_NO, 6 * GIB, 0, 0));
    ck_assert(!is_asked(TRISTATE_NO, 3 * GIB, 0, 3 * GIB));
    ck_assert(is_asked(TRISTATE_NO, UNKNOWN, 0, 0));
    ck_assert(is_asked(TRISTATE_YES, GIB, 5 * GIB, 0));
    ck_assert(is_asked(TRISTATE_YES, GIB, 0, 5 * GIB));
    ck_assert(!is_asked(TRISTATE_YES, 2 * GIB, 3 * GIB, GIB));
    ck_assert(is_asked(TRISTATE_YES, UNKNOWN, UNKNOWN, UNKNOWN));
    ck_assert(is_asked(TRISTATE_UNKNOWN, 3 * GIB, 0, 0));
}
END_TEST

START_TEST(a_full_node_does_not_press_guests_elsewhere)
{
    struct story *story = story_new(64 * GIB, 2 * GIB);
    story->snapshot->host.node_count = 2;
    for (uint32_t i = 0; i < 2; i++)
        story->snapshot->host.nodes[i] = (struct node_snapshot){
            .id = i, .total = 32 * GIB, .available = i == 0 ? 128 * MIB : 30 * GIB};
    unsigned here = story_guest(story, 20 * GIB, 16 * GIB);
    unsigned there = story_guest(story, 20 * GIB, 2 * GIB);
    story_vm(story, here)->node_bytes[0] = 16 * GIB;
    story_vm(story, here)->node_bytes[1] = 0;
    story_vm(story, there)->node_bytes[0] = 0;
    story_vm(story, there)->node_bytes[1] = 2 * GIB;
    story->guests[here].free = story->guests[there].free = 18 * GIB;
    story->guests[here].wants = 2 * GIB;
    story_run(story, 20 * SEC, 100 * MS);
    ck_assert_uint_gt(story->guests[here].balloons, 0);
    ck_assert_uint_eq(story->guests[there].balloons, 0);
    ck_assert_uint_eq(story->guests[here].pauses + story->guests[here].kills, 0);
    story_free(story);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("stories");
    tcase_add_test(tests, what_frees_next_to_nothing_is_not_asked_for);
    tcase_add_test(tests, a_calm_host_is_left_alone);
    tcase_add_test(tests, tight_takes_idle_memory_and_nothing_else);
    tcase_add_test(tests, peer_1_who_has_idle_memory_gives);
    tcase_add_test(tests, peer_3_who_claims_to_have_nothing_gives_too);
    tcase_add_loop_test(tests, peer_4_an_impossible_figure_stops_nobodys_turn, 0, 3);
    tcase_add_test(tests, peer_5_a_refuser_is_found_and_told_once);
    tcase_add_test(tests, peer_6_and_2_memory_comes_back_in_seconds);
    tcase_add_test(tests, peer_7_a_resume_has_its_room);
    tcase_add_test(tests, peer_8_only_growers_are_paused);
    tcase_add_loop_test(tests, peer_12_memory_that_only_looks_available_is_told_of, 0, 3);
    tcase_add_test(tests, peer_15_a_wired_guest_is_never_inflated);
    tcase_add_test(tests, actual_is_not_believed);
    tcase_add_test(tests, a_sprint_freezes_and_a_bridge_ends_in_a_stop);
    tcase_add_test(tests, a_guest_without_monitor_is_frozen);
    tcase_add_test(tests, guests_do_not_die_for_a_leak_outside);
    tcase_add_test(tests, a_watched_guest_hides_no_need);
    tcase_add_test(tests, the_kernels_order_outlasts_the_guard);
    tcase_add_test(tests, the_kernel_gets_the_same_order);
    tcase_add_test(tests, a_budget_is_a_pool_of_its_own);
    tcase_add_test(tests, what_growth_needs_is_not_given_back);
    tcase_add_test(tests, what_is_not_the_guests_is_not_asked_for);
    tcase_add_test(tests, a_full_node_does_not_press_guests_elsewhere);
    tcase_set_timeout(tests, 60); /* under valgrind */
    Suite *suite = suite_create("stories");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
