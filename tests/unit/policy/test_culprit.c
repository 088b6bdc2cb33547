/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stories of what is not the guests and fills the host: who is named, when, and that no guest pays
 * for it. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "story.h"

#define SEC NSEC_PER_SEC

/* The lab's host: 3.9 GiB with two guests that have some idle memory, and something that leaks. */
static struct story *story_of_leak(enum culprit_kind kind, int64_t growth)
{
    struct story *story = story_new(4000 * MIB, 400 * MIB);
    story_take_time(story, 500 * NSEC_PER_MSEC);
    for (unsigned i = 0; i < 2; i++) {
        story_guest(story, GIB, 700 * MIB);
        story_rules(story, i)->minimum = (struct amount){AMOUNT_BYTES, 512 * MIB};
        story->guests[i].honest = true;
    }
    story->other_is = kind;
    story->other_growth = growth * (int64_t)MIB;
    return story;
}

/* To the wall, and some minutes at it. */
static void leak_on(struct story *story)
{
    for (int second = 0; second < 400; second++) {
        story_live(story, SEC);
        if (story->snapshot->host.available == 0)
            story->other_growth = 0;
    }
}

static const enum culprit_kind kinds[] = {
    CULPRIT_PROCESS, CULPRIT_TMPFS, CULPRIT_SLAB, CULPRIT_PAGE_TABLES, CULPRIT_UNKNOWN};
static const int leaks[] = {20, 40, 300};
#define LEAKS (int)(sizeof(leaks) / sizeof(leaks[0]))

START_TEST(a_leak_is_named_by_its_kind_and_no_guest_is_killed)
{
    enum culprit_kind kind = kinds[_i / LEAKS];
    int64_t growth = leaks[_i % LEAKS];
    struct story *story = story_of_leak(kind, growth);
    leak_on(story);
    const struct story_alert *alert = &story->first_alert[REASON_LEAK_OUTSIDE];
    ck_assert_uint_ge(story->alerts[REASON_LEAK_OUTSIDE], 1);
    ck_assert_msg(alert->culprit.kind == kind, "%s named as %s", culprit_kind_name(kind),
        culprit_kind_name(alert->culprit.kind));
    ck_assert_int_ge(alert->culprit.growth, growth * (int64_t)MIB / 3);
    ck_assert_int_le(alert->culprit.growth, 2 * growth * (int64_t)MIB);
    if (growth <= 40)
        ck_assert_int_eq(alert->band, BAND_SCARCE);
    for (unsigned i = 0; i < 2; i++)
        ck_assert_uint_eq(story->guests[i].kills, 0);
    story_free(story);
}
END_TEST

/* The kernel, which strikes in the end, shall take what leaks: every guest stands below it, in the
 * same order as ever. */
START_TEST(the_kernel_takes_a_process_that_leaks)
{
    struct story *story = story_of_leak(CULPRIT_PROCESS, 40);
    struct process_snapshot *process = &story->snapshot->host.largest_process;
    uint64_t before = story->other;
    story_rules(story, 0)->priority = 10;
    story_rules(story, 1)->priority = 20;
    story_live(story, 10 * SEC);
    ck_assert_int_gt(story_points(story, 0), 1900 * (int64_t)MIB);
    for (int second = 0; second < 300; second++) {
        *process = (struct process_snapshot){
            .pid = 7, .rss = story->other - before, .growth = story->other_growth};
        story_live(story, SEC);
        if (story->snapshot->host.available == 0)
            story->other_growth = 0; /* at the wall, for minutes */
        if (story->alerts[REASON_LEAK_OUTSIDE] == 0 || second % 10 != 0)
            continue;
        ck_assert_int_gt((int64_t)process->rss, story_points(story, 0));
        ck_assert_int_gt(story_points(story, 0), story_points(story, 1));
        ck_assert_int_gt(story_points(story, 1), 0);
    }
    ck_assert_uint_ge(story->alerts[REASON_LEAK_OUTSIDE], 1);
    *process = (struct process_snapshot){0};
    story->other = before;
    story_live(story, 10 * SEC);
    ck_assert_int_gt(story_points(story, 0), 1900 * (int64_t)MIB);
    story_free(story);
}
END_TEST

/* What is told is told as long as it is so, and a while longer. */
START_TEST(a_culprit_is_shown_until_the_leak_is_over)
{
    struct story *story = story_of_leak(CULPRIT_TMPFS, 40);
    ck_assert_int_eq(story->plan->assessment.culprit.kind, CULPRIT_NONE);
    for (int i = 0; i < 100 && story->alerts[REASON_LEAK_OUTSIDE] == 0; i++)
        story_live(story, SEC);
    ck_assert_int_eq(story->plan->assessment.culprit.kind, CULPRIT_TMPFS);
    ck_assert(!story->plan->assessment.culprit.mounted);
    story->other_growth = 0;
    story->other = 400 * MIB;
    story_live(story, 90 * SEC);
    ck_assert_int_eq(story->plan->assessment.culprit.kind, CULPRIT_NONE);
    story_free(story);
}
END_TEST

START_TEST(a_tmpfs_that_holds_most_is_the_mount)
{
    struct story *story = story_of_leak(CULPRIT_TMPFS, 40);
    struct tmpfs_snapshot *tmpfs = &story->snapshot->host.largest_tmpfs;
    /* Its size is enough where its growth could not be told. */
    *tmpfs = (struct tmpfs_snapshot){.path = "/dev/shm", .used = 2 * GIB};
    /* Somebody grows as well, but not by that. */
    story->snapshot->host.largest_process =
        (struct process_snapshot){.pid = 7, .growth = 50 * (int64_t)MIB};
    leak_on(story);
    ck_assert_int_eq(story->first_alert[REASON_LEAK_OUTSIDE].culprit.kind, CULPRIT_TMPFS);
    ck_assert(story->first_alert[REASON_LEAK_OUTSIDE].culprit.mounted);
    story_free(story);
}
END_TEST

START_TEST(a_small_tmpfs_is_not_the_mount)
{
    struct story *story = story_of_leak(CULPRIT_TMPFS, 40);
    struct tmpfs_snapshot *tmpfs = &story->snapshot->host.largest_tmpfs;
    *tmpfs = (struct tmpfs_snapshot){.path = "/run", .used = 3 * MIB};
    leak_on(story);
    ck_assert_int_eq(story->first_alert[REASON_LEAK_OUTSIDE].culprit.kind, CULPRIT_TMPFS);
    ck_assert(!story->first_alert[REASON_LEAK_OUTSIDE].culprit.mounted);
    story_free(story);
}
END_TEST

START_TEST(shared_memory_of_no_mount_is_the_process_that_maps_it)
{
    struct story *story = story_of_leak(CULPRIT_TMPFS, 40);
    story->snapshot->host.largest_process =
        (struct process_snapshot){.pid = 7, .growth = 38 * (int64_t)MIB};
    leak_on(story);
    ck_assert_int_eq(story->first_alert[REASON_LEAK_OUTSIDE].culprit.kind, CULPRIT_PROCESS);
    story_free(story);
}
END_TEST

/* Its memory is a memfd, which meminfo shows as tmpfs does. */
START_TEST(a_guest_in_shared_memory_is_no_tmpfs)
{
    struct story *story = story_of_leak(CULPRIT_PROCESS, 30);
    struct vm_snapshot *vm = story_vm(story, 1);
    vm->wiring.shared = TRISTATE_YES;
    story->guests[1].goal = 900 * MIB;
    story->guests[1].growth = 5 * (int64_t)MIB;
    leak_on(story);
    ck_assert_uint_ge(story->alerts[REASON_LEAK_OUTSIDE], 1);
    ck_assert_int_eq(story->first_alert[REASON_LEAK_OUTSIDE].culprit.kind, CULPRIT_PROCESS);
    story_free(story);
}
END_TEST

/* Guests that are let grow in bursts, as balloons come and go, up to critical: there nothing waits,
 * and a burst may be told as a leak. */
START_TEST(guests_that_grow_are_no_leak)
{
    struct story *story = story_of_leak(CULPRIT_PROCESS, 0);
    for (unsigned i = 0; i < 2; i++) {
        story_vm(story, i)->maximum = story_vm(story, i)->balloon.actual = 3 * GIB;
        story->guests[i].growth = (20 + 100 * _i) * (int64_t)MIB;
    }
    unsigned scarce = 0;
    for (int i = 0; i < 1200 && story->alerts[REASON_LEAK_OUTSIDE] == 0; i++) {
        story_live(story, 100 * NSEC_PER_MSEC);
        scarce += story->plan->assessment.band == BAND_SCARCE;
    }
    ck_assert_uint_ge(scarce, 60); /* six seconds of it: a leak would have been told of */
    if (story->alerts[REASON_LEAK_OUTSIDE] > 0)
        ck_assert_int_eq(story->first_alert[REASON_LEAK_OUTSIDE].band, BAND_CRITICAL);
    story_free(story);
}
END_TEST

/* A guest that is met only now brings all it holds. */
START_TEST(a_guest_that_comes_or_goes_is_no_growth)
{
    struct story *story = story_of_leak(CULPRIT_TMPFS, 30);
    story_live(story, 20 * SEC);
    story->other -= 500 * MIB;
    (void)story_guest(story, GIB, 500 * MIB);
    leak_on(story);
    ck_assert_int_eq(story->first_alert[REASON_LEAK_OUTSIDE].culprit.kind, CULPRIT_TMPFS);
    story_free(story);
}
END_TEST

/* ---- figures by hand, a quarter of a second apart ---- */

/* What has grown since the last look, in MiB. */
struct step {
    uint64_t anonymous, shmem, unseen;
};

#define LOOK (250 * NSEC_PER_MSEC)

static void decide(struct story *story, const struct step *step)
{
    struct host_snapshot *host = &story->snapshot->host;
    story->snapshot->time += LOOK;
    story->snapshot->sequence++;
    host->anonymous += step->anonymous * MIB;
    host->shmem += step->shmem * MIB;
    const uint64_t taken = (step->anonymous + step->shmem + step->unseen) * MIB;
    ck_assert_uint_gt(host->available, taken);
    host->available -= taken;
    for (uint32_t i = 0; i < story->snapshot->vm_count; i++)
        if (known(story->snapshot->vms[i].rss))
            story->snapshot->vms[i].sampled = story->snapshot->time;
    policy_decide(story->snapshot, story->rules, story->state, story->scratch, story->plan);
}

/* A host in scarce with two guests, seen for a while; then STEP again and again until it is told
 * what fills the host. */
static void lead_to_culprit(struct story *story, const struct step *step)
{
    static const struct step nothing;
    story_decide(story);
    for (uint64_t most = 8000; story->plan->assessment.band < BAND_SCARCE && most > 0; most--) {
        story->other += MIB;
        story->snapshot->time += LOOK;
        story_decide(story);
    }
    for (int i = 0; i < 200; i++)
        decide(story, &nothing);
    ck_assert_int_eq(story->plan->assessment.culprit.kind, CULPRIT_NONE);
    for (int i = 0; i < 100 && story->plan->assessment.culprit.kind == CULPRIT_NONE; i++)
        decide(story, step);
}

static enum culprit_kind culprit(const struct story *story)
{
    return story->plan->assessment.culprit.kind;
}

START_TEST(little_growth_is_not_blamed_for_much)
{
    struct story *story = story_of_leak(CULPRIT_UNKNOWN, 0);
    lead_to_culprit(story, &(struct step){.anonymous = 3, .unseen = 10});
    ck_assert_int_eq(culprit(story), CULPRIT_UNKNOWN);
    story_free(story);
}
END_TEST

START_TEST(a_process_that_grows_a_little_is_not_blamed_for_shared_memory)
{
    struct story *story = story_of_leak(CULPRIT_TMPFS, 0);
    story->snapshot->host.largest_process =
        (struct process_snapshot){.pid = 7, .growth = 5 * (int64_t)MIB};
    lead_to_culprit(story, &(struct step){.shmem = 10});
    ck_assert_int_eq(culprit(story), CULPRIT_TMPFS);
    story_free(story);
}
END_TEST

/* It is gone for the guard, and its memory is not yet. */
START_TEST(a_guest_that_goes_leaves_no_growth_behind)
{
    const struct step step = {.shmem = 10};
    struct story *story = story_of_leak(CULPRIT_TMPFS, 0);
    lead_to_culprit(story, &step);
    ck_assert_int_eq(culprit(story), CULPRIT_TMPFS);
    story->snapshot->vm_count--;
    for (int i = 0; i < 8; i++) {
        decide(story, &step);
        ck_assert_int_eq(culprit(story), CULPRIT_TMPFS);
    }
    story_free(story);
}
END_TEST

START_TEST(a_guest_that_cannot_be_read_is_no_growth)
{
    const struct step step = {.shmem = 10};
    struct story *story = story_of_leak(CULPRIT_TMPFS, 0);
    lead_to_culprit(story, &step);
    struct vm_snapshot *vm = &story->snapshot->vms[1];
    const uint64_t rss = vm->rss;
    for (int i = 0; i < 8; i++) {
        vm->rss = vm->sampled = i % 2 == 0 ? UNKNOWN : rss;
        decide(story, &step);
        ck_assert_int_eq(culprit(story), CULPRIT_TMPFS);
    }
    story_free(story);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("culprit");
    TCase *tests = tcase_create("culprit");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, a_leak_is_named_by_its_kind_and_no_guest_is_killed, 0,
        (int)(sizeof(kinds) / sizeof(kinds[0])) * LEAKS);
    tcase_add_test(tests, the_kernel_takes_a_process_that_leaks);
    tcase_add_test(tests, a_culprit_is_shown_until_the_leak_is_over);
    tcase_add_test(tests, a_tmpfs_that_holds_most_is_the_mount);
    tcase_add_test(tests, a_small_tmpfs_is_not_the_mount);
    tcase_add_test(tests, shared_memory_of_no_mount_is_the_process_that_maps_it);
    tcase_add_test(tests, a_guest_in_shared_memory_is_no_tmpfs);
    tcase_add_loop_test(tests, guests_that_grow_are_no_leak, 0, 2);
    tcase_add_test(tests, a_guest_that_comes_or_goes_is_no_growth);
    tcase_add_test(tests, little_growth_is_not_blamed_for_much);
    tcase_add_test(tests, a_process_that_grows_a_little_is_not_blamed_for_shared_memory);
    tcase_add_test(tests, a_guest_that_goes_leaves_no_growth_behind);
    tcase_add_test(tests, a_guest_that_cannot_be_read_is_no_growth);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
