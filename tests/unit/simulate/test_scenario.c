/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Scenarios: what is read of them, the rules that hold in them, and mistakes. */
#include "scenario_file.h"
#include "scratch.h"
#include "suite.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char folder[SCRATCH_FOLDER_MAX], path[SCRATCH_FOLDER_MAX + 16], told[4096];
static const struct scenario_options plain;

static void scene_setup(void)
{
    scratch_make("scenario", folder);
    snprintf(path, sizeof(path), "%s/s.ini", folder);
}

static void scene_teardown(void)
{
    scratch_remove(folder);
}

static void sink(const char *line, void *userdata)
{
    size_t used = strlen(told);
    (void)userdata;
    snprintf(told + used, sizeof(told) - used, "%s\n", line);
}

static int load(const char *text, struct scenario_file **ret_file)
{
    scratch_write(path, text);
    told[0] = '\0';
    return scenario_file_load(path, &plain, sink, NULL, ret_file);
}

static void refuse(const char *text, const char *words)
{
    struct scenario_file *file = NULL;
    ck_assert_int_eq(load(text, &file), -EINVAL);
    ck_assert_ptr_null(file);
    ck_assert_msg(strstr(told, words), "\"%s\": %s", words, told);
}

START_TEST(a_scenario_is_read)
{
    struct scenario_file *file = NULL;
    int result = load("[simulation]\nduration=2h\nstep=20ms\nseed=5\n"
                      "[host]\ntotal=32G\nswap=4G\nswap-rate=100M\n"
                      "[class gold]\npriority=900\n"
                      "[vm g]\nmatch=web-*\nclass=gold\n"
                      "[guest web]\ncount=2\nmaximum=4G\ndemand=ramp 1G 3G 10min\n"
                      "[guest steps]\nmaximum=4G\ndemand=steps 1G 5min 2G 5min\nscale=150%\n"
                      "balloon=takes-back\nstatistics=idle\npinned=yes\n"
                      "[guest wave]\nmaximum=4G\ndemand=wave 1G 3G 1h\nstart=1min\n",
        &file);
    ck_assert_msg(result == 0, "%s", told);
    const struct scenario *scenario = scenario_file_scenario(file);
    const struct rules *rules = scenario_file_rules(file);
    ck_assert(scenario->duration == 120 * NSEC_PER_MINUTE && scenario->seed == 5);
    ck_assert(scenario->host.swap_rate == 100 * MIB);
    ck_assert_uint_eq(scenario->guest_count, 4);
    ck_assert_str_eq(scenario->guests[1].name, "web-2");
    ck_assert_uint_eq(rules->vms[1].priority, 900);
    ck_assert_uint_eq(rules->vms[2].priority, PRIORITY_DEFAULT);
    ck_assert_int_eq((int)rules->host.mode, MODE_ENFORCE);
    ck_assert_int_eq((int)rules->vms[2].mode, MODE_ENFORCE);
    const struct demand *steps = &scenario->guests[2].demand;
    ck_assert(steps->stepwise && steps->count == 2 && steps->repeat == 10 * NSEC_PER_MINUTE);
    ck_assert(steps->points[1].bytes == 3 * GIB);
    ck_assert_int_eq((int)scenario->guests[2].balloon, BALLOON_TAKES_BACK);
    ck_assert_int_eq((int)scenario->guests[2].report, REPORT_IDLE);
    ck_assert(scenario->guests[2].pinned);
    const struct demand *wave = &scenario->guests[3].demand;
    ck_assert(wave->count == 3 && wave->points[1].time == 30 * NSEC_PER_MINUTE);
    (void)scenario_file_free(file);
}
END_TEST

START_TEST(a_trace_lies_beside_its_scenario)
{
    struct scenario_file *file = NULL;
    char trace[SCRATCH_FOLDER_MAX + 16];
    snprintf(trace, sizeof(trace), "%s/t.csv", folder);
    scratch_write(trace, "time,rss\n10,1073741824\n20,2147483648\n");
    int result = load("[host]\ntotal=32G\n[guest a]\nmaximum=4G\ndemand=trace t.csv\n", &file);
    ck_assert_msg(result == 0, "%s", told);
    const struct demand *demand = &scenario_file_scenario(file)->guests[0].demand;
    ck_assert(demand->count == 2 && demand->points[1].time == 10 * NSEC_PER_SEC);
    ck_assert(demand->points[1].bytes == 2 * GIB);
    (void)scenario_file_free(file);
}
END_TEST

#define HOST "[host]\ntotal=32G\n"
#define GUEST "[guest a]\nmaximum=4G\ndemand=constant 1G\n"

START_TEST(mistakes_are_told_with_their_line)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {HOST, "from 1 to 1024 guests"},
        {GUEST, "needs a total="},
        {HOST GUEST "[gust b]\n", ":6: section [gust b] is not known"},
        {HOST GUEST "size=3\n", ":6: [guest a] has no key size"},
        {HOST GUEST "[guest b]\ndemand=constant 1G\n", "needs a maximum="},
        {HOST GUEST "[guest b]\nmaximum=1G\n", "needs a demand="},
        {HOST GUEST "[guest b]\nmaximum=1G\ndemand=trace none.csv\n", "cannot be opened"},
        {HOST GUEST "[guest b]\nmaximum=1G\ndemand=ramp 1G 2G\n", ":8: demand="},
        {HOST GUEST "[guest b]\nmaximum=1G\ndemand=wave 1G 2G 1h 3G\n", ":8: demand="},
        {HOST GUEST "[guest b]\nmaximum=1G\ndemand=constant 1G 5min\n", ":8: demand="},
        {HOST GUEST "[guest b]\nmaximum=1G\ndemand=steps 1G 0s 2G\n", ":8: demand="},
        {HOST GUEST "[guest b]\nmaximum=1G\ndemand=trace\n", ":8: demand="},
        {HOST GUEST "[guest b]\nmaximum=65T\ndemand=constant 1G\n", ":7: maximum="},
        {HOST GUEST "count=1025\n", "count=1025"},
        {HOST GUEST "scale=0%\n", "scale=0%"},
        {HOST GUEST "balloon=perhaps\n", "balloon=perhaps"},
        {HOST GUEST "[guest]\n", "section [guest] is not known"},
        {HOST GUEST "[class x]\npriority=0\n", "priority=0"},
        {HOST GUEST "[simulation]\nstep=2s\n", "step=2s"},
        {HOST GUEST "[simulation]\nduration=0s\n", "less than step="},
        {HOST GUEST "[simulation]\nduration=366d\nstep=1ms\n", "times step="},
        {"[host]\ntotal=1G\n" GUEST, "less than"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        refuse(cases[i].text, cases[i].words);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("scenario");
    tcase_add_checked_fixture(tests, scene_setup, scene_teardown);
    tcase_add_test(tests, a_scenario_is_read);
    tcase_add_test(tests, a_trace_lies_beside_its_scenario);
    tcase_add_test(tests, mistakes_are_told_with_their_line);
    Suite *suite = suite_create("simulate-scenario");
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
