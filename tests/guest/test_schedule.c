/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guest's grammar: what it takes and what it refuses. A typing error in a test's schedule must
 * not boot a guest that does something else.
 */
#include "schedule.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <string.h>

static const struct {
    const char *text;
    unsigned count; /* of steps */
    bool no_balloon;
    struct step last;
} accepted[] = {
    {.text = "", .count = 0},
    {.text = "no-balloon", .count = 0, .no_balloon = true},
    {.text = "grow:300M", .count = 1, .last = {.kind = STEP_GROW, .size = 300 << 20}},
    {.text = "grow:4096", .count = 1, .last = {.kind = STEP_GROW, .size = 4096}},
    {.text = "grow:300M@5s:50M/s",
        .count = 1,
        .last =
            {.kind = STEP_GROW, .size = 300 << 20, .rate = 50 << 20, .at = UINT64_C(5000000000)}},
    {.text = "grow:1G@1s,free:8K@250s",
        .count = 2,
        .last = {.kind = STEP_FREE, .size = 8192, .at = UINT64_C(250000000000)}},
    {.text = "touch@20ms:1M/s",
        .count = 1,
        .last = {.kind = STEP_TOUCH, .rate = 1 << 20, .at = 20000000}},
    {.text = "check:1M/s", .count = 1, .last = {.kind = STEP_CHECK, .rate = 1 << 20}},
    {.text = "no-balloon,touch", .count = 1, .no_balloon = true, .last = {.kind = STEP_TOUCH}},
    {.text = "unload-balloon@1m",
        .count = 1,
        .last = {.kind = STEP_UNLOAD_BALLOON, .at = UINT64_C(60000000000)}},
    {.text = "load-balloon", .count = 1, .last = {.kind = STEP_LOAD_BALLOON}},
    {.text = "free:1M@1s,loop@2s",
        .count = 2,
        .last = {.kind = STEP_LOOP, .at = UINT64_C(2000000000)}},
    {.text = "poweroff@0s", .count = 1, .last = {.kind = STEP_POWEROFF}},
};

static const char *const refused[] = {
    "grow",
    "grow:",
    "grow:x",
    "grow:-1M",
    "grow:1M@5",
    "grow:1M@5h",
    "grow:1M:5",
    "grow:1M:0/s",
    "grow:1M,",
    ",grow:1M",
    "grow:1M,,free:1M",
    "grow:1M free:1M",
    "grow:99999999999999999999",
    "free:1M:1M/s",
    "touch:1M",
    "shrink:1M",
    "no-balloons",
    "free:1M@5s,free:1M@4s",
};

START_TEST(test_accepted)
{
    struct schedule schedule;
    ck_assert_msg(schedule_parse(accepted[_i].text, &schedule) == 0, "%s", accepted[_i].text);
    ck_assert_uint_eq(schedule.count, accepted[_i].count);
    ck_assert(schedule.balloon == !accepted[_i].no_balloon);
    if (schedule.count == 0)
        return;
    const struct step *step = &schedule.steps[schedule.count - 1];
    ck_assert_uint_eq(step->kind, accepted[_i].last.kind);
    ck_assert_uint_eq(step->size, accepted[_i].last.size);
    ck_assert_uint_eq(step->rate, accepted[_i].last.rate);
    ck_assert_uint_eq(step->at, accepted[_i].last.at);
}
END_TEST

START_TEST(test_refused)
{
    struct schedule schedule = {.count = 77};
    ck_assert_msg(schedule_parse(refused[_i], &schedule) == -EINVAL, "%s", refused[_i]);
    ck_assert_uint_eq(schedule.count, 77);
}
END_TEST

START_TEST(test_too_many)
{
    struct schedule schedule;
    static const char step[] = "touch,";
    char text[(sizeof(step) - 1) * (SCHEDULE_STEPS_MAX + 1)];
    for (size_t at = 0; at < sizeof(text); at += sizeof(step) - 1)
        memcpy(text + at, step, sizeof(step) - 1);
    text[sizeof(text) - sizeof(step)] = '\0'; /* the last step and the comma before it */
    ck_assert_int_eq(schedule_parse(text, &schedule), 0);
    ck_assert_uint_eq(schedule.count, SCHEDULE_STEPS_MAX);
    text[sizeof(text) - sizeof(step)] = ',';
    text[sizeof(text) - 1] = '\0';
    ck_assert_int_eq(schedule_parse(text, &schedule), -E2BIG);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schedule");
    TCase *grammar = tcase_create("grammar");
    tcase_add_loop_test(grammar, test_accepted, 0, sizeof(accepted) / sizeof(accepted[0]));
    tcase_add_loop_test(grammar, test_refused, 0, sizeof(refused) / sizeof(refused[0]));
    tcase_add_test(grammar, test_too_many);
    suite_add_tcase(suite, grammar);
    return suite_run(suite);
}
