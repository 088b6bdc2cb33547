/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The model: memory is neither made nor lost, the kernel's choice, and the same end each time. */
#include "model.h"
#include "run.h"
#include "suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define SEC NSEC_PER_SEC
#define GUESTS 4

static struct demand_point curves[GUESTS][2];
static struct scenario_guest guests[GUESTS];
static struct scenario scenario;

/* A host of 16 GiB on which four guests of 6 GiB grow from 1 to 5 within 10 s. */
static void scene_setup(void)
{
    scenario = (struct scenario){.duration = 40 * SEC,
        .step = 10 * NSEC_PER_MSEC,
        .seed = 7,
        .host = {.total = 16 * GIB, .kernel = GIB, .cache = GIB, .cache_rate = 100 * MIB},
        .guests = guests,
        .guest_count = GUESTS};
    for (int i = 0; i < GUESTS; i++) {
        curves[i][0] = (struct demand_point){0, GIB};
        curves[i][1] = (struct demand_point){10 * SEC, 5 * GIB};
        guests[i] = (struct scenario_guest){.name = "guest",
            .maximum = 6 * GIB,
            .overhead = 64 * MIB,
            .touch_rate = 2 * GIB,
            .balloon_rate = GIB,
            .demand = {.points = curves[i], .count = 2, .noise = 8 * MIB}};
    }
}

static struct rules *rules_new(void)
{
    struct rules *rules = calloc(1, rules_size(GUESTS));
    ck_assert_ptr_nonnull(rules);
    host_rules_default(&rules->host);
    rules->host.mode = MODE_ENFORCE;
    rules->vm_capacity = GUESTS;
    for (int i = 0; i < GUESTS; i++) {
        vm_rules_default(&rules->vms[i]);
        rules->vms[i].mode = MODE_ENFORCE;
    }
    return rules;
}

static void model_check(const struct model *model)
{
    uint64_t taken = scenario.host.kernel + model->cache + model->process;
    uint64_t swapped = 0;
    for (uint32_t i = 0; i < model->guest_count; i++) {
        const struct model_guest *guest = &model->guests[i];
        bool here = guest->presence == PRESENCE_HERE;
        taken += guest_resident(guest);
        swapped += here ? guest->swapped : 0;
        ck_assert(guest->used <= guest->touched);
        ck_assert(guest->touched <= guest->scenario->maximum);
        ck_assert(guest->swapped <= guest->touched + guest->overhead);
        ck_assert(guest->vm.balloon.actual <= guest->scenario->maximum);
    }
    ck_assert(taken + memory_free(model) == scenario.host.total);
    ck_assert(swapped + model->swap_free == scenario.host.swap);
}

/* Plays with nobody watching, and checks each step. */
static void model_play(struct model *model, struct model_guest *model_guests, struct rules *rules)
{
    memset(model, 0, sizeof(*model));
    memset(model_guests, 0, GUESTS * sizeof(*model_guests));
    model->scenario = &scenario;
    model->rules = rules;
    model->now = model->began = 1000 * SEC;
    model->floor = UNKNOWN;
    model->guest_count = GUESTS;
    model->guests = model_guests;
    for (int i = 0; i < GUESTS; i++)
        model_guests[i].scenario = &guests[i];
    model_begin(model);
    while (model->now - model->began < scenario.duration) {
        model_pass(model);
        model_check(model);
    }
}

static struct model model;
static struct model_guest model_guests[GUESTS];

START_TEST(memory_is_neither_made_nor_lost)
{
    struct rules *rules = rules_new();
    model_play(&model, model_guests, rules);
    /* With the kernel's own, three of 5 GiB are still too much. */
    ck_assert_uint_eq(model.oom_kills, 2);
    free(rules);
}
END_TEST

START_TEST(nor_is_it_with_swap)
{
    struct rules *rules = rules_new();
    scenario.host.swap = 2 * GIB;
    scenario.host.swap_rate = 200 * MIB;
    guests[1].start = 5 * SEC;
    guests[2].pinned = true;
    guests[3].reporting = true;
    model_play(&model, model_guests, rules);
    ck_assert_uint_ge(model.oom_kills, 1);
    free(rules);
}
END_TEST

START_TEST(nor_is_it_with_a_process_that_leaks)
{
    struct rules *rules = rules_new();
    scenario.host.process = GIB;
    scenario.host.process_growth = GIB;
    model_play(&model, model_guests, rules);
    ck_assert_uint_eq(model.score.process_kills, 1);
    ck_assert(model.process == 0);
    free(rules);
}
END_TEST

START_TEST(a_pinned_guest_gives_nothing_by_balloon)
{
    struct rules *rules = rules_new();
    guests[0].pinned = true;
    for (int i = 1; i < GUESTS; i++)
        guests[i].start = 60 * SEC;
    scenario.duration = SEC;
    model_play(&model, model_guests, rules);
    uint64_t before = guest_resident(&model_guests[0]);
    model_guests[0].balloon_goal = 2 * GIB;
    for (int i = 0; i < 1000; i++)
        model_pass(&model);
    ck_assert(model_guests[0].vm.balloon.actual == 2 * GIB);
    ck_assert(guest_resident(&model_guests[0]) == before);
    free(rules);
}
END_TEST

/* ---- the kernel ---- */

START_TEST(badness_is_the_kernels)
{
    /* 1 GiB: 262144 pages and 512 of page tables; 16 GiB: 4194 pages a thousandth. */
    ck_assert(kernel_badness(GIB, 0, 0, 16 * GIB) == 262144 + 512);
    ck_assert(kernel_badness(GIB / 2, GIB / 2, 0, 16 * GIB) == 262144 + 512);
    ck_assert(kernel_badness(GIB, 0, 500, 16 * GIB) == 262144 + 512 + INT64_C(500) * 4194);
    ck_assert(kernel_badness(GIB, 0, -999, 16 * GIB) == 262144 + 512 - INT64_C(999) * 4194);
    ck_assert(kernel_badness(GIB, 0, -1000, 16 * GIB) == INT64_MIN);
}
END_TEST

START_TEST(the_kernel_takes_who_has_most)
{
    struct rules *rules = rules_new();
    scenario.duration = SEC;
    model_play(&model, model_guests, rules);
    model_guests[1].touched += GIB;
    ck_assert_uint_eq(kernel_victim(&model), 1);
    model_guests[2].vm.oom_score_adj = 300; /* 4.8 GiB of 16 */
    ck_assert_uint_eq(kernel_victim(&model), 2);
    model_guests[2].presence = PRESENCE_GONE;
    model.process = 4 * GIB;
    ck_assert_uint_eq(kernel_victim(&model), KERNEL_PROCESS);
    model.process = 0;
    for (int i = 0; i < GUESTS; i++)
        model_guests[i].vm.oom_score_adj = -1000;
    ck_assert_uint_eq(kernel_victim(&model), KERNEL_NOBODY);
    free(rules);
}
END_TEST

/* ---- the loop ---- */

static struct score play_by_policy(struct rules *rules)
{
    struct policy_watcher *policy = policy_watcher_new(GUESTS);
    struct watcher watcher = policy_watcher_get(policy);
    struct simulator *simulator = run_scenario(&scenario, rules, &watcher, NULL, NULL);
    struct score score;
    memset(&score, 0, sizeof(score));
    ck_assert_ptr_nonnull(simulator);
    simulator_score(simulator, &score);
    free(simulator);
    (void)policy_watcher_free(policy);
    return score;
}

static bool scores_equal(const struct score *a, const struct score *b)
{
    return a->kernel_kills == b->kernel_kills && a->kills == b->kills && a->pauses == b->pauses &&
           a->below == b->below && a->headroom_least == b->headroom_least && a->loss == b->loss &&
           a->cost == b->cost && a->denied == b->denied && a->moved == b->moved &&
           a->turns == b->turns && a->fairness == b->fairness && a->looks == b->looks;
}

START_TEST(the_same_scenario_ends_the_same)
{
    struct rules *rules = rules_new();
    struct score first = play_by_policy(rules), second = play_by_policy(rules);
    ck_assert(scores_equal(&first, &second));
    ck_assert_uint_eq(first.kernel_kills, 0);
    scenario.seed = 8;
    struct score other = play_by_policy(rules);
    ck_assert(!scores_equal(&first, &other));
    free(rules);
}
END_TEST

#define DAY (UINT64_C(24) * 60 * NSEC_PER_MINUTE)

/* Demand that comes and goes over two days, with noise of more than the reserve a guest is left, is
 * followed by balloons, but its noise is not. */
START_TEST(nothing_oscillates_over_days)
{
    static struct demand_point waves[GUESTS][3];
    struct rules *rules = rules_new();
    scenario.duration = 2 * DAY;
    scenario.step = 200 * NSEC_PER_MSEC;
    scenario.host.total = 24 * GIB;
    for (int i = 0; i < GUESTS; i++) {
        waves[i][0] = (struct demand_point){0, (i % 2 ? 8 : 2) * GIB};
        waves[i][1] = (struct demand_point){DAY / 2, (i % 2 ? 2 : 8) * GIB};
        waves[i][2] = (struct demand_point){DAY, (i % 2 ? 8 : 2) * GIB};
        guests[i].maximum = 10 * GIB;
        guests[i].demand = (struct demand){
            .points = waves[i], .count = 3, .repeat = DAY, .noise = (uint64_t)(i + 1) * 128 * MIB};
    }
    struct score score = play_by_policy(rules);
    ck_assert_uint_eq(score.kernel_kills + score.kills + score.pauses, 0);
    ck_assert_uint_gt(score.moved, 4 * GIB); /* it is not for nothing that nothing turns */
    ck_assert_uint_le(score.turns, UINT64_C(2) * GUESTS * 10);
    /* A seventh of what they would use: as much without any hold. */
    ck_assert_uint_le(score.denied / GIB, 600000);
    free(rules);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("model");
    tcase_add_checked_fixture(tests, scene_setup, NULL);
    tcase_add_test(tests, memory_is_neither_made_nor_lost);
    tcase_add_test(tests, nor_is_it_with_swap);
    tcase_add_test(tests, nor_is_it_with_a_process_that_leaks);
    tcase_add_test(tests, a_pinned_guest_gives_nothing_by_balloon);
    tcase_add_test(tests, badness_is_the_kernels);
    tcase_add_test(tests, the_kernel_takes_who_has_most);
    tcase_add_test(tests, the_same_scenario_ends_the_same);
    tcase_add_test(tests, nothing_oscillates_over_days);
    tcase_set_timeout(tests, 60); /* under valgrind */
    Suite *suite = suite_create("simulate-model");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
