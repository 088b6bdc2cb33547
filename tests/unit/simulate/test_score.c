/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Scores of runs so small that they can be reckoned by hand. */
#include "model.h"
#include "run.h"
#include "suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define SEC NSEC_PER_SEC
#define GUESTS 2

static const struct demand_point two_gib = {0, 2 * GIB}, four_gib = {0, 4 * GIB};
static struct scenario_guest guests[GUESTS];
static struct scenario scenario;
static struct rules *rules;

/* Two guests of 4 GiB on 16: one demands 2 for all of 60 s, the other 4. */
static void scene_setup(void)
{
    scenario = (struct scenario){.duration = 60 * SEC,
        .step = 100 * NSEC_PER_MSEC,
        .host = {.total = 16 * GIB},
        .guests = guests,
        .guest_count = GUESTS};
    for (int i = 0; i < GUESTS; i++)
        guests[i] = (struct scenario_guest){.name = "guest",
            .maximum = 4 * GIB + 16 * MIB, /* its kernel keeps 16 MiB */
            .touch_rate = 2 * GIB,
            .balloon_rate = GIB,
            .demand = {.points = i == 0 ? &two_gib : &four_gib, .count = 1}};
    rules = calloc(1, rules_size(GUESTS));
    ck_assert_ptr_nonnull(rules);
    host_rules_default(&rules->host);
    rules->host.mode = MODE_ENFORCE;
    rules->vm_capacity = GUESTS;
    for (int i = 0; i < GUESTS; i++) {
        vm_rules_default(&rules->vms[i]);
        rules->vms[i].mode = MODE_ENFORCE;
        rules->vms[i].priority = 10;
    }
}

static void scene_teardown(void)
{
    free(rules);
}

/* What is done at the first look, to the second guest; nothing after it. */
struct script {
    enum action_kind kind;
    uint64_t target;
    bool done;
};

static void script_decide(
    const struct snapshot *snapshot, const struct rules *unused, void *own, struct plan *ret_plan)
{
    struct script *script = own;
    (void)unused;
    memset(&ret_plan->assessment, 0, sizeof(ret_plan->assessment));
    ret_plan->next_wake = SEC;
    ret_plan->action_count = 0;
    if (script->done || script->kind == ACTION_KIND_COUNT)
        return;
    script->done = true;
    ret_plan->action_count = 1;
    ret_plan->actions[0] = (struct action){.kind = script->kind,
        .slot = 1,
        .identity = snapshot->vms[1].identity,
        .mode = MODE_ENFORCE,
        .target = script->target};
}

static struct score play(enum action_kind kind, uint64_t target, struct guest_score *ret_second)
{
    struct script script = {.kind = kind, .target = target};
    struct watcher watcher = {.name = "script", .decide = script_decide, .own = &script};
    struct simulator *simulator = run_scenario(&scenario, rules, &watcher, NULL, NULL);
    struct score score;
    ck_assert_ptr_nonnull(simulator);
    simulator_score(simulator, &score);
    simulator_guest_score(simulator, 1, ret_second);
    free(simulator);
    return score;
}

START_TEST(all_have_what_they_demand)
{
    struct guest_score second;
    struct score score = play(ACTION_KIND_COUNT, 0, &second);
    ck_assert(score.loss == 0 && score.denied == 0 && score.moved == 0 && score.crossings == 0);
    ck_assert_uint_eq(score.fairness, FAIRNESS_WHOLE);
    ck_assert(second.demanded == 240 * GIB && second.received == second.demanded);
    ck_assert_uint_eq(score.looks, 60);
}
END_TEST

/* Ballooned from 4 GiB to 3 at 1 GiB/s: in the n-th tenth of the first second n tenths of a GiB are
 * denied, 0.55 GiB s in all, and then 1 GiB for 59 s. */
START_TEST(a_balloon_denies)
{
    struct guest_score second;
    struct score score = play(ACTION_BALLOON, 3 * GIB + 16 * MIB, &second);
    ck_assert(score.moved == GIB);
    ck_assert_uint_eq(score.turns, 0);
    uint64_t expected = 59 * GIB + GIB * 55 / 100;
    ck_assert(score.denied > expected - MIB && score.denied < expected + MIB);
    /* x = 1 and 180.45 / 240 = 0.7518: (1.7518)^2 / (2 * 1.5653) = 0.980 */
    ck_assert_uint_eq(score.fairness, 980);
}
END_TEST

/* A kill counts twice: 2 × 60 min × priority 10; nothing was short, so all it freed was too much.
 */
START_TEST(a_kill_costs)
{
    struct guest_score second;
    struct score score = play(ACTION_KILL, 0, &second);
    ck_assert_uint_eq(score.kills, 1);
    ck_assert_uint_eq(score.kernel_kills, 0);
    ck_assert(score.loss == UINT64_C(2) * 60 * 10 * 1000);
    ck_assert(score.overkill == 4 * GIB);
    ck_assert_int_eq((int)second.end, GUEST_KILLED);
    ck_assert(score.denied == 0 && second.received == 0);
    /* x = 1 and 0 */
    ck_assert_uint_eq(score.fairness, FAIRNESS_WHOLE / 2);
}
END_TEST

/* Stopped after 30 ms, so from the first step's end on: 60 s of priority 10 are 10 VM-minutes. */
START_TEST(a_pause_costs_its_time)
{
    struct guest_score second;
    struct score score = play(ACTION_PAUSE, 0, &second);
    ck_assert_uint_eq(score.pauses, 1);
    ck_assert(second.stopped == 60 * SEC);
    ck_assert(score.loss == 10000);
    ck_assert(second.received == 0);
}
END_TEST

/* A host of 7 GiB with 6 in use: below its floor from the beginning to the end. */
START_TEST(the_floor_is_crossed_once)
{
    struct guest_score second;
    scenario.host.total = 7 * GIB;
    rules->host.floor = (struct amount){AMOUNT_BYTES, 2 * GIB};
    struct score score = play(ACTION_KIND_COUNT, 0, &second);
    ck_assert_uint_eq(score.crossings, 1);
    ck_assert(score.headroom_least < -(int64_t)GIB);
    ck_assert(score.below == (uint64_t)-score.headroom_least * 60);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("score");
    tcase_add_checked_fixture(tests, scene_setup, scene_teardown);
    tcase_add_test(tests, all_have_what_they_demand);
    tcase_add_test(tests, a_balloon_denies);
    tcase_add_test(tests, a_kill_costs);
    tcase_add_test(tests, a_pause_costs_its_time);
    tcase_add_test(tests, the_floor_is_crossed_once);
    Suite *suite = suite_create("simulate-score");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
