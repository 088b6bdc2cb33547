/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looks ahead: what they were copied from stays as it is, whatever is seen; equal questions have
 * equal answers; and what is foretold is what then happens in a story.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <plimsoll/forecast.h>

#include "story.h"
#include "suite.h"
#include "world.h"

#define CAPACITY 24
#define CASES_DEFAULT 300
#define SEED_DEFAULT 20240301

static struct forecast *played(void *buffer, const struct snapshot *snapshot,
    const struct rules *rules, const struct policy_state *state, struct policy_scratch *scratch,
    const struct plan *plan, uint64_t need)
{
    const struct forecast_need wish = {.bytes = need, .node = FORECAST_ANY_NODE};
    struct forecast *forecast = forecast_begin(buffer, snapshot, state, plan, &wish);

    while (forecast_look(forecast, rules, scratch))
        ;
    return forecast;
}

static void *allocate(size_t size)
{
    void *memory = calloc(1, size);

    ck_assert_ptr_nonnull(memory);
    return memory;
}

/* ---- whatever is seen ---- */

static void check_world(struct world *world, void *first, void *second, uint64_t need)
{
    size_t state_bytes = policy_state_size(CAPACITY), count_bytes;
    struct snapshot *seen = allocate(snapshot_size(CAPACITY));
    struct forecast_result a, b;
    uint32_t count, again;

    memcpy(world->copy, world->state, state_bytes);
    memcpy(seen, world->snapshot, snapshot_size(CAPACITY));
    struct forecast *forecast = played(
        first, world->snapshot, world->rules, world->state, world->scratch, world->plan, need);
    ck_assert_mem_eq(world->copy, world->state, state_bytes);
    ck_assert_mem_eq(seen, world->snapshot, snapshot_size(CAPACITY));
    struct forecast *other = played(
        second, world->snapshot, world->rules, world->state, world->scratch, world->plan, need);
    forecast_result(forecast, &a);
    forecast_result(other, &b);
    ck_assert_uint_le(a.looks, FORECAST_LOOKS_MAX);
    ck_assert_int_ne(a.ending, FORECAST_OPEN);
    ck_assert_uint_eq(a.lacking, b.lacking);
    ck_assert_uint_eq(a.time, b.time);
    ck_assert_int_eq(a.met, a.lacking == 0);
    const struct forecast_step *steps = forecast_steps(forecast, &count);
    const struct forecast_step *others = forecast_steps(other, &again);
    ck_assert_uint_eq(count, again);
    count_bytes = count * sizeof(*steps);
    if (count > 0)
        ck_assert_mem_eq(steps, others, count_bytes);
    free(seen);
}

START_TEST(whatever_is_seen_nothing_is_touched)
{
    struct world world = world_new(CAPACITY);
    void *first = allocate(forecast_size(CAPACITY)), *second = allocate(forecast_size(CAPACITY));

    for (uint64_t i = 0; i < suite_cases(CASES_DEFAULT); i++) {
        uint64_t total = draw_below(512 * GIB) + 256 * MIB;
        policy_state_init(world.state, CAPACITY);
        draw_rules(world.rules, total);
        world.snapshot->time = draw_below(UINT64_C(1) << 50);
        for (int step = 0; step < 3; step++) {
            draw_snapshot(world.snapshot, total, step == 0);
            policy_decide(world.snapshot, world.rules, world.state, world.scratch, world.plan);
        }
        check_world(&world, first, second, draw_below(total));
    }
    free(first);
    free(second);
    world_free(&world);
}
END_TEST

/* ---- stories ---- */

static const struct forecast_step *step_find(
    const struct forecast *forecast, enum action_kind kind, unsigned guest)
{
    uint32_t count;
    const struct forecast_step *steps = forecast_steps(forecast, &count);

    for (uint32_t i = 0; i < count; i++)
        if (steps[i].action.kind == kind && steps[i].action.slot == guest)
            return &steps[i];
    return NULL;
}

static struct forecast *foretold(struct story *story, void *buffer, uint64_t need)
{
    return played(
        buffer, story->snapshot, story->rules, story->state, story->scratch, story->plan, need);
}

/* Of two guests one has half its memory idle: its balloon meets the need, and gives about as much
 * as it then does. */
START_TEST(a_balloon_meets_the_need)
{
    struct story *story = story_new(64 * GIB, 20 * GIB);
    unsigned idle = story_guest(story, 16 * GIB, 16 * GIB);
    unsigned busy = story_guest(story, 16 * GIB, 16 * GIB);
    void *buffer = allocate(forecast_size(STORY_GUESTS));
    const uint64_t need = 10 * GIB;
    struct forecast_result result;

    story->guests[idle].free = 8 * GIB;
    story->guests[busy].free = 0;
    story_live(story, 10 * NSEC_PER_SEC);
    struct forecast *forecast = foretold(story, buffer, need);
    forecast_result(forecast, &result);
    ck_assert(result.met);
    const struct forecast_step *step = step_find(forecast, ACTION_BALLOON, idle);
    ck_assert_ptr_nonnull(step);
    ck_assert_uint_gt(step->action.relief, 0);
    ck_assert_int_eq(result.ending, FORECAST_SETTLED);

    story->other += need;
    story_live(story, 30 * NSEC_PER_SEC);
    ck_assert_uint_gt(story->guests[idle].balloons, 0);
    ck_assert_uint_eq(
        story->guests[busy].balloons > 0, step_find(forecast, ACTION_BALLOON, busy) != NULL);
    ck_assert_uint_eq(story->guests[idle].pauses, step_find(forecast, ACTION_PAUSE, idle) != NULL);
    free(buffer);
    story_free(story);
}
END_TEST

/* Nothing grows and nothing is needed: nothing is decided, and it soon ends. */
START_TEST(in_calm_there_is_nothing_to_tell)
{
    struct story *story = story_new(64 * GIB, 10 * GIB);
    void *buffer = allocate(forecast_size(STORY_GUESTS));
    struct forecast_result result;
    uint32_t count;

    (void)story_guest(story, 16 * GIB, 8 * GIB);
    story_live(story, 10 * NSEC_PER_SEC);
    struct forecast *forecast = foretold(story, buffer, 0);
    forecast_result(forecast, &result);
    (void)forecast_steps(forecast, &count);
    ck_assert_uint_eq(count, 0);
    ck_assert(result.met);
    ck_assert_int_eq(result.ending, FORECAST_SETTLED);
    ck_assert_uint_eq(result.waited_most, 0);
    free(buffer);
    story_free(story);
}
END_TEST

/* More than there is: what is missing is told, and that somebody waits. */
START_TEST(what_is_not_there_is_waited_for)
{
    struct story *story = story_new(16 * GIB, 4 * GIB);
    void *buffer = allocate(forecast_size(STORY_GUESTS));
    struct forecast_result result;

    story_rules(story, story_guest(story, 8 * GIB, 8 * GIB))->sacrifice = SACRIFICE_NEVER;
    story_no_balloons(story);
    story_live(story, 10 * NSEC_PER_SEC);
    forecast_result(foretold(story, buffer, 6 * GIB), &result);
    ck_assert(!result.met);
    ck_assert(!known(result.met_at));
    ck_assert_uint_ge(result.waited_most, GIB);
    ck_assert_uint_gt(result.waited, NSEC_PER_SEC);
    ck_assert_uint_gt(result.lacking, result.waited_most);
    free(buffer);
    story_free(story);
}
END_TEST

int main(void)
{
    draw_seed_asked(SEED_DEFAULT);
    TCase *tests = tcase_create("forecast");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, whatever_is_seen_nothing_is_touched);
    tcase_add_test(tests, a_balloon_meets_the_need);
    tcase_add_test(tests, in_calm_there_is_nothing_to_tell);
    tcase_add_test(tests, what_is_not_there_is_waited_for);
    Suite *suite = suite_create("forecast");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
